//! The paired host's program for machines that have no libraries: `xkvm`, linked statically.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use guestpatch::host::{self, PROGRAM};

use crate::Lab;
use crate::cache::Key;
use crate::kernel::tree::told;
use crate::run::{ask, step};

/// The one that Debian's and most others' Rust has, and all that runs on x86-64.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Two hundred crates on a slow machine.
const TIMEOUT: Duration = Duration::from_secs(1800);
/// Bytes that it takes to build, with room to spare.
const SPACE: u64 = 512 << 20;

/// The program, built from the sources inside guestpatch.
///
/// # Errors
/// When cargo is missing or fails.
pub fn xkvm(lab: &Lab) -> Result<PathBuf> {
    let mut key = Key::of("xkvm")
        .with("compiler", ask("rustc", &["--version", "--verbose"])?)
        .with("target", TARGET);
    for (name, content) in host::files().map_err(told)? {
        // What is said about it, and its own tests, change nothing of it.
        if !name.ends_with(".md") && !name.starts_with("host/tests/") {
            key = key.with(&name, content);
        }
    }
    let key = key.build();
    let entry = lab.cache.entry("files", &key, |folder| {
        lab.cache.require_space(SPACE, "building xkvm")?;
        lab.say("building xkvm");
        // Paths get into the names of symbols: the same folder each time makes the same program.
        let (work, _guard) = lab.cache.workspace(&Key::of("xkvm").build())?;
        let source = work.join("source");
        if source.exists() {
            fs::remove_dir_all(&source).context("cannot delete the sources of an earlier build")?;
        }
        fs::create_dir_all(&source).context("cannot make a folder for the sources")?;
        host::write(&source).map_err(told)?;
        let target = work.join("target");
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command
            .args(["build", "--release", "--locked", "--bin", PROGRAM])
            .args(["--target", TARGET, "--target-dir"])
            .arg(&target)
            .current_dir(&source)
            .env("RUSTFLAGS", flags(&source))
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("CARGO_ENCODED_RUSTFLAGS");
        let log = lab.logs.file("xkvm-build.log");
        step(&command, "building xkvm", &log, TIMEOUT, &lab.interrupt)?;
        let built = target.join(TARGET).join("release").join(PROGRAM);
        fs::copy(&built, folder.join(PROGRAM))
            .map(|_| ())
            .with_context(|| format!("cannot copy {}", built.display()))
    })?;
    Ok(entry.join(PROGRAM))
}

fn flags(source: &std::path::Path) -> OsString {
    let mut flags = OsString::from("-C target-feature=+crt-static --remap-path-prefix=");
    flags.push(source);
    flags.push("=/xkvm");
    flags
}
