//! Runs cargo on the host's sources.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::{PROGRAM, source};
use crate::series::output;
use crate::{Error, Result};

/// Writes the host's sources to the new folder `dir`, and the program built from them beside them unless `source_only`.
///
/// The folder appears whole or not at all. Cargo gets the versions that this program was tested with (`--locked`); it fetches
/// those it does not have.
///
/// # Errors
/// When `dir` is in use, cargo is missing or fails, or the system refuses to write.
pub fn build(dir: &Path, source_only: bool, quiet: bool) -> Result<()> {
    output::write_with(dir, false, |new| {
        source::write(new)?;
        if source_only {
            return Ok(());
        }
        // Beside the new folder, so that it goes when that is moved to its place.
        let target = new.with_file_name("target");
        let program = cargo(new, &target, quiet)?;
        let to = new.join(PROGRAM);
        fs::copy(&program, &to).map_err(|e| Error::io(&to, "write", &e))?;
        Ok(())
    })
}

/// A line of `cargo build --message-format=json`, as far as it matters.
#[derive(Deserialize)]
struct Message {
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// Builds the program and returns where it is.
fn cargo(workspace: &Path, target: &Path, quiet: bool) -> Result<PathBuf> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(&program);
    command
        .args(["build", "--release", "--locked", "--bin", PROGRAM])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(workspace)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    if quiet {
        command.arg("--quiet");
    }
    // Who shares a target folder between builds wants this one in it too; a relative one is told from where we are.
    let shared = std::env::var_os("CARGO_TARGET_DIR").and_then(|t| std::path::absolute(t).ok());
    command
        .arg("--target-dir")
        .arg(shared.as_deref().unwrap_or(target));
    let output = command.output().map_err(|e| match e.kind() {
        ErrorKind::NotFound => {
            Error::failed(format!("cannot build the host: no {}", program.display())).hint(
                "install Rust (https://rustup.rs), or take the sources with --source-only and \
                 build them elsewhere with `cargo build --release --locked`",
            )
        }
        _ => Error::io(Path::new(&program), "run", &e),
    })?;
    if !output.status.success() {
        return Err(Error::failed(format!(
            "cargo could not build the host ({})",
            output.status
        ))
        .hint("its messages are above; --source-only writes the sources"));
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.target.as_ref().is_some_and(|t| t.name == PROGRAM))
        .find_map(|message| message.executable)
        .ok_or_else(|| Error::failed("cargo built the host, but named no program"))
}
