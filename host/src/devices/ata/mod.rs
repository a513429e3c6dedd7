//! ATA disks: two drives on a channel, with the registers and commands that libata and the old IDE drivers use.
//!
//! Commands complete at once: by the time the guest can look, the drive is not busy any more.

mod address;
mod channel;
mod command;
mod disk;
mod dma;
mod drive;
mod identify;
mod legacy;

pub use channel::Channel;
pub use disk::{Disk, FileDisk};
pub use dma::{DmaEnd, Segment};
pub use legacy::LegacyIde;

/// Bytes of a sector.
pub const SECTOR: usize = 512;

/// Most sectors that SET MULTIPLE MODE accepts in one block.
pub const MAX_MULTIPLE: u8 = 16;

/// Bits of the status register.
pub mod status {
    /// The command failed; the error register says why.
    pub const ERR: u8 = 0x01;
    /// A block waits at the data port.
    pub const DRQ: u8 = 0x08;
    /// Seek complete; always together with [`DRDY`] here.
    pub const DSC: u8 = 0x10;
    /// The drive takes commands.
    pub const DRDY: u8 = 0x40;
    /// Never seen: commands complete at once; during a soft reset only.
    pub const BSY: u8 = 0x80;
}

/// Bits of the error register.
pub mod error {
    /// Aborted: unknown, or not possible.
    pub const ABRT: u8 = 0x04;
    /// No such sector.
    pub const IDNF: u8 = 0x10;
    /// The sector cannot be read.
    pub const UNC: u8 = 0x40;
}
