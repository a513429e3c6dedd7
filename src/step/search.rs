//! A pattern in the functions of a file, for the kinds that work on whole statements; and taking out the statements found.

use std::ops::Range;

use ast_grep_core::tree_sitter::{LanguageExt, StrDoc};
use ast_grep_core::{Node, Pattern};

use super::anchor::before_comment;
use super::removal::{blocked, cut, site, whole_lines};
use super::rewrite::{C, as_ascii, has_word};
use super::{FileOutcome, Verdict};
use crate::c::edit::line_of;
use crate::c::functions::{FunctionSpan, functions};
use crate::c::mask::mask;
use crate::recipe::NameGlobs;

pub(super) type CNode<'t> = Node<'t, StrDoc<C>>;
/// Code and reason of a site that is blocked.
pub(super) type Refusal = (&'static str, &'static str);

/// What is looked for, and where.
pub(super) struct Search {
    pub pattern: Pattern,
    /// A word of the pattern: functions without it are not parsed.
    pub word: String,
    /// All when there is none.
    pub functions: NameGlobs,
}

impl std::fmt::Debug for Search {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Search")
            .field("word", &self.word)
            .finish_non_exhaustive()
    }
}

impl Search {
    /// Shows `visit` each function with a match, its matches, and whether it does not parse.
    pub fn each(&self, text: &[u8], mut visit: impl FnMut(&FunctionSpan, &[CNode<'_>], bool)) {
        for function in functions(text) {
            if !self.functions.is_empty() && !self.functions.is_match(&function.name) {
                continue;
            }
            let original = &text[function.range.clone()];
            if !has_word(original, self.word.as_bytes()) {
                continue;
            }
            let masked = mask(original);
            let grep = C.ast_grep(&*as_ascii(&masked));
            let root = grep.root();
            let found: Vec<_> = root.find_all(&self.pattern).map(Node::from).collect();
            if !found.is_empty() {
                let broken = root.dfs().any(|n| n.is_error() || n.is_missing());
                visit(&function, &found, broken);
            }
        }
    }

    /// Takes out the statement that goes with each match, as `statement` finds it, and with `with_comment` the comment right above.
    pub fn take_out(
        &self,
        path: &str,
        text: &[u8],
        with_comment: bool,
        statement: impl for<'t> Fn(&CNode<'t>) -> Result<CNode<'t>, Refusal>,
    ) -> FileOutcome {
        let mut outcome = FileOutcome::default();
        let mut ranges = Vec::new();
        self.each(text, |function, found, broken| {
            for node in found {
                let place = if broken {
                    Err(("parse-error", "the function does not parse"))
                } else {
                    statement(node)
                        .and_then(|s| lines(text, &within(function, &s.range()), with_comment))
                };
                let line = line_of(text, within(function, &node.range()).start);
                let verdict = match place {
                    Ok(range) => {
                        ranges.push(range);
                        Verdict::Rewritten
                    }
                    Err((code, reason)) => blocked(code, reason, line),
                };
                outcome
                    .sites
                    .push(site(path, line, &function.name, verdict));
            }
        });
        if !ranges.is_empty() {
            outcome.text = Some(cut(text, ranges));
        }
        outcome
    }
}

/// A range of the function's own text, in the file.
pub(super) fn within(function: &FunctionSpan, range: &Range<usize>) -> Range<usize> {
    range.start + function.range.start..range.end + function.range.start
}

fn lines(text: &[u8], range: &Range<usize>, with_comment: bool) -> Result<Range<usize>, Refusal> {
    let lines =
        whole_lines(text, range).ok_or(("shared-line", "other code stands on the same line"))?;
    Ok(match with_comment {
        true => before_comment(text, range.start).min(lines.start)..lines.end,
        false => lines,
    })
}
