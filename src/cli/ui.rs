//! What reaches the user: data on stdout, talk on stderr, progress on a terminal only.

use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::path::Path;

use anstyle::{AnsiColor, Style};
use guestpatch::{Error, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();
const BOLD: Style = Style::new().bold();
const PLACE: Style = AnsiColor::Blue.on_default().bold();

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The way to the user.
#[derive(Debug)]
pub struct Ui {
    quiet: bool,
}

impl Ui {
    /// Decides about colours for the whole program.
    pub fn new(color: Color, quiet: bool) -> Self {
        match color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        }
        .write_global();
        Self { quiet }
    }

    /// Whether only errors are told.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Writes data. A reader that went away (`| head`) is no error.
    pub fn data(&self, text: &str) -> Result<()> {
        let mut out = anstream::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(e) if e.kind() != ErrorKind::BrokenPipe => {
                Err(Error::io(Path::new("standard output"), "write to", &e))
            }
            _ => Ok(()),
        }
    }

    /// Says something by the way.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.talk(&format!("{BOLD}note{BOLD:#}: {text}\n"));
        }
    }

    /// Says what was done.
    pub fn done(&self, text: &str) {
        if !self.quiet {
            self.talk(&format!("{text}\n"));
        }
    }

    /// Says what is wrong, where, and what to do.
    pub fn error(&self, error: &Error) {
        let mut text = format!("{ERROR}error{ERROR:#}: {}\n", error.message);
        if let Some(place) = &error.place {
            text.push_str(&format!(" {PLACE}-->{PLACE:#} {place}\n"));
        }
        if let Some(hint) = &error.hint {
            text.push_str(&format!("{HINT}hint{HINT:#}: {hint}\n"));
        }
        self.talk(&text);
    }

    fn talk(&self, text: &str) {
        // Nobody is left to tell that stderr is gone.
        let _ = anstream::stderr().lock().write_all(text.as_bytes());
    }

    /// A bar on stderr, or nothing where that is no terminal.
    pub fn progress(&self) -> ProgressBar {
        let target = if self.quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(10)
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {wide_bar} {pos}/{len}") {
            bar.set_style(style);
        }
        bar
    }

    /// Shows on `bar` how far it is, and what it is at.
    pub fn advance(bar: &ProgressBar, at: &str, done: usize, all: usize) {
        // Not for each of 60,000 files: a message takes a lock.
        if done.is_multiple_of(64) || done == all {
            bar.set_message(at.to_owned());
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        }
    }

    /// The width of stdout when it is a terminal.
    pub fn width(&self) -> Option<usize> {
        let stdout = std::io::stdout();
        if !stdout.is_terminal() {
            return None;
        }
        terminal_size::terminal_size_of(stdout).map(|(width, _)| usize::from(width.0))
    }
}
