//! From chosen recipes and a tree to patches: the recipes in order, each on what the ones before it left.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::select::{Chosen, Selection, select};
use super::{PatchMode, Recipe, Step, guard, load::SUBJECT_MAX};
use crate::c::headers::Headers;
use crate::kernel::files::{self, Globs, Needles};
use crate::kernel::{Overlay, Tree};
use crate::series::{FileChange, Patch};
use crate::step::{Context, Site, Surroundings, Verdict};
use crate::{Error, Result};

/// What became of a recipe on a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "status")]
pub enum Status {
    /// It changed something.
    Applied,
    /// All of its work is there already.
    AlreadyApplied,
    /// It has nothing to do with this tree.
    NotApplicable {
        /// A clause that follows "because".
        because: String,
    },
    /// It should have changed something and did not.
    Failed {
        /// The error's message.
        because: String,
    },
}

/// One recipe's part of a run.
#[derive(Debug)]
pub struct Done<'r> {
    /// The recipe.
    pub recipe: &'r Recipe,
    /// What became of it.
    pub status: Status,
    /// Places changed.
    pub changed: usize,
    /// Places that were as the recipe leaves them before it ran.
    pub already: usize,
    /// Every site, rewritten or blocked.
    pub sites: Vec<Site>,
    /// What a configuration must set for it: symbols and values, `n` for unset.
    pub config: Vec<(String, String)>,
}

/// The result of a run.
#[derive(Debug, Default)]
pub struct Plan<'r> {
    /// The patches, in the order of the series.
    pub patches: Vec<Patch>,
    /// Every recipe, in the order of the series.
    pub recipes: Vec<Done<'r>>,
    /// The errors of the recipes that failed. When there is one, the patches must not be used.
    pub failures: Vec<Error>,
}

/// Runs `recipes`, which are in order. `only` narrows the files of file-wise steps; `progress` is told each recipe's name.
///
/// # Errors
/// When the tree cannot be read. What goes wrong within a recipe is in the plan.
pub fn run<'r>(
    tree: &Tree,
    recipes: &[&'r Recipe],
    only: Option<&Globs>,
    progress: &dyn Fn(&str),
) -> Result<Plan<'r>> {
    let mut plan = Plan::default();
    let mut overlay = Overlay::new(tree);
    for recipe in recipes {
        progress(&recipe.name);
        let mut done = Done {
            recipe,
            status: Status::Applied,
            changed: 0,
            already: 0,
            sites: Vec::new(),
            config: Vec::new(),
        };
        done.status = match missing_requirement(recipe, &plan) {
            Some(because) => Status::NotApplicable { because },
            // Only kernel files cannot be read here: that ends the run, as nothing after it could be trusted.
            None => match select(recipe, &overlay, only)? {
                Selection::Not(because) => Status::NotApplicable { because },
                Selection::Applies(chosen) => {
                    let mut draft = overlay.clone();
                    done.config = config(recipe, &chosen);
                    match run_one(recipe, &chosen, &mut draft, &mut done) {
                        Err(error) if error.kind == crate::error::Kind::Io => return Err(error),
                        Err(error) => {
                            let because = error.message.clone();
                            plan.failures.push(error);
                            Status::Failed { because }
                        }
                        Ok(Ran::Nothing(because)) => Status::NotApplicable { because },
                        Ok(Ran::Already) => Status::AlreadyApplied,
                        Ok(Ran::Changed(changes)) => {
                            overlay = draft;
                            plan.patches.extend(patches(recipe, changes, &done.sites));
                            Status::Applied
                        }
                    }
                }
            },
        };
        plan.recipes.push(done);
    }
    Ok(plan)
}

/// What a configuration must set for the steps chosen, and for the recipe as a whole.
fn config(recipe: &Recipe, chosen: &Chosen) -> Vec<(String, String)> {
    let own = recipe.config.iter().map(|(s, v)| (s.clone(), v.clone()));
    let steps = chosen.steps.iter().map(|i| &recipe.steps[*i].action);
    own.chain(steps.flat_map(|action| action.config()))
        .collect()
}

/// Why a recipe cannot run although it is chosen: one that it requires did not.
fn missing_requirement(recipe: &Recipe, plan: &Plan<'_>) -> Option<String> {
    recipe.requires.iter().find_map(|name| {
        let required = plan.recipes.iter().find(|d| d.recipe.name == *name)?;
        match required.status {
            Status::Applied | Status::AlreadyApplied => None,
            Status::NotApplicable { .. } => {
                Some(format!("{name}, which it requires, does not apply"))
            }
            Status::Failed { .. } => Some(format!("{name}, which it requires, failed")),
        }
    })
}

enum Ran {
    Changed(Vec<FileChange>),
    Already,
    Nothing(String),
}

fn run_one(
    recipe: &Recipe,
    chosen: &Chosen,
    overlay: &mut Overlay<'_>,
    done: &mut Done<'_>,
) -> Result<Ran> {
    let mut before: BTreeMap<String, Option<Vec<u8>>> = BTreeMap::new();
    // Found by the first file-wise step; the text the later ones see may have lost its needles.
    let mut holding: Option<Vec<String>> = None;
    let mut short = None;
    if let Some(because) = refused(recipe, chosen, overlay)? {
        return Ok(Ran::Nothing(because));
    }
    for index in &chosen.steps {
        let step = &recipe.steps[*index];
        let action = &step.action;
        if action.only_tidies() && before.is_empty() {
            continue;
        }
        let so_far = done.changed + done.already;
        let mut changed = Vec::new();
        if action.is_file_wise() {
            let read = |other: &str| overlay.read(other).ok().flatten();
            // Anew for each step: the one before may have changed a header.
            let around = Surroundings {
                read: &read,
                headers: &Headers::default(),
            };
            let visit = |path: &str, text: &[u8]| action.edit(path, text, around);
            let (paths, needles) = match &holding {
                None => (&chosen.files, Needles::words(&recipe.needles)?),
                Some(paths) => (paths, Needles::any()),
            };
            let (outcomes, _) = files::search_in(overlay, paths, &needles, &|_, _| {}, &visit)?;
            holding.get_or_insert_with(|| outcomes.iter().map(|(path, _)| path.clone()).collect());
            for (path, outcome) in outcomes {
                done.changed += outcome.sites.iter().filter(|s| s.is_rewritten()).count();
                done.already += outcome.already;
                done.sites.extend(outcome.sites);
                changed.extend(outcome.text.map(|text| (path, Some(text))));
            }
        } else {
            let outcome = action.run(&Context {
                overlay,
                facts: &chosen.facts,
                recipe,
            })?;
            done.changed += outcome.changed;
            done.already += outcome.already;
            done.sites.extend(outcome.sites);
            changed = outcome.files;
        }
        for (path, content) in changed {
            if !before.contains_key(&path) {
                before.insert(path.clone(), overlay.read(&path)?);
            }
            match content {
                Some(text) => overlay.write(&path, text),
                None => overlay.remove(&path),
            }
        }
        let found = done.changed + done.already - so_far;
        if found < step.at_least {
            short.get_or_insert((step, found));
        }
    }
    let mut actions = chosen.steps.iter().map(|i| &recipe.steps[*i].action);
    let only_its_files = actions.all(|a| a.is_file_wise() || a.only_tidies());
    let holding = holding.unwrap_or_default();
    if only_its_files && holding.is_empty() {
        return nothing_to_read(recipe, chosen, overlay);
    }
    check_gone(recipe, &holding, overlay, done)?;
    check_expectation(recipe, &holding, done)?;
    // On a tree that has the changes a pattern finds nothing, and that is right.
    if let (Some((step, found)), false) = (short, before.is_empty()) {
        return Err(too_few(recipe, step, found));
    }
    let mut changes = Vec::new();
    for (path, before) in before {
        let after = overlay.read(&path)?;
        if before != after {
            changes.push(FileChange {
                path,
                before,
                after,
            });
        }
    }
    Ok(match (changes.is_empty(), done.already) {
        (false, _) => Ran::Changed(changes),
        (true, 0) => Ran::Nothing("it found nothing to change".into()),
        (true, _) => Ran::Already,
    })
}

/// Why the recipe does not touch this code; `None` when nothing refuses it.
fn refused(recipe: &Recipe, chosen: &Chosen, overlay: &Overlay<'_>) -> Result<Option<String>> {
    if recipe.refuse.is_empty() {
        return Ok(None);
    }
    let needles = Needles::words(&recipe.needles)?;
    let visit = |path: &str, text: &[u8]| {
        recipe.refuse.iter().find_map(|refusal| {
            let word = refusal.find(text)?;
            Some(format!(
                "{} (`{}` at {path}:{})",
                refusal.because, word.text, word.line
            ))
        })
    };
    let (found, _) = files::search_in(overlay, &chosen.files, &needles, &|_, _| {}, &visit)?;
    Ok(found.into_iter().find_map(|(_, because)| because))
}

/// What it means that no file has a needle: the work is done, or it was never there.
fn nothing_to_read(recipe: &Recipe, chosen: &Chosen, overlay: &Overlay<'_>) -> Result<Ran> {
    let traces: Vec<&str> = recipe
        .steps
        .iter()
        .filter_map(|s| s.action.trace())
        .collect();
    if !traces.is_empty() {
        let traces = Needles::words(&traces)?;
        let (found, _) = files::search_in(overlay, &chosen.files, &traces, &|_, _| {}, &|_, _| ())?;
        if !found.is_empty() {
            return Ok(Ran::Already);
        }
    }
    let words = recipe.needles.join(", ");
    Ok(Ran::Nothing(format!(
        "none of its files has any of the words {words}"
    )))
}

/// A step without which the others would be half of the work.
fn too_few(recipe: &Recipe, step: &Step, found: usize) -> Error {
    Error::failed(format!(
        "{}: its step `{}` changed {found} places and must change {}",
        recipe.name,
        step.action.kind(),
        step.at_least
    ))
    .at(&recipe.source.file, step.line, 0)
    .hint("the code is not as the recipe knows it: narrow its `kernels`, or give the step a `when`")
}

fn check_expectation(recipe: &Recipe, files: &[String], done: &Done<'_>) -> Result<()> {
    let found = done.changed + done.already;
    let too_many = recipe.expect.max.is_some_and(|max| found > max);
    if found >= recipe.expect.min && !too_many {
        return Ok(());
    }
    let wanted = match (too_many, recipe.expect.max) {
        (true, Some(max)) => format!("at most {max}"),
        _ => format!("at least {}", recipe.expect.min),
    };
    let place = match files.len() {
        0 => "this tree".to_owned(),
        1..=3 => files.join(", "),
        many => format!("{many} files"),
    };
    let error = Error::failed(format!(
        "{}: found {found} places to change in {place}, but expects {wanted}",
        recipe.name
    ));
    Err(match (too_many, first_blocked(done)) {
        (false, Some(first)) => error.hint(first),
        _ => error.hint(
            "the code is not as the recipe knows it: narrow its `kernels`, or give it a `when`",
        ),
    })
}

/// Half of a change is worse than none: the words that must be gone are gone, or the recipe fails.
fn check_gone(
    recipe: &Recipe,
    files: &[String],
    overlay: &Overlay<'_>,
    done: &Done<'_>,
) -> Result<()> {
    for path in files {
        let text = overlay.read(path)?.unwrap_or_default();
        if let Some(word) = guard::first(&text, &recipe.gone) {
            // The line is that of the text after the steps, so it is told with the word only.
            let error = Error::failed(format!(
                "{}: `{}` is still in {path} after all steps: the code is not as the recipe knows it",
                recipe.name, word.text
            ));
            return Err(match first_blocked(done) {
                Some(first) => error.hint(first),
                None => error.hint("nothing was changed; the recipe needs a step for this shape"),
            });
        }
    }
    Ok(())
}

/// The first site that is blocked, and how many more are.
fn first_blocked(done: &Done<'_>) -> Option<String> {
    let mut blocked = done.sites.iter().filter_map(|site| match &site.verdict {
        Verdict::Blocked { code, reason, line } => {
            let at = match line {
                0 => String::new(),
                line => format!(" (line {line})"),
            };
            Some(format!(
                "{}:{} in {}: {code}: {reason}{at}",
                site.file, site.line, site.function
            ))
        }
        Verdict::Rewritten => None,
    });
    let first = blocked.next()?;
    Some(match blocked.count() {
        0 => format!("blocked: {first}"),
        more => format!("blocked: {first}, and {more} more"),
    })
}

fn patches(recipe: &Recipe, changes: Vec<FileChange>, sites: &[Site]) -> Vec<Patch> {
    let patch = |subject: String, changes: Vec<FileChange>, sites: Vec<Site>| Patch {
        subject,
        body: recipe.body.clone(),
        recipe: recipe.name.clone(),
        recipe_version: recipe.version,
        changes,
        sites,
    };
    match recipe.patch {
        PatchMode::One => vec![patch(recipe.subject.clone(), changes, sites.to_vec())],
        PatchMode::PerFile => {
            let mut taken = BTreeSet::new();
            changes
                .into_iter()
                .map(|change| {
                    let subject = subject_for(&recipe.subject, &change.path, &mut taken);
                    let mine = sites
                        .iter()
                        .filter(|s| s.file == change.path)
                        .cloned()
                        .collect();
                    patch(subject, vec![change], mine)
                })
                .collect()
        }
    }
}

/// The subject with the file's path in front, or where `{file}` stands: as much of the path, from its end, as fits; different for each patch.
fn subject_for(template: &str, path: &str, taken: &mut BTreeSet<String>) -> String {
    let path = path.strip_prefix("drivers/").unwrap_or(path);
    let path = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    let mut shown = path;
    let template = if template.contains("{file}") {
        template.to_owned()
    } else {
        format!("{{file}}: {template}")
    };
    loop {
        let subject = template.replace("{file}", shown);
        match shown.split_once('/') {
            Some((_, shorter)) if subject.chars().count() > SUBJECT_MAX => shown = shorter,
            _ => {
                let mut unique = subject.clone();
                let mut number = 2;
                while !taken.insert(unique.clone()) {
                    unique = format!("{subject} ({number})");
                    number += 1;
                }
                return unique;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_short_and_different() {
        let mut taken = BTreeSet::new();
        let mut subject = |path: &str| subject_for("batch runs of port I/O", path, &mut taken);
        assert_eq!(subject("drivers/net/a.c"), "net/a: batch runs of port I/O");
        let shown = "some-vendor/some-other-folder/and-one-more/x: batch runs of port I/O";
        let folder = "some-vendor/some-other-folder/and-one-more/x.c";
        assert_eq!(subject(&format!("drivers/net/ethernet/{folder}")), shown);
        assert_eq!(
            subject(&format!("drivers/net/wireless/{folder}")),
            format!("{shown} (2)")
        );
    }
}
