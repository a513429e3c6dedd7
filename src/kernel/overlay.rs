//! The tree with the changes made so far on top: what the next patch starts from.

use std::collections::BTreeMap;

use super::Tree;
use crate::Result;

/// A read-only tree plus pending contents. Nothing is ever written to the tree.
#[derive(Debug, Clone)]
pub struct Overlay<'t> {
    tree: &'t Tree,
    /// `None` for a file that has been removed.
    pending: BTreeMap<String, Option<Vec<u8>>>,
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
            Some(content) => Ok(content.clone()),
            None => self.tree.read(path),
        }
    }

    /// Whether there is a file `path`.
    pub fn contains(&self, path: &str) -> bool {
        match self.pending.get(path) {
            Some(content) => content.is_some(),
            None => self.tree.root().join(path).is_file(),
        }
    }

    /// Replaces (or adds) `path`.
    pub fn write(&mut self, path: &str, content: Vec<u8>) {
        self.pending.insert(path.to_owned(), Some(content));
    }

    /// Takes `path` away.
    pub fn remove(&mut self, path: &str) {
        self.pending.insert(path.to_owned(), None);
    }

    /// The pending content of `path`, if it has been written.
    pub fn pending(&self, path: &str) -> Option<&[u8]> {
        self.pending.get(path)?.as_deref()
    }

    /// Whether `path` has been taken away.
    pub fn is_removed(&self, path: &str) -> bool {
        self.pending.get(path).is_some_and(Option::is_none)
    }

    /// Paths written on top of the tree, in order; for globs that must also see new files.
    pub fn pending_paths(&self) -> impl Iterator<Item = &str> {
        let written = self.pending.iter().filter(|(_, content)| content.is_some());
        written.map(|(path, _)| path.as_str())
    }

    /// Paths taken away, in order.
    pub fn removed_paths(&self) -> impl Iterator<Item = &str> {
        let removed = self.pending.iter().filter(|(_, content)| content.is_none());
        removed.map(|(path, _)| path.as_str())
    }
}
