//! `guestpatch scan`: what could be changed, and what stands in the way.

use std::path::PathBuf;

use guestpatch::kernel::Tree;
use guestpatch::recipe::scan::scan;
use guestpatch::recipe::{Recipe, Target};
use guestpatch::report::{self, sarif, table};
use guestpatch::{Error, Result};

use super::{Choice, Ui, require_files};

/// Lists every run of port I/O in a kernel: which recipe can rewrite it, or why none does; most exits saved first.
///
/// All recipes that change C code take part, those that are off by default included. Nothing is written.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  guestpatch scan ~/linux --limit 20
  guestpatch scan ~/linux -r io-generic --files 'drivers/net/**/*.c'
  guestpatch scan ~/linux --json | jq '.totals'
  guestpatch scan ~/linux --sarif > scan.sarif")]
pub struct Scan {
    /// The top folder of a kernel tree.
    #[arg(value_name = "TREE")]
    tree: PathBuf,
    #[command(flatten)]
    choice: Choice,
    /// JSON on standard output (format: docs/report.md).
    #[arg(long, conflicts_with = "sarif")]
    json: bool,
    /// SARIF 2.1.0 on standard output, for viewers of code findings.
    #[arg(long)]
    sarif: bool,
    /// At most this many places; the totals count all of them.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

impl Scan {
    pub fn run(self, ui: &Ui) -> Result<u8> {
        let catalogue = self.choice.catalogue(ui)?;
        let only = self.choice.only()?;
        let tree = Tree::open(&self.tree)?;
        let looks_at_code = |r: &&Recipe| r.steps.iter().any(|s| s.action.is_file_wise());
        let recipes: Vec<&Recipe> = if self.choice.recipes.is_empty() {
            catalogue
                .recipes()
                .iter()
                .filter(|r| r.target == Target::Guest)
                .filter(looks_at_code)
                .collect()
        } else {
            let named = self
                .choice
                .recipes
                .iter()
                .map(|name| catalogue.get(name))
                .collect::<Result<Vec<_>>>()?;
            if let Some(recipe) = named.iter().find(|r| !looks_at_code(r)) {
                return Err(Error::usage(format!(
                    "the recipe `{}` looks at no C code",
                    recipe.name
                ))
                .hint("`guestpatch series --dry-run` shows what it does"));
            }
            named
        };

        let bar = ui.progress();
        let found = scan(&tree, &recipes, only.as_ref(), &|recipe, done, all| {
            Ui::advance(&bar, recipe, done, all);
        });
        bar.finish_and_clear();
        let found = found?;
        require_files(found.scanned)?;

        let limit = self.limit.unwrap_or(usize::MAX);
        if self.json {
            ui.data(&report::to_json(&report::scan::ScanReport::new(
                &found,
                tree.version(),
                limit,
            )))?;
        } else if self.sarif {
            ui.data(&sarif::render(&found.found[..limit.min(found.found.len())]))?;
        } else {
            for (recipe, because) in &found.not_applicable {
                ui.note(&format!("{recipe} does not apply: {because}"));
            }
            ui.data(&table::scan(&found, limit, ui.width()))?;
        }
        Ok(0)
    }
}
