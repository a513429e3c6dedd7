//! Writing a series to a folder: everything or nothing.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Says whether `dir` may be written to, so that the answer comes before the work.
///
/// # Errors
/// When it is a file, or a folder with something in it. `force` allows a folder that holds only what
/// guestpatch itself wrote.
pub fn check(dir: &Path, force: bool) -> Result<()> {
    let names = match fs::read_dir(dir) {
        Ok(entries) => entries
            .map(|entry| entry.map(|e| (e.file_name(), e.file_type().is_ok_and(|t| t.is_file()))))
            .collect::<std::io::Result<Vec<_>>>()
            .map_err(|e| Error::io(dir, "list", &e))?,
        Err(e) if e.kind() == ErrorKind::NotFound && fs::symlink_metadata(dir).is_err() => {
            return Ok(());
        }
        Err(e) if e.kind() == ErrorKind::NotADirectory => {
            return Err(
                Error::usage(format!("output {} is not a directory", dir.display()))
                    .hint("name a directory that does not exist yet"),
            );
        }
        Err(e) => return Err(Error::io(dir, "open", &e)),
    };
    if names.is_empty() {
        return Ok(());
    }
    let in_use = |hint: &str| {
        Err(Error::usage(format!(
            "output directory in use: {} is not empty",
            dir.display()
        ))
        .hint(hint))
    };
    let stranger = names
        .iter()
        .find(|(name, is_file)| !is_file || !name.to_str().is_some_and(is_ours));
    let ours = stranger.is_none() && names.iter().any(|(name, _)| name == "report.json");
    match (ours, force) {
        (true, true) => Ok(()),
        (true, false) => in_use(
            "it holds an earlier series: add --force to replace it, or name another directory",
        ),
        (false, false) => in_use("name another directory, or empty this one"),
        (false, true) => {
            let what = stranger.map_or_else(
                || "no report.json".into(),
                |(name, _)| name.to_string_lossy(),
            );
            in_use(&format!(
                "--force replaces only what guestpatch wrote, but there is {what}; name another directory"
            ))
        }
    }
}

/// Names that guestpatch gives to its files.
fn is_ours(name: &str) -> bool {
    let numbered = name.len() > 5
        && name.is_char_boundary(5)
        && name[..4].bytes().all(|b| b.is_ascii_digit())
        && name[4..].starts_with('-')
        && name.ends_with(".patch");
    numbered
        || matches!(
            name,
            "series" | "report.json" | "report.html" | "report.sarif" | "guest.config"
        )
}

/// Writes `files` (name, content) as the folder `dir`, which appears complete or not at all.
///
/// The files are written to a folder beside it that is then renamed, so neither an error nor a kill leaves
/// half a series behind; a killed run can leave a folder `.guestpatch-*`.
///
/// # Errors
/// As [`check`], or when the system refuses to write.
pub fn write(dir: &Path, files: &[(String, Vec<u8>)], force: bool) -> Result<()> {
    write_with(dir, force, |new| {
        for (name, content) in files {
            fs::write(new.join(name), content)
                .map_err(|e| Error::io(&dir.join(name), "write", &e))?;
        }
        Ok(())
    })
}

/// As [`write`], with whatever `fill` puts into the new folder, which has another name until it is whole. `fill` may also use
/// the folder above that one; it is removed afterwards.
///
/// # Errors
/// As [`check`], those of `fill`, or when the system refuses to write.
pub fn write_with(dir: &Path, force: bool, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    check(dir, force)?;
    // A link to a folder stays a link: its goal is replaced.
    let goal: PathBuf = dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf());
    let parent = match goal.parent() {
        Some(p) if p.as_os_str().is_empty() => Path::new("."),
        Some(p) => p,
        None => {
            return Err(Error::usage("the root directory cannot be the output")
                .hint("name a directory below it"));
        }
    };
    fs::create_dir_all(parent).map_err(|e| Error::io(parent, "create", &e))?;
    let room = tempfile::Builder::new()
        .prefix(".guestpatch-")
        .tempdir_in(parent)
        .map_err(|e| Error::io(parent, "write to", &e))?;
    // Inside the private folder, so that the result has the permissions any new folder has.
    let new = room.path().join("new");
    fs::create_dir(&new).map_err(|e| Error::io(&new, "create", &e))?;
    fill(&new)?;
    swap(&new, &goal, &room.path().join("old")).map_err(|e| match e.kind() {
        ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists => Error::usage(format!(
            "output directory in use: {} was filled meanwhile",
            dir.display()
        ))
        .hint("name another directory"),
        _ => Error::io(dir, "create", &e),
    })
}

fn swap(new: &Path, goal: &Path, old: &Path) -> std::io::Result<()> {
    match fs::rename(goal, old) {
        Ok(()) => fs::rename(new, goal).inspect_err(|_| {
            // Best effort: what was there is put back.
            let _ = fs::rename(old, goal);
        }),
        Err(e) if e.kind() == ErrorKind::NotFound => fs::rename(new, goal),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Vec<(String, Vec<u8>)> {
        names
            .iter()
            .map(|n| ((*n).to_owned(), n.as_bytes().to_vec()))
            .collect()
    }

    fn listing(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn writes_to_a_new_a_nested_and_an_empty_folder() {
        let top = tempfile::tempdir().unwrap();
        for name in ["new", "a/b/c", "empty"] {
            let dir = top.path().join(name);
            if name == "empty" {
                fs::create_dir(&dir).unwrap();
            }
            write(&dir, &files(&["series", "report.json"]), false).unwrap();
            assert_eq!(listing(&dir), ["report.json", "series"]);
        }
        assert_eq!(listing(top.path()), ["a", "empty", "new"]);
    }

    #[test]
    fn a_folder_in_use_is_kept() {
        let top = tempfile::tempdir().unwrap();
        let dir = top.path().join("out");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("thesis.txt"), "x").unwrap();
        fs::write(dir.join("report.json"), "x").unwrap();
        for force in [false, true] {
            let error = write(&dir, &files(&["series"]), force).unwrap_err();
            assert!(
                error.message.starts_with("output directory in use"),
                "{error}"
            );
            assert!(error.hint.is_some());
        }
        assert_eq!(listing(&dir), ["report.json", "thesis.txt"]);
        assert!(write(&dir.join("thesis.txt"), &files(&["series"]), true).is_err());
        assert_eq!(listing(top.path()), ["out"]);
    }

    #[test]
    fn force_replaces_an_earlier_series_whole() {
        let top = tempfile::tempdir().unwrap();
        let dir = top.path().join("out");
        write(
            &dir,
            &files(&[
                "0000-cover-letter.patch",
                "0001-x.patch",
                "series",
                "report.json",
            ]),
            false,
        )
        .unwrap();
        assert!(write(&dir, &files(&["series", "report.json"]), false).is_err());
        write(&dir, &files(&["series", "report.json"]), true).unwrap();
        assert_eq!(listing(&dir), ["report.json", "series"]);
        assert_eq!(listing(top.path()), ["out"]);
    }

    #[test]
    fn a_failure_leaves_nothing() {
        let top = tempfile::tempdir().unwrap();
        let dir = top.path().join("out");
        assert!(write(&dir, &files(&["series", "no/such/folder"]), false).is_err());
        assert_eq!(listing(top.path()), Vec::<String>::new());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_folder_is_followed() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir(top.path().join("real")).unwrap();
        let link = top.path().join("link");
        std::os::unix::fs::symlink("real", &link).unwrap();
        write(&link, &files(&["series"]), false).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(listing(&top.path().join("real")), ["series"]);
    }
}
