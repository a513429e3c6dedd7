//! `guestpatch recipes`: what there is, and whether it does what its samples say.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use guestpatch::recipe::{Catalogue, Recipe, catalogue, samples};
use guestpatch::report::{self, table};
use guestpatch::{Error, Result};

use super::Ui;

/// Lists, shows and tests recipes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  guestpatch recipes list
  guestpatch recipes show libata-taskfile
  guestpatch recipes test                   the samples of all recipes
  guestpatch recipes test my-recipes/x.md   those of a file being written")]
pub struct Recipes {
    #[command(subcommand)]
    command: Command,
    /// Also take the recipes in this folder; one there replaces the built-in one of its name.
    #[arg(long = "recipes", global = true, value_name = "DIR")]
    folder: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists all recipes in the order of the series.
    List {
        /// JSON on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Prints a recipe file.
    Show {
        /// The recipe's name.
        name: String,
    },
    /// Runs the before/after samples of recipes.
    Test {
        /// Recipe files or names; all recipes when none is given.
        #[arg(value_name = "FILE")]
        which: Vec<String>,
    },
}

impl Recipes {
    pub fn run(self, ui: &Ui) -> Result<u8> {
        let load = || {
            let catalogue = Catalogue::load(self.folder.as_deref(), &[])?;
            for note in catalogue.notes() {
                ui.note(note);
            }
            Ok::<_, Error>(catalogue)
        };
        match self.command {
            Command::List { json: true } => {
                let catalogue = load()?;
                let all: Vec<Listed<'_>> = catalogue.recipes().iter().map(Listed::of).collect();
                ui.data(&report::to_json(&all))?;
                Ok(0)
            }
            Command::List { json: false } => {
                ui.data(&list(load()?.recipes()))?;
                Ok(0)
            }
            Command::Show { name } => {
                ui.data(&load()?.get(&name)?.text)?;
                Ok(0)
            }
            Command::Test { which } => {
                let catalogue = load()?;
                let mut files = Vec::new();
                let mut names = Vec::new();
                for one in &which {
                    if one.ends_with(".md") || Path::new(one).is_file() {
                        files.push(catalogue::load_file(Path::new(one), &[])?);
                    } else {
                        names.push(catalogue.get(one)?);
                    }
                }
                if which.is_empty() {
                    names.extend(catalogue.recipes());
                }
                test(ui, names.into_iter().chain(&files))
            }
        }
    }
}

#[derive(serde::Serialize)]
struct Listed<'a> {
    name: &'a str,
    version: u32,
    subject: &'a str,
    target: guestpatch::recipe::Target,
    default: bool,
    order: u32,
    kernels: Option<String>,
    files: &'a [String],
    requires: &'a [String],
    samples: usize,
    file: String,
}

impl<'a> Listed<'a> {
    fn of(recipe: &'a Recipe) -> Self {
        Self {
            name: &recipe.name,
            version: recipe.version,
            subject: &recipe.subject,
            target: recipe.target,
            default: recipe.default,
            order: recipe.order,
            kernels: recipe.kernels.as_ref().map(ToString::to_string),
            files: recipe.files.patterns(),
            requires: &recipe.requires,
            samples: recipe.samples.len(),
            file: recipe.source.file.display().to_string(),
        }
    }
}

fn list(recipes: &[Recipe]) -> String {
    let name = recipes.iter().map(|r| r.name.len()).max().unwrap_or(0);
    let kernels = |r: &Recipe| {
        r.kernels
            .as_ref()
            .map_or_else(|| "all".to_owned(), ToString::to_string)
    };
    let range = recipes
        .iter()
        .map(|r| kernels(r).len())
        .max()
        .unwrap_or(0)
        .max(7);
    let mut out = format!(
        "order  {:<name$}  default  {:<range$}  subject\n",
        "name", "kernels"
    );
    for recipe in recipes {
        let default = if recipe.default { "yes" } else { "-" };
        let _ = writeln!(
            out,
            "{:>5}  {:<name$}  {default:<7}  {:<range$}  {}",
            recipe.order,
            recipe.name,
            kernels(recipe),
            recipe.subject
        );
    }
    out
}

fn test<'r>(ui: &Ui, recipes: impl Iterator<Item = &'r Recipe>) -> Result<u8> {
    let (mut passed, mut failed) = (0, 0);
    let mut out = String::new();
    for recipe in recipes {
        let mut good = 0;
        for sample in &recipe.samples {
            match samples::run(recipe, sample) {
                Ok(()) => good += 1,
                Err(why) => {
                    failed += 1;
                    let file = recipe.source.file.display();
                    let _ = writeln!(
                        out,
                        "{file}:{}: sample `{}` failed",
                        sample.line, sample.name
                    );
                    for line in why.lines() {
                        let _ = writeln!(out, "    {line}");
                    }
                }
            }
        }
        passed += good;
        let _ = writeln!(
            out,
            "{}: {} of {} passed",
            recipe.name,
            good,
            table::count(recipe.samples.len(), "sample")
        );
    }
    let _ = writeln!(out, "{passed} passed, {failed} failed");
    ui.data(&out)?;
    Ok(u8::from(failed > 0))
}
