//! Many small files.

use super::super::table::{Table, number, times};
use super::{FEWER, LESS, work};
use crate::measure::plan::Workload;
use crate::measure::report::{PhaseReport, Report};

pub fn table(report: &Report) -> Table {
    let mut table = Table::new(
        "Many small files on ext4",
        &["phase", "variant"],
        &["exits", "to user space", FEWER, work(report), LESS],
    )
    .drawing("to user space");
    for name in Workload::Files(0).phases() {
        let before = report.cost("piix3-stock", "files", name);
        for run in report.runs.iter().filter(|r| r.workload == "files") {
            let Some(PhaseReport { cost, .. }) = run.phase(name) else {
                continue;
            };
            let cells = vec![
                (*name).to_owned(),
                run.variant.clone(),
                number(cost.exits),
                number(cost.user_exits),
                times(before.map(|b| b.user_exits), cost.user_exits),
                number(cost.nanoseconds),
                times(before.map(|b| b.nanoseconds), cost.nanoseconds),
            ];
            table.row(cells, Some(cost.user_exits));
        }
    }
    table
}
