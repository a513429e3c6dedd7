//! What is behind a drive.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::SECTOR;

/// Storage of whole sectors.
pub trait Disk: Send {
    /// Number of sectors.
    fn sectors(&self) -> u64;
    /// Whether writes are refused.
    fn read_only(&self) -> bool {
        false
    }
    /// Reads whole sectors from `lba` on.
    ///
    /// # Errors
    /// What the storage says. The caller stays in range.
    fn read(&mut self, lba: u64, to: &mut [u8]) -> io::Result<()>;
    /// Writes whole sectors from `lba` on.
    ///
    /// # Errors
    /// What the storage says.
    fn write(&mut self, lba: u64, from: &[u8]) -> io::Result<()>;
    /// Makes everything written so far permanent.
    ///
    /// # Errors
    /// What the storage says.
    fn flush(&mut self) -> io::Result<()>;
}

/// A raw image file. A last part that is no whole sector is not visible.
#[derive(Debug)]
pub struct FileDisk {
    file: File,
    sectors: u64,
    read_only: bool,
}

impl FileDisk {
    /// Opens an image.
    ///
    /// # Errors
    /// When the file cannot be opened, or has no whole sector.
    pub fn open(path: &Path, read_only: bool) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(!read_only).open(path)?;
        let bytes = io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
        let sectors = bytes / SECTOR as u64;
        if sectors == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the image has no whole sector",
            ));
        }
        Ok(Self {
            file,
            sectors,
            read_only,
        })
    }
}

impl Disk for FileDisk {
    fn sectors(&self) -> u64 {
        self.sectors
    }
    fn read_only(&self) -> bool {
        self.read_only
    }
    fn read(&mut self, lba: u64, to: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(to, lba * SECTOR as u64)
    }
    fn write(&mut self, lba: u64, from: &[u8]) -> io::Result<()> {
        self.file.write_all_at(from, lba * SECTOR as u64)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

impl Disk for Box<dyn Disk> {
    fn sectors(&self) -> u64 {
        (**self).sectors()
    }
    fn read_only(&self) -> bool {
        (**self).read_only()
    }
    fn read(&mut self, lba: u64, to: &mut [u8]) -> io::Result<()> {
        (**self).read(lba, to)
    }
    fn write(&mut self, lba: u64, from: &[u8]) -> io::Result<()> {
        (**self).write(lba, from)
    }
    fn flush(&mut self) -> io::Result<()> {
        (**self).flush()
    }
}
