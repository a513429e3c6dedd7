//! One function as the analysis sees it: its syntax, its original bytes, and what its names stand for.

use tree_sitter::Node;

use super::accessors::Accessors;
use super::config::Compiled;
use super::effects::Place;
use super::rule::Rule;
use crate::c::functions::FunctionSpan;
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
    /// The functions of the file.
    pub functions: &'a [FunctionSpan],
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

    /// What calling `name` in an operand reads besides its arguments; `None` unless it is known to have no effects.
    pub fn pure_call(&self, name: &str) -> Option<Vec<Place>> {
        self.called(name, MACRO_DEPTH)
    }

    /// Whether the name `name`, without arguments, is a macro that does something, or that is not understood.
    pub fn is_active_macro(&self, name: &str) -> bool {
        self.expand(name, MACRO_DEPTH).is_none()
    }

    /// What the guard's answer depends on.
    pub fn guard_places(&self) -> Vec<Place> {
        let words = self.step.guard.as_deref().unwrap_or_default();
        words
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .filter(|w| !w.is_empty())
            .map(|w| Place::Local(w.to_owned()))
            .collect()
    }

    /// Of what the macro `name` takes the address.
    pub fn addressed(&self, name: &str) -> Addressed {
        let mut found = Addressed::default();
        self.find_addressed(name, MACRO_DEPTH, &mut found);
        found
    }

    fn find_addressed(&self, name: &str, depth: usize, found: &mut Addressed) {
        if self.accessors().find(name).is_some() || self.step.is_pure(name) {
            return;
        }
        for definition in self.macros.get(name) {
            let params = definition.params.as_deref().unwrap_or_default();
            // What cannot be read may do anything.
            let Some(tokens) = tokens(&definition.body).filter(|_| depth > 0) else {
                found.arguments = true;
                return;
            };
            // A block names objects of its own.
            let block = tokens.contains(&"{");
            for (i, token) in tokens.iter().enumerate() {
                if *token == "&" && is_prefix(&tokens[..i]) {
                    let rest = &tokens[i + 1..];
                    let at = rest.iter().position(|t| *t != "(").unwrap_or(rest.len());
                    let behind = rest.get(at + 1..).unwrap_or_default();
                    let follows = behind.iter().find(|t| **t != ")") == Some(&"->");
                    match rest.get(at) {
                        Some(_) if follows => {}
                        Some(word) if params.iter().any(|p| p == word) => found.arguments = true,
                        Some(word) if is_name(word) && !block => {
                            found.words.push((*word).to_owned());
                        }
                        _ => {}
                    }
                } else if is_name(token) && *token != name {
                    self.find_addressed(token, depth - 1, found);
                }
            }
        }
    }

    /// Whether the kernel or this file declares `name` (a global, a member) `volatile`. Headers of the driver are not asked.
    pub fn is_volatile(&self, name: &str) -> bool {
        let is_word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        let declares = |at: usize| {
            let rest = &self.text[at..];
            let end = memchr::memchr2(b';', b'\n', rest).unwrap_or(rest.len());
            rest[..end]
                .split(|b| !is_word(b))
                .any(|word| word == name.as_bytes())
        };
        matches!(name, "jiffies" | "jiffies_64")
            || memchr::memmem::find_iter(self.text, b"volatile").any(declares)
    }

    /// Whether two accesses can touch the same storage.
    pub fn overlap(&self, a: &Place, b: &Place) -> bool {
        // What is not understood may touch anything.
        let (Some(a), Some(b)) = (self.storage(a), self.storage(b)) else {
            return true;
        };
        a.iter().any(|a| b.iter().any(|b| self.touch(a, b)))
    }

    /// The storage behind a place: a name may be a macro for any of it, or for none.
    fn storage(&self, place: &Place) -> Option<Vec<Place>> {
        match place {
            Place::Name(name) if !self.macros.get(name).is_empty() => {
                self.expand(name, MACRO_DEPTH)
            }
            other => Some(vec![other.clone()]),
        }
    }

    fn touch(&self, a: &Place, b: &Place) -> bool {
        use Place::{Local, Member, Memory, Name};
        match (a, b) {
            // A macro's body can name a local.
            (Local(a) | Name(a), Local(b) | Name(b)) => a == b,
            (Local(_), _) | (_, Local(_)) => false,
            (Memory, _) | (_, Memory) => true,
            (Member(a), Member(b)) => a == b || self.macros.may_overlap(a, b),
            (Name(_), Member(_)) | (Member(_), Name(_)) => false,
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
        // Without arguments, a macro with parameters is not expanded.
        for definition in definitions.iter().filter(|d| d.params.is_none()) {
            places.extend(self.body(&definition.body, &[], depth - 1)?);
        }
        Some(places)
    }

    /// The places that a call of `name` reads besides its arguments; `None` unless it is known to have no effects.
    fn called(&self, name: &str, depth: usize) -> Option<Vec<Place>> {
        if self.step.is_plain(name) {
            return Some(Vec::new());
        }
        let definitions = self.macros.get(name);
        if definitions.is_empty() {
            // A pure function may still look at memory.
            return self.step.is_pure(name).then(|| vec![Place::Memory]);
        }
        if depth == 0 || self.accessors().find(name).is_some() {
            return None;
        }
        let mut places = Vec::new();
        for definition in definitions {
            // Without parameters it is another name of a function, or of something else that is called.
            let params = definition.params.as_deref()?;
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
            let is_word = is_name(token);
            match *token {
                "=" | "++" | "--" | "{" | "}" | ";" | "#" | "##" => return None,
                // In generated code it would mean our own variable.
                t if super::OWN_NAMES.contains(&t) => return None,
                t if t.len() > 1 && t.ends_with('=') && !matches!(t, "==" | "!=" | "<=" | ">=") => {
                    return None;
                }
                // A call through a pointer, unless a cast stands before.
                "(" if before == Some("]")
                    || before == Some(")") && !ends_with_type(&tokens[..i]) =>
                {
                    return None;
                }
                "[" => places.push(Place::Memory),
                // Behind a parenthesis it may multiply, or follow a pointer that was cast.
                "*" if before == Some(")") || is_prefix(&tokens[..i]) => places.push(Place::Memory),
                "asm" | "__asm__" | "volatile" | "__volatile__" | "do" | "if" | "for" | "while"
                | "return" | "goto" => return None,
                t if TYPE_WORDS.contains(&t) || matches!(t, "sizeof" | "typeof" | "__typeof__") => {
                }
                t if is_word && matches!(before, Some("->" | ".")) => {
                    if after == Some("(") {
                        return None;
                    }
                    places.push(match params.iter().any(|p| p == t) {
                        true => Place::Memory,
                        false => Place::Member(t.to_owned()),
                    });
                }
                t if is_word && params.iter().any(|p| p == t) && after == Some("(") => return None,
                t if is_word && params.iter().any(|p| p == t) => {}
                t if is_word && after == Some("(") => places.extend(self.called(t, depth)?),
                t if is_word => {
                    let inner = self.expand(t, depth)?;
                    if self.macros.get(t).is_empty() {
                        places.push(Place::Name(t.to_owned()));
                    }
                    places.extend(inner);
                }
                _ => {}
            }
        }
        Some(places)
    }
}

/// Of what a macro takes the address.
#[derive(Debug, Default)]
pub struct Addressed {
    /// Of its arguments.
    pub arguments: bool,
    /// Of objects it names itself.
    pub words: Vec<String>,
}

/// Words that only types are made of.
const TYPE_WORDS: &[&str] = &[
    "struct", "union", "enum", "unsigned", "signed", "const", "void", "char", "short", "int",
    "long", "bool", "_Bool",
];

fn is_name(token: &str) -> bool {
    token
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
}

/// Whether an operator behind `before` has no left operand.
fn is_prefix(before: &[&str]) -> bool {
    match before.last() {
        Some(&")") => ends_with_type(before),
        Some(&token) => token != "]" && !ends_word(token),
        None => true,
    }
}

/// Whether `tokens` end with a type in parentheses.
fn ends_with_type(tokens: &[&str]) -> bool {
    let mut depth = 0usize;
    for (i, token) in tokens.iter().enumerate().rev() {
        match *token {
            ")" => depth += 1,
            "(" if depth == 1 => {
                let inner = &tokens[i + 1..tokens.len() - 1];
                return is_type(inner);
            }
            "(" => depth -= 1,
            _ => {}
        }
    }
    false
}

/// Whether `tokens` spell a type, by words that are known or look like it.
pub fn is_type(tokens: &[&str]) -> bool {
    let number = |t: &str| {
        let t = t.trim_start_matches('_');
        matches!(t.strip_prefix(['u', 's']), Some("8" | "16" | "32" | "64"))
            || matches!(
                t.strip_prefix("le").or(t.strip_prefix("be")),
                Some("16" | "32" | "64")
            )
    };
    let words = tokens.split(|t| *t == "*").next().unwrap_or_default();
    let Some(last) = words.last() else {
        return false;
    };
    let tagged = words.len() > 1 && matches!(words[words.len() - 2], "struct" | "union" | "enum");
    let known = |t: &&str| {
        TYPE_WORDS.contains(t)
            || number(t)
            || t.ends_with("_t")
            || matches!(*t, "__force" | "__iomem" | "__user")
            || matches!(*t, "uchar" | "ushort" | "uint" | "ulong")
            || matches!(*t, "u_char" | "u_short" | "u_int" | "u_long")
    };
    let rest_is_stars = tokens[words.len()..].iter().all(|t| *t == "*" || known(t));
    rest_is_stars && words.iter().all(|t| known(t) || tagged && t == last)
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
