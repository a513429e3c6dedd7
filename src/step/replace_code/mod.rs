//! `replace-code`: other code for whole statements, for the head of a function or of a control statement, or for entries of a list.
//!
//! The code is matched token by token, so blanks and comments do not count, and it need not parse in one piece. What comes out must.

mod pattern;
mod tokens;

use std::collections::BTreeSet;
use std::ops::Range;

use ast_grep_core::tree_sitter::LanguageExt;
use serde::Deserialize;
use toml::Spanned;

use super::anchor::{before_comment, with_line_ends_of};
use super::removal::{blocked, cut, line_start, site, whole_lines};
use super::rewrite::{C, as_ascii};
use super::search::Refusal;
use super::{Fault, FileOutcome, Verdict};
use crate::c::edit::{Edit, apply, line_of};
use crate::c::functions::functions;
use crate::c::mask::mask;
use crate::recipe::NameGlobs;
use pattern::{Bindings, Pattern, Shape};
use tokens::Tokens;

/// The keys of the step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    code: Spanned<String>,
    /// Nothing: the code is taken out.
    to: Option<Spanned<String>>,
    #[serde(default)]
    functions: Vec<Spanned<String>>,
    /// The comments inside, right above and behind on the last line go too.
    #[serde(default)]
    with_comment: bool,
}

impl Config {
    pub(super) fn compile(self) -> Result<ReplaceCode, Fault> {
        let pattern = Pattern::parse(self.code.get_ref())
            .map_err(|why| Fault::at(self.code.span(), format!("bad code: {why}")))?;
        let Some(word) = pattern.word().map(<[u8]>::to_vec) else {
            let message = "bad code: it names nothing, so it would match everywhere";
            return Err(Fault::at(self.code.span(), message));
        };
        let (lines, done) = match &self.to {
            None if pattern.shape != Shape::Statements => {
                let message = "only statements can be taken out: give `to`";
                return Err(Fault::at(self.code.span(), message));
            }
            None => (Vec::new(), None),
            Some(to) => {
                let lines = dedent(to.get_ref());
                if lines.is_empty() {
                    return Err(Fault::at(to.span(), "`to` is empty")
                        .hint("without `to`, the code is taken out"));
                }
                if !Tokens::of(to.get_ref().as_bytes()).balanced {
                    return Err(Fault::at(to.span(), "the brackets of `to` do not match"));
                }
                let unknown = metavariables(&lines).find(|n| !pattern.names().any(|k| k == *n));
                if let Some(name) = unknown {
                    let message = format!("`{name}` is not in `code`");
                    return Err(Fault::at(to.span(), message));
                }
                (lines, Pattern::parse(to.get_ref()).ok())
            }
        };
        Ok(ReplaceCode {
            pattern,
            done,
            word,
            lines,
            functions: crate::recipe::load::names(&self.functions)?,
            with_comment: self.with_comment,
        })
    }
}

/// The lines of `text` without the indentation of the first.
fn dedent(text: &str) -> Vec<String> {
    let text = text.trim_end().trim_start_matches('\n');
    let margin = &text[..text.len() - text.trim_start().len()];
    text.lines()
        .map(|line| {
            line.strip_prefix(margin)
                .unwrap_or(line)
                .trim_end()
                .to_owned()
        })
        .collect()
}

/// The names of the metavariables in `lines`.
fn metavariables(lines: &[String]) -> impl Iterator<Item = &str> {
    lines.iter().flat_map(|line| {
        let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '$');
        words
            .filter(|w| w.starts_with('$'))
            .map(|w| w.trim_start_matches('$'))
    })
}

/// The step, ready to run.
#[derive(Debug)]
pub struct ReplaceCode {
    pattern: Pattern,
    /// The replacement as a pattern: finds what an earlier run left.
    done: Option<Pattern>,
    /// Texts without this word are not looked at.
    word: Vec<u8>,
    /// The replacement; none to take out.
    lines: Vec<String>,
    functions: NameGlobs,
    with_comment: bool,
}

impl ReplaceCode {
    /// Replaces every match in one file.
    pub(super) fn edit(&self, path: &str, text: &[u8]) -> FileOutcome {
        let mut outcome = FileOutcome::default();
        let has = |word: &[u8]| memchr::memmem::find(text, word).is_some();
        if !has(&self.word) && !self.done.as_ref().and_then(Pattern::word).is_some_and(has) {
            return outcome;
        }
        let tokens = Tokens::of(text);
        let spans = functions(text);
        let function_at = |at: usize| spans.iter().find(|s| s.range.contains(&at));
        let wanted = |found: &Range<usize>| {
            let at = tokens.range(found.start).start;
            self.functions.is_empty()
                || function_at(at).is_some_and(|f| self.functions.is_match(&f.name))
        };
        let find = |pattern: &Pattern| {
            let mut found = pattern.find(&tokens, self.simple());
            found.retain(|(range, _)| wanted(range));
            found
        };
        let done = self.done.as_ref().map(find).unwrap_or_default();
        let mut found = find(&self.pattern);
        found.retain(|(range, _)| {
            let inside = |d: &Range<usize>| d.start <= range.start && range.end <= d.end;
            !done.iter().any(|(d, _)| inside(d))
        });
        if found.is_empty() {
            outcome.already = done.len();
            return outcome;
        }

        let mut edits = Vec::new();
        let mut places = Vec::new();
        for (range, bindings) in &found {
            let at = tokens.range(range.start).start;
            let name = function_at(at).map_or(String::new(), |f| f.name.clone());
            let change = self.change(text, &tokens, range, bindings);
            let refusal = change.as_ref().err().copied();
            edits.extend(change);
            places.push((line_of(text, at), name, refusal));
        }
        let changed = match (edits.is_empty(), self.lines.is_empty()) {
            (true, _) => None,
            (_, true) => Some(cut(text, edits.into_iter().map(|e| e.range).collect())),
            (_, false) => Some(apply(text, edits)),
        };
        let unsound = changed.as_ref().is_some_and(|new| {
            let before = unparsable(text);
            unparsable(new).iter().any(|name| !before.contains(name))
        });
        for (line, name, refusal) in places {
            let refusal = match unsound {
                true => Some(("parse-error", "the function would not parse any more")),
                false => refusal,
            };
            let verdict = match refusal {
                Some((code, reason)) => blocked(code, reason, line),
                None => Verdict::Rewritten,
            };
            outcome.sites.push(site(path, line, &name, verdict));
        }
        outcome.text = changed.filter(|_| !unsound);
        outcome
    }

    /// Whether one simple statement takes the place of another: then it may be all that an `else` governs.
    fn simple(&self) -> bool {
        self.pattern.is_simple() && self.done.as_ref().is_some_and(Pattern::is_simple)
    }

    /// The edit for one match; without new bytes where it is taken out.
    fn change(
        &self,
        text: &[u8],
        tokens: &Tokens<'_>,
        found: &Range<usize>,
        bindings: &Bindings,
    ) -> Result<Edit, Refusal> {
        let code = tokens.span(found);
        let kept: Vec<Range<usize>> = metavariables(&self.lines)
            .filter_map(|name| bindings.get(name))
            .map(|tokens_kept| tokens.span(tokens_kept))
            .collect();
        let is_kept = |r: &Range<usize>| kept.iter().any(|k| k.start <= r.start && r.end <= k.end);
        let lost = |r: &Range<usize>| code.start <= r.start && r.end <= code.end && !is_kept(r);
        if !self.with_comment && tokens.comments.iter().any(lost) {
            return Err(("comment", "a comment inside it would be lost"));
        }
        if found
            .clone()
            .any(|n| tokens.is_directive(n) && lost(&tokens.range(n)))
        {
            return Err(("preprocessor", "a preprocessor line lies inside it"));
        }
        if tokens.at(found.end) == b"else" {
            return Err(("else", "an `else` follows it"));
        }
        let lines = whole_lines(text, &code);
        if self.lines.is_empty() {
            let range = lines.ok_or(("shared-line", "other code stands on the same line"))?;
            hole(tokens, found)?;
            return Ok(Edit {
                range: self.comment_start(text, range.start, code.start)..range.end,
                with: Vec::new(),
            });
        }
        let begin = line_start(text, code.start);
        let alone = text[begin..code.start].trim_ascii().is_empty();
        let indent = indentation(text, tokens, found);
        let start = match alone {
            true => self.comment_start(text, begin, code.start),
            false => code.start,
        };
        let end = match lines {
            Some(lines) if self.with_comment => text[..lines.end].trim_ascii_end().len(),
            _ => code.end,
        };
        Ok(Edit {
            range: start..end,
            with: self.written(text, tokens, bindings, indent, alone),
        })
    }

    fn comment_start(&self, text: &[u8], lines: usize, code: usize) -> usize {
        match self.with_comment {
            true => before_comment(text, code).min(lines),
            false => lines,
        }
    }

    /// The new text, indented as the old was; a first line that continues one is not.
    fn written(
        &self,
        text: &[u8],
        tokens: &Tokens<'_>,
        bindings: &Bindings,
        indent: &[u8],
        alone: bool,
    ) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, line) in self.lines.iter().enumerate() {
            if number > 0 {
                out.extend(with_line_ends_of(text, "\n"));
            }
            let label = line
                .strip_suffix(':')
                .is_some_and(|l| l.bytes().all(crate::c::lex::is_word));
            let flush = line.is_empty() || line.starts_with('#') || label;
            if (number > 0 || alone) && !flush {
                out.extend_from_slice(indent);
            }
            let mut rest = line.as_str();
            while let Some(at) = rest.find('$') {
                out.extend_from_slice(&rest.as_bytes()[..at]);
                let name = rest[at..].trim_start_matches('$');
                let end = name
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(name.len());
                if let Some(bound) = bindings.get(&name[..end]) {
                    out.extend_from_slice(&text[tokens.span(bound)]);
                }
                rest = &name[end..];
            }
            out.extend_from_slice(rest.as_bytes());
        }
        out
    }
}

/// The blanks before the first line of `found` that is not a label's.
fn indentation<'t>(text: &'t [u8], tokens: &Tokens<'_>, found: &Range<usize>) -> &'t [u8] {
    let mut first = found.start;
    while first + 2 < found.end && tokens.at(first + 1) == b":" && tokens.at(first) != b"case" {
        first += 2;
    }
    let at = tokens.range(first).start;
    let line = &text[line_start(text, at)..at];
    &line[..line.len() - line.trim_ascii_start().len()]
}

/// Whether what is around stays right when `found` is taken out.
fn hole(tokens: &Tokens<'_>, found: &Range<usize>) -> Result<(), Refusal> {
    let closes = tokens.at(found.end) == b"}";
    if closes && tokens.before(found.start) == b"{" {
        return Err(("empty-body", "nothing would be left between the braces"));
    }
    if closes && pattern::is_label(tokens, found.start) {
        return Err(("label", "a label would stand before the closing brace"));
    }
    Ok(())
}

/// The names of the functions that do not parse.
fn unparsable(text: &[u8]) -> BTreeSet<String> {
    let broken = |range: Range<usize>| {
        let masked = mask(&text[range]);
        let grep = C.ast_grep(&*as_ascii(&masked));
        grep.root().dfs().any(|n| n.is_error() || n.is_missing())
    };
    functions(text)
        .into_iter()
        .filter(|f| broken(f.range.clone()))
        .map(|f| f.name)
        .collect()
}

#[cfg(test)]
mod tests;
