//! The files of a report.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::NamedTempFile;

use super::{Report, html};
use crate::output;

/// Writes `report.json` and `report.html` to `folder`, whole or not at all; returns the page.
///
/// # Errors
/// When they cannot be written.
pub fn write(report: &Report, folder: &Path) -> Result<PathBuf> {
    let page = folder.join("report.html");
    let files = [
        (folder.join("report.json"), output::json(report)?),
        (page.clone(), html(report)),
    ];
    let mut drafts = Vec::new();
    for (file, text) in &files {
        let write = || -> io::Result<NamedTempFile> {
            let mut draft = NamedTempFile::new_in(folder)?;
            draft.write_all(text.as_bytes())?;
            let readable = Permissions::from_mode(0o644);
            draft.as_file().set_permissions(readable)?;
            Ok(draft)
        };
        drafts.push(write().with_context(|| format!("cannot write {}", file.display()))?);
    }
    for ((file, _), draft) in files.iter().zip(drafts) {
        draft
            .persist(file)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(page)
}
