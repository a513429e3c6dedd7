//! What each guest must do, and what guests must have in common: no data is lost, no kernel complains, runs repeat.

use std::collections::BTreeMap;

use super::content;
use crate::check::{self, Check};
use crate::console::messages;
use crate::kvm_host::{Done, Vmm};
use crate::measure::figures::{Cost, named};
use crate::measure::plan::{Run, Workload};

/// What each guest must do, and what guests must have in common.
pub fn guests(runs: &[Run], done: &[Done]) -> Vec<Check> {
    let mut checks = Vec::new();
    for (run, done) in runs.iter().zip(done) {
        let name = run.name();
        checks.push(check::quiet(&name, &done.console, None));
        // A guest that hung with its machine has left nothing.
        for console in done.hung.iter().filter(|console| !console.is_empty()) {
            let place = format!("{name}, which hung");
            checks.push(check::quiet(&place, console, None));
        }
        checks.push(phases(&name, run.workload, done));
        checks.extend(data(&name, run.workload, done));
    }
    checks.extend(disks(runs, done));
    checks.extend(again(runs, done));
    checks.extend(consoles(runs, done));
    checks
}

/// Whatever is compared by phase is compared for each of them: none may be missing.
fn phases(place: &str, workload: Workload, done: &Done) -> Check {
    let seen: Vec<&str> = named(done).map(|phase| phase.name.as_str()).collect();
    let wanted: Vec<&str> = ["boot"]
        .into_iter()
        .chain(workload.phases().iter().copied())
        .collect();
    let holds = seen == wanted;
    Check::new(place, "all its phases", holds, seen.join(", "))
}

/// Everything that was read is what had been written, and that is what the guest was told to write.
fn data(place: &str, workload: Workload, done: &Done) -> Option<Check> {
    let facts = &done.facts;
    let failed = facts.iter().filter(|(key, _)| key.starts_with("failed_"));
    let mut wrong: Vec<String> = failed.map(|(key, code)| format!("{key}={code}")).collect();
    let expected = match workload {
        Workload::Commands => content::sectors(1),
        Workload::Blocks(kib) => content::data(kib),
        Workload::Files(count) => {
            // Files in the RAM disk would be read back just as well.
            if !facts.get("mount").is_empty() {
                wrong.push("the file system could not be mounted".to_owned());
            }
            content::files(count)
        }
        Workload::Network { kib, pings, .. } => {
            let answered = facts.get("pings");
            if answered != format!("{pings} of {pings}") {
                wrong.push(format!("pings answered: {answered:?} of {pings}"));
            }
            content::data(kib)
        }
        Workload::Boot | Workload::Idle(_) => return None,
    };
    for what in summed(workload) {
        let sum = facts.get(&format!("sum_{what}"));
        if sum != expected {
            wrong.push(format!("sum_{what} is `{sum}`, not {expected}"));
        }
    }
    let name = "reads what was written";
    Some(Check::none_of(
        place,
        name,
        &wrong,
        "the sums of what was to be written",
    ))
}

/// What the guest tells the sums of.
fn summed(workload: Workload) -> Vec<&'static str> {
    match workload {
        Workload::Commands => vec!["wrote-sector", "read-sector", "read-far"],
        Workload::Blocks(_) => {
            let phases = workload.phases().iter().copied();
            let read = phases.filter(|phase| phase.starts_with("read-"));
            ["data"].into_iter().chain(read).collect()
        }
        Workload::Files(_) => vec!["files"],
        Workload::Network { .. } => vec!["data", "receive", "send"],
        Workload::Boot | Workload::Idle(_) => Vec::new(),
    }
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
    let seen = format!("{compared} disks, {} workloads", groups.len());
    let name = "the same workload leaves the same disk";
    // Network cards alone leave nothing to compare.
    (compared > 0).then(|| Check::none_of("all", name, &wrong, seen))
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
        let total: u64 = first.phases.iter().map(|p| p.nanoseconds).sum();
        let seen = format!("{} phases, {total} instructions", first.phases.len());
        let name = "a second run is the same to the last digit";
        checks.push(Check::none_of(&second.name, name, &wrong, seen));
    }
    checks
}

/// What patched kernels say, compared with the stock one that did the same on the same machine.
fn consoles(runs: &[Run], done: &[Done]) -> Vec<Check> {
    let is_like = |stock: &Run, run: &Run| {
        let (a, b) = (&stock.variant, &run.variant);
        stock.workload == run.workload
            && a.guest == b.guest.stock()
            && a.parameters == b.parameters
            && machine(&a.vmm) == machine(&b.vmm)
    };
    let mut checks = Vec::new();
    for (run, done_by) in runs.iter().zip(done) {
        if !run.variant.guest.is_patched() || run.again {
            continue;
        }
        let mut all = runs.iter().zip(done);
        let Some((_, stock)) = all.find(|(stock, _)| is_like(stock, run)) else {
            continue;
        };
        let (before, now) = (messages(&stock.console), messages(&done_by.console));
        checks.push(check::same_messages(&done_by.name, &before, &now));
    }
    checks
}

/// What a guest sees of the VMM besides the host for batches.
fn machine(vmm: &Vmm) -> String {
    match vmm {
        Vmm::Xkvm {
            disk_bus,
            pm_revision,
            ..
        } => format!("{disk_bus} {pm_revision:?}"),
        Vmm::Qemu { options } => options.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::Facts;
    use crate::kvm_host::Phase;
    use crate::measure::plan;

    const FINE: &str = "[    1.000000] fine\n";

    fn runs(name: &str) -> Vec<Run> {
        let runs = plan::full(true).into_iter();
        runs.filter(|run| run.name().contains(name)).collect()
    }

    /// What a guest leaves with which all is well.
    fn good(run: &Run) -> Done {
        let sum = match run.workload {
            Workload::Commands => content::sectors(1),
            Workload::Blocks(kib) | Workload::Network { kib, .. } => content::data(kib),
            Workload::Files(count) => content::files(count),
            Workload::Boot | Workload::Idle(_) => String::new(),
        };
        let said = summed(run.workload);
        let said = said.iter().map(|what| format!("XKVM sum_{what}={sum}\n"));
        let pings = match run.workload {
            Workload::Network { pings, .. } => format!("XKVM pings={pings} of {pings}\n"),
            _ => String::new(),
        };
        let phases = ["boot"].iter().chain(run.workload.phases()).chain(&["end"]);
        Done {
            name: run.name(),
            console: FINE.to_owned(),
            facts: Facts::parse(&(said.collect::<String>() + &pings)),
            phases: phases
                .map(|name| Phase {
                    name: (*name).to_owned(),
                    ..Phase::default()
                })
                .collect(),
            hung: Vec::new(),
            disk: Some(format!("{} 8", "5".repeat(64))),
        }
    }

    /// Names of what does not hold when this is done to what the last of the runs left.
    fn failing(runs: &[Run], harm: impl Fn(&mut Done)) -> Vec<String> {
        let mut done: Vec<Done> = runs.iter().map(good).collect();
        harm(done.last_mut().expect("a run"));
        let bad = guests(runs, &done).into_iter().filter(|c| !c.holds);
        bad.map(|check| check.name).collect()
    }

    fn say(done: &mut Done, line: &str) {
        let facts = done.facts.iter().map(|(k, v)| format!("XKVM {k}={v}\n"));
        done.facts = Facts::parse(&(facts.collect::<String>() + "XKVM " + line + "\n"));
    }

    #[test]
    fn runs_with_which_all_is_well_pass() {
        for runs in [plan::quick(true), plan::full(true)] {
            assert_eq!(failing(&runs, |_| ()), [""; 0]);
        }
    }

    #[test]
    fn each_sum_that_is_wrong_is_seen() {
        let wrong = ["reads what was written"];
        let sums = [
            ("legacy-stock-commands", "read-far"),
            ("piix3-stock-blocks", "read-direct-128k"),
            ("piix3-stock-files", "files"),
            ("qemu-e1000-stock-network", "send"),
        ];
        for (name, sum) in sums {
            let line = format!("sum_{sum}={}", "0".repeat(64));
            assert_eq!(failing(&runs(name), |done| say(done, &line)), wrong);
        }
        // All are equal, but it is nothing that was written.
        let harm = |done: &mut Done| done.facts = Facts::default();
        assert_eq!(failing(&runs("piix3-stock-blocks"), harm), wrong);
        let harm = |done: &mut Done| say(done, "mount=failed");
        assert_eq!(failing(&runs("piix3-stock-files"), harm), wrong);
        let harm = |done: &mut Done| say(done, "pings=49 of 50");
        assert_eq!(failing(&runs("qemu-e1000-stock-network"), harm), wrong);
        let harm = |done: &mut Done| say(done, "failed_write-direct-4k=1");
        assert_eq!(failing(&runs("piix3-stock-blocks"), harm), wrong);
    }

    #[test]
    fn what_a_guest_said_before_it_hung_counts() {
        let quiet = |done: &mut Done| done.hung = vec![FINE.to_owned(), String::new()];
        assert_eq!(failing(&runs("piix3-stock-blocks"), quiet), [""; 0]);
        let harm = |done: &mut Done| done.hung = vec![format!("{FINE}[    2.000000] BUG: x\n")];
        let name = "no warnings of the kernel";
        assert_eq!(failing(&runs("piix3-stock-blocks"), harm), [name]);
    }

    #[test]
    fn a_phase_that_is_missing_is_seen() {
        let harm = |done: &mut Done| drop(done.phases.remove(2));
        assert_eq!(
            failing(&runs("piix3-stock-blocks"), harm),
            ["all its phases"]
        );
    }

    #[test]
    fn another_disk_and_another_second_run_are_seen() {
        let both = runs("piix3-batches-doorbell-commands");
        assert_eq!(both.len(), 2);
        let harm = |done: &mut Done| done.disk = Some(format!("{} 8", "6".repeat(64)));
        let name = "the same workload leaves the same disk";
        assert_eq!(failing(&both, harm), [name]);
        let harm = |done: &mut Done| done.phases[1].nanoseconds += 1;
        let name = "a second run is the same to the last digit";
        assert_eq!(failing(&both, harm), [name]);
    }

    #[test]
    fn every_patched_kernel_is_compared_with_a_stock_one() {
        let all = plan::full(true);
        let done: Vec<Done> = all.iter().map(good).collect();
        let compared: Vec<String> = consoles(&all, &done).into_iter().map(|c| c.place).collect();
        let patched = all
            .iter()
            .filter(|run| run.variant.guest.is_patched() && !run.again);
        assert_eq!(compared, patched.map(Run::name).collect::<Vec<_>>());
        // The stock one comes first, as the last is harmed.
        let mut alone = runs("piix3-elevator-noop");
        alone.extend(runs("piix3-small"));
        alone.reverse();
        let harm = |done: &mut Done| done.console.push_str("[    2.000000] new\n");
        let name = "messages differ only where intended";
        assert_eq!(failing(&alone, harm), [name]);
    }
}
