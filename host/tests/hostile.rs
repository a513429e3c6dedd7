//! Whatever a guest hands over: a refusal leaves everything as it was, a batch does what its instructions would.
#![cfg(feature = "batch")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};
use xkvm_host::abi::{
    Cpuid, DOORBELL_PORT, Direction, Entry, Features, Header, Kind, NO_ANSWER, Op, Width,
};
use xkvm_host::bus::{Bus, PortBus, PortDevice, Ram};
use xkvm_host::transport::{Host, answer};

/// RAM with a hole, and an end that is no power of two.
const REGIONS: [(u64, usize); 2] = [(0, 0x8000), (0x10_0000, 0x3000)];

fn ram() -> GuestMemoryMmap {
    GuestMemoryMmap::from_ranges(&REGIONS.map(|(base, len)| (GuestAddress(base), len))).unwrap()
}

fn all_features() -> Cpuid {
    Cpuid {
        features: Features::DOORBELL
            .with(Features::TUNNEL)
            .with(Features::VMCALL)
            .with(Features::STRINGS),
        ..Cpuid::default()
    }
}

fn image(ram: &GuestMemoryMmap) -> Vec<u8> {
    let mut all = Vec::new();
    for (base, len) in REGIONS {
        let mut part = vec![0; len];
        ram.read_slice(&mut part, GuestAddress(base)).unwrap();
        all.extend(part);
    }
    all
}

fn in_ram(gpa: u64, len: u64) -> bool {
    REGIONS
        .iter()
        .any(|&(base, size)| gpa >= base && gpa.saturating_add(len) <= base + size as u64)
}

/// What reached the bus. Reads answer with a pattern of the port; strings read are filled with their index.
#[derive(Default)]
struct Log {
    batches: usize,
    ops: Vec<(Op, Vec<u8>)>,
}

fn read_value(port: u16) -> u32 {
    u32::from(port).wrapping_mul(0x9e37_79b9)
}

impl PortBus for Log {
    fn execute(&mut self, ops: &mut [Op], ram: &dyn Ram) {
        self.batches += 1;
        for op in ops {
            let mut data = Vec::new();
            if op.kind.is_string() {
                data.resize(op.bytes() as usize, 0xa5);
                match op.kind.direction() {
                    Direction::Out => ram.load(op.data, &mut data),
                    Direction::In => ram.store(op.data, &data),
                }
            }
            self.ops.push((*op, data));
            if op.kind.direction() == Direction::In && !op.kind.is_string() {
                op.val = read_value(op.port);
            }
        }
    }
}

/// Mostly good entries, with every field bad now and then.
fn entry() -> impl Strategy<Value = Entry> {
    let kind = prop_oneof![20 => 1u8..=12, 1 => any::<u8>()];
    let flags = prop_oneof![60 => Just(0u8), 1 => any::<u8>()];
    let port = prop_oneof![
        20 => 0x1f0u16..0x1f8,
        1 => any::<u16>(),
        1 => DOORBELL_PORT - 4..DOORBELL_PORT + 5,
    ];
    let count = prop_oneof![4 => 1u32..64, 1 => 0u32..5000, 1 => any::<u32>()];
    let gpa = prop_oneof![8 => 0u64..0x8000, 1 => 0x0f_f000u64..0x10_4000, 1 => any::<u64>()];
    (kind, flags, port, count, gpa, any::<u32>(), 0..60).prop_map(
        |(kind, flags, port, count, gpa, val, odd)| {
            let string = kind > 6;
            Entry {
                kind,
                flags,
                port,
                val: if string { count } else { val },
                data: if string || odd == 0 { gpa } else { 0 },
            }
        },
    )
}

/// The rules once more, in other words than the code's.
fn acceptable(entry: &Entry, page: u64) -> bool {
    let Ok(kind) = Kind::try_from(entry.kind) else {
        return false;
    };
    let width = u64::from(kind.width().bytes());
    let ports = u32::from(entry.port)..u32::from(entry.port) + width as u32;
    let forbidden = |port: u32| {
        port > 0xffff
            || (u32::from(DOORBELL_PORT)..u32::from(DOORBELL_PORT) + 4).contains(&port)
            || matches!(
                port,
                0x20 | 0x21 | 0x40..=0x43 | 0x61 | 0xa0 | 0xa1 | 0x4d0 | 0x4d1
            )
    };
    let buffer = || {
        let bytes = u64::from(entry.val) * width;
        bytes > 0
            && bytes <= 4096
            && entry.data / 4096 == (entry.data + (bytes - 1)) / 4096
            && entry.data / 4096 != page / 4096
            && in_ram(entry.data, bytes)
    };
    entry.flags == 0
        && !ports.into_iter().any(forbidden)
        && if kind.is_string() {
            entry.data < 1 << 63 && buffer()
        } else {
            entry.data == 0
        }
}

fn write_batch(ram: &GuestMemoryMmap, page: u64, len: u32, entries: &[Entry]) {
    let header = Header {
        len,
        result: NO_ANSWER,
        reserved: 0,
    };
    ram.write_slice(&header.encode(), GuestAddress(page))
        .unwrap();
    for (i, entry) in entries.iter().enumerate() {
        let at = GuestAddress(page + 16 + 16 * i as u64);
        ram.write_slice(&entry.encode(), at).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_batch_is_done_wholly_or_not_at_all(
        entries in prop::collection::vec(entry(), 1..40),
        page in prop_oneof![(0u64..8).prop_map(|p| p * 4096), Just(0x10_2000u64)],
    ) {
        let ram = ram();
        for (base, len) in REGIONS {
            let noise: Vec<u8> = (0..len).map(|i| (i / 7) as u8).collect();
            ram.write_slice(&noise, GuestAddress(base)).unwrap();
        }
        write_batch(&ram, page, entries.len() as u32, &entries);
        let before = image(&ram);

        let mut log = Log::default();
        let mut host = Host::new(Cpuid::default());
        let frame = (page / 4096) as u32;
        let outcome = host.port_write(DOORBELL_PORT, &frame.to_le_bytes(), &ram, &mut log).unwrap();

        let result: i32 = ram.read_obj(GuestAddress(page + 4)).unwrap();
        prop_assert_eq!(result, answer(&outcome));
        let bad = entries.iter().position(|e| !acceptable(e, page));
        prop_assert_eq!(outcome.map_err(|r| r.index).err(), bad);
        ram.write_obj(NO_ANSWER, GuestAddress(page + 4)).unwrap();
        if bad.is_some() {
            prop_assert_eq!(log.batches, 0);
            prop_assert!(matches!(result, -1 | -7 | -14 | -22 | -95));
            prop_assert_eq!(image(&ram), before);
            return Ok(());
        }

        prop_assert_eq!(log.batches, 1, "one hand-over");
        prop_assert_eq!(log.ops.len(), entries.len());
        for (i, (entry, (op, data))) in entries.iter().zip(&log.ops).enumerate() {
            prop_assert_eq!((entry.kind, entry.port), (op.kind as u8, op.port));
            let val: u32 = ram.read_obj(GuestAddress(page + 16 + 16 * i as u64 + 4)).unwrap();
            let mask = op.kind.width().mask();
            match (op.kind.is_string(), op.kind.direction()) {
                (true, _) => {
                    prop_assert_eq!(val, entry.val);
                    prop_assert_eq!(data.len() as u32, entry.val * op.kind.width().bytes());
                }
                (false, Direction::Out) => {
                    prop_assert_eq!(op.val, entry.val & mask);
                    prop_assert_eq!(val, entry.val, "the guest's own value stays");
                }
                (false, Direction::In) => prop_assert_eq!(val, read_value(op.port) & mask),
            }
        }
    }

    #[test]
    fn no_argument_breaks_the_host(
        number in prop_oneof![Just(12u64), Just(25u64), any::<u64>()],
        a0 in prop_oneof![0u64..0x9000, (0u64..0x110).prop_map(|p| p * 4096), any::<u64>()],
        a1 in prop_oneof![0u64..300, any::<u64>()],
        a2 in prop_oneof![Just(0u64), (0u64..300).prop_map(|n| 16 << 32 | n), any::<u64>()],
        frame in any::<u32>(),
        fill in any::<u8>(),
    ) {
        let ram = ram();
        for (base, len) in REGIONS {
            ram.write_slice(&vec![fill; len], GuestAddress(base)).unwrap();
        }
        let mut host = Host::new(all_features());
        let mut log = Log::default();
        let outcome = host.hypercall(number, [a0, a1, a2], &ram, &mut log);
        prop_assert_eq!(outcome.is_some(), number == 12 || number == 25);
        let outcome = host.port_write(DOORBELL_PORT, &frame.to_le_bytes(), &ram, &mut log);
        if !in_ram(u64::from(frame) * 4096, 16) {
            prop_assert_eq!(outcome.map(|o| answer(&o)), Some(-14));
        }
    }
}

/// Writes come back with the port's complement; counts what it serves.
struct Echo(u64);

impl PortDevice for Echo {
    fn read(&mut self, port: u16, _: Width) -> u32 {
        self.0 += 1;
        !u32::from(port)
    }
    fn write(&mut self, _: u16, _: Width, _: u32) {
        self.0 += 1;
    }
}

#[test]
fn every_port_with_every_kind() {
    let ram = ram();
    let mut bus = Bus::new();
    let echo = bus.add(Echo(0));
    bus.claim(echo, 0x1f0..=0x1f7).unwrap();
    let mut host = Host::new(Cpuid::default());
    for port in 0..=u16::MAX {
        for kind in Kind::ALL {
            let entry = if kind.is_string() {
                Entry::string(kind.direction(), kind.width(), port, 0x3000, 3)
            } else if kind.direction() == Direction::Out {
                Entry::output(kind.width(), port, 0)
            } else {
                Entry::input(kind.width(), port)
            };
            write_batch(&ram, 0x1000, 1, &[entry]);
            let outcome = host
                .port_write(DOORBELL_PORT, &1u32.to_le_bytes(), &ram, &mut bus)
                .unwrap();
            assert_eq!(outcome.is_ok(), acceptable(&entry, 0x1000), "{entry:?}");
        }
    }
}

#[test]
fn only_one_whole_out_rings() {
    let ram = ram();
    let mut log = Log::default();
    write_batch(&ram, 0x1000, 1, &[Entry::output(Width::Byte, 0x1f0, 0)]);
    let mut host = Host::new(Cpuid::default());
    for data in [&[1u8][..], &[1, 0], &[1, 0, 0, 0, 1, 0, 0, 0], &[]] {
        assert_eq!(host.port_write(DOORBELL_PORT, data, &ram, &mut log), None);
    }
    let page = 1u32.to_le_bytes();
    for port in [DOORBELL_PORT + 1, DOORBELL_PORT - 1, 0] {
        assert_eq!(host.port_write(port, &page, &ram, &mut log), None);
    }
    assert_eq!(
        host.hypercall(12, [0x1000, 1, 1], &ram, &mut log),
        None,
        "not offered"
    );
    assert_eq!(log.batches, 0);

    let mut off = Host::new(Cpuid {
        features: Features(0),
        ..Cpuid::default()
    });
    assert_eq!(off.port_write(DOORBELL_PORT, &page, &ram, &mut log), None);
}

#[test]
fn the_transports_agree() {
    let mut host = Host::new(all_features());
    let entries = [
        Entry::output(Width::Byte, 0x1f2, 7),
        Entry::input(Width::Word, 0x1f0),
    ];
    for transport in 0..3 {
        let ram = ram();
        let mut log = Log::default();
        write_batch(&ram, 0x2000, 2, &entries);
        let outcome = match transport {
            0 => host.port_write(DOORBELL_PORT, &2u32.to_le_bytes(), &ram, &mut log),
            1 => host.hypercall(12, [0x2000, 1, 2], &ram, &mut log),
            _ => host.hypercall(25, [0x2010, 2, 0], &ram, &mut log),
        };
        assert_eq!(outcome, Some(Ok(2)));
        assert_eq!(
            log.ops.iter().map(|(op, _)| op.port).collect::<Vec<_>>(),
            [0x1f2, 0x1f0]
        );
        let val: u32 = ram.read_obj(GuestAddress(0x2024)).unwrap();
        assert_eq!(val, read_value(0x1f0) & 0xffff);
    }
}

/// A bus that checks, at the last moment, that nothing forbidden comes through.
struct Guard {
    seen: u64,
}

impl PortBus for Guard {
    fn execute(&mut self, ops: &mut [Op], _: &dyn Ram) {
        for op in ops {
            self.seen += 1;
            let last = op.port + (op.kind.width().bytes() - 1) as u16;
            assert!(
                last < DOORBELL_PORT || op.port >= DOORBELL_PORT + 4,
                "the doorbell came through"
            );
            assert!(last < 0x20 || op.port > 0x21, "the PIC came through");
            if op.kind.is_string() {
                assert!(in_ram(op.data, u64::from(op.bytes())), "outside of RAM");
                assert!(u64::from(op.bytes()) <= 4096);
            }
        }
    }
}

/// Another vCPU swaps good and bad contents of the array while the host works on it.
#[test]
fn memory_that_changes_meanwhile_cannot_slip_through() {
    let ram = ram();
    let good = Entry::string(Direction::Out, Width::Word, 0x1f0, 0x4000, 8).encode();
    let bad = [
        Entry::output(Width::Long, DOORBELL_PORT, 3).encode(),
        Entry::output(Width::Byte, 0x20, 0x20).encode(),
        Entry::string(Direction::In, Width::Long, 0x1f0, 0xffff_f000, 1024).encode(),
        Entry::string(Direction::In, Width::Long, 0x1f0, 0x4000, u32::MAX).encode(),
        [0xff; 16],
    ];
    let entries: Vec<u8> = good.repeat(255);
    ram.write_slice(&entries, GuestAddress(0x1010)).unwrap();

    let stop = AtomicBool::new(false);
    let mut guard = Guard { seen: 0 };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0usize;
            while !stop.load(Ordering::Relaxed) {
                let at = GuestAddress(0x1010 + 16 * (n as u64 * 7 % 255));
                // Field by field, so that torn entries occur.
                let evil = &bad[n % bad.len()];
                for (from, to) in [(0, 4), (4, 8), (8, 16)] {
                    ram.write_slice(&evil[from..to], at.unchecked_add_offset(from))
                        .unwrap();
                }
                ram.write_slice(&good, at).unwrap();
                ram.write_obj((n % 300) as u32, GuestAddress(0x1000))
                    .unwrap();
                n += 1;
            }
        });
        let mut host = Host::new(all_features());
        let (mut done, mut refused, mut rounds) = (0, 0, 0);
        // The other thread must have had its turn: both ends occur. A minute is for machines that are very busy.
        let until = Instant::now() + Duration::from_secs(60);
        while rounds < 2_000 || (done == 0 || refused == 0) && Instant::now() < until {
            let page = 1u32.to_le_bytes();
            let rung = host.port_write(DOORBELL_PORT, &page, &ram, &mut guard);
            let called = host.hypercall(25, [0x1010, 255, 0], &ram, &mut guard);
            for outcome in [rung, called] {
                *(match outcome {
                    Some(Ok(_)) => &mut done,
                    Some(Err(_)) => &mut refused,
                    None => unreachable!("both are offered"),
                }) += 1;
            }
            rounds += 1;
        }
        stop.store(true, Ordering::Relaxed);
        assert!(
            done > 0 && refused > 0,
            "{done} batches done, {refused} refused"
        );
    });
    assert!(guard.seen > 0);
}

trait Offset {
    fn unchecked_add_offset(self, by: usize) -> Self;
}

impl Offset for GuestAddress {
    fn unchecked_add_offset(self, by: usize) -> Self {
        Self(self.0 + by as u64)
    }
}

/// A batch page at the very end of RAM, and one that only begins in it.
#[test]
fn the_page_must_be_ram_as_far_as_the_batch_goes() {
    let ram: GuestMemoryMmap = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 0x1020)]).unwrap();
    assert_eq!(ram.last_addr(), GuestAddress(0x101f));
    let mut host = Host::new(Cpuid::default());
    let mut log = Log::default();
    write_batch(&ram, 0x1000, 1, &[Entry::output(Width::Byte, 0x1f0, 0)]);
    let mut ring = |log: &mut Log| host.port_write(DOORBELL_PORT, &1u32.to_le_bytes(), &ram, log);
    assert_eq!(ring(&mut log), Some(Ok(1)));
    ram.write_obj(2u32, GuestAddress(0x1000)).unwrap();
    assert_eq!(ring(&mut log).map(|o| answer(&o)), Some(-14));
    assert_eq!(ram.read_obj::<i32>(GuestAddress(0x1004)).unwrap(), -14);
}
