//! Each recipe by itself, on the phase that shows it.

use super::super::table::{Table, number, times};
use crate::measure::figures::Class;
use crate::measure::report::{PhaseReport, Report};

/// The stock guest with as little work as the recipes by themselves have.
pub fn stock(bus: &str) -> String {
    match bus {
        "piix3" => "piix3-small-stock".to_owned(),
        bus => format!("{bus}-stock"),
    }
}

type Count = fn(&PhaseReport) -> u64;

/// Recipe, disk controller or architecture, phase, what is counted there.
const SHOWN: [(&str, &str, &str, &str, Count); 8] = [
    (
        "libata-taskfile",
        "piix3",
        "write-direct-4k",
        "writes of the task file",
        |phase| phase.cost.class(Class::TaskFile),
    ),
    (
        "libata-taskfile",
        "legacy",
        "write-direct-4k",
        "writes of the task file",
        |phase| phase.cost.class(Class::TaskFile),
    ),
    (
        "libata-pio-data",
        "legacy",
        "write-direct-4k",
        "exits of the data port",
        |phase| phase.cost.class(Class::Data),
    ),
    (
        "pmtmr-verify",
        "i386",
        "boot",
        "port accesses, by KVM",
        |phase| phase.cost.io_exits,
    ),
    (
        "pmtmr-read",
        "piix3",
        "boot",
        "reads of the PM timer",
        PhaseReport::pm_timer,
    ),
    (
        "io-delay",
        "piix3",
        "boot",
        "writes to port 0x80",
        |phase| phase.at_port("out", 0x80),
    ),
    (
        "elevator-noop",
        "piix3",
        "write-buffered-4k",
        "exits to user space",
        |phase| phase.cost.user_exits,
    ),
    (
        "elevator-noop",
        "piix3",
        "read-buffered-4k",
        "exits to user space",
        |phase| phase.cost.user_exits,
    ),
];

pub fn table(report: &Report) -> Table {
    let mut table = Table::new(
        "Each recipe alone",
        &["recipe", "on", "phase", "what is counted"],
        &["before", "after", "times fewer"],
    );
    for (recipe, on, phase, what, count) in SHOWN {
        let (stock, ours, workload) = match on {
            "i386" => ("i386-stock".to_owned(), format!("i386-{recipe}"), "boot"),
            bus => (stock(bus), format!("{bus}-{recipe}-doorbell"), "blocks"),
        };
        let find = |variant: &str| report.run(variant, workload)?.phase(phase);
        if let (Some(stock), Some(ours)) = (find(&stock), find(&ours)) {
            let (before, after) = (count(stock), count(ours));
            let mut cells = [recipe, on, phase, what].map(str::to_owned).to_vec();
            cells.extend([number(before), number(after), times(Some(before), after)]);
            table.row(cells, None);
        }
    }
    table.note("all: none is left. The recipes for network cards stand with the network.")
}
