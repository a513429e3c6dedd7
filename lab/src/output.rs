//! What is printed: to standard output what an experiment found out, to standard error what it does meanwhile.

use std::io::{self, ErrorKind, Write};

use anyhow::{Context, Result};

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

/// Tells the user something on standard error. Nothing ends when nobody can read it.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
