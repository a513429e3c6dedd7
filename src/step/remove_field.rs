//! `remove-field`: a member of a structure, with its comment and its line in the structure's kernel-doc.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::anchor::before_comment;
use super::removal::{
    Found, cut, declarations, flat_tokens, line_end, line_start, site, whole_lines, words,
};
use super::remove_function::c_names;
use super::{Fault, FileOutcome, Verdict};
use crate::c::edit::line_of;
use crate::c::lex;
use crate::step::removal::blocked;

/// The keys of the step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    r#struct: Spanned<String>,
    fields: Vec<Spanned<String>>,
}

impl Config {
    pub(super) fn compile(self) -> Result<RemoveField, Fault> {
        let mut structs = c_names(vec![self.r#struct], "struct")?;
        Ok(RemoveField {
            structure: structs.remove(0),
            fields: c_names(self.fields, "fields")?,
        })
    }
}

/// The step, ready to run.
#[derive(Debug)]
pub struct RemoveField {
    structure: String,
    fields: Vec<String>,
}

impl RemoveField {
    /// Removes the fields from the structure where one file defines it, unless that file still uses them.
    pub(super) fn edit(&self, path: &str, text: &[u8]) -> FileOutcome {
        let mut outcome = FileOutcome::default();
        let mut ranges = Vec::new();
        for item in declarations(text) {
            let Some(body) = self.body(text, &item) else {
                continue;
            };
            for field in &self.fields {
                let Some(found) = member(text, &body, field) else {
                    continue;
                };
                let verdict = match (&found.blocked, used(text, field)) {
                    (Some((code, reason, at)), _) => blocked(code, reason, line_of(text, *at)),
                    (None, Some(at)) => {
                        let reason = format!("a field `{field}` is still used");
                        blocked("still-used", &reason, line_of(text, at))
                    }
                    (None, None) => {
                        ranges.extend(found.ranges);
                        ranges.extend(documented(text, item.start, field));
                        Verdict::Rewritten
                    }
                };
                let line = line_of(text, found.at);
                outcome
                    .sites
                    .push(site(path, line, &self.structure, verdict));
            }
        }
        if !ranges.is_empty() {
            outcome.text = Some(cut(text, ranges));
        }
        outcome
    }

    /// The inside of the braces when `item` defines the structure.
    fn body(&self, text: &[u8], item: &Range<usize>) -> Option<Range<usize>> {
        let code = &text[item.clone()];
        let tokens = flat_tokens(code);
        let open = tokens.windows(3).find(|t| {
            &code[t[0].clone()] == b"struct"
                && &code[t[1].clone()] == self.structure.as_bytes()
                && &code[t[2].clone()] == b"{"
        })?[2]
            .end;
        let close = memchr::memrchr(b'}', code)?;
        (open <= close).then(|| item.start + open..item.start + close)
    }
}

/// The declaration of `field` between `body`'s braces.
fn member(text: &[u8], body: &Range<usize>, field: &str) -> Option<Found> {
    let inside = &text[body.clone()];
    let item = declarations(inside).into_iter().find(|item| {
        let code = &inside[item.clone()];
        let tokens = flat_tokens(code);
        let direct = tokens.iter().any(|t| &code[t.clone()] == field.as_bytes());
        // `int (*field)(void);`
        let pointer = code.windows(field.len() + 2).any(|w| {
            w.starts_with(b"*") && w.ends_with(b")") && &w[1..=field.len()] == field.as_bytes()
        });
        direct || pointer
    })?;
    let several = flat_tokens(&inside[item.clone()])
        .iter()
        .any(|t| inside[item.start + t.start] == b',');
    let item = item.start + body.start..item.end + body.start;
    let mut found = Found {
        name: field.to_owned(),
        ranges: Vec::new(),
        at: item.start,
        blocked: None,
    };
    match whole_lines(text, &item) {
        Some(lines) if !several => {
            let start = before_comment(text, item.start);
            found.ranges.push(start.min(lines.start)..lines.end);
        }
        _ => {
            let reason = "its declaration has more than this field".to_owned();
            found.blocked = Some(("several", reason, item.start));
        }
    }
    Some(found)
}

/// Where the file uses a field of this name: `.field` or `->field`.
fn used(text: &[u8], field: &str) -> Option<usize> {
    words(text)
        .filter(|w| &text[w.clone()] == field.as_bytes())
        .map(|w| w.start)
        .find(|at| {
            let before = text[..*at].trim_ascii_end();
            before.ends_with(b"->") || before.ends_with(b".") && !before.ends_with(b"..")
        })
}

/// The lines of `@field: …` in the kernel-doc above `at`.
fn documented(text: &[u8], at: usize, field: &str) -> Option<Range<usize>> {
    let start = before_comment(text, at);
    let comment = &text[start..at];
    if lex::comment_end(comment, 0).is_none() || !comment.starts_with(b"/**") {
        return None;
    }
    let tag = format!("@{field}:");
    let begin = start + memchr::memmem::find(comment, tag.as_bytes())?;
    let mut end = line_end(text, begin);
    while end < at {
        let line = text[end..line_end(text, end)].trim_ascii();
        let rest = line.strip_prefix(b"*").unwrap_or(line).trim_ascii();
        if rest.is_empty() || rest.starts_with(b"@") || line.starts_with(b"*/") {
            break;
        }
        end = line_end(text, end);
    }
    Some(line_start(text, begin)..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(fields: &[&str]) -> RemoveField {
        RemoveField {
            structure: "port".into(),
            fields: fields.iter().map(|f| (*f).to_owned()).collect(),
        }
    }

    #[test]
    fn a_field_goes_with_what_is_said_about_it() {
        let text = b"/**\n * struct port - one\n * @napi: for\n *        polling\n * @lock: all\n */\nstruct port {\n\t/* polling */\n\tstruct napi_struct\tnapi;\t/* x */\n\tspinlock_t lock;\n\tint (*poll)(int);\n};\n";
        let after = step(&["napi", "poll"]).edit("a.c", text).text.unwrap();
        assert_eq!(
            String::from_utf8(after).unwrap(),
            "/**\n * struct port - one\n * @lock: all\n */\nstruct port {\n\tspinlock_t lock;\n};\n"
        );
    }

    #[test]
    fn what_is_used_or_shares_its_line_stays() {
        let used = b"struct port {\n\tint a;\n};\nint f(struct port *p)\n{\n\treturn p->a;\n}\n";
        let outcome = step(&["a"]).edit("a.c", used);
        assert!(outcome.text.is_none() && !outcome.sites[0].is_rewritten());
        let several = b"struct port {\n\tint a, b;\n};\n";
        let outcome = step(&["a"]).edit("a.c", several);
        assert!(
            matches!(&outcome.sites[0].verdict, Verdict::Blocked { code, .. } if code == "several")
        );
        assert!(
            step(&["a"])
                .edit("a.c", b"struct other {\n\tint a;\n};\n")
                .sites
                .is_empty()
        );
    }
}
