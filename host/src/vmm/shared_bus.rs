//! The devices' bus as all vCPUs share it.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ring::Ring;
use crate::abi::Direction;
use crate::bus::Bus;

/// The bus behind its lock, with the port writes that KVM has collected for it.
#[derive(Debug, Clone)]
pub struct SharedBus(Arc<Mutex<Parts>>);

#[derive(Debug)]
struct Parts {
    bus: Bus,
    ring: Option<Ring>,
}

impl SharedBus {
    /// Puts the bus behind a lock.
    pub fn new(bus: Bus) -> Self {
        Self(Arc::new(Mutex::new(Parts { bus, ring: None })))
    }

    /// From now on, what KVM has collected in `ring` goes first.
    pub fn collect(&self, ring: Ring) {
        self.parts().ring = Some(ring);
    }

    /// The bus, with all that has been collected so far done, in its order: no device is looked at before it has what was written to
    /// it. A vCPU that writes meanwhile is later by its own choice.
    pub fn lock(&self) -> BusGuard<'_> {
        let mut parts = self.parts();
        let Parts { bus, ring } = &mut *parts;
        for mut write in ring.iter_mut().flat_map(Ring::taken) {
            let data = write.bytes.get_mut(..write.width.bytes() as usize);
            let data = data.unwrap_or_default();
            bus.exit(Direction::Out, write.port, write.width, data);
        }
        BusGuard(parts)
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bus, locked.
#[derive(Debug)]
pub struct BusGuard<'a>(MutexGuard<'a, Parts>);

impl Deref for BusGuard<'_> {
    type Target = Bus;
    fn deref(&self) -> &Bus {
        &self.0.bus
    }
}

impl DerefMut for BusGuard<'_> {
    fn deref_mut(&mut self) -> &mut Bus {
        &mut self.0.bus
    }
}
