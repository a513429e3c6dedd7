//! Blanking kernel idioms at equal length, so that a C parser understands what is left and every byte offset stays.
//!
//! Words and their treatment are data (`idioms.toml`); what depends on the place of a word is code here:
//! - types as macro arguments (`container_of(p, struct s, m)`, `min_t(unsigned int, …)`) become plain words;
//! - a macro call at the start of a statement with no semicolon behind it becomes a `while` over what follows: a loop macro is one, and for any
//!   other macro the claim only costs an opportunity (the statement behind it counts as a loop's body);
//! - before a closing brace such a call gets a semicolon, and a label an empty statement;
//! - `case A ... B` becomes an expression; calls pasted to string literals vanish; inline assembly loses its operands.
//!
//! Invariant: what the compiler evaluates is either to be seen in the masked text or listed as hidden; and what the masked text shows as
//! straight-line code is that.

mod argument;
mod idiom;
mod statement;

use std::ops::Range;

pub use super::idioms::Idioms;
use super::lex;
use statement::is_keyword;

/// The masked twin of `text` under the built-in idioms: same length, same line breaks.
pub fn mask(text: &[u8]) -> Vec<u8> {
    Idioms::builtin().mask(text).text
}

/// A masked text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked {
    /// Same length and line breaks as the original.
    pub text: Vec<u8>,
    /// What is evaluated in the original and not to be seen in `text`, in order.
    pub hidden: Vec<Range<usize>>,
}

impl Idioms {
    /// The masked twin of `text`.
    pub fn mask(&self, text: &[u8]) -> Masked {
        let mut masker = Masker {
            idioms: self,
            t: text,
            out: text.to_vec(),
            hidden: Vec::new(),
            open: Vec::new(),
            braces: 0,
            before: Token::None,
            last: Token::None,
            loop_at: None,
        };
        masker.run();
        masker.hidden.sort_by_key(|h| h.start);
        Masked {
            text: masker.out,
            hidden: masker.hidden,
        }
    }
}

/// A token as far as the context of the next one needs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token {
    None,
    Word(usize, usize),
    /// A string literal.
    Text,
    /// A `)`; with the start of the word called, if the group was a call's arguments.
    Close(Option<usize>),
    /// The `)` of `if (…)`, `while (…)` and their like.
    CloseControl,
    /// The `}` of an initialiser.
    CloseInit,
    Byte(u8),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    /// Arguments of the call whose name starts here.
    Call(usize),
    /// Arguments of what was taken for a loop macro.
    Loop,
    Control,
    Paren,
    Block,
    Init,
}

struct Masker<'a> {
    idioms: &'a Idioms,
    t: &'a [u8],
    out: Vec<u8>,
    hidden: Vec<Range<usize>>,
    open: Vec<Open>,
    braces: usize,
    before: Token,
    last: Token,
    /// The word just taken for a loop macro.
    loop_at: Option<usize>,
}

/// How far a parenthesised group may reach; keeps malformed input linear.
const GROUP: usize = 16 << 10;

impl<'a> Masker<'a> {
    fn run(&mut self) {
        let t = self.t;
        let mut i = 0;
        while i < t.len() {
            i = match t[i] {
                b' ' | b'\t' | b'\n' | b'\r' | b'\\' | 0x0b | 0x0c => i + 1,
                b'/' if lex::comment_end(t, i).is_some() => lex::skip_blank(t, i),
                b'"' => self.string(i),
                b'\'' => {
                    self.push(Token::Byte(b'\''));
                    lex::literal_end(t, i)
                }
                b'#' if lex::at_line_start(t, i) => lex::directive_end(t, i).max(i + 1),
                b'0'..=b'9' => {
                    self.push(Token::Byte(b'0'));
                    let end = lex::word_end(t, i);
                    if t[i..end].contains(&b'_') {
                        // A number that a macro pastes to a name.
                        self.out[i] = b'_';
                    }
                    end
                }
                b if lex::is_word(b) => self.word(i),
                b => {
                    self.byte(b, i);
                    i + 1
                }
            };
        }
    }

    fn push(&mut self, token: Token) {
        self.before = self.last;
        self.last = token;
    }

    fn word_of(&self, token: Token) -> &[u8] {
        match token {
            Token::Word(start, end) => &self.t[start..end],
            _ => b"",
        }
    }

    /// Whether `token` is a keyword with an expression or a statement behind it.
    fn expects_value(&self, token: Token) -> bool {
        matches!(
            self.word_of(token),
            b"return" | b"goto" | b"case" | b"else" | b"do" | b"sizeof"
        )
    }

    /// Whether the word read last stands behind another, as a declared name does.
    fn behind_type(&self) -> bool {
        matches!(self.before, Token::Word(..)) && !self.expects_value(self.before)
    }

    fn blank(&mut self, from: usize, to: usize) {
        lex::blank(&mut self.out[from..to]);
    }

    /// Blanks what is evaluated, and says so.
    fn hide(&mut self, from: usize, to: usize) {
        self.blank(from, to);
        self.hidden.push(from..to);
    }

    fn string(&mut self, i: usize) -> usize {
        if let Token::Close(Some(call)) = self.last {
            // `__stringify(X) "…"`
            self.hide(call, i);
        }
        if !matches!(self.last, Token::Text) {
            self.push(Token::Text);
        }
        lex::literal_end(self.t, i)
    }

    fn byte(&mut self, b: u8, i: usize) {
        let token = match b {
            b'(' => {
                let open = match self.last {
                    Token::Word(start, end) => match &self.t[start..end] {
                        b"if" | b"while" | b"for" | b"switch" => Open::Control,
                        _ if self.loop_at == Some(start) => Open::Loop,
                        b"return" | b"sizeof" | b"case" | b"else" | b"do" | b"goto" => Open::Paren,
                        // `int f(struct s *a)` declares a function.
                        _ if self.behind_type() => Open::Paren,
                        _ => Open::Call(start),
                    },
                    _ => Open::Paren,
                };
                self.open.push(open);
                Token::Byte(b)
            }
            b')' => match self.pop(&[Open::Block, Open::Init]) {
                Some(Open::Call(start)) => Token::Close(Some(start)),
                Some(Open::Control | Open::Loop) => Token::CloseControl,
                _ => Token::Close(None),
            },
            b'{' => {
                let open = match self.last {
                    Token::Byte(b'=' | b']' | b'[') => Open::Init,
                    // `(struct s) { … }`, and not the body behind a head.
                    Token::Close(None) if self.braces > 0 => Open::Init,
                    Token::Byte(b',' | b'{') if self.open.last() == Some(&Open::Init) => Open::Init,
                    _ => Open::Block,
                };
                self.open.push(open);
                self.braces += 1;
                Token::Byte(b)
            }
            b'}' => {
                self.end_label();
                self.braces = self.braces.saturating_sub(1);
                match self.pop(&[]) {
                    Some(Open::Init) => Token::CloseInit,
                    _ => Token::Byte(b),
                }
            }
            b'*' if matches!(self.open.last(), Some(Open::Call(_) | Open::Loop)) => {
                // `va_arg(args, thing_t *)`
                let next = lex::skip_blank(self.t, i + 1);
                let in_type = matches!(self.last, Token::Word(..))
                    || (self.last == Token::Byte(b'*') && self.out[..i].ends_with(b" "));
                if in_type
                    && self.braces > 0
                    && matches!(self.t.get(next), Some(b',' | b')' | b'*'))
                    && self.stars_end(i)
                {
                    self.out[i] = b' ';
                }
                Token::Byte(b)
            }
            _ => Token::Byte(b),
        };
        self.push(token);
    }

    fn pop(&mut self, not: &[Open]) -> Option<Open> {
        if self.open.last().is_some_and(|open| !not.contains(open)) {
            self.open.pop()
        } else {
            None
        }
    }

    fn word(&mut self, i: usize) -> usize {
        let t = self.t;
        let end = lex::word_end(t, i);
        let word = &t[i..end];
        let idioms: &'a Idioms = self.idioms;
        if let Some(action) = idioms.action(word)
            && let Some(next) = self.idiom(action, i, end)
        {
            return next;
        }
        match word {
            b"case" => self.case(end),
            b"offsetof" => self.offset_of(end),
            b"static" if self.static_macro(end) => {
                self.blank(i, end);
                return end;
            }
            _ => {}
        }
        if self.last == Token::Text && t.get(lex::skip_blank(t, end)) == Some(&b'(') {
            // `"…" __stringify(X)`
            if let Some(close) = self.group(end) {
                self.hide(i, close);
                return close;
            }
        }
        if self.argument_start() && self.pasted_words(end) {
            // `DRIVER_NAME VERSION "…"`: the grammar takes one word in front of a string.
            self.hide(i, end);
            return end;
        }
        if self.argument_start()
            && let Some(next) = self.type_argument(i)
        {
            self.push(Token::Word(i, next));
            return next;
        }
        if self.statement_start()
            && !is_keyword(word)
            && let Some(next) = self.statement_macro(i, end)
        {
            return next;
        }
        self.push(Token::Word(i, end));
        end
    }

    /// The end of the group behind the word that ends at `end`.
    fn group(&self, end: usize) -> Option<usize> {
        let open = lex::skip_blank(self.t, end);
        if self.t.get(open) != Some(&b'(') {
            return None;
        }
        lex::group_end(&self.t[..self.t.len().min(open + GROUP)], open)
    }
}

#[cfg(test)]
mod tests;
