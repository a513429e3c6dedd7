//! `kconfig-default`: another default for a symbol or a choice, in Kconfig and in the default configurations that set it.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::anchor::with_line_ends_of;
use super::removal::{blocked, line_end, site};
use super::{Fault, FileOutcome, Verdict, kconfig};
use crate::c::edit::{Edit, apply, line_of};

/// The keys of the step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// A symbol by itself, or else `choice`.
    symbol: Option<Spanned<String>>,
    /// Every symbol of the choice that any kernel knows.
    #[serde(default)]
    choice: Vec<Spanned<String>>,
    default: Spanned<String>,
    /// Values of symbols without a prompt that follow from it, as default configurations of old kernels list them.
    #[serde(default)]
    derived: BTreeMap<String, String>,
}

impl Config {
    pub(super) fn compile(self) -> Result<KconfigDefault, Fault> {
        let members: Vec<String> = self.choice.into_iter().map(Spanned::into_inner).collect();
        let default = self.default.get_ref().clone();
        let subject = match self.symbol {
            Some(symbol) if members.is_empty() => Subject::Symbol(symbol.into_inner()),
            None if members.is_empty() => {
                return Err(Fault::new("give `symbol` or `choice`"));
            }
            Some(_) => return Err(Fault::new("`symbol` and `choice` exclude each other")),
            None if !members.contains(&default) => {
                return Err(Fault::at(
                    self.default.span(),
                    format!("`{default}` is not in the list `choice`"),
                )
                .hint(format!("one of {}", members.join(", "))));
            }
            None => Subject::Choice(members),
        };
        Ok(KconfigDefault {
            subject,
            default,
            derived: self.derived,
        })
    }
}

#[derive(Debug)]
enum Subject {
    Symbol(String),
    Choice(Vec<String>),
}

/// The step, ready to run.
#[derive(Debug)]
pub struct KconfigDefault {
    subject: Subject,
    default: String,
    derived: BTreeMap<String, String>,
}

impl KconfigDefault {
    /// Lines for a configuration that exists already, where a default changes nothing.
    pub(super) fn config(&self) -> Vec<(String, String)> {
        match &self.subject {
            Subject::Symbol(symbol) => vec![(format!("CONFIG_{symbol}"), self.default.clone())],
            Subject::Choice(members) => {
                let value = |m: &String| if *m == self.default { "y" } else { "n" };
                let line = |m: &String| (format!("CONFIG_{m}"), value(m).to_owned());
                members.iter().map(line).collect()
            }
        }
    }

    /// Changes one Kconfig file or default configuration.
    pub(super) fn edit(&self, path: &str, text: &[u8]) -> FileOutcome {
        let mut work = Work {
            path,
            text,
            edits: Vec::new(),
            outcome: FileOutcome::default(),
        };
        match &self.subject {
            Subject::Symbol(symbol) => {
                if let Some((start, end)) = kconfig::entry(text, symbol) {
                    self.default_line(&mut work, start..end);
                }
                self.set(&mut work, symbol);
            }
            Subject::Choice(members) => {
                for block in choices(text) {
                    let inside = &text[block.clone()];
                    if members.iter().any(|m| is_member(inside, m)) {
                        let known = is_member(inside, &self.default);
                        self.default_of_choice(&mut work, block, known);
                    }
                }
                self.choose(&mut work, members);
            }
        }
        let Work {
            edits, mut outcome, ..
        } = work;
        if !edits.is_empty() {
            outcome.text = Some(apply(text, edits));
        }
        outcome
    }

    fn default_of_choice(&self, work: &mut Work<'_>, block: Range<usize>, known: bool) {
        if !known {
            let reason = format!("this choice has no {}", self.default);
            return work.block(block.start, "no-member", &reason);
        }
        // Behind the first member the defaults are those of members.
        let end = lines(work.text, block.clone())
            .find(|l| matches!(word(work.text, l, 0), b"config"))
            .map_or(block.end, |l| l.start);
        self.default_line(work, block.start..end);
    }

    /// Changes the one unconditional `default` line in `range`.
    fn default_line(&self, work: &mut Work<'_>, range: Range<usize>) {
        let text = work.text;
        let found: Vec<Range<usize>> = lines(text, range.clone())
            .filter(|l| matches!(word(text, l, 0), b"default" | b"def_bool" | b"def_tristate"))
            .collect();
        match &found[..] {
            // A symbol without one is off.
            [] if self.default == "n" && matches!(self.subject, Subject::Symbol(_)) => {
                work.outcome.already += 1;
            }
            [] => work.block(range.start, "no-default", "there is no default to change"),
            [line] if word(text, line, 2).is_empty() => {
                let value = word(text, line, 1);
                let at =
                    line.start + memchr::memmem::rfind(&text[line.clone()], value).unwrap_or(0);
                work.put(at..at + value.len(), &self.default);
            }
            [line] => work.block(line.start, "conditional", "the default has a condition"),
            [first, ..] => work.block(first.start, "several", "there are several defaults"),
        }
    }

    /// Sets a symbol where a default configuration sets it differently.
    fn set(&self, work: &mut Work<'_>, symbol: &str) {
        let line = setting(symbol, &self.default);
        if let Some(found) = set_line(work.text, symbol) {
            work.put(found, &line);
        }
    }

    /// Takes the choice where a default configuration takes another.
    fn choose(&self, work: &mut Work<'_>, members: &[String]) {
        let text = work.text;
        let chosen = set_line(text, &self.default);
        let yes = |m: &str| set_line(text, m).filter(|l| text[l.clone()].ends_with(b"=y"));
        let Some((other, line)) = members.iter().find_map(|m| Some((m, yes(m)?))) else {
            return;
        };
        if *other == self.default {
            work.outcome.already += 1;
            return;
        }
        match chosen {
            Some(own) => {
                work.put(own, &setting(&self.default, "y"));
                work.edits.push(Edit {
                    range: line,
                    with: setting(other, "n").into_bytes(),
                });
            }
            None => work.put(line, &setting(&self.default, "y")),
        }
        for (symbol, value) in &self.derived {
            if let Some(line) = set_line(text, symbol) {
                work.edits.push(Edit {
                    range: line,
                    with: setting(symbol, value).into_bytes(),
                });
            }
        }
    }
}

/// What is being found out about one file.
struct Work<'a> {
    path: &'a str,
    text: &'a [u8],
    edits: Vec<Edit>,
    outcome: FileOutcome,
}

impl Work<'_> {
    fn put(&mut self, range: Range<usize>, with: &str) {
        let with = with_line_ends_of(self.text, with);
        if self.text[range.clone()] == with[..] {
            self.outcome.already += 1;
            return;
        }
        let line = line_of(self.text, range.start);
        self.outcome
            .sites
            .push(site(self.path, line, "", Verdict::Rewritten));
        self.edits.push(Edit { range, with });
    }

    fn block(&mut self, at: usize, code: &str, reason: &str) {
        let line = line_of(self.text, at);
        let verdict = blocked(code, reason, line);
        self.outcome.sites.push(site(self.path, line, "", verdict));
    }
}

/// A line of a configuration as Kconfig writes it.
pub(crate) fn setting(symbol: &str, value: &str) -> String {
    match value {
        "n" => format!("# CONFIG_{symbol} is not set"),
        _ => format!("CONFIG_{symbol}={value}"),
    }
}

/// The line, without its break, on which a configuration sets `symbol` or says that it is not set.
fn set_line(text: &[u8], symbol: &str) -> Option<Range<usize>> {
    let set = format!("CONFIG_{symbol}=");
    let unset = format!("# CONFIG_{symbol} is not set");
    lines(text, 0..text.len())
        .map(|l| l.start..l.start + text[l].trim_ascii_end().len())
        .find(|l| {
            text[l.clone()].starts_with(set.as_bytes()) || &text[l.clone()] == unset.as_bytes()
        })
}

fn lines(text: &[u8], range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let start = at;
        at = line_end(text, at).min(range.end);
        (start < range.end).then_some(start..at)
    })
}

/// The word number `n` of a line; empty when it has fewer.
fn word<'t>(text: &'t [u8], line: &Range<usize>, n: usize) -> &'t [u8] {
    let words = text[line.clone()].split(u8::is_ascii_whitespace);
    words.filter(|w| !w.is_empty()).nth(n).unwrap_or(b"")
}

/// From each `choice` line to its `endchoice`.
fn choices(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = None;
    for line in lines(text, 0..text.len()) {
        match word(text, &line, 0) {
            b"choice" => start = Some(line.start),
            b"endchoice" => found.extend(start.take().map(|s| s..line.end)),
            _ => {}
        }
    }
    found
}

fn is_member(block: &[u8], symbol: &str) -> bool {
    lines(block, 0..block.len())
        .any(|l| word(block, &l, 0) == b"config" && word(block, &l, 1) == symbol.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(default: &str) -> KconfigDefault {
        let keys = format!(
            "choice = ['HZ_100', 'HZ_250', 'HZ_1000']\ndefault = '{default}'\nderived = {{ HZ = '100' }}\n"
        );
        toml::from_str::<Config>(&keys).unwrap().compile().unwrap()
    }

    fn after(step: &KconfigDefault, text: &str) -> String {
        let outcome = step.edit("Kconfig", text.as_bytes());
        let once = outcome.text.unwrap_or_else(|| text.into());
        let again = step.edit("Kconfig", &once);
        assert!(again.text.is_none(), "a second run changes it again");
        String::from_utf8(once).unwrap()
    }

    const KCONFIG: &str = "choice\n\tprompt \"A\"\n\tdefault B\n\tconfig B\n\t\tbool\nendchoice\n\nchoice\n\tprompt \"Rate\"\n\tdefault HZ_250\n\n\tconfig HZ_100\n\t\tbool \"100\"\n\t\tdefault y\n\n\tconfig HZ_250\n\t\tbool \"250\"\nendchoice\n\nconfig HZ\n\tint\n\tdefault 100 if HZ_100\n";

    #[test]
    fn a_choice_gets_another_default() {
        let text = after(&choice("HZ_100"), KCONFIG);
        assert_eq!(text, KCONFIG.replace("default HZ_250", "default HZ_100"));
        let outcome = choice("HZ_1000").edit("Kconfig", KCONFIG.as_bytes());
        assert!(
            matches!(&outcome.sites[..], [Site { verdict: Verdict::Blocked { code, .. }, .. }] if code == "no-member")
        );
    }

    #[test]
    fn default_configurations_follow() {
        let step = choice("HZ_100");
        assert_eq!(
            after(&step, "CONFIG_A=y\nCONFIG_HZ_1000=y\n"),
            "CONFIG_A=y\nCONFIG_HZ_100=y\n"
        );
        let full = "# CONFIG_HZ_100 is not set\nCONFIG_HZ_250=y\n# CONFIG_HZ_1000 is not set\nCONFIG_HZ=250\n";
        assert_eq!(
            after(&step, full),
            "CONFIG_HZ_100=y\n# CONFIG_HZ_250 is not set\n# CONFIG_HZ_1000 is not set\nCONFIG_HZ=100\n"
        );
        assert_eq!(after(&step, "CONFIG_B=y\n"), "CONFIG_B=y\n");
    }

    #[test]
    fn a_symbol_by_itself() {
        let keys = "symbol = 'X'\ndefault = 'y'\n";
        let step = toml::from_str::<Config>(keys).unwrap().compile().unwrap();
        assert_eq!(
            after(
                &step,
                "config X\n\tbool \"x\"\n\tdefault n\n\nconfig Y\n\tdefault n\n"
            ),
            "config X\n\tbool \"x\"\n\tdefault y\n\nconfig Y\n\tdefault n\n"
        );
        assert_eq!(after(&step, "# CONFIG_X is not set\n"), "CONFIG_X=y\n");
        assert_eq!(step.config(), [("CONFIG_X".to_owned(), "y".to_owned())]);
    }

    use crate::step::Site;
}
