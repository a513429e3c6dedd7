//! Interrupt lines of devices.

use vmm_sys_util::eventfd::EventFd;

/// An edge-triggered interrupt line, as those of the ISA bus.
pub trait IrqLine {
    /// Raises the line and lets it fall again.
    fn pulse(&self);
}

/// The line is a KVM irqfd.
impl IrqLine for EventFd {
    fn pulse(&self) {
        // Only a counter at its limit can refuse, and then the interrupt is pending 2^64 times already.
        let _ = self.write(1);
    }
}

/// Nobody is interrupted: for devices that are only polled.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoIrq;

impl IrqLine for NoIrq {
    fn pulse(&self) {}
}
