//! Loads a bzImage by Linux's 32-bit boot protocol, which 32-bit and 64-bit kernels share.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use kvm_bindings::{kvm_regs, kvm_segment, kvm_sregs};
use linux_loader::loader::bootparam::boot_params;
use linux_loader::loader::{BzImage, KernelLoader};
use vm_memory::{Address, Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};
use vm_memory::{ByteValued, GuestMemoryRegion};

use super::acpi;
use super::memory::LOW_END;

const GDT: u64 = 0x500;
const BOOT_PARAMS: u64 = 0x7000;
const CMDLINE: u64 = 0x2_0000;
const CMDLINE_MAX: usize = 0x1000;
/// End of conventional memory: below the extended BIOS data area.
const LOW_RAM_END: u64 = 0x9_fc00;
const HIGH_RAM: u64 = 0x10_0000;

const CODE: u16 = 0x10;
const DATA: u16 = 0x18;

/// Where the setup header lies in the image and in `boot_params`, and where its length byte is.
const HEADER: usize = 0x1f1;
const HEADER_LENGTH: usize = 0x201;
const HEADER_BASE: usize = 0x202;

const E820_RAM: u32 = 1;
const E820_RESERVED: u32 = 2;
/// `loadflags`: the heap end is valid.
const CAN_USE_HEAP: u8 = 0x80;
/// `type_of_loader`: none with a number of its own.
const UNDEFINED_LOADER: u8 = 0xff;

/// Loads kernel and initial RAM disk and writes what the kernel is told. Returns the entry point.
///
/// # Errors
/// When a file cannot be read, is no bzImage, or does not fit into guest memory.
pub fn load(
    memory: &GuestMemoryMmap,
    kernel: &Path,
    initrd: Option<&Path>,
    cmdline: &str,
) -> Result<u64> {
    let mut image =
        File::open(kernel).with_context(|| format!("cannot open kernel {}", kernel.display()))?;
    let mut params =
        header(&mut image).with_context(|| format!("{} is not a bzImage", kernel.display()))?;
    let loaded = BzImage::load(memory, None, &mut image, Some(GuestAddress(HIGH_RAM)))
        .with_context(|| format!("cannot load {}", kernel.display()))?;
    let entry = loaded.kernel_load.raw_value();

    let max = match params.hdr.cmdline_size as usize {
        // Protocols before 2.06 have no such field.
        0 => 255,
        max => max.min(CMDLINE_MAX - 1),
    };
    ensure!(
        cmdline.len() <= max && !cmdline.contains('\0'),
        "the command line is longer than the kernel's {max} bytes"
    );
    let mut text = cmdline.as_bytes().to_vec();
    text.push(0);
    memory.write_slice(&text, GuestAddress(CMDLINE))?;

    let hdr = &mut params.hdr;
    hdr.type_of_loader = UNDEFINED_LOADER;
    hdr.loadflags |= CAN_USE_HEAP;
    hdr.heap_end_ptr = 0xfe00;
    hdr.cmd_line_ptr = CMDLINE as u32;
    if let Some(path) = initrd {
        let after = loaded.kernel_end.max(entry + u64::from(hdr.init_size));
        let (at, len) = load_initrd(memory, path, after, hdr.initrd_addr_max)
            .with_context(|| format!("cannot load initial RAM disk {}", path.display()))?;
        (hdr.ramdisk_image, hdr.ramdisk_size) = (at, len);
    }
    params.acpi_rsdp_addr = acpi::RSDP;
    memory_map(memory, &mut params)?;
    memory.write_slice(params.as_slice(), GuestAddress(BOOT_PARAMS))?;
    Ok(entry)
}

/// `boot_params` with only the setup header, as long as this kernel's is.
fn header(image: &mut File) -> Result<boot_params> {
    let mut start = [0; 0x290];
    image.read_exact(&mut start)?;
    image.seek(SeekFrom::Start(0))?;
    let end = HEADER_BASE + usize::from(start[HEADER_LENGTH]);
    let mut params = boot_params::default();
    if let (Some(to), Some(from)) = (
        params.as_mut_slice().get_mut(HEADER..end),
        start.get(HEADER..end),
    ) {
        to.copy_from_slice(from);
    }
    if params.hdr.header != 0x5372_6448 || params.hdr.version < 0x0202 {
        bail!("no boot protocol 2.02 or later");
    }
    Ok(params)
}

/// As high as kernel and memory allow.
fn load_initrd(
    memory: &GuestMemoryMmap,
    path: &Path,
    after: u64,
    addr_max: u32,
) -> Result<(u32, u32)> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    let limit = match addr_max {
        0 => 0x37ff_ffff,
        max => u64::from(max),
    };
    let end = low_end(memory).min(limit + 1);
    let at = end.saturating_sub(len) & !0xfff;
    ensure!(at >= after, "too large for guest memory");
    memory.read_exact_volatile_from(GuestAddress(at), &mut file, usize::try_from(len)?)?;
    Ok((u32::try_from(at)?, u32::try_from(len)?))
}

fn low_end(memory: &GuestMemoryMmap) -> u64 {
    memory
        .iter()
        .map(|r| r.start_addr().0 + r.len())
        .find(|end| *end <= LOW_END)
        .unwrap_or_default()
}

fn memory_map(memory: &GuestMemoryMmap, params: &mut boot_params) -> Result<()> {
    let mut entries = vec![
        (0, LOW_RAM_END, E820_RAM),
        (LOW_RAM_END, HIGH_RAM, E820_RESERVED),
        (HIGH_RAM, low_end(memory), E820_RAM),
    ];
    for region in memory.iter().skip(1) {
        let start = region.start_addr().0;
        entries.push((start, start + region.len(), E820_RAM));
    }
    for (to, (start, end, kind)) in params.e820_table.iter_mut().zip(&entries) {
        (to.addr, to.size, to.r#type) = (*start, end - start, *kind);
    }
    params.e820_entries = u8::try_from(entries.len())?;
    Ok(())
}

/// Flat 32-bit protected mode without paging, as the protocol asks.
///
/// # Errors
/// When guest memory has no place for the descriptor table.
pub fn protected_mode(
    memory: &GuestMemoryMmap,
    entry: u64,
    sregs: &mut kvm_sregs,
) -> Result<kvm_regs> {
    // Null, unused, 4 GiB code, 4 GiB data
    let table: [u64; 4] = [0, 0, 0x00cf_9b00_0000_ffff, 0x00cf_9300_0000_ffff];
    for (i, descriptor) in (0..).zip(table) {
        memory.write_obj(descriptor, GuestAddress(GDT + i * 8))?;
    }
    sregs.gdt.base = GDT;
    sregs.gdt.limit = 8 * 4 - 1;
    sregs.idt.base = 0;
    sregs.idt.limit = 0;
    let segment = |selector, type_| kvm_segment {
        base: 0,
        limit: 0xffff_ffff,
        selector,
        type_,
        present: 1,
        db: 1,
        s: 1,
        g: 1,
        ..Default::default()
    };
    sregs.cs = segment(CODE, 11);
    let data = segment(DATA, 3);
    (sregs.ds, sregs.es, sregs.fs) = (data, data, data);
    (sregs.gs, sregs.ss) = (data, data);
    sregs.cr0 |= 1;
    Ok(kvm_regs {
        rip: entry,
        rsi: BOOT_PARAMS,
        rsp: BOOT_PARAMS - 16,
        rflags: 2,
        ..Default::default()
    })
}
