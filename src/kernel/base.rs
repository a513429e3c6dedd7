//! Where the tree comes from: a git commit (checkout or worktree), or an unpacked archive.
//!
//! The base names the tree in the cover letter, and fixes the date and the Message-Ids of the series, so
//! that the same tree always gives the same bytes.

use std::path::{Path, PathBuf};

use git2::{ErrorCode, ObjectType, Oid, Repository};
use sha2::{Digest, Sha256};

use super::Tree;
use crate::{Error, Result};

/// The date of a series for a tree without a commit: the one git itself writes into every
/// `From <hash> Mon Sep 17 00:00:00 2001` line. File times are no use: they change when a tree is copied.
pub const PLAIN_DATE: i64 = 1_000_684_800;

/// What stands behind the files of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The top of a git checkout or worktree.
    Commit {
        /// The commit of HEAD, 40 hex digits.
        id: String,
        /// Its committer date, seconds since 1970 (UTC).
        time: i64,
    },
    /// No git repository of its own: an unpacked archive, perhaps inside another repository, or a
    /// repository without a commit.
    Plain,
    /// There is a repository, but it cannot be read; the reason in a sentence. Treated like [`Origin::Plain`].
    Unreadable(String),
}

/// What a series is made against.
#[derive(Debug, Clone)]
pub struct Base {
    root: PathBuf,
    name: String,
    origin: Origin,
    date: i64,
}

impl Base {
    /// Looks at where `tree` comes from. `source_date_epoch` is the value of the environment variable
    /// SOURCE_DATE_EPOCH (<https://reproducible-builds.org/specs/source-date-epoch/>), which wins over any other date.
    ///
    /// # Errors
    /// When `source_date_epoch` is not a number of seconds.
    pub fn detect(tree: &Tree, source_date_epoch: Option<&str>) -> Result<Self> {
        Self::at(
            tree.root(),
            format!("linux-{}", tree.version()),
            source_date_epoch,
        )
    }

    /// As [`Base::detect`], for a folder and a name for it.
    ///
    /// # Errors
    /// When `source_date_epoch` is not a number of seconds.
    pub fn at(root: &Path, name: String, source_date_epoch: Option<&str>) -> Result<Self> {
        let origin = origin(root);
        let date = match (source_date_epoch, &origin) {
            (Some(text), _) => parse_epoch(text)?,
            (None, Origin::Commit { time, .. }) => *time,
            (None, _) => PLAIN_DATE,
        };
        Ok(Self {
            root: root.to_path_buf(),
            name,
            origin,
            date,
        })
    }

    /// The tree's top folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A name for people, such as `linux-6.12.48`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The commit or its absence.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The date of the series, seconds since 1970 (UTC).
    pub fn date(&self) -> i64 {
        self.date
    }

    /// The paths among `files` (path, content in the tree) whose content is not that of the base commit;
    /// `None` content means the file is not there. Empty for a tree without a commit.
    pub fn local_changes<'a>(
        &self,
        files: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) -> Vec<String> {
        let Origin::Commit { id, .. } = &self.origin else {
            return Vec::new();
        };
        let Some(repo) = Repository::open(&self.root).ok() else {
            return Vec::new();
        };
        let Some(top) = Oid::from_str(id)
            .and_then(|id| repo.find_commit(id))
            .and_then(|c| c.tree())
            .ok()
        else {
            return Vec::new();
        };
        files
            .filter(|(path, content)| {
                let there =
                    content.and_then(|bytes| Oid::hash_object(ObjectType::Blob, bytes).ok());
                top.get_path(Path::new(path)).ok().map(|entry| entry.id()) != there
            })
            .map(|(path, _)| path.to_owned())
            .collect()
    }
}

/// One number for the contents of `files`, which must be sorted by path: the SHA-256 that
/// `sha256sum FILES… | sha256sum` prints. A whole kernel is 1.3 GB; the touched files are what matters.
pub fn digest<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut sum = Sha256::new();
    for (path, content) in files {
        sum.update(format!("{}  {path}\n", hex(&Sha256::digest(content))));
    }
    hex(&sum.finalize())
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn parse_epoch(text: &str) -> Result<i64> {
    // The largest four-digit year: mail dates have no room for more.
    text.trim()
        .parse()
        .ok()
        .filter(|t| (0..=253_402_300_799).contains(t))
        .ok_or_else(|| {
            Error::usage(format!(
                "SOURCE_DATE_EPOCH is {text:?}, not a number of seconds since 1970"
            ))
            .hint("unset it, or set it to what `date +%s` prints")
        })
}

/// `Repository::open` does not search upwards, so an archive unpacked inside another repository is not taken for it.
fn origin(root: &Path) -> Origin {
    let repo = match Repository::open(root) {
        Ok(repo) => repo,
        Err(e) if e.code() == ErrorCode::NotFound => return Origin::Plain,
        Err(e) if e.code() == ErrorCode::Owner => {
            return Origin::Unreadable("the git repository belongs to another user".to_owned());
        }
        Err(e) => {
            return Origin::Unreadable(format!(
                "the git repository cannot be opened: {}",
                e.message()
            ));
        }
    };
    // core.worktree can make a repository's files live elsewhere.
    let same =
        |a: &Path| matches!((a.canonicalize(), root.canonicalize()), (Ok(a), Ok(b)) if a == b);
    if !repo.is_bare() && !repo.workdir().is_some_and(same) {
        return Origin::Plain;
    }
    match repo.head().and_then(|head| head.peel_to_commit()) {
        Ok(commit) => Origin::Commit {
            id: commit.id().to_string(),
            time: commit.time().seconds(),
        },
        Err(e) if matches!(e.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => {
            Origin::Plain
        }
        Err(e) => Origin::Unreadable(format!("the git commit cannot be read: {}", e.message())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_folder_has_a_fixed_date_and_source_date_epoch_wins() {
        let dir = tempfile::tempdir().unwrap();
        let base = Base::at(dir.path(), "linux-6.1".to_owned(), None).unwrap();
        assert_eq!((base.origin(), base.date()), (&Origin::Plain, PLAIN_DATE));
        assert_eq!(
            base.local_changes([("a", None)].into_iter()),
            Vec::<String>::new()
        );
        assert_eq!(
            Base::at(dir.path(), String::new(), Some("86400"))
                .unwrap()
                .date(),
            86400
        );
        for bad in ["", "soon", "-1", "999999999999"] {
            assert!(
                Base::at(dir.path(), String::new(), Some(bad)).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_broken_repository_is_said_to_be_unreadable() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".git"), "gitdir: /nowhere/at/all\n").unwrap();
        let base = Base::at(dir.path(), String::new(), None).unwrap();
        assert!(matches!(
            base.origin(),
            Origin::Unreadable(_) | Origin::Plain
        ));
    }

    #[test]
    fn the_digest_is_what_sha256sum_prints() {
        // printf 'a\n' >x; printf 'b\n' >y; sha256sum x y | sha256sum
        let files = [("x", b"a\n".as_slice()), ("y", b"b\n")];
        assert_eq!(
            digest(files.into_iter()),
            "0aefeb96e9b3b58db4d18881fe5d1ac23fb003880d81698af1be9bc37d6217df"
        );
    }
}
