//! Guests with nothing to do.

use super::super::table::{Table, number, times};
use super::{CHOSEN, work};
use crate::measure::figures::rate_of;
use crate::measure::report::{PhaseReport, Report};

pub fn table(report: &Report) -> Table {
    let mut table = Table::new(
        "Idle guests that tick",
        &["variant", "host"],
        &["timer interrupts a second", "exits", work(report)],
    )
    .drawing("exits")
    .ungrouped();
    for run in report.runs.iter().filter(|r| r.workload == "idle") {
        let Some(PhaseReport { cost, .. }) = run.phase("idle") else {
            continue;
        };
        let rate = rate_of(&run.facts).map_or("-".to_owned(), |rate| format!("{rate:.0}"));
        let cells = vec![
            run.variant.clone(),
            run.host.clone(),
            rate,
            number(cost.exits),
            number(cost.nanoseconds),
        ];
        table.row(cells, Some(cost.exits));
    }
    let mut table = table.note(
        "Interrupts are those that the guest counts. Time passes while the guest is idle, too.",
    );
    let ran = |variant| report.run(variant, "idle").is_some();
    if ran("pit-100") {
        table = table.note("pit-100: the guest asks for 1000 a second from the PIT, and the host's pit_max_hz=100 gives it 100.");
    }
    let boot = |variant| {
        report
            .cost(variant, "idle", "boot")
            .map(|cost| cost.nanoseconds)
    };
    if let (Some(before), Some(after)) = (boot("pit-0"), boot("pit-100")) {
        let times = times(Some(after), before);
        table = table.note(&format!("The price: what waits for ticks takes longer. The boot of pit-100 took {times} times the time of pit-0's."));
    }
    if ran("pmtimer-stock") || ran("oneshot-stock") {
        table = table.note(CHOSEN);
    }
    table
}
