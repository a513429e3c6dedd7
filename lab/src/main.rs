//! `xkvm-lab`: shows on running kernels that what guestpatch writes is right, and what it saves.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Error, Result};
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use guestpatch::recipe::Override;
use xkvm_lab::Lab;
use xkvm_lab::boot::{self, Nic, Only};
use xkvm_lab::cache::Cache;
use xkvm_lab::kernel::Arch;
use xkvm_lab::kernel::series::{Choice, Request};
use xkvm_lab::measure;
use xkvm_lab::output;

/// Builds kernels without and with guestpatch's series, runs them in virtual machines, and compares.
#[derive(Parser)]
#[command(version, max_term_width = 100, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Folder for everything that is built once and kept; default: guestpatch/lab in your cache folder.
    #[arg(long, global = true, value_name = "DIR")]
    cache: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
It needs what a kernel build needs, and the Debian packages qemu-system-x86 seabios busybox-static (or their like).

Exit codes: 0 all checks hold, 1 a check does not hold, 2 a step failed and nothing could be checked,
130 interrupted.";

#[derive(Subcommand)]
enum Command {
    Boot(Boot),
    Measure(Measure),
    /// Delete all that is cached.
    Clean,
    /// Print a completion script for a shell.
    #[command(after_help = "\
Example:
  xkvm-lab completions bash > ~/.local/share/bash-completion/completions/xkvm-lab")]
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// Boot the kernel of a tree without and with the series, and use it: network, disk, module, clock.
///
/// The tree is only read.
#[derive(Args)]
#[command(after_help = "\
Examples:
  xkvm-lab boot ~/linux                              the default recipes
  xkvm-lab boot ~/linux -r napi-e1000 --nic e1000    one recipe more, one card
  xkvm-lab boot ~/linux --series none -r flush-reads only that one
  xkvm-lab boot ~/linux --debug --quick              with lockdep and KASAN")]
struct Boot {
    /// The top folder of a kernel tree.
    #[arg(value_name = "TREE")]
    tree: PathBuf,
    /// Which recipes to begin with.
    #[arg(long, value_enum, value_name = "WHICH", default_value = "default")]
    series: Choice,
    /// This recipe too (and what it requires); it must apply; may be given several times.
    #[arg(short, long = "recipe", value_name = "NAME")]
    recipe: Vec<String>,
    /// Also know the recipes in this folder; one there replaces the built-in one of its name.
    #[arg(long, value_name = "DIR")]
    recipes: Option<PathBuf>,
    /// Replace a key of a recipe.
    #[arg(long, value_name = "RECIPE.KEY=VALUE", value_parser = Override::parse)]
    set: Vec<Override>,
    /// Take the series that `guestpatch series` wrote to this folder.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["series", "recipe", "recipes", "set"])]
    patches: Option<PathBuf>,
    /// Network cards.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "rtl8139,e1000"
    )]
    nic: Vec<Nic>,
    /// Do less of everything.
    #[arg(long)]
    quick: bool,
    /// Kernels that check their locks and their memory (lockdep, KASAN); slow.
    #[arg(long)]
    debug: bool,
    /// What the kernels are built for; --debug needs x86_64.
    #[arg(long, value_enum, value_name = "ARCH", default_value = "x86_64")]
    arch: Arch,
    /// The guest's busybox, without libraries; default: this machine's, or Debian's for i386.
    #[arg(long, value_name = "FILE")]
    busybox: Option<PathBuf>,
    /// Only one of the two kernels.
    #[arg(long, value_enum, value_name = "KERNEL")]
    only: Option<Only>,
    /// Print report.json to standard output, and nothing else.
    #[arg(long)]
    json: bool,
    /// How long one guest may take.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

/// Count what the series saves: exits, by KVM's own counters and tracepoints, and instructions.
///
/// Guests run on the paired host and on QEMU, on this machine's KVM when it has hardware behind it; else on a real KVM within a machine
/// of QEMU's, where time is counted in instructions and every number repeats exactly.
#[derive(Args)]
#[command(after_help = "\
Examples:
  xkvm-lab measure ~/linux --quick                              each promise once, against the bars kept with the program
  xkvm-lab measure ~/linux --host-tree ~/linux-6.1 -o out       everything; report.json and report.html in out
  xkvm-lab measure ~/linux --only network                       runs with this word in their names")]
struct Measure {
    /// The top folder of the guests' kernel tree.
    #[arg(value_name = "TREE")]
    tree: PathBuf,
    /// Also build a host with the host series from this kernel tree: for runs by hypercall (vmcall), and with a limit for the PIT. With
    /// --quick only KVM's modules, if it is the source of the kernel that Debian's machines here run.
    #[arg(long, value_name = "TREE")]
    host_tree: Option<PathBuf>,
    /// Only what shows each promise once.
    #[arg(long)]
    quick: bool,
    /// Only runs with this in their names; may be given several times.
    #[arg(long, value_name = "WORD")]
    only: Vec<String>,
    /// Where guests run.
    #[arg(long, value_enum, value_name = "PLACE", default_value = "auto")]
    place: measure::Place,
    /// Also run guests of which nothing has changed since they ran; their results are kept, and would be the same.
    #[arg(long)]
    fresh: bool,
    /// Write report.json and report.html to this folder, too.
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Print report.json to standard output, and nothing else.
    #[arg(long)]
    json: bool,
    /// Write what is measured to this file, as bars for later runs, when all else holds.
    #[arg(long, value_name = "FILE", requires = "quick")]
    bless: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let (code, error) = match run(cli) {
        Ok(true) => return ExitCode::SUCCESS,
        Ok(false) => return ExitCode::from(1),
        Err(error) if error.is::<Interrupted>() => (130, error),
        Err(error) => (2, error),
    };
    output::say(&format!("xkvm-lab: {error:#}"));
    ExitCode::from(code)
}

fn run(cli: Cli) -> Result<bool> {
    match cli.command {
        Command::Boot(args) => {
            let options = boot::Options {
                tree: args.tree,
                request: Request {
                    choice: args.series,
                    names: args.recipe,
                    folder: args.recipes,
                    set: args.set,
                },
                patches: args.patches,
                nics: args.nic,
                quick: args.quick,
                debug: args.debug,
                arch: args.arch,
                busybox: args.busybox,
                only: args.only,
                json: args.json,
                timeout: args.timeout,
            };
            with_lab(cli.cache.as_deref(), |lab| boot::run(lab, &options))
        }
        Command::Measure(args) => {
            let options = measure::Options {
                tree: args.tree,
                host_tree: args.host_tree,
                quick: args.quick,
                only: args.only,
                place: args.place,
                fresh: args.fresh,
                output: args.output,
                cache: cli.cache.clone(),
                json: args.json,
                bless: args.bless,
            };
            with_lab(cli.cache.as_deref(), |lab| measure::run(lab, &options))
        }
        Command::Clean => {
            let folder = Cache::clean(cli.cache.as_deref())?;
            let said = format!("nothing is cached in {} any more\n", folder.display());
            output::print(&said).map(|()| true)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "xkvm-lab", &mut script);
            output::print(&String::from_utf8_lossy(&script)).map(|()| true)
        }
    }
}

/// Opens the lab. What fails after the user has interrupted failed by that: a signal reaches child processes, too.
fn with_lab(cache: Option<&Path>, work: impl FnOnce(&Lab) -> Result<bool>) -> Result<bool> {
    let lab = Lab::open(cache)?;
    work(&lab).map_err(|error| match lab.interrupt.is_set() {
        true => Error::msg(Interrupted(format!("{error:#}"))),
        false => error,
    })
}

/// What a step said that the user has ended.
#[derive(Debug)]
struct Interrupted(String);

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.starts_with("interrupted") {
            true => f.write_str(&self.0),
            false => write!(f, "interrupted: {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
