//! What the user sees, and a file for programs.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Serialize;

use super::{Series, Source, Variant};
use crate::Lab;
use crate::check::Check;

/// Tells what is in the series and what is not.
pub(super) fn series(series: &Series) {
    let applied: Vec<&str> = series
        .recipes
        .iter()
        .filter(|(_, missing)| missing.is_none())
        .map(|(name, _)| name.as_str())
        .collect();
    if series.is_empty() {
        println!("series: none");
    } else {
        println!(
            "series: {} patches: {}",
            series.patches.len(),
            applied.join(" ")
        );
    }
    for (name, missing) in &series.recipes {
        if let Some(because) = missing {
            println!("  {name} does not apply: {because}");
        }
    }
}

/// Prints the checks, place by place.
pub(super) fn print(variants: &[Variant], checks: &[Check]) {
    let mut place = "";
    for check in checks {
        if check.place != place {
            place = &check.place;
            println!("\n{place}");
        }
        let word = if check.holds { "ok" } else { "FAILED" };
        let seen = check.seen.replace('\n', "\n          ");
        println!("  {word:<6}  {}: {seen}", check.name);
    }
    println!();
    for variant in variants {
        for run in &variant.runs {
            let facts = &run.outcome.facts;
            println!(
                "{} {}: {:.0} s, interrupts: {} for the long transfer, {} for the floods",
                variant.name,
                run.nic.driver(),
                run.outcome.took.as_secs_f64(),
                facts.get("bulk_interrupts"),
                facts.get("flood_interrupts"),
            );
        }
    }
    let failed = checks.iter().filter(|check| !check.holds).count();
    match failed {
        0 => println!("all {} checks hold", checks.len()),
        _ => println!("{failed} of {} checks FAILED", checks.len()),
    }
}

#[derive(Serialize)]
struct Report<'a> {
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

/// Writes `report.json` beside the logs.
pub(super) fn write(
    lab: &Lab,
    source: &Source,
    variants: &[Variant],
    checks: &[Check],
) -> Result<PathBuf> {
    let guests = variants.iter().flat_map(|variant| {
        variant.runs.iter().map(|run| Guest {
            kernel: variant.name,
            driver: run.nic.driver(),
            seconds: run.outcome.took.as_secs_f64(),
            facts: run.outcome.facts.iter().collect(),
        })
    });
    let patches = variants.iter().flat_map(|v| &v.series.patches);
    let (major, minor, patch) = source.version();
    let report = Report {
        version: format!("{major}.{minor}.{patch}"),
        patches: patches.map(|(name, _)| name.as_str()).collect(),
        checks,
        guests: guests.collect(),
    };
    let file = lab.logs.folder().join("report.json");
    let text = serde_json::to_string_pretty(&report).context("cannot write the report")?;
    fs::write(&file, text + "\n").with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}
