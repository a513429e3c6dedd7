//! `insert-statement`: lines in front of or behind a statement that is there.

use serde::Deserialize;
use toml::Spanned;

use super::anchor::with_line_ends_of;
use super::removal::{blocked, line_start, site, whole_lines};
use super::remove_statement::statement_pattern;
use super::search::{Search, within};
use super::{Fault, FileOutcome, Verdict};
use crate::c::edit::{Edit, apply, line_of};

/// The keys of the step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    after: Option<Spanned<String>>,
    before: Option<Spanned<String>>,
    functions: Vec<Spanned<String>>,
    text: Spanned<String>,
}

impl Config {
    pub(super) fn compile(self) -> Result<InsertStatement, Fault> {
        let (anchor, behind) = match (&self.after, &self.before) {
            (Some(after), None) => (after, true),
            (None, Some(before)) => (before, false),
            _ => return Err(Fault::new("give one of `after` and `before`")),
        };
        let (pattern, word) = statement_pattern(anchor)?;
        let text = self.text.get_ref().trim_matches('\n');
        if text.trim().is_empty() {
            return Err(Fault::at(self.text.span(), "`text` is empty"));
        }
        if self.functions.is_empty() {
            return Err(Fault::new("`functions` is empty"));
        }
        Ok(InsertStatement {
            search: Search {
                pattern,
                word,
                functions: crate::recipe::load::names(&self.functions)?,
                drop_comments: true,
            },
            behind,
            text: text.to_owned(),
        })
    }
}

/// The step, ready to run.
#[derive(Debug)]
pub struct InsertStatement {
    search: Search,
    behind: bool,
    text: String,
}

impl InsertStatement {
    /// Inserts the lines, as deep as the statement stands, where it stands once in a function of one file.
    pub(super) fn edit(&self, path: &str, text: &[u8]) -> FileOutcome {
        let mut outcome = FileOutcome::default();
        let mut edits = Vec::new();
        self.search.each(text, |function, found, broken| {
            let first = &found[0];
            let range = within(function, &first.range());
            let line = line_of(text, range.start);
            // Elsewhere the new lines would be outside of what controls the statement.
            let in_block = first
                .parent()
                .is_some_and(|p| p.kind() == "compound_statement");
            let verdict = match whole_lines(text, &range) {
                _ if broken => blocked("parse-error", "the function does not parse", line),
                _ if found.len() > 1 => {
                    let reason = format!("the statement stands there {} times", found.len());
                    blocked("several", &reason, line)
                }
                _ if !in_block => {
                    let reason = "the statement does not stand in a block by itself";
                    blocked("sole-body", reason, line)
                }
                None => blocked("shared-line", "other code stands on the same line", line),
                Some(lines) => {
                    let indent = &text[line_start(text, range.start)..range.start];
                    let with = with_line_ends_of(text, &self.lines(indent));
                    let (at, there) = match self.behind {
                        true => (lines.end, text[lines.end..].starts_with(&with)),
                        false => (lines.start, text[..lines.start].ends_with(&with)),
                    };
                    if there {
                        outcome.already += 1;
                        return;
                    }
                    edits.push(Edit {
                        range: at..at,
                        with,
                    });
                    Verdict::Rewritten
                }
            };
            outcome
                .sites
                .push(site(path, line, &function.name, verdict));
        });
        if !edits.is_empty() {
            outcome.text = Some(apply(text, edits));
        }
        outcome
    }

    fn lines(&self, indent: &[u8]) -> String {
        let indent = String::from_utf8_lossy(indent);
        let line = |l: &str| match l.is_empty() {
            true => "\n".to_owned(),
            false => format!("{indent}{l}\n"),
        };
        self.text.lines().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"void f(int a)\n{\n\tset(1); /* x */\n\n\tif (a)\n\t\tput();\n}\n";

    fn edit(keys: &str, text: &[u8]) -> FileOutcome {
        let keys = format!("{keys}functions = ['f']\ntext = \"/* why */\\nwait();\\n\"\n");
        let step = toml::from_str::<Config>(&keys).unwrap().compile().unwrap();
        step.edit("a.c", text)
    }

    #[test]
    fn lines_stand_where_they_are_wanted() {
        let after = edit("after = 'set(1);'\n", TEXT).text.unwrap();
        let wanted = "void f(int a)\n{\n\tset(1); /* x */\n\t/* why */\n\twait();\n\n\tif (a)\n\t\tput();\n}\n";
        assert_eq!(String::from_utf8_lossy(&after), wanted);
        let again = edit("after = 'set(1);'\n", &after);
        assert_eq!((again.text, again.already), (None, 1));
        let before = edit("before = 'if (a) put();'\n", TEXT).text.unwrap();
        assert_eq!(
            String::from_utf8_lossy(&before),
            wanted
                .replace("\n\n\tif", "\n\tif")
                .replace("x */\n", "x */\n\n")
        );
    }

    #[test]
    fn not_below_a_condition() {
        let outcome = edit("after = 'put();'\n", TEXT);
        assert!(outcome.text.is_none() && !outcome.sites[0].is_rewritten());
    }
}
