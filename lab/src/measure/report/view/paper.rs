//! The paper's figures beside ours.

use super::super::table::{Table, number};
use super::recipes::STOCK;
use crate::measure::figures::{rate_of, ratio};
use crate::measure::report::Report;

pub fn table(report: &Report) -> Table {
    let mut table = Table::new(
        "The paper's figures beside these",
        &["what", "with", "the paper", "here"],
        &[],
    );
    let mut add = |what: &str, with: &str, paper: &str, here: Option<String>| {
        if let Some(here) = here {
            table.row([what, with, paper, &here].map(str::to_owned).into(), None);
        }
    };
    add(
        "the eleven register writes of an LBA48 command",
        "piix3-batches-doorbell",
        "eleven exits became one",
        registers(report),
    );
    let alone = |ours: &str, phase: &str| gain(report, [STOCK, ours], "blocks", phase);
    let ours = "piix3-libata-taskfile-doorbell";
    add(
        "register writes in batches: block write",
        ours,
        "less CPU time, throughput hardly changed",
        alone(ours, "write-direct-4k"),
    );
    let pair = |a: &str, b: &str| Some(format!("{}; then {}", rate(report, a)?, rate(report, b)?));
    add(
        "the guest's own clock at 100 Hz and not 1000 Hz",
        "piix3-hz-100-off",
        "proposed, without a figure",
        pair("piix3-hz-1000-off", "piix3-hz-100-off"),
    );
    add(
        "a guest of 1000 Hz that the host gives 100 Hz",
        "pit-100",
        "disk throughput rose",
        pair("pit-0", "pit-100"),
    );
    let accesses = |variant| Some(report.cost(variant, "boot", "boot")?.io_exits);
    let both = || Some((accesses("i386-stock")?, accesses("i386-pmtmr-verify")?));
    add(
        "the PM timer's rate is not checked",
        "i386-pmtmr-verify",
        "block-write throughput rose somewhat",
        both().map(|(before, after)| then("port accesses in a boot", before, after)),
    );
    let reads = |variant| Some(report.phase(variant, "idle", "idle")?.pm_timer());
    let both = || Some((reads("pmtimer-stock")?, reads("pmtimer-pmtmr-read")?));
    add(
        "the PM timer is read once",
        "pmtimer-pmtmr-read",
        "acpi_pm_read is a hot function",
        both().map(|(before, after)| then("reads by an idle guest", before, after)),
    );
    let ours = "piix3-elevator-noop-doorbell";
    for (what, paper, phase) in [
        ("write", "throughput +6.01 %", "write-buffered-4k"),
        ("read", "throughput +5.64 %", "read-buffered-4k"),
    ] {
        add(
            &format!("no I/O scheduler: block {what}"),
            ours,
            paper,
            alone(ours, phase),
        );
    }
    for (card, strip) in [("rtl8139", "napi-8139cp"), ("e1000", "napi-e1000")] {
        let names = [format!("qemu-{card}-stock"), format!("qemu-{card}-{strip}")];
        let [before, after] = &names;
        for phase in ["receive", "send"] {
            add(
                &format!("{card} without NAPI: {phase}"),
                after,
                "network throughput more than +60 %",
                gain(report, [before, after], "network", phase),
            );
        }
    }
    let table = table.note("The paper: Core 2 Quad, KVM-76, Linux 2.6.27, throughput by the clock. That the same is done in 1.06 times less time is +6 % of throughput.");
    if report.run(ours, "blocks").is_none() {
        return table;
    }
    table.note("The scheduler: the paper's guests had CFQ, which waits for more requests. From 5.0 on a disk like this has mq-deadline, which does not wait, so there is less to gain.")
}

/// The registers alone: what else the command does is shown with the commands.
fn registers(report: &Report) -> Option<String> {
    let find = |variant: &str| report.phase(variant, "commands", "write-far");
    let (before, after) = (find("piix3-stock")?, find("piix3-batches-doorbell")?);
    let batches = after.cost.batches.get(&11).copied().unwrap_or_default();
    Some(format!(
        "{} writes of the task file, then {} and {batches} batch of eleven",
        before.events("task-file"),
        after.events("task-file"),
    ))
}

fn rate(report: &Report, variant: &str) -> Option<String> {
    let run = report.run(variant, "idle")?;
    let exits = run.phase("idle")?.cost.exits;
    Some(format!(
        "{:.0} interrupts a second, {} exits",
        rate_of(&run.facts)?,
        number(exits)
    ))
}

fn gain(
    report: &Report,
    [before, after]: [&str; 2],
    workload: &str,
    phase: &str,
) -> Option<String> {
    let before = report.cost(before, workload, phase)?;
    let after = report.cost(after, workload, phase)?;
    let time = ratio(before.nanoseconds, after.nanoseconds)?;
    let exits = then("exits", before.exits, after.exits);
    Some(format!("{time:.2} times less time; {exits}"))
}

/// What became of a count.
fn then(what: &str, before: u64, after: u64) -> String {
    format!("{} {what}, then {}", number(before), number(after))
}
