//! Kernel layout: tabs of eight, lines of eighty, continued arguments under the opening parenthesis.
//!
//! Source bytes travel as strings of one char a byte, so that any encoding survives.

use std::ops::Range;

/// Lines longer than this are broken.
const WIDTH: usize = 80;
const TAB: usize = 8;

/// One char a byte.
pub fn decoded(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

/// The bytes of a string made by [`decoded`] and ASCII.
pub fn encoded(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'))
        .collect()
}

/// The column after `text` when it starts at column `from`.
fn column(from: usize, text: &str) -> usize {
    text.chars().fold(from, |at, c| {
        if c == '\t' {
            at / TAB * TAB + TAB
        } else {
            at + 1
        }
    })
}

/// The white space that leads to `column`.
fn white(column: usize) -> String {
    "\t".repeat(column / TAB) + &" ".repeat(column % TAB)
}

/// `name(args);` beginning at column `start`, broken where it must be. `newline` is the file's.
pub fn call(start: usize, name: &str, args: &[String], newline: &str) -> String {
    let mut out = format!("{name}(");
    let inner = start + out.len();
    let mut at = inner;
    for (i, arg) in args.iter().enumerate() {
        let tail = if i + 1 == args.len() { ");" } else { "," };
        let arg = one_line(arg);
        let gap = usize::from(i > 0);
        let wide = column(at + gap, &arg) + tail.len() > WIDTH;
        if i > 0 && wide && at > inner {
            out += newline;
            out += &white(inner);
            at = inner;
        } else if i > 0 {
            out.push(' ');
            at += 1;
        }
        out += &arg;
        out += tail;
        at = column(at, &arg) + tail.len();
    }
    out
}

/// An argument without its line breaks; as it is when a comment or a directive needs them.
pub fn one_line(arg: &str) -> String {
    if !arg.contains('\n') || arg.contains("//") || arg.contains('#') || arg.contains('"') {
        return arg.to_owned();
    }
    let mut out = String::with_capacity(arg.len());
    for (i, line) in arg.lines().enumerate() {
        let line = line.trim_matches(|c: char| c.is_ascii_whitespace());
        if i > 0 && !line.is_empty() && !out.ends_with('(') && !line.starts_with(')') {
            out.push(' ');
        }
        out += line;
    }
    out
}

/// The line break the file uses.
pub fn newline(text: &[u8]) -> &'static str {
    match memchr::memchr(b'\n', text) {
        Some(at) if at > 0 && text[at - 1] == b'\r' => "\r\n",
        _ => "\n",
    }
}

fn line_start(text: &[u8], at: usize) -> usize {
    memchr::memrchr(b'\n', &text[..at]).map_or(0, |i| i + 1)
}

/// The column at which `at` lies.
pub fn column_of(text: &[u8], at: usize) -> usize {
    column(0, &decoded(&text[line_start(text, at)..at]))
}

/// The column at which the text of the line of `at` begins.
pub fn indent_column(text: &[u8], at: usize) -> usize {
    let start = line_start(text, at);
    let blank = text[start..]
        .iter()
        .take_while(|b| matches!(b, b' ' | b'\t'))
        .count();
    column_of(text, start + blank)
}

/// The indentation for statements beside the one at `at`: its own line's, or one deeper when it does not begin its line.
pub fn indent_of(text: &[u8], at: usize) -> String {
    let before = decoded(&text[line_start(text, at)..at]);
    let blank: String = before
        .chars()
        .take_while(|c| matches!(c, ' ' | '\t'))
        .collect();
    if blank.len() == before.len() {
        blank
    } else {
        blank + "\t"
    }
}

/// Where text may be inserted after the statement that ends at `end`: at the end of its line when only blanks and a whole
/// comment follow, else directly.
pub fn after_line(text: &[u8], end: usize) -> usize {
    let stop = memchr::memchr(b'\n', &text[end..]).map_or(text.len(), |i| end + i);
    let stop = if stop > end && text[stop - 1] == b'\r' {
        stop - 1
    } else {
        stop
    };
    let rest = text[end..stop].trim_ascii();
    let whole = rest.starts_with(b"//")
        || (rest.starts_with(b"/*")
            && memchr::memmem::find(rest, b"*/") == Some(rest.len().wrapping_sub(2)));
    if rest.is_empty() || whole { stop } else { end }
}

/// Whether `range` is nothing but blanks on one line.
pub fn is_inline_gap(text: &[u8], range: Range<usize>) -> bool {
    text[range].iter().all(|b| matches!(b, b' ' | b'\t'))
}

/// `block` with one more tab before each line that has text. The first line is taken to begin its line.
pub fn deeper(block: &str) -> String {
    block
        .split_inclusive('\n')
        .map(|l| {
            if l.trim().is_empty() || l.starts_with('#') {
                l.to_owned()
            } else {
                format!("\t{l}")
            }
        })
        .collect()
}
