//! The files of a tree: which there are, and which contain any of some words.
//!
//! Ignore files are not honoured (Debian's source trees carry a `.gitignore` of `/*`), hidden files count, symbolic links are
//! never followed while walking. Results come in the order of their paths, whatever the number of threads.

use std::cell::RefCell;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use aho_corasick::{AhoCorasick, MatchKind};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use rayon::prelude::*;

use super::Overlay;
use crate::{Error, Result};

/// Which files: globs over paths relative to the tree's top.
///
/// `*` and `?` stop at `/`, `**` does not; a pattern that starts with `!` takes files away again, whatever its place in the list.
#[derive(Debug, Clone)]
pub struct Globs {
    shown: Vec<String>,
    /// Paths without wildcards.
    exact: Vec<String>,
    wild: GlobSet,
    except: GlobSet,
    /// Folders below which the wildcard patterns can match; none inside another.
    roots: Vec<String>,
    /// Folders that are excepted as a whole.
    pruned: Vec<String>,
}

impl Globs {
    /// Compiles `patterns`.
    ///
    /// # Errors
    /// When a pattern is no valid glob, is absolute or leaves the tree with `..`.
    pub fn new<S: AsRef<str>>(patterns: &[S]) -> Result<Self> {
        let mut exact = Vec::new();
        let (mut wild, mut except) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        let (mut roots, mut pruned) = (Vec::new(), Vec::new());
        for pattern in patterns {
            let pattern = pattern.as_ref();
            let (set, path) = match pattern.strip_prefix('!') {
                Some(rest) => (&mut except, rest),
                None => (&mut wild, pattern),
            };
            if path.is_empty() || path.starts_with('/') || path.split('/').any(|part| part == "..")
            {
                return Err(Error::usage(format!("bad file pattern `{pattern}`")).hint(
                    "patterns are relative to the top of the tree, such as `drivers/ata/*.c`",
                ));
            }
            let is_wild = path.contains(['*', '?', '[', '{', '\\']);
            if !is_wild && !pattern.starts_with('!') {
                exact.push(path.to_owned());
                continue;
            }
            let glob = GlobBuilder::new(path)
                .literal_separator(true)
                .build()
                .map_err(|e| Error::usage(format!("bad file pattern `{pattern}`: {e}")))?;
            set.add(glob);
            if !pattern.starts_with('!') {
                roots.push(literal_folder(path).to_owned());
            } else if let Some(folder) = path
                .strip_suffix("/**")
                .filter(|f| !f.contains(['*', '?', '[', '{', '\\']))
            {
                pruned.push(folder.to_owned());
            }
        }
        let build = |set: GlobSetBuilder| {
            set.build()
                .map_err(|e| Error::usage(format!("bad file patterns: {e}")))
        };
        exact.sort();
        exact.dedup();
        Ok(Self {
            shown: patterns.iter().map(|p| p.as_ref().to_owned()).collect(),
            exact,
            wild: build(wild)?,
            except: build(except)?,
            roots: outermost(roots),
            pruned,
        })
    }

    /// Whether `path` (relative to the tree's top) is selected.
    pub fn matches(&self, path: &str) -> bool {
        (self
            .exact
            .binary_search_by(|e| e.as_str().cmp(path))
            .is_ok()
            || self.wild.is_match(path))
            && !self.except.is_match(path)
    }

    /// The patterns as given, for messages.
    pub fn patterns(&self) -> &[String] {
        &self.shown
    }
}

/// The folder part of `pattern` before its first wildcard; empty for the tree's top.
fn literal_folder(pattern: &str) -> &str {
    let wild = pattern
        .find(['*', '?', '[', '{', '\\'])
        .unwrap_or(pattern.len());
    pattern[..wild]
        .rfind('/')
        .map_or("", |slash| &pattern[..slash])
}

/// Sorted, without folders that lie inside another of them.
fn outermost(mut folders: Vec<String>) -> Vec<String> {
    folders.sort();
    folders.dedup();
    let all = folders.clone();
    folders.retain(|f| {
        !all.iter().any(|other| {
            other != f
                && (other.is_empty()
                    || f.strip_prefix(other.as_str())
                        .is_some_and(|rest| rest.starts_with('/')))
        })
    });
    folders
}

/// What makes a file worth a closer look.
#[derive(Debug, Clone)]
pub struct Needles {
    /// `None`: every file is.
    automaton: Option<AhoCorasick>,
    /// For each pattern: the length of the word in it.
    words: Vec<usize>,
}

impl Needles {
    /// Every file qualifies.
    pub fn any() -> Self {
        Self {
            automaton: None,
            words: Vec::new(),
        }
    }

    /// Files that contain one of `words` as a whole word. An empty list is [`Needles::any`].
    ///
    /// # Errors
    /// When there are more or longer words than the matcher can take.
    pub fn words<S: AsRef<str>>(words: &[S]) -> Result<Self> {
        Self::build(
            words
                .iter()
                .map(|w| (w.as_ref().to_owned(), w.as_ref().len()))
                .collect(),
        )
    }

    /// Files that contain one of `names` as a whole word with `(` behind it, next to it or after one blank.
    /// Faster than [`Needles::words`] for short names (`inl` is in every `inline`).
    ///
    /// # Errors
    /// As for [`Needles::words`].
    pub fn calls<S: AsRef<str>>(names: &[S]) -> Result<Self> {
        let patterns = names
            .iter()
            .map(AsRef::as_ref)
            .flat_map(|name| ["(", " (", "\t("].map(|tail| (format!("{name}{tail}"), name.len())));
        Self::build(patterns.collect())
    }

    fn build(patterns: Vec<(String, usize)>) -> Result<Self> {
        if patterns.is_empty() {
            return Ok(Self::any());
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostFirst)
            .build(patterns.iter().map(|(text, _)| text))
            .map_err(|e| Error::usage(format!("bad needles: {e}")))?;
        Ok(Self {
            automaton: Some(automaton),
            words: patterns.into_iter().map(|(_, len)| len).collect(),
        })
    }

    /// Whether `text` qualifies.
    pub fn is_in(&self, text: &[u8]) -> bool {
        self.automaton.is_none() || self.find(text, 0).is_some()
    }

    /// The offsets of all words found, in order; none for [`Needles::any`].
    pub fn offsets(&self, text: &[u8]) -> Vec<usize> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(start) = self.find(text, at) {
            found.push(start);
            at = start + 1;
        }
        found
    }

    /// The first word at or after `at`.
    fn find(&self, text: &[u8], mut at: usize) -> Option<usize> {
        let automaton = self.automaton.as_ref()?;
        // Restarting behind a match that is no word, and not behind its end, finds `inb` in `xoutbinb` too.
        while let Some(m) = automaton.find(aho_corasick::Input::new(text).range(at..)) {
            let end = m.start() + self.words[m.pattern().as_usize()];
            let before = m.start().checked_sub(1).map(|i| text[i]);
            if !before.is_some_and(is_word) && !text.get(end).copied().is_some_and(is_word) {
                return Some(m.start());
            }
            at = m.start() + 1;
        }
        None
    }
}

/// Plain ASCII: no Unicode rules, so that other encodings around a word do not matter.
fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

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

/// As [`search`], in the files `paths`, which are sorted; none is no error.
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
            let answer = with_content(overlay, path, |text| {
                bytes.fetch_add(text.len(), Ordering::Relaxed);
                needles.is_in(text).then(|| visit(path, text))
            })?;
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

/// A larger buffer is given back after use: the tree has a few register headers of 15 MB and more.
const KEPT: usize = 4 << 20;

/// Reads `file` to its end; the buffer only grows, so that its bytes are zeroed once and not for every file.
fn fill(mut file: File, buffer: &mut Vec<u8>) -> std::io::Result<usize> {
    let mut length = 0;
    loop {
        if length == buffer.len() {
            buffer.resize((buffer.len() * 2).max(128 << 10), 0);
        }
        match file.read(&mut buffer[length..]) {
            Ok(0) => return Ok(length),
            Ok(n) => length += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
