//! Single commands of the disk.

use super::super::table::{Table, number};
use super::work;
use crate::measure::plan::Workload;
use crate::measure::report::{Report, RunReport};

pub fn table(report: &Report) -> Table {
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
    )
    .drawing("KVM counts");
    let runs: Vec<&RunReport> = report
        .runs
        .iter()
        .filter(|r| r.workload == "commands" && !r.name.ends_with("-again"))
        .collect();
    for phase in Workload::Commands.phases() {
        for run in &runs {
            let Some(found) = run.phase(phase) else {
                continue;
            };
            let mut cells = vec![(*phase).to_owned(), run.variant.clone()];
            cells.extend(WHAT.map(|what| number(found.events(what))));
            let cost = &found.cost;
            let counted = cost.io_and_hypercalls();
            cells.extend([counted, cost.user_exits, cost.nanoseconds].map(number));
            table.row(cells, Some(counted));
        }
    }
    table
        .note("write-sector: 512 bytes, 6 registers; write-far: 512 bytes behind 128 GiB, which takes an LBA48 command of 11 registers. KVM counts: its io_exits and hypercalls, which see a string instruction once more than the tracepoints, when nothing is left of it.")
        .note("legacy is PIO by the data port, piix3 is DMA; the second batch holds the data, or the bus master's registers.")
        .note("With batches, two writes of the task file remain: the drive is selected before the registers, and the command is written after them.")
}
