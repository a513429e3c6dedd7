//! `napi-report`: a table of drivers, and its JSON (described in docs/report.md).

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::table::count;
use super::{TOOL, Tool};
use crate::kernel::Version;
use crate::napi::{Driver, Survey, What};

const HEAD: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const DIM: Style = Style::new().dimmed();

/// The document.
#[derive(Debug, Serialize)]
pub struct NapiReport<'a> {
    /// Counts up when the meaning of a key changes.
    pub format: u32,
    /// What wrote it.
    pub tool: Tool,
    /// The kernel's version.
    pub kernel: String,
    /// Files read.
    pub files: usize,
    /// Sums over all drivers, those beyond a limit included.
    pub totals: NapiTotals,
    /// The drivers, the easiest first.
    pub drivers: &'a [Driver],
}

/// Sums over drivers, each of which is in one group: refused, with a recipe, or neither.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct NapiTotals {
    /// Drivers that use NAPI.
    pub drivers: usize,
    /// Those that must keep it.
    pub refused: usize,
    /// Those of the rest that a recipe strips.
    pub with_recipe: usize,
    /// All others.
    pub others: usize,
    /// Places to change in these others.
    pub places: usize,
}

impl NapiTotals {
    /// The sums over `drivers`.
    pub fn of(drivers: &[Driver]) -> Self {
        let mut totals = Self {
            drivers: drivers.len(),
            ..Self::default()
        };
        for driver in drivers {
            if !driver.refused.is_empty() {
                totals.refused += 1;
            } else if driver.recipe.is_some() {
                totals.with_recipe += 1;
            } else {
                totals.others += 1;
                totals.places += driver.places.len();
            }
        }
        totals
    }
}

impl<'a> NapiReport<'a> {
    /// The report of `survey`, with the first `limit` drivers.
    pub fn new(survey: &'a Survey, version: &Version, limit: usize) -> Self {
        Self {
            format: 2,
            tool: TOOL,
            kernel: version.to_string(),
            files: survey.scanned.files,
            totals: NapiTotals::of(&survey.drivers),
            drivers: &survey.drivers[..limit.min(survey.drivers.len())],
        }
    }
}

/// Column heads, in the order of [`What::ALL`].
const COLUMNS: [&str; 8] = [
    "field", "add", "poll", "on/off", "sched", "done", "recv", "buf",
];

/// The drivers as a table, `limit` rows at most, with every place below its driver when `verbose`.
pub fn table(survey: &Survey, limit: usize, verbose: bool) -> String {
    let shown = &survey.drivers[..limit.min(survey.drivers.len())];
    let widest = |f: fn(&Driver) -> usize| shown.iter().map(f).max().unwrap_or(0);
    let name = widest(|d| d.name.chars().count()).max("driver".len());
    let folder = widest(|d| shortly(&d.folder).chars().count()).max("folder".len());
    let mut out = String::new();
    if !shown.is_empty() {
        let _ = write!(
            out,
            "{HEAD}{:<name$}  {:<folder$}  {:>5}",
            "driver", "folder", "total"
        );
        for head in COLUMNS {
            let _ = write!(out, "  {head:>5}");
        }
        let _ = writeln!(out, "  a strip{HEAD:#}");
    }
    for driver in shown {
        let _ = write!(
            out,
            "{:<name$}  {:<folder$}  {:>5}",
            driver.name,
            shortly(&driver.folder),
            driver.places.len()
        );
        for (what, head) in What::ALL.into_iter().zip(COLUMNS) {
            let width = head.len().max(5);
            match driver.count(what) {
                0 => {
                    let _ = write!(out, "  {DIM}{:>width$}{DIM:#}", "-");
                }
                number => {
                    let _ = write!(out, "  {number:>width$}");
                }
            }
        }
        let (style, verdict) = verdict(driver);
        let _ = writeln!(out, "  {style}{verdict}{style:#}");
        if verbose {
            details(&mut out, driver);
        }
    }
    if survey.drivers.len() > shown.len() {
        let more = survey.drivers.len() - shown.len();
        let _ = writeln!(out, "{DIM}… and {more} more, see --limit{DIM:#}");
    }
    if !shown.is_empty() {
        out.push('\n');
    }
    let totals = NapiTotals::of(&survey.drivers);
    let _ = writeln!(
        out,
        "{HEAD}{} with NAPI, {} read: {} with a recipe, {} refused, {} left with {} to change{HEAD:#}",
        count(totals.drivers, "driver"),
        count(survey.scanned.files, "file"),
        totals.with_recipe,
        totals.refused,
        totals.others,
        count(totals.places, "place"),
    );
    out
}

fn shortly(folder: &str) -> &str {
    folder.strip_prefix("drivers/").unwrap_or(folder)
}

fn verdict(driver: &Driver) -> (Style, String) {
    let list = |reasons: &[crate::napi::Reason]| {
        let words: Vec<&str> = reasons.iter().map(|r| r.what).collect();
        words.join(", ")
    };
    if !driver.refused.is_empty() {
        return (BAD, format!("refused: {}", list(&driver.refused)));
    }
    if let Some(recipe) = &driver.recipe {
        return (GOOD, format!("recipe {recipe}"));
    }
    match driver.cautions.is_empty() {
        true => (GOOD, "possible".to_owned()),
        false => (Style::new(), format!("mind: {}", list(&driver.cautions))),
    }
}

fn details(out: &mut String, driver: &Driver) {
    for (mark, reasons) in [("refused", &driver.refused), ("mind", &driver.cautions)] {
        for reason in reasons {
            let _ = writeln!(
                out,
                "    {mark}: {} (`{}` at {}:{})",
                reason.what, reason.word, reason.file, reason.line
            );
        }
    }
    for place in &driver.places {
        let within = match place.function.as_str() {
            "" => String::new(),
            same if same == place.word => String::new(),
            function => format!(" in {function}"),
        };
        let _ = writeln!(
            out,
            "    {DIM}{}:{}:{DIM:#} {}{within}",
            place.file, place.line, place.word
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::napi::{Place, Reason};

    fn driver(recipe: Option<&str>, refused: bool, places: usize) -> Driver {
        let place = Place {
            file: "a.c".into(),
            line: 1,
            what: What::Receive,
            word: "netif_receive_skb".into(),
            function: "f".into(),
        };
        let reason = Reason {
            what: "XDP",
            word: "xdp_do_flush".into(),
            file: "a.c".into(),
            line: 2,
        };
        Driver {
            name: "a".into(),
            folder: "drivers/net".into(),
            files: vec!["a.c".into()],
            recipe: recipe.map(str::to_owned),
            refused: if refused { vec![reason] } else { Vec::new() },
            cautions: Vec::new(),
            places: vec![place; places],
        }
    }

    #[test]
    fn each_driver_counts_once() {
        let drivers = vec![
            driver(None, false, 3),
            driver(Some("napi-x"), false, 5),
            driver(None, true, 7),
            driver(Some("napi-y"), true, 11),
            driver(None, false, 1),
        ];
        let totals = NapiTotals::of(&drivers);
        let wanted = NapiTotals {
            drivers: 5,
            refused: 2,
            with_recipe: 1,
            others: 2,
            places: 4,
        };
        assert_eq!(totals, wanted);
        let survey = Survey {
            drivers,
            ..Survey::default()
        };
        let text = table(&survey, 1, false);
        let last = text.lines().last().unwrap_or_default();
        assert!(
            last.contains("1 with a recipe, 2 refused, 2 left with 4 places to change"),
            "{last}"
        );
    }
}
