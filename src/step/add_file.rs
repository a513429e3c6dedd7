//! `add-file`: a new file, rendered from a template for the tree at hand.

use serde::Deserialize;
use toml::Spanned;

use super::insert::plain_path;
use super::{Context, Fault, Outcome, Text};
use crate::recipe::Assets;
use crate::{Error, Result};

/// The keys of the step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    path: Spanned<String>,
    text: Option<Spanned<String>>,
    template: Option<Spanned<String>>,
}

impl Config {
    pub(super) fn compile(self, assets: &Assets) -> Result<AddFile, Fault> {
        Ok(AddFile {
            path: plain_path(self.path)?,
            text: Text::compile(self.text, self.template, assets)?,
        })
    }
}

/// The step, ready to run.
#[derive(Debug)]
pub struct AddFile {
    path: String,
    text: Text,
}

impl AddFile {
    pub(super) fn run(&self, context: &Context<'_>) -> Result<Outcome> {
        let text = self.text.render(context)?.into_bytes();
        match context.overlay.read(&self.path)? {
            None => Ok(Outcome {
                files: vec![(self.path.clone(), Some(text))],
                changed: 1,
                ..Outcome::default()
            }),
            Some(present) if present == text => Ok(Outcome {
                already: 1,
                ..Outcome::default()
            }),
            Some(_) => Err(Error::failed(format!(
                "{}: the tree has another {} already",
                context.recipe.name, self.path
            ))
            .at(context.overlay.tree().root().join(&self.path), 0, 0)
            .hint(
                "another version of this recipe was applied before: start from the tree without it",
            )),
        }
    }
}
