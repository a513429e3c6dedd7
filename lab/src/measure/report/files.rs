//! The files of a report.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::{Report, html};

/// Writes `report.json` and `report.html` to `folder`.
///
/// # Errors
/// When they cannot be written.
pub fn write(report: &Report, folder: &Path) -> Result<()> {
    let json = serde_json::to_string_pretty(report).context("cannot write the report")? + "\n";
    for (name, text) in [("report.json", json), ("report.html", html(report))] {
        let file = folder.join(name);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}
