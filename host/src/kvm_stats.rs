//! The counters KVM keeps, read through `KVM_GET_STATS_FD`: the binary statistics of kernels from 5.14 on.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;

/// `_IO(KVMIO, 0xce)`; neither kvm-ioctls nor kvm-bindings has it.
const KVM_GET_STATS_FD: std::ffi::c_ulong = 0xaece;

/// Bytes of `struct kvm_stats_header`, and of `struct kvm_stats_desc` without the name.
const HEADER: usize = 24;
const DESCRIPTOR: usize = 16;

/// Bits of a descriptor's flags: how the value behaves.
const TYPE: u32 = 0xf;
const CUMULATIVE: u32 = 0;

/// More than any kernel has; bounds what a broken header can make us allocate.
const MOST_DESCRIPTORS: usize = 4096;
const LONGEST_NAME: usize = 256;

/// The counters of one vCPU or VM.
#[derive(Debug)]
pub struct KvmStats {
    file: File,
    data_offset: u64,
    /// Histograms are left out.
    counters: Vec<Counter>,
}

#[derive(Debug)]
struct Counter {
    name: String,
    /// In the data.
    offset: u64,
    /// It only grows.
    sum: bool,
}

impl KvmStats {
    /// Opens the counters of a vCPU or VM, given its file descriptor.
    ///
    /// # Errors
    /// When the kernel has no such interface (`ENOTTY`), or describes it in a way we do not understand.
    pub fn open(kvm: &impl AsRawFd) -> io::Result<Self> {
        // SAFETY: the descriptor is open as long as `kvm` is borrowed; this request takes no argument and touches no memory of ours.
        let fd = unsafe { vmm_sys_util::ioctl::ioctl(kvm, KVM_GET_STATS_FD) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
        let file = unsafe { File::from_raw_fd(fd) };

        let mut header = [0; HEADER];
        file.read_exact_at(&mut header, 0)?;
        let name_len = word(&header, 4) as usize;
        let count = word(&header, 8) as usize;
        let (desc_offset, data_offset) = (word(&header, 16), word(&header, 20));
        if count > MOST_DESCRIPTORS || name_len > LONGEST_NAME {
            return Err(io::Error::other("unexpected KVM statistics header"));
        }
        let mut descriptors = vec![0; count * (DESCRIPTOR + name_len)];
        file.read_exact_at(&mut descriptors, desc_offset.into())?;
        let counters = descriptors
            .chunks_exact(DESCRIPTOR + name_len)
            .filter(|d| half(d, 6) == 1)
            .map(|d| {
                let name = d.get(DESCRIPTOR..).unwrap_or_default();
                let name = name.split(|&b| b == 0).next().unwrap_or_default();
                let name = String::from_utf8_lossy(name).into_owned();
                Counter {
                    name,
                    offset: word(d, 8).into(),
                    sum: word(d, 0) & TYPE == CUMULATIVE,
                }
            })
            .collect();
        Ok(Self {
            file,
            data_offset: data_offset.into(),
            counters,
        })
    }

    /// The counters now, by KVM's names: `exits`, `io_exits`, `irq_exits`, …
    ///
    /// # Errors
    /// When the VM is gone.
    pub fn read(&self) -> io::Result<BTreeMap<String, u64>> {
        self.read_those(|_| true)
    }

    /// As [`KvmStats::read`], without states and peaks: of two readings the difference means something.
    ///
    /// # Errors
    /// When the VM is gone.
    pub fn read_sums(&self) -> io::Result<BTreeMap<String, u64>> {
        self.read_those(|counter| counter.sum)
    }

    fn read_those(&self, wanted: impl Fn(&Counter) -> bool) -> io::Result<BTreeMap<String, u64>> {
        self.counters
            .iter()
            .filter(|counter| wanted(counter))
            .map(|counter| {
                let mut value = [0; 8];
                self.file
                    .read_exact_at(&mut value, self.data_offset + counter.offset)?;
                Ok((counter.name.clone(), u64::from_ne_bytes(value)))
            })
            .collect()
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(|b| b.first_chunk())
        .map_or(0, |b| u32::from_ne_bytes(*b))
}

fn half(bytes: &[u8], at: usize) -> u16 {
    bytes
        .get(at..)
        .and_then(|b| b.first_chunk())
        .map_or(0, |b| u16::from_ne_bytes(*b))
}
