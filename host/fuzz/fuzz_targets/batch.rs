//! The input is the guest's memory, and how it calls: `RUSTC_BOOTSTRAP=1 cargo fuzz run batch` in `host/`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};
use xkvm_host::abi::{Cpuid, DOORBELL_PORT, Features, Op, Width};
use xkvm_host::bus::{Bus, PortBus, PortDevice, Ram};
use xkvm_host::transport::{Host, answer};

const RAM: usize = 4 * 4096;

struct Sink(u32);

impl PortDevice for Sink {
    fn read(&mut self, port: u16, _: Width) -> u32 {
        self.0 = self.0.rotate_left(5) ^ u32::from(port);
        self.0
    }
    fn write(&mut self, port: u16, _: Width, value: u32) {
        self.0 = self.0.rotate_left(7) ^ value ^ u32::from(port);
    }
}

struct Guard {
    bus: Bus,
    calls: usize,
}

impl PortBus for Guard {
    fn execute(&mut self, ops: &mut [Op], ram: &dyn Ram) {
        self.calls += 1;
        assert!((1..=255).contains(&ops.len()));
        for op in &*ops {
            assert!(
                op.port < DOORBELL_PORT - 3
                    || op.port >= DOORBELL_PORT + 4
                    || op.port + (op.kind.width().bytes() as u16) <= DOORBELL_PORT
            );
            if op.kind.is_string() {
                assert!(op.data as usize + op.bytes() as usize <= RAM);
            }
        }
        self.bus.execute(ops, ram);
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((head, rest)) = input.split_first_chunk::<26>() else {
        return;
    };
    let word = |i: usize| u64::from_le_bytes(head[2 + 8 * i..10 + 8 * i].try_into().unwrap());
    let memory: GuestMemoryMmap = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), RAM)]).unwrap();
    memory
        .write_slice(&rest[..rest.len().min(RAM)], GuestAddress(0))
        .unwrap();

    let features = Features(u32::from(head[1]));
    let mut host = Host::new(Cpuid {
        features,
        ..Cpuid::default()
    });
    let mut bus = Bus::new();
    let sink = bus.add(Sink(1));
    bus.claim(sink, 0x1f0..=0x1f7).unwrap();
    let mut guard = Guard { bus, calls: 0 };
    let outcome = match head[0] % 3 {
        0 => host.port_write(
            DOORBELL_PORT,
            &(word(0) as u32).to_le_bytes(),
            &memory,
            &mut guard,
        ),
        1 => host.hypercall(12, [word(0), word(1), word(2)], &memory, &mut guard),
        _ => host.hypercall(25, [word(0), word(1), word(2)], &memory, &mut guard),
    };
    match outcome {
        Some(Ok(n)) => assert!(n >= 1 && guard.calls == 1),
        Some(Err(refused)) => {
            assert_eq!(guard.calls, 0);
            assert!(matches!(answer(&Err(refused)), -1 | -7 | -14 | -22 | -95));
        }
        None => assert_eq!(guard.calls, 0),
    }
});
