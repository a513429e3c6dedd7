//! How the guest ends the VM.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// What the guest asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// ACPI power-off.
    Off,
    /// Reset: i8042, or the reset register.
    Reset,
}

/// Shared by the devices that can end the VM and the loop that looks at it. The first request counts.
#[derive(Debug, Clone, Default)]
pub struct PowerSwitch(Arc<AtomicU8>);

impl PowerSwitch {
    /// Asks for the end of the VM.
    pub fn request(&self, what: Request) {
        let value = match what {
            Request::Off => 1,
            Request::Reset => 2,
        };
        let _ = self
            .0
            .compare_exchange(0, value, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// What has been asked for.
    pub fn requested(&self) -> Option<Request> {
        match self.0.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Request::Off),
            _ => Some(Request::Reset),
        }
    }
}
