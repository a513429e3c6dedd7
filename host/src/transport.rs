//! The ways a guest calls: doorbell, tunnel, hypercall of its own.

use core::ops::RangeInclusive;

use vm_memory::{Bytes, GuestMemory};

use crate::abi::{
    Call, Cpuid, Fault, Features, HEADER_SIZE, Header, IN_KERNEL_PORTS, PAGE_SIZE, Refused,
    TUNNEL_HYPERCALL,
};
use crate::batch::{Executor, contiguous};
use crate::bus::PortBus;
use crate::rules::PortTable;

/// Entries executed, or why nothing was.
pub type Outcome = Result<usize, Refused>;

/// What the guest is told: the number of entries, or a negative KVM errno.
pub fn answer(outcome: &Outcome) -> i32 {
    match outcome {
        // At most 255.
        Ok(entries) => i32::try_from(*entries).unwrap_or(i32::MAX),
        Err(refused) => refused.errno(),
    }
}

/// The host's side of all transports. Keep one per vCPU.
#[derive(Debug)]
pub struct Host {
    cpuid: Cpuid,
    ports: PortTable,
    executor: Executor,
}

impl Host {
    /// Serves what `cpuid` offers, and refuses batches that touch [`IN_KERNEL_PORTS`].
    pub fn new(cpuid: Cpuid) -> Self {
        Self::with_reserved(cpuid, IN_KERNEL_PORTS.to_vec())
    }

    /// As [`Host::new`], with other ports that batches must not touch: those the VMM does not serve in user space.
    pub fn with_reserved(cpuid: Cpuid, reserved: Vec<RangeInclusive<u16>>) -> Self {
        let rings = cpuid.features.has(Features::DOORBELL);
        let doorbell = rings.then_some(cpuid.doorbell_port);
        Self {
            cpuid,
            ports: PortTable::new(doorbell, reserved),
            executor: Executor::new(),
        }
    }

    /// What the guest is offered.
    pub fn cpuid(&self) -> &Cpuid {
        &self.cpuid
    }

    /// A port write of the guest. `None`: it is not the doorbell, and nothing was done.
    ///
    /// The answer has been written into the batch page, when there is one.
    pub fn port_write<M, B>(
        &mut self,
        port: u16,
        data: &[u8],
        memory: &M,
        bus: &mut B,
    ) -> Option<Outcome>
    where
        M: GuestMemory,
        B: PortBus + ?Sized,
    {
        if port != self.cpuid.doorbell_port || !self.offers(Features::DOORBELL) {
            return None;
        }
        // Only one 32-bit OUT rings: `rep outsl` of a whole page of frame numbers would be unbounded work in one exit.
        let frame = u32::from_le_bytes(data.try_into().ok()?);
        Some(self.doorbell(frame, memory, bus))
    }

    /// A hypercall that reached user space (`KVM_EXIT_HYPERCALL`) with its number and first arguments. `None`: not one of ours.
    ///
    /// The VMM puts [`answer`] into `kvm_run.hypercall.ret`.
    pub fn hypercall<M, B>(
        &mut self,
        number: u64,
        args: [u64; 3],
        memory: &M,
        bus: &mut B,
    ) -> Option<Outcome>
    where
        M: GuestMemory,
        B: PortBus + ?Sized,
    {
        let [a0, a1, a2] = args;
        let call = if number == u64::from(TUNNEL_HYPERCALL) && self.offers(Features::TUNNEL) {
            Call::from_tunnel(a0, a1, a2)
        } else if number == u64::from(self.cpuid.hypercall) && self.offers(Features::VMCALL) {
            Call::from_vmcall(a0, a1, a2)
        } else {
            return None;
        };
        Some(self.run(call, memory, bus))
    }

    fn offers(&self, feature: Features) -> bool {
        self.cpuid.features.has(feature)
    }

    fn doorbell<M, B>(&mut self, frame: u32, memory: &M, bus: &mut B) -> Outcome
    where
        M: GuestMemory,
        B: PortBus + ?Sized,
    {
        let page = u64::from(frame) * PAGE_SIZE as u64;
        let Some(header) = contiguous(memory, page, HEADER_SIZE) else {
            return Err(whole(Fault::NotRam));
        };
        let call = match header.read_obj::<u32>(0) {
            Ok(len) => Call::from_doorbell(frame, u32::from_le(len)),
            Err(_) => Err(Fault::NotRam),
        };
        let outcome = self.run(call, memory, bus);
        // In range: the slice is the whole header.
        let _ = header.write_obj(answer(&outcome).to_le(), Header::RESULT_OFFSET as usize);
        outcome
    }

    fn run<M, B>(&mut self, call: Result<Call, Fault>, memory: &M, bus: &mut B) -> Outcome
    where
        M: GuestMemory,
        B: PortBus + ?Sized,
    {
        self.executor
            .run(call.map_err(whole)?, &self.ports, memory, bus)
    }
}

/// The batch itself is at fault, not one of its entries.
fn whole(fault: Fault) -> Refused {
    Refused { index: 0, fault }
}
