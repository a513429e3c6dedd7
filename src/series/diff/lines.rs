//! Which lines differ: `similar` finds an edit script, and runs of changed lines are then moved
//! to where a reader expects them, by the rules of git's `diff.indentHeuristic` (its default).

use std::ops::Range;

use similar::Algorithm;
use similar::algorithms::{Capture, diff_slices};

/// Blank lines looked at on each side of a split, and columns of indentation that count (git's limits).
const MAX_BLANKS: usize = 20;
const MAX_INDENT: i64 = 200;
/// How far a run is moved at most, in lines (git's limit).
const MAX_SLIDE: usize = 100;

/// A stretch of old lines and the new lines in its place; one of the two may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// Lines of the old text, from 0.
    pub old: Range<usize>,
    /// Lines of the new text, from 0.
    pub new: Range<usize>,
}

/// Cuts `text` into lines, each with its newline (the last may have none).
pub(super) fn split(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|b| *b == b'\n').collect()
}

/// The changes that make `new` out of `old`, in order, with at least one common line between two.
pub(super) fn changes(old: &[&[u8]], new: &[&[u8]]) -> Vec<Change> {
    let mut capture = Capture::new();
    let Ok(()) = diff_slices(Algorithm::Myers, &mut capture, old, new);
    let mut a = Side::new(old);
    let mut b = Side::new(new);
    for op in capture.ops() {
        if op.tag() != similar::DiffTag::Equal {
            a.changed[op.old_range()].fill(true);
            b.changed[op.new_range()].fill(true);
        }
    }
    slide(&mut a, &mut b);
    slide(&mut b, &mut a);
    collect(&a, &b)
}

fn collect(a: &Side, b: &Side) -> Vec<Change> {
    let mut out = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < a.lines.len() || j < b.lines.len() {
        let (i0, j0) = (i, j);
        i = a.run_end(i);
        j = b.run_end(j);
        if i > i0 || j > j0 {
            out.push(Change {
                old: i0..i,
                new: j0..j,
            });
        }
        // Past the run comes one line common to both, or the end of both.
        i += 1;
        j += 1;
    }
    out
}

/// One of the two texts with its changed lines marked.
struct Side<'t> {
    lines: &'t [&'t [u8]],
    changed: Vec<bool>,
}

impl<'t> Side<'t> {
    fn new(lines: &'t [&'t [u8]]) -> Self {
        Self {
            lines,
            changed: vec![false; lines.len()],
        }
    }

    fn run_end(&self, mut at: usize) -> usize {
        while self.changed.get(at) == Some(&true) {
            at += 1;
        }
        at
    }

    fn run_start(&self, mut at: usize) -> usize {
        while at > 0 && self.changed[at - 1] {
            at -= 1;
        }
        at
    }

    /// The first run, maybe empty.
    fn first(&self) -> Range<usize> {
        0..self.run_end(0)
    }

    /// The run after the common line that follows `run`; runs may be empty, so both sides have equally many.
    fn next(&self, run: &Range<usize>) -> Option<Range<usize>> {
        (run.end < self.lines.len()).then(|| run.end + 1..self.run_end(run.end + 1))
    }

    fn previous(&self, run: &Range<usize>) -> Option<Range<usize>> {
        let end = run.start.checked_sub(1)?;
        Some(self.run_start(end)..end)
    }

    /// Moves `run` one line up if the text allows it, joining a run it bumps into.
    fn up(&mut self, run: &mut Range<usize>) -> bool {
        if run.start == 0 || self.lines[run.start - 1] != self.lines[run.end - 1] {
            return false;
        }
        self.changed[run.start - 1] = true;
        self.changed[run.end - 1] = false;
        *run = self.run_start(run.start - 1)..run.end - 1;
        true
    }

    /// Moves `run` one line down if the text allows it, joining a run it bumps into.
    fn down(&mut self, run: &mut Range<usize>) -> bool {
        if run.end >= self.lines.len() || self.lines[run.start] != self.lines[run.end] {
            return false;
        }
        self.changed[run.start] = false;
        self.changed[run.end] = true;
        *run = run.start + 1..self.run_end(run.end + 1);
        true
    }
}

/// Moves each run of `this` to its best place; `other` is walked along to see where its runs are.
fn slide(this: &mut Side, other: &mut Side) {
    let mut run = this.first();
    let mut far = other.first();
    loop {
        if !run.is_empty() {
            settle(this, other, &mut run, &mut far);
        }
        match (this.next(&run), other.next(&far)) {
            (Some(r), Some(f)) => (run, far) = (r, f),
            _ => return,
        }
    }
}

fn settle(this: &mut Side, other: &Side, run: &mut Range<usize>, far: &mut Range<usize>) {
    let back = |far: &mut Range<usize>| {
        if let Some(f) = other.previous(far) {
            *far = f;
        }
    };
    let (mut size, mut highest, mut beside);
    loop {
        size = run.len();
        while this.up(run) {
            back(far);
        }
        highest = run.end;
        beside = !Range::is_empty(far);
        while this.down(run) {
            if let Some(f) = other.next(far) {
                *far = f;
            }
            beside |= !Range::is_empty(far);
        }
        if size == run.len() {
            break;
        }
    }
    if run.end == highest {
        return;
    }
    if beside {
        // Line up with the other side's run: one replacement reads better than a deletion and an insertion.
        while Range::is_empty(far) && this.up(run) {
            back(far);
        }
        return;
    }
    let from = highest
        .max(run.end.saturating_sub(size + 1))
        .max(run.end.saturating_sub(MAX_SLIDE));
    let mut best: Option<(usize, Score)> = None;
    for end in from..=run.end {
        let mut score = Score::default();
        score.add(&Split::at(this.lines, end));
        score.add(&Split::at(this.lines, end - size));
        if best.is_none_or(|(_, b)| !score.worse_than(b)) {
            best = Some((end, score));
        }
    }
    let goal = best.map_or(run.end, |(end, _)| end);
    while run.end > goal && this.up(run) {
        back(far);
    }
}

/// The surroundings of a place between two lines.
struct Split {
    at_end: bool,
    /// Columns of indentation of the line after it; `None` when blank or at the end.
    indent: Option<i64>,
    blank_before: usize,
    indent_before: Option<i64>,
    blank_after: usize,
    indent_after: Option<i64>,
}

impl Split {
    fn at(lines: &[&[u8]], at: usize) -> Self {
        let (blank_before, indent_before) = skip_blank(lines[..at].iter().rev());
        let (blank_after, indent_after) = skip_blank(lines.iter().skip(at + 1));
        Self {
            at_end: at >= lines.len(),
            indent: lines.get(at).and_then(|line| indent(line)),
            blank_before,
            indent_before,
            blank_after,
            indent_after,
        }
    }
}

/// Counts blank lines up to the first other line, and that line's indentation.
fn skip_blank<'a>(lines: impl Iterator<Item = &'a &'a [u8]>) -> (usize, Option<i64>) {
    let mut blank = 0;
    for line in lines {
        if let Some(columns) = indent(line) {
            return (blank, Some(columns));
        }
        blank += 1;
        if blank == MAX_BLANKS {
            return (blank, Some(0));
        }
    }
    (blank, None)
}

/// Indentation in columns; `None` for a blank line.
fn indent(line: &[u8]) -> Option<i64> {
    let mut columns = 0;
    for byte in line {
        match byte {
            b' ' => columns += 1,
            b'\t' => columns += 8 - columns % 8,
            b'\n' | b'\r' => {}
            _ => return Some(columns),
        }
        if columns >= MAX_INDENT {
            return Some(MAX_INDENT);
        }
    }
    None
}

/// How bad a placement is. The numbers are git's, found by its authors on a corpus of hand-rated diffs.
#[derive(Debug, Default, Clone, Copy)]
struct Score {
    indent: i64,
    penalty: i64,
}

impl Score {
    fn add(&mut self, split: &Split) {
        if split.indent_before.is_none() && split.blank_before == 0 {
            self.penalty += 1;
        }
        if split.at_end {
            self.penalty += 21;
        }
        let blank_after = if split.indent.is_none() {
            1 + split.blank_after
        } else {
            0
        };
        let blanks = split.blank_before + blank_after;
        self.penalty += -30 * blanks as i64 + 6 * blank_after as i64;
        let with_blank = blanks != 0;
        let pick = |with: i64, without: i64| if with_blank { with } else { without };

        let indent = split.indent.or(split.indent_after);
        self.indent += indent.unwrap_or(-1);
        let (Some(indent), Some(before)) = (indent, split.indent_before) else {
            return;
        };
        if indent > before {
            self.penalty += pick(10, -4);
        } else if indent < before {
            let outdent = split.indent_after.is_some_and(|after| after > indent);
            self.penalty += if outdent { pick(17, 24) } else { pick(17, 23) };
        }
    }

    fn worse_than(self, other: Self) -> bool {
        60 * (self.indent - other.indent).signum() + self.penalty - other.penalty > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(old: &str, new: &str) -> Vec<Change> {
        changes(&split(old.as_bytes()), &split(new.as_bytes()))
    }

    #[test]
    fn equal_and_empty_texts_have_no_changes() {
        assert_eq!(shown("", ""), []);
        assert_eq!(shown("a\nb\n", "a\nb\n"), []);
        assert_eq!(
            shown("", "a\n"),
            [Change {
                old: 0..0,
                new: 0..1
            }]
        );
        assert_eq!(
            shown("a\n", ""),
            [Change {
                old: 0..1,
                new: 0..0
            }]
        );
    }

    #[test]
    fn an_added_function_is_shown_whole() {
        let old = "int a(void)\n{\n\treturn 1;\n}\n\nint c(void)\n{\n\treturn 3;\n}\n";
        let new = "int a(void)\n{\n\treturn 1;\n}\n\nint b(void)\n{\n\treturn 2;\n}\n\nint c(void)\n{\n\treturn 3;\n}\n";
        // Lines 5..10: from "int b" to the blank line after its "}", not from "}" to "}".
        assert_eq!(
            shown(old, new),
            [Change {
                old: 5..5,
                new: 5..10
            }]
        );
    }

    #[test]
    fn a_missing_last_newline_is_a_change() {
        assert_eq!(
            shown("a\nb", "a\nb\n"),
            [Change {
                old: 1..2,
                new: 1..2
            }]
        );
    }
}
