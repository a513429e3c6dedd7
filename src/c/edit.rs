//! Edits: byte ranges of the original text and what replaces them.

use std::ops::Range;

/// Replace `range` of the original bytes by `with`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Byte range in the original text; empty for an insertion.
    pub range: Range<usize>,
    /// The new bytes.
    pub with: Vec<u8>,
}

/// Applies `edits` (any order; insertions at one place keep their given order) to `text`.
///
/// # Panics
/// When two ranges overlap or lie outside `text`: an edit computed wrongly must never reach a patch.
pub fn apply(text: &[u8], mut edits: Vec<Edit>) -> Vec<u8> {
    edits.sort_by_key(|e| (e.range.start, e.range.end));
    let mut out =
        Vec::with_capacity(text.len() + edits.iter().map(|e| e.with.len()).sum::<usize>());
    let mut at = 0;
    for edit in &edits {
        assert!(
            edit.range.start >= at && edit.range.end <= text.len(),
            "overlapping edits"
        );
        out.extend_from_slice(&text[at..edit.range.start]);
        out.extend_from_slice(&edit.with);
        at = edit.range.end;
    }
    out.extend_from_slice(&text[at..]);
    out
}

/// The 1-based line of byte `offset`.
pub fn line_of(text: &[u8], offset: usize) -> usize {
    memchr::memchr_iter(b'\n', &text[..offset]).count() + 1
}
