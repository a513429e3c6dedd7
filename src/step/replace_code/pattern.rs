//! A pattern of tokens: literal ones, `$A` for one operand, `$$$A` for anything with its brackets closed.

use std::collections::BTreeMap;
use std::ops::Range;

use super::tokens::Tokens;

/// What metavariables stand for: token numbers.
pub(super) type Bindings = BTreeMap<String, Range<usize>>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Token(Vec<u8>),
    One(String),
    Many(String),
}

/// What a pattern is, which decides where it may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One or more whole statements or declarations.
    Statements,
    /// `while (…)` and its like, without what it governs.
    Control,
    /// The head of a function, for its definition and its prototypes.
    Function,
    /// Entries of a list, such as enumerators, each with its comma.
    Entries,
}

#[derive(Debug)]
pub(super) struct Pattern {
    pieces: Vec<Piece>,
    pub shape: Shape,
}

impl Pattern {
    /// Reads a pattern; the error is a clause.
    pub fn parse(text: &str) -> Result<Self, String> {
        let tokens = Tokens::of(text.as_bytes());
        if !tokens.balanced {
            return Err("its brackets do not match".into());
        }
        let mut pieces = Vec::new();
        let mut names = Vec::new();
        for n in 0..tokens.len() {
            if tokens.is_directive(n) {
                return Err("it has a preprocessor line".into());
            }
            let piece = piece(tokens.at(n))?;
            if let Piece::One(name) | Piece::Many(name) = &piece {
                if names.contains(name) {
                    return Err(format!("`{name}` stands in it twice"));
                }
                names.push(name.clone());
            }
            pieces.push(piece);
        }
        let (Some(Piece::Token(_)), Some(Piece::Token(last))) = (pieces.first(), pieces.last())
        else {
            return Err("it does not begin and end with code".into());
        };
        let control = matches!(tokens.at(0), b"if" | b"while" | b"for" | b"switch");
        let shape = match (&last[..], control) {
            (b";" | b"}", _) => Shape::Statements,
            (b",", _) => Shape::Entries,
            (b")", true) => Shape::Control,
            (b")", false) => Shape::Function,
            _ => {
                return Err(
                    "it is neither statements, nor the head of a function or of a control \
                            statement, nor entries of a list"
                        .into(),
                );
            }
        };
        Ok(Self { pieces, shape })
    }

    /// Whether it is one statement that governs no other.
    pub fn is_simple(&self) -> bool {
        let ends = self
            .pieces
            .iter()
            .filter(|p| matches!(p, Piece::Token(t) if t == b";"));
        let first = |words: [&[u8]; 6]| matches!(&self.pieces[0], Piece::Token(t) if words.contains(&&t[..]));
        let governs = first([b"if", b"while", b"for", b"switch", b"do", b"{"]);
        self.shape == Shape::Statements && ends.count() == 1 && !governs
    }

    /// The metavariables' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|p| match p {
            Piece::Token(_) => None,
            Piece::One(name) | Piece::Many(name) => Some(name.as_str()),
        })
    }

    /// A word without which nothing matches.
    pub fn word(&self) -> Option<&[u8]> {
        let words = self.pieces.iter().filter_map(|p| match p {
            Piece::Token(token) if token[0].is_ascii_alphabetic() || token[0] == b'_' => {
                Some(&token[..])
            }
            _ => None,
        });
        words.max_by_key(|w| w.len())
    }

    /// Every match where the code around lets it stand: token numbers, and what the metavariables stand for.
    /// `after_else` lets statements stand right behind an `else`.
    pub fn find(&self, tokens: &Tokens<'_>, after_else: bool) -> Vec<(Range<usize>, Bindings)> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            let mut bindings = Bindings::new();
            match self.end_at(tokens, at, &self.pieces, &mut bindings) {
                Some(end) if self.may_stand(tokens, at..end, after_else) => {
                    found.push((at..end, bindings));
                    at = end;
                }
                _ => at += 1,
            }
        }
        found
    }

    fn end_at(
        &self,
        tokens: &Tokens<'_>,
        at: usize,
        pieces: &[Piece],
        bindings: &mut Bindings,
    ) -> Option<usize> {
        let Some((piece, rest)) = pieces.split_first() else {
            return Some(at);
        };
        let (name, several) = match piece {
            Piece::Token(token) if tokens.at(at) == token => {
                return self.end_at(tokens, at + 1, rest, bindings);
            }
            Piece::Token(_) => return None,
            Piece::One(name) => (name, false),
            Piece::Many(name) => (name, true),
        };
        // The shortest that lets the rest match.
        let mut end = at;
        loop {
            if several || end > at {
                let tried = self.end_at(tokens, end, rest, bindings);
                if tried.is_some() {
                    bindings.insert(name.clone(), at..end);
                    return tried;
                }
            }
            let stop = matches!(tokens.at(end), b";" | b",") || tokens.is_directive(end);
            if !several && stop {
                return None;
            }
            end = tokens.next_unit(end)?;
        }
    }

    /// Whether a match at `range` is whole: no part of a larger expression or statement.
    fn may_stand(&self, tokens: &Tokens<'_>, range: Range<usize>, after_else: bool) -> bool {
        let mut start = range.start;
        while start > 0 && tokens.is_directive(start - 1) {
            start -= 1;
        }
        let before = tokens.before(start);
        let starts = matches!(before, b"" | b";" | b"{" | b"}") || is_label(tokens, start);
        match self.shape {
            Shape::Statements => starts || after_else && before == b"else",
            Shape::Control => starts || matches!(before, b")" | b"else" | b"do"),
            Shape::Function => starts && matches!(tokens.at(range.end), b"{" | b";"),
            Shape::Entries => matches!(before, b"{" | b","),
        }
    }
}

/// Whether a label (`name:`, `case X:`) ends right before token `n`.
pub(super) fn is_label(tokens: &Tokens<'_>, n: usize) -> bool {
    if tokens.before(n) != b":" || n < 2 {
        return false;
    }
    let word = tokens
        .at(n - 2)
        .first()
        .is_some_and(|b| crate::c::lex::is_word(*b));
    word && matches!(tokens.before(n - 2), b"" | b";" | b"{" | b"}" | b"case")
}

fn piece(token: &[u8]) -> Result<Piece, String> {
    let dollars = token.iter().take_while(|b| **b == b'$').count();
    if dollars == 0 {
        return Ok(Piece::Token(token.to_vec()));
    }
    let name = String::from_utf8_lossy(&token[dollars..]).into_owned();
    let good = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    match dollars {
        _ if name.is_empty() || !name.bytes().all(good) => Err(format!(
            "`{}` is no metavariable: these are `$A` and `$$$A`, in capitals",
            String::from_utf8_lossy(token)
        )),
        1 => Ok(Piece::One(name)),
        3 => Ok(Piece::Many(name)),
        _ => Err("a metavariable has one dollar sign, or three".into()),
    }
}
