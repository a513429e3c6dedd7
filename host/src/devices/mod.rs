//! The devices of the VM, one file each. None of them trusts the guest, and none contains `unsafe`.

pub mod ata;
pub mod cmos;
pub mod i8042;
pub mod irq;
pub mod pci;
pub mod piix3;
pub mod pm;
pub mod power;
pub mod serial;
pub mod shared;
