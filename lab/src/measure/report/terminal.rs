//! The report for a terminal.

use super::table::{Row, Table};
use super::{Report, view};
use crate::check::ended;

/// Tables, checks that do not hold, and how it ended.
pub fn terminal(report: &Report) -> String {
    let mut out = format!("Linux {} as guest; {}\n", report.kernel, view::unit(report));
    for table in view::tables(report) {
        out.push_str(&format!("\n{}\n{}", table.title, text(&table)));
        for note in &table.notes {
            out.push_str(&format!("  {note}\n"));
        }
    }
    out.push('\n');
    for check in report.checks.iter().filter(|check| !check.holds) {
        let seen = check.seen.replace('\n', "\n    ");
        out.push_str(&format!(
            "FAILED  {} {}:\n    {seen}\n",
            check.place, check.name
        ));
    }
    out.push_str(&ended(&report.checks));
    out.push_str(&format!("again: {}\n", report.command));
    out.push_str(&format!("logs: {}\n", report.logs.display()));
    out
}

/// Columns as wide as what is in them: words to the left, numbers to the right.
fn text(table: &Table) -> String {
    let mut widths: Vec<usize> = table.head.iter().map(|h| h.chars().count()).collect();
    for row in &table.rows {
        for (width, cell) in widths.iter_mut().zip(&row.cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let head = Row {
        cells: table.head.clone(),
        bar: None,
    };
    let mut out = String::new();
    for row in std::iter::once(&head).chain(&table.rows) {
        let mut line = String::from(" ");
        for (at, (cell, width)) in row.cells.iter().zip(&widths).enumerate() {
            let width = *width;
            line.push(' ');
            line.push_str(&if at < table.words {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            });
            line.push(' ');
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let table = Table {
            title: String::new(),
            head: ["who", "exits"].map(str::to_owned).into(),
            words: 1,
            grouped: false,
            rows: [["a", "5"], ["stock", "12345678"]]
                .map(|cells| Row {
                    cells: cells.map(str::to_owned).into(),
                    bar: None,
                })
                .into(),
            drawn: "",
            notes: Vec::new(),
        };
        assert_eq!(
            text(&table),
            "  who       exits\n  a             5\n  stock  12345678\n"
        );
    }
}
