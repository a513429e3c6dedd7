//! The tree with the changes made so far on top: what the next patch starts from.

use std::collections::BTreeMap;

use super::Tree;
use crate::Result;

/// A read-only tree plus pending contents. Nothing is ever written to the tree.
#[derive(Debug, Clone)]
pub struct Overlay<'t> {
    tree: &'t Tree,
    pending: BTreeMap<String, Vec<u8>>,
}

impl<'t> Overlay<'t> {
    /// An overlay without changes.
    pub fn new(tree: &'t Tree) -> Self {
        Self {
            tree,
            pending: BTreeMap::new(),
        }
    }

    /// The tree below.
    pub fn tree(&self) -> &'t Tree {
        self.tree
    }

    /// The present content of `path`; `None` when there is no such file.
    ///
    /// # Errors
    /// When the file is there but cannot be read.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        match self.pending.get(path) {
            Some(bytes) => Ok(Some(bytes.clone())),
            None => self.tree.read(path),
        }
    }

    /// Whether there is a file `path`.
    pub fn contains(&self, path: &str) -> bool {
        self.pending.contains_key(path) || self.tree.root().join(path).is_file()
    }

    /// Replaces (or adds) `path`.
    pub fn write(&mut self, path: &str, content: Vec<u8>) {
        self.pending.insert(path.to_owned(), content);
    }

    /// The pending content of `path`, if it has been written.
    pub fn pending(&self, path: &str) -> Option<&[u8]> {
        self.pending.get(path).map(Vec::as_slice)
    }

    /// Paths added on top of the tree, in order; for globs that must also see new files.
    pub fn pending_paths(&self) -> impl Iterator<Item = &str> {
        self.pending.keys().map(String::as_str)
    }
}
