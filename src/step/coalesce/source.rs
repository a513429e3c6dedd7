//! One function as the analysis sees it: its syntax, its original bytes, and what its names stand for.

use tree_sitter::Node;

use super::accessors::Accessors;
use super::config::Compiled;
use super::effects::Place;
use super::rule::Rule;
use crate::c::macros::Macros;
use crate::c::parse::Syntax;

/// Macros may stand for macros; deeper than this is taken as unknown.
const MACRO_DEPTH: usize = 8;

/// One function of a file, with the step that judges it.
pub struct FunctionSource<'a> {
    /// The file's original bytes.
    pub text: &'a [u8],
    /// Syntax of the function.
    pub syntax: &'a Syntax,
    /// The step's settings.
    pub step: &'a Compiled,
    /// What macros stand for in this file.
    pub macros: &'a Macros<'a>,
}

impl FunctionSource<'_> {
    /// Whether `rule` is in force.
    pub fn on(&self, rule: Rule) -> bool {
        self.step.disabled != Some(rule)
    }

    /// The step's accessors.
    pub fn accessors(&self) -> &Accessors {
        &self.step.accessors
    }

    /// The file offset of `node`.
    pub fn at(&self, node: Node<'_>) -> usize {
        self.syntax.base + node.start_byte()
    }

    /// The file's byte range of `node`.
    pub fn range(&self, node: Node<'_>) -> std::ops::Range<usize> {
        self.syntax.base + node.start_byte()..self.syntax.base + node.end_byte()
    }

    /// The original text of `node` (lossy: for messages).
    pub fn original(&self, node: Node<'_>) -> String {
        String::from_utf8_lossy(&self.text[self.range(node)]).into_owned()
    }

    /// The callee of a call, without blanks.
    pub fn callee(&self, call: Node<'_>) -> String {
        let text = call
            .child_by_field_name("function")
            .map(|f| self.original(f))
            .unwrap_or_default();
        text.split_whitespace().collect()
    }

    /// What a macro called in an operand reads besides its arguments; `None` unless every definition found is free of effects.
    pub fn pure_macro(&self, name: &str) -> Option<Vec<Place>> {
        // A callee without a definition in reach is a function, or unknown.
        if self.macros.get(name).is_empty() {
            None
        } else {
            self.expand(name, MACRO_DEPTH)
        }
    }

    /// Whether two accesses can touch the same storage.
    pub fn overlap(&self, a: &Place, b: &Place) -> bool {
        use Place::{Local, Member, Memory, Name};
        match (a, b) {
            (Local(a), Local(b)) => a == b,
            (Local(_), _) | (_, Local(_)) => false,
            (Memory, _) | (_, Memory) => true,
            (Member(a), Member(b)) => a == b || self.macros.may_overlap(a, b),
            (Name(a), Name(b)) if a == b => true,
            // A name may be a macro for a memory access.
            (Name(name), other) | (other, Name(name)) => match self.expand(name, MACRO_DEPTH) {
                Some(places) if places.is_empty() => {
                    matches!(other, Name(o) if self.expand(o, MACRO_DEPTH).is_some_and(|p| !p.is_empty()))
                }
                Some(places) => places
                    .iter()
                    .any(|p| !matches!(p, Name(_)) && self.overlap(p, other)),
                // A macro that is not understood may be anything.
                None => true,
            },
        }
    }

    /// Whether `place` certainly holds the same value until the flush, whatever other code does.
    pub fn is_stable(&self, place: &Place) -> bool {
        match place {
            Place::Local(_) => true,
            Place::Name(name) if self.step.is_constant(name) => true,
            Place::Name(name) => {
                !self.macros.get(name).is_empty()
                    && self.expand(name, MACRO_DEPTH).is_some_and(|p| p.is_empty())
            }
            Place::Member(_) | Place::Memory => false,
        }
    }

    /// The places that the definitions of `name` read; empty for a name without a definition.
    /// `None` when a definition has effects, or is not understood.
    fn expand(&self, name: &str, depth: usize) -> Option<Vec<Place>> {
        let definitions = self.macros.get(name);
        if definitions.is_empty() {
            return Some(Vec::new());
        }
        if depth == 0 {
            return None;
        }
        let mut places = Vec::new();
        for definition in definitions {
            let params = definition.params.as_deref().unwrap_or_default();
            places.extend(self.body(&definition.body, params, depth - 1)?);
        }
        Some(places)
    }

    /// Reads a macro body by its tokens: anything that could have an effect gives `None`.
    fn body(&self, body: &[u8], params: &[String], depth: usize) -> Option<Vec<Place>> {
        let tokens = tokens(body)?;
        let mut places = Vec::new();
        for (i, token) in tokens.iter().enumerate() {
            let before = i.checked_sub(1).map(|j| tokens[j]);
            let after = tokens.get(i + 1).copied();
            let is_word = token.as_bytes()[0].is_ascii_alphabetic() || token.as_bytes()[0] == b'_';
            match *token {
                "=" | "++" | "--" | "{" | "}" | ";" | "#" | "##" => return None,
                t if t.len() > 1 && t.ends_with('=') && !matches!(t, "==" | "!=" | "<=" | ">=") => {
                    return None;
                }
                "[" => places.push(Place::Memory),
                "*" if !before.is_some_and(|b| b == ")" || b == "]" || ends_word(b)) => {
                    places.push(Place::Memory)
                }
                "asm" | "__asm__" | "volatile" | "__volatile__" | "do" | "if" | "for" | "while"
                | "return" | "goto" => return None,
                "sizeof" | "typeof" | "__typeof__" | "struct" | "unsigned" | "signed" | "const"
                | "void" | "char" | "short" | "int" | "long" => {}
                t if is_word && matches!(before, Some("->" | ".")) => {
                    places.push(Place::Member(t.to_owned()))
                }
                t if is_word && params.iter().any(|p| p == t) && after == Some("(") => return None,
                t if is_word && params.iter().any(|p| p == t) => {}
                t if is_word && after == Some("(") => {
                    if self.accessors().find(t).is_some() {
                        return None;
                    }
                    if !self.step.is_pure(t) {
                        if self.macros.get(t).is_empty() {
                            return None;
                        }
                        places.extend(self.expand(t, depth)?);
                    }
                }
                t if is_word => {
                    let inner = self.expand(t, depth)?;
                    places.push(Place::Name(t.to_owned()));
                    places.extend(inner);
                }
                _ => {}
            }
        }
        Some(places)
    }
}

fn ends_word(token: &str) -> bool {
    token
        .bytes()
        .last()
        .is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The tokens of a macro body, without comments, literals and numbers kept as one token each; `None` when it is not ASCII text.
fn tokens(body: &[u8]) -> Option<Vec<&str>> {
    let text = std::str::from_utf8(body).ok().filter(|t| t.is_ascii())?;
    let bytes = text.as_bytes();
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let mut out = Vec::new();
    let mut i = 0;
    while i < bytes.len() {
        let start = i;
        match bytes[i] {
            b if b.is_ascii_whitespace() || b == b'\\' => {
                i += 1;
                continue;
            }
            b'/' if bytes.get(i + 1) == Some(&b'*') => {
                i = text[i + 2..]
                    .find("*/")
                    .map_or(bytes.len(), |e| i + 2 + e + 2);
                continue;
            }
            b'/' if bytes.get(i + 1) == Some(&b'/') => break,
            quote @ (b'"' | b'\'') => {
                i += 1;
                while i < bytes.len() && bytes[i] != quote {
                    i += 1 + usize::from(bytes[i] == b'\\');
                }
                i = (i + 1).min(bytes.len());
            }
            b if word(b) => {
                while i < bytes.len() && word(bytes[i]) {
                    i += 1;
                }
            }
            _ => {
                let rest = &text[i..];
                let long = [
                    "<<=", ">>=", "->", "++", "--", "==", "!=", "<=", ">=", "+=", "-=", "*=", "/=",
                    "%=", "&=", "|=", "^=", "<<", ">>", "&&", "||", "##",
                ];
                i += long
                    .iter()
                    .find(|op| rest.starts_with(**op))
                    .map_or(1, |op| op.len());
            }
        }
        out.push(&text[start..i]);
    }
    Some(out)
}
