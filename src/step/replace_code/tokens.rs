//! C cut into tokens, as far as patterns need it.

use std::ops::Range;

use crate::c::lex;

/// Operators of more than one byte, longest first: `<` of a pattern must not match half of `<<`.
const OPERATORS: [&[u8]; 23] = [
    b"<<=", b">>=", b"...", b"->", b"++", b"--", b"<<", b">>", b"<=", b">=", b"==", b"!=", b"&&",
    b"||", b"+=", b"-=", b"*=", b"/=", b"%=", b"&=", b"|=", b"^=", b"##",
];

/// The tokens of a text, comments apart.
#[derive(Debug)]
pub(super) struct Tokens<'t> {
    text: &'t [u8],
    /// Words, literals, operators, and each preprocessor line as one token.
    ranges: Vec<Range<usize>>,
    /// For an opening bracket, its closing one.
    closing: Vec<Option<usize>>,
    /// Where the comments between them are.
    pub comments: Vec<Range<usize>>,
    /// Whether all brackets match.
    pub balanced: bool,
}

impl<'t> Tokens<'t> {
    pub fn of(text: &'t [u8]) -> Self {
        let mut tokens = Self {
            text,
            ranges: Vec::new(),
            closing: Vec::new(),
            comments: Vec::new(),
            balanced: true,
        };
        let mut open: Vec<usize> = Vec::new();
        let mut i = 0;
        while i < text.len() {
            if text[i].is_ascii_whitespace() || text[i] == b'\\' {
                i += 1;
                continue;
            }
            if let Some(end) = lex::comment_end(text, i) {
                tokens.comments.push(i..end);
                i = end;
                continue;
            }
            let end = token_end(text, i);
            let number = tokens.ranges.len();
            tokens.ranges.push(i..end);
            tokens.closing.push(None);
            match text[i] {
                b'(' | b'[' | b'{' => open.push(number),
                b')' | b']' | b'}' => match open.pop() {
                    Some(opened) => tokens.closing[opened] = Some(number),
                    None => tokens.balanced = false,
                },
                _ => {}
            }
            i = end;
        }
        tokens.balanced &= open.is_empty();
        tokens
    }

    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// The bytes of token `n`; empty where there is none.
    pub fn at(&self, n: usize) -> &'t [u8] {
        self.ranges.get(n).map_or(b"", |r| &self.text[r.clone()])
    }

    /// The bytes of the token before `n`; empty at the start.
    pub fn before(&self, n: usize) -> &'t [u8] {
        n.checked_sub(1).map_or(b"", |n| self.at(n))
    }

    /// Where token `n` stands. `n` must be one.
    pub fn range(&self, n: usize) -> Range<usize> {
        self.ranges[n].clone()
    }

    /// The bytes from the first to the last of `tokens`; empty for none.
    pub fn span(&self, tokens: &Range<usize>) -> Range<usize> {
        match tokens.is_empty() {
            true => 0..0,
            false => self.ranges[tokens.start].start..self.ranges[tokens.end - 1].end,
        }
    }

    pub fn is_directive(&self, n: usize) -> bool {
        self.at(n).starts_with(b"#") && self.at(n) != b"##"
    }

    /// Behind the token `n`, or behind the group that it opens; `None` when it closes one, or opens one without an end.
    pub fn next_unit(&self, n: usize) -> Option<usize> {
        match self.at(n) {
            b"" | b")" | b"]" | b"}" => None,
            b"(" | b"[" | b"{" => self.closing[n].map(|close| close + 1),
            _ => Some(n + 1),
        }
    }
}

/// The end of the token at `i`, which is neither blank nor comment.
fn token_end(text: &[u8], i: usize) -> usize {
    match text[i] {
        b'"' | b'\'' => lex::literal_end(text, i).max(i + 1),
        b'#' if lex::at_line_start(text, i) => lex::directive_end(text, i).max(i + 1),
        b if lex::is_word(b) => lex::word_end(text, i),
        _ => {
            let operator = OPERATORS.iter().find(|o| text[i..].starts_with(o));
            i + operator.map_or(1, |o| o.len())
        }
    }
}
