//! The kinds of change a recipe can ask for, one file each.
//!
//! A step reads the overlay and says what to change; it writes nothing itself.

pub mod coalesce;

use serde::Serialize;

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
        /// The line (from 1) of what blocks it.
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

/// What a step wants: new contents of files, and the verdicts.
#[derive(Debug, Default)]
pub struct Outcome {
    /// New contents by path; a path the overlay does not have is a new file.
    pub files: Vec<(String, Vec<u8>)>,
    /// Every site, rewritten or blocked.
    pub sites: Vec<Site>,
}
