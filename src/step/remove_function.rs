//! `remove-function`: a function with its comment, its prototypes, and the macro calls at file level that register it.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::anchor::before_comment;
use super::removal::{Found, declarations, flat_tokens, line_end, take_out, whole_lines, words};
use super::{Fault, FileOutcome};
use crate::c::functions::functions;
use crate::c::lex;

/// The keys of the step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    names: Vec<Spanned<String>>,
}

impl Config {
    pub(super) fn compile(self) -> Result<RemoveFunction, Fault> {
        Ok(RemoveFunction {
            names: c_names(self.names, "names")?,
        })
    }
}

/// A list of C identifiers that must not be empty.
pub(super) fn c_names(names: Vec<Spanned<String>>, key: &str) -> Result<Vec<String>, Fault> {
    if names.is_empty() {
        return Err(Fault::new(format!("`{key}` is empty")));
    }
    let is_name = |text: &str| !text.is_empty() && text.bytes().all(lex::is_word);
    match names.iter().find(|n| !is_name(n.get_ref())) {
        Some(bad) => Err(Fault::at(
            bad.span(),
            format!("`{}` is not a C name", bad.get_ref()),
        )),
        None => Ok(names.into_iter().map(Spanned::into_inner).collect()),
    }
}

/// The step, ready to run.
#[derive(Debug)]
pub struct RemoveFunction {
    names: Vec<String>,
}

impl RemoveFunction {
    /// Removes the functions from one file, unless something that stays uses them.
    pub(super) fn edit(&self, path: &str, text: &[u8]) -> FileOutcome {
        let spans = functions(text);
        let items = declarations(text);
        let find = |name: &String| {
            let mut found = Found {
                name: name.clone(),
                ranges: Vec::new(),
                at: 0,
                blocked: None,
            };
            for span in spans.iter().filter(|s| s.name == *name) {
                let start = before_comment(text, span.range.start);
                found.ranges.push(start..line_end(text, span.range.end));
                found.at = span.range.start;
            }
            for item in &items {
                if let Some(range) = declares(text, item, name) {
                    if found.ranges.is_empty() {
                        found.at = item.start;
                    }
                    found.ranges.push(range);
                }
            }
            found
        };
        take_out(path, text, self.names.iter().map(find).collect())
    }
}

/// The lines of `item` when it is a prototype of `name`, or a macro call such as `EXPORT_SYMBOL(name);`.
fn declares(text: &[u8], item: &Range<usize>, name: &str) -> Option<Range<usize>> {
    let code = &text[item.clone()];
    if !words(code).any(|w| &code[w.clone()] == name.as_bytes()) {
        return None;
    }
    let tokens = flat_tokens(code);
    let token = |n: usize| tokens.get(n).map(|t| &code[t.clone()]);
    let call = tokens.len() == 3 && token(1) == Some(b"(") && token(2) == Some(b";");
    if call && token(0) != Some(name.as_bytes()) {
        return whole_lines(text, item);
    }
    let at = (0..tokens.len()).find(|n| token(*n) == Some(name.as_bytes()))?;
    let plain = tokens
        .iter()
        .all(|t| !matches!(&code[t.clone()], b"," | b"=" | b"{"));
    if !plain || at == 0 || token(at + 1) != Some(b"(") {
        return None;
    }
    let lines = whole_lines(text, item)?;
    // A comment above may be about several prototypes.
    let last = text[lines.end..line_end(text, lines.end)]
        .trim_ascii()
        .is_empty();
    let start = if last {
        before_comment(text, item.start)
    } else {
        lines.start
    };
    Some(start..lines.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::Verdict;

    fn step(names: &[&str]) -> RemoveFunction {
        RemoveFunction {
            names: names.iter().map(|n| (*n).to_owned()).collect(),
        }
    }

    fn after(names: &[&str], text: &str) -> String {
        let outcome = step(names).edit("a.c", text.as_bytes());
        String::from_utf8(outcome.text.unwrap_or_else(|| text.into())).unwrap()
    }

    #[test]
    fn all_that_belongs_to_it_goes() {
        let text = "static int odd(int x);\nstatic int even(int x);\n\n/*\n * Why.\n */\nstatic int odd(int x)\n{\n\treturn x & 1; /* odd() */\n}\nEXPORT_SYMBOL_GPL(odd);\n\nint other(void)\n{\n\treturn 0;\n}\n";
        assert_eq!(
            after(&["odd"], text),
            "static int even(int x);\n\nint other(void)\n{\n\treturn 0;\n}\n"
        );
    }

    #[test]
    fn what_is_still_used_stays() {
        for user in [
            "int g(void)\n{\n\treturn odd(1);\n}\n",
            "static struct ops o = { .get = odd };\n",
            "int (*p)(int) = odd;\n",
        ] {
            let text = format!("static int odd(int x)\n{{\n\treturn x & 1;\n}}\n\n{user}");
            let outcome = step(&["odd"]).edit("a.c", text.as_bytes());
            assert_eq!(outcome.text, None);
            assert!(
                matches!(&outcome.sites[0].verdict, Verdict::Blocked { code, .. } if code == "still-used")
            );
        }
    }

    #[test]
    fn functions_that_use_each_other_go_together() {
        let text = "static int a(void)\n{\n\treturn 1;\n}\n\nstatic int b(void)\n{\n\treturn a();\n}\n__setup(\"b\", b);\nint c;\n";
        assert_eq!(after(&["a", "b"], text), "int c;\n");
        // `b` is used, so `a` is too.
        let used = format!("{text}int *d = b;\n");
        let outcome = step(&["a", "b"]).edit("a.c", used.as_bytes());
        assert_eq!(outcome.text, None);
    }

    #[test]
    fn a_comment_on_several_prototypes_stays() {
        let text =
            "/* both */\nint a(void);\nint b(void);\n\n/* alone */\nint c(void);\n\nint d(void);\n";
        assert_eq!(
            after(&["a", "c"], text),
            "/* both */\nint b(void);\n\nint d(void);\n"
        );
    }

    #[test]
    fn both_halves_of_a_conditional() {
        let text = "#ifdef CONFIG_X\nstatic int f(void)\n{\n\treturn 1;\n}\n#else\nstatic inline int f(void) { return 0; }\n#endif\n\nint g;\n";
        assert_eq!(after(&["f"], text), "int g;\n");
    }
}
