//! What must hold for patches before they are written out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path};

use super::{Cover, Patch, message};
use crate::{Error, Result};

/// Checks what the caller says in the letter as a patch's message is checked.
pub(super) fn cover(cover: &Cover) -> Result<()> {
    message::check_subject(&cover.title, "the cover letter")?;
    message::check_body(&cover.what, "the cover letter")
}

/// Checks the patches by themselves.
pub(super) fn patches(patches: &[Patch]) -> Result<()> {
    let mut subjects: BTreeMap<&str, &str> = BTreeMap::new();
    let mut left: BTreeMap<&str, &Option<Vec<u8>>> = BTreeMap::new();
    for patch in patches {
        let owner = format!("recipe {}", patch.recipe);
        message::check_subject(&patch.subject, &owner)?;
        message::check_body(&patch.body, &owner)?;
        if let Some(other) = subjects.insert(&patch.subject, &patch.recipe) {
            return Err(Error::failed(format!(
                "recipes {other} and {} give two patches the same subject: {}",
                patch.recipe, patch.subject
            ))
            .hint("make one of the subjects say more"));
        }
        if patch.changes.is_empty() {
            return Err(Error::failed(format!(
                "recipe {} makes a patch without changes: {}",
                patch.recipe, patch.subject
            )));
        }
        for pair in patch.changes.windows(2) {
            if pair[0].path == pair[1].path {
                return Err(wrong(patch, &pair[0].path, "is changed twice"));
            }
        }
        for change in &patch.changes {
            path(patch, &change.path)?;
            if change.before == change.after {
                return Err(wrong(patch, &change.path, "is listed but not changed"));
            }
            let binary = |text: &Option<Vec<u8>>| text.as_ref().is_some_and(|t| t.contains(&0));
            if binary(&change.before) || binary(&change.after) {
                return Err(wrong(
                    patch,
                    &change.path,
                    "is a binary file, which a text patch cannot change",
                ));
            }
            if left
                .insert(&change.path, &change.after)
                .is_some_and(|l| *l != change.before)
            {
                return Err(wrong(
                    patch,
                    &change.path,
                    "does not start from what the patch before left",
                ));
            }
        }
    }
    Ok(())
}

fn path(patch: &Patch, path: &str) -> Result<()> {
    let plain = Path::new(path)
        .components()
        .all(|c| matches!(c, Component::Normal(name) if name != ".git"))
        && !path.is_empty()
        && !path.ends_with('/')
        && !path.contains("//")
        && !path.contains("/./");
    if plain {
        Ok(())
    } else {
        Err(wrong(patch, path, "is not a path inside the tree"))
    }
}

fn wrong(patch: &Patch, path: &str, what: &str) -> Error {
    Error::failed(format!("recipe {}: {path:?} {what}", patch.recipe))
}

/// Checks the touched files in the tree, and returns those with the executable bit.
pub(super) fn files(root: &Path, patches: &[Patch]) -> Result<BTreeSet<String>> {
    let mut executable = BTreeSet::new();
    let real_root = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
    let mut seen = BTreeSet::new();
    for patch in patches {
        for change in &patch.changes {
            if !seen.insert(&change.path) {
                continue;
            }
            let relative = Path::new(&change.path);
            let parent = relative.parent().unwrap_or(Path::new(""));
            let linked_parent = root
                .join(parent)
                .canonicalize()
                .is_ok_and(|real| real != real_root.join(parent));
            let meta = fs::symlink_metadata(root.join(relative)).ok();
            if linked_parent || meta.as_ref().is_some_and(fs::Metadata::is_symlink) {
                return Err(wrong(
                    patch,
                    &change.path,
                    "is reached through a symbolic link; name the real file",
                ));
            }
            if change.before.is_some() && meta.is_some_and(|m| is_executable(&m)) {
                executable.insert(change.path.clone());
            }
        }
    }
    Ok(executable)
}

#[cfg(unix)]
fn is_executable(meta: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    // As git: the owner's bit counts.
    meta.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::FileChange;

    fn patch(subject: &str, changes: &[(&str, Option<&str>, Option<&str>)]) -> Patch {
        Patch {
            subject: subject.to_owned(),
            body: String::new(),
            recipe: "sample".to_owned(),
            recipe_version: 1,
            changes: changes
                .iter()
                .map(|(path, before, after)| FileChange {
                    path: (*path).to_owned(),
                    before: before.map(Into::into),
                    after: after.map(Into::into),
                })
                .collect(),
            sites: Vec::new(),
        }
    }

    fn verdict(list: &[Patch]) -> String {
        patches(list).map_or_else(|e| e.message, |()| "fine".to_owned())
    }

    #[test]
    fn a_sound_series_passes() {
        let list = [
            patch("a: b", &[("x.c", None, Some("1"))]),
            patch(
                "a: c",
                &[("x.c", Some("1"), Some("2")), ("y.c", Some(""), None)],
            ),
        ];
        assert_eq!(verdict(&list), "fine");
        assert_eq!(verdict(&[]), "fine");
    }

    #[test]
    fn the_cover_letter_obeys_the_same_rules() {
        assert!(cover(&Cover::default()).is_ok());
        assert!(cover(&Cover::host()).is_ok());
        let with = |title: &str, what: &str| Cover {
            title: title.to_owned(),
            what: what.to_owned(),
            ..Cover::default()
        };
        assert!(cover(&with(&"x".repeat(71), "")).is_err());
        assert!(cover(&with("x", "Acked-by: somebody")).is_err());
    }

    #[test]
    fn unsound_ones_are_refused() {
        let one =
            |p: &str, a: Option<&str>, b: Option<&str>| verdict(&[patch("a: b", &[(p, a, b)])]);
        for bad in [
            "/etc/x",
            "../x",
            "a/../x",
            "a//x",
            "",
            "x/",
            ".git/config",
            "a/./x",
        ] {
            assert!(
                one(bad, None, Some("1")).contains("not a path inside"),
                "{bad}"
            );
        }
        assert!(one("x", Some("1"), Some("1")).contains("not changed"));
        assert!(one("x", Some("1"), Some("\0")).contains("binary"));
        assert!(verdict(&[patch("a: b", &[])]).contains("without changes"));
        assert!(
            verdict(&[patch(
                "a: b",
                &[("x", None, Some("1")), ("x", None, Some("2"))]
            )])
            .contains("twice")
        );
        let same = patch("a: b", &[("x", None, Some("1"))]);
        assert!(verdict(&[same.clone(), same.clone()]).contains("same subject"));
        let stale = patch("a: c", &[("x", Some("0"), Some("2"))]);
        assert!(verdict(&[same, stale]).contains("patch before left"));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_refused_and_modes_read() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("real")).unwrap();
        let script = dir.path().join("real/run");
        fs::write(&script, "1").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        symlink("real", dir.path().join("asm")).unwrap();
        symlink("run", dir.path().join("real/link")).unwrap();
        let look = |path: &str| {
            files(
                dir.path(),
                &[patch("a: b", &[(path, Some("1"), Some("2"))])],
            )
        };
        assert_eq!(
            look("real/run").unwrap(),
            BTreeSet::from(["real/run".to_owned()])
        );
        assert!(look("asm/run").is_err());
        assert!(look("real/link").is_err());
        assert!(look("new/dir/x.c").unwrap().is_empty());
    }
}
