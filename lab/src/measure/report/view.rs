//! The tables of a report, for whatever shows them.

use super::{PhaseReport, Report, RunReport};
use crate::measure::figures::{Class, Cost, rate_of, ratio};

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// Heads of the columns.
    pub head: Vec<String>,
    /// How many columns, from the first on, are words.
    pub words: usize,
    /// Its rows.
    pub rows: Vec<Row>,
    /// What the reader must know.
    pub notes: Vec<String>,
}

/// A row.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its cells.
    pub cells: Vec<String>,
    /// A number to draw beside those of the other rows.
    pub bar: Option<u64>,
}

impl Table {
    fn new(title: &str, words: &[&str], numbers: &[&str]) -> Self {
        let head = words.iter().chain(numbers).map(|h| (*h).to_owned());
        Self {
            title: title.to_owned(),
            head: head.collect(),
            words: words.len(),
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn row(&mut self, cells: Vec<String>, bar: Option<u64>) {
        self.rows.push(Row { cells, bar });
    }

    /// Takes out columns in which there is nothing but zeros.
    fn drop_zeros(&mut self) {
        for at in (self.words..self.head.len()).rev() {
            if self.rows.iter().all(|row| row.cells[at] == "0") {
                self.head.remove(at);
                for row in &mut self.rows {
                    row.cells.remove(at);
                }
            }
        }
    }

    fn note(mut self, text: &str) -> Self {
        self.notes.push(text.to_owned());
        self
    }
}

/// All tables that have something to show.
pub fn tables(report: &Report) -> Vec<Table> {
    let mut all = vec![commands(report)];
    all.extend(blocks(report));
    all.extend([
        remains(report),
        functions(report),
        boot(report),
        alone(report),
        files(report),
        ticks(report),
        network(report),
        paper(report),
    ]);
    all.retain(|table| !table.rows.is_empty());
    all.iter_mut().for_each(Table::drop_zeros);
    all
}

/// What a number of time is.
pub fn unit(report: &Report) -> &'static str {
    if report.exact {
        "time is counted in instructions of guest and host together"
    } else {
        "time is in nanoseconds"
    }
}

fn work(report: &Report) -> &'static str {
    if report.exact { "instructions" } else { "ns" }
}

fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `before` in terms of `after`: how many times less.
fn times(before: Option<u64>, after: u64) -> String {
    match before.and_then(|before| ratio(before, after)) {
        Some(ratio) => format!("{ratio:.2}"),
        None => "-".to_owned(),
    }
}

fn events(phase: &PhaseReport, what: &str) -> u64 {
    phase.traced.get(what).copied().unwrap_or_default()
}

fn commands(report: &Report) -> Table {
    const WHAT: [&str; 5] = ["task-file", "data", "status", "bus-master", "batch"];
    let mut table = Table::new(
        "One command of the disk, by KVM's tracepoints",
        &["command", "variant"],
        &[
            "task file",
            "data port",
            "status",
            "bus master",
            "batches",
            "KVM counts",
            "to user space",
            work(report),
        ],
    );
    let runs: Vec<&RunReport> = report
        .runs
        .iter()
        .filter(|r| r.workload == "commands")
        .collect();
    for phase in ["write-sector", "read-sector", "write-far", "read-far"] {
        for run in &runs {
            let Some(found) = run.phase(phase) else {
                continue;
            };
            if run.name.ends_with("-again") {
                continue;
            }
            let mut cells = vec![phase.to_owned(), run.variant.clone()];
            cells.extend(WHAT.map(|what| number(events(found, what))));
            let counted = found.cost.io_exits + found.cost.hypercalls;
            let cost = &found.cost;
            cells.extend([counted, cost.user_exits, cost.nanoseconds].map(number));
            table.row(cells, Some(counted));
        }
    }
    table
        .note("write-sector: 512 bytes, 6 registers; write-far: 512 bytes behind 128 GiB, which takes an LBA48 command of 11 registers. KVM counts: its io_exits and hypercalls.")
        .note("legacy is PIO by the data port, piix3 is DMA; zone: stock guest, KVM collects writes to the task file (coalesced PIO).")
}

/// Bytes of a block, by the name of its phase.
fn block_kib(phase: &str) -> Option<u64> {
    phase.rsplit_once('-')?.1.strip_suffix('k')?.parse().ok()
}

fn blocks(report: &Report) -> Vec<Table> {
    let mut tables = Vec::new();
    for (bus, title) in [
        ("piix3", "by DMA"),
        ("legacy", "by PIO"),
        ("qemu", "on QEMU"),
    ] {
        let runs: Vec<&RunReport> = report
            .runs
            .iter()
            .filter(|r| r.workload == "blocks" && r.variant.starts_with(bus))
            .filter(|r| is_whole(r))
            .collect();
        let Some(kib) = runs.iter().filter_map(|r| r.kib).max() else {
            continue;
        };
        let mut table = Table::new(
            &format!("{} KiB written and read {title}", number(kib.into())),
            &["phase", "variant"],
            &[
                "exits",
                "to user space",
                "times fewer",
                "a block",
                work(report),
                "times fewer",
            ],
        );
        let base = report
            .run(&format!("{bus}-stock"), "blocks")
            .or_else(|| report.run("qemu-ide-stock", "blocks"));
        let names = runs
            .first()
            .map(|r| r.phases.as_slice())
            .unwrap_or_default();
        for name in names
            .iter()
            .map(|p| p.name.as_str())
            .filter(|n| *n != "boot")
        {
            for run in &runs {
                let Some(PhaseReport { cost, .. }) = run.phase(name) else {
                    continue;
                };
                let before = base.and_then(|b| b.phase(name)).map(|p| &p.cost);
                let blocks = block_kib(name).map(|size| u64::from(kib) / size);
                let each = blocks.and_then(|blocks| ratio(cost.user_exits, blocks));
                let cells = vec![
                    name.to_owned(),
                    run.variant.clone(),
                    number(cost.exits),
                    number(cost.user_exits),
                    times(before.map(|b| b.user_exits), cost.user_exits),
                    each.map_or("-".to_owned(), |n| format!("{n:.1}")),
                    number(cost.nanoseconds),
                    times(before.map(|b| b.nanoseconds), cost.nanoseconds),
                ];
                table.row(cells, Some(cost.user_exits));
            }
        }
        tables.push(table.note(if report.exact {
            "A world switch counts as one instruction here; on hardware it costs some thousand cycles, so there fewer exits save more time."
        } else {
            "Times of single runs; compare them with care."
        }));
    }
    tables
}

/// Whether the run is one of the large ones, not one of a recipe alone.
fn is_whole(run: &RunReport) -> bool {
    ["stock", "batches", "default", "all"].contains(&run.guest.as_str())
        && !run.variant.contains("small")
}

fn remains(report: &Report) -> Table {
    let mut head: Vec<&str> = vec!["interrupts"];
    head.extend(Class::ALL.map(Class::title));
    let mut table = Table::new(
        "What the exits are for, and what remains",
        &["phase", "variant"],
        &head,
    );
    let runs = report
        .runs
        .iter()
        .filter(|r| r.workload == "blocks" && is_whole(r) && !r.variant.starts_with("qemu"));
    for run in runs {
        for name in ["write-direct-4k", "read-direct-4k"] {
            let Some(PhaseReport { cost, .. }) = run.phase(name) else {
                continue;
            };
            let mut cells = vec![
                name.to_owned(),
                run.variant.clone(),
                number(cost.interrupts),
            ];
            cells.extend(Class::ALL.map(|class| number(cost.class(class))));
            table.row(cells, None);
        }
    }
    table
        .note("status: the driver waits for the device, or acknowledges its interrupt; a batch cannot hold a wait yet (poll-until entries are reserved for it).")
        .note("bus master: the start and stop of a transfer are read-modify-write, whose value the guest needs; both could be one exit with a driver that remembers the register.")
        .note("interrupts: two at least a command; a device with queues (virtio) takes one for many.")
}

fn functions(report: &Report) -> Table {
    let mut table = Table::new(
        "Hot functions: where the guest leaves, and who called (the paper's tables 1 to 4)",
        &["phase", "variant", "exit in", "called from"],
        &["exits", "share"],
    );
    for variant in [
        "piix3-stock",
        "piix3-batches-doorbell",
        "piix3-default-doorbell",
    ] {
        for name in ["write-direct-4k", "read-direct-4k"] {
            let phase = report
                .run(variant, "blocks")
                .and_then(|run| run.phase(name));
            for row in phase.iter().flat_map(|phase| &phase.functions).take(5) {
                let caller = row.caller.clone().unwrap_or_else(|| "-".to_owned());
                let share = format!("{:.1} %", row.share * 100.0);
                let cells = vec![
                    name.to_owned(),
                    variant.to_owned(),
                    row.function.clone(),
                    caller,
                    number(row.exits),
                    share,
                ];
                table.row(cells, Some(row.exits));
            }
        }
    }
    table.note("The paper (2.6.27, bonnie++): acpi_pm_read from verify_pmtmr_rate, iowrite8 from ata_sff_dev_select, ioread8 from ata_bmdma_status, iowrite32 from ata_bmdma_setup.")
}

fn boot(report: &Report) -> Table {
    let mut head: Vec<&str> = vec!["exits", "to user space"];
    head.extend(Class::ALL.map(Class::title));
    head.push(work(report));
    let mut table = Table::new("From the start to the shell", &["variant"], &head);
    let mut seen: Vec<&str> = Vec::new();
    for run in &report.runs {
        let Some(PhaseReport { cost, .. }) = run.phase("boot") else {
            continue;
        };
        if seen.contains(&run.variant.as_str()) || run.variant.starts_with("qemu") {
            continue;
        }
        seen.push(&run.variant);
        let mut cells = vec![
            run.variant.clone(),
            number(cost.exits),
            number(cost.user_exits),
        ];
        cells.extend(Class::ALL.map(|class| number(cost.class(class))));
        cells.push(number(cost.nanoseconds));
        table.row(cells, Some(cost.user_exits));
    }
    table.note("serial: the kernel's messages, one exit and more a letter; PCI config: the bus is searched.")
}

/// Each recipe by itself, on the phase that shows it.
fn alone(report: &Report) -> Table {
    let mut table = Table::new(
        "Each recipe alone",
        &["recipe", "what", "counted"],
        &["before", "after", "times fewer"],
    );
    let small = |bus: &str| match bus {
        "piix3" => "piix3-small-stock".to_owned(),
        bus => format!("{bus}-stock"),
    };
    type Count = fn(&Cost) -> u64;
    let rows: [(&str, &str, &str, &str, Count); 7] = [
        (
            "libata-taskfile",
            "piix3",
            "write-direct-4k",
            "writes of the task file",
            |c| c.class(Class::TaskFile),
        ),
        (
            "libata-taskfile",
            "legacy",
            "write-direct-4k",
            "writes of the task file",
            |c| c.class(Class::TaskFile),
        ),
        (
            "libata-pio-data",
            "legacy",
            "write-direct-4k",
            "exits of the data port",
            |c| c.class(Class::Data),
        ),
        (
            "pmtmr-read",
            "piix3",
            "boot",
            "reads of the PM timer",
            |c| c.class(Class::Acpi),
        ),
        ("io-delay", "piix3", "boot", "other ports", |c| {
            c.class(Class::Other)
        }),
        (
            "elevator-noop",
            "piix3",
            "write-buffered-4k",
            "exits to user space",
            |c| c.user_exits,
        ),
        (
            "elevator-noop",
            "piix3",
            "read-buffered-4k",
            "exits to user space",
            |c| c.user_exits,
        ),
    ];
    for (recipe, bus, phase, what, count) in rows {
        let ours = report.cost(&format!("{bus}-{recipe}-doorbell"), "blocks", phase);
        let stock = report.cost(&small(bus), "blocks", phase);
        if let (Some(stock), Some(ours)) = (stock, ours) {
            let (before, after) = (count(stock), count(ours));
            let counted = format!("{what}, {phase}");
            table.row(
                vec![
                    recipe.to_owned(),
                    bus.to_owned(),
                    counted,
                    number(before),
                    number(after),
                    times(Some(before), after),
                ],
                None,
            );
        }
    }
    table
}

fn files(report: &Report) -> Table {
    let mut table = Table::new(
        "Many small files on ext4",
        &["phase", "variant"],
        &["exits", "to user space", "times fewer", work(report)],
    );
    let runs: Vec<_> = report
        .runs
        .iter()
        .filter(|r| r.workload == "files")
        .collect();
    for name in ["files-make", "files-read", "files-remove"] {
        let before = report
            .cost("piix3-stock", "files", name)
            .map(|c| c.user_exits);
        for run in &runs {
            let Some(PhaseReport { cost, .. }) = run.phase(name) else {
                continue;
            };
            let cells = vec![
                name.to_owned(),
                run.variant.clone(),
                number(cost.exits),
                number(cost.user_exits),
                times(before, cost.user_exits),
                number(cost.nanoseconds),
            ];
            table.row(cells, Some(cost.user_exits));
        }
    }
    table
}

fn ticks(report: &Report) -> Table {
    let mut table = Table::new(
        "An idle guest with a periodic tick",
        &["variant", "host"],
        &["timer interrupts a second", "exits", work(report)],
    );
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
    table.note("pit-100: the guest asks for 1000 interrupts a second from the PIT, and the host's pit_max_hz=100 gives it 100.")
}

fn network(report: &Report) -> Table {
    let mut table = Table::new(
        "Network cards on QEMU",
        &["phase", "variant"],
        &[
            "exits",
            "to user space",
            "times fewer",
            "interrupts",
            work(report),
            "times fewer",
        ],
    );
    let runs: Vec<_> = report
        .runs
        .iter()
        .filter(|r| r.workload == "network")
        .collect();
    for card in ["rtl8139", "e1000"] {
        let of_card = format!("qemu-{card}-");
        let stock = format!("{of_card}stock");
        for name in ["receive", "send", "ping"] {
            let before = report.cost(&stock, "network", name);
            for run in runs.iter().filter(|r| r.variant.starts_with(&of_card)) {
                let Some(PhaseReport { cost, .. }) = run.phase(name) else {
                    continue;
                };
                let cells = vec![
                    name.to_owned(),
                    run.variant.clone(),
                    number(cost.exits),
                    number(cost.user_exits),
                    times(before.map(|b| b.exits), cost.exits),
                    number(cost.interrupts),
                    number(cost.nanoseconds),
                    times(before.map(|b| b.nanoseconds), cost.nanoseconds),
                ];
                table.row(cells, Some(cost.exits));
            }
        }
    }
    table.note("Includes some fifty exits of the marks, which go through a serial port here. Linux has improved NAPI since the paper's 2.6.27.")
}

/// The paper's figures beside ours.
fn paper(report: &Report) -> Table {
    let mut table = Table::new(
        "The paper's figures beside these",
        &["what", "the paper", "here"],
        &[],
    );
    let mut add = |what: &str, paper: &str, here: Option<String>| {
        if let Some(here) = here {
            table.row([what, paper, &here].map(str::to_owned).into(), None);
        }
    };
    let count = |variant: &str, phase: &str| {
        let phase = report.run(variant, "commands")?.phase(phase)?;
        Some(events(phase, "task-file") + events(phase, "data") + events(phase, "batch"))
    };
    let both = |phase: &str, ours: &str| {
        let (before, after) = (count("legacy-stock", phase)?, count(ours, phase)?);
        Some(format!(
            "{before} exits before, {after} now (with select and command)"
        ))
    };
    add(
        "eleven register writes of an LBA48 command",
        "eleven exits became one; throughput hardly changed",
        both("write-far", "legacy-batches-doorbell"),
    );
    let rate = |variant: &str| {
        let run = report.run(variant, "idle")?;
        let phase = run.phase("idle")?;
        Some(format!(
            "{:.0} interrupts, {} exits",
            rate_of(&run.facts)?,
            number(phase.cost.exits)
        ))
    };
    let pair = |a: &str, b: &str| Some(format!("{}; then {}", rate(a)?, rate(b)?));
    add(
        "the guest's clock at 100 Hz and not 1000 Hz",
        "disk throughput rose",
        pair("piix3-hz-1000-off", "piix3-hz-100-off"),
    );
    add(
        "the same from the host, guest unchanged",
        "disk throughput rose",
        pair("pit-0", "pit-100"),
    );
    let gain = |before: &str, after: &str, workload: &str, phase: &str| {
        let (before, after) = (
            report.cost(before, workload, phase)?,
            report.cost(after, workload, phase)?,
        );
        let work = ratio(before.nanoseconds, after.nanoseconds)?;
        let exits = ratio(before.exits, after.exits)?;
        Some(format!(
            "{work:.2} times less work, {exits:.2} times fewer exits"
        ))
    };
    add(
        "no I/O scheduler: block write",
        "throughput +6.01 %",
        gain(
            "piix3-small-stock",
            "piix3-elevator-noop-doorbell",
            "blocks",
            "write-buffered-4k",
        ),
    );
    add(
        "no I/O scheduler: block read",
        "throughput +5.64 %",
        gain(
            "piix3-small-stock",
            "piix3-elevator-noop-doorbell",
            "blocks",
            "read-buffered-4k",
        ),
    );
    for (card, strip) in [("rtl8139", "napi-8139cp"), ("e1000", "napi-e1000")] {
        let names = (format!("qemu-{card}-stock"), format!("qemu-{card}-{strip}"));
        add(
            &format!("{card} without NAPI: receive"),
            "throughput more than +60 %",
            gain(&names.0, &names.1, "network", "receive"),
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let all = [0, 999, 1000, 1_234_567].map(number);
        assert_eq!(all, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn columns_of_zeros_go() {
        let mut table = Table::new("", &["who"], &["none", "some"]);
        for (who, some) in [("a", "0"), ("b", "7")] {
            table.row([who, "0", some].map(str::to_owned).into(), None);
        }
        table.drop_zeros();
        assert_eq!(table.head, ["who", "some"]);
        assert_eq!(table.rows[1].cells, ["b", "7"]);
    }

    #[test]
    fn a_phase_tells_its_block() {
        assert_eq!(block_kib("write-direct-128k"), Some(128));
        assert_eq!(block_kib("write-sector"), None);
    }
}
