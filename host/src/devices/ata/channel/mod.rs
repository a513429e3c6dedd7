//! A channel: the registers that two drives share, and its interrupt.

mod data;
mod execute;

use std::fmt;

use super::address::{Form, TaskFile, Twice};
use super::dma::{DmaCommand, Failure};
use super::drive::Drive;
use super::{Disk, status};
use crate::devices::irq::IrqLine;

/// Status of a drive with nothing to do.
const READY: u8 = status::DRDY | status::DSC;

const CONTROL_NO_IRQ: u8 = 0x02;
const CONTROL_RESET: u8 = 0x04;
const CONTROL_HIGH_BYTES: u8 = 0x80;

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
        let of = |r: Twice| if high { r.before } else { r.now };
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
}
