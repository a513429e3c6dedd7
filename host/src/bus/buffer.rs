//! The data of string accesses, in guest memory or the VMM's.

use std::fmt;

use vm_memory::{Bytes, GuestAddress, GuestMemory};

/// Guest memory, as string operations see it.
pub trait Ram {
    /// Copies from guest memory; bytes that cannot be read become 0xff, what an empty bus answers.
    fn load(&self, gpa: u64, to: &mut [u8]);
    /// Copies to guest memory; bytes that cannot be written are dropped.
    fn store(&self, gpa: u64, from: &[u8]);
}

impl<M: GuestMemory> Ram for M {
    fn load(&self, gpa: u64, to: &mut [u8]) {
        if self.read_slice(to, GuestAddress(gpa)).is_err() {
            to.fill(0xff);
        }
    }

    fn store(&self, gpa: u64, from: &[u8]) {
        // Validated before the batch began; it fails only when memory was unplugged since, and then there is nobody to tell.
        let _ = self.write_slice(from, GuestAddress(gpa));
    }
}

/// The data of one string access, consumed or filled from front to back.
pub struct Buffer<'a>(Place<'a>);

enum Place<'a> {
    Guest {
        ram: &'a dyn Ram,
        gpa: u64,
        left: usize,
    },
    Host(&'a mut [u8]),
}

impl fmt::Debug for Buffer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("len", &self.len()).finish()
    }
}

impl<'a> Buffer<'a> {
    /// `len` bytes of guest memory at `gpa`.
    pub fn guest(ram: &'a dyn Ram, gpa: u64, len: usize) -> Self {
        Self(Place::Guest {
            ram,
            gpa,
            left: len,
        })
    }

    /// Bytes the VMM holds, such as the data area of `kvm_run`.
    pub fn host(bytes: &'a mut [u8]) -> Self {
        Self(Place::Host(bytes))
    }

    /// Bytes left.
    pub fn len(&self) -> usize {
        match &self.0 {
            Place::Guest { left, .. } => *left,
            Place::Host(bytes) => bytes.len(),
        }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the next bytes of a write, as many as `to` holds and are left; returns how many.
    pub fn take(&mut self, to: &mut [u8]) -> usize {
        let n = to.len().min(self.len());
        let Some(to) = to.get_mut(..n) else { return 0 };
        match &mut self.0 {
            Place::Guest { ram, gpa, .. } => ram.load(*gpa, to),
            Place::Host(bytes) => {
                if let Some(from) = bytes.get(..n) {
                    to.copy_from_slice(from);
                }
            }
        }
        self.advance(n);
        n
    }

    /// Puts the next bytes of a read, as many as there is room for; returns how many.
    pub fn put(&mut self, from: &[u8]) -> usize {
        let n = from.len().min(self.len());
        let Some(from) = from.get(..n) else { return 0 };
        match &mut self.0 {
            Place::Guest { ram, gpa, .. } => ram.store(*gpa, from),
            Place::Host(bytes) => {
                if let Some(to) = bytes.get_mut(..n) {
                    to.copy_from_slice(from);
                }
            }
        }
        self.advance(n);
        n
    }

    fn advance(&mut self, n: usize) {
        match &mut self.0 {
            Place::Guest { gpa, left, .. } => {
                *gpa = gpa.wrapping_add(n as u64);
                *left -= n;
            }
            Place::Host(bytes) => *bytes = std::mem::take(bytes).get_mut(n..).unwrap_or_default(),
        }
    }
}
