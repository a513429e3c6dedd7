//! Blocks written and read: all of it, and what one command still costs.

use super::super::table::{Table, each, number, times};
use super::{FEWER, LESS, work};
use crate::measure::figures::Class;
use crate::measure::report::{PhaseReport, Report, RunReport};

/// Bytes of a block, by the name of its phase.
fn block_kib(phase: &str) -> Option<u64> {
    phase.rsplit_once('-')?.1.strip_suffix('k')?.parse().ok()
}

/// How many blocks a phase of the run moves.
fn blocks(run: &RunReport, phase: &str) -> u64 {
    let kib = run.kib.map_or(0, u64::from);
    block_kib(phase).map_or(0, |size| kib / size)
}

/// How the names of runs begin that are compared with each other, and how their data goes. The first that fits counts.
const GROUPS: [(&str, &str); 4] = [
    ("piix3-large-", "by DMA"),
    ("piix3-", "by DMA"),
    ("legacy-", "by PIO"),
    ("qemu-", "on QEMU"),
];

/// Whether the run is of this group, and not one of a recipe alone.
fn is_of(group: &str, run: &RunReport) -> bool {
    let mut groups = GROUPS.iter();
    let first = groups.find(|(names, _)| run.variant.starts_with(names));
    run.workload == "blocks"
        && ["stock", "batches", "default", "all"].contains(&run.guest.as_str())
        && !run.variant.contains("-small-")
        && first.is_some_and(|(names, _)| *names == group)
}

pub fn tables(report: &Report) -> Vec<Table> {
    let tables = GROUPS.map(|(group, way)| of_group(report, group, way));
    tables.into_iter().flatten().collect()
}

fn of_group(report: &Report, group: &str, way: &str) -> Option<Table> {
    let runs = report.runs.iter().filter(|run| is_of(group, run));
    let runs: Vec<&RunReport> = runs.collect();
    let first = runs.first()?;
    let mut table = Table::new(
        &format!(
            "{} KiB written and read {way}",
            number(first.kib.unwrap_or(0).into())
        ),
        &["phase", "variant"],
        &[
            "exits",
            "new pages",
            "to user space",
            FEWER,
            "to user space a block",
            work(report),
            LESS,
        ],
    )
    .drawing("to user space");
    let stock = match group {
        "qemu-" => "qemu-ide-stock".to_owned(),
        group => format!("{group}stock"),
    };
    let base = report.run(&stock, "blocks");
    for phase in first.phases.iter().filter(|p| p.name != "boot") {
        let name = &phase.name;
        for run in &runs {
            let Some(PhaseReport { cost, .. }) = run.phase(name) else {
                continue;
            };
            let before = base.and_then(|b| b.phase(name)).map(|p| &p.cost);
            let cells = vec![
                name.clone(),
                run.variant.clone(),
                number(cost.exits),
                number(cost.pages),
                number(cost.user_exits),
                times(before.map(|b| b.user_exits), cost.user_exits),
                each(cost.user_exits, blocks(run, name)),
                number(cost.nanoseconds),
                times(before.map(|b| b.nanoseconds), cost.nanoseconds),
            ];
            table.row(cells, Some(cost.user_exits));
        }
    }
    let table = table.note("new pages: exits in which KVM maps memory, most when the guest touches a page for the first time. Every kernel pays them, but not always in the same phase: where one has many more than another, its phase takes longer by that.");
    let table = match runs.iter().any(|run| run.variant.ends_with("-vmcall")) {
        true => table.note("vmcall runs on another host kernel, whose speed differs a little."),
        false => table,
    };
    Some(table.note(if report.exact {
        "The same data is moved, so how many times less time is the ratio of throughput. A switch between guest and host counts as one instruction here; on hardware it costs some thousand cycles, so there fewer exits save more time."
    } else {
        "Times of single runs; compare them with care."
    }))
}

/// What the exits of one command are for.
pub fn remains(report: &Report) -> Table {
    let mut head: Vec<&str> = vec!["exits", "interrupts"];
    head.extend(Class::ALL.map(Class::title));
    head.extend(["I/O in KVM", "other in KVM"]);
    let mut table = Table::new(
        "What the exits of one command are for, and what remains",
        &["phase", "variant"],
        &head,
    )
    .drawing("exits of a command");
    let of = |group| report.runs.iter().filter(move |run| is_of(group, run));
    let small = ["piix3-", "legacy-"].into_iter().flat_map(of);
    let small = small.map(|run| (run, ["write-direct-4k", "read-direct-4k"]));
    // Much data goes in large blocks only, each of which is one command, too.
    let large = of("piix3-large-");
    let large = large.map(|run| (run, ["write-direct-128k", "read-direct-128k"]));
    for (run, names) in small.chain(large) {
        for name in names {
            let Some(PhaseReport { cost, .. }) = run.phase(name) else {
                continue;
            };
            let commands = blocks(run, name);
            let mut cells = vec![name.to_owned(), run.variant.clone()];
            cells.extend([cost.exits, cost.interrupts].map(|n| each(n, commands)));
            cells.extend(Class::ALL.map(|class| each(cost.class(class), commands)));
            let classes: u64 = cost.classes.values().sum();
            let left = cost.io_and_hypercalls() + cost.class(Class::Mmio);
            let io = left.saturating_sub(classes);
            cells.push(each(io, commands));
            // Nothing is known if one of these is counted twice.
            let rest = cost.exits.checked_sub(cost.interrupts + classes + io);
            cells.push(rest.map_or("-".to_owned(), |rest| each(rest, commands)));
            // Bars are whole numbers, and averages need not be.
            table.row(cells, (cost.exits * 100).checked_div(commands));
        }
    }
    // By phase, so that variants stand below each other.
    table.rows.sort_by(|a, b| b.cells[0].cmp(&a.cells[0]));
    table
        .note("Averages over the commands of a phase; from the task file on these are exits to user space, but for the last two columns.")
        .note("task file: with batches, the drive is selected before the registers, and the command is written after them. A driver that remembers which drive is selected would save the one; by PIO the other could join the batch.")
        .note("data port: written, a word is an exit, unless it is in a batch; read, a sector is one.")
        .note("status: the driver waits for the device, or acknowledges its interrupt; a batch cannot hold a wait yet (poll-until entries are reserved for it).")
        .note("bus master: the start and stop of a transfer are read-modify-write, whose value the guest needs; both could be one exit with a driver that remembers the register.")
        .note("I/O in KVM: port accesses that do not go on to user space: a string instruction once more, when nothing is left of it, and writes that a zone collects.")
        .note("other in KVM: the rest, which KVM handles by itself: new pages of memory, the interrupt controllers, halts.")
        .note("interrupts: KVM takes one of the host's, or lets one into the guest; a device with queues (virtio) raises one for many commands.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_tells_its_block() {
        assert_eq!(block_kib("write-direct-128k"), Some(128));
        assert_eq!(block_kib("write-sector"), None);
    }
}
