//! Conditionals inside a function that the grammar cannot take as they stand: `#if` between `if (…)` and its statement, a brace opened in two branches, part of an expression.
//!
//! The preprocessor lines are blanked; where the branches are alternatives for less than whole statements, all but one are blanked too. The tree
//! so obtained is that of one configuration, or of none; what it says is true in the others only away from the places [`barriers`] names.

use std::ops::Range;

use tree_sitter::{Node, Tree};

use super::lex::{self, Directive, blank};

/// Which branch stays when only one can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    First,
    Last,
}

/// A text without preprocessor lines.
pub(crate) struct Flat {
    /// The text, of the same length as before.
    pub text: Vec<u8>,
    /// The branches blanked, in order.
    pub hidden: Vec<Range<usize>>,
    groups: Vec<Group>,
}

/// One conditional, or a line of another sort by itself: indices of its lines.
#[derive(Debug)]
struct Group {
    lines: Vec<Range<usize>>,
    /// A blanked branch ends in the middle of a statement.
    cut: bool,
}

/// Blanks `lines` of `text`, and branches as `keep` says.
pub(crate) fn flatten(text: &[u8], lines: &[Range<usize>], keep: Keep) -> Flat {
    let mut groups = group(text, lines);
    let mut bare = text.to_vec();
    for line in lines {
        blank(&mut bare[line.clone()]);
    }
    let mut hidden: Vec<Range<usize>> = Vec::new();
    for group in &mut groups {
        if group.lines.len() < 2 || hidden.iter().any(|h| h.contains(&group.lines[0].start)) {
            continue;
        }
        let branches: Vec<Range<usize>> = group
            .lines
            .windows(2)
            .map(|pair| pair[0].end..pair[1].start)
            .collect();
        let whole = boundary(&bare, group.lines[0].start)
            && branches.iter().all(|b| is_whole(&bare[b.clone()]));
        if branches.len() < 2 || whole {
            continue;
        }
        let filled =
            |b: &&Range<usize>| !bare[lex::skip_blank(&bare, b.start).min(b.end)..b.end].is_empty();
        let kept = match keep {
            Keep::First => branches.iter().find(filled),
            Keep::Last => branches.iter().rev().find(filled),
        };
        let kept = kept.cloned();
        for branch in branches {
            if Some(&branch) != kept.as_ref() {
                group.cut |= !ends_statement(&bare[branch.clone()]);
                hidden.push(branch);
            }
        }
    }
    hidden.sort_by_key(|h| h.start);
    let mut text = bare;
    for range in &hidden {
        blank(&mut text[range.clone()]);
    }
    Flat {
        text,
        hidden,
        groups,
    }
}

/// Sorts the lines into conditionals; lines that miss their partner stand alone.
fn group(text: &[u8], lines: &[Range<usize>]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    for line in lines {
        let kind = lex::directive(&text[line.clone()]);
        match (kind, open.last()) {
            (Directive::Else, Some(at)) => groups[*at].lines.push(line.clone()),
            (Directive::Endif, Some(at)) => {
                groups[*at].lines.push(line.clone());
                open.pop();
            }
            _ => {
                if matches!(kind, Directive::If { .. }) {
                    open.push(groups.len());
                }
                groups.push(Group {
                    lines: vec![line.clone()],
                    cut: false,
                });
            }
        }
    }
    groups
}

/// The tokens of `text` as far as this module looks at them: each with its first byte (words and literals as a whole).
fn tokens(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut i = 0;
    std::iter::from_fn(move || {
        i = lex::skip_blank(text, i);
        let start = i;
        i = match text.get(i)? {
            b'"' | b'\'' => lex::literal_end(text, i),
            b if lex::is_word(*b) => lex::word_end(text, i),
            _ => i + 1,
        };
        Some(&text[start..i])
    })
}

/// Whether a statement may start at `at`.
fn boundary(text: &[u8], at: usize) -> bool {
    ends_statement(&text[..at])
}

fn ends_statement(text: &[u8]) -> bool {
    matches!(tokens(text).last(), None | Some(b";" | b"{" | b"}" | b":"))
}

/// Whether `text` is whole statements: no open brace, none closed, no `else` of an `if` elsewhere.
fn is_whole(text: &[u8]) -> bool {
    let mut depth = 0isize;
    for (n, token) in tokens(text).enumerate() {
        match token {
            b"else" if n == 0 => return false,
            b"{" | b"(" => depth += 1,
            b"}" | b")" => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return false;
        }
    }
    depth == 0 && ends_statement(text)
}

/// The places of the tree that are not to be trusted: every preprocessor line and, where it stands inside a statement, that statement
/// and the one behind the conditional.
pub(crate) fn barriers(flat: &Flat, masked: &[u8], tree: &Tree) -> Vec<Range<usize>> {
    let root = tree.root_node();
    let mut found: Vec<Range<usize>> = Vec::new();
    for group in &flat.groups {
        found.extend(group.lines.iter().cloned());
        let (first, last) = (&group.lines[0], &group.lines[group.lines.len() - 1]);
        let inside: Vec<Range<usize>> = group
            .lines
            .iter()
            .filter_map(|line| statement_across(root, line.start))
            .collect();
        if inside.is_empty() && !group.cut {
            continue;
        }
        let start = inside
            .iter()
            .map(|r| r.start)
            .min()
            .unwrap_or(first.start)
            .min(first.start);
        let mut end = inside
            .iter()
            .map(|r| r.end)
            .max()
            .unwrap_or(last.end)
            .max(last.end);
        if group.cut || end <= last.end {
            // In another configuration what follows may hang on an `if` or `else` in here. Braces keep what is in them whole.
            let next = lex::skip_blank(masked, last.end);
            end = end.max(match masked.get(next) {
                Some(b'{') => next + 1,
                _ => item_at(root, next).map_or(masked.len(), |r| r.end),
            });
        }
        found.push(start..end);
    }
    merge(found)
}

/// The block item that has `at` inside, unless `at` lies between block items.
fn statement_across(root: Node, at: usize) -> Option<Range<usize>> {
    let node = root.descendant_for_byte_range(at, at)?;
    let between = match node.kind() {
        "compound_statement" | "translation_unit" => true,
        "case_statement" | "labeled_statement" => {
            let mut cursor = node.walk();
            node.children(&mut cursor)
                .any(|c| c.kind() == ":" && c.end_byte() <= at)
        }
        _ => false,
    };
    if between { None } else { item(node) }
}

/// The block item that starts at or around `at`.
fn item_at(root: Node, at: usize) -> Option<Range<usize>> {
    item(root.descendant_for_byte_range(at, at + 1)?)
}

fn item(mut node: Node) -> Option<Range<usize>> {
    while let Some(parent) = node.parent() {
        if matches!(
            parent.kind(),
            "compound_statement" | "case_statement" | "translation_unit"
        ) {
            break;
        }
        node = parent;
    }
    Some(node.byte_range())
}

fn merge(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|r| (r.start, r.end));
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}
