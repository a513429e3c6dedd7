//! `replace-function`: another definition in place of a function's.

use serde::Deserialize;
use toml::Spanned;

use super::anchor::{before_comment, with_line_ends_of};
use super::removal::{blocked, site};
use super::{Fault, FileOutcome, Verdict};
use crate::c::edit::{Edit, apply, line_of};
use crate::c::functions::functions;

/// The keys of the step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    name: String,
    text: Spanned<String>,
}

impl Config {
    pub(super) fn compile(self) -> Result<ReplaceFunction, Fault> {
        let text = self.text.get_ref().trim().to_owned();
        let found = functions(text.as_bytes());
        if !matches!(&found[..], [one] if one.name == self.name && one.range.end == text.len()) {
            return Err(Fault::at(
                self.text.span(),
                format!("this is not one function `{}`", self.name),
            ));
        }
        Ok(ReplaceFunction {
            commented: text.starts_with("/*"),
            name: self.name,
            text,
        })
    }
}

/// The step, ready to run.
#[derive(Debug)]
pub struct ReplaceFunction {
    name: String,
    text: String,
    /// The text brings a comment, which replaces the old one.
    commented: bool,
}

impl ReplaceFunction {
    /// Replaces the function in one file.
    pub(super) fn edit(&self, path: &str, text: &[u8]) -> FileOutcome {
        let mut outcome = FileOutcome::default();
        let found: Vec<_> = functions(text)
            .into_iter()
            .filter(|f| f.name == self.name)
            .collect();
        let Some(first) = found.first() else {
            return outcome;
        };
        let start = match self.commented {
            true => before_comment(text, first.range.start),
            false => first.range.start,
        };
        let with = with_line_ends_of(text, &self.text);
        let range = start..first.range.end;
        if text[range.clone()] == with[..] {
            outcome.already = 1;
            return outcome;
        }
        let line = line_of(text, first.range.start);
        let verdict = if found.len() > 1 {
            let reason = format!("`{}` is defined {} times", self.name, found.len());
            blocked("several", &reason, line)
        } else {
            outcome.text = Some(apply(text, vec![Edit { range, with }]));
            Verdict::Rewritten
        };
        outcome.sites.push(site(path, line, &self.name, verdict));
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(text: &str) -> Result<ReplaceFunction, Fault> {
        let keys = format!("name = 'f'\ntext = '''\n{text}'''\n");
        toml::from_str::<Config>(&keys).unwrap().compile()
    }

    #[test]
    fn once_and_with_the_comment_it_brings() {
        let text = b"/* old */\nstatic int f(void)\n{\n\treturn 1 + 1;\n}\n\nint a;\n";
        let plain = step("static int f(void)\n{\n\treturn 2;\n}\n").unwrap();
        let once = plain.edit("a.c", text).text.unwrap();
        assert_eq!(
            once,
            b"/* old */\nstatic int f(void)\n{\n\treturn 2;\n}\n\nint a;\n"
        );
        let again = plain.edit("a.c", &once);
        assert_eq!((again.text, again.already), (None, 1));
        let new = step("/* new */\nstatic int f(void)\n{\n\treturn 2;\n}\n").unwrap();
        let after = new.edit("a.c", text).text.unwrap();
        assert!(after.starts_with(b"/* new */\nstatic"));
    }

    #[test]
    fn another_function_is_refused() {
        assert!(step("int g(void)\n{\n}\n").is_err());
        assert!(step("int f(void);\n").is_err());
    }
}
