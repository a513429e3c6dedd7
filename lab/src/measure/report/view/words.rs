//! What the names of runs are made of.

use crate::measure::report::Report;

const ALL: [(&str, &str); 23] = [
    (
        "piix3",
        "the paired host, xkvm, with the disk on a PIIX3 controller: data by DMA",
    ),
    (
        "legacy",
        "the paired host with the disk at the old ports: data by PIO, through the data port",
    ),
    ("qemu", "QEMU as the VMM"),
    ("stock", "a guest kernel without the series"),
    (
        "small",
        "the same with as little work as the recipes alone have",
    ),
    (
        "large",
        "the same with as much data as fills caches and queues",
    ),
    (
        "zone",
        "the stock guest, with KVM collecting register writes (coalesced PIO): what a host can do alone",
    ),
    (
        "batches",
        "a guest kernel with libata's two recipes for batches",
    ),
    (
        "default",
        "a guest kernel with the series as guestpatch writes it",
    ),
    ("all", "a guest kernel with every recipe"),
    ("i386", "a guest kernel with 32 bits"),
    ("off", "the VMM takes no batches"),
    ("doorbell", "a batch is one write to a port"),
    (
        "tunnel",
        "a batch is one hypercall that an unpatched KVM passes on",
    ),
    ("vmcall", "a batch is one hypercall of the host series"),
    (
        "hz",
        "a guest kernel configured for so many timer interrupts a second",
    ),
    (
        "pit",
        "a guest of 1000 Hz on a host with the host series, whose pit_max_hz is this (0: no limit)",
    ),
    (
        "pmtimer",
        "an idle guest whose clock is the ACPI PM timer, of a revision of PIIX4 that Linux distrusts",
    ),
    (
        "oneshot",
        "an idle guest that sets the PIT for each tick, and knows nothing of KVM (nopv)",
    ),
    ("rtl8139", "QEMU's RTL8139, driven by 8139cp"),
    ("e1000", "QEMU's E1000"),
    ("ide", "QEMU's IDE disk, with the stock guest"),
    (
        "virtio",
        "QEMU's virtio-blk, the disk of today to compare with, with the stock guest",
    ),
];

/// Those that the runs of the report have, and what they mean. A recipe's name is a kernel with that one alone.
pub fn words(report: &Report) -> impl Iterator<Item = (&'static str, &'static str)> {
    ALL.into_iter().filter(|(word, _)| {
        let has = |name: &str| name.split('-').any(|part| part == *word);
        report.runs.iter().any(|run| has(&run.variant))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::plan::{self, Guest, Run};
    use crate::measure::report::RunReport;

    #[test]
    fn every_word_of_a_name_is_told() {
        let runs = plan::full(true);
        let named = |run: &Run| RunReport {
            variant: run.variant.name.clone(),
            ..RunReport::default()
        };
        let report = Report {
            runs: runs.iter().map(named).collect(),
            ..Report::default()
        };
        let told: Vec<&str> = words(&report).map(|(word, _)| word).collect();
        assert_eq!(told.len(), ALL.len(), "some are in no name: {told:?}");
        for run in &runs {
            let name = match run.variant.guest {
                Guest::Only(recipe) | Guest::I386(Some(recipe)) => {
                    run.variant.name.replace(recipe, "")
                }
                _ => run.variant.name.clone(),
            };
            let mut parts = name.split('-').filter(|p| p.parse::<u32>().is_err());
            assert!(
                parts.all(|part| part.is_empty() || told.contains(&part)),
                "{name}: {told:?}"
            );
        }
    }
}
