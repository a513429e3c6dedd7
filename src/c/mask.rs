//! Blanking kernel idioms at equal length, so that a C parser understands what is left and every byte offset stays.
//!
//! Words and their treatment are data (`idioms.toml`); what depends on the place of a word is code here:
//! - types as macro arguments (`container_of(p, struct s, m)`, `min_t(unsigned int, …)`) become plain words;
//! - a macro call at the start of a statement with no semicolon behind it becomes a `while` over what follows: a loop macro is one, and for any
//!   other macro the claim only costs an opportunity (the statement behind it counts as a loop's body);
//! - before a closing brace such a call gets a semicolon, and a label an empty statement;
//! - `case A ... B` becomes an expression; calls pasted to string literals vanish; inline assembly loses its operands.
//!
//! Invariant: nothing that is evaluated is hidden from a reader of the masked text, except inside inline assembly and string pasting.

mod statement;

use std::ops::Range;

use super::idioms::Action;
pub use super::idioms::Idioms;
use super::lex;

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

    /// Whether the stars at `i` are the last thing in their argument.
    fn stars_end(&self, mut i: usize) -> bool {
        while self.t.get(i) == Some(&b'*') {
            i = lex::skip_blank(self.t, i + 1);
        }
        matches!(self.t.get(i), Some(b',' | b')'))
    }

    fn pop(&mut self, not: &[Open]) -> Option<Open> {
        if self.open.last().is_some_and(|open| !not.contains(open)) {
            self.open.pop()
        } else {
            None
        }
    }

    /// Whether a statement may start at the present place.
    fn statement_start(&self) -> bool {
        let block = matches!(self.open.last(), None | Some(Open::Block)) && self.braces > 0;
        block
            && match self.last {
                Token::Byte(b';' | b'{' | b'}' | b':') | Token::CloseControl => true,
                Token::Word(..) => matches!(self.word_of(self.last), b"else" | b"do"),
                _ => false,
            }
    }

    /// Before the `}` now reached: `label: }` gets an empty statement.
    fn end_label(&mut self) {
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
        } else if colon > end {
            self.out[end] = b':';
            self.out[colon] = b';';
        } else if end - start > 1 {
            self.out[end - 1] = b':';
            self.out[colon] = b';';
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

    /// Applies `action` to the word from `i` to `end`; `None` where it is a word like any other.
    fn idiom(&mut self, action: &'a Action, i: usize, end: usize) -> Option<usize> {
        let t = self.t;
        match action {
            Action::Replace(with) => {
                if with.is_empty() && !self.attribute_place(end) {
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
                let to = self.group(end).filter(|to| self.attribute_place(*to))?;
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

    /// Whether an attribute that ends at `end` can stand here.
    fn attribute_place(&self, end: usize) -> bool {
        let before = match self.last {
            Token::Word(..) => !self.expects_value(self.last),
            Token::Close(_) => true,
            Token::Byte(b) => matches!(b, b'*' | b']' | b'}'),
            _ => false,
        };
        let next = self
            .t
            .get(lex::skip_blank(self.t, end))
            .copied()
            .unwrap_or(b';');
        let member = self.last == Token::Byte(b'.')
            || self.last == Token::Byte(b'>') && self.before == Token::Byte(b'-');
        !member && (before || lex::is_word(next) || matches!(next, b'*' | b'('))
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
                if let Some(at) = (open + 1..close - 2).find(|at| {
                    !t[*at..*at + 2].contains(&b'\n') && !t[*at..*at + 2].contains(&b'\r')
                }) {
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

    /// Whether the word that ends at `end` is followed by a word and a string.
    fn pasted_words(&self, end: usize) -> bool {
        let t = self.t;
        let next = lex::skip_blank(t, end);
        t.get(next).is_some_and(|b| lex::is_word(*b))
            && t.get(lex::skip_blank(t, lex::word_end(t, next))) == Some(&b'"')
    }

    /// `offsetof(struct s, a.b[c])` from the end of `offsetof` on: the grammar takes one name.
    fn offset_of(&mut self, end: usize) {
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

    /// `case A ... B:` from the end of `case` on: the dots become an operator.
    fn case(&mut self, from: usize) {
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
    fn static_macro(&self, end: usize) -> bool {
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

    /// Whether an argument of a call starts here (and not a parameter of a declared function).
    fn argument_start(&self) -> bool {
        matches!(self.open.last(), Some(Open::Call(_) | Open::Loop))
            && self.braces > 0
            && matches!(self.last, Token::Byte(b'(' | b','))
    }

    /// A type as a macro's argument becomes one plain word; returns where the argument ends.
    fn type_argument(&mut self, i: usize) -> Option<usize> {
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
}

fn is_keyword(word: &[u8]) -> bool {
    matches!(
        word,
        b"if"
            | b"while"
            | b"for"
            | b"switch"
            | b"return"
            | b"sizeof"
            | b"do"
            | b"else"
            | b"case"
            | b"goto"
            | b"default"
            | b"break"
            | b"continue"
            | b"struct"
            | b"union"
            | b"enum"
            | b"static"
            | b"const"
            | b"extern"
            | b"register"
            | b"typedef"
    ) || is_type_word(word)
}

fn is_type_word(word: &[u8]) -> bool {
    matches!(
        word,
        b"struct"
            | b"union"
            | b"enum"
            | b"const"
            | b"volatile"
            | b"unsigned"
            | b"signed"
            | b"int"
            | b"char"
            | b"long"
            | b"short"
            | b"void"
            | b"float"
            | b"double"
            | b"bool"
            | b"_Bool"
            | b"size_t"
            | b"ssize_t"
            | b"ptrdiff_t"
            | b"intptr_t"
            | b"uintptr_t"
            | b"int8_t"
            | b"int16_t"
            | b"int32_t"
            | b"int64_t"
            | b"uint8_t"
            | b"uint16_t"
            | b"uint32_t"
            | b"uint64_t"
    )
}

#[cfg(test)]
mod tests;
