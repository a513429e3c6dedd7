//! Port writes that KVM has collected instead of leaving the guest for each.

use std::mem::{offset_of, size_of};
use std::ops::RangeInclusive;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use kvm_bindings::{KVM_COALESCED_MMIO_PAGE_OFFSET, kvm_coalesced_mmio, kvm_coalesced_mmio_ring};
use kvm_ioctls::{Cap, IoEventAddress, VcpuFd, VmFd};

use crate::abi::Width;

const PAGE: usize = 4096;
const ENTRIES: usize = offset_of!(kvm_coalesced_mmio_ring, coalesced_mmio);
const MOST: u32 = ((PAGE - ENTRIES) / size_of::<kvm_coalesced_mmio>()) as u32;

/// One collected write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write {
    /// The port.
    pub port: u16,
    /// How many of the bytes count.
    pub width: Width,
    /// The value, little-endian.
    pub bytes: [u8; 4],
}

/// The ring of a VM, one for all its vCPUs. KVM appends to it; it leaves the guest as usual when there is no room.
#[derive(Debug)]
pub struct Ring(NonNull<kvm_coalesced_mmio_ring>);

// SAFETY: the mapping is ours alone in this process, and it belongs to no thread; the kernel's side of it is met by atomics.
unsafe impl Send for Ring {}

impl Ring {
    /// Has KVM collect single writes to `ports`. The ring is seen through any vCPU of the VM.
    ///
    /// # Errors
    /// When this KVM cannot.
    pub fn new(vm: &VmFd, vcpu: &VcpuFd, ports: &[RangeInclusive<u16>]) -> Result<Self> {
        ensure!(
            vm.check_extension(Cap::CoalescedPio),
            "this KVM cannot collect port writes (no KVM_CAP_COALESCED_PIO; Linux has it from 5.0 on): \
             run without --coalesced-pio"
        );
        for range in ports {
            let size = u32::from(*range.end() - *range.start()) + 1;
            vm.register_coalesced_mmio(IoEventAddress::Pio(u64::from(*range.start())), size)
                .with_context(|| format!("KVM refuses to collect writes to ports {range:#x?}"))?;
        }
        // SAFETY: a new mapping of one page at a place of the kernel's choice; no memory of ours is touched.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                PAGE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                vcpu.as_raw_fd(),
                i64::from(KVM_COALESCED_MMIO_PAGE_OFFSET) * PAGE as i64,
            )
        };
        ensure!(
            page != libc::MAP_FAILED,
            "cannot map KVM's ring of port writes: {}",
            std::io::Error::last_os_error()
        );
        NonNull::new(page.cast())
            .map(Self)
            .context("KVM's ring of port writes is nowhere")
    }

    /// Takes the writes, oldest first; at most as many as the ring holds, for other vCPUs may go on writing.
    pub fn taken(&mut self) -> impl Iterator<Item = Write> + '_ {
        (0..MOST).map_while(|_| self.take())
    }

    fn take(&mut self) -> Option<Write> {
        let ring = self.0.as_ptr();
        // SAFETY: both counters are aligned words of the mapping, which lives as long as `self`; the kernel stores `last` after the
        // entry, and never touches `first`.
        let (first, last) = unsafe {
            (
                AtomicU32::from_ptr(&raw mut (*ring).first),
                AtomicU32::from_ptr(&raw mut (*ring).last),
            )
        };
        loop {
            let at = first.load(Ordering::Relaxed);
            if at == last.load(Ordering::Acquire) || at >= MOST {
                return None;
            }
            // SAFETY: below MOST, the entry is in the page. The kernel does not write to it before `first` has passed it.
            let (port, len, bytes) = unsafe {
                let entry = ring
                    .byte_add(ENTRIES)
                    .cast::<kvm_coalesced_mmio>()
                    .add(at as usize)
                    .read();
                (entry.phys_addr, entry.len, entry.data)
            };
            first.store((at + 1) % MOST, Ordering::Release);
            let width = match len {
                1 => Width::Byte,
                2 => Width::Word,
                4 => Width::Long,
                // Port accesses have no other widths.
                _ => continue,
            };
            let [a, b, c, d, ..] = bytes;
            if let Ok(port) = u16::try_from(port) {
                return Some(Write {
                    port,
                    width,
                    bytes: [a, b, c, d],
                });
            }
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping made by `new`, to which there are no references left.
        unsafe { libc::munmap(self.0.as_ptr().cast(), PAGE) };
    }
}
