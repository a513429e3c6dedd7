//! A channel: the registers, and the commands as they go.

use std::fmt;
use std::io;

use vm_memory::GuestMemoryMmap;

use super::address::{Form, Geometry, TaskFile};
use super::command::{Command, Feature, is_block};
use super::dma::{DmaCommand, DmaEnd, Failure, Segment};
use super::identify::identify;
use super::{Disk, MAX_MULTIPLE, SECTOR, error, status};
use crate::abi::Width;
use crate::bus::Buffer;
use crate::devices::irq::IrqLine;

/// Status of a drive with nothing to do.
const READY: u8 = status::DRDY | status::DSC;

const CONTROL_NO_IRQ: u8 = 0x02;
const CONTROL_RESET: u8 = 0x04;
const CONTROL_HIGH_BYTES: u8 = 0x80;

/// One drive.
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
    fn new(disk: Box<dyn Disk>, number: usize) -> Self {
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

    pub fn read(&mut self, lba: u64, to: &mut [u8]) -> Result<(), u8> {
        self.disk.read(lba, to).map_err(|_| error::UNC)
    }

    pub fn write(&mut self, lba: u64, from: &[u8]) -> Result<(), u8> {
        let through = |drive: &mut Self| -> io::Result<()> {
            drive.disk.write(lba, from)?;
            if !drive.write_cache {
                drive.disk.flush()?;
            }
            Ok(())
        };
        through(self).map_err(|_| error::ABRT)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transfer {
    None,
    /// The buffer is being read by the guest; then come `left` sectors from `lba` on.
    In {
        lba: u64,
        left: u32,
        block: u32,
    },
    /// The buffer is being filled; it goes to `lba`, and `left` sectors follow it.
    Out {
        lba: u64,
        left: u32,
        block: u32,
    },
    Dma(DmaCommand),
}

/// Two drives that share registers and an interrupt.
pub struct Channel {
    drives: [Option<Drive>; 2],
    irq: Box<dyn IrqLine + Send>,
    file: TaskFile,
    control: u8,
    status: u8,
    error: u8,
    /// INTRQ: asserted, and not acknowledged by reading the status.
    interrupting: bool,
    /// An interrupt has been raised since [`Channel::take_edge`].
    edge: bool,
    form: Form,
    transfer: Transfer,
    /// The drive the transfer belongs to, whichever is selected meanwhile.
    owner: usize,
    buffer: Vec<u8>,
    at: usize,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("file", &self.file)
            .field("status", &self.status)
            .field("transfer", &self.transfer)
            .finish_non_exhaustive()
    }
}

impl Channel {
    /// A channel with a first and a second drive, numbered for their serial numbers from `number`.
    pub fn new(
        disks: [Option<Box<dyn Disk>>; 2],
        number: usize,
        irq: impl IrqLine + Send + 'static,
    ) -> Self {
        let [first, second] = disks;
        Self {
            drives: [
                first.map(|d| Drive::new(d, number)),
                second.map(|d| Drive::new(d, number + 1)),
            ],
            irq: Box::new(irq),
            file: TaskFile::signature(),
            control: 0,
            status: READY,
            error: 1,
            interrupting: false,
            edge: false,
            form: Form::Short,
            transfer: Transfer::None,
            owner: 0,
            buffer: Vec::new(),
            at: 0,
        }
    }

    fn selected(&self) -> usize {
        usize::from(self.file.device >> 4 & 1)
    }

    fn drive(&mut self) -> Option<&mut Drive> {
        let selected = self.selected();
        self.drives.get_mut(selected)?.as_mut()
    }

    fn owner(&mut self) -> Option<&mut Drive> {
        self.drives.get_mut(self.owner)?.as_mut()
    }

    /// Whether an interrupt has been raised since the last call.
    pub fn take_edge(&mut self) -> bool {
        std::mem::take(&mut self.edge)
    }

    /// Reads register 1 to 7, or 8: the alternate status.
    pub fn read(&mut self, register: u8) -> u8 {
        // A drive that is not there pulls all lines low.
        if self.drive().is_none() {
            return 0;
        }
        let high = self.control & CONTROL_HIGH_BYTES != 0;
        let of = |r: super::address::Twice| if high { r.before } else { r.now };
        let [low, mid, high_lba] = self.file.lba;
        match register {
            1 => self.error,
            2 => of(self.file.count),
            3 => of(low),
            4 => of(mid),
            5 => of(high_lba),
            6 => self.file.device | 0xa0,
            7 => {
                self.interrupting = false;
                self.status
            }
            _ => self.status,
        }
    }

    /// Writes register 1 to 7, or 8: device control.
    pub fn write(&mut self, register: u8, value: u8) {
        if register != 8 {
            self.control &= !CONTROL_HIGH_BYTES;
        }
        let [low, mid, high] = &mut self.file.lba;
        match register {
            1 => self.file.feature.set(value),
            2 => self.file.count.set(value),
            3 => low.set(value),
            4 => mid.set(value),
            5 => high.set(value),
            6 => self.file.device = value,
            7 => self.command(value),
            _ => self.device_control(value),
        }
    }

    fn device_control(&mut self, value: u8) {
        let before = std::mem::replace(&mut self.control, value);
        let (was, is) = (before & CONTROL_RESET != 0, value & CONTROL_RESET != 0);
        if is && !was {
            self.transfer = Transfer::None;
            self.interrupting = false;
            self.status = status::BSY;
        } else if was && !is {
            self.sign();
        }
        if before & CONTROL_NO_IRQ != 0 && value & CONTROL_NO_IRQ == 0 && self.interrupting {
            self.raise();
        }
    }

    /// The state after a reset or the diagnostic: passed, and the signature of a disk.
    fn sign(&mut self) {
        self.file = TaskFile::signature();
        self.error = 1;
        self.status = READY;
    }

    fn raise(&mut self) {
        self.interrupting = true;
        if self.control & CONTROL_NO_IRQ == 0 {
            self.edge = true;
            self.irq.pulse();
        }
    }

    fn succeed(&mut self) {
        self.transfer = Transfer::None;
        self.status = READY;
        self.error = 0;
        self.raise();
    }

    fn fail(&mut self, error: u8) {
        self.transfer = Transfer::None;
        self.status = READY | status::ERR;
        self.error = error;
        self.raise();
    }

    fn fail_at(&mut self, failure: Failure) {
        self.file.put_start(failure.lba, self.form);
        self.fail(failure.error);
    }

    fn command(&mut self, byte: u8) {
        if self.control & CONTROL_RESET != 0 {
            return;
        }
        self.transfer = Transfer::None;
        let command = Command::decode(byte);
        if command == Some(Command::Diagnostic) {
            // Both drives do it, whichever is selected.
            self.sign();
            self.raise();
            return;
        }
        let file = self.file;
        self.owner = self.selected();
        let Some(drive) = self.drive() else { return };
        match command {
            None | Some(Command::Diagnostic) => self.fail(error::ABRT),
            Some(Command::Nothing) => self.succeed(),
            Some(Command::Identify) => {
                self.buffer = identify(drive);
                self.offer(Transfer::In {
                    lba: 0,
                    left: 0,
                    block: 1,
                });
            }
            Some(Command::CheckPower) => {
                // Active
                self.file.count.now = 0xff;
                self.succeed();
            }
            Some(Command::Flush) => match drive.disk.flush() {
                Ok(()) => self.succeed(),
                Err(_) => self.fail(error::ABRT),
            },
            Some(Command::SetMultiple) if is_block(file.count.now) => {
                drive.multiple = file.count.now;
                self.succeed();
            }
            Some(Command::SetMultiple) => {
                drive.multiple = 0;
                self.fail(error::ABRT);
            }
            Some(Command::InitParameters) => {
                if file.count.now == 0 {
                    self.fail(error::ABRT);
                    return;
                }
                drive.geometry = Geometry {
                    heads: (file.device & 0x0f) + 1,
                    sectors: file.count.now,
                };
                self.succeed();
            }
            Some(Command::SetFeatures) => {
                match Feature::decode(file.feature.now, file.count.now) {
                    Some(Feature::Mode(mode)) => drive.mode = mode,
                    Some(Feature::WriteCache(on)) => {
                        if drive.write_cache && !on && drive.disk.flush().is_err() {
                            self.fail(error::ABRT);
                            return;
                        }
                        drive.write_cache = on;
                    }
                    Some(Feature::Nothing) => {}
                    None => {
                        self.fail(error::ABRT);
                        return;
                    }
                }
                self.succeed();
            }
            Some(Command::Verify(form)) => {
                if self.range(form, false).is_some() {
                    self.succeed();
                }
            }
            Some(Command::Dma { write, form }) => {
                if let Some((lba, sectors)) = self.range(form, write) {
                    self.error = 0;
                    self.status = READY | status::DRQ;
                    self.transfer = Transfer::Dma(DmaCommand {
                        write,
                        lba,
                        sectors,
                    });
                }
            }
            Some(Command::Pio {
                write,
                form,
                multiple,
            }) => {
                let block = if multiple { drive.multiple } else { 1 };
                if block == 0 {
                    self.fail(error::ABRT);
                    return;
                }
                let block = u32::from(block);
                if let Some((lba, left)) = self.range(form, write) {
                    if write {
                        self.want(lba, left, block);
                    } else {
                        self.load(lba, left, block);
                    }
                }
            }
        }
    }

    /// The sectors a command names. `None`: they do not all exist, or cannot be written, and the command has failed.
    fn range(&mut self, form: Form, write: bool) -> Option<(u64, u32)> {
        self.form = form;
        let file = self.file;
        let drive = self.drive()?;
        let sectors = file.sectors(form);
        let start = file
            .start(form, drive.geometry)
            .filter(|start| start + u64::from(sectors) <= drive.disk.sectors());
        let read_only = drive.disk.read_only();
        match start {
            None => {
                self.fail(error::IDNF);
                None
            }
            Some(_) if write && read_only => {
                self.fail(error::ABRT);
                None
            }
            Some(start) => Some((start, sectors)),
        }
    }

    /// Reads the next block, and offers it.
    fn load(&mut self, lba: u64, left: u32, block: u32) {
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
    fn offer(&mut self, transfer: Transfer) {
        self.transfer = transfer;
        self.at = 0;
        self.error = 0;
        self.status = READY | status::DRQ;
        self.raise();
    }

    /// Asks the guest for the next block.
    fn want(&mut self, lba: u64, left: u32, block: u32) {
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
