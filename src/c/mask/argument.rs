//! Arguments of macros that no function call could have.

use super::{Masker, Open, Token};
use crate::c::idioms::Action;
use crate::c::lex;

impl Masker<'_> {
    /// Whether an argument of a call starts here (and not a parameter of a declared function).
    pub(super) fn argument_start(&self) -> bool {
        matches!(self.open.last(), Some(Open::Call(_) | Open::Loop))
            && self.braces > 0
            && matches!(self.last, Token::Byte(b'(' | b','))
    }

    /// A type as a macro's argument becomes one plain word; returns where the argument ends.
    pub(super) fn type_argument(&mut self, i: usize) -> Option<usize> {
        let t = self.t;
        if !is_type_word(&t[i..lex::word_end(t, i)]) {
            return None;
        }
        let mut words: Vec<(usize, usize)> = Vec::new();
        let mut at = i;
        loop {
            at = lex::skip_blank(t, at);
            match t.get(at)? {
                b if lex::is_word(*b) => {
                    let end = lex::word_end(t, at);
                    words.push((at, end));
                    at = end;
                }
                b'*' => at += 1,
                b',' | b')' => break,
                _ => return None,
            }
        }
        let silent = |word: &[u8]| {
            matches!(
                word,
                b"struct" | b"union" | b"enum" | b"const" | b"volatile"
            ) || matches!(self.idioms.action(word), Some(Action::Replace(with)) if with.is_empty())
        };
        words.retain(|(start, end)| !silent(&t[*start..*end]));
        let (first, last) = (words.first()?.0, words.last()?.1);
        if t[first..last]
            .iter()
            .any(|b| matches!(b, b'\n' | b'\r' | b'/' | b'*'))
        {
            return None;
        }
        self.blank(i, at);
        for (to, from) in self.out[first..last].iter_mut().zip(&t[first..last]) {
            *to = if lex::is_word(*from) { *from } else { b'_' };
        }
        if words.len() > 1 || is_type_word(&t[first..last]) {
            self.out[first] = self.out[first].to_ascii_uppercase();
        }
        Some(at)
    }

    /// Whether the word that ends at `end` is followed by a word and a string.
    pub(super) fn pasted_words(&self, end: usize) -> bool {
        let t = self.t;
        let next = lex::skip_blank(t, end);
        t.get(next).is_some_and(|b| lex::is_word(*b))
            && t.get(lex::skip_blank(t, lex::word_end(t, next))) == Some(&b'"')
    }

    /// `offsetof(struct s, a.b[c])` from the end of `offsetof` on: the grammar takes one name.
    pub(super) fn offset_of(&mut self, end: usize) {
        let t = self.t;
        let Some(close) = self.group(end) else { return };
        let Some(comma) = memchr::memchr(b',', &t[end..close]) else {
            return;
        };
        let member = lex::skip_blank(t, end + comma + 1);
        let name = lex::word_end(t, member);
        if name > member && lex::skip_blank(t, name) < close - 1 {
            self.hide(name, close - 1);
        }
    }

    /// Whether the stars at `i` are the last thing in their argument.
    pub(super) fn stars_end(&self, mut i: usize) -> bool {
        while self.t.get(i) == Some(&b'*') {
            i = lex::skip_blank(self.t, i + 1);
        }
        matches!(self.t.get(i), Some(b',' | b')'))
    }
}

const TYPE_WORDS: &[&[u8]] = &[
    b"struct",
    b"union",
    b"enum",
    b"const",
    b"volatile",
    b"unsigned",
    b"signed",
    b"int",
    b"char",
    b"long",
    b"short",
    b"void",
    b"float",
    b"double",
    b"bool",
    b"_Bool",
    b"size_t",
    b"ssize_t",
    b"ptrdiff_t",
    b"intptr_t",
    b"uintptr_t",
    b"int8_t",
    b"int16_t",
    b"int32_t",
    b"int64_t",
    b"uint8_t",
    b"uint16_t",
    b"uint32_t",
    b"uint64_t",
];

/// Whether the grammar takes `word` for a part of a type wherever it stands.
pub(super) fn is_type_word(word: &[u8]) -> bool {
    TYPE_WORDS.contains(&word)
}
