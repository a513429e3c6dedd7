//! `remove-argument`: a parameter that a function no longer needs, and what its callers pass for it.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::removal::{blocked, cut, declarations, line_end, line_start, site, words};
use super::remove_function::c_names;
use super::{Fault, FileOutcome, Verdict};
use crate::c::edit::line_of;
use crate::c::functions::{FunctionSpan, functions};
use crate::c::lex;

/// The keys of the step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    function: Spanned<String>,
    parameter: Spanned<String>,
}

impl Config {
    pub(super) fn compile(self) -> Result<RemoveArgument, Fault> {
        Ok(RemoveArgument {
            function: c_names(vec![self.function], "function")?.remove(0),
            parameter: c_names(vec![self.parameter], "parameter")?.remove(0),
        })
    }
}

/// The step, ready to run.
#[derive(Debug)]
pub struct RemoveArgument {
    function: String,
    parameter: String,
}

impl RemoveArgument {
    /// Removes the parameter in the file that defines the function, where nothing in its body needs it.
    pub(super) fn edit(&self, path: &str, text: &[u8]) -> FileOutcome {
        let mut outcome = FileOutcome::default();
        let spans = functions(text);
        let mut defined = spans.iter().filter(|s| s.name == self.function);
        let (Some(span), None) = (defined.next(), defined.next()) else {
            return outcome;
        };
        let Some(place) = self.place(text, span) else {
            return outcome;
        };
        let line = line_of(text, span.range.start);
        let verdict = match self.ranges(text, span, place) {
            Ok(ranges) => {
                let mut new = text.to_vec();
                // From the last one on, so that the offsets before it stay right.
                for range in ranges.into_iter().rev() {
                    new.drain(range);
                }
                outcome.text = Some(self.without_doc(&new));
                Verdict::Rewritten
            }
            Err((code, reason, at)) => blocked(code, &reason, line_of(text, at)),
        };
        outcome
            .sites
            .push(site(path, line, &self.function, verdict));
        outcome
    }

    /// Which of the parameters it is, from 0; `None` when the function has none of this name.
    fn place(&self, text: &[u8], span: &FunctionSpan) -> Option<usize> {
        let open = self.open(text, span.range.start..span.body.start)?;
        arguments(text, open)?
            .iter()
            .position(|a| last_word(text, a).is_some_and(|w| text[w] == *self.parameter.as_bytes()))
    }

    /// The bracket behind the function's name in `range`.
    fn open(&self, text: &[u8], range: Range<usize>) -> Option<usize> {
        let part = &text[range.clone()];
        let name = words(part).find(|w| part[w.clone()] == *self.function.as_bytes())?;
        let open = lex::skip_blank(text, range.start + name.end);
        (text.get(open) == Some(&b'(')).then_some(open)
    }

    /// What goes: in the definition, in prototypes and in calls; in order.
    fn ranges(
        &self,
        text: &[u8],
        span: &FunctionSpan,
        place: usize,
    ) -> Result<Vec<Range<usize>>, (&'static str, String, usize)> {
        let body = &text[span.body.clone()];
        if let Some(used) = words(body).find(|w| body[w.clone()] == *self.parameter.as_bytes()) {
            let reason = format!("`{}` is still used", self.parameter);
            return Err(("still-used", reason, span.body.start + used.start));
        }
        let open = self.open(text, span.range.start..span.body.start);
        if open
            .and_then(|o| arguments(text, o))
            .is_some_and(|l| l.len() == 1)
        {
            let reason = "it is the only parameter".to_owned();
            return Err(("only", reason, span.range.start));
        }
        let mut ranges = Vec::new();
        for word in words(text).filter(|w| text[w.clone()] == *self.function.as_bytes()) {
            let open = lex::skip_blank(text, word.end);
            let list = (text.get(open) == Some(&b'('))
                .then(|| arguments(text, open))
                .flatten();
            let Some(argument) = list.as_ref().and_then(|l| l.get(place)) else {
                let reason = format!("`{}` is used without being called", self.function);
                return Err(("value-used", reason, word.start));
            };
            // Behind the comma before it, or with the comma behind it.
            let range = match place.checked_sub(1).and_then(|p| list.as_ref()?.get(p)) {
                Some(before) => before.end..argument.end,
                None => match list.as_ref().and_then(|l| l.get(1)) {
                    Some(next) => argument.start..lex::skip_blank(text, next.start),
                    None => argument.clone(),
                },
            };
            let is_call = !span.range.contains(&word.start)
                && !declarations(text).iter().any(|d| d.contains(&word.start))
                || span.body.contains(&word.start);
            if is_call && !is_plain(&text[argument.clone()]) {
                let reason = "an argument does more than name a value".to_owned();
                return Err(("side-effect", reason, argument.start));
            }
            ranges.push(range);
        }
        Ok(ranges)
    }

    /// The text without the line of the parameter in the function's kernel-doc.
    fn without_doc(&self, text: &[u8]) -> Vec<u8> {
        let Some(span) = functions(text)
            .into_iter()
            .find(|s| s.name == self.function)
        else {
            return text.to_vec();
        };
        let start = super::anchor::before_comment(text, span.range.start);
        let comment = &text[start..span.range.start];
        let tag = format!("@{}:", self.parameter);
        match memchr::memmem::find(comment, tag.as_bytes()) {
            Some(at) if comment.starts_with(b"/**") => {
                let line = line_start(text, start + at)..line_end(text, start + at);
                cut(text, vec![line])
            }
            _ => text.to_vec(),
        }
    }
}

/// The ranges between the commas of the list that `open` begins, blanks around them excluded.
fn arguments(text: &[u8], open: usize) -> Option<Vec<Range<usize>>> {
    let end = lex::group_end(text, open)?;
    let mut found = Vec::new();
    let mut start = open + 1;
    let mut i = start;
    let mut push = |range: Range<usize>| {
        let part = &text[range.clone()];
        let lead = part.len() - part.trim_ascii_start().len();
        let length = part.trim_ascii().len();
        found.push(range.start + lead..range.start + lead + length);
    };
    while i + 1 < end {
        match text[i] {
            b'"' | b'\'' => i = lex::literal_end(text, i).max(i + 1),
            b'/' => i = lex::comment_end(text, i).unwrap_or(i + 1),
            b'(' | b'[' | b'{' => i = lex::group_end(text, i)?.max(i + 1),
            b',' => {
                push(start..i);
                i += 1;
                start = i;
            }
            _ => i += 1,
        }
    }
    push(start..end - 1);
    Some(found)
}

fn last_word(text: &[u8], range: &Range<usize>) -> Option<Range<usize>> {
    words(&text[range.clone()])
        .last()
        .map(|w| w.start + range.start..w.end + range.start)
}

/// A name, a member or a number: leaving it out changes nothing else.
fn is_plain(argument: &[u8]) -> bool {
    let member = |b: &u8| lex::is_word(*b) || matches!(b, b'.' | b'-' | b'>' | b'&' | b' ');
    argument.iter().all(member) && !argument.windows(2).any(|w| w == b"--")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(text: &str) -> FileOutcome {
        let keys = "function = 'put'\nparameter = 'budget'\n";
        let step = toml::from_str::<Config>(keys).unwrap().compile().unwrap();
        step.edit("a.c", text.as_bytes())
    }

    fn after(text: &str) -> String {
        String::from_utf8(edit(text).text.unwrap()).unwrap()
    }

    #[test]
    fn definition_prototype_and_calls() {
        let text = "static void put(struct a *a, int budget);\n\n/**\n * put - it\n * @a: what\n * @budget: how many\n */\nstatic void put(struct a *a,\n\t\tint budget)\n{\n\tfree(a);\n}\n\nvoid f(struct a *a)\n{\n\tput(a, 0);\n\tput(g(a, 1),\n\t    64);\n}\n";
        assert_eq!(
            after(text),
            "static void put(struct a *a);\n\n/**\n * put - it\n * @a: what\n */\nstatic void put(struct a *a)\n{\n\tfree(a);\n}\n\nvoid f(struct a *a)\n{\n\tput(a);\n\tput(g(a, 1));\n}\n"
        );
        let first =
            "void put(int budget, int b)\n{\n\tfree(b);\n}\n\nvoid f(void)\n{\n\tput(1, 2);\n}\n";
        assert_eq!(
            after(first),
            "void put(int b)\n{\n\tfree(b);\n}\n\nvoid f(void)\n{\n\tput(2);\n}\n"
        );
    }

    #[test]
    fn what_is_needed_stays() {
        let code = |text: &str| match edit(text).sites.remove(0).verdict {
            Verdict::Blocked { code, .. } => code,
            Verdict::Rewritten => String::new(),
        };
        let used = "void put(int a, int budget)\n{\n\tfree(budget);\n}\n";
        assert_eq!(code(used), "still-used");
        let pointer = "void put(int a, int budget)\n{\n}\n\nvoid (*p)(int, int) = put;\n";
        assert_eq!(code(pointer), "value-used");
        let call = "void put(int a, int budget)\n{\n}\n\nvoid f(void)\n{\n\tput(1, g());\n}\n";
        assert_eq!(code(call), "side-effect");
        assert_eq!(code("void put(int budget)\n{\n}\n"), "only");
        assert!(
            edit("void put(int other)\n{\n\tfree(other);\n}\n")
                .sites
                .is_empty()
        );
    }
}
