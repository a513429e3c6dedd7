//! Each recipe by itself, on the phase that shows it.

use super::super::table::{Table, number, times};
use super::{CHOSEN, LESS};
use crate::measure::figures::Class;
use crate::measure::report::{PhaseReport, Report};

/// The stock guest with as little work as the recipes by themselves have, by DMA.
pub const STOCK: &str = "piix3-small-stock";

type Count = fn(&PhaseReport) -> u64;

/// Phases of two runs that show a recipe.
struct Shown {
    recipe: &'static str,
    /// Variants without and with it.
    before: &'static str,
    after: &'static str,
    workload: &'static str,
    phases: &'static [&'static str],
    what: &'static str,
    count: Count,
}

fn user_exits(phase: &PhaseReport) -> u64 {
    phase.cost.user_exits
}

fn halts(phase: &PhaseReport) -> u64 {
    phase.counter("halt_exits")
}

const SHOWN: [Shown; 12] = [
    Shown {
        recipe: "libata-taskfile",
        before: STOCK,
        after: "piix3-libata-taskfile-doorbell",
        workload: "blocks",
        phases: &["write-direct-4k"],
        what: "writes of the task file",
        count: |phase| phase.cost.class(Class::TaskFile),
    },
    Shown {
        recipe: "libata-taskfile",
        before: "legacy-stock",
        after: "legacy-libata-taskfile-doorbell",
        workload: "blocks",
        phases: &["write-direct-4k"],
        what: "writes of the task file",
        count: |phase| phase.cost.class(Class::TaskFile),
    },
    Shown {
        recipe: "libata-pio-data",
        before: "legacy-stock",
        after: "legacy-libata-pio-data-doorbell",
        workload: "blocks",
        phases: &["write-direct-4k"],
        what: "exits of the data port",
        count: |phase| phase.cost.class(Class::Data),
    },
    Shown {
        recipe: "pmtmr-verify",
        before: "i386-stock",
        after: "i386-pmtmr-verify",
        workload: "boot",
        phases: &["boot"],
        what: "port accesses, by KVM",
        count: |phase| phase.cost.io_exits,
    },
    Shown {
        recipe: "pmtmr-read",
        before: "pmtimer-stock",
        after: "pmtimer-pmtmr-read",
        workload: "idle",
        phases: &["idle"],
        what: "reads of the PM timer",
        count: PhaseReport::pm_timer,
    },
    Shown {
        recipe: "io-delay",
        before: "oneshot-stock",
        after: "oneshot-io-delay",
        workload: "idle",
        phases: &["idle"],
        what: "writes to port 0x80",
        count: PhaseReport::delays,
    },
    Shown {
        recipe: "elevator-noop",
        before: STOCK,
        after: "piix3-elevator-noop-doorbell",
        workload: "blocks",
        phases: &["write-buffered-4k", "read-buffered-4k"],
        what: "exits to user space",
        count: user_exits,
    },
    Shown {
        recipe: "clock-hz",
        before: "piix3-stock",
        after: "piix3-hz-100-off",
        workload: "idle",
        phases: &["idle"],
        what: "times that the guest halts",
        count: halts,
    },
    Shown {
        recipe: "vpit-rate",
        before: "pit-0",
        after: "pit-100",
        workload: "idle",
        phases: &["idle"],
        what: "times that the guest halts",
        count: halts,
    },
    Shown {
        recipe: "flush-reads",
        before: "qemu-rtl8139-stock",
        after: "qemu-rtl8139-flush-reads",
        workload: "network",
        phases: &["receive", "send"],
        what: "exits to user space",
        count: user_exits,
    },
    Shown {
        recipe: "napi-8139cp",
        before: "qemu-rtl8139-stock",
        after: "qemu-rtl8139-napi-8139cp",
        workload: "network",
        phases: &["receive", "send"],
        what: "exits to user space",
        count: user_exits,
    },
    Shown {
        recipe: "napi-e1000",
        before: "qemu-e1000-stock",
        after: "qemu-e1000-napi-e1000",
        workload: "network",
        phases: &["receive", "send"],
        what: "exits to user space",
        count: user_exits,
    },
];

pub fn table(report: &Report) -> Table {
    let mut table = Table::new(
        "Each recipe alone",
        &["recipe", "with", "phase", "what is counted"],
        &[
            "before",
            "after",
            "times fewer",
            "all exits before",
            "after",
            LESS,
        ],
    );
    for shown in SHOWN {
        for name in shown.phases {
            let find = |variant| report.phase(variant, shown.workload, name);
            let (Some(before), Some(after)) = (find(shown.before), find(shown.after)) else {
                continue;
            };
            let counted = [before, after].map(shown.count);
            let mut cells: Vec<String> = [shown.recipe, shown.after, name, shown.what]
                .map(str::to_owned)
                .into();
            cells.extend(counted.map(number));
            cells.push(times(Some(counted[0]), counted[1]));
            cells.extend([before.cost.exits, after.cost.exits].map(number));
            cells.push(times(Some(before.cost.nanoseconds), after.cost.nanoseconds));
            table.row(cells, None);
        }
    }
    table
        .note("all: none is left. Idle guests and 32-bit boots take their time whatever they do. vpit-rate is a patch for the host's kernel, clock-hz is shown by its option alone.")
        .note(CHOSEN)
        .note("Not here: kvm-hypercall, a patch for the host's kernel, which gives batches a hypercall of their own and saves no exit that a tunnel does not (the rows of vmcall show it); ide-taskfile, ide-tf-load and ide-pio-data, whose drivers are gone since 5.14; napi-8139too, for a chip that QEMU has not; napi-kconfig and io-generic, for drivers that no guest here has.")
        .note("pmtmr-verify changes 32-bit kernels alone: guests with all recipes have 64 bits and show nothing of it.")
}
