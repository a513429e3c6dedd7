//! Counts the functions with port I/O calls in a kernel tree, and those that do not parse: `parse_errors TREE [--all] [--raw]`.
//! Prints one line a failure: file, line of the error, function.
//!
//! `parse_errors --files FILE...` counts all functions of these files, and prints two numbers: functions, and those that do
//! not parse.

use std::path::Path;
use std::time::Instant;

use guestpatch::c::{edit, functions, idioms, parse};
use guestpatch::kernel::files::{Globs, Needles, search};
use guestpatch::kernel::{Overlay, Tree};

fn port_io() -> Vec<String> {
    let mut names = Vec::new();
    for width in ["b", "w", "l"] {
        for (kind, tail) in [
            ("in", ""),
            ("in", "_p"),
            ("out", ""),
            ("out", "_p"),
            ("ins", ""),
            ("outs", ""),
        ] {
            names.push(format!("{kind}{width}{tail}"));
        }
    }
    for width in ["8", "16", "32"] {
        for kind in ["ioread", "iowrite"] {
            for tail in ["", "_rep", "be"] {
                names.push(format!("{kind}{width}{tail}"));
            }
        }
    }
    names
}

const OTHER: [&str; 8] = [
    "!arch/**",
    "!Documentation/**",
    "!tools/**",
    "!scripts/**",
    "!samples/**",
    "!LICENSES/**",
    "!rust/**",
    "!usr/**",
];

/// Functions in the files, and those that do not parse. A file that is not there has none.
fn count(files: &[String]) -> (usize, usize) {
    let (mut all, mut bad) = (0, 0);
    for text in files.iter().filter_map(|f| std::fs::read(f).ok()) {
        for span in functions::functions(&text) {
            all += 1;
            bad += usize::from(parse::parse(&text, &span).first_error().is_some());
        }
    }
    (all, bad)
}

fn main() -> guestpatch::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some((first, files)) = args.split_first()
        && first == "--files"
    {
        let (all, bad) = count(files);
        println!("{all} {bad}");
        return Ok(());
    }
    let flag = |name: &str| args.iter().any(|a| a == name);
    let tree = Tree::open(Path::new(&args[0]))?;
    let overlay = Overlay::new(&tree);
    let needles = Needles::words(&port_io())?;
    let began = Instant::now();
    let mut sets: Vec<Vec<&str>> = Vec::new();
    if flag("--all") {
        sets.push(vec!["**/*.[ch]"]);
    } else {
        sets.push(["**/*.[ch]"].into_iter().chain(OTHER).collect());
        sets.push(
            ["x86", "um", "i386", "x86_64"]
                .map(|a| format!("arch/{a}/**/*.[ch]"))
                .map(|s| &*s.leak())
                .to_vec(),
        );
    }
    let (mut files, mut bytes, mut hit_files, mut all, mut hits, mut cut, mut bad) =
        (0, 0, 0, 0, 0, 0, 0);
    for set in sets {
        let (found, scanned) = search(
            &overlay,
            &Globs::new(&set)?,
            &needles,
            &|_, _| (),
            &|_, text| {
                let spans = functions::functions(text);
                let is_call = |end: usize| text[end..].trim_ascii_start().starts_with(b"(");
                let offsets: Vec<usize> = needles
                    .all(text)
                    .into_iter()
                    .filter(|r| is_call(r.end))
                    .map(|r| r.start)
                    .collect();
                let mut failures = Vec::new();
                let (mut hits, mut cut) = (0, 0);
                for span in &spans {
                    let first = offsets.partition_point(|o| *o < span.body.start);
                    if offsets.get(first).is_none_or(|o| *o >= span.body.end) {
                        continue;
                    }
                    hits += 1;
                    cut += span.range.len();
                    let syntax = if flag("--raw") {
                        parse::parse_with(text, span, &idioms::Idioms::none())
                    } else {
                        parse::parse(text, span)
                    };
                    if let Some(at) = syntax.first_error() {
                        failures.push(format!("{}: {}", edit::line_of(text, at), span.name));
                    }
                }
                (spans.len(), hits, cut, failures)
            },
        )?;
        files += scanned.files;
        bytes += scanned.bytes;
        hit_files += found.len();
        for (path, (n, h, c, failures)) in found {
            all += n;
            hits += h;
            cut += c;
            bad += failures.len();
            if !flag("-q") {
                failures.iter().for_each(|f| println!("{path}:{f}"));
            }
        }
    }
    eprintln!(
        "{}: {files} files, {:.0} MB; {hit_files} with port I/O, {all} functions in them, {hits} with port I/O ({:.1} MB), {bad} do not parse ({:.2} %); {:.2} s",
        tree.version(),
        bytes as f64 / 1e6,
        cut as f64 / 1e6,
        bad as f64 * 100.0 / hits as f64,
        began.elapsed().as_secs_f64()
    );
    Ok(())
}
