//! Tables for a terminal: columns aligned, and no wider than it.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::Totals;
use crate::recipe::scan::{Found, Scan};
use crate::step::Verdict;

const HEAD: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const DIM: Style = Style::new().dimmed();

/// The sites as a table, `limit` rows at most, and the sums below. `width` is the terminal's; lines are not cut without it.
pub fn scan(scan: &Scan, limit: usize, width: Option<usize>) -> String {
    let rows: Vec<Row> = scan.found.iter().take(limit).map(Row::of).collect();
    let longest = |f: fn(&Row) -> &str| rows.iter().map(|r| columns(f(r))).max().unwrap_or(0);
    let (mut place, mut function) = (
        longest(|r| &r.place).max(5),
        longest(|r| &r.function).max(8),
    );
    // Numbers and the gaps take 16 columns. What is left goes to the place first, which is what one acts on.
    let rest = width.map_or(usize::MAX, |w| w.saturating_sub(16));
    if place.saturating_add(function).saturating_add(24) > rest {
        place = place.min((rest / 2).max(20));
        function = function.min((rest / 4).max(10));
    }
    let verdict = rest.saturating_sub(place + function + 2).max(9);

    let mut out = String::new();
    if !rows.is_empty() {
        let _ = writeln!(
            out,
            "{HEAD}{:>5}  {:>4}  {:<place$}  {:<function$}  {}{HEAD:#}",
            "saves",
            "ops",
            "place",
            "function",
            cut_right("recipe, or obstacle", verdict)
        );
    }
    for row in &rows {
        let style = if row.rewritten { GOOD } else { DIM };
        let _ = writeln!(
            out,
            "{:>5}  {:>4}  {}  {}  {style}{}{style:#}",
            row.saves,
            row.ops,
            pad(&cut_left(&row.place, place), place),
            pad(&cut_right(&row.function, function), function),
            cut_right(&row.verdict, verdict),
        );
    }
    if scan.found.len() > rows.len() {
        let more = scan.found.len() - rows.len();
        let _ = writeln!(out, "{DIM}… and {more} more, see --limit{DIM:#}");
    }
    if !rows.is_empty() {
        out.push('\n');
    }
    out.push_str(&sums(
        &Totals::of(scan.found.iter().map(|f| &f.site)),
        scan.scanned.files,
        width,
    ));
    out
}

fn sums(totals: &Totals, files: usize, width: Option<usize>) -> String {
    let mut out = format!(
        "{HEAD}{} in {}: {} can be rewritten, saving {}; {} left alone{HEAD:#}\n",
        count(totals.sites, "place"),
        count(files, "file"),
        totals.rewritten,
        count(totals.exits_saved, "exit"),
        totals.left_alone(),
    );
    let mut codes: Vec<(&String, &usize)> = totals.blocked.iter().collect();
    codes.sort_by_key(|(code, number)| (std::cmp::Reverse(**number), (*code).clone()));
    let mut line = String::new();
    for (code, number) in codes {
        let item = format!("{code} {number}");
        if !line.is_empty() && line.len() + 2 + item.len() + 2 > width.unwrap_or(80) {
            let _ = writeln!(out, "  {line},");
            line.clear();
        }
        if !line.is_empty() {
            line.push_str(", ");
        }
        line.push_str(&item);
    }
    if !line.is_empty() {
        let _ = writeln!(out, "  {line}");
    }
    out
}

/// `1 place`, `2 places`.
pub fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

struct Row {
    saves: String,
    ops: String,
    place: String,
    function: String,
    verdict: String,
    rewritten: bool,
}

impl Row {
    fn of(found: &Found) -> Self {
        let site = &found.site;
        let (verdict, rewritten) = match &site.verdict {
            Verdict::Rewritten => (found.recipe.clone(), true),
            Verdict::Blocked { code, reason, line } if *line == site.line => {
                (format!("{code}: {reason}"), false)
            }
            Verdict::Blocked { code, reason, line } => {
                (format!("{code}: {reason} (line {line})"), false)
            }
        };
        let number = |n: usize| {
            if n == 0 {
                "-".to_owned()
            } else {
                n.to_string()
            }
        };
        Self {
            saves: number(site.exits_saved),
            ops: number(site.ops),
            place: format!("{}:{}", site.file, site.line),
            function: site.function.clone(),
            verdict,
            rewritten,
        }
    }
}

fn columns(text: &str) -> usize {
    text.chars().count()
}

fn pad(text: &str, width: usize) -> String {
    format!("{text:<width$}")
}

/// The end of `text`: of a path, the file's name matters most.
fn cut_left(text: &str, width: usize) -> String {
    let length = columns(text);
    if length <= width {
        return text.to_owned();
    }
    let kept: String = text
        .chars()
        .skip(length - width.saturating_sub(1))
        .collect();
    format!("…{kept}")
}

fn cut_right(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::Site;

    fn found(file: &str, ops: usize, saved: usize, verdict: Verdict) -> Found {
        let site = Site {
            file: file.into(),
            line: 12,
            function: "some_function".into(),
            ops,
            exits_saved: saved,
            verdict,
        };
        Found {
            recipe: "io-generic".into(),
            site,
        }
    }

    fn example() -> Scan {
        let blocked = Verdict::Blocked {
            code: "call".into(),
            reason: "a call of `udelay` stands between".into(),
            line: 14,
        };
        let mut scan = Scan::default();
        scan.found.push(found(
            "drivers/ata/libata-sff.c",
            11,
            10,
            Verdict::Rewritten,
        ));
        scan.found
            .push(found("drivers/net/ethernet/8390/lib8390.c", 3, 0, blocked));
        scan.scanned.files = 2;
        scan
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_wide_table() {
        insta::assert_snapshot!(plain(&super::scan(&example(), 10, None)), @r"
        saves   ops  place                                   function       recipe, or obstacle
           10    11  drivers/ata/libata-sff.c:12             some_function  io-generic
            -     3  drivers/net/ethernet/8390/lib8390.c:12  some_function  call: a call of `udelay` stands between (line 14)

        2 places in 2 files: 1 can be rewritten, saving 10 exits; 1 left alone
          call 1
        ");
    }

    #[test]
    fn a_narrow_and_limited_table() {
        let text = plain(&super::scan(&example(), 1, Some(70)));
        insta::assert_snapshot!(text, @r"
        saves   ops  place                        function       recipe, or …
           10    11  drivers/ata/libata-sff.c:12  some_function  io-generic
        … and 1 more, see --limit

        2 places in 2 files: 1 can be rewritten, saving 10 exits; 1 left alone
          call 1
        ");
        assert!(text.lines().all(|l| l.chars().count() <= 70));
    }
}
