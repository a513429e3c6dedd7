//! PCI configuration: the space of a function, and mechanism 1 that reaches it.

use crate::abi::Width;

/// Address port of configuration mechanism 1.
pub const CONFIG_ADDRESS: u16 = 0xcf8;
/// First of the four data ports.
pub const CONFIG_DATA: u16 = 0xcfc;

/// Offset of the command register.
pub const COMMAND: u8 = 0x04;
/// Offset of the revision.
pub const REVISION: u8 = 0x08;
/// Command bit: decode I/O ports.
pub const COMMAND_IO: u8 = 1;
/// Command bit: be a bus master.
pub const COMMAND_MASTER: u8 = 4;

/// The 256 bytes of a function, each with the bits that can be written.
#[derive(Debug, Clone)]
pub struct ConfigSpace {
    bytes: [u8; 256],
    writable: [u8; 256],
}

impl ConfigSpace {
    /// A function that knows its identity: vendor, device, and class, subclass and interface as `0xCCSSII`.
    pub fn new(vendor: u16, device: u16, class: u32) -> Self {
        let mut space = Self {
            bytes: [0; 256],
            writable: [0; 256],
        };
        space.set(0, &vendor.to_le_bytes());
        space.set(2, &device.to_le_bytes());
        let [interface, subclass, class, _] = class.to_le_bytes();
        space.set(9, &[interface, subclass, class]);
        // Interrupt line: software's own
        space.allow(0x3c, &[0xff]);
        space
    }

    /// Sets bytes, whether the guest could or not.
    pub fn set(&mut self, at: u8, bytes: &[u8]) {
        for (to, from) in self.bytes.iter_mut().skip(at.into()).zip(bytes) {
            *to = *from;
        }
    }

    /// Lets the guest write the bits of `mask`.
    pub fn allow(&mut self, at: u8, mask: &[u8]) {
        for (to, from) in self.writable.iter_mut().skip(at.into()).zip(mask) {
            *to = *from;
        }
    }

    /// One byte.
    pub fn byte(&self, at: u8) -> u8 {
        self.bytes[usize::from(at)]
    }

    /// Four bytes; `at` is cut to a multiple of four.
    pub fn long(&self, at: u8) -> u32 {
        let at = at & !3;
        u32::from_le_bytes([0, 1, 2, 3].map(|i| self.byte(at + i)))
    }

    /// The guest writes.
    pub fn write(&mut self, at: u8, width: Width, value: u32) {
        let bytes = value.to_le_bytes().into_iter().take(width.bytes() as usize);
        let cells = self.bytes.iter_mut().zip(&self.writable);
        for ((cell, mask), value) in cells.skip(at.into()).zip(bytes) {
            *cell = *cell & !mask | value & mask;
        }
    }

    /// The guest reads.
    pub fn read(&self, at: u8, width: Width) -> u32 {
        let mut value = [0xff; 4];
        let cells = self.bytes.iter().skip(at.into());
        for (to, from) in value.iter_mut().take(width.bytes() as usize).zip(cells) {
            *to = *from;
        }
        u32::from_le_bytes(value) & width.mask()
    }
}

/// The address register, and what it names.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConfigAddress(u32);

impl ConfigAddress {
    /// Reads the address port: only as a whole.
    pub fn read(self, width: Width) -> u32 {
        match width {
            Width::Long => self.0,
            _ => width.mask(),
        }
    }

    /// Writes the address port: only as a whole; smaller accesses belong to other devices.
    pub fn write(&mut self, width: Width, value: u32) {
        if width == Width::Long {
            self.0 = value & 0x80ff_fffc;
        }
    }

    /// Device and function on bus 0 that the data port reaches now; `None`: nothing there.
    pub fn function(self) -> Option<(u8, u8)> {
        let enabled = self.0 >> 31 != 0 && self.0 >> 16 & 0xff == 0;
        enabled.then_some(((self.0 >> 11 & 0x1f) as u8, (self.0 >> 8 & 7) as u8))
    }

    /// Offset in its space of an access to `port`.
    pub fn offset(self, port: u16) -> u8 {
        (self.0 & 0xfc) as u8 | (port & 3) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_allowed_bits_change() {
        let mut space = ConfigSpace::new(0x8086, 0x7010, 0x01_0180);
        space.allow(0x20, &[0xf0, 0xff]);
        space.set(0x20, &[1]);
        space.write(0x20, Width::Long, u32::MAX);
        assert_eq!(space.read(0x20, Width::Long), 0xfff1, "the size of the BAR");
        space.write(0, Width::Long, 0);
        assert_eq!(space.long(0), 0x7010_8086);
        assert_eq!(space.read(8, Width::Long), 0x0101_8000);
        space.write(0xff, Width::Long, u32::MAX);
        assert_eq!(space.read(0xfe, Width::Long), 0xffff_0000);
    }

    #[test]
    fn addresses() {
        let mut address = ConfigAddress::default();
        assert_eq!(address.function(), None);
        address.write(Width::Byte, 0xff);
        address.write(Width::Long, 0x8000_0920);
        assert_eq!(address.function(), Some((1, 1)));
        assert_eq!(address.offset(CONFIG_DATA + 2), 0x22);
        address.write(Width::Long, 0x8001_0920);
        assert_eq!(address.function(), None, "another bus");
    }
}
