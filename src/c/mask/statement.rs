//! Macro calls that are statements without looking like one to a C parser.

use super::argument::is_type_word;
use super::{Masker, Open, Token};
use crate::c::idioms::Action;
use crate::c::lex;

impl Masker<'_> {
    /// Treats the call (if it is one) of the word from `i` to `end` that starts a statement. Returns where to go on when its arguments are done too.
    pub(super) fn statement_macro(&mut self, i: usize, end: usize) -> Option<usize> {
        let t = self.t;
        let close = self.group(end)?;
        let open = lex::skip_blank(t, end);
        let code = self.code_argument(open, close);
        if let Some(from) = code {
            self.hide(from, close - 1);
        }
        let resume = code.map(|_| close);
        let next = self.behind(close);
        let then = match t.get(next) {
            Some(b'}') => Behind::Nothing,
            Some(b) if lex::is_word(*b) && &t[next..lex::word_end(t, next)] == b"else" => {
                Behind::Nothing
            }
            Some(b) if *b == b'{' || lex::is_word(*b) => Behind::Statement,
            _ => Behind::Other,
        };
        let whole = code.is_some() && t[open..close - 1].trim_ascii_end().ends_with(b";");
        match then {
            Behind::Nothing => self.end_call(open, close),
            Behind::Statement if whole => self.end_call(open, close),
            Behind::Statement => {
                if self.make_loop(i, end, open, close) {
                    self.loop_at = Some(i);
                    if resume.is_some() {
                        self.push(Token::Word(i, end));
                        self.push(Token::CloseControl);
                        return resume;
                    }
                }
            }
            Behind::Other => {}
        }
        if resume.is_some() {
            self.push(Token::Word(i, end));
            let ended = !matches!(then, Behind::Other);
            self.push(if ended {
                Token::Byte(b';')
            } else {
                Token::Close(Some(i))
            });
        }
        resume
    }

    /// `case A ... B:` from the end of `case` on: the dots become an operator.
    pub(super) fn case(&mut self, from: usize) {
        let t = self.t;
        let mut i = from;
        let limit = t.len().min(from + 512);
        while i < limit {
            match t[i] {
                b':' | b';' | b'{' | b'}' => return,
                b'\'' | b'"' => i = lex::literal_end(t, i),
                b'/' => i = lex::comment_end(t, i).unwrap_or(i + 1),
                b'.' if t[i..].starts_with(b"...") => {
                    self.out[i..i + 3].copy_from_slice(b" + ");
                    return;
                }
                _ => i += 1,
            }
        }
    }

    /// `static DEFINE_IT(x);`: whether what follows `static` is a macro that makes the whole declaration.
    pub(super) fn static_macro(&self, end: usize) -> bool {
        let t = self.t;
        let name = lex::skip_blank(t, end);
        if self.braces == 0 || !t.get(name).is_some_and(|b| lex::is_word(*b)) {
            return false;
        }
        let name_end = lex::word_end(t, name);
        if self.idioms.action(&t[name..name_end]).is_some() {
            return false;
        }
        let Some(close) = self.group(name_end) else {
            return false;
        };
        matches!(t.get(lex::skip_blank(t, close)), Some(b';'))
    }

    /// Before the `}` now reached: `label: }` gets an empty statement.
    pub(super) fn end_label(&mut self) {
        let (Token::Byte(b':'), Token::Word(start, end)) = (self.last, self.before) else {
            return;
        };
        let word = &self.t[start..end];
        let colon = lex::skip_blank(self.t, end);
        if word == b"default" || self.t.get(colon) != Some(&b':') {
            return;
        }
        if matches!(self.t.get(colon + 1), Some(b' ' | b'\t')) {
            self.out[colon + 1] = b';';
        } else if matches!(self.t[end], b' ' | b'\t') {
            self.out[end] = b':';
            self.out[colon] = b';';
        } else if end - start > 1 {
            self.out[end - 1] = b':';
            self.out[colon] = b';';
        }
    }

    /// Whether a statement may start at the present place.
    pub(super) fn statement_start(&self) -> bool {
        let block = matches!(self.open.last(), None | Some(Open::Block)) && self.braces > 0;
        block
            && match self.last {
                Token::Byte(b';' | b'{' | b'}' | b':') | Token::CloseControl => true,
                Token::Word(..) => matches!(self.word_of(self.last), b"else" | b"do"),
                _ => false,
            }
    }

    /// The first offset from `at` on that is visible and will not vanish.
    fn behind(&self, at: usize) -> usize {
        let t = self.t;
        let mut next = lex::skip_invisible(t, at);
        while next < t.len() && lex::is_word(t[next]) {
            let end = lex::word_end(t, next);
            match self.idioms.action(&t[next..end]) {
                Some(Action::BlankCall) => {
                    next = lex::skip_invisible(t, self.group(end).unwrap_or(end))
                }
                Some(Action::Replace(with)) if with.is_empty() => {
                    next = lex::skip_invisible(t, end)
                }
                _ => break,
            }
        }
        next
    }

    /// Where, between the parentheses at `open` and before `close`, statements or declarations begin (a comma before them included).
    fn code_argument(&self, open: usize, close: usize) -> Option<usize> {
        let t = self.t;
        let (mut i, mut depth, mut start, mut comma) = (open + 1, 0usize, true, open + 1);
        while i < close - 1 {
            i = lex::skip_invisible(t, i);
            if i >= close - 1 {
                break;
            }
            let first = std::mem::replace(&mut start, false);
            match t[i] {
                b'"' | b'\'' => i = lex::literal_end(t, i),
                b if lex::is_word(b) => {
                    let end = lex::word_end(t, i);
                    let word = &t[i..end];
                    if first
                        && (is_statement_word(word)
                            || is_type_word(word) && self.declares(i, close))
                    {
                        return Some(comma);
                    }
                    i = end;
                }
                b => {
                    match b {
                        b'(' | b'[' | b'{' => depth += 1,
                        b')' | b']' | b'}' => depth = depth.saturating_sub(1),
                        b';' if depth == 0 => return Some(comma),
                        b',' if depth == 0 => (start, comma) = (true, i),
                        _ => {}
                    }
                    i += 1;
                }
            }
        }
        None
    }

    /// Whether the argument that starts with a type's word at `i` goes on as `type * name`.
    fn declares(&self, mut i: usize, close: usize) -> bool {
        let t = self.t;
        let mut star = false;
        while i < close - 1 {
            match t[i] {
                b',' | b'=' | b'(' => return false,
                b'*' => {
                    star = true;
                    i += 1;
                }
                b if lex::is_word(b) => {
                    let end = lex::word_end(t, i);
                    if star && !is_keyword(&t[i..end]) {
                        return true;
                    }
                    i = end;
                }
                _ => i += 1,
            }
        }
        false
    }

    /// Makes the call the head of a loop over the statement behind it.
    fn make_loop(&mut self, i: usize, end: usize, open: usize, close: usize) -> bool {
        // Lines stay where they are.
        let in_line = |to: usize| lex::in_one_line(&self.t[i..to]);
        if open - i >= 5 && in_line(i + 5) && !self.out[open + 1..close - 1].trim_ascii().is_empty()
        {
            self.blank(i, end);
            self.out[i..i + 5].copy_from_slice(b"while");
        } else if close - i >= 7 && in_line(i + 6) {
            self.hide(i, close);
            self.out[i..i + 6].copy_from_slice(b"for(;;");
            self.out[close - 1] = b')';
        } else {
            return false;
        }
        true
    }

    /// Puts a semicolon behind the call whose parentheses are at `open` and before `close`.
    fn end_call(&mut self, open: usize, close: usize) {
        let t = self.t;
        if matches!(t.get(close), Some(b' ' | b'\t')) {
            self.out[close] = b';';
        } else if close - open > 2 && !matches!(t[close - 2], b'\n' | b'\r') {
            self.hide(open + 1, close);
            self.out[close - 2] = b')';
            self.out[close - 1] = b';';
        }
    }
}

/// What stands behind a call.
#[derive(Clone, Copy)]
enum Behind {
    /// The end of the block, or an `else`.
    Nothing,
    Statement,
    Other,
}

fn is_statement_word(word: &[u8]) -> bool {
    matches!(
        word,
        b"return"
            | b"if"
            | b"for"
            | b"while"
            | b"goto"
            | b"break"
            | b"continue"
            | b"do"
            | b"switch"
    )
}

const KEYWORDS: &[&[u8]] = &[
    b"if",
    b"while",
    b"for",
    b"switch",
    b"return",
    b"sizeof",
    b"do",
    b"else",
    b"case",
    b"goto",
    b"default",
    b"break",
    b"continue",
    b"static",
    b"extern",
    b"register",
    b"typedef",
];

/// Whether `word` is a keyword that can start a statement or declaration.
pub(super) fn is_keyword(word: &[u8]) -> bool {
    KEYWORDS.contains(&word) || is_type_word(word)
}
