//! Network cards.

use super::super::table::{Table, number, times};
use super::{LESS, work};
use crate::measure::report::{PhaseReport, Report};

pub fn table(report: &Report) -> Table {
    let mut table = Table::new(
        "Network cards on QEMU",
        &["phase", "variant"],
        &[
            "exits",
            "times fewer",
            "to user space",
            "interrupts",
            work(report),
            LESS,
        ],
    )
    .drawing("exits");
    for card in ["rtl8139", "e1000"] {
        let of_card = format!("qemu-{card}-");
        let stock = format!("{of_card}stock");
        for name in ["receive", "send", "ping"] {
            let before = report.cost(&stock, "network", name);
            let runs = report.runs.iter().filter(|r| r.workload == "network");
            for run in runs.filter(|r| r.variant.starts_with(&of_card)) {
                let Some(PhaseReport { cost, .. }) = run.phase(name) else {
                    continue;
                };
                let cells = vec![
                    name.to_owned(),
                    run.variant.clone(),
                    number(cost.exits),
                    times(before.map(|b| b.exits), cost.exits),
                    number(cost.user_exits),
                    number(cost.interrupts),
                    number(cost.nanoseconds),
                    times(before.map(|b| b.nanoseconds), cost.nanoseconds),
                ];
                table.row(cells, Some(cost.exits));
            }
        }
    }
    table
        .note("The guest's marks go through a serial port, and are in it: the same in each variant. Linux has improved NAPI since the paper's 2.6.27.")
        .note("A connection is made before its phase, and the guest has 16 MiB of room for what it receives, so that nothing waits for QEMU's timers. The server is in the machine of the VMM: that it makes the data or sums them is in the time, the same in each variant.")
}
