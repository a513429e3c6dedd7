//! The paired host of guestpatch: executes the batches of port I/O that a patched guest hands over in one exit.
//!
#![cfg_attr(feature = "kvm", doc = include_str!("../README.md"))]
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
