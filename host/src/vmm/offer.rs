//! What the guest sees of the host: CPUID, and the transports behind it.

use anyhow::{Context, Result, ensure};
use kvm_bindings::{CpuId, KVM_MAX_CPUID_ENTRIES, kvm_enable_cap};
use kvm_ioctls::{Cap, Kvm, VmFd};

use super::machine::Transport;
use crate::abi::{Cpuid, DOORBELL_PORT, Features, HYPERCALL, TUNNEL_HYPERCALL};
use crate::cpuid::add_leaves;

/// What this KVM lets us offer, switched on; `None` when switched off.
///
/// # Errors
/// When this KVM has not what `transport` asks for.
pub fn offer(vm: &VmFd, transport: Transport) -> Result<Option<Cpuid>> {
    let mask = vm.check_extension_int(Cap::ExitHypercall);
    let passes = |number: u32| mask > 0 && mask as u32 >> number & 1 != 0;
    let (tunnel, vmcall) = (passes(TUNNEL_HYPERCALL), passes(HYPERCALL));
    let mut features = match transport {
        Transport::Off => return Ok(None),
        Transport::Doorbell => Features::DOORBELL,
        Transport::Tunnel => {
            ensure!(
                tunnel,
                "this KVM has no KVM_HC_MAP_GPA_RANGE for the tunnel"
            );
            Features::TUNNEL
        }
        Transport::Vmcall => {
            ensure!(vmcall, "this KVM does not pass hypercall {HYPERCALL} on");
            Features::VMCALL
        }
        Transport::Auto => {
            let mut all = Features::DOORBELL;
            if tunnel {
                all = all.with(Features::TUNNEL);
            }
            if vmcall {
                all = all.with(Features::VMCALL);
            }
            all
        }
    };
    let mut wanted = 0;
    if features.has(Features::TUNNEL) {
        wanted |= 1u64 << TUNNEL_HYPERCALL;
    }
    if features.has(Features::VMCALL) {
        wanted |= 1 << HYPERCALL;
    }
    if wanted != 0 {
        vm.enable_cap(&kvm_enable_cap {
            cap: Cap::ExitHypercall as u32,
            args: [wanted, 0, 0, 0],
            ..Default::default()
        })
        .context("KVM_CAP_EXIT_HYPERCALL")?;
    }
    features = features.with(Features::STRINGS);
    let port = features.has(Features::DOORBELL).then_some(DOORBELL_PORT);
    Ok(Some(Cpuid {
        features,
        doorbell_port: port.unwrap_or_default(),
        hypercall: HYPERCALL,
    }))
}

/// The CPUID of the vCPU with APIC `id`: what KVM can, each vCPU a package of its own, and our leaves.
///
/// # Errors
/// When KVM does not tell, or there is no place for the leaves.
pub fn cpuid(kvm: &Kvm, offer: Option<Cpuid>, id: u8) -> Result<CpuId> {
    const HYPERVISOR: u32 = 1 << 31;
    const TSC_DEADLINE: u32 = 1 << 24;
    const HYPER_THREADING: u32 = 1 << 28;
    let deadline = kvm.check_extension(Cap::TscDeadlineTimer);
    let mut table = kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)?;
    // The host's topology is not the guest's.
    table.retain(|entry| !matches!(entry.function, 0x0b | 0x1f));
    for entry in table.as_mut_slice() {
        match entry.function {
            1 => {
                entry.ecx |= HYPERVISOR;
                if deadline {
                    entry.ecx |= TSC_DEADLINE;
                }
                entry.edx &= !HYPER_THREADING;
                // APIC, one logical processor
                entry.ebx = entry.ebx & 0xffff | 1 << 16 | u32::from(id) << 24;
            }
            // Cores sharing a cache, cores of the package: one
            4 => entry.eax &= 0x3fff,
            0x8000_0008 => entry.ecx &= !0xf0ff,
            0x8000_001e => entry.eax = id.into(),
            _ => {}
        }
    }
    if let Some(offer) = offer {
        add_leaves(&mut table, &offer)?;
    }
    Ok(table)
}
