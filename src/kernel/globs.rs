//! Which files of a tree are meant.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::{Error, Result};

/// Which files: globs over paths relative to the tree's top.
///
/// `*` and `?` stop at `/`, `**` does not; a pattern that starts with `!` takes files away again, whatever its place in the list.
#[derive(Debug, Clone)]
pub struct Globs {
    shown: Vec<String>,
    /// Paths without wildcards.
    pub(super) exact: Vec<String>,
    wild: GlobSet,
    except: GlobSet,
    /// Folders below which the wildcard patterns can match; none inside another.
    pub(super) roots: Vec<String>,
    /// Folders that are excepted as a whole.
    pub(super) pruned: Vec<String>,
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
                .map_err(|e| Error::usage(format!("bad file pattern `{pattern}`: {}", e.kind())))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_only_below_literal_prefixes() {
        let globs = Globs::new(&[
            "drivers/ide/*.c",
            "drivers/ide/pci/**",
            "lib/iomap.c",
            "sound/{isa,pci}/*.c",
        ])
        .unwrap();
        assert_eq!(globs.roots, ["drivers/ide", "sound"]);
        assert!(Globs::new(&["lib/iomap.c"]).unwrap().roots.is_empty());
    }

    #[test]
    fn bad_patterns_are_errors() {
        for bad in ["/etc/*", "../x.c", "a/../b.c", "", "a/[", "!"] {
            assert!(Globs::new(&[bad]).is_err(), "{bad}");
        }
    }
}
