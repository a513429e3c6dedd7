//! One run, as the report has it.

use xkvm_host::exits::{ExitRow, Hot, HotRow, Stats, Symbols};

use super::figures::{Cost, is_mark, named, ports, traced};
use super::plan::Run;
use super::report::{PhaseReport, RunReport};
use crate::kvm_host::{Done, Phase, Place};

/// Rows of a table of functions.
const FUNCTIONS: usize = 8;

/// What the plan says of a run, before anything is measured.
pub fn planned(run: &Run) -> RunReport {
    RunReport {
        name: run.name(),
        variant: run.variant.name.clone(),
        workload: run.workload.name().to_owned(),
        guest: run.variant.guest.name(),
        host: run.variant.host.name(),
        kib: run.workload.kib(),
        ..RunReport::default()
    }
}

/// One run, summed up.
pub fn summary(run: &Run, done: &Done, symbols: &Symbols) -> RunReport {
    let phases = named(done).map(|phase| {
        let cost = Cost::of(phase);
        PhaseReport {
            name: phase.name.clone(),
            traced: traced(phase),
            kvm: phase.kvm.clone(),
            ports: ports(phase),
            functions: functions(phase, cost.user_exits, symbols),
            cost,
        }
    });
    RunReport {
        phases: phases.collect(),
        facts: done
            .facts
            .iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect(),
        hung: done.hung.len(),
        disk: done.disk.clone(),
        ..planned(run)
    }
}

/// The functions that left the guest most in a phase, of whose exits so many went to user space.
fn functions(phase: &Phase, user_exits: u64, symbols: &Symbols) -> Vec<HotRow> {
    let row = |place: &Place| ExitRow {
        reason: place.reason.clone(),
        port: place.port,
        width: None,
        rip: place.rip,
        caller: place.caller,
        exits: place.exits,
        nanoseconds: place.nanoseconds,
        elements: place.exits,
    };
    let known = phase
        .places
        .iter()
        .filter(|place| place.rip != 0 && !is_mark(place));
    let stats = Stats {
        exits: user_exits,
        rows: known.map(row).collect(),
        ..Stats::default()
    };
    let mut table = Hot::new(&stats, symbols);
    table.rows.truncate(FUNCTIONS);
    table.rows
}
