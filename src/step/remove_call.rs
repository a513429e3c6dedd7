//! `remove-call`: a call that stands as a statement, or the whole `if` whose condition it is.

use serde::Deserialize;
use toml::Spanned;

use super::rewrite::{compile, fixed_text, longest_word};
use super::search::{CNode, Refusal, Search};
use super::{Fault, FileOutcome};

/// The keys of the step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    pattern: Spanned<String>,
    #[serde(default)]
    functions: Vec<Spanned<String>>,
    /// The comment right above goes too.
    #[serde(default)]
    with_comment: bool,
}

impl Config {
    pub(super) fn compile(self) -> Result<RemoveCall, Fault> {
        let bad = |message: String| {
            Fault::at(self.pattern.span(), format!("bad pattern: {message}"))
                .hint("a pattern is one call, with metavariables like `$A` or `$$$ARGS`")
        };
        let text = self.pattern.get_ref().trim().trim_end_matches(';');
        let word = longest_word(&fixed_text(text))
            .ok_or_else(|| bad("it names nothing, so it would match everywhere".into()))?;
        if !text.ends_with(')') {
            return Err(bad(format!("`{text}` is not a call")));
        }
        Ok(RemoveCall {
            search: Search {
                pattern: compile(text).map_err(bad)?,
                word,
                functions: crate::recipe::load::names(&self.functions)?,
            },
            with_comment: self.with_comment,
        })
    }
}

/// The step, ready to run.
#[derive(Debug)]
pub struct RemoveCall {
    search: Search,
    with_comment: bool,
}

impl RemoveCall {
    /// Removes every match in the functions of one file whose value nothing but an `if` looks at.
    pub(super) fn edit(&self, path: &str, text: &[u8]) -> FileOutcome {
        self.search
            .take_out(path, text, self.with_comment, statement)
    }
}

/// The statement that goes with the call `node`.
fn statement<'t>(node: &CNode<'t>) -> Result<CNode<'t>, Refusal> {
    let value = ("value-used", "something other than an `if` uses its value");
    let mut inner = node.clone();
    let statement = loop {
        let parent = inner.parent().ok_or(value)?;
        match &*parent.kind() {
            "expression_statement" => {
                let alone = inner.range() == node.range() || inner.kind() == "cast_expression";
                break if alone { parent } else { return Err(value) };
            }
            "if_statement" => {
                let condition = parent.field("condition").map(|c| c.range());
                if condition != Some(inner.range()) {
                    return Err(value);
                }
                if parent.field("alternative").is_some() {
                    return Err(("else", "the `if` has an `else`"));
                }
                break parent;
            }
            "parenthesized_expression" | "unary_expression" | "cast_expression" => inner = parent,
            "binary_expression" => {
                let other = parent
                    .field("left")
                    .filter(|l| l.range() != inner.range())
                    .or_else(|| parent.field("right"));
                if !other.is_some_and(|o| is_constant(&o)) {
                    return Err(("condition", "the condition asks for something else too"));
                }
                inner = parent;
            }
            _ => return Err(value),
        }
    };
    may_go(&statement)?;
    Ok(statement)
}

/// Whether `statement` can be taken out: nothing that others need lies in it, and what is around it stays right.
fn may_go(statement: &CNode<'_>) -> Result<(), Refusal> {
    for inside in statement.dfs() {
        if inside.kind() == "labeled_statement" {
            return Err(("label", "a label in it would be lost"));
        }
        if inside.kind().starts_with("preproc_") {
            return Err(("preprocessor", "a preprocessor line lies inside it"));
        }
    }
    may_be_missing(statement)
}

fn is_constant(node: &CNode<'_>) -> bool {
    let text = node.text();
    match &*node.kind() {
        "number_literal" | "null" | "true" | "false" => true,
        "identifier" => text
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'),
        "unary_expression" => {
            text.starts_with('-') && node.children().skip(1).all(|c| is_constant(&c))
        }
        _ => false,
    }
}

/// Whether what is around `statement` stays right without it.
fn may_be_missing(statement: &CNode<'_>) -> Result<(), Refusal> {
    let parent = statement
        .parent()
        .ok_or(("value-used", "it is no statement"))?;
    let others = |of: &CNode<'_>, but: &CNode<'_>| {
        of.children()
            .filter(|c| c.is_named() && c.kind() != "comment" && c.range() != but.range())
            .count()
    };
    match &*parent.kind() {
        "compound_statement" => {
            let in_function = parent
                .parent()
                .is_some_and(|p| p.kind() == "function_definition");
            if in_function || others(&parent, statement) > 0 {
                Ok(())
            } else {
                Err(("empty-body", "it is all there is between its braces"))
            }
        }
        "labeled_statement" => {
            let follows = parent
                .next_all()
                .find(|n| n.is_named() && n.kind() != "comment");
            match follows {
                Some(next) if next.kind() != "declaration" => Ok(()),
                _ => Err(("label", "a label would be left without a statement")),
            }
        }
        "case_statement" => {
            let after = statement
                .next_all()
                .any(|n| n.is_named() && n.kind() != "comment");
            if after {
                Ok(())
            } else {
                Err(("label", "it ends a `case`"))
            }
        }
        "preproc_if" | "preproc_ifdef" | "preproc_else" | "preproc_elif" => Ok(()),
        _ => Err(("sole-body", "it is all that a condition or loop controls")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn after(pattern: &str, body: &str) -> Result<String, String> {
        let keys = format!("pattern = '''{pattern}'''\n");
        let step = toml::from_str::<Config>(&keys).unwrap().compile().unwrap();
        let text = format!("int f(int a)\n{{\n{body}}}\n");
        let outcome = step.edit("a.c", text.as_bytes());
        let refused = outcome.sites.iter().find_map(|s| match &s.verdict {
            Verdict::Blocked { code, .. } => Some(code.clone()),
            Verdict::Rewritten => None,
        });
        match (refused, outcome.text) {
            (Some(code), None) => Err(code),
            (None, Some(new)) => {
                let new = String::from_utf8(new).unwrap();
                Ok(new["int f(int a)\n{\n".len()..new.len() - 2].to_owned())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn statements_and_their_ifs_go() {
        assert_eq!(
            after("c()", "\ta = 1;\n\n\tc();\n\n\treturn a;\n"),
            Ok("\ta = 1;\n\n\treturn a;\n".into())
        );
        assert_eq!(
            after("c($A)", "\t(void)c(a);\n\treturn a;\n"),
            Ok("\treturn a;\n".into())
        );
        let guarded =
            "\ta = 1;\n\n\tif (c() != 0){\n\t\ta = 0;\n\t\treturn -ENODEV;\n\t}\n\n\treturn a;\n";
        assert_eq!(
            after("c()", guarded),
            Ok("\ta = 1;\n\n\treturn a;\n".into())
        );
        assert_eq!(
            after("c()", "\tif (unlikely(!c()))\n\t\treturn 1;\n\treturn a;\n"),
            Err("value-used".into())
        );
        assert_eq!(
            after("c()", "\tif (!c())\n\t\treturn 1;\n\treturn a;\n"),
            Ok("\treturn a;\n".into())
        );
    }

    #[test]
    fn labels_keep_a_statement() {
        let text = "\tgoto ok;\nok:\n\tif (c() != 0)\n\t\treturn 1;\n\n\treturn a;\n";
        assert_eq!(
            after("c()", text),
            Ok("\tgoto ok;\nok:\n\treturn a;\n".into())
        );
        assert_eq!(
            after("c()", "\tgoto ok;\nok:\n\tc();\n"),
            Err("label".into())
        );
        assert_eq!(
            after("c()", "\tswitch (a) {\n\tcase 1:\n\t\tc();\n\t}\n"),
            Err("label".into())
        );
        assert_eq!(
            after(
                "c()",
                "\tswitch (a) {\n\tcase 1:\n\t\tc();\n\t\tbreak;\n\t}\n"
            ),
            Ok("\tswitch (a) {\n\tcase 1:\n\t\tbreak;\n\t}\n".into())
        );
    }

    #[test]
    fn what_would_leave_a_hole_stays() {
        assert_eq!(
            after("c()", "\tif (a)\n\t\tc();\n"),
            Err("sole-body".into())
        );
        assert_eq!(
            after("c()", "\tif (a) {\n\t\tc();\n\t}\n"),
            Err("empty-body".into())
        );
        assert_eq!(
            after("c()", "\tif (c())\n\t\treturn 1;\n\telse\n\t\ta = 2;\n"),
            Err("else".into())
        );
        assert_eq!(
            after("c()", "\tif (c() && a)\n\t\treturn 1;\n"),
            Err("condition".into())
        );
        assert_eq!(after("c()", "\ta = c();\n"), Err("value-used".into()));
        assert_eq!(after("c()", "\ta = 1; c();\n"), Err("shared-line".into()));
    }
}
