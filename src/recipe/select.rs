//! Which steps of a recipe apply to a tree, or why the recipe does not.

use super::{Recipe, facts::Facts};
use crate::Result;
use crate::kernel::Overlay;
use crate::kernel::files::{self, Globs};

/// The answer for one recipe.
#[derive(Debug)]
pub enum Selection {
    /// It applies.
    Applies(Box<Chosen>),
    /// It does not; a clause that follows "because".
    Not(String),
}

/// What a recipe will do on a tree.
#[derive(Debug)]
pub struct Chosen {
    /// Indices of its steps, in order.
    pub steps: Vec<usize>,
    /// Its files that are there, sorted; whether they hold a needle is not yet known.
    pub files: Vec<String>,
    /// Version, probes and so on.
    pub facts: Facts,
}

/// Looks at the version, the steps' `when`, and which files are there. `only` narrows the files.
///
/// # Errors
/// When a probe's file cannot be read, the tree cannot be walked, or a `when` cannot be evaluated.
pub fn select(recipe: &Recipe, overlay: &Overlay<'_>, only: Option<&Globs>) -> Result<Selection> {
    let version = overlay.tree().version();
    if let Some(range) = &recipe.kernels
        && !range.contains(version)
    {
        return Ok(Selection::Not(format!(
            "it is for kernels {range}, and this is {version}"
        )));
    }
    let facts = Facts::new(overlay, &recipe.probes)?;
    let mut steps = Vec::new();
    let mut refused = Vec::new();
    for (index, step) in recipe.steps.iter().enumerate() {
        let holds = match &step.when {
            None => true,
            Some(when) => facts
                .holds(when)
                .map_err(|e| super::facts::broken(recipe, step.line, &e))?,
        };
        if holds {
            steps.push(index);
        } else {
            refused.extend(step.when.as_deref());
        }
    }
    if steps.is_empty() {
        let file_wise = recipe.steps.iter().any(|s| s.action.is_file_wise());
        // Without its files, what they look like is not the question.
        if file_wise && find_files(overlay, &recipe.files, None)?.is_empty() {
            return Ok(Selection::Not(format!(
                "this tree has no {}",
                shortly(recipe.files.patterns())
            )));
        }
        return Ok(Selection::Not(format!(
            "this tree does not fulfil {}",
            conditions(&refused)
        )));
    }
    let files = if steps.iter().any(|i| recipe.steps[*i].action.is_file_wise()) {
        let found = find_files(overlay, &recipe.files, only)?;
        if found.is_empty() {
            return Ok(Selection::Not(match only {
                Some(only) => format!("none of its files matches {}", only.patterns().join(", ")),
                None => format!("this tree has no {}", shortly(recipe.files.patterns())),
            }));
        }
        found
    } else {
        Vec::new()
    };
    Ok(Selection::Applies(Box::new(Chosen {
        steps,
        files,
        facts,
    })))
}

/// The first of several paths, and how many there are.
fn shortly(paths: &[String]) -> String {
    match paths {
        [first, _, _, ..] => format!("{first} nor any other of its {} files", paths.len()),
        _ => paths.join(" nor "),
    }
}

/// A few conditions, or the first of many.
fn conditions(all: &[&str]) -> String {
    match all {
        [first, _, _, _, ..] => format!("`{first}` nor any other of {} conditions", all.len()),
        _ => format!("`{}`", all.join("` or `")),
    }
}

/// The recipe's files that are there, sorted.
fn find_files(overlay: &Overlay<'_>, globs: &Globs, only: Option<&Globs>) -> Result<Vec<String>> {
    let (mut found, _) = files::list(overlay, globs)?;
    found.retain(|path| only.is_none_or(|o| o.matches(path)));
    Ok(found)
}
