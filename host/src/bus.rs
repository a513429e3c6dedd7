//! Port devices, and the bus that a batch is handed to.

use std::error::Error;
use std::fmt;
use std::ops::RangeInclusive;

use vm_memory::{Bytes, GuestAddress, GuestMemory};

use crate::abi::{Direction, Op, Width};

/// Takes validated operations. This is the one trait a VMM with a bus of its own implements.
pub trait PortBus {
    /// Executes `ops` in order and puts what single reads return into [`Op::val`].
    ///
    /// One call is one batch: a bus behind a lock locks once. String operations move their data through [`Buffer::guest`].
    fn execute(&mut self, ops: &mut [Op], ram: &dyn Ram);
}

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

/// A device with ports.
pub trait PortDevice {
    /// One read. `port` is absolute; bits above the width are ignored.
    fn read(&mut self, port: u16, width: Width) -> u32;

    /// One write of the low bits of `value`.
    fn write(&mut self, port: u16, width: Width, value: u32);

    /// As many reads of `port` as fill `data`. Override it where a device can do better than element by element.
    fn read_string(&mut self, port: u16, width: Width, data: &mut Buffer<'_>) {
        let mut chunk = [0; CHUNK];
        while !data.is_empty() {
            let n = chunk.len().min(data.len());
            let Some(part) = chunk.get_mut(..n) else {
                return;
            };
            for element in part.chunks_mut(width.bytes() as usize) {
                let value = self.read(port, width).to_le_bytes();
                element.copy_from_slice(value.get(..element.len()).unwrap_or_default());
            }
            data.put(part);
        }
    }

    /// As many writes to `port` as `data` holds.
    fn write_string(&mut self, port: u16, width: Width, data: &mut Buffer<'_>) {
        let mut chunk = [0; CHUNK];
        loop {
            let n = data.take(&mut chunk);
            let part = chunk.get(..n).unwrap_or_default();
            if part.is_empty() {
                return;
            }
            for element in part.chunks(width.bytes() as usize) {
                let mut value = [0; 4];
                for (to, from) in value.iter_mut().zip(element) {
                    *to = *from;
                }
                self.write(port, width, u32::from_le_bytes(value));
            }
        }
    }
}

/// Bytes moved at a time by the string defaults: whole elements of every width.
const CHUNK: usize = 256;

/// Names a device on one [`Bus`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceId(usize);

/// Why ports could not be claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimError {
    /// Another claim has one of these ports.
    Overlap(RangeInclusive<u16>),
    /// The range is empty, or the device is of another bus.
    Invalid,
}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overlap(with) => write!(
                f,
                "ports {:#x} to {:#x} are taken",
                with.start(),
                with.end()
            ),
            Self::Invalid => f.write_str("no such ports or device"),
        }
    }
}

impl Error for ClaimError {}

#[derive(Debug, Clone, Copy)]
struct Claim {
    first: u16,
    last: u16,
    device: usize,
}

/// Devices by port. Ports nobody claims read as all ones and swallow writes.
///
/// An access goes to the claim of its first port.
#[derive(Default)]
pub struct Bus {
    devices: Vec<Box<dyn PortDevice + Send>>,
    /// Sorted, without overlap.
    claims: Vec<Claim>,
    /// Neighbours in a batch mostly name the same device.
    recent: usize,
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}

impl Bus {
    /// A bus without devices.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a device; it has no ports yet.
    pub fn add(&mut self, device: impl PortDevice + Send + 'static) -> DeviceId {
        self.devices.push(Box::new(device));
        DeviceId(self.devices.len() - 1)
    }

    /// Gives ports to a device.
    ///
    /// # Errors
    /// When one of them is taken.
    pub fn claim(
        &mut self,
        device: DeviceId,
        ports: RangeInclusive<u16>,
    ) -> Result<(), ClaimError> {
        if ports.is_empty() || device.0 >= self.devices.len() {
            return Err(ClaimError::Invalid);
        }
        let (first, last) = ports.into_inner();
        let at = self.claims.partition_point(|c| c.last < first);
        match self.claims.get(at) {
            Some(c) if c.first <= last => Err(ClaimError::Overlap(c.first..=c.last)),
            _ => {
                let device = device.0;
                self.claims.insert(
                    at,
                    Claim {
                        first,
                        last,
                        device,
                    },
                );
                Ok(())
            }
        }
    }

    /// One port exit of KVM: `data` holds what is written, or takes what is read; more than one element is a string.
    pub fn exit(&mut self, direction: Direction, port: u16, width: Width, data: &mut [u8]) {
        let Some(device) = self.find(port) else {
            if direction == Direction::In {
                data.fill(0xff);
            }
            return;
        };
        if data.len() != width.bytes() as usize {
            let mut buffer = Buffer::host(data);
            match direction {
                Direction::In => device.read_string(port, width, &mut buffer),
                Direction::Out => device.write_string(port, width, &mut buffer),
            }
            return;
        }
        match direction {
            Direction::In => {
                let value = device.read(port, width).to_le_bytes();
                data.copy_from_slice(value.get(..data.len()).unwrap_or_default());
            }
            Direction::Out => {
                let mut value = [0; 4];
                for (to, from) in value.iter_mut().zip(data) {
                    *to = *from;
                }
                device.write(port, width, u32::from_le_bytes(value));
            }
        }
    }

    fn find(&mut self, port: u16) -> Option<&mut (dyn PortDevice + Send + 'static)> {
        let has = |c: &Claim| c.first <= port && port <= c.last;
        let claim = match self.claims.get(self.recent).filter(|c| has(c)) {
            Some(claim) => *claim,
            None => {
                let at = self.claims.partition_point(|c| c.last < port);
                let claim = *self.claims.get(at).filter(|c| has(c))?;
                self.recent = at;
                claim
            }
        };
        self.devices.get_mut(claim.device).map(|d| &mut **d)
    }
}

impl PortBus for Bus {
    fn execute(&mut self, ops: &mut [Op], ram: &dyn Ram) {
        for op in ops {
            let width = op.kind.width();
            let string = op.kind.is_string();
            let Some(device) = self.find(op.port) else {
                match (op.kind.direction(), string) {
                    (Direction::In, false) => op.val = width.mask(),
                    (Direction::In, true) => fill_ones(ram, op),
                    (Direction::Out, _) => {}
                }
                continue;
            };
            match (op.kind.direction(), string) {
                (Direction::Out, false) => device.write(op.port, width, op.val),
                (Direction::In, false) => op.val = device.read(op.port, width) & width.mask(),
                (Direction::Out, true) => device.write_string(op.port, width, &mut buffer(ram, op)),
                (Direction::In, true) => device.read_string(op.port, width, &mut buffer(ram, op)),
            }
        }
    }
}

fn buffer<'a>(ram: &'a dyn Ram, op: &Op) -> Buffer<'a> {
    Buffer::guest(ram, op.data, op.bytes() as usize)
}

fn fill_ones(ram: &dyn Ram, op: &Op) {
    let mut buffer = buffer(ram, op);
    while buffer.put(&[0xff; CHUNK]) != 0 {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Answers reads with a counter, and remembers.
    #[derive(Default)]
    struct Log(Vec<(u16, u32)>, u32);

    impl PortDevice for Log {
        fn read(&mut self, port: u16, _: Width) -> u32 {
            self.1 += 1;
            self.0.push((port, self.1));
            self.1
        }
        fn write(&mut self, port: u16, _: Width, value: u32) {
            self.0.push((port, value));
        }
    }

    /// Answers with its own number.
    struct Number(u32);

    impl PortDevice for Number {
        fn read(&mut self, _: u16, _: Width) -> u32 {
            self.0
        }
        fn write(&mut self, _: u16, _: Width, _: u32) {}
    }

    fn read(bus: &mut Bus, port: u16) -> u8 {
        let mut byte = [0];
        bus.exit(Direction::In, port, Width::Byte, &mut byte);
        byte[0]
    }

    #[test]
    fn unclaimed_ports_read_all_ones() {
        let mut bus = Bus::new();
        let mut data = [0; 8];
        bus.exit(Direction::In, 0xffff, Width::Word, &mut data);
        assert_eq!(data, [0xff; 8]);
        bus.exit(Direction::Out, 0, Width::Long, &mut data[..4]);
    }

    #[test]
    fn overlap_is_refused() {
        let mut bus = Bus::new();
        let a = bus.add(Number(1));
        bus.claim(a, 0x1f0..=0x1f7).unwrap();
        for ports in [0x1f7..=0x1f8, 0x1e0..=0x1f0, 0x100..=0x300, 0x1f2..=0x1f2] {
            assert_eq!(bus.claim(a, ports), Err(ClaimError::Overlap(0x1f0..=0x1f7)));
        }
        assert_eq!(
            bus.claim(a, RangeInclusive::new(2, 1)),
            Err(ClaimError::Invalid)
        );
        bus.claim(a, 0x1f8..=0x1f8).unwrap();
        bus.claim(a, 0..=0x1ef).unwrap();
        bus.claim(a, 0xffff..=0xffff).unwrap();
    }

    #[test]
    fn strings_come_as_elements_in_order() {
        let mut log = Log::default();
        let mut data: Vec<u8> = (0..600u16).flat_map(u16::to_le_bytes).collect();
        log.write_string(0x1f0, Width::Word, &mut Buffer::host(&mut data));
        let want: Vec<_> = (0..600).map(|n| (0x1f0, n)).collect();
        assert_eq!(log.0, want);

        let mut data = [0; 8];
        log.read_string(0x1f0, Width::Long, &mut Buffer::host(&mut data));
        assert_eq!(data, [1, 0, 0, 0, 2, 0, 0, 0]);
    }

    proptest! {
        /// The sorted claims and the shortcut answer like a plain search.
        #[test]
        fn finds_what_a_plain_search_finds(
            claims in prop::collection::vec((0u16..64, 0u16..8), 0..12),
            probes in prop::collection::vec(0u16..80, 0..64),
        ) {
            let mut bus = Bus::new();
            let mut model: Vec<(u16, u16, u8)> = Vec::new();
            for (n, (first, len)) in claims.into_iter().enumerate() {
                let last = first + len;
                let free = model.iter().all(|&(f, l, _)| last < f || l < first);
                let id = bus.add(Number(n as u32));
                prop_assert_eq!(bus.claim(id, first..=last).is_ok(), free);
                if free {
                    model.push((first, last, n as u8));
                }
            }
            for port in probes {
                let want = model.iter().find(|&&(f, l, _)| f <= port && port <= l);
                prop_assert_eq!(read(&mut bus, port), want.map_or(0xff, |c| c.2));
            }
        }
    }
}
