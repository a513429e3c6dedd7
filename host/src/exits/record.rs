//! Counting.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kvm_ioctls::{Cap, Kvm, SyncReg, VcpuFd};
use serde::{Deserialize, Serialize};
use vm_memory::GuestMemoryMmap;

use super::caller::Callers;
use super::{Phase, Phases};
use crate::abi::{Direction, Width};
use crate::kvm_stats::KvmStats;
use crate::transport::{Outcome, answer};

/// Why the guest left.
#[derive(Debug)]
pub enum Event {
    /// A port.
    Port {
        /// The port.
        port: u16,
        /// Seen from the guest.
        direction: Direction,
        /// Of one element.
        width: Width,
        /// More than one for strings.
        elements: u32,
        /// It was the doorbell.
        batch: Option<Outcome>,
    },
    /// A hypercall that KVM passed on.
    Hypercall {
        /// Its number.
        number: u64,
        /// It carried a batch.
        batch: Option<Outcome>,
    },
    /// Memory that is not RAM.
    Mmio,
    /// Halted for good.
    Halt,
    /// Triple fault.
    Shutdown,
    /// Signals and the like.
    Other,
}

/// Places told apart at most, in all phases together; other exits are counted without port, as from address 0.
const MOST: usize = 1 << 16;

/// What exits are counted by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    reason: &'static str,
    port: Option<u16>,
    width: Option<u8>,
    rip: u64,
    caller: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    exits: u64,
    nanoseconds: u64,
    elements: u64,
}

/// One line of the statistics: exits of one kind from one place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExitRow {
    /// `out`, `in`, `batch`, `hypercall`, `mmio`, …
    pub reason: String,
    /// For ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Bytes of one element, for ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u8>,
    /// Guest address of the instruction.
    pub rip: u64,
    /// Guest address that the function with that instruction returns to, when the stack shows one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<u64>,
    /// How many.
    pub exits: u64,
    /// Time in user space for them.
    pub nanoseconds: u64,
    /// Elements of strings, entries of batches; else as many as exits.
    pub elements: u64,
}

/// Everything counted about a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Exits to user space.
    pub exits: u64,
    /// Time in user space for them.
    pub nanoseconds: u64,
    /// Time from the first entry to the end.
    pub wall_nanoseconds: u64,
    /// Batches by number of entries.
    pub batches: BTreeMap<usize, u64>,
    /// Refused batches by answer.
    pub refused: BTreeMap<i32, u64>,
    /// KVM's own counters, which include the exits that KVM handles itself. Empty where KVM has none.
    pub kvm: BTreeMap<String, u64>,
    /// By place, most frequent first.
    pub rows: Vec<ExitRow>,
    /// The same from one mark of the guest to the next, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<Phase>,
}

impl Stats {
    /// Exits by reason.
    pub fn by_reason(&self) -> BTreeMap<&str, u64> {
        let mut sums = BTreeMap::new();
        for row in &self.rows {
            *sums.entry(row.reason.as_str()).or_default() += row.exits;
        }
        sums
    }
}

impl Stats {
    /// Adds what another vCPU of the same VM counted.
    pub fn add(&mut self, other: Self) {
        self.exits += other.exits;
        self.nanoseconds += other.nanoseconds;
        self.wall_nanoseconds = self.wall_nanoseconds.max(other.wall_nanoseconds);
        for (entries, count) in other.batches {
            *self.batches.entry(entries).or_default() += count;
        }
        for (answer, count) in other.refused {
            *self.refused.entry(answer).or_default() += count;
        }
        for (name, count) in other.kvm {
            *self.kvm.entry(name).or_default() += count;
        }
        let key = |r: &ExitRow| (r.rip, r.caller, r.reason.clone(), r.port, r.width);
        self.rows.extend(other.rows);
        self.rows.sort_by_cached_key(key);
        self.rows.dedup_by(|from, to| {
            let same = key(from) == key(to);
            if same {
                to.exits += from.exits;
                to.nanoseconds += from.nanoseconds;
                to.elements += from.elements;
            }
            same
        });
        self.sort();
        if self.phases.len() < other.phases.len() {
            self.phases.resize_with(other.phases.len(), Phase::default);
        }
        for (phase, other) in self.phases.iter_mut().zip(other.phases) {
            phase.stats.add(other.stats);
        }
    }

    fn sort(&mut self) {
        self.rows
            .sort_by_key(|r| (std::cmp::Reverse(r.exits), r.rip, r.port, r.caller));
    }
}

/// Counts the exits of one vCPU.
#[derive(Debug)]
pub struct Recorder {
    /// By phase, as far as this vCPU has come.
    counts: Vec<Counts>,
    /// Places in all of them.
    places: usize,
    phases: Arc<Phases>,
    callers: Callers,
    /// KVM puts the registers into kvm_run at each exit, which is cheaper than asking.
    synced: bool,
    started: Instant,
}

impl Recorder {
    /// Starts to count; `phases` are those of all vCPUs.
    pub fn new(kvm: &Kvm, vcpu: &mut VcpuFd, phases: Arc<Phases>) -> Self {
        let synced = kvm.check_extension(Cap::SyncRegs);
        if synced {
            vcpu.set_sync_valid_reg(SyncReg::Register);
            vcpu.set_sync_valid_reg(SyncReg::SystemRegister);
        }
        phases.watch(vcpu);
        Self {
            counts: Vec::new(),
            places: 0,
            phases,
            callers: Callers::default(),
            synced,
            started: Instant::now(),
        }
    }

    /// Counts one exit, just handled.
    pub fn record(
        &mut self,
        vcpu: &VcpuFd,
        memory: &GuestMemoryMmap,
        event: Event,
        time: Duration,
    ) {
        let (regs, sregs) = if self.synced {
            let sync = vcpu.sync_regs();
            (sync.regs, sync.sregs)
        } else {
            match (vcpu.get_regs(), vcpu.get_sregs()) {
                (Ok(regs), Ok(sregs)) => (regs, sregs),
                _ => return,
            }
        };
        let caller = self.callers.find(memory, &regs, &sregs);
        let phase = self.phases.current();
        if self.counts.len() <= phase {
            self.counts.resize_with(phase + 1, Counts::default);
        }
        let Some(counts) = self.counts.get_mut(phase) else {
            return;
        };
        let (reason, port, width, elements) = match event {
            Event::Port {
                port,
                batch: Some(batch),
                ..
            } => ("batch", Some(port), None, counts.batch(&batch)),
            Event::Port {
                port,
                direction,
                width,
                elements,
                ..
            } => {
                let reason = match (direction, elements) {
                    (Direction::Out, 1) => "out",
                    (Direction::In, 1) => "in",
                    (Direction::Out, _) => "outs",
                    (Direction::In, _) => "ins",
                };
                (
                    reason,
                    Some(port),
                    Some(width.bytes() as u8),
                    elements.into(),
                )
            }
            Event::Hypercall {
                batch: Some(batch), ..
            } => ("batch", None, None, counts.batch(&batch)),
            Event::Hypercall { .. } => ("hypercall", None, None, 1),
            Event::Mmio => ("mmio", None, None, 1),
            Event::Halt => ("halt", None, None, 1),
            Event::Shutdown => ("shutdown", None, None, 1),
            Event::Other => ("other", None, None, 1),
        };
        let key = Key {
            reason,
            port,
            width,
            rip: regs.rip,
            caller,
        };
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        // A hostile guest must not fill our memory with places.
        let key = match self.places {
            MOST.. if !counts.places.contains_key(&key) => Key {
                reason,
                port: None,
                width: None,
                rip: 0,
                caller: None,
            },
            _ => key,
        };
        let count = counts.places.entry(key).or_insert_with(|| {
            self.places += 1;
            Count::default()
        });
        count.exits += 1;
        count.nanoseconds += nanoseconds;
        count.elements += elements;
        counts.exits += 1;
        counts.nanoseconds += nanoseconds;
    }

    /// The guest marks: what is recorded from now on, by any vCPU, belongs to the next phase.
    pub fn mark(&self, byte: u8) {
        self.phases.mark(byte);
    }

    /// The result, with KVM's own counters. Those of the phases are not in it: [`Phases::finish`] adds them to the sum of all vCPUs.
    pub fn finish(self, vcpu: &VcpuFd) -> Stats {
        let mut all = Stats {
            wall_nanoseconds: u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX),
            kvm: KvmStats::open(vcpu)
                .and_then(|stats| stats.read())
                .unwrap_or_default(),
            ..Stats::default()
        };
        for counts in self.counts {
            let stats = counts.stats();
            all.add(stats.clone());
            all.phases.push(Phase { mark: None, stats });
        }
        all
    }
}

/// What one vCPU did in one phase.
#[derive(Debug, Default)]
struct Counts {
    exits: u64,
    nanoseconds: u64,
    batches: BTreeMap<usize, u64>,
    refused: BTreeMap<i32, u64>,
    places: HashMap<Key, Count>,
}

impl Counts {
    /// Counts a batch; returns its entries.
    fn batch(&mut self, outcome: &Outcome) -> u64 {
        match outcome {
            Ok(entries) => {
                *self.batches.entry(*entries).or_default() += 1;
                *entries as u64
            }
            Err(_) => {
                *self.refused.entry(answer(outcome)).or_default() += 1;
                0
            }
        }
    }

    fn stats(self) -> Stats {
        let rows = self.places.into_iter().map(|(key, count)| ExitRow {
            reason: key.reason.to_owned(),
            port: key.port,
            width: key.width,
            rip: key.rip,
            caller: key.caller,
            exits: count.exits,
            nanoseconds: count.nanoseconds,
            elements: count.elements,
        });
        let mut stats = Stats {
            exits: self.exits,
            nanoseconds: self.nanoseconds,
            batches: self.batches,
            refused: self.refused,
            rows: rows.collect(),
            ..Stats::default()
        };
        stats.sort();
        stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(rows: &[(u64, u64)], entries: usize) -> Stats {
        let row = |&(rip, exits)| ExitRow {
            reason: "out".into(),
            port: Some(0x1f2),
            width: Some(1),
            rip,
            caller: None,
            exits,
            nanoseconds: exits * 10,
            elements: exits,
        };
        Stats {
            exits: rows.iter().map(|(_, exits)| exits).sum(),
            nanoseconds: 100,
            wall_nanoseconds: entries as u64,
            batches: [(entries, 2)].into(),
            kvm: [("exits".to_owned(), 7)].into(),
            rows: rows.iter().map(row).collect(),
            ..Stats::default()
        }
    }

    #[test]
    fn the_counts_of_several_vcpus_are_one() {
        let mut all = stats(&[(0x100, 5), (0x200, 4)], 11);
        all.add(stats(&[(0x200, 3), (0x300, 1)], 6));
        all.add(stats(&[], 6));
        assert_eq!(
            (all.exits, all.nanoseconds, all.wall_nanoseconds),
            (13, 300, 11)
        );
        assert_eq!(all.batches, [(6, 4), (11, 2)].into());
        assert_eq!(all.kvm["exits"], 21);
        let rows: Vec<_> = all
            .rows
            .iter()
            .map(|r| (r.rip, r.exits, r.nanoseconds))
            .collect();
        assert_eq!(rows, [(0x200, 7, 70), (0x100, 5, 50), (0x300, 1, 10)]);
        assert_eq!(all.by_reason()["out"], all.exits);

        // One vCPU has come further than the other.
        let phases = |exits: &[u64]| Stats {
            phases: exits
                .iter()
                .map(|&n| Phase {
                    mark: None,
                    stats: stats(&[(0x100, n)], 6),
                })
                .collect(),
            ..Stats::default()
        };
        for (mut one, other) in [
            (phases(&[1, 2, 3]), phases(&[10])),
            (phases(&[10]), phases(&[1, 2, 3])),
        ] {
            one.add(other);
            let exits: Vec<_> = one.phases.iter().map(|p| p.stats.exits).collect();
            assert_eq!(exits, [11, 2, 3]);
            assert_eq!(one.phases[0].stats.rows.len(), 1);
        }
    }
}
