//! What the table says of a word, where it stands as the idiom.

use super::{Masker, Token};
use crate::c::idioms::Action;
use crate::c::lex;

impl<'a> Masker<'a> {
    /// Applies `action` to the word from `i` to `end`; `None` where it is a word like any other.
    pub(super) fn idiom(&mut self, action: &'a Action, i: usize, end: usize) -> Option<usize> {
        let t = self.t;
        match action {
            Action::Replace(with) => {
                if with.is_empty() && !self.attribute_place(end, false) {
                    return None;
                }
                self.blank(i, end);
                self.out[i..i + with.len()].copy_from_slice(with);
                if !with.is_empty() {
                    self.push(Token::Word(i, end));
                }
                Some(end)
            }
            Action::BlankCall => {
                let to = self
                    .group(end)
                    .filter(|to| self.attribute_place(*to, true))?;
                self.blank(i, to);
                Some(to)
            }
            Action::TypeOf => {
                let to = self.group(end).unwrap_or(end);
                self.blank(end, to);
                self.push(Token::Word(i, end));
                Some(to)
            }
            Action::Assembly => Some(self.assembly(i, end)),
            Action::Prefix => {
                let next = lex::skip_blank(t, end);
                if !t.get(next).is_some_and(|b| *b == b'"' || lex::is_word(*b)) {
                    return None;
                }
                self.blank(i, end);
                Some(end)
            }
        }
    }

    /// Whether an attribute that ends at `end` (`call`: with its arguments) can stand here.
    ///
    /// Strict, because some drivers call a variable, label or function what other kernels call an attribute, and none of these may vanish.
    fn attribute_place(&self, end: usize, call: bool) -> bool {
        let next = self
            .t
            .get(lex::skip_blank(self.t, end))
            .copied()
            .unwrap_or(b';');
        let name_follows = lex::is_word(next) || next == b'*';
        match self.last {
            Token::Byte(b'.') => false,
            Token::Byte(b'>') if self.before == Token::Byte(b'-') => false,
            _ if self.statement_start() => name_follows,
            Token::Word(..) => !self.expects_value(self.last),
            // A call, or a head. Behind a cast stands an expression.
            Token::Close(Some(_)) | Token::Byte(b']' | b'}') => true,
            Token::Close(None) => self.braces == 0 || name_follows && !call,
            Token::Byte(b'*') if !call => next != b'(',
            _ => name_follows,
        }
    }

    /// `asm volatile goto ("…" : …)` becomes `asm               (""      )`.
    fn assembly(&mut self, i: usize, end: usize) -> usize {
        let t = self.t;
        let mut open = lex::skip_blank(t, end);
        while open < t.len() && lex::is_word(t[open]) {
            open = lex::skip_blank(t, lex::word_end(t, open));
        }
        match self.group(open) {
            Some(close)
                if close - open >= 4
                    && t[i..].starts_with(b"asm") | t[i..].starts_with(b"__asm") =>
            {
                self.hide(i, close);
                self.out[i..i + 3].copy_from_slice(b"asm");
                self.out[open] = b'(';
                let room = (open + 1..close - 2).find(|at| lex::in_one_line(&t[*at..*at + 2]));
                if let Some(at) = room {
                    self.out[at] = b'"';
                    self.out[at + 1] = b'"';
                }
                self.out[close - 1] = b')';
                self.push(Token::Close(None));
                close
            }
            _ => {
                self.push(Token::Word(i, end));
                end
            }
        }
    }
}
