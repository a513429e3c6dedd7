//! The paired host of guestpatch: executes the batches of port I/O that a patched guest hands over in one exit.
//!
//! Features: none gives [`abi`] only (`no_std`, no dependencies); `batch` adds the library for any VMM on `vm-memory`; `kvm`
//! adds the CPUID leaves for `KVM_SET_CPUID2` and KVM's counters; `vmm` (default) the program `xkvm`.
//!
#![cfg_attr(feature = "batch", doc = "# In another VMM")]
#![cfg_attr(feature = "batch", doc = include_str!("../docs/embed.md"))]
#![cfg_attr(not(feature = "batch"), no_std)]

#[cfg(all(test, not(feature = "batch")))]
extern crate std;

pub mod abi;
#[cfg(feature = "batch")]
pub mod batch;
#[cfg(feature = "batch")]
pub mod bus;
#[cfg(feature = "kvm")]
pub mod cpuid;
#[cfg(feature = "vmm")]
pub mod devices;
#[cfg(feature = "vmm")]
pub mod exits;
#[cfg(feature = "kvm")]
pub mod kvm_stats;
#[cfg(feature = "batch")]
mod rules;
#[cfg(feature = "batch")]
pub mod transport;
#[cfg(feature = "vmm")]
pub mod vmm;
