//! Our diffs against git itself: `git apply` must make exactly the new file, and the text must be git's own.

mod series_support;

use std::fs;
use std::path::Path;
use std::process::Command;

use guestpatch::series::FileChange;
use guestpatch::series::diff::file_diff;
use proptest::prelude::*;
use series_support::{git, kernel_tree};

fn git_apply(change: &FileChange, diff: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    fs::create_dir(&work).unwrap();
    let file = work.join(&change.path);
    if let Some(before) = &change.before {
        fs::write(&file, before).unwrap();
    }
    fs::write(dir.path().join("d.patch"), diff).unwrap();
    let output = git(&work, &["apply", "--whitespace=nowarn", "../d.patch"]);
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(fs::read(&file).ok())
}

/// Lines that C files are made of, and some that are awkward; few, so that texts have lines in common.
fn line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"{".to_vec()),
        Just(b"}".to_vec()),
        Just(Vec::new()),
        Just(b"\treturn 0;".to_vec()),
        Just(b"\t\toutb(1, port);".to_vec()),
        Just(b"static int f(void)".to_vec()),
        Just(b"label:\r".to_vec()),
        Just(b"\t/* caf\xe9 \xff */ ".to_vec()),
        Just(b"--- a/x".to_vec()),
        Just(b"+++ b/x".to_vec()),
        Just(b"@@ -1 +1 @@".to_vec()),
        Just(b"-- ".to_vec()),
        "[a-c]{0,2}".prop_map(String::into_bytes),
    ]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    (prop::collection::vec(line(), 0..40), any::<bool>()).prop_map(|(lines, newline)| {
        let mut out = lines.join(&b'\n');
        if newline && !out.is_empty() {
            out.push(b'\n');
        }
        out
    })
}

/// A text and the same with some places edited: more like a patch than two unrelated texts.
fn pair() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let edits = prop::collection::vec(
        (
            any::<prop::sample::Index>(),
            0_usize..4,
            prop::collection::vec(line(), 0..4),
        ),
        0..4,
    );
    (text(), edits).prop_map(|(before, edits)| {
        let mut lines: Vec<Vec<u8>> = before.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        for (at, remove, insert) in edits {
            let at = at.index(lines.len() + 1);
            let end = lines.len().min(at + remove);
            lines.splice(at..end, insert);
        }
        (before, lines.join(&b'\n'))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn git_apply_makes_exactly_the_new_text((before, after) in prop_oneof![pair(), (text(), text())]) {
        let change = FileChange { path: "x.c".to_owned(), before: Some(before), after: Some(after) };
        let diff = file_diff(&change, false).text;
        prop_assert_eq!(diff.is_empty(), change.before == change.after);
        if !diff.is_empty() {
            prop_assert_eq!(git_apply(&change, &diff), Ok(change.after));
        }
    }

    #[test]
    fn files_come_and_go(content in text()) {
        for (before, after) in [(None, Some(content.clone())), (Some(content.clone()), None)] {
            let change = FileChange { path: "x y.c".to_owned(), before, after };
            prop_assert_eq!(git_apply(&change, &file_diff(&change, false).text), Ok(change.after));
        }
    }
}

/// What git prints for the same change, from its own repository (12 digits, no user settings).
fn git_diff(change: &FileChange) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| git(dir.path(), args).stdout;
    run(&["init", "-q"]);
    let file = dir.path().join(&change.path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, change.before.as_deref().unwrap_or_default()).unwrap();
    run(&["add", "-f", "."]);
    fs::write(&file, change.after.as_deref().unwrap_or_default()).unwrap();
    run(&["-c", "core.abbrev=12", "diff", "--text"])
}

#[test]
fn edited_c_looks_as_git_shows_it() {
    let before = include_str!("series_support/sample.c");
    let edits: [(&str, &str); 6] = [
        ("\treturn a + b;\n", "\treturn a - b;\n"),
        // A copy of a neighbour: the run can slide.
        (
            "int third(",
            "int between(int a, int b)\n{\n\treturn a;\n}\n\nint third(",
        ),
        (
            "\tif (c) {\n\t\tone();\n\t}\n",
            "\tif (c) {\n\t\tone();\n\t}\n\tif (d) {\n\t\tone();\n\t}\n",
        ),
        (
            "\tone();\n\n\ttwo();\n",
            "\tone();\n\n\ttwo();\n\n\ttwo();\n",
        ),
        ("/* last */\n", ""),
        ("\tx = 1;\n\ty = 2;\n\tz = 3;\n", "\tz = 3;\n\tx = 1;\n"),
    ];
    for (from, to) in edits {
        assert!(before.contains(from), "{from}");
        let change = FileChange {
            path: "x.c".to_owned(),
            before: Some(before.into()),
            after: Some(before.replacen(from, to, 1).into()),
        };
        let ours = String::from_utf8(file_diff(&change, false).text).unwrap();
        assert_eq!(ours, String::from_utf8(git_diff(&change)).unwrap());
    }
}

/// Real edits: what happened to drivers between two kernels.
#[test]
fn drivers_between_kernels() {
    let (Some(old), Some(new)) = (kernel_tree("5.10"), kernel_tree("6.1")) else {
        println!("SKIPPED: GUESTPATCH_TEST_TREES names no folder with linux-source-5.10 and 6.1");
        return;
    };
    let (mut same, mut all) = (0, 0);
    for dir in [
        "drivers/ata",
        "drivers/net/ethernet/realtek",
        "drivers/clocksource",
        "arch/x86/kvm",
        "block",
    ] {
        for path in files_in_both(&old, &new, dir) {
            let read = |root: &Path| Some(fs::read(root.join(&path)).unwrap());
            let change = FileChange {
                path: path.clone(),
                before: read(&old),
                after: read(&new),
            };
            let diff = file_diff(&change, false).text;
            if diff.is_empty() {
                continue;
            }
            let flat = FileChange {
                path: "x.c".to_owned(),
                ..change.clone()
            };
            assert_eq!(
                git_apply(&flat, &file_diff(&flat, false).text),
                Ok(flat.after),
                "{path}"
            );
            all += 1;
            same += usize::from(diff == git_diff(&change));
        }
    }
    println!("{same} of {all} diffs are byte for byte git's");
    // The rest are rewritten functions, where several shortest diffs exist and git's search finds another.
    assert!(all > 100 && same * 100 >= all * 70, "{same} of {all}");
}

fn files_in_both(old: &Path, new: &Path, dir: &str) -> Vec<String> {
    let mut paths: Vec<_> = fs::read_dir(old.join(dir))
        .unwrap()
        .map(|entry| {
            format!(
                "{dir}/{}",
                entry.unwrap().file_name().into_string().unwrap()
            )
        })
        .filter(|path| path.ends_with(".c") && new.join(path).is_file())
        .collect();
    paths.sort();
    paths
}

#[test]
fn gnu_patch_takes_it_too() {
    if Command::new("patch").arg("--version").output().is_err() {
        println!("SKIPPED: patch is not installed");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let change = FileChange {
        path: "x y.c".to_owned(),
        before: Some(b"a\r\n\tb\r\nc".to_vec()),
        after: Some(b"a\r\n\tb2\xe9\r\nc\n".to_vec()),
    };
    fs::write(dir.path().join("x y.c"), change.before.as_ref().unwrap()).unwrap();
    fs::write(dir.path().join("d"), file_diff(&change, false).text).unwrap();
    let status = Command::new("patch")
        .args(["-p1", "-s", "--binary", "-i", "d"])
        .current_dir(dir.path())
        .status();
    assert!(status.unwrap().success());
    assert_eq!(fs::read(dir.path().join("x y.c")).ok(), change.after);
}
