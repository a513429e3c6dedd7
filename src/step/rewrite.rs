//! `rewrite`: a structural pattern with metavariables, and what stands in its place.
//!
//! The pattern is matched on the masked text; what a metavariable stands for is taken from the original bytes.

use std::borrow::Cow;
use std::ops::Range;

use ast_grep_core::matcher::PatternBuilder;
use ast_grep_core::tree_sitter::{LanguageExt, StrDoc, TSLanguage};
use ast_grep_core::{Language, NodeMatch, Pattern, PatternError};
use serde::Deserialize;
use toml::Spanned;

use super::{Fault, FileOutcome, Site, Verdict};
use crate::c::edit::{Edit, apply, line_of};
use crate::c::{functions::functions, lex, mask::mask};
use crate::recipe::NameGlobs;

/// C, as ast-grep wants it.
#[derive(Debug, Clone, Copy)]
pub(super) struct C;

impl Language for C {
    fn kind_to_id(&self, kind: &str) -> u16 {
        self.get_ts_language().id_for_node_kind(kind, true)
    }

    fn field_to_id(&self, field: &str) -> Option<u16> {
        self.get_ts_language()
            .field_id_for_name(field)
            .map(Into::into)
    }

    fn build_pattern(&self, builder: &PatternBuilder<'_>) -> Result<Pattern, PatternError> {
        builder.build(|text| StrDoc::try_new(text, *self))
    }
}

impl LanguageExt for C {
    fn get_ts_language(&self) -> TSLanguage {
        tree_sitter_c::LANGUAGE.into()
    }
}

/// The keys of the step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    pattern: Spanned<String>,
    to: Spanned<String>,
    #[serde(default)]
    functions: Vec<Spanned<String>>,
    /// Comments do not stand in the way of a match, and those in it go with the old code.
    #[serde(default)]
    drop_comments: bool,
    include: Option<String>,
    /// Exits that one place saves each time it runs, for the report.
    #[serde(default)]
    saves: usize,
}

impl Config {
    pub(super) fn compile(self) -> Result<Rewrite, Fault> {
        let bad = |message: String| {
            Fault::at(self.pattern.span(), format!("bad pattern: {message}"))
                .hint("a pattern is one C expression, or one statement with its `;`, with metavariables like `$A`")
        };
        let fixed = Replacement::parse(self.pattern.get_ref()).fixed();
        let word = longest_word(&fixed)
            .ok_or_else(|| bad("it names nothing, so it would match everywhere".into()))?;
        let pattern = compile(self.pattern.get_ref()).map_err(bad)?;
        let to = Replacement::parse(self.to.get_ref());
        for name in to.names() {
            if !pattern.defined_vars().contains(name) {
                return Err(Fault::at(
                    self.to.span(),
                    format!("`${name}` is not in the pattern"),
                ));
            }
        }
        let sample = to.filled_with_dummies();
        if find(&pattern, &format!("void f(void) {{ {sample}; }}"))
            .next()
            .is_some()
        {
            return Err(Fault::at(
                self.to.span(),
                "the replacement matches the pattern again: a second run would change it again",
            ));
        }
        Ok(Rewrite {
            trace: longest_word(&to.fixed()).filter(|w| !fixed.contains(w.as_str())),
            done: compile(self.to.get_ref()).ok(),
            functions: crate::recipe::load::names(&self.functions)?,
            pattern,
            word,
            to,
            drop_comments: self.drop_comments,
            include: self.include,
            saves: self.saves,
        })
    }
}

/// Compiles a pattern inside a function body: alone, `f($A)` would parse as a type. A pattern in braces is a whole body, or any other block.
pub(super) fn compile(text: &str) -> Result<Pattern, String> {
    let text = text.trim();
    if text.starts_with('{') {
        let context = format!("void f(void) {text}");
        let grep = C.ast_grep(&context);
        let root = grep.root();
        let body = root.dfs().find(|n| n.kind() == "compound_statement");
        let broken = root.dfs().any(|n| n.is_error() || n.is_missing());
        if broken || body.is_none_or(|b| b.range().end != context.len()) {
            return Err(format!("`{text}` does not parse as C"));
        }
        return Pattern::contextual(&context, "compound_statement", C).map_err(|e| e.to_string());
    }
    let statement = text.ends_with([';', '}']);
    let context = if statement {
        format!("void f(void) {{ {text} }}")
    } else {
        format!("void f(void) {{ ({text}); }}")
    };
    let grep = C.ast_grep(&context);
    let root = grep.root();
    if root.dfs().any(|n| n.is_error() || n.is_missing()) {
        return Err(format!("`{text}` does not parse as C"));
    }
    let body = root
        .dfs()
        .find(|n| n.kind() == "compound_statement")
        .ok_or("it has no body")?;
    let statements: Vec<_> = body.named_children().collect();
    let [first] = &statements[..] else {
        return Err(format!("`{text}` is {} statements", statements.len()));
    };
    let node = if statement {
        first.clone()
    } else {
        first
            .dfs()
            .find(|n| n.kind() == "parenthesized_expression")
            .and_then(|n| n.named_children().next())
            .ok_or_else(|| format!("`{text}` is not an expression"))?
    };
    let (kind, span) = (node.kind().into_owned(), node.range());
    // `contextual` takes the first node of that kind, which must be the one meant.
    match root.dfs().find(|n| n.kind() == kind.as_str()) {
        Some(first) if first.range() == span => {}
        _ => return Err(format!("`{text}` cannot be told from its surroundings")),
    }
    Pattern::contextual(&context, &kind, C).map_err(|e| e.to_string())
}

/// The text of a pattern without its metavariables.
pub(super) fn fixed_text(pattern: &str) -> String {
    Replacement::parse(pattern).fixed()
}

/// The longest identifier in a pattern's fixed text, for a look before parsing.
pub(super) fn longest_word(text: &str) -> Option<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|w| w.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
        .max_by_key(|w| w.len())
        .map(str::to_owned)
}

/// Ranges of the outermost matches in `text`.
fn find(pattern: &Pattern, text: &str) -> std::vec::IntoIter<Range<usize>> {
    let grep = C.ast_grep(text);
    let mut found: Vec<Range<usize>> = grep.root().find_all(pattern).map(|m| m.range()).collect();
    found.sort_by_key(|r| (r.start, std::cmp::Reverse(r.end)));
    let mut end = 0;
    found.retain(|r| {
        let outermost = r.start >= end;
        end = end.max(r.end);
        outermost
    });
    found.into_iter()
}

/// The replacement text, cut at its metavariables.
#[derive(Debug)]
struct Replacement(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Text(String),
    One(String),
    Many(String),
}

impl Replacement {
    fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text.trim();
        while let Some(at) = rest.find('$') {
            let dollars = rest[at..].len() - rest[at..].trim_start_matches('$').len();
            let name: String = rest[at + dollars..]
                .chars()
                .take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_')
                .collect();
            let end = at + dollars + name.len();
            if name.is_empty() || !matches!(dollars, 1 | 3) {
                pieces.push(Piece::Text(rest[..end].to_owned()));
            } else {
                pieces.push(Piece::Text(rest[..at].to_owned()));
                pieces.push(if dollars == 1 {
                    Piece::One(name)
                } else {
                    Piece::Many(name)
                });
            }
            rest = &rest[end..];
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Self(pieces)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|p| match p {
            Piece::Text(_) => None,
            Piece::One(name) | Piece::Many(name) => Some(name.as_str()),
        })
    }

    /// The text without its metavariables.
    fn fixed(&self) -> String {
        let texts = self.0.iter().map(|p| match p {
            Piece::Text(text) => text.as_str(),
            Piece::One(_) | Piece::Many(_) => " ",
        });
        texts.collect()
    }

    fn filled_with_dummies(&self) -> String {
        let piece = |p: &Piece| match p {
            Piece::Text(text) => text.clone(),
            Piece::One(name) | Piece::Many(name) => format!("dummy_{name}"),
        };
        self.0.iter().map(piece).collect()
    }
}

/// The step, ready to run.
pub struct Rewrite {
    pattern: Pattern,
    /// The replacement as a pattern: finds what an earlier run left.
    done: Option<Pattern>,
    /// A word of the pattern: functions without it are not parsed.
    word: String,
    to: Replacement,
    trace: Option<String>,
    functions: NameGlobs,
    drop_comments: bool,
    include: Option<String>,
    saves: usize,
}

impl std::fmt::Debug for Rewrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rewrite")
            .field("word", &self.word)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

impl Rewrite {
    /// The header that changed files need.
    pub(super) fn include(&self) -> Option<&str> {
        self.include.as_deref()
    }

    /// A word of the replacement that the pattern does not have.
    pub(super) fn trace(&self) -> Option<&str> {
        self.trace.as_deref()
    }

    /// Rewrites every match in the functions of one file.
    pub(super) fn edit(&self, path: &str, text: &[u8]) -> FileOutcome {
        let mut outcome = FileOutcome::default();
        let mut edits = Vec::new();
        for function in functions(text) {
            if !self.functions.is_empty() && !self.functions.is_match(&function.name) {
                continue;
            }
            let original = &text[function.range.clone()];
            let has_word = has_word(original, self.word.as_bytes());
            if !has_word && self.done.is_none() {
                continue;
            }
            let mut masked = mask(original);
            if self.drop_comments {
                blank_comments(&mut masked);
            }
            let masked = as_ascii(&masked);
            if let Some(done) = &self.done {
                outcome.already += find(done, &masked).len();
            }
            if !has_word {
                continue;
            }
            let grep = C.ast_grep(&*masked);
            let broken = grep.root().dfs().any(|n| n.is_error() || n.is_missing());
            let mut end = 0;
            for found in grep.root().find_all(&self.pattern) {
                let range = found.range();
                let at = function.range.start + range.start;
                let verdict = if broken {
                    blocked(
                        "parse-error",
                        "the function does not parse",
                        line_of(text, at),
                    )
                } else if range.start < end {
                    blocked("nested", "it lies inside another match", line_of(text, at))
                } else {
                    match self.replace(&found, original) {
                        Ok(with) => {
                            end = range.end;
                            edits.push(Edit {
                                range: at..at + range.len(),
                                with,
                            });
                            Verdict::Rewritten
                        }
                        Err((code, reason)) => blocked(code, reason, line_of(text, at)),
                    }
                };
                let exits_saved = if verdict == Verdict::Rewritten {
                    self.saves
                } else {
                    0
                };
                outcome.sites.push(Site {
                    file: path.to_owned(),
                    line: line_of(text, at),
                    function: function.name.clone(),
                    ops: usize::from(self.saves > 0),
                    exits_saved,
                    verdict,
                });
            }
        }
        if !edits.is_empty() {
            outcome.text = Some(apply(text, edits));
        }
        outcome
    }

    /// The new bytes for one match, or the code and reason why it is left alone.
    fn replace(
        &self,
        found: &NodeMatch<'_, StrDoc<C>>,
        original: &[u8],
    ) -> Result<Vec<u8>, (&'static str, &'static str)> {
        let mut kept: Vec<Range<usize>> = Vec::new();
        let mut out = Vec::new();
        for piece in &self.to.0 {
            let range = match piece {
                Piece::Text(text) => {
                    out.extend_from_slice(text.as_bytes());
                    continue;
                }
                Piece::One(name) => found.get_env().get_match(name).map(|n| n.range()),
                Piece::Many(name) => {
                    let nodes = found.get_env().get_multiple_matches(name);
                    nodes
                        .first()
                        .zip(nodes.last())
                        .map(|(first, last)| first.range().start..last.range().end)
                }
            };
            // `$$$ARGS` may have matched nothing.
            let Some(range) = range else { continue };
            out.extend_from_slice(&original[range.clone()]);
            kept.push(range);
        }
        for node in found.dfs() {
            let range = node.range();
            let survives = kept
                .iter()
                .any(|k| k.start <= range.start && range.end <= k.end);
            if survives {
                continue;
            }
            if node.kind() == "comment" {
                return Err(("comment", "a comment inside it would be lost"));
            }
            if node.kind().starts_with("preproc_") {
                return Err(("preprocessor", "a preprocessor line lies inside it"));
            }
        }
        Ok(out)
    }
}

/// Blanks every comment, line breaks excepted.
fn blank_comments(text: &mut [u8]) {
    let mut i = 0;
    while i < text.len() {
        match text[i] {
            b'"' | b'\'' => i = lex::literal_end(text, i).max(i + 1),
            b'/' => match lex::comment_end(text, i) {
                Some(end) => {
                    lex::blank(&mut text[i..end]);
                    i = end;
                }
                None => i += 1,
            },
            _ => i += 1,
        }
    }
}

fn blocked(code: &str, reason: &str, line: usize) -> Verdict {
    Verdict::Blocked {
        code: code.to_owned(),
        reason: reason.to_owned(),
        line,
    }
}

pub(super) fn has_word(text: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(text, word).is_some()
}

/// ast-grep wants `str`: bytes beyond ASCII occur in comments and strings only, and offsets must stay.
pub(super) fn as_ascii(text: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(text) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => Cow::Owned(
            text.iter()
                .map(|b| if b.is_ascii() { char::from(*b) } else { '?' })
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(pattern: &str, to: &str) -> Result<Rewrite, Fault> {
        let text = format!("pattern = '''{pattern}'''\nto = '''{to}'''\n");
        toml::from_str::<Config>(&text).unwrap().compile()
    }

    fn rewritten(step: &Rewrite, text: &str) -> String {
        let outcome = step.edit("a.c", text.as_bytes());
        String::from_utf8(outcome.text.unwrap_or_else(|| text.into())).unwrap()
    }

    #[test]
    fn a_call_is_rewritten_with_the_original_bytes() {
        let step = step("old($A, $B, $C)", "new($A, $B, $C)").unwrap();
        let text = "int f(void __iomem *p)\n{\n\told((u16 __force *)p,\n\t    \"\u{e4}\", n /* n */);\n\treturn old(1, 2, 3);\n}\n";
        assert_eq!(
            rewritten(&step, text),
            "int f(void __iomem *p)\n{\n\tnew((u16 __force *)p, \"\u{e4}\", n);\n\treturn new(1, 2, 3);\n}\n"
                .replace("\tnew((u16 __force *)p, \"\u{e4}\", n);", "\told((u16 __force *)p,\n\t    \"\u{e4}\", n /* n */);")
        );
        let outcome = step.edit("a.c", text.as_bytes());
        assert_eq!(outcome.sites.len(), 2);
        assert!(
            matches!(&outcome.sites[0].verdict, Verdict::Blocked { code, .. } if code == "comment")
        );
    }

    #[test]
    fn a_second_run_finds_its_own_work() {
        let step = step("old($$$ARGS)", "new($$$ARGS)").unwrap();
        let once = rewritten(&step, "void f(void)\n{\n\told(1,  2);\n\told();\n}\n");
        assert_eq!(once, "void f(void)\n{\n\tnew(1,  2);\n\tnew();\n}\n");
        let outcome = step.edit("a.c", once.as_bytes());
        assert!(outcome.text.is_none());
        assert_eq!(outcome.already, 2);
    }

    #[test]
    fn statements_match_too() {
        let step = step("if (!$P) old($P);", "old_unless($P);").unwrap();
        assert_eq!(
            rewritten(&step, "void f(int *p)\n{\n\tif (!p)\n\t\told(p);\n}\n"),
            "void f(int *p)\n{\n\told_unless(p);\n}\n"
        );
    }

    #[test]
    fn bad_patterns_are_told() {
        assert!(
            step("old($A", "x($A)")
                .unwrap_err()
                .message
                .contains("does not parse")
        );
        assert!(
            step("a(); b();", "c();")
                .unwrap_err()
                .message
                .contains("2 statements")
        );
        assert!(
            step("$A", "c($A)")
                .unwrap_err()
                .message
                .contains("names nothing")
        );
        assert!(
            step("old($A)", "new($B)")
                .unwrap_err()
                .message
                .contains("`$B` is not in the pattern")
        );
        assert!(
            step("old($A)", "guard(old($A))")
                .unwrap_err()
                .message
                .contains("again")
        );
    }
}
