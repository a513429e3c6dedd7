//! From what was counted to figures: pure sums over the phases of a guest.

use std::collections::BTreeMap;

use serde::Serialize;
use xkvm_host::abi::{DOORBELL_PORT, HYPERCALL, TUNNEL_HYPERCALL};
use xkvm_host::exits::MARK_PORT;

use crate::kvm_host::{Done, Phase, Place, Traced};

/// What an exit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The disk's task file is written: the command's registers, the command, the control register.
    TaskFile,
    /// The disk's data port.
    Data,
    /// The disk's registers are read: status, error, signature.
    Status,
    /// The bus master of the disk controller.
    BusMaster,
    /// A batch is handed over.
    Batch,
    /// The ACPI PM timer and the rest of its block.
    Acpi,
    /// PCI configuration.
    Pci,
    /// Serial ports.
    Serial,
    /// Memory-mapped devices.
    Mmio,
    /// All else: clock chip, keyboard, probes.
    Other,
}

impl Class {
    /// All, in the order of reports.
    pub const ALL: [Self; 10] = [
        Self::TaskFile,
        Self::Data,
        Self::Status,
        Self::BusMaster,
        Self::Batch,
        Self::Acpi,
        Self::Pci,
        Self::Serial,
        Self::Mmio,
        Self::Other,
    ];

    /// For readers.
    pub fn title(self) -> &'static str {
        match self {
            Self::TaskFile => "task file",
            Self::Data => "data port",
            Self::Status => "status",
            Self::BusMaster => "bus master",
            Self::Batch => "batches",
            Self::Acpi => "ACPI",
            Self::Pci => "PCI config",
            Self::Serial => "serial",
            Self::Mmio => "MMIO",
            Self::Other => "other",
        }
    }

    /// Of an access to `port` of the VMM's board.
    fn of_port(port: u16, write: bool) -> Self {
        match port {
            0x1f0 | 0x170 => Self::Data,
            0x1f1..=0x1f7 | 0x171..=0x177 | 0x3f6 | 0x376 if write => Self::TaskFile,
            0x1f1..=0x1f7 | 0x171..=0x177 | 0x3f6 | 0x376 => Self::Status,
            0x2f8..=0x2ff | 0x3f8..=0x3ff => Self::Serial,
            0x600..=0x63f => Self::Acpi,
            0xcf8..=0xcff => Self::Pci,
            // The one device with ports of its own choice is the disk controller.
            0x1000.. => Self::BusMaster,
            _ => Self::Other,
        }
    }

    fn of_place(place: &Place) -> Self {
        match (place.reason.as_str(), place.port) {
            ("batch", _) => Self::Batch,
            ("mmio", _) => Self::Mmio,
            (reason, Some(port)) => Self::of_port(port, reason.starts_with("out")),
            _ => Self::Other,
        }
    }
}

/// What a phase cost, without the marks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Exits that KVM counted, whoever handled them.
    pub exits: u64,
    /// Those that went to user space.
    pub user_exits: u64,
    /// Of all exits, port accesses as KVM counts them.
    pub io_exits: u64,
    /// Hypercalls as KVM counts them.
    pub hypercalls: u64,
    /// Exits for an interrupt of the host, or to let one into the guest.
    pub interrupts: u64,
    /// Exits for pages of memory that the guest touches for the first time: the host gives them then.
    pub pages: u64,
    /// Nanoseconds; where time is counted in instructions, instructions of guest and host together.
    pub nanoseconds: u64,
    /// Exits to user space by what they are for.
    pub classes: BTreeMap<Class, u64>,
    /// Batches by number of entries.
    pub batches: BTreeMap<usize, u64>,
}

impl Cost {
    /// Sums up a phase.
    pub fn of(phase: &Phase) -> Self {
        let (marks, places): (Vec<&Place>, Vec<&Place>) =
            phase.places.iter().partition(|p| is_mark(p));
        let marks: u64 = marks.iter().map(|p| p.exits).sum();
        let counter = |name: &str| phase.kvm.get(name).copied().unwrap_or_default();
        let mut classes = BTreeMap::new();
        for place in places {
            *classes.entry(Class::of_place(place)).or_default() += place.exits;
        }
        Self {
            exits: counter("exits").saturating_sub(marks),
            user_exits: phase.user_exits.saturating_sub(marks),
            io_exits: counter("io_exits").saturating_sub(marks),
            hypercalls: counter("hypercalls"),
            interrupts: counter("irq_exits") + counter("irq_window_exits"),
            pages: counter("pf_fixed"),
            nanoseconds: phase.nanoseconds,
            classes,
            batches: phase.batches.clone(),
        }
    }

    /// Port accesses and hypercalls as KVM counts them, whatever a batch goes by.
    pub fn io_and_hypercalls(&self) -> u64 {
        self.io_exits + self.hypercalls
    }

    /// Exits to user space of one class.
    pub fn class(&self, class: Class) -> u64 {
        self.classes.get(&class).copied().unwrap_or_default()
    }
}

/// Exits to user space by one kind of access to one port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortRow {
    /// As of a [`Place`].
    pub reason: String,
    /// For ports.
    pub port: Option<u16>,
    /// How many.
    pub exits: u64,
    /// How long user space was at work for them, counted as in [`Cost`].
    pub nanoseconds: u64,
}

/// Exits by reason and port, most first, without the marks.
pub fn ports(phase: &Phase) -> Vec<PortRow> {
    let mut sums: BTreeMap<(&str, Option<u16>), [u64; 2]> = BTreeMap::new();
    for place in phase.places.iter().filter(|place| !is_mark(place)) {
        let [exits, nanoseconds] = sums.entry((&place.reason, place.port)).or_default();
        *exits += place.exits;
        *nanoseconds += place.nanoseconds;
    }
    let row = |((reason, port), [exits, nanoseconds]): ((&str, _), [u64; 2])| PortRow {
        reason: reason.to_owned(),
        port,
        exits,
        nanoseconds,
    };
    let mut rows: Vec<PortRow> = sums.into_iter().map(row).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.exits));
    rows
}

/// Whether the exit is the guest's mark, which is part of no work.
pub fn is_mark(place: &Place) -> bool {
    place.port == Some(MARK_PORT) && place.reason != "batch"
}

/// `KVM_HC_MAP_GPA_RANGE`, through which batches go on every KVM that has it.
const TUNNEL: u64 = TUNNEL_HYPERCALL as u64;
/// The hypercall of the host series.
const XKVM: u64 = HYPERCALL as u64;

/// What KVM's tracepoints saw the guest do: `task-file`, `data`, `status`, `bus-master`, and `batch` by doorbell or hypercall.
///
/// A string instruction is as many events as it leaves the guest.
pub fn traced(phase: &Phase) -> BTreeMap<&'static str, u64> {
    let mut sums = BTreeMap::new();
    for event in &phase.trace {
        let name = match event {
            Traced::Hypercall {
                number: TUNNEL | XKVM,
            }
            | Traced::Port {
                port: DOORBELL_PORT,
                write: true,
                ..
            } => "batch",
            Traced::Port { port, write, .. } => match Class::of_port(*port, *write) {
                Class::TaskFile => "task-file",
                Class::Data => "data",
                Class::Status => "status",
                Class::BusMaster => "bus-master",
                _ => continue,
            },
            // Another hypercall of the kernel's own.
            Traced::Hypercall { .. } => continue,
        };
        *sums.entry(name).or_default() += 1;
    }
    sums
}

/// The phases that a workload names, in order: not what lies between them.
pub fn named(done: &Done) -> impl Iterator<Item = &Phase> {
    done.phases
        .iter()
        .filter(|p| !matches!(p.name.as_str(), "rest" | "end"))
}

/// Timer interrupts a second of an idle guest, by its own count.
pub fn rate_of(facts: &BTreeMap<String, String>) -> Option<f64> {
    let number = |key: &str| facts.get(key)?.parse::<f64>().ok();
    let seconds = number("seconds_idle").filter(|s| *s > 0.0)?;
    Some(number("ticks_idle")? / seconds)
}

/// How many times less; 1 is no change. Nothing can be said about nothing.
pub fn ratio(before: u64, after: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "for the reader")]
    (after > 0).then(|| before as f64 / after as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(reason: &str, port: u16, exits: u64) -> Place {
        Place {
            reason: reason.to_owned(),
            port: Some(port),
            rip: 1,
            caller: None,
            exits,
            nanoseconds: 0,
        }
    }

    #[test]
    fn a_phase_is_summed_without_its_mark() {
        let phase = Phase {
            name: "write".to_owned(),
            nanoseconds: 77,
            user_exits: 271,
            kvm: [
                ("exits", 300),
                ("io_exits", 271),
                ("irq_exits", 20),
                ("pf_fixed", 5),
                ("irq_window_exits", 3),
            ]
            .map(|(n, v)| (n.to_owned(), v))
            .into(),
            batches: [(6, 2), (1, 1)].into(),
            places: vec![
                place("out", 0x1f2, 4),
                place("outs", 0x1f0, 256),
                place("in", 0x1f7, 5),
                place("batch", 0x5f0, 3),
                place("in", 0xc007, 2),
                place("out", MARK_PORT, 1),
            ],
            trace: Vec::new(),
        };
        let cost = Cost::of(&phase);
        assert_eq!(
            (cost.exits, cost.user_exits, cost.io_exits),
            (299, 270, 270)
        );
        assert_eq!((cost.interrupts, cost.batches.len()), (23, 2));
        assert_eq!(cost.pages, 5);
        let classes: Vec<_> = cost.classes.into_iter().collect();
        assert_eq!(
            classes,
            [
                (Class::TaskFile, 4),
                (Class::Data, 256),
                (Class::Status, 5),
                (Class::BusMaster, 2),
                (Class::Batch, 3)
            ]
        );
    }

    #[test]
    fn places_are_summed_by_port() {
        let phase = Phase {
            places: vec![
                place("in", 0x1f7, 2),
                Place {
                    rip: 2,
                    ..place("in", 0x1f7, 3)
                },
                place("out", 0x1f7, 9),
                place("out", MARK_PORT, 1),
            ],
            ..Phase::default()
        };
        let rows: Vec<_> = ports(&phase)
            .into_iter()
            .map(|row| (row.reason, row.port, row.exits))
            .collect();
        let of = |reason: &str, exits| (reason.to_owned(), Some(0x1f7), exits);
        assert_eq!(rows, [of("out", 9), of("in", 5)]);
    }

    #[test]
    fn the_control_register_is_written_and_the_alternate_status_read() {
        assert_eq!(Class::of_port(0x3f6, true), Class::TaskFile);
        assert_eq!(Class::of_port(0x3f6, false), Class::Status);
        assert_eq!(Class::of_port(0x376, false), Class::Status);
    }

    #[test]
    fn events_are_counted_by_what_they_are() {
        let port = |port, write| Traced::Port {
            write,
            port,
            count: 1,
        };
        let phase = Phase {
            trace: vec![
                port(0x1f2, true),
                port(0x1f7, true),
                port(0x1f7, false),
                port(DOORBELL_PORT, true),
                Traced::Hypercall { number: 12 },
                Traced::Hypercall { number: 11 },
                port(0x3f8, true),
                port(0x1f0, true),
            ],
            ..Phase::default()
        };
        let expected = [("batch", 2), ("data", 1), ("status", 1), ("task-file", 2)];
        assert_eq!(traced(&phase), expected.into());
    }

    #[test]
    fn a_ratio_needs_something_to_divide_by() {
        assert_eq!(ratio(256, 1), Some(256.0));
        assert_eq!(ratio(5, 0), None);
    }
}
