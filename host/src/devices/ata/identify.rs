//! The 256 words of IDENTIFY DEVICE.

use super::drive::Drive;
use super::{MAX_MULTIPLE, SECTOR};

/// What a drive says about itself, as bytes at the data port.
pub(super) fn identify(drive: &Drive) -> Vec<u8> {
    let sectors = drive.disk.sectors();
    let cylinders = (sectors / (16 * 63)).min(16_383);
    let geometry = drive.geometry;
    let current = u64::from(geometry.heads) * u64::from(geometry.sectors);
    let current_cylinders = (sectors / current.max(1)).min(65_535);
    let capacity = current_cylinders * current;
    let lba28 = sectors.min(0x0fff_ffff);

    let mut words = [0u16; SECTOR / 2];
    let mut set = |at: usize, value: u64| {
        if let Some(word) = words.get_mut(at) {
            *word = value as u16;
        }
    };
    set(0, 0x0040);
    set(1, cylinders);
    set(3, 16);
    set(6, 63);
    set(47, 0x8000 | u64::from(MAX_MULTIPLE));
    // LBA, DMA, IORDY
    set(49, 0x0b00);
    set(50, 0x4000);
    set(51, 0x0200);
    // Words 54 to 58, 64 to 70 and 88 are valid
    set(53, 7);
    set(54, current_cylinders);
    set(55, geometry.heads.into());
    set(56, geometry.sectors.into());
    set(57, capacity & 0xffff);
    set(58, capacity >> 16);
    if drive.multiple != 0 {
        set(59, 0x100 | u64::from(drive.multiple));
    }
    set(60, lba28 & 0xffff);
    set(61, lba28 >> 16);
    set(63, mode_word(drive.mode, 0x20, 0x07));
    // PIO modes 3 and 4, and the shortest cycles of 120 ns
    set(64, 3);
    for word in 65..=68 {
        set(word, 120);
    }
    // ATA-1 to ATA-6
    set(80, 0x007e);
    // Write cache; 48-bit addresses, both flush commands; words that say so are valid
    set(82, 0x0020);
    set(83, 0x7400);
    set(84, 0x4000);
    set(85, if drive.write_cache { 0x0020 } else { 0 });
    set(86, 0x3400);
    set(87, 0x4000);
    set(88, mode_word(drive.mode, 0x40, 0x3f));
    // 80-conductor cable
    set(93, 0x600b);
    for (word, shift) in (100..104).zip([0, 16, 32, 48]) {
        set(word, sectors >> shift);
    }

    let mut bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    text(&mut bytes, 10, 20, &drive.serial);
    text(&mut bytes, 23, 8, "1");
    text(&mut bytes, 27, 40, "XKVM DISK");
    bytes
}

/// Modes that the drive can, and the one selected, when it is of this family.
fn mode_word(selected: u8, family: u8, can: u64) -> u64 {
    if selected & 0xf8 == family {
        can | 0x100 << (selected & 7)
    } else {
        can
    }
}

/// Text in words of swapped bytes, padded with blanks.
fn text(bytes: &mut [u8], word: usize, len: usize, text: &str) {
    let padded = text.bytes().chain(std::iter::repeat(b' '));
    for (i, byte) in padded.take(len).enumerate() {
        if let Some(to) = bytes.get_mut(word * 2 + (i ^ 1)) {
            *to = byte;
        }
    }
}
