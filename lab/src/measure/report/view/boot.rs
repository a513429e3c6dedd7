//! The boot.

use super::super::table::{Table, number};
use super::work;
use crate::measure::figures::Class;
use crate::measure::report::{PhaseReport, Report};

pub fn table(report: &Report) -> Table {
    let mut head: Vec<&str> = vec!["exits", "to user space"];
    head.extend(Class::ALL.map(Class::title));
    head.push(work(report));
    let mut table = Table::new(
        "From the start to the first mark of the guest's script",
        &["workload", "variant"],
        &head,
    )
    .drawing("to user space");
    let mut rows = Vec::new();
    for run in &report.runs {
        let Some(PhaseReport { cost, .. }) = run.phase("boot") else {
            continue;
        };
        // On QEMU it is not known what exits are for, nor when the guest began.
        if run.variant.starts_with("qemu") || run.name.ends_with("-again") {
            continue;
        }
        let mut cells = vec![
            run.workload.clone(),
            run.variant.clone(),
            number(cost.exits),
            number(cost.user_exits),
        ];
        cells.extend(Class::ALL.map(|class| number(cost.class(class))));
        cells.push(number(cost.nanoseconds));
        rows.push((cells, cost.user_exits));
    }
    rows.sort_by(|(a, _), (b, _)| a[0].cmp(&b[0]));
    for (cells, bar) in rows {
        table.row(cells, Some(bar));
    }
    table
        .note("What the script gets ready for its workload is in it: compare rows of one workload.")
        .note("serial: the kernel's messages, one exit and more a letter; PCI config: the bus is searched; ACPI: the PM timer, by which others are calibrated, and its neighbours.")
}
