//! The serial ports, on vm-superio.

use std::fmt;
use std::io::{self, Write};

use vm_superio::Trigger;
use vm_superio::serial::NoEvents;
use vmm_sys_util::eventfd::EventFd;

use crate::abi::Width;
use crate::bus::PortDevice;

/// First of its eight ports.
pub const COM1: u16 = 0x3f8;
/// Its interrupt.
pub const COM1_IRQ: u32 = 4;
/// As [`COM1`], of the second one.
pub const COM2: u16 = 0x2f8;
/// Its interrupt.
pub const COM2_IRQ: u32 = 3;

struct Edge(EventFd);

impl Trigger for Edge {
    type E = io::Error;
    fn trigger(&self) -> io::Result<()> {
        self.0.write(1)
    }
}

/// A 16550A whose output goes to a writer.
pub struct Serial(vm_superio::Serial<Edge, NoEvents, Box<dyn Write + Send>>);

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serial").finish_non_exhaustive()
    }
}

impl Serial {
    /// Interrupts go to `irq`, output to `out`.
    pub fn new(irq: EventFd, out: Box<dyn Write + Send>) -> Self {
        Self(vm_superio::Serial::new(Edge(irq), out))
    }

    /// Puts typed bytes into the receive queue; returns how many it took.
    pub fn type_bytes(&mut self, bytes: &[u8]) -> usize {
        let room = self.0.fifo_capacity().min(bytes.len());
        bytes
            .get(..room)
            .and_then(|part| self.0.enqueue_raw_bytes(part).ok())
            .unwrap_or_default()
    }
}

impl PortDevice for Serial {
    fn read(&mut self, port: u16, _: Width) -> u32 {
        self.0.read((port & 7) as u8).into()
    }

    fn write(&mut self, port: u16, _: Width, value: u32) {
        // A closed standard output must not stop the guest; there is nobody to tell.
        let _ = self.0.write((port & 7) as u8, value as u8);
    }
}
