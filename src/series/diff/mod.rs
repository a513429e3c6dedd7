//! Unified diffs in git's extended format, byte for byte from file contents.

mod lines;
mod stat;

pub use stat::{FileStat, Stat};

use std::fmt::Write as _;

use git2::{ObjectType, Oid};

use self::lines::Change;
use super::FileChange;

/// Lines of context around a change.
const CONTEXT: usize = 3;
/// Hex digits of a blob hash on the `index` line. Fixed, because git's own choice depends on how many
/// objects a repository holds; 12 is what the kernel asks for.
const ABBREV: usize = 12;
/// Bytes of the enclosing function's line shown after `@@` (git's limit).
const MAX_FUNCTION: usize = 80;

/// What a patch does to one file.
#[derive(Debug, Clone)]
pub struct FileDiff {
    /// The diff, from `diff --git` to the last line; empty when nothing changes.
    pub text: Vec<u8>,
    /// The line counts, for the diffstat.
    pub stat: FileStat,
}

/// The diff of one file. `executable` is the file's mode bit; new files never have it.
pub fn file_diff(change: &FileChange, executable: bool) -> FileDiff {
    let old_text = change.before.as_deref().unwrap_or_default();
    let new_text = change.after.as_deref().unwrap_or_default();
    let old = lines::split(old_text);
    let new = lines::split(new_text);
    let changes = lines::changes(&old, &new);
    let stat = FileStat {
        path: change.path.clone(),
        added: changes.iter().map(|c| c.new.len()).sum(),
        removed: changes.iter().map(|c| c.old.len()).sum(),
        created: change.before.is_none(),
        deleted: change.after.is_none(),
        executable,
    };
    if change.before == change.after {
        return FileDiff {
            text: Vec::new(),
            stat,
        };
    }
    let mut text = header(change, executable, !changes.is_empty()).into_bytes();
    for hunk in hunks(&changes) {
        write_hunk(&mut text, hunk, &old, &new);
    }
    FileDiff { text, stat }
}

fn header(change: &FileChange, executable: bool, has_hunks: bool) -> String {
    let mode = if executable { "100755" } else { "100644" };
    let a = quoted(&format!("a/{}", change.path));
    let b = quoted(&format!("b/{}", change.path));
    let mut out = format!("diff --git {a} {b}\n");
    let (from, to) = (
        abbrev(change.before.as_deref()),
        abbrev(change.after.as_deref()),
    );
    let _ = match (&change.before, &change.after) {
        (None, _) => write!(out, "new file mode {mode}\nindex {from}..{to}\n"),
        (_, None) => write!(out, "deleted file mode {mode}\nindex {from}..{to}\n"),
        _ => writeln!(out, "index {from}..{to} {mode}"),
    };
    if has_hunks {
        // A name with blanks ends with a TAB, or `patch` would take the rest of the name for a date.
        let tab = if change.path.contains(' ') { "\t" } else { "" };
        let side = |there: bool, name: &str| {
            if there {
                format!("{name}{tab}")
            } else {
                "/dev/null".to_owned()
            }
        };
        let _ = write!(
            out,
            "--- {}\n+++ {}\n",
            side(change.before.is_some(), &a),
            side(change.after.is_some(), &b)
        );
    }
    out
}

fn abbrev(content: Option<&[u8]>) -> String {
    let id = content
        .and_then(|bytes| Oid::hash_object(ObjectType::Blob, bytes).ok())
        .unwrap_or(Oid::ZERO_SHA1);
    let mut hex = id.to_string();
    hex.truncate(ABBREV);
    hex
}

/// The path as git prints it: in C quotes when it has quotes, backslashes, control or non-ASCII bytes.
pub(super) fn quoted(path: &str) -> String {
    if path
        .bytes()
        .all(|b| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\')
    {
        return path.to_owned();
    }
    let mut out = String::from("\"");
    for byte in path.bytes() {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b'\t' => out.push_str("\\t"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            0x20..0x7f => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\{byte:03o}");
            }
        }
    }
    out.push('"');
    out
}

/// Groups changes whose contexts touch.
fn hunks(changes: &[Change]) -> impl Iterator<Item = &[Change]> {
    changes.chunk_by(|a, b| b.old.start - a.old.end <= 2 * CONTEXT)
}

fn write_hunk(out: &mut Vec<u8>, hunk: &[Change], old: &[&[u8]], new: &[&[u8]]) {
    let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else {
        return;
    };
    let lead = CONTEXT.min(first.old.start);
    let trail = CONTEXT.min(old.len() - last.old.end);
    let start = first.old.start - lead;
    let old_range = range(start, last.old.end + trail);
    let new_range = range(first.new.start - lead, last.new.end + trail);
    out.extend_from_slice(format!("@@ -{old_range} +{new_range} @@").as_bytes());
    if let Some(name) = old[..start]
        .iter()
        .rev()
        .find_map(|line| function_line(line))
    {
        out.push(b' ');
        out.extend_from_slice(name);
    }
    out.push(b'\n');

    let mut at = start;
    for change in hunk {
        write_lines(out, b' ', &old[at..change.old.start]);
        write_lines(out, b'-', &old[change.old.clone()]);
        write_lines(out, b'+', &new[change.new.clone()]);
        at = change.old.end;
    }
    write_lines(out, b' ', &old[at..last.old.end + trail]);
}

fn range(start: usize, end: usize) -> String {
    match end - start {
        // An empty range is named by the line before it.
        0 => format!("{start},0"),
        1 => format!("{}", start + 1),
        n => format!("{},{n}", start + 1),
    }
}

/// The part of `line` shown after `@@` if it looks like the start of a function.
fn function_line<'a>(line: &&'a [u8]) -> Option<&'a [u8]> {
    let first = *line.first()?;
    if !(first.is_ascii_alphabetic() || first == b'_' || first == b'$') {
        return None;
    }
    let shown = &line[..line.len().min(MAX_FUNCTION)];
    let end = shown
        .iter()
        .rposition(|b| !matches!(b, b' ' | b'\t' | b'\n' | b'\r'))?;
    Some(&shown[..=end])
}

fn write_lines(out: &mut Vec<u8>, sign: u8, lines: &[&[u8]]) {
    for line in lines {
        out.push(sign);
        out.extend_from_slice(line);
        if !line.ends_with(b"\n") {
            out.extend_from_slice(b"\n\\ No newline at end of file\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(before: Option<&str>, after: Option<&str>) -> String {
        let change = FileChange {
            path: "lib/x.c".to_owned(),
            before: before.map(Into::into),
            after: after.map(Into::into),
        };
        String::from_utf8(file_diff(&change, false).text).unwrap()
    }

    #[test]
    fn a_change_looks_as_git_shows_it() {
        let before = "int f(int a)\n{\n\tint b;\n\n\tb = a;\n\tg(b);\n\treturn b;\n}";
        let after = "int f(int a)\n{\n\tint b;\n\n\tb = a;\n\th(b);\n\treturn b;\n}";
        insta::assert_snapshot!(shown(Some(before), Some(after)), @r"
        diff --git a/lib/x.c b/lib/x.c
        index b3bd33d28ec6..fb325bc9dcea 100644
        --- a/lib/x.c
        +++ b/lib/x.c
        @@ -3,6 +3,6 @@ int f(int a)
         	int b;
         
         	b = a;
        -	g(b);
        +	h(b);
         	return b;
         }
        \ No newline at end of file
        ");
    }

    #[test]
    fn new_and_removed_files() {
        insta::assert_snapshot!(shown(None, Some("a\n")), @r"
        diff --git a/lib/x.c b/lib/x.c
        new file mode 100644
        index 000000000000..78981922613b
        --- /dev/null
        +++ b/lib/x.c
        @@ -0,0 +1 @@
        +a
        ");
        insta::assert_snapshot!(shown(Some("a\n"), None), @r"
        diff --git a/lib/x.c b/lib/x.c
        deleted file mode 100644
        index 78981922613b..000000000000
        --- a/lib/x.c
        +++ /dev/null
        @@ -1 +0,0 @@
        -a
        ");
        insta::assert_snapshot!(shown(None, Some("")), @r"
        diff --git a/lib/x.c b/lib/x.c
        new file mode 100644
        index 000000000000..e69de29bb2d1
        ");
        assert_eq!(shown(Some("a\n"), Some("a\n")), "");
    }

    #[test]
    fn odd_names_are_quoted() {
        assert_eq!(quoted("a/x y.c"), "a/x y.c");
        assert_eq!(quoted("a/\"\\\u{e9}\t"), "\"a/\\\"\\\\\\303\\251\\t\"");
    }
}
