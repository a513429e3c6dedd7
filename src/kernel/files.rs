//! The files of a tree: which there are, and which contain any of some words.
//!
//! Ignore files are not honoured (Debian's source trees carry a `.gitignore` of `/*`), hidden files count, symbolic links are
//! never followed while walking. Results come in the order of their paths, whatever the number of threads.

use std::cell::RefCell;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::Overlay;
pub use super::globs::Globs;
pub use super::needles::Needles;
use crate::{Error, Result};

/// What a search went through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Files read.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Names that are not UTF-8, passed over: no path of a patch could name them.
    pub unnamed: usize,
}

/// The paths of the tree that `globs` select, sorted; and how many names were not UTF-8.
///
/// Patterns without wildcards are taken as they are if there is such a file; a pattern with a literal beginning walks only below it.
///
/// # Errors
/// When a folder cannot be read.
pub fn list(overlay: &Overlay, globs: &Globs) -> Result<(Vec<String>, usize)> {
    let root = overlay.tree().root();
    let unnamed = AtomicUsize::new(0);
    let mut paths = Vec::new();
    for path in &globs.exact {
        if globs.matches(path) && is_inside(root, path)? {
            paths.push(path.clone());
        }
    }
    let walked: Vec<Vec<String>> = globs
        .roots
        .par_iter()
        .map(|folder| walk(root, folder, globs, &unnamed))
        .collect::<Result<_>>()?;
    paths.extend(walked.into_iter().flatten());
    paths.extend(
        overlay
            .pending_paths()
            .filter(|p| globs.matches(p))
            .map(str::to_owned),
    );
    paths.retain(|p| !overlay.is_removed(p));
    paths.par_sort_unstable();
    paths.dedup();
    Ok((paths, unnamed.into_inner()))
}

/// Whether `path` is a file that really lies in the tree.
fn is_inside(root: &Path, path: &str) -> Result<bool> {
    let full = root.join(path);
    let Ok(real) = full.canonicalize() else {
        return Ok(false);
    };
    let top = root
        .canonicalize()
        .map_err(|e| Error::io(root, "resolve", &e))?;
    Ok(real.is_file() && real.starts_with(top))
}

fn walk(root: &Path, folder: &str, globs: &Globs, unnamed: &AtomicUsize) -> Result<Vec<String>> {
    let full = root.join(folder);
    let entries = match std::fs::read_dir(&full) {
        Ok(entries) => entries,
        // The folder a pattern starts in need not exist in every kernel.
        Err(e)
            if matches!(
                e.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(e) => return Err(Error::io(&full, "read", &e)),
    };
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in entries {
        let entry = entry.map_err(|e| Error::io(&full, "read", &e))?;
        let kind = entry
            .file_type()
            .map_err(|e| Error::io(&entry.path(), "read", &e))?;
        if !kind.is_file() && !kind.is_dir() {
            continue;
        }
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            unnamed.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let path = if folder.is_empty() {
            name.to_owned()
        } else {
            format!("{folder}/{name}")
        };
        if kind.is_dir() {
            if name != ".git" && !globs.pruned.contains(&path) {
                folders.push(path);
            }
        } else if globs.matches(&path) {
            files.push(path);
        }
    }
    let below: Vec<Vec<String>> = folders
        .par_iter()
        .map(|f| walk(root, f, globs, unnamed))
        .collect::<Result<_>>()?;
    files.extend(below.into_iter().flatten());
    Ok(files)
}

/// Reads every file `globs` selects, and hands those with a needle to `visit` (path, content); its answers, with their paths, in the order of the paths.
///
/// Pending changes of `overlay` count as the files' contents. `progress` is told from any thread how many files are done, out of how many.
///
/// # Errors
/// When no file is selected at all, or one cannot be read.
pub fn search<T: Send>(
    overlay: &Overlay,
    globs: &Globs,
    needles: &Needles,
    progress: &(dyn Fn(usize, usize) + Sync),
    visit: &(dyn Fn(&str, &[u8]) -> T + Sync),
) -> Result<(Vec<(String, T)>, Scanned)> {
    let (paths, unnamed) = list(overlay, globs)?;
    if paths.is_empty() {
        return Err(Error::failed(format!(
            "no file of this kernel matches {}",
            globs.patterns().join(", ")
        ))
        .hint("is the tree complete? Wildcards stop at `/`, use `**` for any folder"));
    }
    let (found, scanned) = search_in(overlay, &paths, needles, progress, visit)?;
    Ok((found, Scanned { unnamed, ..scanned }))
}

/// As [`search`], in the files `paths`, which are sorted; none is no error, and removed ones are passed over.
///
/// # Errors
/// When one cannot be read.
pub fn search_in<T: Send>(
    overlay: &Overlay,
    paths: &[String],
    needles: &Needles,
    progress: &(dyn Fn(usize, usize) + Sync),
    visit: &(dyn Fn(&str, &[u8]) -> T + Sync),
) -> Result<(Vec<(String, T)>, Scanned)> {
    let done = AtomicUsize::new(0);
    let bytes = AtomicUsize::new(0);
    let total = paths.len();
    let found: Vec<Option<(String, T)>> = paths
        .par_iter()
        .map(|path| {
            let answer = match overlay.is_removed(path) {
                true => None,
                false => with_content(overlay, path, |text| {
                    bytes.fetch_add(text.len(), Ordering::Relaxed);
                    needles.is_in(text).then(|| visit(path, text))
                })?,
            };
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
            Ok(answer.map(|answer| (path.clone(), answer)))
        })
        .collect::<Result<_>>()?;
    let scanned = Scanned {
        files: total,
        bytes: bytes.into_inner() as u64,
        unnamed: 0,
    };
    Ok((found.into_iter().flatten().collect(), scanned))
}

/// Calls `f` with the content of `path`, read into a buffer that the thread keeps.
fn with_content<R>(overlay: &Overlay, path: &str, f: impl FnOnce(&[u8]) -> R) -> Result<R> {
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    if let Some(text) = overlay.pending(path) {
        return Ok(f(text));
    }
    let full = overlay.tree().root().join(path);
    // Taken out while in use: `visit` may search again on this thread.
    let mut buffer = BUFFER.take();
    let length = File::open(&full)
        .and_then(|file| fill(file, &mut buffer))
        .map_err(|e| Error::io(&full, "read", &e))?;
    let result = f(&buffer[..length]);
    if buffer.len() > KEPT {
        buffer = Vec::new();
    }
    BUFFER.set(buffer);
    Ok(result)
}

/// The first size of a buffer: most files fit.
const FIRST: usize = 256 << 10;

/// A larger buffer is given back after use: the tree has a few register headers of 15 MB and more.
const KEPT: usize = 4 << 20;

/// Reads `file` to its end; the buffer only grows, so that its bytes are zeroed once and not for every file.
fn fill(mut file: File, buffer: &mut Vec<u8>) -> std::io::Result<usize> {
    let mut length = 0;
    loop {
        if length == buffer.len() {
            // Beyond the usual sizes, exactly what the file needs (and a byte to see its end).
            let whole = if length < FIRST {
                0
            } else {
                usize::try_from(file.metadata()?.len()).unwrap_or(0)
            };
            let more = if whole > length {
                whole + 1
            } else {
                length + FIRST
            };
            buffer.resize(more, 0);
        }
        match file.read(&mut buffer[length..]) {
            Ok(0) => return Ok(length),
            Ok(n) => length += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Tree;
    use std::sync::Mutex;

    fn kernel(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in [("Makefile", "VERSION = 5\nPATCHLEVEL = 4\n")]
            .iter()
            .chain(files)
        {
            let full = dir.path().join(path);
            std::fs::create_dir_all(full.parent().unwrap()).unwrap();
            std::fs::write(full, text).unwrap();
        }
        dir
    }

    fn listed(dir: &tempfile::TempDir, patterns: &[&str]) -> Vec<String> {
        let tree = Tree::open(dir.path()).unwrap();
        list(&Overlay::new(&tree), &Globs::new(patterns).unwrap())
            .unwrap()
            .0
    }

    #[test]
    fn ignore_files_and_dots_mean_nothing() {
        let dir = kernel(&[
            (".gitignore", "/*\n"),
            ("drivers/b.c", ""),
            ("drivers/a.c", ""),
            ("drivers/.c/x.c", ""),
            ("drivers/d.h", ""),
            (".git/x.c", ""),
        ]);
        assert_eq!(
            listed(&dir, &["**/*.c"]),
            ["drivers/.c/x.c", "drivers/a.c", "drivers/b.c"]
        );
    }

    #[test]
    fn wildcards_stop_at_folders_and_exceptions_count() {
        let dir = kernel(&[
            ("a/x.c", ""),
            ("a/b/x.c", ""),
            ("a/b/y.c", ""),
            ("c/x.c", ""),
        ]);
        assert_eq!(listed(&dir, &["a/*.c"]), ["a/x.c"]);
        assert_eq!(
            listed(&dir, &["a/**/*.c", "!a/b/y.c"]),
            ["a/b/x.c", "a/x.c"]
        );
        assert_eq!(listed(&dir, &["!a/**", "**/*.c"]), ["c/x.c"]);
        assert_eq!(
            listed(&dir, &["a/x.c", "a/none.c", "nowhere/*.c", "a/x.[ch]"]),
            ["a/x.c"]
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed_and_odd_names_are_counted() {
        use std::os::unix::ffi::OsStrExt;
        let outside = kernel(&[("secret.c", "outb();")]);
        let dir = kernel(&[("a/x.c", "")]);
        std::os::unix::fs::symlink(outside.path(), dir.path().join("a/out")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret.c"), dir.path().join("a/y.c"))
            .unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("a/loop")).unwrap();
        std::fs::write(
            dir.path().join(std::ffi::OsStr::from_bytes(b"a/\xff.c")),
            "",
        )
        .unwrap();
        assert_eq!(
            listed(&dir, &["**/*.c", "a/y.c", "a/out/secret.c"]),
            ["a/x.c"]
        );
        let tree = Tree::open(dir.path()).unwrap();
        assert_eq!(
            list(&Overlay::new(&tree), &Globs::new(&["**/*.c"]).unwrap())
                .unwrap()
                .1,
            1
        );
    }

    #[test]
    fn search_is_ordered_sees_the_overlay_and_reports_progress() {
        let big = format!("{}\nint outb(int);\n", "x".repeat(300 << 10));
        let dir = kernel(&[
            ("b.c", &big),
            ("a.c", "outb(1)"),
            ("c.c", "soutb(1)"),
            ("d.c", ""),
        ]);
        let tree = Tree::open(dir.path()).unwrap();
        let mut overlay = Overlay::new(&tree);
        overlay.write("a.c", b"nothing".to_vec());
        overlay.write("e.c", b"outb".to_vec());
        let seen = Mutex::new(0);
        let (found, scanned) = search(
            &overlay,
            &Globs::new(&["*.c"]).unwrap(),
            &Needles::words(&["outb"]).unwrap(),
            &|done, total| {
                assert!(done <= total);
                *seen.lock().unwrap() += 1;
            },
            &|_, text| text.len(),
        )
        .unwrap();
        assert_eq!(
            found,
            [("b.c".to_owned(), big.len()), ("e.c".to_owned(), 4)]
        );
        assert_eq!((scanned.files, *seen.lock().unwrap()), (5, 5));
    }

    #[test]
    fn removed_files_are_not_there() {
        let dir = kernel(&[("a.c", "outb"), ("b.c", "outb")]);
        let tree = Tree::open(dir.path()).unwrap();
        let mut overlay = Overlay::new(&tree);
        overlay.write("c.c", b"outb".to_vec());
        for path in ["a.c", "c.c"] {
            overlay.remove(path);
            assert!(!overlay.contains(path) && overlay.read(path).unwrap().is_none());
        }
        let globs = Globs::new(&["*.c", "a.c"]).unwrap();
        assert_eq!(list(&overlay, &globs).unwrap().0, ["b.c"]);
        let paths = ["a.c", "b.c", "c.c"].map(str::to_owned);
        let (found, _) =
            search_in(&overlay, &paths, &Needles::any(), &|_, _| (), &|_, _| ()).unwrap();
        assert_eq!(found, [("b.c".to_owned(), ())]);
        overlay.write("a.c", Vec::new());
        assert_eq!(list(&overlay, &globs).unwrap().0, ["a.c", "b.c"]);
    }

    #[test]
    fn no_file_is_an_error() {
        let dir = kernel(&[]);
        let tree = Tree::open(dir.path()).unwrap();
        let globs = Globs::new(&["drivers/*.c"]).unwrap();
        let error = search(
            &Overlay::new(&tree),
            &globs,
            &Needles::any(),
            &|_, _| (),
            &|_, _| (),
        )
        .unwrap_err();
        assert!(error.to_string().contains("drivers/*.c"), "{error}");
    }
}
