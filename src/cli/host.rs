//! `guestpatch host`: the paired host.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use guestpatch::host::{self, PROGRAM};
use guestpatch::series::output;
use guestpatch::{Error, Result};

use super::Ui;

/// Builds the host that serves the patched guests.
#[derive(Debug, clap::Args)]
pub struct Host {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Builds the VMM `xkvm` from the sources in this program.
    ///
    /// The folder gets the sources as a cargo workspace, with the versions of all dependencies, and the program beside them.
    /// Cargo has to be installed, and fetches the dependencies that it does not have.
    #[command(after_help = "\
Examples:
  guestpatch host build -o xkvm --series out    and check that it matches the series in `out`
  guestpatch host build -o xkvm --source-only   write the sources, build nothing")]
    Build(Build),
}

#[derive(Debug, clap::Args)]
struct Build {
    /// The folder to write; it must be new or empty.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// A series that the host must match: its folder, or its report.json.
    #[arg(long, value_name = "DIR")]
    series: Option<PathBuf>,
    /// Write the sources only.
    #[arg(long)]
    source_only: bool,
}

impl Host {
    pub fn run(self, ui: &Ui) -> Result<u8> {
        match self.action {
            Action::Build(build) => build.run(ui),
        }
    }
}

impl Build {
    fn run(self, ui: &Ui) -> Result<u8> {
        // Everything that can be refused is refused before cargo has worked for a minute.
        output::check(&self.output, false)?;
        if let Some(series) = &self.series {
            let file = if series.is_dir() {
                series.join("report.json")
            } else {
                series.clone()
            };
            host::check(&read(&file)?, &file)?;
        }
        host::build(&self.output, self.source_only, ui.is_quiet())?;
        ui.done(&if self.source_only {
            format!("Wrote the host's sources to {}", self.output.display())
        } else {
            format!("Built {}", self.output.join(PROGRAM).display())
        });
        Ok(0)
    }
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).map_err(|e| {
        Error::usage(format!("cannot read {}: {e}", file.display()))
            .hint("name the folder that `guestpatch series -o` wrote, or the report.json in it")
    })
}
