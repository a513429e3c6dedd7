//! `guestpatch completions`.

use clap::CommandFactory as _;
use guestpatch::Result;

use super::Ui;

/// Prints a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  guestpatch completions bash > ~/.local/share/bash-completion/completions/guestpatch
  guestpatch completions zsh > ~/.zfunc/_guestpatch")]
pub struct Completions {
    /// The shell.
    shell: clap_complete::Shell,
}

impl Completions {
    pub fn run(self, ui: &Ui) -> Result<u8> {
        let mut script = Vec::new();
        clap_complete::generate(
            self.shell,
            &mut super::Args::command(),
            "guestpatch",
            &mut script,
        );
        ui.data(&String::from_utf8_lossy(&script))?;
        Ok(0)
    }
}
