//! The series: ordered patches, and the ways they leave the program (mail, quilt, branch).
//!
//! ```text
//! Patches + Base + Cover ──Series::new (checks)──► Series ─┬─ render ──► (name, bytes)… ──output::write──► folder
//!                                                          └─ branch::apply ──► commits on a new branch
//! ```
//! Everything rendered depends only on the tree, the patches and, with a sign-off, the user's git identity:
//! the same input gives the same bytes.

pub mod branch;
mod check;
mod cover;
pub mod diff;
mod identity;
pub mod mail;
pub mod message;
pub mod output;
mod quilt;
mod text;

pub use cover::Cover;
pub use identity::Identity;

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use self::diff::{FileDiff, file_diff};
use crate::Result;
use crate::kernel::{Base, Origin, hex};
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

/// Patches in their final order, checked, with what they are made against.
#[derive(Debug, Clone)]
pub struct Series {
    base: Base,
    cover: Cover,
    patches: Vec<Patch>,
    signoff: Option<Identity>,
    /// Paths whose file has the mode bit; a new file never has it.
    executable: BTreeSet<String>,
}

impl Series {
    /// A series of `patches`, which may be none. With `signoff` the messages are from that person and carry the
    /// `Signed-off-by` line; without, they are from [`Identity::neutral`].
    ///
    /// # Errors
    /// When subjects are too long or equal, a message vouches for somebody, a patch changes nothing, does not
    /// start from what the patch before left, or touches what a text patch cannot: a link, a binary file, a path outside
    /// the tree.
    pub fn new(
        base: Base,
        cover: Cover,
        mut patches: Vec<Patch>,
        signoff: Option<Identity>,
    ) -> Result<Self> {
        for patch in &mut patches {
            patch.changes.sort_by(|a, b| a.path.cmp(&b.path));
        }
        check::cover(&cover)?;
        check::patches(&patches)?;
        let executable = check::files(base.root(), &patches)?;
        Ok(Self {
            base,
            cover,
            patches,
            signoff,
            executable,
        })
    }

    /// What the series is made against.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// The patches in order.
    pub fn patches(&self) -> &[Patch] {
        &self.patches
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.patches.is_empty()
    }

    /// Who the messages are from.
    fn author(&self) -> Identity {
        self.signoff.clone().unwrap_or_else(Identity::neutral)
    }

    /// Each patch with its whole commit message, the same that `git am` makes of the rendered file.
    pub fn messages(&self) -> impl Iterator<Item = (&Patch, String)> {
        self.patches.iter().map(|patch| {
            let body = message::body(patch, self.signoff.as_ref());
            (patch, format!("{}\n\n{body}", patch.subject))
        })
    }

    /// Every touched path, sorted: its content before the first patch and after the last.
    pub fn net(&self) -> Vec<FileChange> {
        let mut net: BTreeMap<&str, FileChange> = BTreeMap::new();
        for change in self.patches.iter().flat_map(|p| &p.changes) {
            net.entry(&change.path)
                .or_insert_with(|| change.clone())
                .after = change.after.clone();
        }
        net.into_values().collect()
    }

    /// The files of the series, in order: `0000-cover-letter.patch`, one message a patch, and quilt's `series`.
    /// An empty series has no letter.
    pub fn render(&self) -> Vec<(String, Vec<u8>)> {
        let names: Vec<String> = self
            .patches
            .iter()
            .enumerate()
            .map(|(at, patch)| mail::file_name(at + 1, &patch.subject))
            .collect();
        let mut files = Vec::with_capacity(names.len() + 2);
        let quilt = quilt::series_file(names.iter().map(String::as_str));
        if !self.is_empty() {
            self.render_mail(names, &mut files);
        }
        files.push(("series".to_owned(), quilt));
        files
    }

    fn render_mail(&self, names: Vec<String>, files: &mut Vec<(String, Vec<u8>)>) {
        let author = self.author();
        let net = self.net();
        let letter = cover::letter(cover::Contents {
            cover: &self.cover,
            patches: &self.patches,
            base: &self.base,
            author: &author.name,
            signed: self.signoff.is_some(),
            stats: net
                .iter()
                .filter(|c| c.before != c.after)
                .map(|c| self.diff(c).stat)
                .collect(),
            net: &net,
        });
        let messages: Vec<_> = self
            .patches
            .iter()
            .map(|patch| {
                let diffs: Vec<FileDiff> = patch.changes.iter().map(|c| self.diff(c)).collect();
                (
                    message::body(patch, self.signoff.as_ref()),
                    mail::patch_content(&diffs),
                )
            })
            .collect();
        let envelope = mail::Envelope {
            id: self.id(&letter, &author, &messages),
            from: author,
            date: self.base.date(),
            total: self.patches.len(),
        };
        let cover = envelope.message(0, &self.cover.title, &letter, b"");
        files.push(("0000-cover-letter.patch".to_owned(), cover));
        for (at, (name, (body, content))) in names.into_iter().zip(&messages).enumerate() {
            files.push((
                name,
                envelope.message(at + 1, &self.patches[at].subject, body, content),
            ));
        }
    }

    fn diff(&self, change: &FileChange) -> FileDiff {
        file_diff(change, self.executable.contains(&change.path))
    }

    /// What the Message-Ids share: base, recipes and content, so that another series never has the same.
    fn id(&self, letter: &str, author: &Identity, messages: &[(String, Vec<u8>)]) -> String {
        let mut sum = Sha256::new();
        let mut field = |bytes: &[u8]| {
            sum.update((bytes.len() as u64).to_le_bytes());
            sum.update(bytes);
        };
        field(self.base.name().as_bytes());
        if let Origin::Commit { id, .. } = self.base.origin() {
            field(id.as_bytes());
        }
        field(author.plain().as_bytes());
        field(&self.base.date().to_le_bytes());
        field(letter.as_bytes());
        for (patch, (body, content)) in self.patches.iter().zip(messages) {
            // The body names the recipe and its version.
            field(patch.subject.as_bytes());
            field(body.as_bytes());
            field(content);
        }
        hex(&sum.finalize()[..12])
    }
}
