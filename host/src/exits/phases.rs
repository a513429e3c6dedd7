//! The phases of a run: from one mark of the guest to the next.

use std::collections::BTreeMap;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::Stats;
use crate::kvm_stats::KvmStats;

/// A guest begins a phase by one byte to this port. No PC has a device there, nor has this VM: it lies below the ACPI ports.
pub const MARK_PORT: u16 = 0x5e0;

/// Phases told apart at most; the last one takes all that follows. A hostile guest must not fill our memory.
const MOST: usize = 256;

/// What was counted between two marks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// The byte that began it; none began the first one, which is from the start on.
    pub mark: Option<u8>,
    /// As for the whole run, for this phase alone. Of KVM's counters those that only grow, by how much they did.
    pub stats: Stats,
}

/// Which phase a run is in; the recorders of all vCPUs share it.
///
/// The exit of a mark is the last one of the phase that it ends. Of other vCPUs, which run on meanwhile, one exit each may be
/// counted in the next phase where KVM counted it in this one.
#[derive(Debug)]
pub struct Phases {
    current: AtomicUsize,
    log: Mutex<Log>,
}

/// The phases that are over, and what the current one began with.
#[derive(Debug)]
struct Log {
    over: Vec<Over>,
    /// Of each vCPU. Empty where KVM has none.
    counters: Vec<KvmStats>,
    mark: Option<u8>,
    started: Instant,
    kvm: BTreeMap<String, u64>,
}

#[derive(Debug)]
struct Over {
    mark: Option<u8>,
    nanoseconds: u64,
    kvm: BTreeMap<String, u64>,
}

impl Default for Phases {
    fn default() -> Self {
        Self::new()
    }
}

impl Phases {
    /// The first phase begins.
    pub fn new() -> Self {
        Self {
            current: AtomicUsize::new(0),
            log: Mutex::new(Log {
                over: Vec::new(),
                counters: Vec::new(),
                mark: None,
                started: Instant::now(),
                kvm: BTreeMap::new(),
            }),
        }
    }

    /// Takes KVM's counters of `vcpu`, which has not run yet, into account.
    pub fn watch(&self, vcpu: &impl AsRawFd) {
        self.log().counters.extend(KvmStats::open(vcpu));
    }

    /// The place of the current phase among all of them.
    pub fn current(&self) -> usize {
        self.current.load(Ordering::Acquire)
    }

    /// The guest marks: the next phase begins. What it takes to read KVM's counters is in neither.
    pub fn mark(&self, byte: u8) {
        let mut log = self.log();
        if log.over.len() + 1 < MOST {
            log.turn(Some(byte));
            self.current.store(log.over.len(), Ordering::Release);
        }
    }

    /// The run is over: completes what the vCPUs counted together. Only once.
    pub fn finish(&self, stats: &mut Stats) {
        let mut log = self.log();
        log.turn(None);
        stats.phases.resize_with(log.over.len(), Phase::default);
        for (phase, over) in stats.phases.iter_mut().zip(log.over.drain(..)) {
            phase.mark = over.mark;
            phase.stats.wall_nanoseconds = over.nanoseconds;
            phase.stats.kvm = over.kvm;
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// Ends the current phase and begins the next.
    fn turn(&mut self, next: Option<u8>) {
        let nanoseconds = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut now = BTreeMap::new();
        for counters in &self.counters {
            for (name, value) in counters.read_sums().unwrap_or_default() {
                *now.entry(name).or_default() += value;
            }
        }
        self.over.push(Over {
            mark: std::mem::replace(&mut self.mark, next),
            nanoseconds,
            kvm: difference(&now, &self.kvm),
        });
        self.kvm = now;
        self.started = Instant::now();
    }
}

/// By how much the counters have grown.
fn difference(
    now: &BTreeMap<String, u64>,
    before: &BTreeMap<String, u64>,
) -> BTreeMap<String, u64> {
    now.iter()
        .map(|(name, value)| {
            let before = before.get(name).copied().unwrap_or_default();
            (name.clone(), value.saturating_sub(before))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_begin_phases_up_to_a_limit() {
        let phases = Phases::new();
        phases.mark(7);
        assert_eq!(phases.current(), 1);
        phases.mark(7);
        let mut stats = Stats::default();
        // A vCPU that has seen no exit after the first mark.
        stats.phases.resize_with(2, Phase::default);
        stats.phases[1].stats.exits = 5;
        phases.finish(&mut stats);
        let marks: Vec<_> = stats
            .phases
            .iter()
            .map(|p| (p.mark, p.stats.exits))
            .collect();
        assert_eq!(marks, [(None, 0), (Some(7), 5), (Some(7), 0)]);

        let phases = Phases::new();
        for n in 0..1000 {
            phases.mark(n as u8);
        }
        assert_eq!(phases.current(), MOST - 1);
        let mut stats = Stats::default();
        phases.finish(&mut stats);
        assert_eq!(stats.phases.len(), MOST);
        assert_eq!(stats.phases[MOST - 1].mark, Some(254));
    }

    #[test]
    fn counters_count_from_the_mark_on() {
        let of = |values: &[(&str, u64)]| -> BTreeMap<String, u64> {
            values
                .iter()
                .map(|&(name, n)| (name.to_owned(), n))
                .collect()
        };
        let grown = difference(&of(&[("exits", 9), ("io_exits", 4)]), &of(&[("exits", 7)]));
        assert_eq!(grown, of(&[("exits", 2), ("io_exits", 4)]));
    }
}
