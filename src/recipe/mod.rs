//! Recipes: prose, change and samples in one Markdown file.
//!
//! A file becomes a [`Recipe`] in [`load`]; the [`catalogue`] holds the built-in ones and the user's;
//! [`select`] says which apply to a tree and why the others do not; [`run`] turns them into patches.

pub mod catalogue;
pub mod facts;
pub mod fragment;
mod globs;
pub mod guard;
pub mod load;
mod parameters;
mod prose;
mod range;
pub mod run;
pub mod samples;
pub mod scan;
mod schema;
pub mod select;
mod source;

pub use catalogue::Catalogue;
pub use globs::NameGlobs;
pub use load::Override;
pub use range::VersionRange;
pub use source::{Assets, Source};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::kernel::files::Globs;
use crate::step::Action;

/// Which kernel a recipe changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The kernel that runs inside the virtual machine.
    Guest,
    /// The kernel that runs KVM.
    Host,
}

/// How a recipe's changes are cut into patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatchMode {
    /// All in one patch.
    #[default]
    One,
    /// One patch a file; its path stands in the subject, in front or where `{file}` is.
    PerFile,
}

/// How many places a recipe must change where it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// At least this many (default 1); fewer is an error.
    #[serde(default = "one")]
    pub min: usize,
    /// At most this many.
    #[serde(default)]
    pub max: Option<usize>,
}

fn one() -> usize {
    1
}

impl Default for Expect {
    fn default() -> Self {
        Self { min: 1, max: None }
    }
}

/// A question about what the code of the tree looks like; true when any of `files` answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Paths from the tree's top; the first that holds the text decides.
    pub files: Vec<String>,
    /// Literal text to look for; without it, the file's being there is enough.
    #[serde(default)]
    pub contains: Option<String>,
}

/// One recipe, read and checked.
#[derive(Debug)]
pub struct Recipe {
    /// Its name: lower-case letters, digits and `-`.
    pub name: String,
    /// Counts up whenever what it writes changes.
    pub version: u32,
    /// Subject line of its patch.
    pub subject: String,
    /// Guest or host kernel.
    pub target: Target,
    /// Part of a series without `-r`.
    pub default: bool,
    /// Place in the series: 0–99 support, 100–899 conversions, 900–999 Kconfig defaults.
    pub order: u32,
    /// Kernel versions it is for; all when absent.
    pub kernels: Option<VersionRange>,
    /// Files of its file-wise steps.
    pub files: Globs,
    /// Words of which a file must have one to be read closely.
    pub needles: Vec<String>,
    /// How many places it must change.
    pub expect: Expect,
    /// Identifiers of which none may be left in its files.
    pub gone: NameGlobs,
    /// Code that it does not touch.
    pub refuse: Vec<guard::Refusal>,
    /// One patch, or one a file.
    pub patch: PatchMode,
    /// Recipes that must come before it in the same series.
    pub requires: Vec<String>,
    /// Line and column of the first of them in the recipe file, from 1.
    pub requires_at: (usize, usize),
    /// Named questions about the tree, for `when` and templates.
    pub probes: BTreeMap<String, Probe>,
    /// What a configuration must set besides what the steps say: symbols and values, `n` for unset.
    pub config: BTreeMap<String, String>,
    /// What it does, in order.
    pub steps: Vec<Step>,
    /// The prose as written, up to the first `##`.
    pub prose: String,
    /// The prose as plain text at 72 columns: the commit message's body.
    pub body: String,
    /// Before/after pairs that are run as tests.
    pub samples: Vec<Sample>,
    /// Where it came from.
    pub source: Source,
    /// The whole file.
    pub text: String,
}

/// One step of a recipe.
#[derive(Debug)]
pub struct Step {
    /// Taken only where this expression is true.
    pub when: Option<String>,
    /// How many places it must change in a tree where the recipe has any work to do.
    pub at_least: usize,
    /// Line of the step in the recipe file, from 1.
    pub line: usize,
    /// What to do.
    pub action: Action,
}

/// A before/after pair, or code that must be left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The heading's name.
    pub name: String,
    /// Line of the heading in the recipe file, from 1.
    pub line: usize,
    /// The code as it is.
    pub before: String,
    /// What must come of it.
    pub expected: Expected,
}

/// What a sample's code must become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Exactly this text.
    After(String),
    /// Left as it is, with a site blocked by this code.
    Blocked(String),
}
