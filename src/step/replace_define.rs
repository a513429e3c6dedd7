//! `replace-define`: another body for a macro.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::anchor::{before_comment, with_line_ends_of};
use super::removal::{blocked, site};
use super::remove_directive::defined;
use super::{Fault, FileOutcome, Verdict};
use crate::c::edit::{Edit, apply, line_of};
use crate::c::lex;

/// The keys of `replace-define`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    name: String,
    text: Spanned<String>,
    /// The header that the new body needs, such as `linux/io.h`.
    include: Option<String>,
}

impl Config {
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
            include: self.include,
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
    include: Option<String>,
}

impl ReplaceDefine {
    /// The header that a changed file must include.
    pub(super) fn include(&self) -> Option<&str> {
        self.include.as_deref()
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_comment_replaces_the_old_ones() {
        let keys = "name = 'W'\ntext = '''\n/* new */\n#define W 1\n'''\n";
        let step = toml::from_str::<Config>(keys).unwrap().compile().unwrap();
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
            include: None,
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
