//! What came of it, for people and for programs.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::{Series, Source, Variant};
use crate::check::{Check, ended};
use crate::output;

/// What is in the series and what is not.
pub(super) fn series(series: &Series) -> String {
    let applied: Vec<&str> = series
        .recipes
        .iter()
        .filter(|(_, missing)| missing.is_none())
        .map(|(name, _)| name.as_str())
        .collect();
    let mut out = match series.patches.len() {
        0 => "series: none\n".to_owned(),
        count => format!("series: {count} patches: {}\n", applied.join(" ")),
    };
    for (name, missing) in &series.recipes {
        if let Some(because) = missing {
            out.push_str(&format!("  {name} does not apply: {because}\n"));
        }
    }
    out
}

/// The checks, place by place, and how it ended.
pub(super) fn terminal(variants: &[Variant], checks: &[Check]) -> String {
    let (mut out, mut place) = (String::new(), "");
    for check in checks {
        if check.place != place {
            place = &check.place;
            out.push_str(&format!("\n{place}\n"));
        }
        let word = if check.holds { "ok" } else { "FAILED" };
        let seen = check.seen.replace('\n', "\n          ");
        out.push_str(&format!("  {word:<6}  {}: {seen}\n", check.name));
    }
    out.push('\n');
    for variant in variants {
        for run in &variant.runs {
            let facts = &run.outcome.facts;
            out.push_str(&format!(
                "{} {}: {:.0} s, interrupts: {} for the long transfer, {} for the floods\n",
                variant.name,
                run.nic.driver(),
                run.outcome.took.as_secs_f64(),
                facts.get("bulk_interrupts"),
                facts.get("flood_interrupts"),
            ));
        }
    }
    out + &ended(checks)
}

#[derive(Serialize)]
struct Report<'a> {
    /// Counts up when a program that reads it must know of a change.
    format: u32,
    version: String,
    patches: Vec<&'a str>,
    checks: &'a [Check],
    guests: Vec<Guest<'a>>,
}

#[derive(Serialize)]
struct Guest<'a> {
    kernel: &'a str,
    driver: &'a str,
    seconds: f64,
    facts: BTreeMap<&'a str, &'a str>,
}

/// The same for programs.
pub(super) fn json(source: &Source, variants: &[Variant], checks: &[Check]) -> Result<String> {
    let guests = variants.iter().flat_map(|variant| {
        variant.runs.iter().map(|run| Guest {
            kernel: variant.name,
            driver: run.nic.driver(),
            seconds: run.outcome.took.as_secs_f64(),
            facts: run.outcome.facts.iter().collect(),
        })
    });
    let patches = variants.iter().flat_map(|v| &v.series.patches);
    let report = Report {
        format: 1,
        version: source.release(),
        patches: patches.map(|(name, _)| name.as_str()).collect(),
        checks,
        guests: guests.collect(),
    };
    output::json(&report)
}
