//! A small VMM: a few vCPUs, the devices of a PC that a Linux guest needs, and this crate's transports.

pub mod acpi;
pub mod board;
pub mod boot;
pub mod console;
pub mod machine;
pub mod memory;
pub mod offer;
pub mod ring;
pub mod shared_bus;
pub mod vcpu;

pub use machine::{Config, DiskBus, Ended, Machine, Outcome, Transport};
