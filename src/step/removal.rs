//! What the removing steps share: finding things at file level, asking whether they are still used, and taking lines out tidily.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{FileOutcome, Site, Verdict};
use crate::c::edit::{Edit, apply, line_of};
use crate::c::functions::functions;
use crate::c::lex::{self, Directive};

/// A thing that a recipe wants gone, found in one file.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its name.
    pub name: String,
    /// Everything of it, as whole lines: what is found here is not a use.
    pub ranges: Vec<Range<usize>>,
    /// Offset to report it at.
    pub at: usize,
    /// Why it cannot go, found out already: code, reason, offset.
    pub blocked: Option<(&'static str, String, usize)>,
}

/// Takes everything in `found` out of `text`, except what is still used by something that stays.
pub(crate) fn take_out(path: &str, text: &[u8], mut found: Vec<Found>) -> FileOutcome {
    found.retain(|f| !f.ranges.is_empty());
    // What stays may use others, so this goes on until nothing changes.
    loop {
        let going: Vec<Range<usize>> = found
            .iter()
            .filter(|f| f.blocked.is_none())
            .flat_map(|f| f.ranges.iter().cloned())
            .collect();
        let mut settled = true;
        for one in found.iter_mut().filter(|f| f.blocked.is_none()) {
            if let Some(at) = first_use(text, &one.name, &going) {
                one.blocked = Some(("still-used", format!("`{}` is still used", one.name), at));
                settled = false;
            }
        }
        if settled {
            break;
        }
    }
    let ranges: Vec<Range<usize>> = found
        .iter()
        .filter(|f| f.blocked.is_none())
        .flat_map(|f| f.ranges.iter().cloned())
        .collect();
    let sites = found.iter().map(|f| {
        let verdict = match &f.blocked {
            None => Verdict::Rewritten,
            Some((code, reason, at)) => blocked(code, reason, line_of(text, *at)),
        };
        site(path, line_of(text, f.at), &f.name, verdict)
    });
    FileOutcome {
        sites: sites.collect(),
        text: (!ranges.is_empty()).then(|| cut(text, ranges)),
        already: 0,
    }
}

/// A site without I/O.
pub(crate) fn site(path: &str, line: usize, function: &str, verdict: Verdict) -> Site {
    Site {
        file: path.to_owned(),
        line,
        function: function.to_owned(),
        ops: 0,
        exits_saved: 0,
        verdict,
    }
}

/// A verdict that leaves the code alone.
pub(crate) fn blocked(code: &str, reason: &str, line: usize) -> Verdict {
    Verdict::Blocked {
        code: code.to_owned(),
        reason: reason.to_owned(),
        line,
    }
}

/// The words of `text` outside comments and literals.
pub(crate) fn words(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut i = 0;
    std::iter::from_fn(move || {
        while i < text.len() {
            match text[i] {
                b'"' | b'\'' => i = lex::literal_end(text, i),
                b'/' => i = lex::comment_end(text, i).unwrap_or(i + 1),
                b if lex::is_word(b) => {
                    let start = i;
                    i = lex::word_end(text, i);
                    return Some(start..i);
                }
                _ => i += 1,
            }
        }
        None
    })
}

/// The first place outside `except` where `name` is used; `#define name` and `#undef name` are no uses.
fn first_use(text: &[u8], name: &str, except: &[Range<usize>]) -> Option<usize> {
    words(text)
        .filter(|w| &text[w.clone()] == name.as_bytes())
        .map(|w| w.start)
        .find(|at| !except.iter().any(|e| e.contains(at)) && !is_defined_at(text, *at))
}

fn is_defined_at(text: &[u8], at: usize) -> bool {
    let line = text[line_start(text, at)..at].trim_ascii();
    let Some(directive) = line.strip_prefix(b"#") else {
        return false;
    };
    matches!(directive.trim_ascii(), b"define" | b"undef")
}

/// A declaration or macro call at file level that ends with a semicolon: from its first byte to behind the semicolon.
pub(crate) fn declarations(text: &[u8]) -> Vec<Range<usize>> {
    let bodies = functions(text);
    let mut found = Vec::new();
    let mut i = 0;
    let mut start = None;
    let mut depth = 0usize;
    while i < text.len() {
        if start.is_none() {
            i = lex::skip_invisible(text, i);
            if let Some(function) = bodies.iter().find(|f| f.range.contains(&i)) {
                i = function.range.end;
                continue;
            }
            if i >= text.len() {
                break;
            }
            start = Some(i);
        }
        match text[i] {
            b'"' | b'\'' => i = lex::literal_end(text, i),
            b'/' => i = lex::comment_end(text, i).unwrap_or(i + 1),
            b'#' if lex::at_line_start(text, i) => i = lex::directive_end(text, i).max(i + 1),
            b'(' | b'{' | b'[' => {
                depth += 1;
                i += 1;
            }
            b')' | b'}' | b']' => {
                depth = depth.saturating_sub(1);
                i += 1;
            }
            b';' if depth == 0 => {
                i += 1;
                found.extend(start.take().map(|s| s..i));
            }
            _ => i += 1,
        }
    }
    found
}

/// The tokens of `text` at nesting depth 0: words, literals and single bytes; each group in brackets counts as its opening byte.
pub(crate) fn flat_tokens(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut depth = 0usize;
    let mut i = 0;
    while i < text.len() {
        let start = i;
        match text[i] {
            b'"' | b'\'' => i = lex::literal_end(text, i).max(i + 1),
            b'/' if lex::comment_end(text, i).is_some() => {
                i = lex::skip_blank(text, i);
                continue;
            }
            b'(' | b'{' | b'[' => {
                i += 1;
                depth += 1;
                if depth == 1 {
                    found.push(start..i);
                }
                continue;
            }
            b')' | b'}' | b']' => {
                i += 1;
                depth = depth.saturating_sub(1);
                continue;
            }
            b if b.is_ascii_whitespace() => {
                i += 1;
                continue;
            }
            b if lex::is_word(b) => i = lex::word_end(text, i),
            _ => i += 1,
        }
        if depth == 0 {
            found.push(start..i);
        }
    }
    found
}

/// The start of the line that `at` is in.
pub(crate) fn line_start(text: &[u8], at: usize) -> usize {
    memchr::memrchr(b'\n', &text[..at]).map_or(0, |n| n + 1)
}

/// Behind the line break of the line that `at` is in.
pub(crate) fn line_end(text: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |n| at + n + 1)
}

/// The whole lines of `range`, a comment behind it on its last line included; `None` when other code stands on them.
pub(crate) fn whole_lines(text: &[u8], range: &Range<usize>) -> Option<Range<usize>> {
    let start = line_start(text, range.start);
    if !text[start..range.start].iter().all(u8::is_ascii_whitespace) {
        return None;
    }
    let mut end = line_end(text, range.end);
    let mut i = range.end;
    while i < end {
        match text[i] {
            b if b.is_ascii_whitespace() => i += 1,
            b'/' => {
                i = lex::comment_end(text, i)?;
                end = end.max(line_end(text, i.min(text.len())));
            }
            _ => return None,
        }
    }
    Some(start..end)
}

/// `text` without `ranges`, which are whole lines: what was between two empty lines leaves one, and a conditional that is left without content goes too.
pub(crate) fn cut(text: &[u8], ranges: Vec<Range<usize>>) -> Vec<u8> {
    let edits = merge(text, ranges)
        .into_iter()
        .map(|range| Edit {
            range: widen(text, range),
            with: Vec::new(),
        })
        .collect();
    let mut out = apply(text, edits);
    let known: BTreeSet<Vec<u8>> = hollow(text).into_iter().map(|r| text[r].to_vec()).collect();
    while let Some(range) = hollow(&out)
        .into_iter()
        .find(|r| !known.contains(&out[r.clone()]))
    {
        let range = widen(&out, range);
        out.drain(range);
    }
    out
}

/// Overlapping ranges, and ranges with nothing but blanks between them, become one.
fn merge(text: &[u8], mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|r| (r.start, r.end));
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last)
                if range.start <= last.end
                    || text[last.end..range.start]
                        .iter()
                        .all(u8::is_ascii_whitespace) =>
            {
                last.end = last.end.max(range.end);
            }
            _ => merged.push(range),
        }
    }
    merged
}

/// Takes the empty lines along that would stand beside another empty line, or at an end of a block.
fn widen(text: &[u8], range: Range<usize>) -> Range<usize> {
    let Range { mut start, mut end } = range;
    let blank = |from: usize| text[from..line_end(text, from)].trim_ascii().is_empty();
    let before = text[..start].trim_ascii_end();
    let gap = memchr::memchr_iter(b'\n', &text[before.len()..start]).count();
    let opens = before.is_empty() || before.ends_with(b"{") || before.ends_with(b":");
    if gap > 1 || opens {
        while end < text.len() && blank(end) {
            end = line_end(text, end);
        }
    }
    let closes = end >= text.len() || text[end..].trim_ascii_start().starts_with(b"}");
    if gap > 1 && closes {
        start = line_end(text, before.len());
    }
    start..end
}

/// Conditionals with nothing between their lines, as whole lines; the innermost first.
fn hollow(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    // Start of the conditional, and whether it has been empty so far.
    let mut open: Vec<(usize, bool)> = Vec::new();
    let mut last = 0;
    for line in lex::directives(text) {
        let filled = !text[last..line.start].trim_ascii().is_empty();
        if filled && let Some((_, empty)) = open.last_mut() {
            *empty = false;
        }
        last = line.end;
        match lex::directive(&text[line.clone()]) {
            Directive::If { .. } => open.push((line.start, true)),
            Directive::Else => {}
            Directive::Endif => {
                let Some((start, empty)) = open.pop() else {
                    continue;
                };
                if empty {
                    found.push(line_start(text, start)..line_end(text, line.end));
                }
                if let Some((_, outer)) = open.last_mut() {
                    *outer = false;
                }
            }
            Directive::Other => {
                if let Some((_, empty)) = open.last_mut() {
                    *empty = false;
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(text: &str, part: &str) -> String {
        let start = text.find(part).unwrap();
        let range = start..start + part.len();
        String::from_utf8(cut(text.as_bytes(), vec![range])).unwrap()
    }

    #[test]
    fn one_empty_line_stays() {
        assert_eq!(without("a\n\nb\n\nc\n", "b\n"), "a\n\nc\n");
        assert_eq!(without("a\n\nb\n", "b\n"), "a\n");
        assert_eq!(without("f\n{\n\tb\n\n\tc\n}\n", "\tb\n"), "f\n{\n\tc\n}\n");
        assert_eq!(without("f\n{\n\tc\n\n\tb\n}\n", "\tb\n"), "f\n{\n\tc\n}\n");
        assert_eq!(without("x:\n\tb\n\n\tc\n", "\tb\n"), "x:\n\tc\n");
    }

    #[test]
    fn an_emptied_conditional_goes_and_an_empty_one_stays() {
        let text = "a;\n\n#ifdef P\n#endif\n\n#ifndef X\nb;\n#else\n#endif\n\nc;\n";
        assert_eq!(without(text, "b;\n"), "a;\n\n#ifdef P\n#endif\n\nc;\n");
        let kept = "#ifdef X\nb;\n#else\nd;\n#endif\n";
        assert_eq!(without(kept, "b;\n"), "#ifdef X\n#else\nd;\n#endif\n");
    }

    #[test]
    fn declarations_are_what_is_between_functions() {
        let text = b"int a = 1; /* ; */\nstatic int f(void)\n{\n\tint b;\n}\nEXPORT(f);\nstruct s {\n\tint c;\n};\n";
        let found: Vec<&[u8]> = declarations(text).into_iter().map(|r| &text[r]).collect();
        assert_eq!(
            found,
            [
                &b"int a = 1;"[..],
                b"EXPORT(f);",
                b"struct s {\n\tint c;\n};"
            ]
        );
    }

    #[test]
    fn lines_shared_with_other_code_are_not_whole() {
        let text = b"\ta(); /* why\n\t* not */\n\tb(); c();\n";
        assert_eq!(whole_lines(text, &(1..5)), Some(0..23));
        assert_eq!(whole_lines(text, &(24..28)), None);
    }
}
