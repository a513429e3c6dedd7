//! Blocks through the data port, and DMA.

use vm_memory::GuestMemoryMmap;

use super::super::dma::{DmaEnd, Failure, Segment};
use super::super::{SECTOR, error, status};
use super::{Channel, READY, Transfer};
use crate::abi::Width;
use crate::bus::Buffer;

impl Channel {
    /// Reads the next block, and offers it.
    pub(super) fn load(&mut self, lba: u64, left: u32, block: u32) {
        let sectors = left.min(block);
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.resize(sectors as usize * SECTOR, 0);
        let read = self
            .owner()
            .map_or(Err(error::ABRT), |drive| drive.read(lba, &mut buffer));
        self.buffer = buffer;
        match read {
            Ok(()) => self.offer(Transfer::In {
                lba: lba + u64::from(sectors),
                left: left - sectors,
                block,
            }),
            Err(error) => self.fail_at(Failure {
                error,
                lba,
                end: DmaEnd::DriveError,
            }),
        }
    }

    /// Lets the guest read the buffer.
    pub(super) fn offer(&mut self, transfer: Transfer) {
        self.transfer = transfer;
        self.at = 0;
        self.error = 0;
        self.status = READY | status::DRQ;
        self.raise();
    }

    /// Asks the guest for the next block.
    pub(super) fn want(&mut self, lba: u64, left: u32, block: u32) {
        let sectors = left.min(block);
        self.buffer.clear();
        self.buffer.resize(sectors as usize * SECTOR, 0);
        self.at = 0;
        self.error = 0;
        self.status = READY | status::DRQ;
        self.transfer = Transfer::Out {
            lba,
            left: left - sectors,
            block,
        };
    }

    /// The buffer is through.
    fn block_done(&mut self) {
        match self.transfer {
            Transfer::In { left: 0, .. } => {
                // The end of a PIO read raises no interrupt.
                self.transfer = Transfer::None;
                self.status = READY;
            }
            Transfer::In { lba, left, block } => self.load(lba, left, block),
            Transfer::Out { lba, left, block } => {
                let buffer = std::mem::take(&mut self.buffer);
                let written = self
                    .owner()
                    .map_or(Err(error::ABRT), |drive| drive.write(lba, &buffer));
                let sectors = (buffer.len() / SECTOR) as u64;
                self.buffer = buffer;
                match written {
                    Err(error) => self.fail_at(Failure {
                        error,
                        lba,
                        end: DmaEnd::DriveError,
                    }),
                    Ok(()) if left == 0 => self.succeed(),
                    Ok(()) => {
                        self.want(lba + sectors, left, block);
                        self.raise();
                    }
                }
            }
            Transfer::None | Transfer::Dma(_) => {}
        }
    }

    /// One read of the data port.
    pub fn read_data(&mut self, width: Width) -> u32 {
        let mut value = [0; 4];
        let bytes = value.get_mut(..width.bytes() as usize).unwrap_or_default();
        self.read_data_string(width, &mut Buffer::host(bytes));
        u32::from_le_bytes(value)
    }

    /// One write of the data port.
    pub fn write_data(&mut self, width: Width, value: u32) {
        let mut value = value.to_le_bytes();
        let bytes = value.get_mut(..width.bytes() as usize).unwrap_or_default();
        self.write_data_string(width, &mut Buffer::host(bytes));
    }

    /// Reads of the data port until `data` is full: straight from the block. Without a block, zeros.
    pub fn read_data_string(&mut self, _: Width, data: &mut Buffer<'_>) {
        while !data.is_empty() {
            let block = match self.transfer {
                Transfer::In { .. } if self.selected() == self.owner => {
                    self.buffer.get(self.at..).unwrap_or_default()
                }
                _ => &[],
            };
            if block.is_empty() {
                while data.put(&[0; SECTOR]) != 0 {}
                return;
            }
            self.at += data.put(block);
            if self.at == self.buffer.len() {
                self.block_done();
            }
        }
    }

    /// Writes of the data port: straight into the block. What no command wants is dropped.
    pub fn write_data_string(&mut self, _: Width, data: &mut Buffer<'_>) {
        while !data.is_empty() {
            let block = match self.transfer {
                Transfer::Out { .. } if self.selected() == self.owner => {
                    self.buffer.get_mut(self.at..).unwrap_or_default()
                }
                _ => &mut [],
            };
            if block.is_empty() {
                return;
            }
            self.at += data.take(block);
            if self.at == self.buffer.len() {
                self.block_done();
            }
        }
    }

    /// Bytes and direction (`true`: to the disk) that a waiting DMA command moves.
    pub fn dma_waiting(&self) -> Option<(u64, bool)> {
        match self.transfer {
            Transfer::Dma(command) => Some((command.bytes(), command.write)),
            _ => None,
        }
    }

    /// Runs the waiting DMA command over `segments`; `None` when none waits.
    pub fn run_dma(&mut self, memory: &GuestMemoryMmap, segments: &[Segment]) -> Option<DmaEnd> {
        let Transfer::Dma(command) = self.transfer else {
            return None;
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        let ran = self
            .owner()
            .map(|drive| command.run(drive, memory, segments, &mut buffer));
        self.buffer = buffer;
        Some(match ran? {
            Ok(()) => {
                self.succeed();
                DmaEnd::Done
            }
            Err(failure) => {
                self.fail_at(failure);
                failure.end
            }
        })
    }
}
