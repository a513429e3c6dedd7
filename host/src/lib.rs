//! The paired host of guestpatch.
#![no_std]

#[cfg(test)]
extern crate std;

pub mod abi;
