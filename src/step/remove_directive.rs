//! `remove-directive`: macros and includes that nothing needs any more.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::anchor::before_comment;
use super::removal::{Found, line_end, take_out};
use super::remove_function::c_names;
use super::{Fault, FileOutcome};
use crate::c::lex;

/// The keys of `remove-directive`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    #[serde(default)]
    defines: Vec<Spanned<String>>,
    #[serde(default)]
    includes: Vec<Spanned<String>>,
}

impl Config {
    pub(super) fn compile(self) -> Result<RemoveDirective, Fault> {
        if self.defines.is_empty() && self.includes.is_empty() {
            return Err(Fault::new("give `defines`, `includes` or both"));
        }
        if let Some(bad) = self
            .includes
            .iter()
            .find(|i| i.get_ref().contains(['<', '>', '"']))
        {
            return Err(Fault::at(
                bad.span(),
                "an include is given without its brackets",
            ));
        }
        let defines = match self.defines.is_empty() {
            true => Vec::new(),
            false => c_names(self.defines, "defines")?,
        };
        Ok(RemoveDirective {
            defines,
            includes: self.includes.into_iter().map(Spanned::into_inner).collect(),
        })
    }
}

/// The step `remove-directive`, ready to run.
#[derive(Debug)]
pub struct RemoveDirective {
    defines: Vec<String>,
    includes: Vec<String>,
}

impl RemoveDirective {
    /// Removes the macros from one file unless they are still used in it, and the includes in any case.
    pub(super) fn edit(&self, path: &str, text: &[u8]) -> FileOutcome {
        let lines = lex::directives(text);
        let mut found = Vec::new();
        for line in &lines {
            let name = match (defined(text, line), included(text, line)) {
                (Some(name), _) if self.defines.iter().any(|d| d == name) => name,
                (_, Some(name)) if self.includes.iter().any(|i| i == name) => name,
                _ => continue,
            };
            let start = before_comment(text, line.start);
            let range = start..line_end(text, line.end);
            let known = found.iter_mut().find(|f: &&mut Found| f.name == name);
            match known {
                Some(one) => one.ranges.push(range),
                None => found.push(Found {
                    name: name.to_owned(),
                    ranges: vec![range],
                    at: line.start,
                    blocked: None,
                }),
            }
        }
        take_out(path, text, found)
    }
}

/// The word behind the directive's name, when that is `keyword`.
fn argument<'t>(text: &'t [u8], line: &Range<usize>, keyword: &[u8]) -> Option<&'t [u8]> {
    let rest = text[line.clone()].strip_prefix(b"#")?.trim_ascii_start();
    let rest = rest.strip_prefix(keyword)?;
    let blank = rest.first().is_some_and(|b| !lex::is_word(*b));
    blank.then(|| rest.trim_ascii_start())
}

/// The name that the line defines.
pub(super) fn defined<'t>(text: &'t [u8], line: &Range<usize>) -> Option<&'t str> {
    let rest = argument(text, line, b"define")?;
    std::str::from_utf8(&rest[..lex::word_end(rest, 0)]).ok()
}

/// The header that the line includes.
fn included<'t>(text: &'t [u8], line: &Range<usize>) -> Option<&'t str> {
    let rest = argument(text, line, b"include")?;
    let close = match rest.first()? {
        b'<' => b'>',
        b'"' => b'"',
        _ => return None,
    };
    let end = memchr::memchr(close, &rest[1..])?;
    std::str::from_utf8(&rest[1..=end]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remove(defines: &[&str], includes: &[&str], text: &str) -> Option<String> {
        let own = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        let step = RemoveDirective {
            defines: own(defines),
            includes: own(includes),
        };
        let text = step.edit("a.c", text.as_bytes()).text?;
        Some(String::from_utf8(text).unwrap())
    }

    #[test]
    fn macros_and_includes_go_with_the_conditional_around_them() {
        let text = "#include <a.h>\n\n#ifdef X\n#include \"t.h\"\n/* per second */\n#define RATE \\\n\t(1 + 2)\n#else\n#define check() (0)\n#endif\n\nint a;\n";
        let after = remove(&["RATE", "check"], &["t.h"], text);
        assert_eq!(after.unwrap(), "#include <a.h>\n\nint a;\n");
    }

    #[test]
    fn a_macro_in_use_stays() {
        assert_eq!(
            remove(&["RATE"], &[], "#define RATE 1\n#define TWICE (2 * RATE)\n"),
            None
        );
        let both = remove(
            &["RATE", "TWICE"],
            &[],
            "#define RATE 1\n#define TWICE (2 * RATE)\n",
        );
        assert_eq!(both.unwrap(), "");
    }
}
