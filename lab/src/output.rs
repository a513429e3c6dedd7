//! What is printed: to standard output what an experiment found out, to standard error what it does meanwhile.

use std::io::{self, ErrorKind, Write};

use anyhow::{Context, Result};
use serde::Serialize;

/// Prints `text`. A reader that went away (`| head`) is no error.
///
/// # Errors
/// When standard output cannot be written.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}

/// A report for programs.
///
/// # Errors
/// When a value has no form in JSON.
pub fn json(report: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string_pretty(report).context("cannot write the report")? + "\n")
}

/// Tells the user something on standard error. Nothing ends when nobody can read it.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
