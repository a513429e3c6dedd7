//! What must come of it, number by number: the bars that are kept with the program.
//!
//! There are two sorts. *Counts* follow from what the driver and the device do, and are the same whatever compiler made the
//! kernels. *Totals* hold timer interrupts and instructions too: with the same inputs (kernels, VMM, QEMU) they repeat to the last
//! digit; with others they are only near.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::report::Report;
use crate::check::Check;

/// How far exits may be from those with other inputs: one part in this many, and …
const NEAR: u64 = 10;
/// … as many more: a timer interrupt now and then.
const SOME: u64 = 20;

/// The bars of the quick set.
const QUICK: &str = include_str!("../../bars/quick.toml");

/// Numbers by the place they belong to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bars {
    /// `run/phase/what`: events of KVM's tracepoints.
    pub counts: BTreeMap<String, u64>,
    /// What the totals were measured with: names and hashes.
    pub inputs: BTreeMap<String, String>,
    /// `run/phase`: exits, exits to user space, instructions.
    pub totals: BTreeMap<String, [u64; 3]>,
}

impl Bars {
    /// Those kept with the program.
    ///
    /// # Errors
    /// When the file is broken.
    pub fn kept() -> Result<Self> {
        toml::from_str(QUICK).context("lab/bars/quick.toml is broken")
    }

    /// Those of a report.
    pub fn of(report: &Report) -> Self {
        let mut bars = Self {
            inputs: report.inputs.clone(),
            ..Self::default()
        };
        for run in &report.runs {
            if run.hung > 0 {
                // It ran with another seed.
                let tries = format!("try {}", run.hung + 1);
                bars.inputs.insert(format!("seed of {}", run.name), tries);
            }
            for phase in &run.phases {
                let place = format!("{}/{}", run.name, phase.name);
                for (what, count) in &phase.traced {
                    bars.counts.insert(format!("{place}/{what}"), *count);
                }
                let cost = &phase.cost;
                let totals = [cost.exits, cost.user_exits, cost.nanoseconds];
                bars.totals.insert(place, totals);
            }
        }
        bars
    }

    /// The text of the file.
    ///
    /// # Errors
    /// Never for bars of a report.
    pub fn render(&self) -> Result<String> {
        let text = toml::to_string(self).context("cannot write the bars")?;
        Ok(format!(
            "# Written by `xkvm-lab measure TREE --host-tree TREE --quick --bless FILE`; see lab/src/measure/bars.rs.\n\n{text}"
        ))
    }

    /// Compares what was measured with these. Runs that were left out are not missed; `whole` says that none was.
    pub fn compare(&self, got: &Self, whole: bool) -> Vec<Check> {
        let other = self.other_inputs(got, whole);
        let totals = match other.as_slice() {
            [] => self.exact(got, whole),
            other => self.near(got, whole, other),
        };
        // Without a traced run there is nothing to count.
        let is_traced = !got.counts.is_empty() || self.expected(got, whole).next().is_some();
        let counts = (whole || is_traced).then(|| self.counts(got, whole));
        counts.into_iter().chain([totals]).collect()
    }

    /// Names of what went in that is not as it was. What was left out had inputs of its own.
    fn other_inputs(&self, got: &Self, whole: bool) -> Vec<String> {
        let names = got
            .inputs
            .keys()
            .chain(self.inputs.keys().filter(|_| whole));
        let other = names.filter(|name| self.inputs.get(*name) != got.inputs.get(*name));
        other
            .cloned()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    /// Counts that must be there: all of them, or those of the phases that were run.
    fn expected<'a>(
        &'a self,
        got: &'a Self,
        whole: bool,
    ) -> impl Iterator<Item = (&'a String, &'a u64)> {
        let was_run = move |place: &str| {
            let phase = place.rsplit_once('/').map_or(place, |(phase, _)| phase);
            whole || got.totals.contains_key(phase)
        };
        self.counts.iter().filter(move |(place, _)| was_run(place))
    }

    fn counts(&self, got: &Self, whole: bool) -> Check {
        let mut wrong = Vec::new();
        for (place, count) in &got.counts {
            match self.counts.get(place) {
                Some(bar) if bar == count => {}
                Some(bar) => wrong.push(format!("{place}: {count}, the bar is {bar}")),
                None => wrong.push(format!("{place}: {count}, and there is no bar")),
            }
        }
        for (place, bar) in self.expected(got, whole) {
            if !got.counts.contains_key(place) {
                wrong.push(format!("{place}: nothing was counted, the bar is {bar}"));
            }
        }
        let name = "what KVM's tracepoints count is as the bars say";
        told(name, &wrong, got.counts.len())
    }

    /// Places that only one of both has, when nothing was left out.
    fn missing(&self, got: &Self, whole: bool) -> Vec<String> {
        let without = |these: &Self, those: &Self, why: &str| -> Vec<String> {
            let places = these
                .totals
                .keys()
                .filter(|place| !those.totals.contains_key(*place));
            places.map(|place| format!("{place}: {why}")).collect()
        };
        let mut all = without(got, self, "there is no bar");
        if whole {
            all.extend(without(self, got, "nothing was measured"));
        }
        all
    }

    fn exact(&self, got: &Self, whole: bool) -> Check {
        let mut wrong = self.missing(got, whole);
        let other = self.common(got).filter(|(_, bar, now)| bar != now);
        wrong
            .extend(other.map(|(place, bar, now)| format!("{place}: {now:?}, the bar is {bar:?}")));
        let name = "exits and instructions are those of the bars, to the last digit";
        told(name, &wrong, self.common(got).count())
    }

    fn near(&self, got: &Self, whole: bool, other: &[String]) -> Check {
        let is_far = |bar: u64, now: u64| bar.abs_diff(now) > bar / NEAR + SOME;
        let mut wrong = self.missing(got, whole);
        let far = self
            .common(got)
            .filter(|(_, bar, now)| is_far(bar[0], now[0]) || is_far(bar[1], now[1]));
        wrong.extend(far.map(|(place, bar, now)| format!("{place}: {now:?}, the bar is {bar:?}")));
        let name = format!(
            "exits are near those of the bars, which had another {}",
            other.join(", ")
        );
        told(&name, &wrong, self.common(got).count())
    }

    fn common<'a>(&'a self, got: &'a Self) -> impl Iterator<Item = (&'a str, [u64; 3], [u64; 3])> {
        got.totals
            .iter()
            .filter_map(|(place, now)| Some((place.as_str(), *self.totals.get(place)?, *now)))
    }
}

fn told(name: &str, wrong: &[String], compared: usize) -> Check {
    let holds = wrong.is_empty() && compared > 0;
    let seen = match wrong {
        [] => format!("{compared} compared"),
        lines => lines.join("\n"),
    };
    Check::new("bars", name, holds, seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars(input: &str, count: u64, totals: [u64; 3]) -> Bars {
        Bars {
            counts: [("legacy-stock-commands/write-sector/data".to_owned(), count)].into(),
            inputs: [("xkvm".to_owned(), input.to_owned())].into(),
            totals: [("legacy-stock-commands/write-sector".to_owned(), totals)].into(),
        }
    }

    fn holds(kept: &Bars, got: &Bars) -> Vec<bool> {
        kept.compare(got, true).iter().map(|c| c.holds).collect()
    }

    #[test]
    fn with_the_same_inputs_every_digit_counts() {
        let kept = bars("a", 256, [400, 270, 1_000_000]);
        assert_eq!(holds(&kept, &kept), [true, true]);
        let other = bars("a", 256, [400, 270, 1_000_001]);
        assert_eq!(holds(&kept, &other), [true, false]);
    }

    #[test]
    fn with_other_inputs_counts_stay_and_totals_are_near() {
        let kept = bars("a", 256, [400, 270, 1_000_000]);
        assert_eq!(
            holds(&kept, &bars("b", 256, [421, 270, 2_000_000])),
            [true, true]
        );
        assert_eq!(
            holds(&kept, &bars("b", 257, [400, 270, 1_000_000])),
            [false, true]
        );
        assert_eq!(
            holds(&kept, &bars("b", 256, [400, 540, 1_000_000])),
            [true, false]
        );
    }

    #[test]
    fn a_count_that_is_gone_is_missed() {
        let kept = bars("a", 256, [400, 270, 1_000_000]);
        let mut got = kept.clone();
        got.counts.clear();
        assert!(!holds(&kept, &got)[0]);
        // Even when less was run: nothing at all is no success.
        assert!(!kept.compare(&got, false)[0].holds);
        // Nothing was run that is traced: the totals are compared alone.
        got.totals.clear();
        assert_eq!(kept.compare(&got, false).len(), 1);
    }

    #[test]
    fn a_phase_that_is_gone_is_missed() {
        let kept = bars("a", 256, [400, 270, 1_000_000]);
        let mut got = kept.clone();
        got.totals.insert("new/phase".to_owned(), [1, 1, 1]);
        assert_eq!(holds(&kept, &got), [true, false]);
        assert_eq!(holds(&got, &kept), [true, false]);
        // Less was run: what is there is compared, and nothing is missed.
        assert!(got.compare(&kept, false)[1].holds);
    }

    #[test]
    fn the_file_is_what_is_written() {
        let kept = bars("a", 256, [400, 270, 1_000_000]);
        assert_eq!(
            toml::from_str::<Bars>(&kept.render().unwrap()).unwrap(),
            kept
        );
    }

    /// New bars can be blessed, but not without the promise that they are there for.
    #[test]
    fn the_kept_bars_hold_the_promises() {
        let kept = Bars::kept().unwrap();
        let count = |run: &str, phase: &str, what: &str| {
            let place = format!("{run}-commands/{phase}/{what}");
            kept.counts.get(&place).copied().unwrap_or_default()
        };
        // 256 words of a sector, one exit each; and one batch.
        assert_eq!(count("legacy-stock", "write-sector", "data"), 256);
        for transport in ["doorbell", "tunnel", "vmcall"] {
            let ours = format!("legacy-batches-{transport}");
            assert_eq!(count(&ours, "write-sector", "data"), 0, "{transport}");
            // That of the registers and that of the data: the run is there.
            assert_eq!(count(&ours, "write-sector", "batch"), 2, "{transport}");
        }
        // Eleven registers in one batch; the data, or the bus master's registers, are another.
        for bus in ["legacy", "piix3"] {
            let (stock, ours) = (format!("{bus}-stock"), format!("{bus}-batches-doorbell"));
            let writes = |run: &str| count(run, "write-far", "task-file");
            assert_eq!(writes(&stock), writes(&ours) + 11, "{bus}");
            assert_eq!(count(&ours, "write-far", "batch"), 2, "{bus}");
        }
    }

    /// With an input that the bars do not have totals are compared only nearly, and nobody would notice.
    #[test]
    fn the_bars_kept_have_the_inputs_of_the_quick_runs() {
        let kept = Bars::kept().unwrap();
        for name in [
            "xkvm",
            "sector",
            "busybox x86_64",
            "scripts",
            "qemu",
            "host stock",
            "host patched",
        ] {
            assert!(kept.inputs.contains_key(name), "{name}: bless them");
        }
        for run in crate::measure::plan::quick(true) {
            let guest = run.variant.guest.name();
            for name in [
                format!("task {}", run.name()),
                format!("guest {guest}"),
                format!("modules {guest}"),
            ] {
                assert!(kept.inputs.contains_key(&name), "{name}: bless them");
            }
        }
    }
}
