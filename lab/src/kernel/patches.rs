//! Patches on a tree of the lab's.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::Lab;
use crate::run::step;

const TIMEOUT: Duration = Duration::from_secs(120);

/// Applies patches, by file name, to `tree`, or none of them; `name` says whose tree it is.
///
/// # Errors
/// When one does not apply.
pub fn apply(lab: &Lab, name: &str, patches: &[(String, Vec<u8>)], tree: &Path) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a folder for the patches")?;
    let mut command = Command::new("git");
    command.current_dir(tree);
    // The cache may lie inside of some repository, which is not meant.
    command.env("GIT_CEILING_DIRECTORIES", tree.parent().unwrap_or(tree));
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    command.args(["apply", "--whitespace=nowarn"]);
    for (name, text) in patches {
        let file = folder.path().join(name);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        command.arg(file);
    }
    let log = lab.logs.file(&format!("{name}-git-apply.log"));
    let what = format!("git-apply of the {name} kernel");
    step(&command, &what, &log, TIMEOUT, &lab.interrupt)
}

/// Paths that the patches name, from the top of the tree.
pub fn touched(patches: &[(String, Vec<u8>)]) -> BTreeSet<PathBuf> {
    let mut paths = BTreeSet::new();
    for (_, text) in patches {
        for line in String::from_utf8_lossy(text).lines() {
            let path = line
                .strip_prefix("--- a/")
                .or_else(|| line.strip_prefix("+++ b/"));
            if let Some(path) = path {
                paths.insert(PathBuf::from(path.trim_end()));
            }
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_patch_are_found() {
        let patch = "diff --git a/x b/x\n--- a/x/y.c\n+++ b/x/y.c\n@@ -1 +1 @@\n--- /dev/null\n+++ b/new file\n";
        let touched = touched(&[("0001-x.patch".to_owned(), patch.into())]);
        let wanted = ["new file", "x/y.c"].map(PathBuf::from);
        assert_eq!(touched.into_iter().collect::<Vec<_>>(), wanted);
    }
}
