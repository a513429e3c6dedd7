//! `scan --json`. The format is described in docs/report.md.

use serde::Serialize;

use super::{TOOL, Tool, Totals};
use crate::kernel::Version;
use crate::recipe::scan::{Found, Scan};

/// The document.
#[derive(Debug, Serialize)]
pub struct ScanReport<'a> {
    /// Counts up when the meaning of a key changes.
    pub format: u32,
    /// What wrote it.
    pub tool: Tool,
    /// The kernel's version.
    pub kernel: String,
    /// Files looked at.
    pub files: usize,
    /// Sums over all sites, those beyond a limit included.
    pub totals: Totals,
    /// Recipes that do not apply.
    pub not_applicable: Vec<NotApplicable<'a>>,
    /// The sites, most exits saved first.
    pub sites: &'a [Found],
}

/// A recipe that does not apply, and why.
#[derive(Debug, Serialize)]
pub struct NotApplicable<'a> {
    recipe: &'a str,
    because: &'a str,
}

impl<'a> ScanReport<'a> {
    /// The report of `scan`, with the first `limit` sites.
    pub fn new(scan: &'a Scan, version: &Version, limit: usize) -> Self {
        Self {
            format: 1,
            tool: TOOL,
            kernel: version.to_string(),
            files: scan.scanned.files,
            totals: Totals::of(scan.found.iter().map(|f| &f.site)),
            not_applicable: scan
                .not_applicable
                .iter()
                .map(|(recipe, because)| NotApplicable { recipe, because })
                .collect(),
            sites: &scan.found[..limit.min(scan.found.len())],
        }
    }
}
