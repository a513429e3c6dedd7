//! `remove-parameter`: the entry of a boot parameter in `kernel-parameters.txt`.

use serde::Deserialize;

use super::removal::{cut, line_end, site};
use super::{Fault, FileOutcome, Verdict};
use crate::c::edit::line_of;

/// The keys of the step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    name: String,
}

impl Config {
    pub(super) fn compile(self) -> Result<RemoveParameter, Fault> {
        if self.name.is_empty() || self.name.contains(|c: char| c.is_whitespace()) {
            return Err(Fault::new("`name` is not the name of a boot parameter"));
        }
        Ok(RemoveParameter { name: self.name })
    }
}

/// The step, ready to run.
#[derive(Debug)]
pub struct RemoveParameter {
    name: String,
}

impl RemoveParameter {
    /// Removes the entry: its first line is indented by one tab, the others by more.
    pub(super) fn edit(&self, path: &str, text: &[u8]) -> FileOutcome {
        let mut outcome = FileOutcome::default();
        let mut ranges = Vec::new();
        let mut start = None;
        let mut at = 0;
        while path.ends_with(".txt") && at < text.len() {
            let end = line_end(text, at);
            let line = &text[at..end];
            if heads_entry(line) {
                ranges.extend(start.take().map(|s| s..at));
                let word = line.split(u8::is_ascii_whitespace).find(|w| !w.is_empty());
                if word == Some(self.name.as_bytes()) {
                    start = Some(at);
                    let line = line_of(text, at);
                    outcome.sites.push(site(path, line, "", Verdict::Rewritten));
                }
            } else if line.trim_ascii().is_empty() {
                // The empty line behind the entry is the next one's.
                ranges.extend(start.take().map(|s| s..at));
            }
            at = end;
        }
        ranges.extend(start.map(|s| s..text.len()));
        if !ranges.is_empty() {
            outcome.text = Some(cut(text, ranges));
        }
        outcome
    }
}

fn heads_entry(line: &[u8]) -> bool {
    line.first() == Some(&b'\t') && line.get(1).is_some_and(|b| !b.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_goes_and_no_other() {
        let text = b"Words.\n\n\talpha=\t[X86]\n\t\t\tOf alpha.\n\n\tbeta\t[X86]\n\t\t\tNot alpha.\n\n\tgamma\n";
        let step = RemoveParameter {
            name: "beta".into(),
        };
        let outcome = step.edit("Documentation/kernel-parameters.txt", text);
        assert_eq!(
            outcome.text.unwrap(),
            b"Words.\n\n\talpha=\t[X86]\n\t\t\tOf alpha.\n\n\tgamma\n"
        );
        assert!(step.edit("a.c", text).text.is_none());
    }
}
