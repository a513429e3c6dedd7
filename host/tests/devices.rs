//! All devices of the VMM on one bus, and a guest that tries every port: nothing panics, hangs or leaves the guest's memory.
#![cfg(feature = "vmm")]

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};
use xkvm_host::abi::{Cpuid, DOORBELL_PORT, Direction, Entry, Header, Kind, NO_ANSWER, Width};
use xkvm_host::bus::Bus;
use xkvm_host::devices::ata::{Channel, Disk};
use xkvm_host::devices::cmos::{self, Cmos};
use xkvm_host::devices::i8042::{self, I8042};
use xkvm_host::devices::piix3::{Piix3, WINDOW};
use xkvm_host::devices::pm::{PM_BASE, PM_LEN, Pm};
use xkvm_host::devices::power::{PowerSwitch, Request};
use xkvm_host::devices::serial::{COM1, Serial};
use xkvm_host::transport::Host;

const RAM: usize = 1 << 20;
const SECTORS: u64 = 64;
const PAGE: u64 = 0x1000;

/// Counts what it moves. No image is behind it: only the range matters here.
#[derive(Clone, Default)]
struct Blank(Arc<AtomicU64>);

impl Blank {
    fn moved(&self, lba: u64, bytes: usize) -> io::Result<()> {
        assert!(
            lba + (bytes / 512) as u64 <= SECTORS,
            "out of range came through"
        );
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(())
    }
}

impl Disk for Blank {
    fn sectors(&self) -> u64 {
        SECTORS
    }
    fn read_only(&self) -> bool {
        false
    }
    fn read(&mut self, lba: u64, to: &mut [u8]) -> io::Result<()> {
        self.moved(lba, to.len())
    }
    fn write(&mut self, lba: u64, from: &[u8]) -> io::Result<()> {
        self.moved(lba, from.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Console(Arc<Mutex<usize>>);

impl io::Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        *self.0.lock().unwrap() += bytes.len();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The VM of `xkvm run` without KVM.
struct Vm {
    ram: GuestMemoryMmap,
    bus: Bus,
    host: Host,
    power: PowerSwitch,
    disk: Blank,
    printed: Arc<Mutex<usize>>,
}

fn vm(pm_revision: Option<u8>) -> Vm {
    let ram: GuestMemoryMmap = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), RAM)]).unwrap();
    let irq = || EventFd::new(EFD_NONBLOCK).unwrap();
    let power = PowerSwitch::default();
    let disk = Blank::default();
    let printed = Arc::default();
    let mut bus = Bus::new();
    let id = bus.add(Serial::new(irq(), Box::new(Console(Arc::clone(&printed)))));
    bus.claim(id, COM1..=COM1 + 7).unwrap();
    let id = bus.add(I8042::new(power.clone(), irq()));
    bus.claim(id, i8042::DATA..=i8042::DATA).unwrap();
    bus.claim(id, i8042::COMMAND..=i8042::COMMAND).unwrap();
    let id = bus.add(Cmos::default());
    bus.claim(id, cmos::INDEX..=cmos::INDEX + 1).unwrap();
    let id = bus.add(Pm::new(power.clone()));
    bus.claim(id, PM_BASE..=PM_BASE + PM_LEN - 1).unwrap();
    let boxed = || Some(Box::new(disk.clone()) as Box<dyn Disk>);
    let channels = [
        Channel::new([boxed(), boxed()], 0, irq()),
        Channel::new([boxed(), None], 2, irq()),
    ];
    let mut piix3 = Piix3::new(channels, true, ram.clone(), power.clone());
    if let Some(revision) = pm_revision {
        piix3 = piix3.with_power_management(revision);
    }
    let id = bus.add(piix3);
    for ports in [
        0xcf8..=0xcff,
        WINDOW,
        0x1f0..=0x1f7,
        0x3f6..=0x3f6,
        0x170..=0x177,
        0x376..=0x376,
    ] {
        bus.claim(id, ports).unwrap();
    }
    Vm {
        ram,
        bus,
        host: Host::new(Cpuid::default()),
        power,
        disk,
        printed,
    }
}

impl Vm {
    /// Whether the batch was taken.
    fn ring(&mut self, entries: &[Entry]) -> bool {
        let header = Header {
            len: entries.len() as u32,
            result: NO_ANSWER,
            reserved: 0,
        };
        let mut page = header.encode().to_vec();
        page.extend(entries.iter().flat_map(Entry::encode));
        self.ram.write_slice(&page, GuestAddress(PAGE)).unwrap();
        let frame = (PAGE as u32 >> 12).to_le_bytes();
        let outcome = self
            .host
            .port_write(DOORBELL_PORT, &frame, &self.ram, &mut self.bus);
        outcome.expect("the doorbell").is_ok()
    }
}

fn entry(kind: Kind, port: u16, value: u32, gpa: u64, count: u32) -> Entry {
    if kind.is_string() {
        Entry::string(kind.direction(), kind.width(), port, gpa, count)
    } else if kind.direction() == Direction::Out {
        Entry::output(kind.width(), port, value)
    } else {
        Entry::input(kind.width(), port)
    }
}

#[test]
fn every_port_of_the_machine_takes_every_kind() {
    let mut vm = vm(None);
    let mut taken = 0u32;
    for value in [0u32, 0xffff_ffff, 0xec20_34a5] {
        for port in 0..=u16::MAX {
            let entries = Kind::ALL.map(|kind| entry(kind, port, value, 0x8000, 8));
            taken += u32::from(vm.ring(&entries));
            // By single instructions too, which nothing validates.
            for width in [Width::Byte, Width::Word, Width::Long] {
                let mut data = value.to_le_bytes();
                let data = &mut data[..width.bytes() as usize];
                vm.bus.exit(Direction::Out, port, width, data);
                vm.bus.exit(Direction::In, port, width, data);
            }
        }
    }
    // 7 ports of the PIC and PIT group, the doorbell, and up to three before each of them; and the top of the range.
    assert!((3 * 65_450..3 * 65_536).contains(&taken), "{taken}");
    assert_eq!(
        vm.power.requested(),
        Some(Request::Reset),
        "the sweep passes the reset ports"
    );
    assert!(
        *vm.printed.lock().unwrap() > 0,
        "nothing reached the console"
    );
}

/// Ports where something is, more often than others.
fn port() -> impl Strategy<Value = u16> {
    prop_oneof![
        6 => 0x1f0u16..0x1f8,
        2 => 0x170u16..0x178,
        1 => prop_oneof![Just(0x3f6u16), Just(0x376), 0x600u16..0x60c, 0x3f8u16..0x400, 0x60u16..0x72],
        3 => 0xcf8u16..0xd00,
        3 => 0xc000u16..0xc010,
        1 => any::<u16>(),
    ]
}

/// Values that mean something to a device: commands, addresses of PCI functions, bus master bits.
fn value() -> impl Strategy<Value = u32> {
    prop_oneof![
        4 => prop::sample::select(vec![0x20u32, 0x24, 0x25, 0x29, 0x30, 0x34, 0x35, 0x39, 0x40, 0x90, 0xc4, 0xc5, 0xc6, 0xc8, 0xca, 0xe7, 0xec, 0xef, 0xa1]),
        2 => prop::sample::select(vec![0x8000_0904u32, 0x8000_0920, 0x8000_0800, 5, 0xc001, 1, 9, 8]),
        2 => 0u32..256,
        1 => any::<u32>(),
    ]
}

/// An operation as a batch takes it: kind, port, value, eighth of the address, count.
type Operation = (Kind, u16, u32, u64, u32);

/// One access that need not make sense.
fn access() -> impl Strategy<Value = Vec<Operation>> {
    (
        prop::sample::select(Kind::ALL.to_vec()),
        port(),
        value(),
        0..RAM as u64 / 8,
        1u32..512,
    )
        .prop_map(|operation| vec![operation])
}

/// The guest finds the PM timer's chip, its revision, and the ports at which the timer is.
#[test]
fn power_management_is_a_function_of_its_own() {
    let mut vm = vm(Some(2));
    let mut config = |register: u32| {
        let address = (0x8000_0b00 | register).to_le_bytes();
        vm.bus
            .exit(Direction::Out, 0xcf8, Width::Long, &mut address.clone());
        let mut value = [0; 4];
        vm.bus.exit(Direction::In, 0xcfc, Width::Long, &mut value);
        u32::from_le_bytes(value)
    };
    assert_eq!(config(0), 0x7113_8086);
    assert_eq!(config(8), 0x0680_0002);
    assert_eq!(config(0x40) & !1, u32::from(PM_BASE));
}

/// A whole command to the first disk, which single accesses would hardly ever make: READ or WRITE SECTORS and its data.
fn command() -> impl Strategy<Value = Vec<Operation>> {
    let (sectors, gpa) = (1u32..4, 0..RAM as u64 / 8 - 512);
    (any::<bool>(), 0u32..SECTORS as u32, sectors, gpa).prop_map(|(write, lba, sectors, gpa)| {
        let out = |port, value| (Kind::Outb, port, value, 0, 1);
        let (command, data) = if write {
            (0x30, Kind::Outsw)
        } else {
            (0x20, Kind::Insw)
        };
        vec![
            out(0x1f6, 0xe0),
            out(0x1f2, sectors),
            out(0x1f3, lba),
            out(0x1f4, 0),
            out(0x1f5, 0),
            out(0x1f7, command),
            (data, 0x1f0, 0, gpa, 256),
        ]
    })
}

/// Random batches find every state of the devices; what they move stays in the disk and in RAM, and is bounded.
#[test]
fn random_batches_do_no_harm() {
    let operations = prop_oneof![9 => access(), 1 => command()];
    let batch = prop::collection::vec(operations, 1..30).prop_map(|parts| parts.concat());
    let batches = prop::collection::vec(batch, 1..16);
    let all = AtomicU64::new(0);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(96));
    let ran = runner.run(&(batches, any::<Option<u8>>()), |(batches, revision)| {
        let mut vm = vm(revision);
        let mut moved = 0;
        for batch in &batches {
            let entries: Vec<_> = batch
                .iter()
                .map(|&(kind, port, value, gpa, n)| entry(kind, port, value, gpa * 8, n))
                .collect();
            let done = vm.ring(&entries);
            let answer: i32 = vm.ram.read_obj(GuestAddress(PAGE + 4)).unwrap();
            // A transfer may have written over the page meanwhile, but not over a refusal.
            prop_assert!(done || matches!(answer, -1 | -14 | -22), "{answer}");
            // One access starts at most one command, which moves no more than the whole disk.
            let accesses: u64 = batch.iter().map(|operation| u64::from(operation.4)).sum();
            let now = vm.disk.0.load(Ordering::Relaxed);
            prop_assert!(now - moved <= accesses * SECTORS * 512);
            moved = now;
        }
        all.fetch_add(moved, Ordering::Relaxed);
        Ok(())
    });
    if let Err(e) = ran {
        panic!("{e}");
    }
    assert!(all.into_inner() > 0, "no command got through at all");
}
