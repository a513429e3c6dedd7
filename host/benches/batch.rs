//! What a batch costs over the device calls in it: the same accesses, once straight to the device and once through everything.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};
use xkvm_host::abi::{Cpuid, DOORBELL_PORT, Entry, Header, NO_ANSWER, Width};
use xkvm_host::bus::{Bus, PortDevice};
use xkvm_host::transport::Host;

/// The shape of a task file: eight registers.
#[derive(Default)]
struct Registers([u8; 8]);

impl PortDevice for Registers {
    fn read(&mut self, port: u16, _: Width) -> u32 {
        self.0[usize::from(port & 7)].into()
    }
    fn write(&mut self, port: u16, _: Width, value: u32) {
        self.0[usize::from(port & 7)] = value as u8;
    }
}

fn batches(c: &mut Criterion) {
    let memory: GuestMemoryMmap =
        GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 1 << 24)]).expect("guest memory");
    let mut bus = Bus::new();
    // A VMM has more than one device.
    for base in [0x60, 0x70, 0x3f8, 0x600, 0xcf8] {
        let other = bus.add(Registers::default());
        bus.claim(other, base..=base + 7).expect("free ports");
    }
    let disk = bus.add(Registers::default());
    bus.claim(disk, 0x1f0..=0x1f7).expect("free ports");
    let mut host = Host::new(Cpuid::default());

    for reads in [false, true] {
        let name = if reads { "port reads" } else { "port writes" };
        let mut group = c.benchmark_group(name);
        for len in [1u16, 11, 255] {
            let header = Header {
                len: len.into(),
                result: NO_ANSWER,
                reserved: 0,
            };
            memory
                .write_slice(&header.encode(), GuestAddress(0x5000))
                .expect("guest memory");
            for i in 0..len {
                let entry = match reads {
                    true => Entry::input(Width::Byte, 0x1f0 + i % 8),
                    false => Entry::output(Width::Byte, 0x1f0 + i % 8, i.into()),
                };
                memory
                    .write_slice(&entry.encode(), GuestAddress(0x5010 + 16 * u64::from(i)))
                    .expect("guest memory");
            }
            group.throughput(Throughput::Elements(len.into()));
            group.bench_with_input(BenchmarkId::new("device", len), &len, |b, &len| {
                let mut device: Box<dyn PortDevice> = Box::new(Registers::default());
                b.iter(|| {
                    for i in 0..len {
                        let device = black_box(&mut device);
                        match reads {
                            true => drop(black_box(device.read(0x1f0 + i % 8, Width::Byte))),
                            false => device.write(0x1f0 + i % 8, Width::Byte, black_box(i.into())),
                        }
                    }
                });
            });
            group.bench_with_input(BenchmarkId::new("batch", len), &len, |b, _| {
                let page = 5u32.to_le_bytes();
                b.iter(|| host.port_write(DOORBELL_PORT, black_box(&page), &memory, &mut bus));
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50);
    targets = batches
}
criterion_main!(benches);
