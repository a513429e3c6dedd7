//! `kconfig-add`: a symbol in a Kconfig file.

use serde::Deserialize;
use toml::Spanned;

use super::anchor::{self, Anchor, OneOrMany};
use super::insert::{no_anchor, plain_path, read};
use super::{Context, Fault, Outcome, Text};
use crate::recipe::Assets;
use crate::{Error, Result};

/// The keys of `kconfig-add`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AddConfig {
    file: Spanned<String>,
    symbol: String,
    after_symbol: Option<OneOrMany>,
    after: Option<OneOrMany>,
    before: Option<OneOrMany>,
    #[serde(default)]
    at_end: bool,
    text: Option<Spanned<String>>,
    template: Option<Spanned<String>>,
}

impl AddConfig {
    pub(super) fn compile(self, assets: &Assets) -> Result<KconfigAdd, Fault> {
        let Self {
            file,
            symbol,
            after_symbol,
            after,
            before,
            at_end,
            text,
            template,
        } = self;
        let place = match after_symbol {
            Some(symbols) if after.is_none() && before.is_none() && !at_end => {
                Place::AfterSymbol(symbols)
            }
            Some(_) => {
                return Err(Fault::new(
                    "`after-symbol` and another anchor exclude each other",
                ));
            }
            None => Place::Anchor(Anchor::compile(after, before, None, None, at_end)?),
        };
        Ok(KconfigAdd {
            file: plain_path(file)?,
            symbol,
            place,
            text: Text::compile(text, template, assets)?,
        })
    }
}

#[derive(Debug)]
enum Place {
    AfterSymbol(OneOrMany),
    Anchor(Anchor),
}

/// The step `kconfig-add`, ready to run.
#[derive(Debug)]
pub struct KconfigAdd {
    file: String,
    symbol: String,
    place: Place,
    text: Text,
}

impl KconfigAdd {
    pub(super) fn run(&self, context: &Context<'_>) -> Result<Outcome> {
        let text = read(context, &self.file, "kconfig-add")?;
        let addition = self.text.render(context)?;
        if entry(&text, &self.symbol).is_some() {
            if anchor::has_lines(&text, addition.trim_start_matches('\n')) {
                return Ok(Outcome {
                    already: 1,
                    ..Outcome::default()
                });
            }
            let name = &context.recipe.name;
            return Err(Error::failed(format!(
                "{name}: {} defines {} already, differently",
                self.file, self.symbol
            ))
            .at(context.overlay.tree().root().join(&self.file), 0, 0)
            .hint(
                "another version of this recipe was applied before: start from the tree without it",
            ));
        }
        let offset = match &self.place {
            Place::Anchor(anchor) => anchor.find(&text),
            Place::AfterSymbol(symbols) => symbols
                .texts()
                .iter()
                .find_map(|symbol| entry(&text, symbol).map(|(_, end)| end))
                .ok_or_else(|| format!("it does not define {}", symbols.texts().join(" or "))),
        };
        let offset = offset.map_err(|reason| no_anchor(context, &self.file, &reason))?;
        let text = anchor::insert_at(&text, offset, &separated(&text, offset, &addition));
        Ok(Outcome {
            files: vec![(self.file.clone(), Some(text))],
            changed: 1,
            ..Outcome::default()
        })
    }
}

/// One empty line on either side.
fn separated(text: &[u8], offset: usize, addition: &str) -> String {
    let blank_before =
        text[..offset].ends_with(b"\n\n") || text[..offset].ends_with(b"\n\r\n") || offset == 0;
    let blank_after = offset == text.len() || matches!(text[offset], b'\n' | b'\r');
    let before = if blank_before { "" } else { "\n" };
    let after = if blank_after { "" } else { "\n" };
    format!("{before}{}\n{after}", addition.trim_matches('\n'))
}

/// The entry `config SYMBOL` or `menuconfig SYMBOL`: from its first line to the start of what follows it.
pub(super) fn entry(text: &[u8], symbol: &str) -> Option<(usize, usize)> {
    let mut start = None;
    let mut at = 0;
    for line in text.split_inclusive(|b| *b == b'\n') {
        let here = at;
        at += line.len();
        let indented = line.first().is_some_and(|b| matches!(b, b' ' | b'\t'));
        let blank = line.trim_ascii().is_empty();
        match start {
            // A comment at the margin belongs to what follows.
            Some(start) if !indented && !blank => return Some((start, here)),
            Some(_) => {}
            None => {
                let mut words = line
                    .split(u8::is_ascii_whitespace)
                    .filter(|w| !w.is_empty());
                let keyword = words.next();
                if (keyword == Some(b"config") || keyword == Some(b"menuconfig"))
                    && words.next() == Some(symbol.as_bytes())
                {
                    start = Some(here);
                }
            }
        }
    }
    start.map(|start| (start, text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] =
        b"config A\n\tbool \"a\"\n\thelp\n\t  Words.\n\n\t  More.\n\n# next\nconfig B\n\tbool\n";

    #[test]
    fn an_entry_ends_where_the_next_begins() {
        let (start, end) = entry(TEXT, "A").unwrap();
        assert_eq!(start, 0);
        assert!(TEXT[end..].starts_with(b"# next"));
        assert_eq!(entry(TEXT, "B").unwrap().1, TEXT.len());
        assert_eq!(entry(TEXT, "C"), None);
    }

    #[test]
    fn one_empty_line_on_either_side() {
        let (_, end) = entry(TEXT, "A").unwrap();
        assert_eq!(
            separated(TEXT, end, "\nconfig X\n\tbool\n"),
            "config X\n\tbool\n\n"
        );
        assert_eq!(separated(b"config A\n", 9, "config X\n"), "\nconfig X\n");
    }
}
