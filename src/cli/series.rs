//! `guestpatch series`: the patches.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use guestpatch::kernel::{Base, Tree};
use guestpatch::recipe::Target;
use guestpatch::recipe::fragment;
use guestpatch::recipe::run::{self, Plan, Status};
use guestpatch::report::series::SeriesReport;
use guestpatch::report::{self, table};
use guestpatch::series::{self as letters, Cover, Identity, branch, output};
use guestpatch::{Error, Result};

use super::{Choice, Ui};

/// Writes a patch series for a kernel tree: a cover letter, one mail a patch, quilt's `series` and report.json.
///
/// The tree is only read. `git am --empty=drop out/*.patch` applies the series (the cover letter is the empty one).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  guestpatch series ~/linux -o out
  guestpatch series ~/linux -o out -r libata-taskfile --signoff
  guestpatch series ~/linux -o out -r io-generic --files 'drivers/net/ethernet/8390/*.c'
  guestpatch series ~/linux --apply cheap-io      commits on a new branch, no files
  guestpatch series ~/linux --dry-run             what it would do")]
pub struct Series {
    /// The top folder of a kernel tree: a git checkout, a worktree or an unpacked archive.
    #[arg(value_name = "TREE")]
    tree: PathBuf,
    /// The folder to write; it must be new or empty.
    #[arg(short, long, value_name = "DIR", required_unless_present_any = ["dry_run", "apply"])]
    output: Option<PathBuf>,
    #[command(flatten)]
    choice: Choice,
    /// What kernel this is.
    #[arg(long, value_enum, default_value_t = Target::Guest)]
    target: Target,
    /// Also commit the series on a new branch of the tree's repository; files and HEAD stay as they are.
    #[arg(long, value_name = "BRANCH")]
    apply: Option<String>,
    /// Sign the patches off with your git identity.
    #[arg(long)]
    signoff: bool,
    /// Do everything but write.
    #[arg(long)]
    dry_run: bool,
    /// The report as JSON on standard output (format: docs/report.md).
    #[arg(long)]
    json: bool,
    /// Replace an earlier series in the output folder.
    #[arg(long)]
    force: bool,
}

impl Series {
    pub fn run(self, ui: &Ui) -> Result<u8> {
        // Everything that can be refused is refused before any work is done.
        let catalogue = self.choice.catalogue(ui)?;
        let only = self.choice.only()?;
        let recipes = catalogue.choose(&self.choice.recipes, self.target)?;
        let tree = Tree::open(&self.tree)?;
        if recipes.is_empty() {
            return Err(Error::usage("no recipe is chosen")
                .hint("name one with -r; `guestpatch recipes list` shows all"));
        }
        if let Some(dir) = &self.output {
            outside(dir, &self.tree)?;
            output::check(dir, self.force)?;
        }
        if let Some(name) = &self.apply {
            branch::check(&self.tree, name)?;
        }
        let signoff = if self.signoff {
            Some(Identity::of_user(&self.tree)?)
        } else {
            None
        };
        let epoch = std::env::var("SOURCE_DATE_EPOCH").ok();
        let base = Base::detect(&tree, epoch.as_deref())?;

        let bar = ui.progress();
        bar.set_length(recipes.len() as u64);
        let plan = run::run(&tree, &recipes, only.as_ref(), &|recipe| {
            bar.set_message(recipe.to_owned());
            bar.inc(1);
        });
        bar.finish_and_clear();
        let mut plan = plan?;
        plan.failures.extend(self.refused(&plan));
        if !plan.failures.is_empty() {
            return fail(ui, &plan);
        }

        let cover = Cover {
            assumptions: assumptions(&plan),
            ..match self.target {
                Target::Guest => Cover::default(),
                Target::Host => Cover::host(),
            }
        };
        let patches = std::mem::take(&mut plan.patches);
        let series = letters::Series::new(base, cover, patches, signoff)?;
        let report = SeriesReport::new(
            &plan,
            series.patches(),
            series.base(),
            tree.version(),
            self.target,
        );
        let json = report::to_json(&report);
        if !self.json {
            told(ui, &plan, series.is_empty());
        }
        self.write(ui, &series, &json, plan.fragment())?;
        ui.data(&if self.json { json } else { summary(&series) })?;
        Ok(0)
    }

    /// A recipe asked for by name that does not apply: leaving it out silently would not be what was asked.
    fn refused(&self, plan: &Plan<'_>) -> Vec<Error> {
        let named = |name: &String| self.choice.recipes.contains(name);
        let refused = plan.recipes.iter().filter(|d| named(&d.recipe.name));
        refused
            .filter_map(|done| match &done.status {
                Status::NotApplicable { because } => Some(
                    Error::failed(format!("{} does not apply: {because}", done.recipe.name))
                        .hint(format!("leave out `-r {}`", done.recipe.name)),
                ),
                _ => None,
            })
            .collect()
    }

    fn write(
        &self,
        ui: &Ui,
        series: &letters::Series,
        json: &str,
        config: Option<String>,
    ) -> Result<()> {
        if self.dry_run {
            return Ok(());
        }
        let number = table::count(series.patches().len(), "patch").replace("patchs", "patches");
        match &self.apply {
            Some(_) if series.is_empty() => ui.note("nothing to commit, so no branch is made"),
            Some(name) => {
                let author = Identity::of_user(&self.tree)?;
                let tip = branch::apply(series, name, &author)?;
                ui.done(&format!(
                    "Committed {number} on the new branch {name} ({})",
                    &tip[..12.min(tip.len())]
                ));
            }
            None => {}
        }
        if let Some(dir) = &self.output {
            let mut files = series.render();
            files.extend(config.map(|text| (fragment::FILE.to_owned(), text.into_bytes())));
            files.push(("report.json".to_owned(), json.as_bytes().to_vec()));
            output::write(dir, &files, self.force)?;
            ui.done(&format!("Wrote {number} to {}", dir.display()));
        }
        Ok(())
    }
}

/// Tells every failure; the exit code is that of a failed check.
fn fail(ui: &Ui, plan: &Plan<'_>) -> Result<u8> {
    let (last, others) = plan
        .failures
        .split_last()
        .expect("called with failures only");
    for error in others {
        ui.error(error);
    }
    Err(last.clone())
}

/// What the applied recipes take for granted, each once.
fn assumptions(plan: &Plan<'_>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let applied = plan.recipes.iter().filter(|d| d.status == Status::Applied);
    let all = applied.flat_map(|d| d.recipe.steps.iter().flat_map(|s| s.action.assumptions()));
    all.filter(|a| seen.insert(**a))
        .map(|a| (*a).to_owned())
        .collect()
}

/// Says why recipes are not in the series.
fn told(ui: &Ui, plan: &Plan<'_>, empty: bool) {
    for done in &plan.recipes {
        match &done.status {
            Status::NotApplicable { because } => {
                ui.note(&format!("{} does not apply: {because}", done.recipe.name))
            }
            Status::AlreadyApplied => {
                ui.note(&format!("{} is applied already", done.recipe.name));
            }
            Status::Applied | Status::Failed { .. } => {}
        }
    }
    if empty {
        ui.done("Nothing to do");
    }
}

fn summary(series: &letters::Series) -> String {
    let width = series
        .patches()
        .iter()
        .map(|p| p.subject.chars().count())
        .max()
        .unwrap_or(0);
    let mut out = String::new();
    let mut total = 0;
    for (at, patch) in series.patches().iter().enumerate() {
        let saved: usize = patch.sites.iter().map(|s| s.exits_saved).sum();
        total += saved;
        let files = table::count(patch.changes.len(), "file");
        let saves = if saved > 0 {
            format!("  saves {}", table::count(saved, "exit"))
        } else {
            String::new()
        };
        let line = format!(
            "{:>4}  {:<width$}  {files:<8}{saves}",
            at + 1,
            patch.subject
        );
        let _ = writeln!(out, "{}", line.trim_end());
    }
    if total > 0 {
        let _ = writeln!(
            out,
            "      {:<width$}  {:<8}  saves {}",
            "all, if every place runs once",
            "",
            table::count(total, "exit")
        );
    }
    out
}

/// The tree is only read, so the output may not go into it.
fn outside(dir: &Path, tree: &Path) -> Result<()> {
    let dir = std::path::absolute(dir).map_err(|e| Error::io(dir, "find", &e))?;
    // The folder itself is new: the nearest one above it that is there tells where it will be.
    let real = dir.ancestors().find_map(|above| above.canonicalize().ok());
    let root = tree
        .canonicalize()
        .map_err(|e| Error::io(tree, "find", &e))?;
    if real.is_some_and(|real| real.starts_with(&root)) {
        return Err(Error::usage(format!(
            "the output directory {} lies in the kernel tree, which is only read",
            dir.display()
        ))
        .hint("name a folder outside of it"));
    }
    Ok(())
}
