//! Something that must hold, and what must hold for every guest's kernel.

use std::path::Path;

use regex::RegexSet;
use serde::Serialize;

use crate::console::{difference, messages, warnings};

/// One thing that must hold.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// Where: the kernel and the driver, or the run.
    pub place: String,
    /// What.
    pub name: String,
    /// Whether it does.
    pub holds: bool,
    /// What was seen.
    pub seen: String,
}

impl Check {
    pub(crate) fn new(
        place: &str,
        name: impl Into<String>,
        holds: bool,
        seen: impl Into<String>,
    ) -> Self {
        Self {
            place: place.to_owned(),
            name: name.into(),
            holds,
            seen: seen.into(),
        }
    }

    /// One that holds when nothing is wrong; `seen` is what is said then.
    pub(crate) fn none_of(
        place: &str,
        name: impl Into<String>,
        wrong: &[String],
        seen: impl Into<String>,
    ) -> Self {
        match wrong {
            [] => Self::new(place, name, true, seen),
            lines => Self::new(place, name, false, lines.join("\n")),
        }
    }
}

/// How it ended, in a line for readers.
pub fn ended(checks: &[Check]) -> String {
    match checks.iter().filter(|check| !check.holds).count() {
        0 => format!("all {} checks hold\n", checks.len()),
        failed => format!("{failed} of {} checks FAILED\n", checks.len()),
    }
}

/// The kernel has not complained; `log` is where its console is kept.
pub(crate) fn quiet(place: &str, console: &str, log: Option<&Path>) -> Check {
    let mut wrong = warnings(console);
    // A console on which nothing arrives shows no complaint either.
    if messages(console).is_empty() {
        wrong.push("a console without messages".to_owned());
    }
    if let (Some(log), false) = (log, wrong.is_empty()) {
        wrong.push(format!("in {}", log.display()));
    }
    Check::none_of(place, "no warnings of the kernel", &wrong, "none")
}

/// Messages that the series is meant to change.
const INTENDED: &[&str] = &[
    // elevator-noop: mq-deadline is still built in; nothing changes on the console. clock-hz: the length of a tick.
    r"^sched_clock: \d+ bits at",
    r"^io scheduler ",
    // A guest that is busy with exits reads its clocks late.
    r"^clocksource: Long readout interval, skipping watchdog check: ",
    // pmtmr-read: of the PM timer's chip.
    r"^\* Found PM-Timer Bug on the chipset\. ",
    r"^\* this clock source is slow\. ",
    // xkvm-io: the host that it has found. Where there is none, another check wants silence.
    r"^xkvm_io: ",
    r"^rcu: RCU calculated value of scheduler-enlistment delay is \d+ jiffies\.$",
];

/// The messages of both kernels, compared.
pub(crate) fn same_messages(place: &str, stock: &[String], patched: &[String]) -> Check {
    let intended = RegexSet::new(INTENDED).expect("the patterns are right");
    let (gone, new) = difference(stock, patched);
    let mut seen = Vec::new();
    let mut holds = true;
    for (sign, line) in gone
        .iter()
        .map(|l| ('-', l))
        .chain(new.iter().map(|l| ('+', l)))
    {
        let meant = intended.is_match(line);
        holds &= meant;
        seen.push(format!(
            "{sign} {line}{}",
            if meant { "  (intended)" } else { "" }
        ));
    }
    if stock.is_empty() || patched.is_empty() {
        return Check::new(
            place,
            "messages compared",
            false,
            "a console without messages",
        );
    }
    let name = "messages differ only where intended";
    let seen = match seen.as_slice() {
        [] => format!("no difference in {} messages", patched.len()),
        lines => lines.join("\n"),
    };
    Check::new(place, name, holds, seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_may_differ_where_it_is_meant() {
        let lines = |all: &[&str]| all.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
        let stock = lines(&["a", "io scheduler mq-deadline registered"]);
        assert!(same_messages("x", &stock, &lines(&["a"])).holds);
        assert!(!same_messages("x", &stock, &lines(&["a", "b"])).holds);
        assert!(!same_messages("x", &stock, &[]).holds);
    }

    #[test]
    fn only_a_console_that_says_something_is_quiet() {
        let log = Some(Path::new("/logs/console"));
        assert!(quiet("x", "[    1.000000] fine\n", log).holds);
        assert!(!quiet("x", "", log).holds);
        assert!(!quiet("x", "no message of a kernel\n", log).holds);
        let check = quiet("x", "[    1.000000] BUG: x\n", log);
        assert!(!check.holds);
        assert_eq!(check.seen, "[    1.000000] BUG: x\nin /logs/console");
    }
}
