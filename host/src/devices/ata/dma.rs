//! DMA commands: sectors between the disk and a list of pieces of guest memory.

use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

use super::drive::Drive;
use super::{SECTOR, error};

/// A piece of guest memory, as a bus master's table names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Guest physical address.
    pub gpa: u64,
    /// Bytes.
    pub len: u32,
}

/// How a transfer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DmaEnd {
    /// All sectors are transferred.
    Done,
    /// The drive failed, and tells the guest itself.
    DriveError,
    /// The table named memory that is not there, or too little of it.
    BusError,
}

/// A DMA command that waits for the bus master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DmaCommand {
    pub write: bool,
    pub lba: u64,
    pub sectors: u32,
}

/// Why a command stopped: the bits for the error register, and the sector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failure {
    pub error: u8,
    pub lba: u64,
    pub end: DmaEnd,
}

/// Sectors moved at a time: bounds the buffer, not the transfer.
const CHUNK: u32 = 128;

impl DmaCommand {
    pub fn bytes(&self) -> u64 {
        u64::from(self.sectors) * SECTOR as u64
    }

    pub fn run(
        &self,
        drive: &mut Drive,
        memory: &GuestMemoryMmap,
        segments: &[Segment],
        buffer: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let (mut lba, mut left) = (self.lba, self.sectors);
        let mut place = Place { segments, done: 0 };
        while left != 0 {
            let sectors = left.min(CHUNK);
            buffer.clear();
            buffer.resize(sectors as usize * SECTOR, 0);
            let drive_error = |error| Failure {
                error,
                lba,
                end: DmaEnd::DriveError,
            };
            let bus_error = Failure {
                error: error::ABRT,
                lba,
                end: DmaEnd::BusError,
            };
            if self.write {
                place
                    .each(buffer, |gpa, part| memory.read_slice(part, gpa).is_ok())
                    .ok_or(bus_error)?;
                drive.write_part(lba, buffer).map_err(drive_error)?;
            } else {
                drive.read(lba, buffer).map_err(drive_error)?;
                place
                    .each(buffer, |gpa, part| memory.write_slice(part, gpa).is_ok())
                    .ok_or(bus_error)?;
            }
            lba += u64::from(sectors);
            left -= sectors;
        }
        if self.write {
            drive.end_write().map_err(|error| Failure {
                error,
                lba: self.lba,
                end: DmaEnd::DriveError,
            })?;
        }
        Ok(())
    }
}

/// How far into the list a transfer is.
struct Place<'a> {
    segments: &'a [Segment],
    /// Bytes done of the first segment.
    done: u32,
}

impl Place<'_> {
    /// Goes through `bytes` and the list side by side. `None`: the list is too short, or `copy` failed.
    fn each(
        &mut self,
        mut bytes: &mut [u8],
        mut copy: impl FnMut(GuestAddress, &mut [u8]) -> bool,
    ) -> Option<()> {
        while !bytes.is_empty() {
            let (segment, rest) = self.segments.split_first()?;
            let room = (segment.len - self.done) as usize;
            if room == 0 {
                (self.segments, self.done) = (rest, 0);
                continue;
            }
            let (part, more) = bytes.split_at_mut(room.min(bytes.len()));
            let gpa = segment.gpa + u64::from(self.done);
            if !copy(GuestAddress(gpa), part) {
                return None;
            }
            self.done += part.len() as u32;
            bytes = more;
        }
        Some(())
    }
}
