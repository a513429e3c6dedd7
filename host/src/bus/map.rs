//! Devices by port.

use std::error::Error;
use std::fmt;
use std::ops::RangeInclusive;

use super::{Buffer, CHUNK, PortBus, PortDevice, Ram};
use crate::abi::{Direction, Op, Width};

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

/// Devices by port. Ports nobody claims read as all ones and swallow writes.
///
/// An access goes to the claim of its first port.
pub struct Bus {
    devices: Vec<Box<dyn PortDevice + Send>>,
    /// Sorted, without overlap.
    claims: Vec<RangeInclusive<u16>>,
    /// For each port the place of its device in `devices`, or [`NOBODY`].
    by_port: Box<[u16; 1 << 16]>,
}

const NOBODY: u16 = u16::MAX;

impl Default for Bus {
    fn default() -> Self {
        Self {
            devices: Vec::new(),
            claims: Vec::new(),
            by_port: Box::new([NOBODY; 1 << 16]),
        }
    }
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
        let place = u16::try_from(device.0).unwrap_or(NOBODY);
        if ports.is_empty() || place == NOBODY || device.0 >= self.devices.len() {
            return Err(ClaimError::Invalid);
        }
        let (first, last) = (*ports.start(), *ports.end());
        let at = self.claims.partition_point(|c| *c.end() < first);
        if let Some(taken) = self.claims.get(at).filter(|c| *c.start() <= last) {
            return Err(ClaimError::Overlap(taken.clone()));
        }
        for port in ports.clone() {
            self.by_port[usize::from(port)] = place;
        }
        self.claims.insert(at, ports);
        Ok(())
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

    #[inline]
    fn find(&mut self, port: u16) -> Option<&mut (dyn PortDevice + Send + 'static)> {
        let place = self.by_port[usize::from(port)];
        self.devices.get_mut(usize::from(place)).map(|d| &mut **d)
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

    proptest! {
        /// The table answers like a plain search.
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
