//! `replace-line`: other text, or none, for one line, for what is not C: documentation, say.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::anchor::{has_lines, with_line_ends_of, words};
use super::removal::{blocked, line_end, site};
use super::{Fault, FileOutcome, Verdict};
use crate::c::edit::{Edit, apply, line_of};

/// The keys of the step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    line: Spanned<String>,
    text: String,
    /// Wherever it stands, not only where it stands once.
    #[serde(default)]
    every: bool,
}

impl Config {
    pub(super) fn compile(self) -> Result<ReplaceLine, Fault> {
        let line = self.line.get_ref().trim();
        if line.is_empty() || line.contains('\n') {
            return Err(Fault::at(self.line.span(), "`line` is not one line"));
        }
        let mut text = self.text.trim_matches('\n').to_owned();
        if !text.is_empty() {
            text.push('\n');
        }
        let step = ReplaceLine {
            line: line.to_owned(),
            text,
            every: self.every,
        };
        if !step.find(step.text.as_bytes()).is_empty() {
            return Err(Fault::new(
                "the new text has the line again: a second run would change it again",
            ));
        }
        Ok(step)
    }
}

/// The step, ready to run.
#[derive(Debug)]
pub struct ReplaceLine {
    line: String,
    text: String,
    every: bool,
}

impl ReplaceLine {
    /// Replaces the line where it stands once, or every time; blanks do not count.
    pub(super) fn edit(&self, path: &str, text: &[u8]) -> FileOutcome {
        let mut outcome = FileOutcome::default();
        let found = self.find(text);
        let Some(range) = found.first() else {
            let there = !self.text.is_empty() && has_lines(text, &self.text);
            outcome.already = usize::from(there);
            return outcome;
        };
        if found.len() > 1 && !self.every {
            let line = line_of(text, range.start);
            let reason = format!("the line stands there {} times", found.len());
            let verdict = blocked("several", &reason, line);
            outcome.sites.push(site(path, line, "", verdict));
            return outcome;
        }
        let with = with_line_ends_of(text, &self.text);
        for range in &found {
            let line = line_of(text, range.start);
            outcome.sites.push(site(path, line, "", Verdict::Rewritten));
        }
        let edits = found.into_iter().map(|range| Edit {
            range,
            with: with.clone(),
        });
        outcome.text = Some(apply(text, edits.collect()));
        outcome
    }

    fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let end = line_end(text, at);
            if words(&text[at..end]).eq(words(self.line.as_bytes())) {
                found.push(at..end);
            }
            at = end;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_becomes_another() {
        let keys = "line = 'There is one.'\ntext = 'There are two.'\n";
        let step = toml::from_str::<Config>(keys).unwrap().compile().unwrap();
        let once = step
            .edit("a.rst", b"A\n\tThere  is one.\nB\n")
            .text
            .unwrap();
        assert_eq!(once, b"A\nThere are two.\nB\n");
        let again = step.edit("a.rst", &once);
        assert_eq!((again.text, again.already), (None, 1));
        let twice = step.edit("a.rst", b"There is one.\nThere is one.\n");
        assert!(twice.text.is_none() && !twice.sites[0].is_rewritten());
        let every = format!("{keys}every = true\n");
        let step = toml::from_str::<Config>(&every).unwrap().compile().unwrap();
        let both = step.edit("a.rst", b"There is one.\nThere is one.\n");
        assert_eq!(both.text.unwrap(), b"There are two.\nThere are two.\n");
        assert_eq!(both.sites.len(), 2);
    }
}
