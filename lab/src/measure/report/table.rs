//! A table, for whatever shows it, and how numbers stand in it.

use crate::measure::figures::ratio;

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// Heads of the columns.
    pub head: Vec<String>,
    /// How many columns, from the first on, are words.
    pub words: usize,
    /// Its rows.
    pub rows: Vec<Row>,
    /// Whether rows with the same first word belong together, and their bars are compared with each other alone.
    pub grouped: bool,
    /// What the bars beside the rows show.
    pub drawn: &'static str,
    /// What the reader must know.
    pub notes: Vec<String>,
}

/// A row.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its cells.
    pub cells: Vec<String>,
    /// A number to draw beside those of the other rows.
    pub bar: Option<u64>,
}

impl Table {
    /// An empty one.
    pub fn new(title: &str, words: &[&str], numbers: &[&str]) -> Self {
        let head = words.iter().chain(numbers).map(|h| (*h).to_owned());
        Self {
            title: title.to_owned(),
            head: head.collect(),
            words: words.len(),
            grouped: words.len() > 1,
            rows: Vec::new(),
            drawn: "",
            notes: Vec::new(),
        }
    }

    /// Each row has a bar, which shows this.
    pub fn drawing(mut self, what: &'static str) -> Self {
        self.drawn = what;
        self
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>, bar: Option<u64>) {
        debug_assert_eq!(cells.len(), self.head.len(), "{cells:?} in {}", self.title);
        debug_assert_eq!(bar.is_some(), !self.drawn.is_empty(), "{}", self.title);
        self.rows.push(Row { cells, bar });
    }

    /// Takes out columns in which there is nothing but zeros.
    pub fn drop_zeros(&mut self) {
        for at in (self.words..self.head.len()).rev() {
            if self.rows.iter().all(|row| row.cells[at] == "0") {
                self.head.remove(at);
                for row in &mut self.rows {
                    row.cells.remove(at);
                }
            }
        }
    }

    /// Bars of all rows are compared: no rows belong together by their first word.
    pub fn ungrouped(mut self) -> Self {
        self.grouped = false;
        self
    }

    /// Says something below it.
    pub fn note(mut self, text: &str) -> Self {
        self.notes.push(text.to_owned());
        self
    }
}

/// Digits in groups.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `before` in terms of `after`: how many times less.
pub fn times(before: Option<u64>, after: u64) -> String {
    match before {
        Some(before) if before > 0 && after == 0 => "all".to_owned(),
        Some(before) => ratio(before, after).map_or("-".to_owned(), |ratio| format!("{ratio:.2}")),
        None => "-".to_owned(),
    }
}

/// How many there are for each of so many.
pub fn each(value: u64, of: u64) -> String {
    match ratio(value, of) {
        Some(0.0) => "0".to_owned(),
        Some(each) => format!("{each:.1}"),
        None => "-".to_owned(),
    }
}

/// A part of a whole.
pub fn share(part: u64, whole: u64) -> String {
    ratio(part, whole).map_or("-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let all = [0, 999, 1000, 1_234_567].map(number);
        assert_eq!(all, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn nothing_left_is_not_nothing_known() {
        assert_eq!(times(Some(256), 0), "all");
        assert_eq!(times(Some(256), 2), "128.00");
        assert_eq!(times(Some(0), 0), "-");
        assert_eq!(times(None, 7), "-");
    }

    #[test]
    fn an_average_tells_a_little_from_nothing() {
        assert_eq!(each(0, 256), "0");
        assert_eq!(each(1, 256), "0.0");
        assert_eq!(each(6656, 256), "26.0");
        assert_eq!(each(5, 0), "-");
    }

    #[test]
    fn columns_of_zeros_go() {
        let mut table = Table::new("", &["who"], &["none", "some"]);
        for (who, some) in [("a", "0"), ("b", "7")] {
            table.row([who, "0", some].map(str::to_owned).into(), None);
        }
        table.drop_zeros();
        assert_eq!(table.head, ["who", "some"]);
        assert_eq!(table.rows[1].cells, ["b", "7"]);
    }
}
