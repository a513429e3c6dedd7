//! The host's leaves in the table for `KVM_SET_CPUID2`.

use std::error::Error;
use std::fmt;

use kvm_bindings::{CpuId, kvm_cpuid_entry2};

use crate::abi::{CPUID_BASE, CPUID_LAST, CPUID_STRIDE, Cpuid};

/// Why the leaves could not be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CpuidError {
    /// Every place where a guest looks is taken.
    NoPlace,
    /// The table is full: `KVM_MAX_CPUID_ENTRIES`.
    Full,
}

impl fmt::Display for CpuidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPlace => "no free hypervisor CPUID leaf",
            Self::Full => "the CPUID table is full",
        })
    }
}

impl Error for CpuidError {}

/// Adds the leaves at the first free place and returns it. Leaves of KVM and of other interfaces stay.
///
/// # Errors
/// When there is no place for them.
pub fn add_leaves(table: &mut CpuId, cpuid: &Cpuid) -> Result<u32, CpuidError> {
    let taken = |base: u32| {
        table
            .as_slice()
            .iter()
            .any(|e| (base..base + CPUID_STRIDE).contains(&e.function))
    };
    let base = (CPUID_BASE..=CPUID_LAST)
        .step_by(CPUID_STRIDE as usize)
        .find(|&base| !taken(base))
        .ok_or(CpuidError::NoPlace)?;
    for (function, [eax, ebx, ecx, edx]) in cpuid.leaves(base) {
        let entry = kvm_cpuid_entry2 {
            function,
            eax,
            ebx,
            ecx,
            edx,
            ..Default::default()
        };
        table.push(entry).map_err(|_| CpuidError::Full)?;
    }
    Ok(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(functions: &[u32]) -> CpuId {
        let entries: Vec<_> = functions
            .iter()
            .map(|&function| kvm_cpuid_entry2 {
                function,
                ..Default::default()
            })
            .collect();
        CpuId::from_entries(&entries).unwrap()
    }

    #[test]
    fn leaves_go_above_those_of_kvm_and_hyper_v() {
        let mut plain = table(&[0, 1, 0x4000_0000, 0x4000_0001]);
        assert_eq!(add_leaves(&mut plain, &Cpuid::default()), Ok(0x4000_0100));
        let entry = plain.as_slice()[4];
        assert_eq!((entry.function, entry.eax), (0x4000_0100, 0x4000_0101));
        assert_eq!(entry.ebx.to_le_bytes(), *b"XKVM");

        let mut hyper_v = table(&[0, 0x4000_0000, 0x4000_0100, 0x4000_0101]);
        assert_eq!(add_leaves(&mut hyper_v, &Cpuid::default()), Ok(0x4000_0200));
    }

    #[test]
    fn a_full_range_is_an_error() {
        let bases: Vec<u32> = (CPUID_BASE..=CPUID_LAST)
            .step_by(CPUID_STRIDE as usize)
            .collect();
        let mut full = table(&bases[..kvm_bindings::KVM_MAX_CPUID_ENTRIES.min(bases.len())]);
        assert!(add_leaves(&mut full, &Cpuid::default()).is_err());
    }
}
