//! The diffstat, laid out as `git format-patch` does (72 columns).

use std::fmt::Write as _;

use super::quoted;

/// Columns a diffstat may take (git's width for mail).
const WIDTH: usize = 72;

/// Line counts of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStat {
    /// Path relative to the tree's top.
    pub path: String,
    /// Lines added.
    pub added: usize,
    /// Lines removed.
    pub removed: usize,
    /// The file is new.
    pub created: bool,
    /// The file goes away.
    pub deleted: bool,
    /// The file's mode bit.
    pub executable: bool,
}

/// A diffstat over several files, in the order given.
#[derive(Debug, Clone, Default)]
pub struct Stat(pub Vec<FileStat>);

impl Stat {
    /// The table, the summary line, and the created and deleted files.
    pub fn render(&self) -> String {
        let mut out = String::new();
        let names: Vec<String> = self.0.iter().map(|f| quoted(&f.path)).collect();
        let most = self
            .0
            .iter()
            .map(|f| f.added + f.removed)
            .max()
            .unwrap_or(0);
        let digits = most.to_string().len();
        let (name_width, graph_width) = widths(
            names.iter().map(String::len).max().unwrap_or(0),
            digits,
            most,
        );
        for (file, name) in self.0.iter().zip(&names) {
            let total = file.added + file.removed;
            let shown = shorten(name, name_width);
            let (plus, minus) = scale(file.added, file.removed, graph_width, most);
            let blank = if total > 0 { " " } else { "" };
            let graph = "+".repeat(plus) + &"-".repeat(minus);
            let _ = writeln!(out, " {shown:name_width$} | {total:digits$}{blank}{graph}");
        }
        self.summary(&mut out);
        out
    }

    fn summary(&self, out: &mut String) {
        let added: usize = self.0.iter().map(|f| f.added).sum();
        let removed: usize = self.0.iter().map(|f| f.removed).sum();
        let s = |n: usize| if n == 1 { "" } else { "s" };
        let files = self.0.len();
        let _ = write!(out, " {files} file{} changed", s(files));
        if added > 0 || removed == 0 {
            let _ = write!(out, ", {added} insertion{}(+)", s(added));
        }
        if removed > 0 || added == 0 {
            let _ = write!(out, ", {removed} deletion{}(-)", s(removed));
        }
        out.push('\n');
        for file in &self.0 {
            let mode = if file.executable { "100755" } else { "100644" };
            if file.created {
                let _ = writeln!(out, " create mode {mode} {}", quoted(&file.path));
            } else if file.deleted {
                let _ = writeln!(out, " delete mode {mode} {}", quoted(&file.path));
            }
        }
    }
}

/// Columns for names and for the graph: names get what they need, unless the graph falls under 3/8.
fn widths(longest: usize, digits: usize, most: usize) -> (usize, usize) {
    let (mut name, mut graph) = (longest, most);
    if name + digits + 6 + graph > WIDTH {
        graph = graph.min((WIDTH * 3 / 8).saturating_sub(digits + 6).max(6));
        let room = WIDTH.saturating_sub(digits + 6);
        if name > room.saturating_sub(graph) {
            name = room.saturating_sub(graph);
        } else {
            graph = room - name;
        }
    }
    (name, graph)
}

/// Cuts a name from the left, at a slash if there is one.
fn shorten(name: &str, width: usize) -> String {
    if name.len() <= width {
        return name.to_owned();
    }
    // Quoted names are ASCII, so bytes are columns.
    let tail = &name[name.len() - width.saturating_sub(3)..];
    format!("...{}", tail.find('/').map_or(tail, |at| &tail[at..]))
}

fn scale(added: usize, removed: usize, width: usize, most: usize) -> (usize, usize) {
    if width > most {
        return (added, removed);
    }
    let linear = |n: usize| {
        if n == 0 {
            0
        } else {
            1 + n * (width - 1) / most
        }
    };
    let mut total = linear(added + removed);
    if total < 2 && added > 0 && removed > 0 {
        total = 2;
    }
    if added < removed {
        let plus = linear(added);
        (plus, total - plus)
    } else {
        let minus = linear(removed);
        (total - minus, minus)
    }
}
