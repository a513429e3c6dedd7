//! A device that others than the bus reach too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::abi::Width;
use crate::bus::{Buffer, PortDevice};

/// A device behind a lock: one handle for the bus, others for threads that feed it.
#[derive(Debug)]
pub struct Shared<D>(Arc<Mutex<D>>);

impl<D> Clone for Shared<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<D> Shared<D> {
    /// Puts the device behind a lock.
    pub fn new(device: D) -> Self {
        Self(Arc::new(Mutex::new(device)))
    }

    /// The device. A thread that panicked while it held the lock does not take the device away from the others.
    pub fn lock(&self) -> MutexGuard<'_, D> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D: PortDevice> PortDevice for Shared<D> {
    fn read(&mut self, port: u16, width: Width) -> u32 {
        self.lock().read(port, width)
    }
    fn write(&mut self, port: u16, width: Width, value: u32) {
        self.lock().write(port, width, value);
    }
    fn read_string(&mut self, port: u16, width: Width, data: &mut Buffer<'_>) {
        self.lock().read_string(port, width, data);
    }
    fn write_string(&mut self, port: u16, width: Width, data: &mut Buffer<'_>) {
        self.lock().write_string(port, width, data);
    }
}
