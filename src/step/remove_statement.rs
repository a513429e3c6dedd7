//! `remove-statement`: a statement or declaration, with all that is in it.

use ast_grep_core::Pattern;
use serde::Deserialize;
use toml::Spanned;

use super::remove_call::may_go;
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

/// A pattern that is a statement, and its longest word.
pub(super) fn statement_pattern(text: &Spanned<String>) -> Result<(Pattern, String), Fault> {
    let bad = |message: String| {
        Fault::at(text.span(), format!("bad pattern: {message}"))
            .hint("a pattern is one statement with its `;`, with metavariables like `$A`")
    };
    let pattern = text.get_ref().trim();
    if !pattern.ends_with([';', '}']) {
        return Err(bad(format!("`{pattern}` is not a statement")));
    }
    let word = longest_word(&fixed_text(pattern))
        .ok_or_else(|| bad("it names nothing, so it would match everywhere".into()))?;
    Ok((compile(pattern).map_err(bad)?, word))
}

impl Config {
    pub(super) fn compile(self) -> Result<RemoveStatement, Fault> {
        let (pattern, word) = statement_pattern(&self.pattern)?;
        Ok(RemoveStatement {
            search: Search {
                pattern,
                word,
                functions: crate::recipe::load::names(&self.functions)?,
                drop_comments: true,
            },
            with_comment: self.with_comment,
        })
    }
}

/// The step, ready to run.
#[derive(Debug)]
pub struct RemoveStatement {
    search: Search,
    with_comment: bool,
}

impl RemoveStatement {
    /// Removes every match in the functions of one file; comments inside it do not count.
    pub(super) fn edit(&self, path: &str, text: &[u8]) -> FileOutcome {
        self.search
            .take_out(path, text, self.with_comment, statement)
    }
}

/// The match is the statement.
fn statement<'t>(node: &CNode<'t>) -> Result<CNode<'t>, Refusal> {
    may_go(node)?;
    Ok(node.clone())
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn edit(keys: &str, text: &str) -> FileOutcome {
        let step = toml::from_str::<Config>(keys).unwrap().compile().unwrap();
        step.edit("a.c", text.as_bytes())
    }

    fn after(keys: &str, text: &str) -> String {
        String::from_utf8(edit(keys, text).text.unwrap()).unwrap()
    }

    #[test]
    fn statements_and_declarations_go_with_what_is_in_them() {
        let text = "int f(void)\n{\n\tint i;\n\tint a;\n\n\t/* all */\n\tfor (i = 0; i < 3; i++) {\n\t\t/* why */\n\t\tput(&p->x[i]);\n\t}\n\n\treturn 1;\n}\n";
        let keys = "pattern = 'for (i = $A; $B; $C) { put(&p->x[i]); }'\nwith-comment = true\n";
        let once = after(keys, text);
        assert_eq!(
            once,
            "int f(void)\n{\n\tint i;\n\tint a;\n\n\treturn 1;\n}\n"
        );
        assert_eq!(
            after("pattern = 'int i;'\n", &once),
            "int f(void)\n{\n\tint a;\n\n\treturn 1;\n}\n"
        );
    }

    #[test]
    fn what_holds_others_up_stays() {
        let text = "int f(int a)\n{\n\tif (a)\n\t\ta |= X;\n\treturn a;\n}\n";
        let outcome = edit("pattern = 'a |= X;'\n", text);
        assert!(outcome.text.is_none());
        assert!(
            matches!(&outcome.sites[0].verdict, Verdict::Blocked { code, .. } if code == "sole-body")
        );
    }

    #[test]
    fn an_expression_is_no_statement() {
        let keys = toml::from_str::<Config>("pattern = 'f()'\n").unwrap();
        assert!(
            keys.compile()
                .unwrap_err()
                .message
                .contains("not a statement")
        );
    }
}
