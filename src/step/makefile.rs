//! `makefile-add`: an object that a Kconfig symbol switches.

use serde::Deserialize;
use toml::Spanned;

use super::anchor::{self, Anchor, OneOrMany};
use super::insert::{no_anchor, plain_path, read};
use super::{Context, Fault, Outcome};
use crate::Result;

/// The keys of the step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    file: Spanned<String>,
    config: Spanned<String>,
    object: Spanned<String>,
    after: Option<OneOrMany>,
}

impl Config {
    pub(super) fn compile(self) -> Result<MakefileAdd, Fault> {
        let symbol = self.config.get_ref();
        if symbol.starts_with("CONFIG_")
            || !symbol
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_')
        {
            return Err(Fault::at(
                self.config.span(),
                format!("`{symbol}` is not a Kconfig symbol"),
            )
            .hint("write the symbol without `CONFIG_`"));
        }
        if !self.object.get_ref().ends_with(".o") && !self.object.get_ref().ends_with('/') {
            return Err(Fault::at(
                self.object.span(),
                format!("`{}` is not an object", self.object.get_ref()),
            )
            .hint("name an object file `x.o` or a folder `x/`"));
        }
        Ok(MakefileAdd {
            file: plain_path(self.file)?,
            line: format!(
                "obj-$(CONFIG_{}) += {}\n",
                self.config.get_ref(),
                self.object.get_ref()
            ),
            after: self.after.map(Anchor::After),
        })
    }
}

/// The step, ready to run.
#[derive(Debug)]
pub struct MakefileAdd {
    file: String,
    line: String,
    after: Option<Anchor>,
}

impl MakefileAdd {
    pub(super) fn run(&self, context: &Context<'_>) -> Result<Outcome> {
        let text = read(context, &self.file, "makefile-add")?;
        if anchor::has_lines(&text, &self.line) {
            return Ok(Outcome {
                already: 1,
                ..Outcome::default()
            });
        }
        let offset = match &self.after {
            Some(anchor) => anchor
                .find(&text)
                .map_err(|reason| no_anchor(context, &self.file, &reason))?,
            None => after_last_object(&text),
        };
        let text = anchor::insert_at(&text, offset, &self.line);
        Ok(Outcome {
            files: vec![(self.file.clone(), Some(text))],
            changed: 1,
            ..Outcome::default()
        })
    }
}

/// Behind the last `obj-… +=` that always counts: outside conditionals, its continuation lines included.
fn after_last_object(text: &[u8]) -> usize {
    let mut place = text.len();
    let mut depth = 0_usize;
    let mut in_object = false;
    let mut at = 0;
    for line in text.split_inclusive(|b| *b == b'\n') {
        at += line.len();
        let words = line.trim_ascii();
        if !in_object {
            if words.starts_with(b"ifeq")
                || words.starts_with(b"ifneq")
                || words.starts_with(b"ifdef")
                || words.starts_with(b"ifndef")
            {
                depth += 1;
            } else if words.starts_with(b"endif") {
                depth = depth.saturating_sub(1);
            }
        }
        let continues = words.ends_with(b"\\");
        if in_object || (depth == 0 && words.starts_with(b"obj-")) {
            in_object = continues;
            place = at;
        }
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditionals_and_continuations_are_passed() {
        let text = b"obj-y += a.o \\\n\tb.o\nifdef X\nobj-y += c.o\nendif\nhostprogs := x\n";
        assert_eq!(after_last_object(text), 20);
        assert_eq!(after_last_object(b"x := 1\n"), 7);
    }
}
