//! guestpatch: kernel checkout in, patch series out.
//!
//! The command line is read, the subcommand runs (one file each in `cli`), and what it says goes three ways: data to
//! stdout, talk to stderr, success or the kind of failure to the exit code.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = cli::Args::parse();
    let ui = cli::Ui::new(args.color, args.quiet);
    match args.run(&ui) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            ui.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}
