//! `remove-directive`: macros and includes that nothing needs any more. `replace-define`: another body for a macro.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::anchor::{before_comment, with_line_ends_of};
use super::removal::{Found, blocked, line_end, site, take_out};
use super::remove_function::c_names;
use super::{Fault, FileOutcome, Verdict};
use crate::c::edit::{Edit, apply, line_of};
use crate::c::lex;

/// The keys of `remove-directive`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RemoveConfig {
    #[serde(default)]
    defines: Vec<Spanned<String>>,
    #[serde(default)]
    includes: Vec<Spanned<String>>,
}

impl RemoveConfig {
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

/// The keys of `replace-define`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReplaceConfig {
    name: String,
    text: Spanned<String>,
}

impl ReplaceConfig {
    pub(super) fn compile(self) -> Result<ReplaceDefine, Fault> {
        let text = self.text.get_ref().trim();
        let start = lex::skip_blank(text.as_bytes(), 0);
        let lines = lex::directives(text.as_bytes());
        let one = matches!(&lines[..], [line] if *line == (start..text.len()));
        if !one || defined(text.as_bytes(), &(start..text.len())) != Some(self.name.as_str()) {
            return Err(Fault::at(
                self.text.span(),
                format!("this is not one `#define {}`", self.name),
            ));
        }
        Ok(ReplaceDefine {
            commented: start > 0,
            text: text.to_owned(),
            name: self.name,
        })
    }
}

/// The step `replace-define`, ready to run.
#[derive(Debug)]
pub struct ReplaceDefine {
    name: String,
    text: String,
    /// The text brings a comment, which replaces those right above.
    commented: bool,
}

impl ReplaceDefine {
    /// Replaces the macro's one definition in a file.
    pub(super) fn edit(&self, path: &str, text: &[u8]) -> FileOutcome {
        let mut outcome = FileOutcome::default();
        let all = lex::directives(text);
        let lines: Vec<&Range<usize>> = all
            .iter()
            .filter(|l| defined(text, l) == Some(self.name.as_str()))
            .collect();
        let with = with_line_ends_of(text, &self.text);
        let Some(first) = lines.first() else {
            return outcome;
        };
        let range = self.place(text, first);
        if lines.len() == 1 && text[range.clone()] == with[..] {
            outcome.already = 1;
            return outcome;
        }
        let line = line_of(text, first.start);
        let verdict = if lines.len() > 1 {
            let reason = format!("`{}` is defined {} times", self.name, lines.len());
            blocked("several", &reason, line)
        } else {
            outcome.text = Some(apply(text, vec![Edit { range, with }]));
            Verdict::Rewritten
        };
        outcome.sites.push(site(path, line, &self.name, verdict));
        outcome
    }
}

impl ReplaceDefine {
    /// What is replaced: the line, and the comments above it when there is a new one.
    fn place(&self, text: &[u8], line: &Range<usize>) -> Range<usize> {
        let mut start = line.start;
        if self.commented {
            let mut above = before_comment(text, start);
            while above < start {
                start = above;
                above = before_comment(text, start);
            }
        }
        start..line.end
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
fn defined<'t>(text: &'t [u8], line: &Range<usize>) -> Option<&'t str> {
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

    #[test]
    fn a_new_comment_replaces_the_old_ones() {
        let keys = "name = 'W'\ntext = '''\n/* new */\n#define W 1\n'''\n";
        let step = toml::from_str::<ReplaceConfig>(keys)
            .unwrap()
            .compile()
            .unwrap();
        let once = step
            .edit("a.c", b"int a;\n/* old */\n/* older */\n#define W 2\n")
            .text
            .unwrap();
        assert_eq!(once, b"int a;\n/* new */\n#define W 1\n");
        assert_eq!(step.edit("a.c", &once).already, 1);
    }

    #[test]
    fn one_definition_is_replaced() {
        let step = ReplaceDefine {
            name: "W".into(),
            commented: false,
            text: "#define W(a)\tw(a)".into(),
        };
        let once = step.edit(
            "a.c",
            b"#define W(a) do { \\\n\tw(a); \\\n} while (0)\nint b;\n",
        );
        let text = once.text.unwrap();
        assert_eq!(text, b"#define W(a)\tw(a)\nint b;\n");
        let again = step.edit("a.c", &text);
        assert_eq!((again.text, again.already), (None, 1));
        let twice = step.edit("a.c", b"#if A\n#define W 1\n#else\n#define W 2\n#endif\n");
        assert_eq!(twice.text, None);
        assert!(
            matches!(&twice.sites[0].verdict, Verdict::Blocked { code, .. } if code == "several")
        );
    }
}
