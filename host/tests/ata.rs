//! Random command streams against a plain array of bytes, through the ports as a driver uses them.
#![cfg(feature = "vmm")]

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};
use xkvm_host::abi::{Direction, Width};
use xkvm_host::bus::Bus;
use xkvm_host::devices::ata::{Channel, Disk, LegacyIde};
use xkvm_host::devices::irq::IrqLine;
use xkvm_host::devices::piix3::{Piix3, WINDOW};
use xkvm_host::devices::power::PowerSwitch;

const SECTORS: u64 = 600;
const BUS_MASTER: u16 = 0xc000;
const PRD_TABLE: u64 = 0x2000;

/// An image in memory that the test can look at.
#[derive(Clone)]
struct MemDisk {
    bytes: Arc<Mutex<Vec<u8>>>,
    flushes: Arc<AtomicUsize>,
    /// Reads and writes of this sector fail.
    bad: Option<u64>,
    read_only: bool,
}

impl MemDisk {
    fn new(sectors: u64) -> Self {
        let bytes = (0..sectors * 512).map(|i| (i / 512 * 3 + i % 251) as u8);
        Self {
            bytes: Arc::new(Mutex::new(bytes.collect())),
            flushes: Arc::default(),
            bad: None,
            read_only: false,
        }
    }

    fn range(&self, lba: u64, len: usize) -> io::Result<std::ops::Range<usize>> {
        let end = lba + (len / 512) as u64;
        if self.bad.is_some_and(|bad| (lba..end).contains(&bad)) {
            return Err(io::Error::other("bad sector"));
        }
        assert!(end <= self.sectors(), "out of range came through");
        Ok(lba as usize * 512..lba as usize * 512 + len)
    }
}

impl Disk for MemDisk {
    fn sectors(&self) -> u64 {
        self.bytes.lock().unwrap().len() as u64 / 512
    }
    fn read_only(&self) -> bool {
        self.read_only
    }
    fn read(&mut self, lba: u64, to: &mut [u8]) -> io::Result<()> {
        let range = self.range(lba, to.len())?;
        to.copy_from_slice(&self.bytes.lock().unwrap()[range]);
        Ok(())
    }
    fn write(&mut self, lba: u64, from: &[u8]) -> io::Result<()> {
        assert!(!self.read_only);
        let range = self.range(lba, from.len())?;
        self.bytes.lock().unwrap()[range].copy_from_slice(from);
        Ok(())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.flushes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl IrqLine for Count {
    fn pulse(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A driver at the ports.
struct Driver {
    bus: Bus,
    irqs: Count,
    memory: GuestMemoryMmap,
}

impl Driver {
    fn new(disks: [Option<MemDisk>; 2], piix3: bool) -> Self {
        let memory: GuestMemoryMmap =
            GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 1 << 20)]).unwrap();
        let irqs = Count::default();
        let disks = disks.map(|d| d.map(|d| Box::new(d) as Box<dyn Disk>));
        let channel = Channel::new(disks, 0, irqs.clone());
        let mut bus = Bus::new();
        let id = if piix3 {
            let other = Channel::new([None, None], 2, irqs.clone());
            let ide = Piix3::new(
                [channel, other],
                false,
                memory.clone(),
                PowerSwitch::default(),
            );
            let id = bus.add(ide);
            bus.claim(id, WINDOW).unwrap();
            bus.claim(id, 0xcf8..=0xcff).unwrap();
            id
        } else {
            bus.add(LegacyIde::primary(channel))
        };
        bus.claim(id, 0x1f0..=0x1f7).unwrap();
        bus.claim(id, 0x3f6..=0x3f6).unwrap();
        Self { bus, irqs, memory }
    }

    fn out(&mut self, port: u16, value: u8) {
        self.bus
            .exit(Direction::Out, port, Width::Byte, &mut [value]);
    }
    fn input(&mut self, port: u16) -> u8 {
        let mut value = [0];
        self.bus.exit(Direction::In, port, Width::Byte, &mut value);
        value[0]
    }
    fn outl(&mut self, port: u16, value: u32) {
        let mut bytes = value.to_le_bytes();
        self.bus.exit(Direction::Out, port, Width::Long, &mut bytes);
    }
    fn status(&mut self) -> u8 {
        self.input(0x1f7)
    }
    fn irqs(&self) -> usize {
        self.irqs.0.swap(0, Ordering::Relaxed)
    }

    /// Loads the task file and starts the command.
    fn command(&mut self, command: u8, long: bool, lba: u64, count: u16) {
        let [a, b, c, d, e, f, ..] = lba.to_le_bytes();
        let [low, high] = count.to_le_bytes();
        if long {
            self.out(0x1f6, 0xe0);
            for (port, value) in [(0x1f2, high), (0x1f3, d), (0x1f4, e), (0x1f5, f)] {
                self.out(port, value);
            }
        } else {
            self.out(0x1f6, 0xe0 | d & 0x0f);
        }
        for (port, value) in [(0x1f2, low), (0x1f3, a), (0x1f4, b), (0x1f5, c)] {
            self.out(port, value);
        }
        self.out(0x1f7, command);
    }

    /// Reads blocks as the status says, `step` bytes an exit.
    fn pio_in(&mut self, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while self.status() & 0x08 != 0 {
            let mut part = vec![0; step];
            self.bus.exit(Direction::In, 0x1f0, Width::Word, &mut part);
            all.extend(part);
        }
        all
    }

    fn pio_out(&mut self, data: &[u8], step: usize) -> usize {
        let mut done = 0;
        while self.status() & 0x08 != 0 && done < data.len() {
            let mut part = data[done..data.len().min(done + step)].to_vec();
            done += part.len();
            self.bus.exit(Direction::Out, 0x1f0, Width::Word, &mut part);
        }
        done
    }

    /// Splits a buffer at `gpa` into table entries of at most `piece` bytes.
    fn prds(&mut self, gpa: u32, len: u32, piece: u32) {
        let mut at = 0;
        let mut n = 0;
        while at < len {
            let size = piece.min(len - at);
            let last = u32::from(at + size == len) << 31;
            let entry = GuestAddress(PRD_TABLE + n * 8);
            self.memory.write_obj(gpa + at, entry).unwrap();
            let entry = GuestAddress(PRD_TABLE + n * 8 + 4);
            self.memory.write_obj(size & 0xffff | last, entry).unwrap();
            at += size;
            n += 1;
        }
        self.outl(BUS_MASTER + 4, PRD_TABLE as u32);
    }
}

#[derive(Debug, Clone)]
enum Action {
    Pio {
        write: bool,
        long: bool,
        multiple: bool,
        lba: u64,
        count: u16,
        step: usize,
        seed: u8,
    },
    Dma {
        write: bool,
        long: bool,
        lba: u64,
        count: u16,
        piece: u32,
        seed: u8,
    },
    SetMultiple(u8),
    Flush(bool),
    Reset,
}

fn action() -> impl Strategy<Value = Action> {
    let lba = || prop_oneof![8 => 0..SECTORS, 1 => SECTORS - 4..SECTORS + 4, 1 => 0u64..1 << 28];
    let count = || prop_oneof![8 => 1u16..20, 1 => Just(0u16), 1 => 1u16..256];
    prop_oneof![
        4 => (any::<[bool; 3]>(), lba(), count(), 0usize..4, any::<u8>()).prop_map(
            |([write, long, multiple], lba, count, step, seed)| Action::Pio {
                write, long, multiple, lba, count, step: [2, 64, 512, 4096][step], seed,
            }),
        4 => (any::<[bool; 2]>(), lba(), 1u16..100, 1u32..200, any::<u8>()).prop_map(
            |([write, long], lba, count, piece, seed)| Action::Dma {
                write, long, lba, count, piece: piece * 64, seed,
            }),
        1 => (0usize..6).prop_map(|n| Action::SetMultiple([0, 1, 2, 4, 8, 16][n])),
        1 => any::<bool>().prop_map(Action::Flush),
        1 => Just(Action::Reset),
    ]
}

fn pattern(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 512) as u8 ^ seed).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_disk_is_an_array_of_bytes(actions in prop::collection::vec(action(), 1..24)) {
        let disk = MemDisk::new(SECTORS);
        let mut model = disk.bytes.lock().unwrap().clone();
        let mut driver = Driver::new([Some(disk.clone()), None], true);
        let mut multiple = 16u8;
        let mut flushes = 0;
        for action in actions {
            driver.irqs();
            match action {
                Action::Pio { write, long, multiple: many, lba, count, step, seed } => {
                    let command = match (write, long, many) {
                        (false, false, false) => 0x20,
                        (false, true, false) => 0x24,
                        (false, false, true) => 0xc4,
                        (false, true, true) => 0x29,
                        (true, false, false) => 0x30,
                        (true, true, false) => 0x34,
                        (true, false, true) => 0xc5,
                        (true, true, true) => 0x39,
                    };
                    // 0 means more than the disk has, either way.
                    let sectors = if count == 0 { if long { 65_536 } else { 256 } } else { u64::from(count) };
                    let block = if many { usize::from(multiple) } else { 1 };
                    driver.command(command, long, lba, count);
                    if block == 0 || lba + sectors > SECTORS {
                        prop_assert_eq!(driver.input(0x3f6), 0x51);
                        prop_assert_eq!(driver.input(0x1f1), if block == 0 { 0x04 } else { 0x10 });
                        prop_assert_eq!(driver.irqs(), 1);
                        continue;
                    }
                    let range = lba as usize * 512..(lba + sectors) as usize * 512;
                    let blocks = (sectors as usize).div_ceil(block);
                    // One exit may not span two blocks, as the driver looks at the status between them.
                    let step = if step > 512 && block < 8 { 512 } else { step };
                    if write {
                        let data = pattern(seed, range.len());
                        prop_assert_eq!(driver.pio_out(&data, step), data.len());
                        model[range].copy_from_slice(&data);
                    } else {
                        let read = driver.pio_in(step);
                        prop_assert_eq!(&read[..range.len()], &model[range.clone()]);
                        prop_assert!(read[range.len()..].iter().all(|b| *b == 0));
                    }
                    prop_assert_eq!(driver.status(), 0x50);
                    prop_assert_eq!(driver.irqs(), blocks, "one interrupt a block");
                }
                Action::Dma { write, long, lba, count, piece, seed } => {
                    let command = match (write, long) {
                        (false, false) => 0xc8,
                        (false, true) => 0x25,
                        (true, false) => 0xca,
                        (true, true) => 0x35,
                    };
                    let len = usize::from(count) * 512;
                    let data = pattern(seed, len);
                    let buffer = GuestAddress(0x1_0000);
                    driver.prds(0x1_0000, len as u32, piece);
                    driver.memory.write_slice(&data, buffer).unwrap();
                    driver.out(BUS_MASTER, if write { 0 } else { 8 });
                    driver.out(BUS_MASTER + 2, 6);
                    driver.command(command, long, lba, count);
                    if lba + u64::from(count) > SECTORS {
                        prop_assert_eq!(driver.status(), 0x51);
                        prop_assert_eq!(driver.irqs(), 1);
                        continue;
                    }
                    prop_assert_eq!(driver.irqs(), 0, "nothing before the bus master starts");
                    driver.out(BUS_MASTER, if write { 1 } else { 9 });
                    prop_assert_eq!(driver.input(BUS_MASTER + 2), 4, "interrupt, not active");
                    driver.out(BUS_MASTER, if write { 0 } else { 8 });
                    let range = lba as usize * 512..lba as usize * 512 + len;
                    if write {
                        model[range].copy_from_slice(&data);
                    } else {
                        let mut read = vec![0; len];
                        driver.memory.read_slice(&mut read, buffer).unwrap();
                        prop_assert_eq!(&read, &model[range]);
                    }
                    prop_assert_eq!((driver.status(), driver.irqs()), (0x50, 1));
                }
                Action::SetMultiple(count) => {
                    driver.command(0xc6, false, 0, count.into());
                    prop_assert_eq!(driver.status(), 0x50);
                    multiple = count;
                }
                Action::Flush(long) => {
                    driver.command(if long { 0xea } else { 0xe7 }, false, 0, 0);
                    prop_assert_eq!(driver.status(), 0x50);
                    flushes += 1;
                }
                Action::Reset => {
                    driver.out(0x3f6, 4);
                    prop_assert_eq!(driver.status() & 0x80, 0x80);
                    driver.out(0x3f6, 0);
                    let signature = [1u16, 2, 3, 4, 5].map(|r| driver.input(0x1f0 + r));
                    prop_assert_eq!(signature, [1, 1, 1, 0, 0]);
                }
            }
            prop_assert_eq!(disk.flushes.load(Ordering::Relaxed), flushes);
        }
        prop_assert!(*disk.bytes.lock().unwrap() == model);
    }

    /// Any accesses whatever, with two disks of different size: nothing out of range, no panic, and it ends.
    #[test]
    fn noise_does_no_harm(
        accesses in prop::collection::vec((0usize..20, any::<u32>(), 0usize..3, any::<bool>(), 1usize..600), 1..200),
        piix3 in any::<bool>(),
    ) {
        let disks = [Some(MemDisk::new(SECTORS)), Some(MemDisk::new(7))];
        let mut driver = Driver::new(disks.clone(), piix3);
        let ports = [
            0x1f0, 0x1f0, 0x1f1, 0x1f2, 0x1f2, 0x1f3, 0x1f4, 0x1f5, 0x1f6, 0x1f7, 0x1f7, 0x3f6, 0xc000, 0xc002, 0xc004,
            0xc006, 0xcf8, 0xcfc, 0xcfe, 0xc008,
        ];
        let commands = [0x20, 0x24, 0x29, 0x30, 0x34, 0x39, 0xc4, 0xc5, 0xc6, 0xc8, 0xca, 0x25, 0x35, 0xec, 0xef, 0x91];
        for (port, value, width, write, count) in accesses {
            let port = ports[port];
            let value = match port {
                0x1f7 if write => commands[value as usize % commands.len()],
                0x1f2..=0x1f5 => value % 10,
                0x3f6 => value & 0x82,
                0xcf8 => 0x8000_0900 | value & 0xfc,
                _ => value,
            };
            let width = [Width::Byte, Width::Word, Width::Long][width];
            let bytes = width.bytes() as usize;
            let count = if port == 0x1f0 { count } else { 1 };
            let mut data = value.to_le_bytes()[..bytes].repeat(count);
            let direction = if write { Direction::Out } else { Direction::In };
            driver.bus.exit(direction, port, width, &mut data);
        }
        prop_assert_eq!(disks[0].as_ref().unwrap().sectors(), SECTORS);
    }
}

fn words(bytes: &[u8]) -> Vec<u16> {
    bytes
        .chunks(2)
        .map(|w| u16::from_le_bytes([w[0], w[1]]))
        .collect()
}

#[test]
fn identify_tells_what_the_disk_is() {
    for piix3 in [false, true] {
        let mut driver = Driver::new([Some(MemDisk::new(SECTORS)), None], piix3);
        driver.command(0xec, false, 0, 0);
        let words = words(&driver.pio_in(512));
        assert_eq!(words[60], SECTORS as u16);
        assert_eq!(words[100], SECTORS as u16);
        assert_eq!(words[83] & 0x0400, 0x0400, "48-bit addresses");
        assert_eq!(words[49] & 0x0300, 0x0300, "LBA and DMA");
        let model: Vec<u8> = words[27..32].iter().flat_map(|w| w.to_be_bytes()).collect();
        assert_eq!(model, *b"XKVM DISK ");
        // Multiword DMA 2 selected
        driver.out(0x1f1, 0x03);
        driver.command(0xef, false, 0, 0x22);
        driver.command(0xec, false, 0, 0);
        assert_eq!(self::words(&driver.pio_in(512))[63], 0x0407);
    }
}

#[test]
fn a_drive_that_is_not_there_answers_zero() {
    let mut driver = Driver::new([Some(MemDisk::new(8)), None], false);
    driver.out(0x1f6, 0xb0);
    driver.out(0x1f2, 0x55);
    assert_eq!(
        [driver.input(0x1f2), driver.status(), driver.input(0x3f6)],
        [0; 3]
    );
    driver.out(0x1f7, 0xec);
    assert_eq!((driver.status(), driver.irqs()), (0, 0));
    driver.out(0x1f6, 0xa0);
    assert_eq!(driver.status(), 0x50);
}

#[test]
fn unknown_commands_and_features_are_aborted() {
    let mut driver = Driver::new([Some(MemDisk::new(8)), None], false);
    for command in [0x00, 0xa1, 0xa0, 0xf8, 0x60, 0xb0] {
        driver.command(command, false, 0, 1);
        assert_eq!(driver.irqs(), 1);
        assert_eq!(
            (driver.status(), driver.input(0x1f1)),
            (0x51, 0x04),
            "{command:#x}"
        );
    }
    driver.out(0x1f1, 0x42);
    driver.command(0xef, false, 0, 1);
    assert_eq!(driver.status(), 0x51);
    driver.command(0xc6, false, 0, 3);
    assert_eq!(driver.status(), 0x51, "not a power of two");
}

#[test]
fn bad_sectors_and_protected_disks_say_so() {
    let mut bad = MemDisk::new(SECTORS);
    bad.bad = Some(0x105);
    let mut driver = Driver::new([Some(bad), None], false);
    driver.command(0x24, true, 0x103, 4);
    let read = driver.pio_in(512);
    assert_eq!(read.len(), 2 * 512, "the good ones first");
    assert_eq!((driver.status(), driver.input(0x1f1)), (0x51, 0x40));
    assert_eq!(driver.input(0x1f3), 5, "which sector");
    driver.out(0x3f6, 0x80);
    assert_eq!(driver.input(0x1f3), 0);
    assert_eq!(driver.input(0x1f4), 0, "its high byte");

    let mut protected = MemDisk::new(8);
    protected.read_only = true;
    let mut driver = Driver::new([Some(protected), None], false);
    driver.command(0x30, false, 0, 1);
    assert_eq!((driver.status(), driver.input(0x1f1)), (0x51, 0x04));
}

#[test]
fn interrupts_can_be_masked() {
    let mut driver = Driver::new([Some(MemDisk::new(8)), None], false);
    driver.out(0x3f6, 0x02);
    driver.command(0xe7, false, 0, 0);
    assert_eq!(driver.irqs(), 0);
    driver.out(0x3f6, 0);
    assert_eq!(driver.irqs(), 1, "still pending");
    driver.status();
    driver.out(0x3f6, 2);
    driver.out(0x3f6, 0);
    assert_eq!(driver.irqs(), 0, "acknowledged");
}

#[test]
fn dma_outside_of_memory_is_an_error() {
    let disk = MemDisk::new(SECTORS);
    let before = disk.bytes.lock().unwrap().clone();
    let mut driver = Driver::new([Some(disk.clone()), None], true);
    for (gpa, len, table) in [
        (0xffff_f000, 512, PRD_TABLE),
        (0x1000, 256, PRD_TABLE),
        (0, 0, 0xffff_fff0),
    ] {
        driver.prds(gpa, len, 0x8000);
        driver.outl(BUS_MASTER + 4, table as u32);
        driver.out(BUS_MASTER, 0);
        driver.out(BUS_MASTER + 2, 6);
        driver.command(0xca, false, 0, 1);
        driver.out(BUS_MASTER, 1);
        let status = driver.input(BUS_MASTER + 2);
        assert_eq!(status & 7, 6, "error, interrupt, not active");
        assert_eq!(driver.status(), 0x51);
        driver.out(BUS_MASTER, 0);
    }
    assert!(*disk.bytes.lock().unwrap() == before);
}

/// So that a guest cannot order more work with one exit than it starts.
#[test]
fn each_dma_command_needs_a_start() {
    let disk = MemDisk::new(SECTORS);
    let mut driver = Driver::new([Some(disk.clone()), None], true);
    driver
        .memory
        .write_slice(&[7; 1024], GuestAddress(0x1000))
        .unwrap();
    // A table for two sectors, a command for one.
    driver.prds(0x1000, 1024, 0x8000);
    driver.out(BUS_MASTER, 0);
    driver.out(BUS_MASTER + 2, 6);
    driver.command(0xca, false, 0, 1);
    driver.out(BUS_MASTER, 1);
    assert_eq!(driver.input(BUS_MASTER + 2) & 7, 5, "interrupt, active");
    driver.status();
    driver.command(0xca, false, 5, 1);
    let written = |at: usize| disk.bytes.lock().unwrap()[at * 512] == 7;
    assert!(written(0) && !written(5));
    driver.out(BUS_MASTER, 0);
    driver.out(BUS_MASTER, 1);
    assert!(written(5));
}

#[test]
fn the_chipset_is_found_by_configuration_mechanism_1() {
    let mut driver = Driver::new([None, None], true);
    let mut ids = Vec::new();
    for function in [0x0000, 0x0800, 0x0900, 0x1000] {
        driver.outl(0xcf8, 0x8000_0000 | function);
        let mut id = [0; 4];
        driver.bus.exit(Direction::In, 0xcfc, Width::Long, &mut id);
        ids.push(u32::from_le_bytes(id));
    }
    assert_eq!(ids, [0x1237_8086, 0x7000_8086, 0x7010_8086, 0xffff_ffff]);
}
