//! Syntax of one function.

use super::functions::FunctionSpan;

/// One parsed function: node offsets are relative to `base`.
#[derive(Debug)]
pub struct Syntax {
    /// Offset in the file at which the parsed text starts.
    pub base: usize,
    /// The masked text that was parsed.
    pub masked: Vec<u8>,
    /// The syntax tree.
    pub tree: tree_sitter::Tree,
}

impl Syntax {
    /// Whether the function has ERROR or MISSING nodes: then it is not edited.
    pub fn has_error(&self) -> bool {
        self.tree.root_node().has_error()
    }

    /// The offending place, as an offset in the file, when `has_error`.
    pub fn first_error(&self) -> Option<usize> {
        todo!()
    }
}

/// Masks and parses `span` of `text`.
pub fn parse(_text: &[u8], _span: &FunctionSpan) -> Syntax {
    todo!()
}
