//! The cover letter: what the series does, what it saves, what it left alone, and what it stands on.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::diff::{FileStat, Stat};
use super::message::TOOL;
use super::text::wrap;
use super::{FileChange, Patch, message};
use crate::kernel::{Base, Origin, digest};
use crate::step::{Site, Verdict};

/// Columns of the letter's text (git's width for mail).
const WIDTH: usize = 72;
/// Blocked places listed; the rest is in the report.
const MAX_BLOCKED: usize = 20;

/// What the caller says in the cover letter.
#[derive(Debug, Clone)]
pub struct Cover {
    /// The subject, at most 70 characters.
    pub title: String,
    /// What and why: paragraphs between blank lines; wrapped here.
    pub what: String,
    /// What must be true for the patches to be right; a sentence each.
    pub assumptions: Vec<String>,
    /// Places left alone that belong to no patch of the series.
    pub blocked: Vec<Site>,
}

impl Cover {
    /// The letter of a series for the kernel that runs KVM.
    pub fn host() -> Self {
        Self {
            title: "KVM: x86: serve guests that need fewer exits".to_owned(),
            what: "Under KVM each access to an emulated device costs an exit to the host. These patches \
                   change the host's kernel for the benefit of guests that are patched to need fewer of \
                   them, and of those that cannot be patched."
                .to_owned(),
            assumptions: Vec::new(),
            blocked: Vec::new(),
        }
    }
}

/// The letter of a series for a guest's kernel.
impl Default for Cover {
    fn default() -> Self {
        Self {
            title: "Make this kernel cheap to run as a KVM guest".to_owned(),
            what: "Under KVM each access to an emulated device costs an exit to the host. These patches \
                   change the guest kernel so that it needs fewer of them."
                .to_owned(),
            assumptions: Vec::new(),
            blocked: Vec::new(),
        }
    }
}

/// Facts about the series the letter is for.
pub(super) struct Contents<'a> {
    pub cover: &'a Cover,
    pub patches: &'a [Patch],
    pub base: &'a Base,
    /// Name of the author of the messages.
    pub author: &'a str,
    pub signed: bool,
    /// Every touched path: before the first patch, after the last.
    pub net: &'a [FileChange],
    pub stats: Vec<FileStat>,
}

/// The letter's text, from after the headers to before the signature.
pub(super) fn letter(contents: Contents<'_>) -> String {
    let mut out = message::tidy(&wrap(&contents.cover.what, WIDTH, "", ""));
    out.push_str("\nExits saved, if every rewritten place runs once:\n\n");
    table(&mut out, contents.patches);
    blocked(&mut out, contents.patches, &contents.cover.blocked);
    if !contents.cover.assumptions.is_empty() {
        out.push_str("\nThe patches are right if the following holds:\n\n");
        for assumption in &contents.cover.assumptions {
            out.push_str(&wrap(assumption, WIDTH, "  * ", "    "));
        }
    }
    out.push('\n');
    out.push_str(&wrap(&origin(&contents), WIDTH, "", ""));
    let _ = write!(out, "\n{} ({}):\n", contents.author, contents.patches.len());
    for patch in contents.patches {
        out.push_str(&wrap(&patch.subject, WIDTH, "  ", "    "));
    }
    out.push('\n');
    out.push_str(&Stat(contents.stats).render());
    out.push('\n');
    out.push_str(&base_lines(contents.base, contents.net));
    out
}

fn table(out: &mut String, patches: &[Patch]) {
    let _ = writeln!(
        out,
        "{:>5}  {:>6}  {:>10}  {:>11}  recipe",
        "patch", "places", "operations", "exits saved"
    );
    let (mut places, mut ops, mut saved) = (0, 0, 0);
    for (at, patch) in patches.iter().enumerate() {
        let done = || {
            patch
                .sites
                .iter()
                .filter(|s| s.verdict == Verdict::Rewritten)
        };
        let row = (
            done().count(),
            done().map(|s| s.ops).sum::<usize>(),
            done().map(|s| s.exits_saved).sum::<usize>(),
        );
        let recipe = format!("{} v{}", patch.recipe, patch.recipe_version);
        let _ = writeln!(
            out,
            "{:>5}  {:>6}  {:>10}  {:>11}  {recipe}",
            at + 1,
            row.0,
            row.1,
            row.2
        );
        places += row.0;
        ops += row.1;
        saved += row.2;
    }
    let _ = writeln!(out, "{:>5}  {places:>6}  {ops:>10}  {saved:>11}", "all");
}

fn blocked(out: &mut String, patches: &[Patch], more: &[Site]) {
    let mut sites: Vec<_> = patches
        .iter()
        .flat_map(|p| &p.sites)
        .chain(more)
        .filter_map(|site| match &site.verdict {
            Verdict::Blocked { code, reason, line } => Some((site, code, reason, *line)),
            Verdict::Rewritten => None,
        })
        .collect();
    if sites.is_empty() {
        return;
    }
    let place = |s: &Site| (std::cmp::Reverse(s.ops), s.file.clone(), s.line);
    sites.sort_by_cached_key(|(site, ..)| place(site));
    let _ = write!(
        out,
        "\nLeft alone ({}), with the reason and its line:\n\n",
        sites.len()
    );
    for (site, code, reason, line) in sites.iter().take(MAX_BLOCKED) {
        let function = if site.function.is_empty() {
            String::new()
        } else {
            format!(" {}", site.function)
        };
        let at = if *line == 0 {
            format!(", {reason}")
        } else {
            format!(" ({line})")
        };
        let _ = writeln!(out, "  {}:{}{function}: {code}{at}", site.file, site.line);
    }
    if let Some(rest) = sites.len().checked_sub(MAX_BLOCKED).filter(|n| *n > 0) {
        let _ = writeln!(out, "  and {rest} more, see report.json");
    }
}

fn origin(contents: &Contents<'_>) -> String {
    let mut text = format!("Written by {TOOL} for {}", contents.base.name());
    match contents.base.origin() {
        Origin::Commit { id, .. } => {
            let _ = write!(text, ", commit {id}");
            let before = contents
                .net
                .iter()
                .map(|c| (c.path.as_str(), c.before.as_deref()));
            let local = contents.base.local_changes(before);
            if !local.is_empty() {
                let _ = write!(text, " with local changes to {}", local.join(", "));
            }
        }
        Origin::Plain => text.push_str(", a tree without a git commit of its own"),
        Origin::Unreadable(why) => {
            let _ = write!(text, ", taken as a tree without a commit: {why}");
        }
    }
    text.push_str(". Each message names the recipe it comes from.");
    if !contents.signed {
        text.push_str(" Nobody has signed these messages off.");
    }
    let crlf = |text: &Option<Vec<u8>>| {
        text.as_ref()
            .is_some_and(|t| t.windows(2).any(|w| w == b"\r\n"))
    };
    if contents
        .net
        .iter()
        .any(|c| crlf(&c.before) || crlf(&c.after))
    {
        text.push_str("\n\nSome files have CRLF line ends: apply with git am --keep-cr.");
    }
    text
}

/// What b4 and people look for at the end of a letter to find the base.
fn base_lines(base: &Base, net: &[FileChange]) -> String {
    let before: BTreeMap<&str, &[u8]> = net
        .iter()
        .filter_map(|c| Some((c.path.as_str(), c.before.as_deref()?)))
        .collect();
    let sum = digest(before.iter().map(|(path, bytes)| (*path, *bytes)));
    let touched = net.iter().map(|c| (c.path.as_str(), c.before.as_deref()));
    match base.origin() {
        // Only if the patches apply to that very commit.
        Origin::Commit { id, .. } if base.local_changes(touched).is_empty() => {
            format!("base-commit: {id}\n")
        }
        _ => {
            let s = if before.len() == 1 { "" } else { "s" };
            let how = format!("{} file{s}: sha256sum FILES | sha256sum", before.len());
            format!("base-tree: {}\nbase-sha256: {sum} ({how})\n", base.name())
        }
    }
}
