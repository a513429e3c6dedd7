//! The table of kernel idioms: words and what to do with them, as data (`idioms.toml`).

use std::collections::HashMap;
use std::sync::OnceLock;

use serde::Deserialize;

use super::lex;
use crate::{Error, Result};

/// What to do with a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Put these bytes and blanks in its place.
    Replace(Vec<u8>),
    /// Blank it and the group behind it.
    BlankCall,
    /// Blank the group behind it.
    TypeOf,
    /// Replace the content of the group behind it by an empty string literal.
    Assembly,
    /// Blank it before a word or a string.
    Prefix,
}

/// A table of idioms.
#[derive(Debug, Clone)]
pub struct Idioms {
    words: HashMap<Vec<u8>, Action>,
    /// First bytes of the words, to leave most words without a look-up.
    first: [bool; 256],
}

/// The file format of an idiom table.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    blank: Vec<String>,
    blank_call: Vec<String>,
    type_of: Vec<String>,
    assembly: Vec<String>,
    prefix: Vec<String>,
    replace: HashMap<String, String>,
}

impl Idioms {
    /// The table that comes with the program.
    pub fn builtin() -> &'static Self {
        static BUILTIN: OnceLock<Idioms> = OnceLock::new();
        BUILTIN.get_or_init(|| {
            Self::none()
                .and(include_str!("idioms.toml"))
                .expect("the built-in table is tested")
        })
    }

    /// A table without entries: only what depends on the place of a word is masked.
    pub fn none() -> Self {
        Self {
            words: HashMap::new(),
            first: [false; 256],
        }
    }

    /// The built-in table with the entries of `toml` on top (the same format as `src/c/idioms.toml`).
    ///
    /// # Errors
    /// When `toml` is no such table, an entry is not a C identifier, or a replacement is longer than its word.
    pub fn with(toml: &str) -> Result<Self> {
        Self::builtin().clone().and(toml)
    }

    fn and(mut self, toml: &str) -> Result<Self> {
        let table: Table =
            toml::from_str(toml).map_err(|e| Error::usage(format!("bad idiom table: {e}")))?;
        let lists = [
            (table.blank, Action::Replace(Vec::new())),
            (table.blank_call, Action::BlankCall),
            (table.type_of, Action::TypeOf),
            (table.assembly, Action::Assembly),
            (table.prefix, Action::Prefix),
        ];
        for (words, action) in lists {
            for word in words {
                self.add(word, action.clone())?;
            }
        }
        for (word, with) in table.replace {
            if with.len() > word.len() {
                return Err(Error::usage(format!(
                    "bad idiom table: the replacement of `{word}` is longer than the word"
                )));
            }
            self.add(word, Action::Replace(with.into_bytes()))?;
        }
        Ok(self)
    }

    fn add(&mut self, word: String, action: Action) -> Result<()> {
        let bytes = word.as_bytes();
        if bytes.is_empty() || bytes[0].is_ascii_digit() || !bytes.iter().all(|b| lex::is_word(*b))
        {
            return Err(Error::usage(format!(
                "bad idiom table: `{word}` is not a C identifier"
            )));
        }
        self.first[bytes[0] as usize] = true;
        self.words.insert(word.into_bytes(), action);
        Ok(())
    }

    pub(crate) fn action(&self, word: &[u8]) -> Option<&Action> {
        if self.first[word[0] as usize] {
            self.words.get(word)
        } else {
            None
        }
    }
}
