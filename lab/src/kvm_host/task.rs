//! One guest to run on KVM, and what it left.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::console::Facts;

/// One guest to run.
#[derive(Debug, Clone)]
pub struct Task {
    /// A word for it, fit for a file name; different for each task of one host.
    pub name: String,
    /// Who runs it.
    pub vmm: Vmm,
    /// The guest's kernel, a bzImage.
    pub kernel: PathBuf,
    /// Its initial RAM disk.
    pub initrd: PathBuf,
    /// Its whole command line.
    pub cmdline: String,
    /// Its memory in MiB.
    pub memory: u32,
    /// Bytes of its disk, which begins with zeros; a sparse file.
    pub disk: Option<u64>,
    /// Bytes at the head of the disk that are looked at afterwards.
    pub written: u64,
    /// Whether KVM's tracepoints are recorded between the marks of the guest (see [`Phase`]); not with QEMU.
    pub trace: bool,
    /// How long it may take, in the time of the machine that it runs on.
    pub timeout: Duration,
    /// How much processor time a machine of QEMU's may take for it, some times what it should. A guest that waits for a lock by `pause`
    /// executes so few instructions a second that a minute of its time takes more than an hour.
    pub processor: Duration,
}

impl Task {
    /// What it is asked to do, and with what, but for the files: they have hashes of their own.
    pub fn asked(&self) -> String {
        format!(
            "{:?} {} {} MiB {:?} {} {}",
            self.vmm, self.cmdline, self.memory, self.disk, self.written, self.trace
        )
    }
}

/// The program that runs a guest.
#[derive(Debug, Clone)]
pub enum Vmm {
    /// The paired host.
    Xkvm {
        /// `--transport`.
        transport: &'static str,
        /// `--disk-bus`.
        disk_bus: &'static str,
        /// Whether KVM collects writes to the disk's registers (a coalesced-PIO zone).
        coalesced_pio: bool,
        /// Whether power management is a PCI function, and of which revision of PIIX4.
        pm_revision: Option<u8>,
    },
    /// QEMU with KVM.
    Qemu {
        /// Options for devices; the disk is the drive `disk`, the peer of a network card is `net`.
        options: Vec<String>,
    },
}

/// What a guest left.
#[derive(Debug, Clone, Serialize)]
pub struct Done {
    /// The task's name.
    pub name: String,
    /// All of the console.
    pub console: String,
    /// The workload's results.
    pub facts: Facts,
    /// From one mark of the guest to the next. The first, `boot`, is from the start to the first mark.
    pub phases: Vec<Phase>,
    /// The console of each try that hung before this one.
    pub hung: Vec<String>,
    /// SHA-256 of the parts of the disk that workloads write to, and how many blocks of it there are.
    pub disk: Option<String>,
}

/// What happened between two marks of a guest.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// Nanoseconds of the machine it ran on; where time is counted in instructions, as many instructions.
    pub nanoseconds: u64,
    /// Exits to user space.
    pub user_exits: u64,
    /// KVM's own counters: `exits`, `io_exits`, `hypercalls`, …
    pub kvm: BTreeMap<String, u64>,
    /// Batches by number of entries.
    pub batches: BTreeMap<usize, u64>,
    /// Exits by place.
    pub places: Vec<Place>,
    /// Port accesses and hypercalls in order, as KVM's tracepoints show them, without serial ports and PCI configuration; only of
    /// traced tasks.
    pub trace: Vec<Traced>,
}

/// Exits of one kind from one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// `out`, `in`, `outs`, `ins`, `batch`, `hypercall`, `mmio`, `halt`, or one of KVM's exit reasons.
    pub reason: String,
    /// For ports.
    pub port: Option<u16>,
    /// Guest address of the instruction.
    pub rip: u64,
    /// Guest address that its function returns to.
    pub caller: Option<u64>,
    /// How many.
    pub exits: u64,
    /// How long user space was at work for them, counted as for the [`Phase`]; 0 where that is not known.
    pub nanoseconds: u64,
}

/// One event of KVM's tracepoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Traced {
    /// `kvm_pio`.
    Port {
        /// Out of the guest.
        write: bool,
        /// The port.
        port: u16,
        /// Elements; more than one for strings.
        count: u32,
    },
    /// `kvm_hypercall`.
    Hypercall {
        /// Its number.
        number: u64,
    },
}
