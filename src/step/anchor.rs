//! Finding the one place in a file that a recipe means.

use serde::Deserialize;

use super::Fault;
use crate::c::functions::functions;

/// One line text, or several of which the first that occurs counts (trees differ).
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One text.
    One(String),
    /// Alternatives, best first.
    Many(Vec<String>),
}

impl OneOrMany {
    pub(crate) fn texts(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

/// A place between two lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anchor {
    /// Behind the line with this text.
    After(OneOrMany),
    /// In front of the line with this text.
    Before(OneOrMany),
    /// Behind the function's closing brace.
    AfterFunction(String),
    /// In front of the function, its comment included.
    BeforeFunction(String),
    /// At the end of the file.
    End,
}

impl Anchor {
    /// Exactly one of the keys must be given.
    pub(crate) fn compile(
        after: Option<OneOrMany>,
        before: Option<OneOrMany>,
        after_function: Option<String>,
        before_function: Option<String>,
        at_end: bool,
    ) -> Result<Self, Fault> {
        let given = [
            after.map(Self::After),
            before.map(Self::Before),
            after_function.map(Self::AfterFunction),
            before_function.map(Self::BeforeFunction),
            at_end.then_some(Self::End),
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(anchor), None) => Ok(anchor),
            _ => Err(Fault::new(
                "give one of `after`, `before`, `after-function`, `before-function`, `at-end`: where the text goes",
            )),
        }
    }

    /// The byte offset of a line start at which to insert.
    ///
    /// # Errors
    /// A sentence when the anchor is missing or stands there more than once.
    pub fn find(&self, text: &[u8]) -> Result<usize, String> {
        match self {
            Self::After(line) => find_line(text, line).map(|(_, end)| end),
            Self::Before(line) => find_line(text, line).map(|(start, _)| start),
            Self::AfterFunction(name) => {
                let (_, end) = find_function(text, name)?;
                Ok(memchr::memchr(b'\n', &text[end..]).map_or(text.len(), |at| end + at + 1))
            }
            Self::BeforeFunction(name) => {
                let (start, _) = find_function(text, name)?;
                Ok(before_comment(text, start))
            }
            Self::End => Ok(text.len()),
        }
    }
}

/// Start and end of the one line that reads `wanted` when blanks do not count.
fn find_line(text: &[u8], wanted: &OneOrMany) -> Result<(usize, usize), String> {
    for wanted in wanted.texts() {
        let wanted_words: Vec<&[u8]> = words(wanted.as_bytes()).collect();
        let mut found = Vec::new();
        let mut at = 0;
        for line in text.split_inclusive(|b| *b == b'\n') {
            if words(line).eq(wanted_words.iter().copied()) {
                found.push((at, at + line.len()));
            }
            at += line.len();
        }
        match found[..] {
            [] => {}
            [place] => return Ok(place),
            [first, second, ..] => {
                let line = |at| crate::c::edit::line_of(text, at);
                return Err(format!(
                    "the line `{wanted}` stands there more than once (lines {} and {})",
                    line(first.0),
                    line(second.0)
                ));
            }
        }
    }
    let wanted: Vec<String> = wanted.texts().iter().map(|t| format!("`{t}`")).collect();
    Err(format!("there is no line {}", wanted.join(" or ")))
}

pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace)
        .filter(|w| !w.is_empty())
}

fn find_function(text: &[u8], name: &str) -> Result<(usize, usize), String> {
    let found: Vec<_> = functions(text)
        .into_iter()
        .filter(|f| f.name == name)
        .collect();
    match &found[..] {
        [one] => Ok((one.range.start, one.range.end)),
        [] => Err(format!("there is no function `{name}`")),
        _ => Err(format!("there is more than one function `{name}`")),
    }
}

/// Start of the line of `start`, or of the comment that ends on the line above it.
pub(super) fn before_comment(text: &[u8], start: usize) -> usize {
    let line_start = memchr::memrchr(b'\n', &text[..start]).map_or(0, |at| at + 1);
    let above = text[..line_start].trim_ascii_end();
    let blank_lines = memchr::memchr_iter(b'\n', &text[above.len()..line_start]).count();
    if blank_lines > 1 || !above.ends_with(b"*/") {
        return line_start;
    }
    let open = memchr::memmem::rfind(above, b"/*").unwrap_or(line_start);
    let comment_line = memchr::memrchr(b'\n', &text[..open]).map_or(0, |at| at + 1);
    let alone = text[comment_line..open].iter().all(u8::is_ascii_whitespace);
    if alone { comment_line } else { line_start }
}

/// `addition` with the line ends of `text`.
pub(crate) fn with_line_ends_of(text: &[u8], addition: &str) -> Vec<u8> {
    let crlf = memchr::memchr(b'\n', text).is_some_and(|at| at > 0 && text[at - 1] == b'\r');
    if crlf {
        addition.replace('\n', "\r\n").into_bytes()
    } else {
        addition.as_bytes().to_vec()
    }
}

/// `text` with `addition` put in at `offset`, a line start.
pub(crate) fn insert_at(text: &[u8], offset: usize, addition: &str) -> Vec<u8> {
    let mut out = text[..offset].to_vec();
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.extend_from_slice(&with_line_ends_of(text, "\n"));
    }
    out.extend_from_slice(&with_line_ends_of(text, addition));
    out.extend_from_slice(&text[offset..]);
    out
}

/// Whether the lines of `addition` stand in `text`, one after the other.
pub(crate) fn has_lines(text: &[u8], addition: &str) -> bool {
    let wanted = with_line_ends_of(text, addition);
    memchr::memmem::find_iter(text, &wanted).any(|at| at == 0 || text[at - 1] == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(line: &str) -> Anchor {
        Anchor::After(OneOrMany::One(line.into()))
    }

    #[test]
    fn blanks_do_not_count() {
        let text = b"a\nobj-y\t+=  x.o\nb\n";
        assert_eq!(after("obj-y += x.o").find(text), Ok(16));
    }

    #[test]
    fn missing_and_double_anchors_are_told() {
        assert_eq!(after("x").find(b"a\n"), Err("there is no line `x`".into()));
        let twice = after("a").find(b"a\nb\na\n").unwrap_err();
        assert_eq!(
            twice,
            "the line `a` stands there more than once (lines 1 and 3)"
        );
        let either = Anchor::Before(OneOrMany::Many(vec!["x".into(), "b".into()]));
        assert_eq!(either.find(b"a\nb\n"), Ok(2));
    }

    #[test]
    fn line_ends_are_those_of_the_file() {
        assert_eq!(insert_at(b"a\r\nb\r\n", 3, "x\n"), b"a\r\nx\r\nb\r\n");
        assert!(has_lines(b"a\r\nx\r\nb\r\n", "a\nx\n"));
        assert!(!has_lines(b"ax\n", "x\n"));
        assert_eq!(insert_at(b"a", 1, "x\n"), b"a\nx\n");
    }
}
