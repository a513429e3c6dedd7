//! A channel on the ISA bus, without bus master: what `pata_legacy` and `ide_generic` drive.

use super::Channel;
use crate::abi::Width;
use crate::bus::{Buffer, PortDevice};

/// A channel at its fixed ports.
#[derive(Debug)]
pub struct LegacyIde {
    channel: Channel,
    command: u16,
}

impl LegacyIde {
    /// First of the eight command ports of the primary channel.
    pub const PRIMARY: u16 = 0x1f0;
    /// The primary channel's control port.
    pub const PRIMARY_CONTROL: u16 = 0x3f6;

    /// Serves `channel` at the primary ports.
    pub fn primary(channel: Channel) -> Self {
        Self {
            channel,
            command: Self::PRIMARY,
        }
    }

    fn register(&self, port: u16) -> u8 {
        // The control port is the ninth.
        u8::try_from(port.wrapping_sub(self.command))
            .ok()
            .filter(|r| *r < 8)
            .unwrap_or(8)
    }
}

impl PortDevice for LegacyIde {
    fn read(&mut self, port: u16, width: Width) -> u32 {
        match self.register(port) {
            0 => self.channel.read_data(width),
            register => self.channel.read(register).into(),
        }
    }
    fn write(&mut self, port: u16, width: Width, value: u32) {
        match self.register(port) {
            0 => self.channel.write_data(width, value),
            register => self.channel.write(register, value as u8),
        }
    }
    fn read_string(&mut self, port: u16, width: Width, data: &mut Buffer<'_>) {
        if self.register(port) == 0 {
            self.channel.read_data_string(width, data);
            return;
        }
        while !data.is_empty() {
            let value = self.read(port, width).to_le_bytes();
            data.put(value.get(..width.bytes() as usize).unwrap_or_default());
        }
    }
    fn write_string(&mut self, port: u16, width: Width, data: &mut Buffer<'_>) {
        if self.register(port) == 0 {
            self.channel.write_data_string(width, data);
            return;
        }
        let mut value = [0; 4];
        while data.take(value.get_mut(..width.bytes() as usize).unwrap_or_default()) != 0 {
            self.write(port, width, u32::from_le_bytes(value));
        }
    }
}
