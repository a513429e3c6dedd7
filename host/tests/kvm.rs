//! The transports on real KVM, with guests of a few instructions in 16-bit real mode.
#![cfg(feature = "kvm")]

use std::sync::{Arc, Mutex};

use iced_x86::code_asm::*;
use kvm_bindings::{kvm_regs, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};
use xkvm_host::abi::{Cpuid, DOORBELL_PORT, Direction, Entry, Header, NO_ANSWER, Width};
use xkvm_host::bus::{Bus, PortDevice};
use xkvm_host::cpuid::add_leaves;
use xkvm_host::kvm_stats::KvmStats;
use xkvm_host::transport::Host;

const RAM: usize = 0x2_0000;
const CODE: u64 = 0x1000;
const PAGE: u64 = 0x3000;

struct Vm {
    /// Dropped first: they use the memory below.
    vcpu: VcpuFd,
    _vm: VmFd,
    memory: GuestMemoryMmap,
}

/// `None`, said aloud, where there is no KVM.
fn vm(code: CodeAssembler) -> Option<Vm> {
    let kvm = match Kvm::new() {
        Ok(kvm) => kvm,
        Err(e) => {
            eprintln!("SKIPPED: /dev/kvm cannot be opened ({e}); nothing was tested on KVM");
            return None;
        }
    };
    let vm = kvm.create_vm().unwrap();
    let memory: GuestMemoryMmap = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), RAM)]).unwrap();
    let region = kvm_userspace_memory_region {
        slot: 0,
        flags: 0,
        guest_phys_addr: 0,
        memory_size: RAM as u64,
        userspace_addr: memory.get_host_address(GuestAddress(0)).unwrap() as u64,
    };
    // SAFETY: the mapping is RAM bytes long and lives in `Vm`, which drops the VM first.
    unsafe { vm.set_user_memory_region(region) }.unwrap();

    let mut code = code;
    memory
        .write_slice(&code.assemble(CODE).unwrap(), GuestAddress(CODE))
        .unwrap();
    let vcpu = vm.create_vcpu(0).unwrap();
    let mut cpuid = kvm
        .get_supported_cpuid(kvm_bindings::KVM_MAX_CPUID_ENTRIES)
        .unwrap();
    add_leaves(&mut cpuid, &Cpuid::default()).unwrap();
    vcpu.set_cpuid2(&cpuid).unwrap();
    let mut sregs = vcpu.get_sregs().unwrap();
    for segment in [&mut sregs.cs, &mut sregs.ds, &mut sregs.es] {
        segment.base = 0;
        segment.selector = 0;
    }
    vcpu.set_sregs(&sregs).unwrap();
    let regs = kvm_regs {
        rip: CODE,
        rflags: 2,
        rsp: 0x8000,
        ..Default::default()
    };
    vcpu.set_regs(&regs).unwrap();
    Some(Vm {
        vcpu,
        _vm: vm,
        memory,
    })
}

/// What the guest did to the device, and what it said on port 0xe0.
#[derive(Debug, Default)]
struct Seen {
    exits: usize,
    said: Vec<u32>,
}

/// Logs writes; reads answer 0x50, 0x51, …
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Accesses>>);

/// Ports with values, and the number of reads.
type Accesses = (Vec<(u16, u32)>, u32);

impl PortDevice for Log {
    fn read(&mut self, port: u16, _: Width) -> u32 {
        let mut log = self.0.lock().unwrap();
        log.1 += 1;
        let value = 0x4f + log.1;
        log.0.push((port, value));
        value
    }
    fn write(&mut self, port: u16, _: Width, value: u32) {
        self.0.lock().unwrap().0.push((port, value));
    }
}

impl Vm {
    /// Runs until HLT.
    fn run(&mut self, host: &mut Host, bus: &mut Bus) -> Seen {
        let mut seen = Seen::default();
        for _ in 0..10_000 {
            seen.exits += 1;
            match self.vcpu.run().unwrap() {
                VcpuExit::Hlt => {
                    seen.exits -= 1;
                    return seen;
                }
                VcpuExit::IoOut(0xe0, data) => {
                    seen.exits -= 1;
                    seen.said.push(u32::from_le_bytes(data.try_into().unwrap()));
                }
                VcpuExit::IoOut(port, data) => {
                    if host.port_write(port, data, &self.memory, bus).is_none() {
                        let mut data = data.to_vec();
                        bus.exit(Direction::Out, port, Width::Byte, &mut data);
                    }
                }
                VcpuExit::IoIn(port, data) => bus.exit(Direction::In, port, Width::Byte, data),
                exit => panic!("unexpected exit: {exit:?}"),
            }
        }
        panic!("the guest does not halt");
    }

    fn write_batch(&self, entries: &[Entry]) {
        let header = Header {
            len: entries.len() as u32,
            result: NO_ANSWER,
            reserved: 0,
        };
        self.memory
            .write_slice(&header.encode(), GuestAddress(PAGE))
            .unwrap();
        for (i, entry) in entries.iter().enumerate() {
            let at = GuestAddress(PAGE + 16 + 16 * i as u64);
            self.memory.write_slice(&entry.encode(), at).unwrap();
        }
    }
}

/// Rings for the batch page, then says its result and `also`, words of guest memory.
fn ring(also: &[u64]) -> CodeAssembler {
    let mut a = CodeAssembler::new(16).unwrap();
    a.mov(eax, (PAGE >> 12) as u32).unwrap();
    a.mov(dx, u32::from(DOORBELL_PORT)).unwrap();
    a.out(dx, eax).unwrap();
    for &at in [PAGE + 4].iter().chain(also) {
        a.mov(eax, dword_ptr(at)).unwrap();
        a.out(0xe0, eax).unwrap();
    }
    a.hlt().unwrap();
    a
}

fn taskfile() -> Vec<(u16, u8)> {
    // LBA48: high bytes, low bytes, device, command.
    let registers = [2, 3, 4, 5, 2, 3, 4, 5, 6, 1, 7];
    (0u8..)
        .zip(registers)
        .map(|(n, r)| (0x1f0 + r, 0xa0 + n))
        .collect()
}

fn parts() -> (Host, Bus, Log) {
    let log = Log::default();
    let mut bus = Bus::new();
    let device = bus.add(log.clone());
    bus.claim(device, 0x1f0..=0x1f7).unwrap();
    (Host::new(Cpuid::default()), bus, log)
}

#[test]
fn eleven_outs_are_eleven_exits_and_a_batch_is_one() {
    let mut a = CodeAssembler::new(16).unwrap();
    for (port, value) in taskfile() {
        a.mov(dx, u32::from(port)).unwrap();
        a.mov(al, u32::from(value)).unwrap();
        a.out(dx, al).unwrap();
    }
    a.hlt().unwrap();
    let (mut host, mut bus, log) = parts();
    let Some(mut single) = vm(a) else { return };
    let stats = KvmStats::open(&single.vcpu);
    // A KVM without hardware below it counts no io_exits, but nothing disturbs its plain count either.
    let port_exits = || {
        let stats = stats.as_ref().ok()?.read().ok()?;
        let of = |name| stats.get(name).copied().unwrap_or_default();
        Some(match of("io_exits") {
            0 => of("exits") - of("halt_exits"),
            io_exits => io_exits,
        })
    };
    let before = port_exits();
    let seen = single.run(&mut host, &mut bus);
    assert_eq!(seen.exits, 11);
    match (before, port_exits()) {
        (Some(before), Some(after)) => assert_eq!(after - before, 11, "KVM's own count"),
        _ => eprintln!("SKIPPED: this KVM has no KVM_GET_STATS_FD"),
    }
    let want: Vec<(u16, u32)> = taskfile().iter().map(|&(p, v)| (p, v.into())).collect();
    assert_eq!(log.0.lock().unwrap().0, want);

    let (mut host, mut bus, log) = parts();
    let mut batched = vm(ring(&[])).unwrap();
    let entries: Vec<Entry> = taskfile()
        .iter()
        .map(|&(port, value)| Entry::output(Width::Byte, port, value.into()))
        .collect();
    batched.write_batch(&entries);
    let seen = batched.run(&mut host, &mut bus);
    assert_eq!((seen.exits, seen.said), (1, vec![11]));
    assert_eq!(
        log.0.lock().unwrap().0,
        want,
        "the same accesses in the same order"
    );
}

#[test]
fn what_is_read_comes_back() {
    let Some(mut vm) = vm(ring(&[PAGE + 0x14, PAGE + 0x34, 0x4000])) else {
        return;
    };
    vm.write_batch(&[
        Entry::input(Width::Byte, 0x1f7),
        Entry::output(Width::Byte, 0x1f6, 0xe0),
        Entry::input(Width::Byte, 0x1f6),
        Entry::string(Direction::In, Width::Byte, 0x1f0, 0x4000, 4),
        Entry::string(Direction::Out, Width::Byte, 0x1f0, 0x4001, 2),
    ]);
    let (mut host, mut bus, log) = parts();
    let seen = vm.run(&mut host, &mut bus);
    assert_eq!(seen.said, [5, 0x50, 0x51, 0x5554_5352]);
    let log = &log.0.lock().unwrap().0;
    assert_eq!(log[1], (0x1f6, 0xe0));
    assert_eq!(log[7..], [(0x1f0, 0x53), (0x1f0, 0x54)]);
}

#[test]
fn a_refused_batch_leaves_the_device_alone() {
    let out = Entry::output(Width::Byte, 0x1f6, 1);
    let cases = [
        (Entry::output(Width::Long, DOORBELL_PORT, 3), -1),
        (Entry::output(Width::Byte, 0x43, 0x34), -1),
        (
            Entry::string(Direction::In, Width::Word, 0x1f0, 0x4000_0000, 1),
            -14,
        ),
        (Entry { flags: 1, ..out }, -22),
        (Entry { kind: 0x81, ..out }, -95),
    ];
    for (bad, errno) in cases {
        let Some(mut vm) = vm(ring(&[PAGE + 0x14])) else {
            return;
        };
        vm.write_batch(&[Entry::input(Width::Byte, 0x1f7), out, bad]);
        let (mut host, mut bus, log) = parts();
        let seen = vm.run(&mut host, &mut bus);
        assert_eq!(seen.said, [errno as u32, 0], "{bad:?}");
        assert!(log.0.lock().unwrap().0.is_empty(), "{bad:?}");
    }
}

#[test]
fn nobody_at_the_doorbell_means_no_answer() {
    let Some(mut vm) = vm(ring(&[])) else { return };
    vm.write_batch(&[Entry::output(Width::Byte, 0x1f6, 1)]);
    let (_, mut bus, log) = parts();
    let mut off = Host::new(Cpuid {
        features: xkvm_host::abi::Features(0),
        ..Cpuid::default()
    });
    assert_eq!(vm.run(&mut off, &mut bus).said, [NO_ANSWER as u32]);
    assert!(log.0.lock().unwrap().0.is_empty());
}

/// The guest looks for the host as its kernel does.
#[test]
fn the_guest_finds_the_leaves() {
    let mut a = CodeAssembler::new(16).unwrap();
    for leaf in [0x4000_0100u32, 0x4000_0101] {
        for register in [eax, ebx, ecx, edx] {
            a.mov(eax, leaf).unwrap();
            a.xor(ecx, ecx).unwrap();
            a.cpuid().unwrap();
            if register != eax {
                a.mov(eax, register).unwrap();
            }
            a.out(0xe0, eax).unwrap();
        }
    }
    a.hlt().unwrap();
    let Some(mut vm) = vm(a) else { return };
    let (mut host, mut bus, _) = parts();
    let xkvm = u32::from_le_bytes(*b"XKVM");
    let want = [
        0x4000_0101,
        xkvm,
        xkvm,
        xkvm,
        1,
        0x101,
        DOORBELL_PORT.into(),
        25,
    ];
    assert_eq!(vm.run(&mut host, &mut bus).said, want);
}

/// More writes than KVM's ring holds, with what each exit finds the device to have seen.
#[cfg(feature = "vmm")]
#[test]
fn collected_writes_come_first_and_in_order() {
    use xkvm_host::vmm::ring::Ring;
    use xkvm_host::vmm::shared_bus::SharedBus;

    const ROUNDS: u32 = 400;
    let mut a = CodeAssembler::new(16).unwrap();
    let mut again = a.create_label();
    a.xor(ecx, ecx).unwrap();
    a.set_label(&mut again).unwrap();
    // A byte and a word.
    a.mov(eax, ecx).unwrap();
    a.mov(dx, 0x1f2u32).unwrap();
    a.out(dx, al).unwrap();
    a.mov(dx, 0x1f4u32).unwrap();
    a.out(dx, ax).unwrap();
    a.inc(ecx).unwrap();
    a.cmp(ecx, ROUNDS).unwrap();
    a.jne(again).unwrap();
    for (port, value) in taskfile() {
        a.mov(dx, u32::from(port)).unwrap();
        a.mov(al, u32::from(value)).unwrap();
        a.out(dx, al).unwrap();
    }
    a.mov(dx, 0x1f6u32).unwrap();
    a.out(dx, al).unwrap();
    a.hlt().unwrap();

    let Some(mut vm) = vm(a) else { return };
    let (mut host, bus, log) = parts();
    let bus = SharedBus::new(bus);
    match Ring::new(&vm._vm, &vm.vcpu, &[0x1f1..=0x1f6]) {
        Ok(ring) => bus.collect(ring),
        Err(e) => {
            assert!(e.to_string().contains("--coalesced-pio"), "{e:#}");
            eprintln!("SKIPPED: {e:#}");
            return;
        }
    }
    let seen = |log: &Log| log.0.lock().unwrap().0.len();
    let mut exits = Vec::new();
    loop {
        match vm.vcpu.run().unwrap() {
            VcpuExit::Hlt => break,
            VcpuExit::IoOut(port, data) => {
                let before = seen(&log);
                let mut bus = bus.lock();
                exits.push((port, seen(&log) - before));
                let width = [Width::Byte, Width::Word][data.len() - 1];
                assert_eq!(host.port_write(port, data, &vm.memory, &mut *bus), None);
                bus.exit(Direction::Out, port, width, &mut data.to_vec());
            }
            exit => panic!("unexpected exit: {exit:?}"),
        }
    }
    let command = exits.pop().unwrap();
    assert_eq!(command.0, 0x1f7);
    assert!(command.1 >= 10, "the task file of {command:?}");
    // The ring was full now and then: those that found no room came out by themselves.
    let total = 2 * ROUNDS as usize;
    assert!(exits.len() <= total / 100, "{exits:?}");
    assert!(
        exits.iter().all(|&(_, collected)| collected > 100),
        "{exits:?}"
    );
    assert_eq!(seen(&log), total + 11, "the last one still waits");
    drop(bus.lock());

    let rounds = (0..ROUNDS).flat_map(|n| [(0x1f2, n & 0xff), (0x1f4, n)]);
    let mut want: Vec<(u16, u32)> = rounds.collect();
    want.extend(taskfile().iter().map(|&(p, v)| (p, u32::from(v))));
    want.push((0x1f6, 0xaa));
    assert_eq!(log.0.lock().unwrap().0, want);
}
