//! Runs of port I/O become one batch.

use serde::Deserialize;

use super::{Fault, Reader, Site};

/// The keys of a `coalesce-io` step.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CoalesceStep {
    /// Globs of the functions to look into; all when empty.
    #[serde(default)]
    pub functions: Vec<String>,
    /// Named accessor tables.
    #[serde(default)]
    pub accessors: Vec<String>,
}

impl CoalesceStep {
    /// Checks what serde cannot.
    ///
    /// # Errors
    /// The first thing wrong.
    pub fn check(&self) -> Result<(), Fault> {
        Ok(())
    }
}

/// Coalesces the runs in one file: its new text (none when unchanged), and every site.
pub fn run(
    _step: &CoalesceStep,
    _path: &str,
    _text: &[u8],
    _read: Reader<'_>,
) -> (Option<Vec<u8>>, Vec<Site>) {
    (None, Vec::new())
}
