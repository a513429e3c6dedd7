//! `remove-variable`: a variable at file level, with its comment.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::anchor::before_comment;
use super::removal::{Found, declarations, flat_tokens, take_out, whole_lines};
use super::remove_function::c_names;
use super::{Fault, FileOutcome};

/// The keys of the step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    names: Vec<Spanned<String>>,
}

impl Config {
    pub(super) fn compile(self) -> Result<RemoveVariable, Fault> {
        Ok(RemoveVariable {
            names: c_names(self.names, "names")?,
        })
    }
}

/// The step, ready to run.
#[derive(Debug)]
pub struct RemoveVariable {
    names: Vec<String>,
}

impl RemoveVariable {
    /// Removes the variables from one file, unless something that stays uses them.
    pub(super) fn edit(&self, path: &str, text: &[u8]) -> FileOutcome {
        let items = declarations(text);
        let find = |name: &String| {
            let mut found = Found {
                name: name.clone(),
                ranges: Vec::new(),
                at: 0,
                blocked: None,
            };
            for item in items.iter().filter(|i| declares(text, i, name)) {
                found.at = item.start;
                match whole_lines(text, item) {
                    Some(lines) => {
                        let start = before_comment(text, item.start);
                        found.ranges.push(start.min(lines.start)..lines.end);
                    }
                    None => {
                        let reason = "other code stands on its line".to_owned();
                        found.ranges.push(item.clone());
                        found.blocked = Some(("shared-line", reason, item.start));
                    }
                }
            }
            found
        };
        take_out(path, text, self.names.iter().map(find).collect())
    }
}

/// Whether `item` declares `name`, and nothing else.
fn declares(text: &[u8], item: &Range<usize>, name: &str) -> bool {
    let code = &text[item.clone()];
    let tokens: Vec<&[u8]> = flat_tokens(code).into_iter().map(|t| &code[t]).collect();
    let declarator = tokens
        .iter()
        .position(|t| *t == b"=")
        .unwrap_or(tokens.len());
    let at = tokens[..declarator]
        .iter()
        .position(|t| *t == name.as_bytes());
    let alone = !tokens.contains(&&b","[..]) && !tokens[..declarator].contains(&&b"{"[..]);
    at.is_some_and(|at| at > 0 && tokens.get(at + 1) != Some(&&b"("[..])) && alone
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(name: &str, text: &str) -> Option<String> {
        let step = RemoveVariable {
            names: vec![name.to_owned()],
        };
        let text = step.edit("a.c", text.as_bytes()).text?;
        Some(String::from_utf8(text).unwrap())
    }

    #[test]
    fn a_variable_goes_with_its_comment() {
        let text = "int a;\n\n/* set at boot */\nstatic int good[2] __initdata = { 1, 2 }; /* x */\n\nint b;\n";
        assert_eq!(after("good", text).unwrap(), "int a;\n\nint b;\n");
    }

    #[test]
    fn uses_and_lists_of_several_stay() {
        assert_eq!(
            after("a", "static int a;\nint f(void)\n{\n\treturn a;\n}\n"),
            None
        );
        assert_eq!(after("a", "static int a, b;\n"), None);
        assert_eq!(after("a", "static int a(void);\n"), None);
    }
}
