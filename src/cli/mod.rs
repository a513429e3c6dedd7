//! The command line: one file a subcommand.

mod completions;
mod host;
mod napi_report;
mod recipes;
mod scan;
mod series;
mod ui;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use guestpatch::kernel::files::{Globs, Scanned};
use guestpatch::recipe::{Catalogue, Override};
use guestpatch::{Error, Result};

pub use ui::{Color, Ui};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  a recipe does not do on this tree what it promises, or a sample fails
  2  the command line, a recipe or the tree is not usable as given
  3  the operating system refused something

Data goes to standard output, everything else to standard error.";

const EXAMPLES: &str = "\
Examples:
  guestpatch series ~/linux -o out              patches of all default recipes
  guestpatch series ~/linux -o out --apply kvm  and as commits on a new branch
  guestpatch scan ~/linux --limit 20            where port I/O could be batched
  guestpatch napi-report ~/linux                what NAPI means to each network driver
  guestpatch recipes list                       what it can do
  guestpatch host build -o xkvm --series out    the VMM that serves such a guest

";

/// Makes a guest Linux kernel cheap to run under KVM: reads a kernel checkout, writes a reviewable patch series.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = format!("{EXAMPLES}{EXIT_CODES}"))]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    /// Colours in the output.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    pub color: Color,
    /// No notes and no progress, only errors.
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Series(series::Series),
    Scan(scan::Scan),
    NapiReport(napi_report::NapiReport),
    Recipes(recipes::Recipes),
    Host(host::Host),
    Completions(completions::Completions),
}

impl Args {
    /// Runs the subcommand; returns the exit code.
    pub fn run(self, ui: &Ui) -> Result<u8> {
        match self.command {
            Command::Series(command) => command.run(ui),
            Command::Scan(command) => command.run(ui),
            Command::NapiReport(command) => command.run(ui),
            Command::Recipes(command) => command.run(ui),
            Command::Host(command) => command.run(ui),
            Command::Completions(command) => command.run(ui),
        }
    }
}

/// Which recipes, and on which files.
#[derive(Debug, clap::Args)]
struct Choice {
    /// Take only this recipe (and what it requires); may be given several times.
    #[arg(short, long = "recipe", value_name = "NAME")]
    recipes: Vec<String>,
    /// Only files that match, by path from the tree's top; may be given several times.
    #[arg(long, value_name = "GLOB")]
    files: Vec<String>,
    /// Also take the recipes in this folder; one there replaces the built-in one of its name.
    #[arg(long = "recipes", value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Replace a key of a recipe, such as `libata-taskfile.max-ops=16`.
    #[arg(long, value_name = "RECIPE.KEY=VALUE", value_parser = Override::parse)]
    set: Vec<Override>,
}

impl Choice {
    fn catalogue(&self, ui: &Ui) -> Result<Catalogue> {
        let catalogue = Catalogue::load(self.folder.as_deref(), &self.set)?;
        for note in catalogue.notes() {
            ui.note(note);
        }
        Ok(catalogue)
    }

    fn only(&self) -> Result<Option<Globs>> {
        if self.files.is_empty() {
            Ok(None)
        } else {
            Globs::new(&self.files).map(Some)
        }
    }
}

/// A search that went through no file found nothing for a reason that the user should hear.
fn require_files(scanned: Scanned) -> Result<()> {
    if scanned.files == 0 {
        return Err(Error::failed("no file was looked into")
            .hint("check --files, and that TREE is a whole kernel tree"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Args::command().debug_assert();
    }
}
