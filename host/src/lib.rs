#![no_std]
//! The paired host of guestpatch.

pub mod abi;
