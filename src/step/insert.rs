//! `insert`: text at an anchor.

use serde::Deserialize;
use toml::Spanned;

use super::anchor::{self, Anchor, OneOrMany};
use super::{Context, Fault, Outcome, Text};
use crate::recipe::Assets;
use crate::{Error, Result};

/// The keys of the step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    file: Spanned<String>,
    after: Option<OneOrMany>,
    before: Option<OneOrMany>,
    after_function: Option<String>,
    before_function: Option<String>,
    #[serde(default)]
    at_end: bool,
    text: Option<Spanned<String>>,
    template: Option<Spanned<String>>,
}

impl Config {
    pub(super) fn compile(self, assets: &Assets) -> Result<Insert, Fault> {
        let Self {
            file,
            after,
            before,
            after_function,
            before_function,
            at_end,
            text,
            template,
        } = self;
        Ok(Insert {
            file: plain_path(file)?,
            anchor: Anchor::compile(after, before, after_function, before_function, at_end)?,
            text: Text::compile(text, template, assets)?,
        })
    }
}

/// A path that steps of the recipe may write to: inside the tree, and no pattern.
pub(super) fn plain_path(path: Spanned<String>) -> Result<String, Fault> {
    let text = path.get_ref();
    let inside = text.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if !inside || text.contains(['*', '?', '[', '{', '\\']) {
        return Err(Fault::at(
            path.span(),
            format!("`{text}` is not the path of one file in the tree"),
        )
        .hint("paths count from the top of the kernel tree"));
    }
    Ok(path.into_inner())
}

/// The step, ready to run.
#[derive(Debug)]
pub struct Insert {
    file: String,
    anchor: Anchor,
    text: Text,
}

impl Insert {
    pub(super) fn run(&self, context: &Context<'_>) -> Result<Outcome> {
        let text = read(context, &self.file, "insert")?;
        let addition = self.text.render(context)?;
        // Looked for first: an earlier run may have moved the anchor away.
        if anchor::has_lines(&text, &addition) {
            return Ok(Outcome {
                already: 1,
                ..Outcome::default()
            });
        }
        let offset = self
            .anchor
            .find(&text)
            .map_err(|reason| no_anchor(context, &self.file, &reason))?;
        let text = anchor::insert_at(&text, offset, &addition);
        Ok(Outcome {
            files: vec![(self.file.clone(), Some(text))],
            changed: 1,
            ..Outcome::default()
        })
    }
}

/// Reads a file that a step cannot do without.
pub(super) fn read(context: &Context<'_>, file: &str, kind: &str) -> Result<Vec<u8>> {
    let name = &context.recipe.name;
    context.overlay.read(file)?.ok_or_else(|| {
        Error::failed(format!(
            "{name}: this tree has no {file}, which the step `{kind}` changes"
        ))
        .hint("give the recipe a `kernels` range, or the step a `when`, that leaves such trees out")
    })
}

pub(super) fn no_anchor(context: &Context<'_>, file: &str, reason: &str) -> Error {
    let name = &context.recipe.name;
    Error::failed(format!("{name}: no place to insert in {file}: {reason}"))
        .at(context.overlay.tree().root().join(file), 0, 0)
        .hint("give the step another anchor; several may stand in a list, the first that occurs counts")
}
