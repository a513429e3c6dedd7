//! Guest RAM: below the hole for devices, and the rest above 4 GiB.

use anyhow::{Context, Result, bail};
use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::VmFd;
use vm_memory::{GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion};

/// RAM ends here at the latest; APICs and devices are above.
pub const LOW_END: u64 = 0xc000_0000;
const HIGH_START: u64 = 1 << 32;
const MIN: u64 = 16 << 20;
const MAX: u64 = 64 << 30;

/// Maps `bytes` of guest RAM, untouched pages costing nothing.
///
/// # Errors
/// When the size is out of 16 MiB to 64 GiB or no multiple of a page, or the host has no room.
pub fn map(bytes: u64) -> Result<GuestMemoryMmap> {
    if !(MIN..=MAX).contains(&bytes) || !bytes.is_multiple_of(4096) {
        bail!("guest memory must be 16M to 64G, in whole pages");
    }
    let low = bytes.min(LOW_END);
    let mut ranges = vec![(GuestAddress(0), usize::try_from(low)?)];
    if bytes > low {
        ranges.push((GuestAddress(HIGH_START), usize::try_from(bytes - low)?));
    }
    let memory = GuestMemoryMmap::from_ranges(&ranges).context("cannot map guest memory")?;
    for region in memory.iter() {
        // A fault for each 4 KiB is half of what it takes to load a kernel, and again for what the guest touches. Where the host
        // has no huge pages it stays so.
        // SAFETY: exactly the region's mapping; the advice changes no content.
        unsafe { libc::madvise(region.as_ptr().cast(), region.size(), libc::MADV_HUGEPAGE) };
    }
    Ok(memory)
}

/// Gives the RAM to the VM.
///
/// # Errors
/// When KVM refuses.
///
/// # Safety
/// `memory` must stay mapped as long as the VM can run.
pub unsafe fn register(vm: &VmFd, memory: &GuestMemoryMmap) -> Result<()> {
    for (slot, region) in (0..).zip(memory.iter()) {
        let host = memory.get_host_address(region.start_addr())?;
        let region = kvm_userspace_memory_region {
            slot,
            flags: 0,
            guest_phys_addr: region.start_addr().0,
            memory_size: region.len(),
            userspace_addr: host as u64,
        };
        // SAFETY: the region is a mapping of `memory` of exactly this size; that it stays is what our caller promises.
        unsafe { vm.set_user_memory_region(region) }.context("KVM refuses guest memory")?;
    }
    Ok(())
}
