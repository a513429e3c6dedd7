//! The few lexical facts all byte scanners of this part share: comments, literals, preprocessor lines.
//!
//! Every function takes an offset into `t` and returns one in `i..=t.len()`; none fails on any input.

use std::ops::Range;

/// What a preprocessor line does to the conditional stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Directive {
    /// `#if`, `#ifdef`, `#ifndef`; `dead` for a literal `#if 0`.
    If { dead: bool },
    /// `#else`, `#elif` and their kin.
    Else,
    /// `#endif`.
    Endif,
    /// Anything else.
    Other,
}

/// Bytes an identifier is made of. Bytes above 0x7f count: gcc takes them, and they must not split a word.
pub(crate) fn is_word(b: u8) -> bool {
    WORD[b as usize]
}

const WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 256 {
        let c = b as u8;
        table[b] = c.is_ascii_alphanumeric() || c == b'_' || c == b'$' || c >= 0x80;
        b += 1;
    }
    table
};

/// The end of the word that starts at `i`.
pub(crate) fn word_end(t: &[u8], i: usize) -> usize {
    t[i..]
        .iter()
        .position(|b| !is_word(*b))
        .map_or(t.len(), |n| i + n)
}

/// The end of the comment that starts at `i`, if one does. A line comment ends before its line break.
pub(crate) fn comment_end(t: &[u8], i: usize) -> Option<usize> {
    match (t.get(i), t.get(i + 1)) {
        (Some(b'/'), Some(b'*')) => {
            Some(memchr::memmem::find(&t[i + 2..], b"*/").map_or(t.len(), |n| i + 4 + n))
        }
        (Some(b'/'), Some(b'/')) => Some(line_end(t, i)),
        _ => None,
    }
}

/// The end of the logical line (continuations included) that `i` is in, before its line break.
fn line_end(t: &[u8], mut i: usize) -> usize {
    while let Some(n) = memchr::memchr(b'\n', &t[i..]) {
        let newline = i + n;
        if !continued(t, newline) {
            return newline;
        }
        i = newline + 1;
    }
    t.len()
}

/// Whether the line break at `newline` is spliced away by a backslash.
fn continued(t: &[u8], newline: usize) -> bool {
    let line = &t[..newline];
    line.strip_suffix(b"\r").unwrap_or(line).ends_with(b"\\")
}

/// The end of the string or character literal whose quote stands at `i`.
/// An unterminated one ends before the line break, so that one stray quote costs one line.
pub(crate) fn literal_end(t: &[u8], i: usize) -> usize {
    let quote = t[i];
    let mut at = i + 1;
    while at < t.len() {
        match t[at] {
            b'\\' if t[at + 1..].starts_with(b"\r\n") => at += 3,
            b'\\' => at += 2,
            b'\n' => return at,
            b if b == quote => return at + 1,
            _ => at += 1,
        }
    }
    t.len()
}

/// Whether only blanks stand between the start of the line and `i`.
pub(crate) fn at_line_start(t: &[u8], i: usize) -> bool {
    let before = t[..i].iter().rev().find(|b| !matches!(b, b' ' | b'\t'));
    matches!(before, None | Some(b'\n' | b'\r'))
}

/// The end of the preprocessor line whose `#` stands at `i`, before its line break.
/// Continuations and comments that run over several lines belong to it.
pub(crate) fn directive_end(t: &[u8], mut i: usize) -> usize {
    while i < t.len() {
        match t[i] {
            b'\n' if !continued(t, i) => return i,
            b'/' => i = comment_end(t, i).unwrap_or(i + 1),
            b'"' | b'\'' => i = literal_end(t, i),
            _ => i += 1,
        }
    }
    t.len()
}

/// What the preprocessor line `line` (from its `#` on) does.
pub(crate) fn directive(line: &[u8]) -> Directive {
    let rest = line.get(1..).unwrap_or_default().trim_ascii_start();
    let word = &rest[..word_end(rest, 0)];
    match word {
        b"if" => {
            let arg = rest[2..].trim_ascii_start();
            Directive::If {
                dead: &arg[..word_end(arg, 0)] == b"0" && is_blank_or_comment(&arg[1..]),
            }
        }
        b"ifdef" | b"ifndef" => Directive::If { dead: false },
        b"else" | b"elif" | b"elifdef" | b"elifndef" => Directive::Else,
        b"endif" => Directive::Endif,
        _ => Directive::Other,
    }
}

fn is_blank_or_comment(rest: &[u8]) -> bool {
    let rest = rest.trim_ascii_start();
    rest.is_empty() || rest.starts_with(b"/*") || rest.starts_with(b"//")
}

/// Whether there is no line break in `text`.
pub(crate) fn in_one_line(text: &[u8]) -> bool {
    !text.iter().any(|b| matches!(b, b'\n' | b'\r'))
}

/// Blanks `text` but for its line breaks.
pub(crate) fn blank(text: &mut [u8]) {
    for b in text {
        if !matches!(*b, b'\n' | b'\r') {
            *b = b' ';
        }
    }
}

/// Blanks what `#if 0` hides in `text`; returns the preprocessor lines that are left, each from its `#` to before its line break.
pub(crate) fn strip_dead(text: &mut [u8]) -> Vec<Range<usize>> {
    let lines = directives(text);
    let mut end = 0;
    let mut left = Vec::with_capacity(lines.len());
    for line in lines {
        if line.start < end {
            continue;
        }
        if directive(&text[line.clone()]) == (Directive::If { dead: true }) {
            end = dead_end(text, line.end);
            blank(&mut text[line.end..end]);
        }
        left.push(line);
    }
    left
}

/// After a `#if 0` line that ends at `i`: the `#` of the `#else`, `#elif` or `#endif` that belongs to it.
pub(crate) fn dead_end(t: &[u8], mut i: usize) -> usize {
    let mut depth = 0usize;
    while i < t.len() {
        match t[i] {
            b'/' => i = comment_end(t, i).unwrap_or(i + 1),
            b'"' | b'\'' => i = literal_end(t, i),
            b'#' if at_line_start(t, i) => {
                let end = directive_end(t, i);
                match directive(&t[i..end]) {
                    Directive::If { .. } => depth += 1,
                    Directive::Else | Directive::Endif if depth == 0 => return i,
                    Directive::Endif => depth -= 1,
                    _ => {}
                }
                i = end.max(i + 1);
            }
            _ => i += 1,
        }
    }
    t.len()
}

/// The offset after the `)` that matches the `(` at `i`, skipping literals, comments and preprocessor lines;
/// `None` when it is not closed.
pub(crate) fn group_end(t: &[u8], mut i: usize) -> Option<usize> {
    let mut depth = 0usize;
    while i < t.len() {
        match t[i] {
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    return Some(i + 1);
                }
            }
            b'"' | b'\'' => {
                i = literal_end(t, i);
                continue;
            }
            b'/' => {
                i = comment_end(t, i).unwrap_or(i + 1);
                continue;
            }
            b'#' if at_line_start(t, i) => {
                i = directive_end(t, i);
                continue;
            }
            _ => {}
        }
        i += 1;
    }
    None
}

/// The first offset from `i` on that is neither blank nor comment (preprocessor lines are not skipped).
pub(crate) fn skip_blank(t: &[u8], mut i: usize) -> usize {
    while i < t.len() {
        match t[i] {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0c | 0x0b => i += 1,
            b'\\' if matches!(t.get(i + 1), Some(b'\n' | b'\r')) => i += 1,
            b'/' => match comment_end(t, i) {
                Some(end) => i = end,
                None => return i,
            },
            _ => return i,
        }
    }
    t.len()
}

/// As [`skip_blank`], and over preprocessor lines.
pub(crate) fn skip_invisible(t: &[u8], mut i: usize) -> usize {
    loop {
        i = skip_blank(t, i);
        if i >= t.len() || t[i] != b'#' || !at_line_start(t, i) {
            return i;
        }
        i = directive_end(t, i).max(i + 1);
    }
}

/// The preprocessor lines of `t`, those in dead code included, without their line breaks.
pub(crate) fn directives(t: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut i = 0;
    while i < t.len() {
        match t[i] {
            b'"' | b'\'' => i = literal_end(t, i),
            b'/' => i = comment_end(t, i).unwrap_or(i + 1),
            b'#' if at_line_start(t, i) => {
                let end = directive_end(t, i);
                let line = t[i..end].strip_suffix(b"\r").unwrap_or(&t[i..end]);
                found.push(i..i + line.len());
                i = end;
            }
            _ => i += 1,
        }
    }
    found
}
