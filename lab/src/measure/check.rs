//! What must hold: no data is lost, no kernel complains, runs repeat, and the savings are there.

use std::collections::BTreeMap;

use super::figures::{Class, Cost};
use super::plan::{Guest, Run, Workload};
use super::report::Report;
use crate::boot::Check;
use crate::boot::check::console;
use crate::console::{messages, warnings};
use crate::kvm_host::{Done, Vmm};

/// What each guest must do, and what guests must have in common.
pub fn guests(runs: &[Run], done: &[Done]) -> Vec<Check> {
    let mut checks = Vec::new();
    for (run, done) in runs.iter().zip(done) {
        let name = run.name();
        let complaints = warnings(&done.console);
        let seen = match complaints.as_slice() {
            [] => "none".to_owned(),
            lines => lines.join("\n"),
        };
        checks.push(Check::new(
            &name,
            "no warnings of the kernel",
            complaints.is_empty(),
            seen,
        ));
        checks.extend(data(&name, run.workload, done));
    }
    checks.extend(disks(runs, done));
    checks.extend(again(runs, done));
    checks.extend(consoles(runs, done));
    checks
}

/// Everything that was read is what had been written.
fn data(place: &str, workload: Workload, done: &Done) -> Option<Check> {
    let pairs: Vec<(&str, Vec<&str>)> = match workload {
        Workload::Commands => vec![("sum_wrote-sector", vec!["sum_read-sector", "sum_read-far"])],
        Workload::Blocks(_) => vec![(
            "sum_data",
            vec![
                "sum_read-direct-4k",
                "sum_read-buffered-4k",
                "sum_read-direct-128k",
                "sum_read-buffered-128k",
            ],
        )],
        Workload::Network { .. } => vec![("sum_data", vec!["sum_receive", "sum_send"])],
        Workload::Files(_) | Workload::Idle(_) => return None,
    };
    let facts = &done.facts;
    let mut wrong = Vec::new();
    for (wrote, reads) in pairs {
        let expected = facts.get(wrote);
        if expected.len() != 64 {
            wrong.push(format!("{wrote} is `{expected}`"));
        }
        for read in reads {
            if facts.get(read) != expected {
                wrong.push(format!("{read} is `{}`, not {expected}", facts.get(read)));
            }
        }
    }
    let seen = match wrong.as_slice() {
        [] => "equal sums".to_owned(),
        lines => lines.join("\n"),
    };
    Some(Check::new(
        place,
        "reads what was written",
        wrong.is_empty(),
        seen,
    ))
}

/// The same workload leaves the same disk, whoever ran it. (A file system writes the time.)
fn disks(runs: &[Run], done: &[Done]) -> Option<Check> {
    let mut groups: BTreeMap<String, Vec<(&str, &str)>> = BTreeMap::new();
    for (run, done) in runs.iter().zip(done) {
        if matches!(run.workload, Workload::Commands | Workload::Blocks(_)) {
            let sum = done.disk.as_deref().unwrap_or("nothing");
            let group = groups.entry(run.workload.parameters()).or_default();
            group.push((done.name.as_str(), sum));
        }
    }
    let mut wrong = Vec::new();
    for group in groups.values() {
        let Some((first, expected)) = group.first() else {
            continue;
        };
        for (name, sum) in group {
            if sum != expected || sum.len() < 64 {
                wrong.push(format!("{name}: {sum}, {first}: {expected}"));
            }
        }
    }
    let compared: usize = groups.values().map(Vec::len).sum();
    let seen = match wrong.as_slice() {
        [] => format!("{compared} disks, {} workloads", groups.len()),
        lines => lines.join("\n"),
    };
    let name = "the same workload leaves the same disk";
    // Network cards alone leave nothing to compare.
    (compared > 0).then(|| Check::new("all", name, wrong.is_empty(), seen))
}

/// A run made twice is the same to the last digit.
fn again(runs: &[Run], done: &[Done]) -> Vec<Check> {
    let mut checks = Vec::new();
    for (run, second) in runs.iter().zip(done).filter(|(run, _)| run.again) {
        let first = Run {
            again: false,
            ..run.clone()
        };
        let Some(first) = done.iter().find(|done| done.name == first.name()) else {
            continue;
        };
        let mut wrong = Vec::new();
        if first.phases.len() != second.phases.len() {
            wrong.push("another number of phases".to_owned());
        }
        for (a, b) in first.phases.iter().zip(&second.phases) {
            if (a.nanoseconds, &a.kvm, &a.places, &a.trace)
                != (b.nanoseconds, &b.kvm, &b.places, &b.trace)
            {
                wrong.push(format!(
                    "{}: {:?}, then {:?}",
                    a.name,
                    Cost::of(a),
                    Cost::of(b)
                ));
            }
        }
        let seen = match wrong.as_slice() {
            [] => {
                let total: u64 = first.phases.iter().map(|p| p.nanoseconds).sum();
                format!("{} phases, {total} instructions", first.phases.len())
            }
            lines => lines.join("\n"),
        };
        let name = "a second run is the same to the last digit";
        checks.push(Check::new(&second.name, name, wrong.is_empty(), seen));
    }
    checks
}

/// What kernels say, compared with the stock one on the same machine.
fn consoles(runs: &[Run], done: &[Done]) -> Vec<Check> {
    let bus = |run: &Run| match run.variant.vmm {
        Vmm::Xkvm { disk_bus, .. } => Some(disk_bus),
        Vmm::Qemu { .. } => None,
    };
    let all: Vec<(&Run, &Done)> = runs.iter().zip(done).collect();
    let compared = all.iter().filter(|(run, _)| {
        run.workload == Workload::Commands && run.variant.guest != Guest::Stock && !run.again
    });
    let mut checks = Vec::new();
    for (run, done) in compared {
        let stock = all.iter().find(|(stock, _)| {
            stock.workload == Workload::Commands
                && stock.variant.guest == Guest::Stock
                && bus(stock).is_some()
                && bus(stock) == bus(run)
        });
        let Some((_, stock)) = stock else { continue };
        let said = (messages(&stock.console), messages(&done.console));
        checks.push(console(&done.name, &said.0, &said.1));
    }
    checks
}

/// What the series promises, by KVM's tracepoints and counters.
pub fn promises(report: &Report) -> Vec<Check> {
    let mut checks = Vec::new();
    for bus in ["legacy", "piix3"] {
        for transport in ["doorbell", "tunnel", "vmcall"] {
            let (stock, ours) = (format!("{bus}-stock"), format!("{bus}-batches-{transport}"));
            checks.extend(command(report, &stock, &ours, "write-sector", 6));
            checks.extend(command(report, &stock, &ours, "write-far", 11));
        }
    }
    checks.extend(blocks(report));
    checks.extend(ticks(report));
    checks
}

/// One command: its registers, and by PIO its first sector, are one exit each now.
fn command(report: &Report, stock: &str, ours: &str, phase: &str, registers: usize) -> Vec<Check> {
    let place = |variant| {
        report
            .run(variant, "commands")
            .and_then(|run| run.phase(phase))
    };
    let (Some(before), Some(after)) = (place(stock), place(ours)) else {
        return Vec::new();
    };
    let name = |what: &str| format!("{phase}: {what}");
    let saved = |what: &str| {
        let of = |phase: &super::report::PhaseReport| {
            phase.traced.get(what).copied().unwrap_or_default()
        };
        (of(before), of(after))
    };
    let mut checks = Vec::new();
    let (was, is) = saved("task-file");
    let (_, seen) = saved("batch");
    let sizes = &after.cost.batches;
    let of_registers = sizes.get(&registers).copied().unwrap_or_default();
    let holds =
        was == is + registers as u64 && of_registers == 1 && seen == sizes.values().sum::<u64>();
    let seen = format!(
        "{was} writes of the task file before, {is} now, and {seen} batches, by entries {sizes:?}"
    );
    let what = format!("{registers} registers are one batch, which is one exit");
    checks.push(Check::new(ours, name(&what), holds, seen));
    let (was, is) = saved("data");
    if was > 0 {
        let seen = format!("{was} exits of the data port before, {is} now");
        let holds = was == 256 && is == 0;
        checks.push(Check::new(
            ours,
            name("a sector's 256 words are in a batch"),
            holds,
            seen,
        ));
    }
    // KVM's own counters must have seen the same; a string instruction they see once more, when nothing is left of it.
    let events = |phase: &super::report::PhaseReport| phase.traced.values().sum::<u64>();
    let counted = |cost: &Cost| cost.io_exits + cost.hypercalls;
    let fell = counted(&before.cost).saturating_sub(counted(&after.cost));
    let traced = events(before).saturating_sub(events(after));
    let seen = format!("{fell} fewer by KVM's counters, {traced} by its tracepoints");
    checks.push(Check::new(
        ours,
        name("counters and tracepoints agree"),
        traced > 0 && (traced..=traced + u64::from(was > 0)).contains(&fell),
        seen,
    ));
    checks
}

/// Whole workloads: fewer exits in every phase that writes or reads.
fn blocks(report: &Report) -> Vec<Check> {
    let mut checks = Vec::new();
    for bus in ["piix3", "legacy"] {
        let Some(stock) = report.run(&format!("{bus}-stock"), "blocks") else {
            continue;
        };
        let ours = |run: &&super::report::RunReport| {
            run.workload == "blocks"
                && run.kib == stock.kib
                && ["batches-", "default-"]
                    .iter()
                    .any(|how| run.variant.starts_with(&format!("{bus}-{how}")))
                && !run.variant.ends_with("-off")
        };
        for run in report.runs.iter().filter(ours) {
            let mut seen = Vec::new();
            let mut holds = !run.phases.is_empty();
            for phase in run.phases.iter().filter(|p| p.name != "boot") {
                let Some(before) = stock.phase(&phase.name) else {
                    continue;
                };
                let (was, is) = (before.cost.user_exits, phase.cost.user_exits);
                holds &= is < was && phase.cost.class(Class::Batch) > 0;
                seen.push(format!("{} {was} to {is}", phase.name));
            }
            let name = "fewer exits to user space in each phase";
            checks.push(Check::new(&run.variant, name, holds, seen.join(", ")));
        }
    }
    checks
}

/// Timer interrupts a second that guests count themselves.
fn ticks(report: &Report) -> Vec<Check> {
    let wanted = [
        ("piix3-hz-1000-off", 1000.0),
        ("piix3-stock", 250.0),
        ("piix3-hz-100-off", 100.0),
        ("pit-0", 1000.0),
        ("pit-100", 100.0),
    ];
    let mut checks = Vec::new();
    for (variant, rate) in wanted {
        let Some(run) = report.run(variant, "idle") else {
            continue;
        };
        let seen = rate_of(&run.facts);
        let holds = seen.is_some_and(|seen| (seen - rate).abs() <= rate * 0.05 + 2.0);
        let said = seen.map_or("nothing was said".to_owned(), |seen| format!("{seen:.0}"));
        let name = format!("{rate} timer interrupts a second");
        checks.push(Check::new(variant, name, holds, said));
    }
    checks
}

/// Timer interrupts a second of an idle guest.
pub fn rate_of(facts: &BTreeMap<String, String>) -> Option<f64> {
    let number = |key: &str| facts.get(key)?.parse::<f64>().ok();
    let seconds = number("seconds_idle").filter(|s| *s > 0.0)?;
    Some(number("ticks_idle")? / seconds)
}
