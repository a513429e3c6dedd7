//! The front matter of a recipe, as TOML has it, before any check.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::guard::RefuseConfig;
use super::parameters::{self, Parameters};
use super::{Expect, PatchMode, Probe, Target};
use crate::step::{self, Fault};

/// The recipe's own keys. Unknown keys are errors: a misspelt one must not be silently without effect.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Front {
    pub name: Spanned<String>,
    pub version: Spanned<u32>,
    pub subject: Spanned<String>,
    #[serde(default = "guest")]
    pub target: Target,
    #[serde(default)]
    pub default: bool,
    pub order: Spanned<u32>,
    pub kernels: Option<Spanned<String>>,
    #[serde(default)]
    pub files: Vec<Spanned<String>>,
    #[serde(default)]
    pub needles: Vec<Spanned<String>>,
    #[serde(default)]
    pub expect: Expect,
    #[serde(default)]
    pub gone: Vec<Spanned<String>>,
    #[serde(default)]
    pub refuse: Vec<RefuseConfig>,
    #[serde(default)]
    pub patch: PatchMode,
    #[serde(default)]
    pub requires: Vec<Spanned<String>>,
    #[serde(default)]
    pub probe: BTreeMap<String, Spanned<Probe>>,
    #[serde(default)]
    pub config: BTreeMap<Spanned<String>, String>,
}

fn guest() -> Target {
    Target::Guest
}

/// One `[[step]]`: its kind decides which other keys it may have.
#[derive(Debug)]
pub(super) struct RawStep {
    pub span: Range<usize>,
    pub when: Option<Spanned<String>>,
    pub at_least: usize,
    pub action: step::Config,
}

/// `--set RECIPE.KEY=VALUE`: replaces a key of the front matter before it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The recipe's name.
    pub recipe: String,
    /// A parameter, or else a key of a step that has it already, or else of the recipe.
    pub key: String,
    /// A TOML value; what is not one is taken as a string.
    pub value: String,
}

impl Override {
    /// Reads `RECIPE.KEY=VALUE`.
    ///
    /// # Errors
    /// What is missing.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "give RECIPE.KEY=VALUE, such as `libata-taskfile.max-ops=16`".to_owned();
        let (path, value) = text.split_once('=').ok_or_else(wrong)?;
        let (recipe, key) = path.trim().split_once('.').ok_or_else(wrong)?;
        if recipe.is_empty() || key.is_empty() {
            return Err(wrong());
        }
        Ok(Self {
            recipe: recipe.to_owned(),
            key: key.to_owned(),
            value: value.trim().to_owned(),
        })
    }
}

/// Reads the front matter: the recipe's keys, its steps, and the parameters that are filled in. Spans are relative to `text`.
pub(super) fn read(
    text: &str,
    overrides: &[&Override],
) -> Result<(Front, Vec<RawStep>, Parameters), Fault> {
    let root = DeTable::parse(text).map_err(fault)?;
    let span = root.span();
    let mut table = root.into_inner();
    let mut steps = match table.remove("step") {
        None => Vec::new(),
        Some(value) => tables(value)?,
    };
    for change in overrides {
        override_key(&mut table, &mut steps, change);
    }
    let parameters = Parameters::take(&mut table)?;
    parameters.fill(&mut table)?;
    for (_, step) in &mut steps {
        parameters.fill(step)?;
    }
    let rest = Spanned::new(span, DeValue::Table(table));
    let front = Front::deserialize(rest.into_deserializer()).map_err(fault)?;
    let steps = steps
        .into_iter()
        .map(|(span, table)| read_step(span, table))
        .collect::<Result<_, _>>()?;
    Ok((front, steps, parameters))
}

fn tables(value: Spanned<DeValue<'_>>) -> Result<Vec<(Range<usize>, DeTable<'_>)>, Fault> {
    let span = value.span();
    let DeValue::Array(items) = value.into_inner() else {
        return Err(Fault::at(span, "`step` is not a list of tables")
            .hint("begin each step with `[[step]]`"));
    };
    items
        .into_iter()
        .map(|item| {
            let span = item.span();
            match item.into_inner() {
                DeValue::Table(table) => Ok((span, table)),
                _ => {
                    Err(Fault::at(span, "a step is a table")
                        .hint("begin each step with `[[step]]`"))
                }
            }
        })
        .collect()
}

fn read_step(span: Range<usize>, mut table: DeTable<'_>) -> Result<RawStep, Fault> {
    let when = match table.remove("when") {
        None => None,
        Some(value) => {
            Some(Spanned::<String>::deserialize(value.into_deserializer()).map_err(fault)?)
        }
    };
    let at_least = match table.remove("at-least") {
        None => 0,
        Some(value) => usize::deserialize(value.into_deserializer()).map_err(fault)?,
    };
    let Some(kind) = table.remove("kind") else {
        return Err(Fault::at(span, "this step has no `kind`").hint(step::Config::kinds_hint()));
    };
    let kind = Spanned::<String>::deserialize(kind.into_deserializer()).map_err(fault)?;
    let rest: ValueDeserializer<'_> =
        Spanned::new(span.clone(), DeValue::Table(table)).into_deserializer();
    let action = match step::Config::read(kind.get_ref(), rest) {
        Some(config) => config.map_err(fault)?,
        None => {
            let hint = match crate::error::did_you_mean(
                kind.get_ref(),
                step::Config::KINDS.iter().copied(),
            ) {
                Some(near) => format!("did you mean `{near}`?"),
                None => step::Config::kinds_hint(),
            };
            return Err(Fault::at(
                kind.span(),
                format!("there is no step kind `{}`", kind.get_ref()),
            )
            .hint(hint));
        }
    };
    Ok(RawStep {
        span,
        when,
        at_least,
        action,
    })
}

/// Replaces the key where it stands; sets it in every step that knows it, or else in the recipe.
fn override_key<'t>(
    table: &mut DeTable<'t>,
    steps: &mut [(Range<usize>, DeTable<'t>)],
    change: &'t Override,
) {
    let set = |table: &mut DeTable<'t>| {
        let key = Spanned::new(0..0, Cow::Borrowed(change.key.as_str()));
        let value = match DeValue::parse(&change.value) {
            Ok(value) => value.into_inner(),
            Err(_) => DeValue::String(Cow::Borrowed(&change.value)),
        };
        table.remove(change.key.as_str());
        table.insert(key, Spanned::new(0..0, value));
    };
    if let Some(value) = table.get_mut(parameters::KEY)
        && let DeValue::Table(known) = value.get_mut()
        && known.contains_key(change.key.as_str())
    {
        return set(known);
    }
    let unknown = format!("unknown key `{}`", change.key);
    let mut known = false;
    for (span, step) in steps.iter_mut() {
        let mut with = step.clone();
        set(&mut with);
        // A wrong value is kept, to be reported; only a key the step does not have is not.
        if !read_step(span.clone(), with.clone()).is_err_and(|f| f.message == unknown) {
            *step = with;
            known = true;
        }
    }
    if !known {
        set(table);
    }
}

/// Says a TOML or serde error in this program's words.
fn fault(error: toml::de::Error) -> Fault {
    let message = error.message();
    let mut quoted = message.split('`').skip(1).step_by(2);
    let fault = |text: String| Fault {
        span: error.span(),
        message: text,
        hint: None,
    };
    if message.starts_with("unknown field") {
        let wrong = quoted.next().unwrap_or_default();
        let known: Vec<&str> = quoted.collect();
        let fault = fault(format!("unknown key `{wrong}`"));
        return match crate::error::did_you_mean(wrong, known.iter().copied()) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault.hint(format!("keys here: {}", known.join(", "))),
        };
    }
    if message.starts_with("missing field") {
        return fault(format!(
            "the key `{}` is missing",
            quoted.next().unwrap_or_default()
        ));
    }
    if message.starts_with("unknown variant") {
        let wrong = quoted.next().unwrap_or_default();
        let known: Vec<&str> = quoted.collect();
        return fault(format!("`{wrong}` is not one of the known values"))
            .hint(format!("known: {}", known.join(", ")));
    }
    fault(message.lines().collect::<Vec<_>>().join(", "))
}
