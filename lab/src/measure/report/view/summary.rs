//! The first table: each promise in one line.

use super::super::table::{Table, number, times};
use crate::measure::report::{Report, RunReport};

/// What is done, by which workload, in which phases, by whom without the series, by whom with it.
type Line = (String, &'static str, &'static str, String, String);

pub fn table(report: &Report) -> Table {
    let mut table = Table::new(
        "In short",
        &["what is done", "with"],
        &[
            "exits before",
            "now",
            "times fewer",
            "to user space before",
            "now",
            "times fewer",
        ],
    );
    for (what, workload, phases, before, now) in lines(report) {
        let (Some(stock), Some(ours)) = (report.run(&before, workload), report.run(&now, workload))
        else {
            continue;
        };
        let (stock, ours) = (sum(stock, phases), sum(ours, phases));
        table.row(
            vec![
                what,
                now,
                number(stock.0),
                number(ours.0),
                times(Some(stock.0), ours.0),
                number(stock.1),
                number(ours.1),
                times(Some(stock.1), ours.1),
            ],
            None,
        );
    }
    table
        .note("2 ×: directly and through the page cache, in blocks of 128 KiB; 4 ×: in blocks of 4 KiB, too.")
        .note("An exit leaves the guest for KVM; most of those that go on to user space, to the VMM, are what the series saves. What remains, and why, is told below.")
}

/// Exits, and those to user space, of all phases whose names begin so.
fn sum(run: &RunReport, phases: &str) -> (u64, u64) {
    let named = run
        .phases
        .iter()
        .filter(|p| p.name != "boot" && p.name.starts_with(phases));
    named.fold((0, 0), |(exits, user), phase| {
        (exits + phase.cost.exits, user + phase.cost.user_exits)
    })
}

fn lines(report: &Report) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (what, phase, bus) in [
        ("a sector written by PIO", "write-sector", "legacy"),
        (
            "a sector behind 128 GiB written by DMA",
            "write-far",
            "piix3",
        ),
    ] {
        for how in ["doorbell", "tunnel", "vmcall"] {
            let ours = format!("{bus}-batches-{how}");
            lines.push((
                what.to_owned(),
                "commands",
                phase,
                format!("{bus}-stock"),
                ours,
            ));
        }
    }
    for (bus, way) in [("piix3-large", "DMA"), ("piix3", "DMA"), ("legacy", "PIO")] {
        let stock = format!("{bus}-stock");
        let Some(run) = report.run(&stock, "blocks") else {
            continue;
        };
        for (what, phases) in [("written", "write-"), ("read", "read-")] {
            let times = run.phases.iter().filter(|p| p.name.starts_with(phases));
            let what = format!(
                "{} × {} KiB {what} by {way}",
                times.count(),
                number(run.kib.unwrap_or(0).into())
            );
            for how in [
                "batches-doorbell",
                "default-doorbell",
                "default-tunnel",
                "default-vmcall",
                "all-doorbell",
            ] {
                let ours = format!("{bus}-{how}");
                lines.push((what.clone(), "blocks", phases, stock.clone(), ours));
            }
        }
    }
    let more = [
        (
            "many small files",
            "files",
            "piix3-stock",
            "piix3-default-doorbell",
        ),
        (
            "an idle guest of 1000 Hz, given 100",
            "idle",
            "pit-0",
            "pit-100",
        ),
        (
            "data and pings by rtl8139",
            "network",
            "qemu-rtl8139-stock",
            "qemu-rtl8139-all",
        ),
        (
            "data and pings by e1000",
            "network",
            "qemu-e1000-stock",
            "qemu-e1000-all",
        ),
    ];
    lines.extend(more.map(|(what, workload, before, now)| {
        (
            what.to_owned(),
            workload,
            "",
            before.to_owned(),
            now.to_owned(),
        )
    }));
    lines
}
