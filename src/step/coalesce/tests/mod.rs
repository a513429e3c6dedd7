//! Tests of the engine: the form of what it writes, and the need for every rule.

mod form;
mod order;
mod reach;
mod rules;

use super::{CoalesceStep, Compiled, Rule, run};
use crate::c::headers::Headers;
use crate::step::{Site, Surroundings, Verdict};

/// A file without any other around it.
fn alone(headers: &Headers) -> Surroundings<'_> {
    Surroundings {
        read: &|_| None,
        headers,
    }
}

/// Rewrites `source` with the built-in accessor tables.
fn rewrite(step: &CoalesceStep, off: Option<Rule>, source: &str) -> (Option<String>, Vec<Site>) {
    let mut compiled = Compiled::new(step).expect("a valid step");
    compiled.disabled = off;
    let (text, sites) = run(
        &compiled,
        "drivers/x.c",
        source.as_bytes(),
        alone(&Headers::default()),
    );
    (
        text.map(|t| String::from_utf8(t).expect("ASCII in, ASCII out")),
        sites,
    )
}

/// Exits saved over all sites.
fn saved(sites: &[Site]) -> usize {
    sites
        .iter()
        .filter(|s| s.verdict == Verdict::Rewritten)
        .map(|s| s.exits_saved)
        .sum()
}

/// The codes of the blocked sites.
fn codes(sites: &[Site]) -> Vec<&str> {
    let code = |s: &'_ Site| match &s.verdict {
        Verdict::Blocked { code, .. } => Rule::ALL.iter().map(|r| r.code()).find(|c| c == code),
        Verdict::Rewritten => None,
    };
    sites.iter().filter_map(code).collect()
}

/// Exits saved in `void f(…)` with this body and these macros before it.
fn saves(head: &str, body: &str) -> usize {
    let source = format!(
        "{head}\nvoid f(struct dev *d, struct dev *o, u8 *q, int p, u8 v, u8 w, int i)\n{{\n\t{body}\n}}\n"
    );
    saved(&rewrite(&CoalesceStep::default(), None, &source).1)
}

#[track_caller]
fn blocked(head: &str, body: &str) {
    assert_eq!(saves(head, body), 0, "{head}\n{body}");
}

#[track_caller]
fn joined(head: &str, body: &str) {
    assert_ne!(saves(head, body), 0, "{head}\n{body}");
}
