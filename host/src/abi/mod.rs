//! Wire ABI v1: batches of port I/O that a guest hands over in one exit.
//!
//! This module is the single source of the format. The guest's C header is rendered from it ([`CHeader`]), and the host
//! validates with it. It does no I/O, allocates nothing and has no dependencies.
//!
//! A **batch page** is one page of guest memory: a [`Header`] in its first 16 bytes, then up to [`MAX_ENTRIES`] entries of 16
//! bytes each. All numbers are little-endian. The guest hands the page over by one of three transports:
//!
//! | transport | guest does | answer |
//! |---|---|---|
//! | doorbell | 32-bit OUT of the page's frame number to the doorbell port | [`Header::result`] |
//! | tunnel | hypercall [`TUNNEL_HYPERCALL`]`(page, 1, offset << 32 \| len)`, offset 0 meaning [`HEADER_SIZE`] | register |
//! | vmcall | hypercall [`HYPERCALL`] (or the number CPUID names)`(first entry, len, 0)` | register |
//!
//! The answer is the number of entries, all executed in order, or a negative KVM errno ([`Fault::errno`]); then **nothing** was
//! executed and the guest issues the same operations itself. The host copies the entries once, validates all of them
//! ([`Call::check`]), and only then executes the first. It never answers [`NO_ANSWER`]: that value is what the guest puts into
//! the header beforehand, so that a doorbell nobody listens to reads as a refusal.

mod c_header;
mod call;
mod cpuid;
mod entry;
mod fault;
mod ports;
mod validate;

pub use c_header::CHeader;
pub use call::Call;
pub use cpuid::{CPUID_BASE, CPUID_LAST, CPUID_SIGNATURE, CPUID_STRIDE, Cpuid, FEATURES, Features};
pub use entry::{Direction, Entry, Header, Kind, UnknownKind, Width};
pub use fault::{Fault, Refused};
pub use ports::{IN_KERNEL_PORTS, PortRules, Ports};
pub use validate::Op;

/// Version of the wire format, as CPUID reports it.
pub const VERSION: u32 = 1;

/// Size of a batch page in bytes: the x86 page size, whatever the guest's page tables use.
pub const PAGE_SIZE: usize = 4096;

/// Size of the header in bytes; the first entry follows it.
pub const HEADER_SIZE: usize = 16;

/// Size of one entry in bytes; entries are aligned to it.
pub const ENTRY_SIZE: usize = 16;

/// Most entries in one batch: what a page holds after its header.
pub const MAX_ENTRIES: usize = (PAGE_SIZE - HEADER_SIZE) / ENTRY_SIZE;

/// Doorbell port offered unless the VMM chooses another.
///
/// Below the range firmware gives to PCI devices, and clear of the fixed ports of the PC platform and of QEMU's own devices.
pub const DOORBELL_PORT: u16 = 0x0ec0;

/// `XKVM_IO_COALESCE`, the hypercall number offered unless the VMM chooses another.
///
/// KVM's `KVM_CAP_EXIT_HYPERCALL` mask has 32 bits, and 1 to 12 are taken.
pub const HYPERCALL: u32 = 25;

/// `KVM_HC_MAP_GPA_RANGE`, the hypercall of stock KVM that reaches user space, and so carries the tunnel.
pub const TUNNEL_HYPERCALL: u32 = 12;

/// What the guest writes into [`Header::result`] before it rings: `-KVM_ENOSYS`.
pub const NO_ANSWER: i32 = -1000;

const _: () = assert!(MAX_ENTRIES == 255 && HEADER_SIZE == ENTRY_SIZE);
