//! One page that needs nothing else: tables, and a bar beside each row.

use std::fmt::Write as _;

use super::table::Table;
use super::{Report, view};

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#667;--line:#d8dce2;--bar:#3b6fb6;--bad:#b3261e;--page:#fff}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--dim:#9aa3ad;--line:#343a42;--bar:#6fa3e8;--bad:#ff8a80;--page:#16191d}}\
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:84rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:2.2rem 0 .4rem}\
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\
th,td{padding:.2rem .6rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}\
th{font-weight:600;color:var(--dim);white-space:normal;vertical-align:bottom}.w{text-align:left}td.s{white-space:normal;min-width:9rem}.new td{border-top:2px solid var(--line)}\
td.chart{width:14rem;min-width:9rem}svg{display:block;width:100%;height:.8rem}rect{fill:var(--bar)}\
p,li{max-width:60rem}dl{display:grid;grid-template-columns:max-content auto;gap:.1rem 1rem;max-width:60rem}dd{margin:0}.note{color:var(--dim);margin:.3rem 0}.bad{color:var(--bad)}code{font-size:.92em}\
pre{white-space:pre-wrap}";

/// The page.
pub fn html(report: &Report) -> String {
    let mut out = String::new();
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>xkvm-lab measure: Linux {version}</title>\
         <style>{STYLE}</style></head><body>\n<h1>What the series saves: Linux {version} as guest</h1>\n<p>The same work is done by guests without and with the series, on the same KVM, and what leaves the guest is counted. \
         <i>Exits</i> are counted by KVM; of these, <i>to user space</i> go those that KVM does not handle itself, \
         which the VMM counts (of QEMU, a tracepoint of KVM's); {unit}. \
         Repeat it: <code>{command}</code>, and one run alone with <code>--only NAME</code>. \
         Logs and consoles: <code>{logs}</code>, until twenty more experiments have been made.</p>\n",
        version = escape(&report.kernel),
        unit = view::unit(report),
        command = escape(&report.command),
        logs = escape(&report.logs.display().to_string()),
    );
    checks(&mut out, report);
    words(&mut out, report);
    for table in view::tables(report) {
        one(&mut out, &table);
    }
    out.push_str("<h2>What went in</h2>\n<div class=\"scroll\"><table>\n");
    for (name, value) in &report.inputs {
        let _ = writeln!(
            out,
            "<tr><td class=\"w\">{}<td class=\"w\">{}",
            escape(name),
            escape(value)
        );
    }
    out.push_str("</table></div>\n</body></html>\n");
    out
}

fn checks(out: &mut String, report: &Report) {
    let failed = report.checks.iter().filter(|check| !check.holds).count();
    let _ = match failed {
        0 => writeln!(out, "<p>All {} checks hold.</p>", report.checks.len()),
        _ => writeln!(
            out,
            "<p class=\"bad\">{failed} of {} checks failed.</p>",
            report.checks.len()
        ),
    };
    let open = if failed > 0 { " open" } else { "" };
    let _ = writeln!(out, "<details{open}><summary>The checks</summary><ul>");
    // What failed first.
    let mut all: Vec<_> = report.checks.iter().collect();
    all.sort_by_key(|check| check.holds);
    for check in all {
        let class = if check.holds { "" } else { " class=\"bad\"" };
        let _ = writeln!(
            out,
            "<li{class}>{} {}: <span class=\"note\">{}</span>",
            escape(&check.place),
            escape(&check.name),
            escape(&check.seen).replace('\n', "<br>")
        );
    }
    out.push_str("</ul></details>\n");
}

fn words(out: &mut String, report: &Report) {
    out.push_str("<details open><summary>What the names of variants are made of</summary><dl>\n");
    for (word, meaning) in view::words(report) {
        let _ = writeln!(
            out,
            "<dt><code>{}</code><dd>{}",
            escape(word),
            escape(meaning)
        );
    }
    out.push_str("</dl></details>\n");
}

fn one(out: &mut String, table: &Table) {
    let _ = writeln!(
        out,
        "<h2>{}</h2>\n<div class=\"scroll\"><table><tr>",
        escape(&table.title)
    );
    for (at, head) in table.head.iter().enumerate() {
        let _ = write!(out, "<th{}>{}", class(at, table), escape(head));
    }
    if !table.drawn.is_empty() {
        let _ = write!(out, "<th class=\"w\">bar: {}", escape(table.drawn));
    }
    let mut before = "";
    let grouped = table.grouped;
    for row in &table.rows {
        let group = row.cells.first().map_or("", String::as_str);
        // Bars are compared within a group of rows.
        let most = table
            .rows
            .iter()
            .filter(|r| !grouped || r.cells.first() == row.cells.first());
        let most = most.filter_map(|r| r.bar).max().unwrap_or(0).max(1);
        let new = if grouped && group != before && !before.is_empty() {
            " class=\"new\""
        } else {
            ""
        };
        before = group;
        let _ = write!(out, "\n<tr{new}>");
        for (at, cell) in row.cells.iter().enumerate() {
            // Sentences may take several lines, names may not.
            let class = match class(at, table) {
                "" => "",
                _ if cell.contains(' ') => " class=\"w s\"",
                class => class,
            };
            let _ = write!(out, "<td{class}>{}", escape(cell));
        }
        if let Some(bar) = row.bar {
            #[expect(clippy::cast_precision_loss, reason = "the length of a bar")]
            let width = bar as f64 * 100.0 / most as f64;
            let _ = write!(
                out,
                "<td class=\"chart\"><svg role=\"img\" aria-label=\"{bar}\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\"><rect width=\"{width:.2}\" height=\"8\"/></svg>"
            );
        }
    }
    out.push_str("\n</table></div>\n");
    for note in &table.notes {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", escape(note));
    }
}

fn class(column: usize, table: &Table) -> &'static str {
    if column < table.words {
        " class=\"w\""
    } else {
        ""
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Check;

    #[test]
    fn bars_are_compared_within_a_group() {
        let full = |table: Table| {
            let mut table = table.drawing("n");
            for (first, bar) in [("write", 100), ("write", 50), ("read", 10)] {
                table.row([first, "x", "1"].map(str::to_owned).into(), Some(bar));
            }
            let mut out = String::new();
            one(&mut out, &table);
            out.matches("rect width=\"100.00\"").count()
        };
        let table = || Table::new("t", &["a", "b"], &["n"]);
        assert_eq!(full(table()), 2);
        assert_eq!(full(table().ungrouped()), 1);
    }

    #[test]
    fn the_page_shows_what_failed_and_escapes_what_guests_said() {
        let report = Report {
            kernel: "6.12.1".to_owned(),
            checks: vec![Check::new("a", "b", false, "<script>&")],
            ..Report::default()
        };
        let page = html(&report);
        assert!(page.contains("1 of 1 checks failed"));
        assert!(page.contains("&lt;script&gt;&amp;") && !page.contains("<script>"));
    }
}
