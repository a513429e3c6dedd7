//! All or nothing: what a recipe must not find when it starts, and what it must not leave behind.

use serde::Deserialize;
use toml::Spanned;

use super::{NameGlobs, load};
use crate::c::edit::line_of;
use crate::step::{Fault, words};

/// `[[refuse]]` as TOML has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RefuseConfig {
    words: Vec<Spanned<String>>,
    because: String,
}

/// Words that a file may not have if the recipe is to touch it.
#[derive(Debug)]
pub struct Refusal {
    words: NameGlobs,
    /// A clause that follows "because".
    pub because: String,
}

impl RefuseConfig {
    pub(super) fn compile(self) -> Result<Refusal, Fault> {
        if self.words.is_empty() {
            return Err(Fault::new("a `[[refuse]]` names no `words`"));
        }
        Ok(Refusal {
            words: load::names(&self.words)?,
            because: self.because,
        })
    }
}

/// An identifier in a file: its line (from 1) and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The line, from 1.
    pub line: usize,
    /// The identifier.
    pub text: String,
}

impl Refusal {
    /// The first word in `text`, outside comments and literals, that refuses it.
    pub fn find(&self, text: &[u8]) -> Option<Word> {
        first(text, &self.words)
    }
}

/// The first identifier of `text`, outside comments and literals, that one of `globs` matches.
pub(super) fn first(text: &[u8], globs: &NameGlobs) -> Option<Word> {
    if globs.is_empty() {
        return None;
    }
    words(text).find_map(|range| {
        let word = std::str::from_utf8(&text[range.clone()]).ok()?;
        globs.is_match(word).then(|| Word {
            line: line_of(text, range.start),
            text: word.to_owned(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_no_words() {
        let globs = NameGlobs::new(&["*napi*"]).unwrap();
        let text = b"/* napi */\nchar *s = \"napi\";\nint a;\n";
        assert_eq!(first(text, &globs), None);
        let word = first(b"int a;\nf(&a->napi_x);\n", &globs).unwrap();
        assert_eq!((word.line, &*word.text), (2, "napi_x"));
        assert_eq!(first(text, &NameGlobs::new::<&str>(&[]).unwrap()), None);
    }
}
