//! The kinds of change a recipe can ask for, one file each.
//!
//! A step reads and says what to change; it writes nothing itself. *File-wise* steps turn one file's
//! text into another (and are what samples run); *tree-wise* steps name the file they are about.

pub mod add_file;
pub mod anchor;
pub mod coalesce;
pub mod drop_ifdef;
mod file_wise;
pub mod include;
pub mod insert;
pub mod kconfig;
pub mod kconfig_default;
pub mod makefile;
mod removal;
pub mod remove_argument;
pub mod remove_call;
pub mod remove_directive;
pub mod remove_field;
pub mod remove_file;
pub mod remove_function;
pub mod remove_parameter;
pub mod remove_variable;
pub mod replace_code;
pub mod replace_define;
pub mod replace_function;
pub mod replace_line;
pub mod rewrite;
mod search;

pub(crate) use removal::words;

use std::ops::Range;

use serde::{Deserialize, Serialize};
use toml::de::ValueDeserializer;

use crate::Result;
use crate::c::headers::Headers;
use crate::kernel::Overlay;
use crate::recipe::facts::Facts;
use crate::recipe::{Assets, Recipe};

/// What became of one place in the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Verdict {
    /// The source was changed here.
    Rewritten,
    /// Left alone, and why.
    Blocked {
        /// One of a fixed set of short codes, such as `call`, `label`, `dependent-read`.
        code: String,
        /// A sentence for people.
        reason: String,
        /// The line (from 1) of what blocks it; 0 when that is in another file, which the reason names.
        #[serde(rename = "obstacle_line")]
        line: usize,
    },
}

/// One place in the source that a step found, and its verdict. Every place found is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Site {
    /// File, relative to the tree's top.
    pub file: String,
    /// Line of the first statement, from 1, in the text the step read.
    pub line: usize,
    /// The enclosing function; empty outside functions.
    pub function: String,
    /// I/O operations in it (the bound over all branches for a conditional run); 0 where it does not apply.
    pub ops: usize,
    /// Exits saved each time the whole site runs; 0 when blocked or not applicable.
    pub exits_saved: usize,
    /// Rewritten or blocked.
    #[serde(flatten)]
    pub verdict: Verdict,
}

impl Site {
    /// Whether the source was changed here.
    pub fn is_rewritten(&self) -> bool {
        self.verdict == Verdict::Rewritten
    }
}

/// What a step wants: new contents of files, and the verdicts.
#[derive(Debug, Default)]
pub struct Outcome {
    /// New contents by path, `None` for a file that goes; a path the overlay does not have is a new file.
    pub files: Vec<(String, Option<Vec<u8>>)>,
    /// Every site, rewritten or blocked.
    pub sites: Vec<Site>,
    /// Places changed; more than the rewritten sites where a step has no sites.
    pub changed: usize,
    /// Places that already are as the step would leave them.
    pub already: usize,
}

/// What a file-wise step makes of one file.
#[derive(Debug, Default)]
pub struct FileOutcome {
    /// The new text; `None` when nothing changes.
    pub text: Option<Vec<u8>>,
    /// Every site, rewritten or blocked.
    pub sites: Vec<Site>,
    /// Places that already are as the step would leave them.
    pub already: usize,
}

/// The rest of the tree around a file: what its names stand for.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Reads another file of the tree (a header, say); `None` when it is not there.
    pub read: &'a (dyn Fn(&str) -> Option<Vec<u8>> + Sync),
    /// What has been learnt of the tree's headers so far.
    pub headers: &'a Headers,
}

/// Something wrong in a step of a recipe, with its place in the front matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Byte range in the TOML text; the whole step when absent.
    pub span: Option<Range<usize>>,
    /// One sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Fault {
    /// A fault of the whole step.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            span: None,
            message: message.into(),
            hint: None,
        }
    }

    /// A fault at `span`.
    pub fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            span: Some(span),
            message: message.into(),
            hint: None,
        }
    }

    /// Adds the remedy.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What a tree-wise step works on.
#[derive(Debug)]
pub struct Context<'a> {
    /// The tree with the changes so far.
    pub overlay: &'a Overlay<'a>,
    /// Version, probes and the like.
    pub facts: &'a Facts,
    /// The recipe, for messages.
    pub recipe: &'a Recipe,
}

/// One step's keys as TOML has them.
#[derive(Debug)]
pub(crate) enum Config {
    CoalesceIo(coalesce::CoalesceStep),
    Rewrite(rewrite::Config),
    Insert(insert::Config),
    AddFile(add_file::Config),
    MakefileAdd(makefile::Config),
    KconfigAdd(kconfig::AddConfig),
    RemoveFile(remove_file::Config),
    FileWise(file_wise::Config),
}

impl Config {
    /// Every step kind.
    pub(crate) const KINDS: [&str; 20] = [
        "coalesce-io",
        "rewrite",
        "insert",
        "add-file",
        "makefile-add",
        "kconfig-add",
        "kconfig-default",
        "drop-ifdef",
        "remove-function",
        "remove-call",
        "remove-argument",
        "remove-variable",
        "remove-field",
        "remove-directive",
        "remove-parameter",
        "remove-file",
        "replace-code",
        "replace-function",
        "replace-define",
        "replace-line",
    ];

    pub(crate) fn kinds_hint() -> String {
        format!("kinds: {}", Self::KINDS.join(", "))
    }

    /// Reads the keys of a step of `kind`; `None` when there is no such kind.
    pub(crate) fn read(
        kind: &str,
        keys: ValueDeserializer<'_>,
    ) -> Option<Result<Self, toml::de::Error>> {
        Some(match kind {
            "coalesce-io" => Deserialize::deserialize(keys).map(Self::CoalesceIo),
            "rewrite" => Deserialize::deserialize(keys).map(Self::Rewrite),
            "insert" => Deserialize::deserialize(keys).map(Self::Insert),
            "add-file" => Deserialize::deserialize(keys).map(Self::AddFile),
            "makefile-add" => Deserialize::deserialize(keys).map(Self::MakefileAdd),
            "kconfig-add" => Deserialize::deserialize(keys).map(Self::KconfigAdd),
            "remove-file" => Deserialize::deserialize(keys).map(Self::RemoveFile),
            _ => return file_wise::Config::read(kind, keys).map(|c| c.map(Self::FileWise)),
        })
    }

    /// Checks the keys and makes them ready to run.
    pub(crate) fn compile(self, recipe: &Recipe) -> Result<Action, Fault> {
        let assets = &recipe.source.assets;
        Ok(match self {
            Self::CoalesceIo(step) => Action::CoalesceIo(Box::new(
                coalesce::Compiled::new(&step).map_err(Fault::new)?,
            )),
            Self::Rewrite(config) => Action::Rewrite(Box::new(config.compile()?)),
            Self::Insert(config) => Action::Insert(config.compile(assets)?),
            Self::AddFile(config) => Action::AddFile(config.compile(assets)?),
            Self::MakefileAdd(config) => Action::MakefileAdd(config.compile()?),
            Self::KconfigAdd(config) => Action::KconfigAdd(config.compile(assets)?),
            Self::RemoveFile(config) => Action::RemoveFile(config.compile()?),
            Self::FileWise(config) => {
                let (kind, step) = config.compile()?;
                Action::FileWise(FileWise { kind, step })
            }
        })
    }
}

/// A step, ready to run.
#[derive(Debug)]
pub enum Action {
    /// Runs of port I/O become one batch.
    CoalesceIo(Box<coalesce::Compiled>),
    /// A structural pattern with metavariables.
    Rewrite(Box<rewrite::Rewrite>),
    /// Text at an anchor.
    Insert(insert::Insert),
    /// A new file from a template.
    AddFile(add_file::AddFile),
    /// An object in a Makefile.
    MakefileAdd(makefile::MakefileAdd),
    /// A symbol in a Kconfig file.
    KconfigAdd(kconfig::KconfigAdd),
    /// A header that nothing includes any more.
    RemoveFile(remove_file::RemoveFile),
    /// One of the kinds that look at one file's text only.
    FileWise(FileWise),
}

/// A step of a kind that looks at one file's text only.
#[derive(Debug)]
pub struct FileWise {
    kind: &'static str,
    step: Box<dyn file_wise::FileStep>,
}

const COALESCING_ASSUMES: [&str; 3] = [
    "The ports of one batch belong to devices that the host emulates; no device needs the time that a single \
     access takes to pass before the next one.",
    "A port access does not change the guest's memory before the next statement looks at it.",
    "Nothing but the driver itself, under its own locks, changes what a batch records while it is recorded.",
];

/// The header that batches need.
const BATCH_HEADER: &str = "linux/xkvm_io.h";

impl Action {
    /// The kind as recipes write it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CoalesceIo(_) => "coalesce-io",
            Self::Rewrite(_) => "rewrite",
            Self::Insert(_) => "insert",
            Self::AddFile(_) => "add-file",
            Self::MakefileAdd(_) => "makefile-add",
            Self::KconfigAdd(_) => "kconfig-add",
            Self::RemoveFile(_) => "remove-file",
            Self::FileWise(step) => step.kind,
        }
    }

    /// Whether it works through the recipe's `files`, rather than on one path it names itself.
    pub fn is_file_wise(&self) -> bool {
        matches!(
            self,
            Self::CoalesceIo(_) | Self::Rewrite(_) | Self::FileWise(_)
        )
    }

    /// Whether it only tidies up after the steps before it, and has nothing to do where these changed nothing.
    pub fn only_tidies(&self) -> bool {
        matches!(self, Self::RemoveFile(_))
    }

    /// What an existing configuration must set for the change to have an effect: symbols and values (`n` for unset).
    pub fn config(&self) -> Vec<(String, String)> {
        match self {
            Self::FileWise(step) => step.step.config(),
            _ => Vec::new(),
        }
    }

    /// A word that a file-wise step leaves in the files it changed, if there is one.
    pub fn trace(&self) -> Option<&str> {
        match self {
            Self::CoalesceIo(_) => Some("xkvm_io_coalesce"),
            Self::Rewrite(step) => step.trace(),
            _ => None,
        }
    }

    /// What must be true for its changes to be right, beyond the code it reads; a sentence each.
    pub fn assumptions(&self) -> &'static [&'static str] {
        match self {
            Self::CoalesceIo(_) => &COALESCING_ASSUMES,
            _ => &[],
        }
    }

    /// Runs a file-wise step on one file, and adds the header it needs; a tree-wise step changes nothing.
    pub fn edit(&self, path: &str, text: &[u8], around: Surroundings<'_>) -> FileOutcome {
        let mut outcome = self.edit_code(path, text, around);
        let header = match self {
            Self::CoalesceIo(_) => Some(BATCH_HEADER),
            Self::Rewrite(step) => step.include(),
            Self::FileWise(step) => step.step.include(),
            _ => None,
        };
        if let (Some(header), Some(changed)) = (header, &outcome.text) {
            match include::add(changed, header) {
                Ok(with_header) => outcome.text = Some(with_header),
                Err(reason) => outcome = block_all(outcome, &reason),
            }
        }
        outcome
    }

    /// Runs a file-wise step on one file or snippet, without a look at its headers.
    pub fn edit_code(&self, path: &str, text: &[u8], around: Surroundings<'_>) -> FileOutcome {
        match self {
            Self::CoalesceIo(step) => {
                let (changed, sites) = coalesce::run(step, path, text, around);
                FileOutcome {
                    text: changed,
                    sites,
                    already: already_batched(text),
                }
            }
            Self::Rewrite(step) => step.edit(path, text),
            Self::FileWise(step) => step.step.edit(path, text),
            _ => FileOutcome::default(),
        }
    }

    /// Runs a tree-wise step; a file-wise step changes nothing.
    ///
    /// # Errors
    /// When the tree does not have what the step needs.
    pub fn run(&self, context: &Context<'_>) -> Result<Outcome> {
        match self {
            Self::Insert(step) => step.run(context),
            Self::AddFile(step) => step.run(context),
            Self::MakefileAdd(step) => step.run(context),
            Self::KconfigAdd(step) => step.run(context),
            Self::RemoveFile(step) => step.run(context),
            Self::CoalesceIo(_) | Self::Rewrite(_) | Self::FileWise(_) => Ok(Outcome::default()),
        }
    }
}

/// Batches that an earlier run put into this file.
fn already_batched(text: &[u8]) -> usize {
    memchr::memmem::find_iter(text, b"xkvm_io_coalesce(").count()
}

/// Takes back what a step did to a file, because the file cannot have the header.
fn block_all(outcome: FileOutcome, reason: &str) -> FileOutcome {
    let sites = outcome
        .sites
        .into_iter()
        .map(|mut site| {
            if site.is_rewritten() {
                let line = site.line;
                site.verdict = Verdict::Blocked {
                    code: "no-include".into(),
                    reason: reason.to_owned(),
                    line,
                };
                site.exits_saved = 0;
            }
            site
        })
        .collect();
    FileOutcome {
        text: None,
        sites,
        already: outcome.already,
    }
}

/// Text given in the recipe itself or in a template beside it.
#[derive(Debug)]
pub(crate) enum Text {
    Literal(String),
    Template { path: String, text: String },
}

impl Text {
    /// Exactly one of `text` and `template` must be given.
    pub(crate) fn compile(
        text: Option<toml::Spanned<String>>,
        template: Option<toml::Spanned<String>>,
        assets: &Assets,
    ) -> Result<Self, Fault> {
        match (text, template) {
            (Some(text), None) if text.get_ref().trim().is_empty() => {
                Err(Fault::at(text.span(), "`text` is empty"))
            }
            (Some(text), None) => Ok(Self::Literal(text.into_inner())),
            (None, Some(path)) => match assets.read(path.get_ref()) {
                Ok(text) => Ok(Self::Template {
                    path: path.into_inner(),
                    text,
                }),
                Err(error) => Err(Fault::at(path.span(), error.message)
                    .hint("templates lie beside the recipe; the path counts from its folder")),
            },
            _ => Err(Fault::new("give either `text` or `template`")),
        }
    }

    /// The text for the tree at hand, ending with a line break.
    pub(crate) fn render(&self, context: &Context<'_>) -> Result<String> {
        let mut text = match self {
            Self::Literal(text) => text.clone(),
            Self::Template { path, text } => {
                context.facts.render(text).map_err(|(line, message)| {
                    let file = context.recipe.source.file.with_file_name(path);
                    crate::Error::usage(format!("the template cannot be rendered: {message}"))
                        .at(file, line, 0)
                })?
            }
        };
        if !text.ends_with('\n') {
            text.push('\n');
        }
        Ok(text)
    }
}
