//! What the report shows, a file for each subject.

mod blocks;
mod boot;
mod commands;
mod files;
mod hung;
mod idle;
mod network;
mod paper;
mod places;
mod recipes;
mod summary;
mod words;

use super::Report;
use super::table::Table;
pub use words::words;

/// All tables that have something to show.
pub fn tables(report: &Report) -> Vec<Table> {
    let mut all = vec![
        hung::table(report),
        summary::table(report),
        commands::table(report),
    ];
    all.extend(blocks::tables(report));
    all.push(blocks::remains(report));
    all.extend(places::tables(report));
    all.extend([
        boot::table(report),
        recipes::table(report),
        files::table(report),
        idle::table(report),
        network::table(report),
        paper::table(report),
    ]);
    all.retain(|table| !table.rows.is_empty());
    all.iter_mut().for_each(Table::drop_zeros);
    all
}

/// What a number of time is.
pub fn unit(report: &Report) -> &'static str {
    if report.exact {
        "time is counted in instructions of guest and host together"
    } else {
        "time is in nanoseconds"
    }
}

/// The head of a column of time.
fn work(report: &Report) -> &'static str {
    if report.exact { "instructions" } else { "ns" }
}

/// How many times less of it: the same work is done, so this is the ratio of throughput, too.
const LESS: &str = "times less time";
/// About guests that are made to meet what two recipes change.
const CHOSEN: &str = "pmtimer and oneshot are machines chosen to show pmtmr-read and io-delay: a PIIX4 before revision 3, which QEMU has not, and a guest that does not look for KVM. Others gain nothing from these two but in their first moments.";
/// How many times fewer exits to user space.
const FEWER: &str = "times fewer to user space";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::figures::{Class, Cost, PortRow};
    use crate::measure::plan::{self, Run};
    use crate::measure::report::{PhaseReport, RunReport, html};
    use crate::measure::summary::planned;

    fn phase(name: &str) -> PhaseReport {
        PhaseReport {
            name: name.to_owned(),
            cost: Cost {
                exits: 300,
                user_exits: 200,
                nanoseconds: 1000,
                classes: Class::ALL.map(|class| (class, 3)).into(),
                batches: [(11, 1)].into(),
                ..Cost::default()
            },
            kvm: [("exits".to_owned(), 301)].into(),
            ports: vec![PortRow {
                reason: "in".to_owned(),
                port: Some(0x608),
                exits: 9,
                nanoseconds: 50,
            }],
            functions: vec![xkvm_host::exits::HotRow {
                address: 1,
                function: "iowrite8".to_owned(),
                caller: None,
                exits: 100,
                nanoseconds: 0,
                share: 0.5,
            }],
            ..PhaseReport::default()
        }
    }

    fn reported(run: &Run) -> RunReport {
        let phases = ["boot"].iter().chain(run.workload.phases());
        let facts = [("ticks_idle", "500"), ("seconds_idle", "5")];
        RunReport {
            phases: phases.map(|name| phase(name)).collect(),
            facts: facts.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            ..planned(run)
        }
    }

    fn report(runs: &[Run]) -> Report {
        Report {
            runs: runs.iter().map(reported).collect(),
            exact: true,
            ..Report::default()
        }
    }

    /// Tables find their runs by names: were one called otherwise in the plan, its table would be gone, or a row of it.
    #[test]
    fn the_whole_plan_fills_every_table() {
        let all = tables(&report(&plan::full(true)));
        let shown: Vec<(&str, usize)> = all
            .iter()
            .map(|table| (table.title.as_str(), table.rows.len()))
            .collect();
        assert_eq!(
            shown,
            [
                ("In short", 24),
                ("One command of the disk, by KVM's tracepoints", 28),
                ("65,536 KiB written and read by DMA", 8),
                ("4,096 KiB written and read by DMA", 56),
                ("256 KiB written and read by PIO", 48),
                ("4,096 KiB written and read on QEMU", 16),
                (
                    "What the exits of one command are for, and what remains",
                    30
                ),
                (
                    "Hot functions: where the guest leaves, and who called (the paper's tables 1 to 4)",
                    15
                ),
                ("Hot ports", 10),
                ("Exits by reason, as KVM counts them", 52),
                ("From the start to the first mark of the guest's script", 42),
                ("Each recipe alone", 16),
                ("Many small files on ext4", 6),
                ("Idle guests that tick", 9),
                ("Network cards on QEMU", 21),
                ("The paper's figures beside these", 12)
            ]
        );
    }

    #[test]
    fn a_guest_that_hung_is_told_whatever_else_is_shown() {
        let mut report = report(&plan::full(true)[..1]);
        report.runs[0].hung = 2;
        let first = tables(&report).swap_remove(0);
        assert_eq!(first.rows[0].cells, [&report.runs[0].name, "2"]);
    }

    #[test]
    fn a_part_of_the_plan_shows_only_itself() {
        let only = |part: &str| {
            let runs = plan::full(true).into_iter();
            let runs: Vec<Run> = runs.filter(|run| run.name().contains(part)).collect();
            tables(&report(&runs))
        };
        let titles = |part: &str| -> Vec<String> {
            only(part).into_iter().map(|table| table.title).collect()
        };
        assert_eq!(
            titles("qemu-e1000"),
            [
                "In short",
                "Exits by reason, as KVM counts them",
                "Each recipe alone",
                "Network cards on QEMU",
                "The paper's figures beside these"
            ]
        );
        // What it would be compared with is not there.
        let blocks = &only("legacy-default-doorbell")[0];
        assert!(blocks.title.starts_with("256 KiB"), "{}", blocks.title);
        assert_eq!(blocks.rows[0].cells[4], "-");
        assert!(tables(&Report::default()).is_empty());
    }

    #[test]
    fn the_page_tells_what_bars_and_names_are() {
        let page = html(&report(&plan::full(true)));
        assert!(page.contains("<th class=\"w\">bar: to user space"));
        assert!(page.contains("<dt><code>tunnel</code>"));
        // Nothing is fetched from elsewhere.
        assert!(!page.contains("http") && !page.contains("src="));
    }
}
