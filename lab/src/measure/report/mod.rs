//! The result: what each run cost, phase by phase, and whether all that must hold does.

mod files;
mod html;
mod table;
mod terminal;
mod view;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use xkvm_host::devices::pm::{PM_BASE, PM_TIMER};
use xkvm_host::exits::HotRow;

pub use files::write;
pub use html::html;
pub use terminal::terminal;

use super::figures::{Cost, PortRow};
use crate::check::Check;

/// All that was measured.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Counts up when a program that reads `report.json` must know of a change.
    pub format: u32,
    /// Version of the guests' kernel.
    pub kernel: String,
    /// The command that repeats it.
    pub command: String,
    /// Where logs and consoles are; they go when twenty later experiments have theirs.
    pub logs: PathBuf,
    /// Whether time was counted in instructions.
    pub exact: bool,
    /// What went in: names, and hashes or versions.
    pub inputs: BTreeMap<String, String>,
    /// Run by run.
    pub runs: Vec<RunReport>,
    /// What must hold.
    pub checks: Vec<Check>,
}

/// One guest.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RunReport {
    /// Its name: variant and workload.
    pub name: String,
    /// The variant.
    pub variant: String,
    /// The workload.
    pub workload: String,
    /// The guest's kernel.
    pub guest: String,
    /// The host.
    pub host: String,
    /// KiB that each of its phases moves, where that means something.
    pub kib: Option<u32>,
    /// What it cost.
    pub phases: Vec<PhaseReport>,
    /// What the guest said.
    pub facts: BTreeMap<String, String>,
    /// How often it hung before it did its work.
    pub hung: usize,
    /// SHA-256 of what is written of its disk, and its blocks.
    pub disk: Option<String>,
}

/// One phase of a guest.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PhaseReport {
    /// Its name.
    pub name: String,
    /// What was counted.
    pub cost: Cost,
    /// Events of KVM's tracepoints by what they are for.
    pub traced: BTreeMap<&'static str, u64>,
    /// KVM's own counters, by its names for them.
    pub kvm: BTreeMap<String, u64>,
    /// Exits to user space by reason and port, most first; on QEMU only the reasons are known.
    pub ports: Vec<PortRow>,
    /// The functions that left the guest most.
    pub functions: Vec<HotRow>,
}

/// The `format` of these.
pub const FORMAT: u32 = 2;

impl Report {
    /// The run of a variant and a workload, the first of the same.
    pub fn run(&self, variant: &str, workload: &str) -> Option<&RunReport> {
        let wanted = |run: &&RunReport| run.variant == variant && run.workload == workload;
        self.runs.iter().find(wanted)
    }

    /// A phase of a variant and a workload.
    pub fn phase(&self, variant: &str, workload: &str, phase: &str) -> Option<&PhaseReport> {
        self.run(variant, workload)?.phase(phase)
    }

    /// What a phase cost.
    pub fn cost(&self, variant: &str, workload: &str, phase: &str) -> Option<&Cost> {
        Some(&self.phase(variant, workload, phase)?.cost)
    }
}

impl RunReport {
    /// The phase of a name.
    pub fn phase(&self, name: &str) -> Option<&PhaseReport> {
        self.phases.iter().find(|phase| phase.name == name)
    }
}

impl PhaseReport {
    /// Events of KVM's tracepoints of one kind.
    pub fn events(&self, what: &str) -> u64 {
        self.traced.get(what).copied().unwrap_or_default()
    }

    /// One of KVM's own counters.
    pub fn counter(&self, name: &str) -> u64 {
        self.kvm.get(name).copied().unwrap_or_default()
    }

    /// Reads of the ACPI PM timer.
    pub fn pm_timer(&self) -> u64 {
        self.at_port("in", PM_BASE + PM_TIMER)
    }

    /// Writes to port 0x80, by which old kernels wait for a slow chip.
    pub fn delays(&self) -> u64 {
        self.at_port("out", 0x80)
    }

    /// Exits to user space by one kind of access to one port.
    pub fn at_port(&self, reason: &str, port: u16) -> u64 {
        let of = |row: &&PortRow| row.reason == reason && row.port == Some(port);
        self.ports.iter().filter(of).map(|row| row.exits).sum()
    }
}
