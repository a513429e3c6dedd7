//! Where exits come from: KVM's reasons, ports, functions (the paper's tables 1 to 4).

use xkvm_host::exits::HotRow;

use super::super::table::{Table, number, share};
use crate::measure::figures::PortRow;
use crate::measure::report::{PhaseReport, Report};

/// Of the block workload, in whose phases functions and ports are shown.
const VARIANTS: [&str; 6] = [
    "piix3-stock",
    "piix3-batches-doorbell",
    "piix3-default-doorbell",
    "legacy-stock",
    "legacy-zone",
    "legacy-default-doorbell",
];
/// What is told of each place.
const HEAD: [&str; 4] = [
    "exits to user space",
    "share",
    "handled in",
    "share of all time",
];
/// Rows of each.
const ROWS: usize = 5;

pub fn tables(report: &Report) -> [Table; 3] {
    [functions(report), ports(report), reasons(report)]
}

/// A place where the guest leaves, in two words, how often it did, and how long user space was at work for it.
type Hot = ([String; 2], u64, u64);

/// The first of the places of each phase and variant, with their share in the exits to user space.
fn hottest(
    table: &mut Table,
    report: &Report,
    phases: &[&str],
    places: fn(&PhaseReport) -> Vec<Hot>,
) {
    for name in phases {
        for variant in VARIANTS {
            let run = report.run(variant, "blocks");
            let Some(phase) = run.and_then(|run| run.phase(name)) else {
                continue;
            };
            for ([what, place], exits, time) in places(phase).into_iter().take(ROWS) {
                let mut cells = [name, variant].map(str::to_owned).to_vec();
                cells.extend([what, place]);
                cells.extend([number(exits), share(exits, phase.cost.user_exits)]);
                cells.extend([number(time), share(time, phase.cost.nanoseconds)]);
                table.row(cells, Some(exits));
            }
        }
    }
}

fn functions(report: &Report) -> Table {
    let mut table = Table::new(
        "Hot functions: where the guest leaves, and who called (the paper's tables 1 to 4)",
        &["phase", "variant", "exit in", "called from"],
        &HEAD,
    )
    .drawing("exits to user space");
    let phases = &["write-direct-4k", "read-direct-4k", "boot"];
    hottest(&mut table, report, phases, |phase| {
        let row = |row: &HotRow| {
            let caller = row.caller.clone().unwrap_or_else(|| "-".to_owned());
            ([row.function.clone(), caller], row.exits, row.nanoseconds)
        };
        phase.functions.iter().map(row).collect()
    });
    table
        .note("A leaf such as iowrite8 stands once for each of its callers. Handled in: the time in which the VMM serves these exits; KVM's own time and the switches to the VMM and back are not in it.")
        .note("The paper (2.6.27 with 32 bits, bonnie++): acpi_pm_read from verify_pmtmr_rate, iowrite8 from ata_sff_dev_select, ioread8 from ata_bmdma_status, iowrite32 from ata_bmdma_setup. verify_pmtmr_rate is code of 32-bit x86 alone.")
}

fn ports(report: &Report) -> Table {
    let mut table = Table::new("Hot ports", &["phase", "variant", "exit by", "port"], &HEAD)
        .drawing("exits to user space");
    let phases = &["write-direct-4k", "read-direct-4k"];
    hottest(&mut table, report, phases, |phase| {
        let row = |row: &PortRow| {
            let port = row.port.map_or("-".to_owned(), |port| format!("{port:#x}"));
            ([row.reason.clone(), port], row.exits, row.nanoseconds)
        };
        phase.ports.iter().map(row).collect()
    });
    table.note("outs and ins: string instructions; batch: one hand-over of many accesses. Disk: 0x1f0 data, 0x1f1 to 0x1f7 task file, 0x3f6 control; from 0x1000 on its bus master.")
}

/// Counters of KVM's that tell why it was entered.
const REASONS: [&str; 9] = [
    "io_exits",
    "mmio_exits",
    "hypercalls",
    "halt_exits",
    "irq_exits",
    "irq_window_exits",
    "request_irq_exits",
    "signal_exits",
    "pf_fixed",
];

fn reasons(report: &Report) -> Table {
    let mut head = vec!["exits"];
    head.extend(REASONS);
    let mut table = Table::new(
        "Exits by reason, as KVM counts them",
        &["phase", "variant"],
        &head,
    )
    .drawing("exits");
    for name in ["write-direct-4k", "idle", "receive", "send", "ping"] {
        for run in &report.runs {
            let Some(phase) = run.phase(name) else {
                continue;
            };
            let mut cells = vec![
                name.to_owned(),
                run.variant.clone(),
                number(phase.counter("exits")),
            ];
            cells.extend(REASONS.map(|what| number(phase.counter(what))));
            table.row(cells, Some(phase.counter("exits")));
        }
    }
    table.note("One exit more than in the other tables is the guest's mark; on QEMU there are more, in all tables. pf_fixed: pages that the guest touches for the first time. Exits without a column of their own: what KVM emulates for itself (CPUID, MSRs).")
}
