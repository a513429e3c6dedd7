//! What commands do when they are written to the command register.

use super::super::address::{Form, Geometry};
use super::super::command::{Command, Feature, is_block};
use super::super::dma::DmaCommand;
use super::super::identify::identify;
use super::super::{error, status};
use super::{CONTROL_RESET, Channel, READY, Transfer};

impl Channel {
    pub(super) fn command(&mut self, byte: u8) {
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
}
