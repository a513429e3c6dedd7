//! `--apply`: the series as commits on a new branch, without touching files, index or HEAD.

use std::path::Path;

use git2::build::TreeUpdateBuilder;
use git2::{
    BranchType, Commit, ErrorClass, ErrorCode, FileMode, Oid, Repository, Signature, StatusOptions,
};

use super::identity::Identity;
use super::{FileChange, Series};
use crate::error::Kind;
use crate::{Error, Result};

/// Paths named in an error; the rest is counted.
const MAX_NAMED: usize = 3;

/// Checks that the series could go on a new branch `name` of `root`'s repository, as far as that can be said
/// without the series, so that the answer comes before the work.
///
/// # Errors
/// When `root` is not the top of a git checkout or worktree, has no commit or has changes, when the branch name is
/// invalid or taken, or when the user has no git identity.
pub fn check(root: &Path, name: &str) -> Result<()> {
    let repo = open(root)?;
    check_name(&repo, name)?;
    head(&repo)?;
    Identity::of_user(root)?;
    check_clean(&repo)
}

/// Commits each patch on a new branch `name` that starts at HEAD, and returns the last commit's id.
///
/// The branch is made last: until then nothing refers to the new objects, so a failure leaves no trace that
/// git's housekeeping would not remove. No hooks run and nothing is signed with a key.
///
/// # Errors
/// As [`check`]; also when a file is not in HEAD as the patches expect it, or would overwrite an untracked one.
pub fn apply(series: &Series, name: &str, author: &Identity) -> Result<String> {
    let repo = open(series.base().root())?;
    check_name(&repo, name)?;
    let mut tip = head(&repo)?;
    check_clean(&repo)?;
    check_contents(&repo, &tip, series.base().root(), &series.net())?;

    let signature = Signature::now(&author.name, &author.email)
        .map_err(|e| git_error("use your git identity", &e))?;
    for (patch, message) in series.messages() {
        let top = tip.tree().map_err(|e| git_error("read a commit", &e))?;
        let tree =
            updated(&repo, &top, &patch.changes).map_err(|e| git_error("store files", &e))?;
        let commit = repo
            .find_tree(tree)
            .and_then(|tree| repo.commit(None, &signature, &signature, &message, &tree, &[&tip]))
            .map_err(|e| git_error("commit", &e))?;
        tip = repo
            .find_commit(commit)
            .map_err(|e| git_error("commit", &e))?;
    }
    repo.branch(name, &tip, false)
        .map_err(|e| git_error(&format!("create branch {name}"), &e))?;
    Ok(tip.id().to_string())
}

fn updated(
    repo: &Repository,
    top: &git2::Tree<'_>,
    changes: &[FileChange],
) -> Result<Oid, git2::Error> {
    let mut builder = TreeUpdateBuilder::new();
    for change in changes {
        let Some(content) = &change.after else {
            builder.remove(change.path.as_str());
            continue;
        };
        let executable = top
            .get_path(Path::new(&change.path))
            .is_ok_and(|e| e.filemode() == 0o100_755);
        let mode = if executable {
            FileMode::BlobExecutable
        } else {
            FileMode::Blob
        };
        builder.upsert(change.path.as_str(), repo.blob(content)?, mode);
    }
    builder.create_updated(repo, top)
}

/// Opens the repository whose top is `root`.
fn open(root: &Path) -> Result<Repository> {
    let shown = root.display();
    let repo = Repository::open(root).map_err(|e| match e.code() {
        ErrorCode::NotFound => match Repository::discover(root) {
            Ok(outer) => {
                let top = outer
                    .workdir()
                    .unwrap_or(outer.path())
                    .display()
                    .to_string();
                Error::usage(format!(
                    "{shown} is inside the git repository {top}, but is not its top"
                ))
                .hint("--apply needs a tree of its own; without it, the series is written as files")
            }
            Err(_) => Error::usage(format!(
                "{shown} is not a git checkout, so there is nothing to make a branch in"
            ))
            .hint("leave --apply out, or first: git init && git add -f . && git commit -m base"),
        },
        ErrorCode::Owner => Error::usage(format!(
            "the git repository of {shown} belongs to another user"
        ))
        .hint(format!("git config --global --add safe.directory {shown}")),
        _ => git_error(&format!("open the git repository of {shown}"), &e),
    })?;
    if repo.is_bare() {
        return Err(Error::usage(format!(
            "the git repository of {shown} is bare: it has no files"
        ))
        .hint("make a worktree of it: git worktree add DIR"));
    }
    let same =
        |a: &Path| matches!((a.canonicalize(), root.canonicalize()), (Ok(a), Ok(b)) if a == b);
    if !repo.workdir().is_some_and(same) {
        return Err(Error::usage(format!(
            "the files of the git repository in {shown} are elsewhere"
        ))
        .hint("give the folder that core.worktree names"));
    }
    Ok(repo)
}

fn head(repo: &Repository) -> Result<Commit<'_>> {
    repo.head()
        .and_then(|head| head.peel_to_commit())
        .map_err(|e| match e.code() {
            ErrorCode::UnbornBranch | ErrorCode::NotFound => {
                Error::usage("the git repository has no commit to start from")
                    .hint("git add -f . && git commit -m base")
            }
            _ => git_error("read HEAD", &e),
        })
}

fn check_name(repo: &Repository, name: &str) -> Result<()> {
    // git refuses these two beyond what the library does: they could never be named on a command line.
    let valid = git2::Branch::name_is_valid(name).unwrap_or(false)
        && !name.starts_with('-')
        && name != "HEAD";
    if !valid {
        return Err(Error::usage(format!("{name:?} is not a valid branch name"))
            .hint("see git help check-ref-format; for example: guestpatch/series"));
    }
    let taken = |other: &str, what: &str| {
        Err(Error::usage(format!("branch {name} {what}"))
            .hint(format!("choose another name, or: git branch -D {other}")))
    };
    if repo.find_branch(name, BranchType::Local).is_ok() {
        return taken(name, "exists already");
    }
    // A branch a and a branch a/b exclude each other.
    let branches = repo
        .branches(Some(BranchType::Local))
        .map_err(|e| git_error("list branches", &e))?;
    for (branch, _) in branches.flatten() {
        let Some(other) = branch
            .name_bytes()
            .ok()
            .and_then(|n| std::str::from_utf8(n).ok())
        else {
            continue;
        };
        if name.starts_with(&format!("{other}/")) || other.starts_with(&format!("{name}/")) {
            return taken(other, &format!("cannot exist beside branch {other}"));
        }
    }
    Ok(())
}

fn check_clean(repo: &Repository) -> Result<()> {
    let mut options = StatusOptions::new();
    options
        .include_untracked(false)
        .include_ignored(false)
        .exclude_submodules(true)
        .update_index(false);
    let statuses = repo
        .statuses(Some(&mut options))
        .map_err(|e| git_error("compare the files with HEAD", &e))?;
    let dirty: Vec<String> = statuses
        .iter()
        .map(|entry| String::from_utf8_lossy(entry.path_bytes()).into_owned())
        .collect();
    if dirty.is_empty() {
        return Ok(());
    }
    Err(Error::usage(format!(
        "the tree has uncommitted changes: {}",
        listed(&dirty)
    ))
    .hint("commit or stash them, or leave --apply out"))
}

/// The commits are made from HEAD, the patches from the files: both must say the same.
fn check_contents(
    repo: &Repository,
    tip: &Commit<'_>,
    root: &Path,
    net: &[FileChange],
) -> Result<()> {
    let top = tip.tree().map_err(|e| git_error("read HEAD", &e))?;
    let (mut different, mut in_the_way) = (Vec::new(), Vec::new());
    for change in net {
        let stored = top
            .get_path(Path::new(&change.path))
            .ok()
            .and_then(|entry| repo.find_blob(entry.id()).ok());
        if stored.as_ref().map(git2::Blob::content) != change.before.as_deref() {
            different.push(change.path.clone());
        } else if change.before.is_none()
            && std::fs::symlink_metadata(root.join(&change.path)).is_ok()
        {
            in_the_way.push(change.path.clone());
        }
    }
    if !in_the_way.is_empty() {
        return Err(Error::usage(format!(
            "untracked files are where the series adds its own: {}",
            listed(&in_the_way)
        ))
        .hint("move them away or commit them"));
    }
    if !different.is_empty() {
        return Err(Error::usage(format!(
            "files differ from what HEAD has: {}",
            listed(&different)
        ))
        .hint(
            "they are untracked, or git converts their line ends; leave --apply out and use git am",
        ));
    }
    Ok(())
}

fn listed(paths: &[String]) -> String {
    let mut text = paths
        .iter()
        .take(MAX_NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if paths.len() > MAX_NAMED {
        text.push_str(&format!(" and {} more", paths.len() - MAX_NAMED));
    }
    text
}

fn git_error(action: &str, cause: &git2::Error) -> Error {
    let error = Error::usage(format!("cannot {action}: {}", cause.message()));
    match cause.class() {
        ErrorClass::Os => Error {
            kind: Kind::Io,
            ..error
        },
        _ => error,
    }
}
