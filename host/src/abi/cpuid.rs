//! How a guest finds the host: a leaf of its own in the hypervisor range, above KVM's.

use super::{DOORBELL_PORT, HYPERCALL, VERSION};

/// First leaf where the signature may be.
pub const CPUID_BASE: u32 = 0x4000_0100;

/// Distance of the places where the signature may be.
pub const CPUID_STRIDE: u32 = 0x100;

/// Last leaf where the signature may be.
pub const CPUID_LAST: u32 = 0x4000_ff00;

/// The signature: ebx, ecx, edx in memory order.
pub const CPUID_SIGNATURE: [u8; 12] = *b"XKVMXKVMXKVM";

/// What the host offers, as bits of ebx.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Features(
    /// The bits; those v1 does not define are 0.
    pub u32,
);

impl Features {
    /// Doorbell transport.
    pub const DOORBELL: Self = Self(1);
    /// Tunnel through `KVM_HC_MAP_GPA_RANGE`.
    pub const TUNNEL: Self = Self(1 << 1);
    /// vmcall transport.
    pub const VMCALL: Self = Self(1 << 2);
    /// String entries.
    pub const STRINGS: Self = Self(1 << 8);

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is offered.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Every feature with its name in the C header, after `XKVM_FEATURE_`.
pub const FEATURES: [(&str, Features); 4] = [
    ("DOORBELL", Features::DOORBELL),
    ("TUNNEL", Features::TUNNEL),
    ("VMCALL", Features::VMCALL),
    ("STRINGS", Features::STRINGS),
];

/// The contents of the host's leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cpuid {
    /// What is offered.
    pub features: Features,
    /// Doorbell port; 0 when not offered.
    pub doorbell_port: u16,
    /// Hypercall number of the vmcall transport; 0 when not offered.
    pub hypercall: u32,
}

impl Default for Cpuid {
    /// The doorbell with string entries: what works on every stock KVM.
    fn default() -> Self {
        Self {
            features: Features::DOORBELL.with(Features::STRINGS),
            doorbell_port: DOORBELL_PORT,
            hypercall: HYPERCALL,
        }
    }
}

impl Cpuid {
    /// The two leaves from `base` as `(leaf, [eax, ebx, ecx, edx])`.
    pub fn leaves(&self, base: u32) -> [(u32, [u32; 4]); 2] {
        let word = |i: usize| {
            let s = &CPUID_SIGNATURE;
            u32::from_le_bytes([s[i], s[i + 1], s[i + 2], s[i + 3]])
        };
        [
            (base, [base + 1, word(0), word(4), word(8)]),
            (
                base + 1,
                [
                    VERSION,
                    self.features.0,
                    u32::from(self.doorbell_port),
                    self.hypercall,
                ],
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_are_what_the_guest_scans_for() {
        let [(base, sig), (next, info)] = Cpuid::default().leaves(CPUID_BASE);
        assert_eq!((base, next), (0x4000_0100, 0x4000_0101));
        assert_eq!(sig, [0x4000_0101, 0x4d56_4b58, 0x4d56_4b58, 0x4d56_4b58]);
        assert_eq!(info, [1, 0x101, 0xec0, 25]);
        assert_eq!((CPUID_LAST - CPUID_BASE) / CPUID_STRIDE, 254);
    }

    #[test]
    fn features_combine() {
        let f = Features::TUNNEL.with(Features::STRINGS);
        assert!(f.has(Features::TUNNEL) && f.has(Features::STRINGS) && !f.has(Features::DOORBELL));
    }
}
