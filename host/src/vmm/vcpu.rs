//! The vCPU loop: exits to the bus and to the transports.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Result, bail};
use kvm_ioctls::{VcpuExit, VcpuFd};
use vm_memory::GuestMemoryMmap;

use super::machine::Outcome;
use super::shared_bus::SharedBus;
use crate::abi::{Direction, Width};
use crate::devices::power::{PowerSwitch, Request};
use crate::exits::{Event, MARK_PORT, Recorder};
use crate::transport::{Host, answer};

/// A vCPU with all it needs to run.
#[derive(Debug)]
pub struct Vcpu {
    /// KVM's handle.
    pub fd: VcpuFd,
    /// This vCPU's side of the transports.
    pub host: Host,
    /// The devices.
    pub bus: SharedBus,
    /// Guest RAM.
    pub memory: GuestMemoryMmap,
    /// How devices end the VM.
    pub power: PowerSwitch,
    /// Set, and the thread signalled, to leave the loop.
    pub quit: Arc<AtomicBool>,
    /// Counts exits, when asked for.
    pub recorder: Option<Recorder>,
}

/// What to do after an exit.
enum Next {
    Enter,
    Leave(Outcome),
}

impl Vcpu {
    /// Runs until the guest, or the user, ends the VM.
    ///
    /// # Errors
    /// When KVM fails, or the guest does what KVM cannot emulate.
    pub fn run(&mut self) -> Result<Outcome> {
        loop {
            if let Next::Leave(outcome) = self.step()? {
                return Ok(outcome);
            }
        }
    }

    fn step(&mut self) -> Result<Next> {
        // What is needed of the exit outlives the borrow of `fd`: the size of one element is elsewhere in kvm_run.
        let (direction, port, data, len) = match self.fd.run() {
            Ok(VcpuExit::IoIn(port, data)) => (Direction::In, port, data.as_mut_ptr(), data.len()),
            Ok(VcpuExit::IoOut(port, data)) => {
                // Only read through, below.
                (Direction::Out, port, data.as_ptr().cast_mut(), data.len())
            }
            Ok(exit) => {
                let started = Instant::now();
                let (event, next) = other(exit, &mut self.host, &self.memory, &self.bus)?;
                self.record(event, started);
                return Ok(next);
            }
            Err(e) if e.errno() == libc::EINTR || e.errno() == libc::EAGAIN => {
                return Ok(if self.quit.load(Ordering::Acquire) {
                    Next::Leave(Outcome::Quit)
                } else {
                    Next::Enter
                });
            }
            Err(e) => bail!("KVM_RUN: {e}"),
        };
        let started = Instant::now();
        let width = match self.element_size() {
            1 => Width::Byte,
            2 => Width::Word,
            _ => Width::Long,
        };
        let (mut batch, mut mark) = (None, None);
        {
            let mut bus = self.bus.lock();
            match direction {
                Direction::In => {
                    // SAFETY: kvm-ioctls has just given us this slice of the vCPU's kvm_run mapping, mutable; the mapping lives
                    // as long as `self.fd`, KVM does not touch it before the next KVM_RUN, and there is no other reference to
                    // these bytes (`element_size` copied a number from elsewhere in it).
                    let data = unsafe { std::slice::from_raw_parts_mut(data, len) };
                    bus.exit(direction, port, width, data);
                }
                Direction::Out => {
                    // SAFETY: as above, and only for reading.
                    let data = unsafe { std::slice::from_raw_parts(data.cast_const(), len) };
                    if let (MARK_PORT, [byte]) = (port, data) {
                        mark = Some(*byte);
                    }
                    match self.host.port_write(port, data, &self.memory, &mut *bus) {
                        Some(outcome) => batch = Some(outcome),
                        None => {
                            let mut copy = [0; 8];
                            match copy.get_mut(..len) {
                                Some(copy) => {
                                    copy.copy_from_slice(data);
                                    bus.exit(direction, port, width, copy);
                                }
                                None => bus.exit(direction, port, width, &mut data.to_vec()),
                            }
                        }
                    }
                }
            }
        }
        let event = Event::Port {
            port,
            direction,
            width,
            elements: len as u32 / width.bytes(),
            batch,
        };
        self.record(event, started);
        if let (Some(byte), Some(recorder)) = (mark, &self.recorder) {
            recorder.mark(byte);
        }
        Ok(match self.power.requested() {
            None => Next::Enter,
            Some(Request::Off) => Next::Leave(Outcome::PowerOff),
            Some(Request::Reset) => Next::Leave(Outcome::Reset),
        })
    }

    /// Bytes of one element of the port exit just taken.
    fn element_size(&mut self) -> u8 {
        // SAFETY: called after KVM_EXIT_IO, when the kernel has filled this member of the union.
        unsafe { self.fd.get_kvm_run().__bindgen_anon_1.io.size }
    }

    fn record(&mut self, event: Event, started: Instant) {
        if let Some(recorder) = &mut self.recorder {
            recorder.record(&self.fd, &self.memory, event, started.elapsed());
        }
    }
}

/// All exits but ports.
fn other(
    exit: VcpuExit<'_>,
    host: &mut Host,
    memory: &GuestMemoryMmap,
    bus: &SharedBus,
) -> Result<(Event, Next)> {
    Ok(match exit {
        VcpuExit::MmioRead(_, data) => {
            data.fill(0xff);
            (Event::Mmio, Next::Enter)
        }
        VcpuExit::MmioWrite(..) => (Event::Mmio, Next::Enter),
        VcpuExit::Hypercall(call) => {
            let [a0, a1, a2, ..] = call.args;
            let outcome = {
                let mut bus = bus.lock();
                host.hypercall(call.nr, [a0, a1, a2], memory, &mut *bus)
            };
            let ret = outcome.as_ref().map_or(crate::abi::NO_ANSWER, answer);
            *call.ret = i64::from(ret) as u64;
            (
                Event::Hypercall {
                    number: call.nr,
                    batch: outcome,
                },
                Next::Enter,
            )
        }
        VcpuExit::Hlt => (Event::Halt, Next::Leave(Outcome::Halt)),
        VcpuExit::Shutdown | VcpuExit::SystemEvent(..) => {
            (Event::Shutdown, Next::Leave(Outcome::TripleFault))
        }
        VcpuExit::Intr | VcpuExit::IrqWindowOpen => (Event::Other, Next::Enter),
        VcpuExit::FailEntry(reason, _) => bail!("KVM cannot enter the guest (reason {reason:#x})"),
        VcpuExit::InternalError => bail!("KVM cannot emulate what the guest does"),
        exit => bail!("unexpected exit: {exit:?}"),
    })
}
