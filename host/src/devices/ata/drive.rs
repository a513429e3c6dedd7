//! A drive: its disk, and what commands have set.

use super::address::Geometry;
use super::{Disk, MAX_MULTIPLE, error};

/// One drive of a channel.
pub(super) struct Drive {
    pub disk: Box<dyn Disk>,
    pub serial: String,
    pub geometry: Geometry,
    /// Sectors in a block of the MULTIPLE commands; 0: switched off.
    pub multiple: u8,
    pub write_cache: bool,
    /// Transfer mode selected by SET FEATURES.
    pub mode: u8,
}

impl Drive {
    /// As it is after power-on; `number` becomes its serial number.
    pub fn new(disk: Box<dyn Disk>, number: usize) -> Self {
        Self {
            disk,
            serial: format!("XKVM{number:04}"),
            geometry: Geometry::DEFAULT,
            // Drivers use it when they find it set, and do not set it themselves.
            multiple: MAX_MULTIPLE,
            write_cache: true,
            mode: 0x0c,
        }
    }

    /// Reads whole sectors from `lba` on. The error is for the error register.
    pub fn read(&mut self, lba: u64, to: &mut [u8]) -> Result<(), u8> {
        self.disk.read(lba, to).map_err(|_| error::UNC)
    }

    /// Writes whole sectors from `lba` on, through to the disk unless the write cache is on.
    pub fn write(&mut self, lba: u64, from: &[u8]) -> Result<(), u8> {
        self.write_part(lba, from)?;
        self.end_write()
    }

    /// Writes a part of what one command writes.
    pub fn write_part(&mut self, lba: u64, from: &[u8]) -> Result<(), u8> {
        self.disk.write(lba, from).map_err(|_| error::ABRT)
    }

    /// After the last part: once a command, as a guest may order very many parts.
    pub fn end_write(&mut self) -> Result<(), u8> {
        if self.write_cache {
            return Ok(());
        }
        self.disk.flush().map_err(|_| error::ABRT)
    }
}
