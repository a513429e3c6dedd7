//! What the series promises, by KVM's tracepoints and counters.

use crate::check::Check;
use crate::measure::figures::{Class, rate_of};
use crate::measure::report::{PhaseReport, Report, RunReport};

/// All that the runs of the report can show.
pub fn promises(report: &Report) -> Vec<Check> {
    let mut checks = Vec::new();
    for bus in ["legacy", "piix3"] {
        for transport in ["doorbell", "tunnel", "vmcall"] {
            let (stock, ours) = (format!("{bus}-stock"), format!("{bus}-batches-{transport}"));
            checks.extend(command(report, &stock, &ours, "write-sector", 6));
            checks.extend(command(report, &stock, &ours, "write-far", 11));
        }
    }
    for (phase, registers) in [("write-sector", 6), ("write-far", 11)] {
        checks.extend(zone(report, phase, registers));
    }
    checks.extend(blocks(report));
    checks.extend(rate_check(report));
    checks.extend(one_read(report));
    checks.extend(no_delay(report));
    checks.extend(ticks(report));
    checks
}

/// Polls of the PIT by which a 32-bit kernel checks the PM timer's rate: each is an exit, and 30 ms have more than this.
const POLLS: u64 = 100;

/// Without the check the boot has fewer port accesses.
fn rate_check(report: &Report) -> Option<Check> {
    let boot = |variant| report.cost(variant, "boot", "boot");
    let (before, after) = (boot("i386-stock")?, boot("i386-pmtmr-verify")?);
    let seen = format!(
        "{} port accesses that left the guest, then {}",
        before.io_exits, after.io_exits
    );
    let holds = before.io_exits > after.io_exits + POLLS;
    let name = "the PM timer's rate is not checked while booting";
    Some(Check::new("i386-pmtmr-verify", name, holds, seen))
}

/// A clock of a chip that Linux distrusts is read three times, and more often where the order is wrong.
fn one_read(report: &Report) -> Option<Check> {
    let reads = |variant| Some(report.phase(variant, "idle", "idle")?.pm_timer());
    let (before, after) = (reads("pmtimer-stock")?, reads("pmtimer-pmtmr-read")?);
    let holds = after > 0 && before * 2 > after * 5;
    let name = "the PM timer is read once and not three times";
    let seen = format!("{before} reads by an idle guest, then {after}");
    Some(Check::new("pmtimer-pmtmr-read", name, holds, seen))
}

/// A PIT that is set anew for each tick is not waited for.
fn no_delay(report: &Report) -> Option<Check> {
    let delays = |variant| Some(report.phase(variant, "idle", "idle")?.delays());
    let (before, after) = (delays("oneshot-stock")?, delays("oneshot-io-delay")?);
    let name = "no delay at port 0x80";
    let seen = format!("{before} writes to it by an idle guest, then {after}");
    Some(Check::new(
        "oneshot-io-delay",
        name,
        before > 0 && after == 0,
        seen,
    ))
}

/// One command: its registers, and by PIO its first sector, are one exit each now.
fn command(report: &Report, stock: &str, ours: &str, phase: &str, registers: usize) -> Vec<Check> {
    let place = |variant| report.phase(variant, "commands", phase);
    let (Some(before), Some(after)) = (place(stock), place(ours)) else {
        return Vec::new();
    };
    let name = |what: &str| format!("{phase}: {what}");
    let saved = |what: &str| (before.events(what), after.events(what));
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
    let events = |phase: &PhaseReport| phase.traced.values().sum::<u64>();
    let counted = |phase: &PhaseReport| phase.cost.io_and_hypercalls();
    let fell = counted(before).saturating_sub(counted(after));
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

/// Registers that KVM collects by itself do not reach user space, but they leave the guest as before.
fn zone(report: &Report, phase: &str, registers: u64) -> Option<Check> {
    let place = |variant| report.phase(variant, "commands", phase);
    let (before, after) = (place("legacy-stock")?, place("legacy-zone")?);
    let (user, events) = (after.cost.user_exits, after.events("task-file"));
    let holds = user + registers <= before.cost.user_exits && events == before.events("task-file");
    let name = format!("{phase}: KVM collects {registers} registers, which leave the guest");
    let seen = format!(
        "{} exits to user space before, {user} now, and {events} writes of the task file",
        before.cost.user_exits
    );
    Some(Check::new("legacy-zone", name, holds, seen))
}

/// Whole workloads: fewer exits in every phase that writes or reads, for KVM and for the VMM.
fn blocks(report: &Report) -> Vec<Check> {
    let mut checks = Vec::new();
    for bus in ["piix3", "piix3-large", "legacy"] {
        let Some(stock) = report.run(&format!("{bus}-stock"), "blocks") else {
            continue;
        };
        let ours = |run: &&RunReport| {
            run.workload == "blocks"
                && run.kib == stock.kib
                && ["batches-", "default-", "all-"]
                    .iter()
                    .any(|how| run.variant.starts_with(&format!("{bus}-{how}")))
                && !run.variant.ends_with("-off")
        };
        for run in report.runs.iter().filter(ours) {
            let mut seen = Vec::new();
            let mut holds = true;
            for phase in stock.phases.iter().filter(|p| p.name != "boot") {
                let (name, before) = (&phase.name, &phase.cost);
                let Some(PhaseReport { cost, .. }) = run.phase(name) else {
                    holds = false;
                    seen.push(format!("{name} was not measured"));
                    continue;
                };
                holds &= cost.user_exits < before.user_exits
                    && cost.io_and_hypercalls() < before.io_and_hypercalls()
                    && cost.class(Class::Batch) > 0;
                seen.push(format!(
                    "{name} {} to {} (KVM: {} to {})",
                    before.user_exits,
                    cost.user_exits,
                    before.io_and_hypercalls(),
                    cost.io_and_hypercalls()
                ));
            }
            let name = "fewer exits to user space in each phase";
            let holds = holds && !seen.is_empty();
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
        ("pmtimer-stock", 250.0),
        ("pmtimer-pmtmr-read", 250.0),
        ("oneshot-stock", 250.0),
        ("oneshot-io-delay", 250.0),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::measure::figures::{Cost, PortRow};

    fn run(variant: &str, workload: &str, phases: Vec<PhaseReport>) -> RunReport {
        RunReport {
            variant: variant.to_owned(),
            workload: workload.to_owned(),
            phases,
            ..RunReport::default()
        }
    }

    fn failing(runs: &[RunReport]) -> Vec<String> {
        let report = Report {
            runs: runs.to_vec(),
            ..Report::default()
        };
        let bad = promises(&report).into_iter().filter(|check| !check.holds);
        bad.map(|check| check.name).collect()
    }

    /// One command with this many events, of which KVM's counters see as many.
    fn command(
        name: &str,
        traced: &[(&'static str, u64)],
        batches: &[(usize, u64)],
    ) -> PhaseReport {
        PhaseReport {
            name: name.to_owned(),
            cost: Cost {
                io_exits: traced.iter().map(|(_, count)| count).sum(),
                batches: batches.iter().copied().collect(),
                ..Cost::default()
            },
            traced: traced.iter().copied().collect(),
            ..PhaseReport::default()
        }
    }

    fn commands() -> [RunReport; 2] {
        let stock = [("task-file", 8), ("status", 9), ("data", 256)];
        let ours = [("task-file", 2), ("status", 9), ("batch", 2)];
        let stock = command("write-sector", &stock, &[]);
        let ours = command("write-sector", &ours, &[(6, 1), (1, 1)]);
        [
            run("legacy-stock", "commands", vec![stock]),
            run("legacy-batches-doorbell", "commands", vec![ours]),
        ]
    }

    #[test]
    fn a_command_that_is_one_exit_is_seen_by_three_checks() {
        assert_eq!(failing(&commands()), [""; 0]);
        let report = Report {
            runs: commands().to_vec(),
            ..Report::default()
        };
        assert_eq!(promises(&report).len(), 3);
    }

    #[test]
    fn a_command_that_costs_more_is_seen() {
        let failing_with = |harm: fn(&mut PhaseReport)| {
            let mut runs = commands();
            harm(&mut runs[1].phases[0]);
            failing(&runs)
        };
        let registers = "write-sector: 6 registers are one batch, which is one exit";
        let data = "write-sector: a sector's 256 words are in a batch";
        let agree = "write-sector: counters and tracepoints agree";
        assert_eq!(
            failing_with(|p| {
                p.traced.insert("task-file", 3);
                p.cost.io_exits += 1;
            }),
            [registers]
        );
        assert_eq!(
            failing_with(|p| p.cost.batches = [(5, 1), (1, 1)].into()),
            [registers]
        );
        assert_eq!(
            failing_with(|p| {
                p.traced.insert("data", 1);
                p.cost.io_exits += 1;
            }),
            [data]
        );
        // KVM counts what its tracepoints do not show.
        assert_eq!(failing_with(|p| p.cost.io_exits += 1), [agree]);
        assert_eq!(failing_with(|p| p.cost.io_exits -= 2), [agree]);
    }

    #[test]
    fn a_zone_that_collects_nothing_is_seen() {
        let with = |user_exits, events| {
            let command = |user_exits, events| PhaseReport {
                cost: Cost {
                    user_exits,
                    ..Cost::default()
                },
                ..command("write-far", &[("task-file", events)], &[])
            };
            failing(&[
                run("legacy-stock", "commands", vec![command(278, 13)]),
                run("legacy-zone", "commands", vec![command(user_exits, events)]),
            ])
        };
        assert_eq!(with(266, 13), [""; 0]);
        let name = ["write-far: KVM collects 11 registers, which leave the guest"];
        assert_eq!(with(278, 13), name);
        assert_eq!(with(266, 2), name);
    }

    fn written(user_exits: u64, io_exits: u64, batches: u64) -> PhaseReport {
        PhaseReport {
            name: "write-direct-4k".to_owned(),
            cost: Cost {
                user_exits,
                io_exits,
                classes: [(Class::Batch, batches)].into(),
                ..Cost::default()
            },
            ..PhaseReport::default()
        }
    }

    #[test]
    fn a_workload_must_cost_less_in_each_phase() {
        let with = |ours: Vec<PhaseReport>| {
            failing(&[
                run("piix3-stock", "blocks", vec![written(26, 26, 0)]),
                run("piix3-default-doorbell", "blocks", ours),
            ])
        };
        let name = ["fewer exits to user space in each phase"];
        assert_eq!(with(vec![written(20, 20, 2)]), [""; 0]);
        assert_eq!(with(vec![written(26, 20, 2)]), name);
        assert_eq!(with(vec![written(20, 26, 2)]), name);
        assert_eq!(with(vec![written(20, 20, 0)]), name);
        assert_eq!(with(Vec::new()), name);
    }

    #[test]
    fn a_clock_that_ticks_at_another_rate_is_seen() {
        let with = |ticks: &str| {
            let mut idle = run("pit-100", "idle", Vec::new());
            let facts = [("ticks_idle", ticks), ("seconds_idle", "5.0")];
            idle.facts = facts.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
            failing(&[idle])
        };
        assert_eq!(with("505"), [""; 0]);
        let name = ["100 timer interrupts a second"];
        assert_eq!(with("5000"), name);
        assert_eq!(with("50"), name);
        let silent = RunReport {
            facts: BTreeMap::new(),
            ..run("pit-100", "idle", Vec::new())
        };
        assert_eq!(failing(&[silent]), name);
    }

    #[test]
    fn reads_and_writes_that_should_be_gone_are_seen() {
        let idle = |variant: &str, reason: &str, port, exits| {
            let phase = PhaseReport {
                name: "idle".to_owned(),
                ports: vec![PortRow {
                    reason: reason.to_owned(),
                    port: Some(port),
                    exits,
                    nanoseconds: 0,
                }],
                ..PhaseReport::default()
            };
            run(variant, "idle", vec![phase])
        };
        let reads = |before, after| {
            [
                idle("pmtimer-stock", "in", 0x608, before),
                idle("pmtimer-pmtmr-read", "in", 0x608, after),
            ]
        };
        let delays = |before, after| {
            [
                idle("oneshot-stock", "out", 0x80, before),
                idle("oneshot-io-delay", "out", 0x80, after),
            ]
        };
        // Of other guests it is not asked how often they tick.
        let seen = |runs: &[RunReport]| -> Vec<String> {
            let ticks = |name: &String| name.contains("interrupts a second");
            failing(runs).into_iter().filter(|n| !ticks(n)).collect()
        };
        assert_eq!(seen(&reads(30, 10)), [""; 0]);
        assert_eq!(seen(&delays(10, 0)), [""; 0]);
        let name = ["the PM timer is read once and not three times"];
        assert_eq!(seen(&reads(30, 30)), name);
        assert_eq!(seen(&reads(0, 0)), name);
        let name = ["no delay at port 0x80"];
        assert_eq!(seen(&delays(10, 1)), name);
        assert_eq!(seen(&delays(0, 0)), name);
    }
}
