//! Guests that did their work at another try.

use super::super::table::{Table, number};
use crate::measure::report::Report;

pub fn table(report: &Report) -> Table {
    let mut table = Table::new("Guests that hung at first", &["run"], &["times"]);
    for run in report.runs.iter().filter(|run| run.hung > 0) {
        table.row(vec![run.name.clone(), number(run.hung as u64)], None);
    }
    table.note("QEMU's SVM now and then delivers an interrupt twice, and a guest can wait for itself then (the lab's README tells why). Each did its work with another seed; counts that depend on time differ a little from those of other guests with the same kernel. A kernel that hangs by itself would look the same: one that is here each time is worth a look at its console, which is among the logs.")
}
