//! Each recipe by itself, on the phase that shows it.

use super::super::table::{Table, number, times};
use crate::measure::figures::Class;
use crate::measure::report::{PhaseReport, Report};

/// The stock guest with as little work as the recipes by themselves have, by DMA.
pub const STOCK: &str = "piix3-small-stock";

type Count = fn(&PhaseReport) -> u64;

/// A phase of two runs that shows a recipe.
struct Shown {
    recipe: &'static str,
    /// Variants without and with it.
    before: &'static str,
    after: &'static str,
    workload: &'static str,
    phase: &'static str,
    what: &'static str,
    count: Count,
}

const SHOWN: [Shown; 8] = [
    Shown {
        recipe: "libata-taskfile",
        before: STOCK,
        after: "piix3-libata-taskfile-doorbell",
        workload: "blocks",
        phase: "write-direct-4k",
        what: "writes of the task file",
        count: |phase| phase.cost.class(Class::TaskFile),
    },
    Shown {
        recipe: "libata-taskfile",
        before: "legacy-stock",
        after: "legacy-libata-taskfile-doorbell",
        workload: "blocks",
        phase: "write-direct-4k",
        what: "writes of the task file",
        count: |phase| phase.cost.class(Class::TaskFile),
    },
    Shown {
        recipe: "libata-pio-data",
        before: "legacy-stock",
        after: "legacy-libata-pio-data-doorbell",
        workload: "blocks",
        phase: "write-direct-4k",
        what: "exits of the data port",
        count: |phase| phase.cost.class(Class::Data),
    },
    Shown {
        recipe: "pmtmr-verify",
        before: "i386-stock",
        after: "i386-pmtmr-verify",
        workload: "boot",
        phase: "boot",
        what: "port accesses, by KVM",
        count: |phase| phase.cost.io_exits,
    },
    Shown {
        recipe: "pmtmr-read",
        before: "pmtimer-stock",
        after: "pmtimer-pmtmr-read",
        workload: "idle",
        phase: "idle",
        what: "reads of the PM timer",
        count: PhaseReport::pm_timer,
    },
    Shown {
        recipe: "io-delay",
        before: "oneshot-stock",
        after: "oneshot-io-delay",
        workload: "idle",
        phase: "idle",
        what: "writes to port 0x80",
        count: PhaseReport::delays,
    },
    Shown {
        recipe: "elevator-noop",
        before: STOCK,
        after: "piix3-elevator-noop-doorbell",
        workload: "blocks",
        phase: "write-buffered-4k",
        what: "exits to user space",
        count: |phase| phase.cost.user_exits,
    },
    Shown {
        recipe: "elevator-noop",
        before: STOCK,
        after: "piix3-elevator-noop-doorbell",
        workload: "blocks",
        phase: "read-buffered-4k",
        what: "exits to user space",
        count: |phase| phase.cost.user_exits,
    },
];

pub fn table(report: &Report) -> Table {
    let mut table = Table::new(
        "Each recipe alone",
        &["recipe", "with", "phase", "what is counted"],
        &["before", "after", "times fewer"],
    );
    for shown in SHOWN {
        let find = |variant: &str| report.run(variant, shown.workload)?.phase(shown.phase);
        if let (Some(before), Some(after)) = (find(shown.before), find(shown.after)) {
            let (before, after) = ((shown.count)(before), (shown.count)(after));
            let mut cells: Vec<String> = [shown.recipe, shown.after, shown.phase, shown.what]
                .map(str::to_owned)
                .into();
            cells.extend([number(before), number(after), times(Some(before), after)]);
            table.row(cells, None);
        }
    }
    table.note("all: none is left. The recipes for network cards stand with the network, the rate of the clock with the idle guests.")
}
