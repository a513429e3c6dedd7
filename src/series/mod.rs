//! The series: ordered patches, and the ways they leave the program (mail, quilt, branch).

pub mod diff;
pub mod output;

use crate::step::Site;

/// One file's content before and after a patch. `before` is `None` for a new file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Path relative to the tree's top, with `/`.
    pub path: String,
    /// Content before; `None` when the patch adds the file.
    pub before: Option<Vec<u8>>,
    /// Content after; `None` when the patch removes the file.
    pub after: Option<Vec<u8>>,
}

/// One patch of the series.
#[derive(Debug, Clone)]
pub struct Patch {
    /// `subsystem: summary`, at most 70 characters.
    pub subject: String,
    /// The commit message's body: plain text, wrapped, without trailers.
    pub body: String,
    /// The recipe's name.
    pub recipe: String,
    /// The recipe's version.
    pub recipe_version: u32,
    /// What changes, ordered by path.
    pub changes: Vec<FileChange>,
    /// Every site of this patch.
    pub sites: Vec<Site>,
}
