//! The rendered series, taken by the tools it is for: git am, git format-patch, quilt, checkpatch.

mod series_support;

use std::fs;
use std::process::Command;

use guestpatch::kernel::Base;
use guestpatch::series::{Cover, Identity, Series, diff};
use series_support::{DRIVER, Scratch, change, git, kernel_tree, patch, sample, series};

fn am(scratch: &Scratch, series: &Series, options: &[&str]) {
    let paths = scratch.render(series);
    let mut args = vec!["am", "-q"];
    args.extend(options);
    args.extend(paths.iter().map(|p| p.to_str().unwrap()));
    scratch.git(&args);
}

#[test]
fn git_am_gives_the_files_and_the_messages() {
    let scratch = Scratch::repository();
    let series = series(&scratch, sample(), None);
    am(&scratch, &series, &[]);
    for change in series.net() {
        assert_eq!(
            fs::read(scratch.tree().join(&change.path)).ok(),
            change.after
        );
    }
    let log = scratch.git(&["log", "--reverse", "-z", "--format=%B", "main~2..main"]);
    let want: Vec<String> = series.messages().map(|(_, message)| message).collect();
    assert_eq!(log.split_terminator('\0').collect::<Vec<_>>(), want);
    assert_eq!(
        scratch.git(&["log", "-2", "--format=%an <%ae> %ad", "--date=unix"]),
        "guestpatch <guestpatch@localhost> 1700000002\nguestpatch <guestpatch@localhost> 1700000001\n"
    );
    assert_eq!(scratch.git(&["status", "--porcelain"]), "");
}

/// After `git am`, git's own format-patch must write what we wrote, but for what is ours by design.
#[test]
fn messages_are_those_of_git_format_patch() {
    let scratch = Scratch::repository();
    let body = "caf\u{e9}.\n\nSecond paragraph.";
    let mut patches = sample();
    body.clone_into(&mut patches[0].body);
    "x: a subject that is so long that it needs to be folded in the header"
        .clone_into(&mut patches[1].subject);
    let after = patches[1].changes[0].after.clone();
    let mut longer = after.clone().unwrap();
    longer.extend(b"\nint more;\n".repeat(60));
    patches.push(patch(
        "x: \u{fc}ber-long subject with \u{e4}\u{f6}\u{fc} beyond ASCII, (odd) =?signs?= ...",
        "Why.",
        vec![
            change("drivers/x.c", after.as_deref(), Some(&longer)),
            change(
                "drivers/a/very/long/path/that/does/not/fit/into/the/width/of/a/diffstat/line.c",
                None,
                Some(b"a\n"),
            ),
        ],
    ));
    let who = Identity {
        name: "J. R\u{f6}ss, Jr".to_owned(),
        email: "jr@example.org".to_owned(),
    };
    let series = series(&scratch, patches, Some(who));
    am(&scratch, &series, &[]);
    scratch.git(&[
        "-c",
        "core.abbrev=12",
        "format-patch",
        "-q",
        "--cover-letter",
        "-o",
        "../git",
        "main~3",
    ]);
    for (name, ours) in series.render() {
        if name == "series" || name.starts_with("0000-") {
            continue;
        }
        let theirs = fs::read_to_string(scratch.top().join("git").join(&name)).unwrap();
        assert_eq!(
            comparable(&String::from_utf8(ours).unwrap()),
            comparable(&theirs),
            "{name}"
        );
    }
}

/// Without the hash, the threading and the signature.
fn comparable(message: &str) -> String {
    let start = message.find("\nFrom: ").unwrap();
    let end = message.rfind("-- \n").unwrap();
    message[start..end].to_owned()
}

#[test]
fn awkward_bodies_survive_git_am() {
    let scratch = Scratch::repository();
    let lines = [
        "From: somebody@example.org",
        "From nobody Mon Sep 17 00:00:00 2001",
        "---",
        "--- a/drivers/x.c",
        "+++ b/drivers/x.c",
        "diff --git a/x b/x",
        "diff -u x y",
        "Index: x",
        "-- ",
        ">From here",
        "# not a comment",
        "[PATCH] not a prefix",
        "-----",
        "\tint a;",
        "\u{e9} \u{2192}",
    ];
    let mut patches = Vec::new();
    let mut before: Option<Vec<u8>> = None;
    for (at, line) in lines.iter().enumerate() {
        let after = Some(format!("{at}\n").into_bytes());
        // At the top of the body, in the middle, and at its end.
        let body = format!("{line}\n{line}\n\ntext\n{line}\n\n\n{line}");
        patches.push(patch(
            &format!("x: patch {at}"),
            &body,
            vec![change("n.c", before.as_deref(), after.as_deref())],
        ));
        before = after;
    }
    let series = series(&scratch, patches, None);
    am(&scratch, &series, &[]);
    let log = scratch.git(&[
        "log",
        "--reverse",
        "-z",
        "--format=%B",
        &format!("main~{}..main", lines.len()),
    ]);
    let log: Vec<&str> = log.split_terminator('\0').collect();
    assert_eq!(log.len(), lines.len());
    for ((_, want), got) in series.messages().zip(log) {
        assert_eq!(got, want);
    }
    assert_eq!(scratch.git(&["log", "-1", "--format=%an"]), "guestpatch\n");
}

#[test]
fn crlf_latin1_and_missing_newlines_survive_git_am() {
    let scratch = Scratch::repository();
    let before = b"a\r\n\tb \r\n\xa9 \xe9\r\nlast";
    let after = b"a\r\n\tb2 \r\n\xa9 \xe9\r\nlast\r\n";
    scratch.write("tree/crlf.c", before);
    scratch.commit("Add CRLF");
    let series = series(
        &scratch,
        vec![patch(
            "x: odd bytes",
            "",
            vec![change("crlf.c", Some(before), Some(after))],
        )],
        None,
    );
    am(&scratch, &series, &["--keep-cr"]);
    assert_eq!(fs::read(scratch.tree().join("crlf.c")).unwrap(), after);
    let letter = String::from_utf8(series.render().swap_remove(0).1).unwrap();
    assert!(letter.contains("git am --keep-cr"), "{letter}");
}

#[test]
fn quilt_takes_the_series() {
    if Command::new("quilt").arg("--version").output().is_err() {
        println!("SKIPPED: quilt is not installed");
        return;
    }
    let scratch = Scratch::plain();
    let series = series(&scratch, sample(), None);
    scratch.render(&series);
    let quilt = |args: &[&str]| {
        let output = Command::new("quilt")
            .args(["--quiltrc", "-"])
            .args(args)
            .env("QUILT_PATCHES", scratch.top().join("out"))
            .current_dir(scratch.tree())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    quilt(&["push", "-a"]);
    for change in series.net() {
        assert_eq!(
            fs::read(scratch.tree().join(&change.path)).ok(),
            change.after
        );
    }
    quilt(&["pop", "-a"]);
    assert_eq!(
        fs::read(scratch.tree().join("drivers/x.c")).unwrap(),
        DRIVER.as_bytes()
    );
}

#[test]
fn the_cover_letter() {
    let scratch = Scratch::repository();
    let series = series(&scratch, sample(), None);
    let (name, letter) = series.render().swap_remove(0);
    assert_eq!(name, "0000-cover-letter.patch");
    let letter = String::from_utf8(letter).unwrap();
    let commit = scratch.git(&["rev-parse", "HEAD"]);
    let id = letter
        .split("Message-ID: <")
        .nth(1)
        .unwrap()
        .split('.')
        .next()
        .unwrap();
    let hash = letter.split(' ').nth(1).unwrap();
    let shown = letter
        .replace(commit.trim(), "COMMIT")
        .replace(id, "ID")
        .replace(hash, "HASH")
        .replace(env!("CARGO_PKG_VERSION"), "VERSION");
    insta::assert_snapshot!(shown);
}

#[test]
fn a_tree_without_a_commit_is_named_by_its_files() {
    let scratch = Scratch::plain();
    let letter = |scratch: &Scratch| {
        String::from_utf8(series(scratch, sample(), None).render().swap_remove(0).1).unwrap()
    };
    let text = letter(&scratch);
    assert!(
        text.contains("Date: Mon, 17 Sep 2001 00:00:00 +0000"),
        "{text}"
    );
    assert!(!text.contains("base-commit"), "{text}");
    let sum = Command::new("sh")
        .args(["-c", "sha256sum drivers/x.c | sha256sum"])
        .current_dir(scratch.tree())
        .output();
    let sum = String::from_utf8(sum.unwrap().stdout).unwrap();
    let sum = sum.split(' ').next().unwrap();
    assert!(
        text.contains(&format!(
            "base-sha256: {sum} (1 file: sha256sum FILES | sha256sum)\n"
        )),
        "{text}"
    );
    // The same tree inside somebody else's repository is still without a commit.
    git(scratch.top(), &["init", "-q"]);
    git(scratch.top(), &["add", "-A"]);
    git(scratch.top(), &["commit", "-q", "-m", "outer"]);
    assert_eq!(letter(&scratch), text);
}

#[test]
fn a_repository_that_cannot_be_read_is_no_obstacle() {
    let scratch = Scratch::repository();
    scratch.git(&["config", "core.repositoryformatversion", "1"]);
    scratch.git(&["config", "extensions.fromthefuture", "true"]);
    let letter =
        String::from_utf8(series(&scratch, sample(), None).render().swap_remove(0).1).unwrap();
    let flat = letter.replace('\n', " ");
    assert!(
        flat.contains("taken as a tree without a commit: the git repository"),
        "{letter}"
    );
    assert!(letter.contains("base-sha256: "), "{letter}");
}

#[test]
fn local_changes_are_told_apart_from_the_commit() {
    let scratch = Scratch::repository();
    let edited = format!("{DRIVER}/* mine */\n");
    scratch.write("tree/drivers/x.c", edited.as_bytes());
    let change = change("drivers/x.c", Some(edited.as_bytes()), Some(b"int a;\n"));
    let series = series(&scratch, vec![patch("x: y", "", vec![change])], None);
    let letter = String::from_utf8(series.render().swap_remove(0).1).unwrap();
    let flat = letter.replace('\n', " ");
    assert!(
        flat.contains("with local changes to drivers/x.c."),
        "{letter}"
    );
    assert!(!letter.contains("base-commit"), "{letter}");
}

#[test]
fn the_same_input_gives_the_same_bytes_anywhere() {
    let (one, two) = (Scratch::repository(), Scratch::repository());
    let first = series(&one, sample(), None).render();
    assert_eq!(first, series(&one, sample(), None).render());
    assert_eq!(first, series(&two, sample(), None).render());
    // Another content never gets the same Message-Ids.
    let mut other = sample();
    other[1].body.push_str("\nMore.");
    let ids = |files: &[(String, Vec<u8>)]| -> Vec<String> {
        let text = files
            .iter()
            .map(|(_, text)| String::from_utf8_lossy(text).into_owned())
            .collect::<String>();
        text.lines()
            .filter(|line| line.starts_with("Message-ID:"))
            .map(str::to_owned)
            .collect()
    };
    let (a, b) = (ids(&first), ids(&series(&one, other, None).render()));
    assert_eq!(a.len(), 3);
    assert!(a.iter().all(|id| !b.contains(id)));
}

#[test]
fn an_empty_series_is_an_empty_list() {
    let scratch = Scratch::plain();
    assert_eq!(
        series(&scratch, Vec::new(), None).render(),
        [("series".to_owned(), Vec::new())]
    );
}

#[test]
fn a_script_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = Scratch::repository();
    scratch.write("tree/run.sh", b"a\n");
    fs::set_permissions(
        scratch.tree().join("run.sh"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    scratch.commit("Add a script");
    let series = series(
        &scratch,
        vec![patch(
            "x: y",
            "",
            vec![change("run.sh", Some(b"a\n"), Some(b"b\n"))],
        )],
        None,
    );
    am(&scratch, &series, &[]);
    assert!(
        scratch
            .git(&["ls-tree", "HEAD", "run.sh"])
            .starts_with("100755")
    );
}

/// `checkpatch.pl --no-signoff` on messages made for a real tree.
#[test]
fn checkpatch_is_content() {
    let mut ran = false;
    for version in ["5.10", "6.1", "6.12"] {
        let Some(tree) = kernel_tree(version) else {
            continue;
        };
        ran = true;
        let path = "drivers/ata/libata-sff.c";
        let before = fs::read(tree.join(path)).unwrap();
        let text = String::from_utf8(before.clone()).unwrap();
        // A blank line less, and a comment more: enough for a hunk with real context.
        let after = text.replacen(
            "\n\nstruct workqueue",
            "\n\n/* one for all ports */\nstruct workqueue",
            1,
        );
        let after = if after == text {
            format!("{text}\n/* the end */\n")
        } else {
            after
        };
        let body = "Caf\u{e9}: a body with letters beyond ASCII, and a line about the year\n\
                    From 1998 on, wrapped so that it starts with a word mail tools know.\n\n---\n\nEnd.";
        let mut one = patch(
            "ata: libata-sff: batch the register accesses",
            body,
            vec![change(path, Some(&before), Some(after.as_bytes()))],
        );
        one.recipe = "a-recipe-with-a-name-that-is-rather-long-for-a-single-line".to_owned();
        let base = Base::at(&tree, format!("linux-{version}"), None).unwrap();
        let out = tempfile::tempdir().unwrap();
        for signoff in [
            None,
            Some(Identity {
                name: "Jos\u{e9} A".to_owned(),
                email: "j@example.org".to_owned(),
            }),
        ] {
            let series = Series::new(
                base.clone(),
                Cover::default(),
                vec![one.clone()],
                signoff.clone(),
            )
            .unwrap();
            let file = out.path().join("0001.patch");
            fs::write(&file, &series.render()[1].1).unwrap();
            let mut command = Command::new("perl");
            command
                .arg(tree.join("scripts/checkpatch.pl"))
                .current_dir(&tree);
            if signoff.is_none() {
                command.arg("--no-signoff");
            }
            let output = command.arg(&file).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(
                said.contains("total: 0 errors, 0 warnings"),
                "{version}: {said}"
            );
        }
    }
    if !ran {
        println!("SKIPPED: GUESTPATCH_TEST_TREES names no folder with linux-source-* trees");
    }
}

#[test]
fn the_diffstat_is_gits() {
    let scratch = Scratch::repository();
    scratch.write("tree/one.c", &b"line\n".repeat(300));
    scratch.write("tree/two.c", b"a\n");
    scratch.commit("More");
    let changes = vec![
        change("gone.c", Some(b"x\n"), None),
        change("new.c", None, Some(b"1\n2\n")),
        change(
            "one.c",
            Some(&b"line\n".repeat(300)),
            Some(&b"other\n".repeat(200)),
        ),
        change("two.c", Some(b"a\n"), Some(b"b\n")),
    ];
    scratch.write("tree/gone.c", b"x\n");
    scratch.commit("Gone");
    for change in &changes {
        match &change.after {
            Some(text) => scratch.write(&format!("tree/{}", change.path), text),
            None => fs::remove_file(scratch.tree().join(&change.path)).unwrap(),
        }
    }
    scratch.git(&["add", "-A"]);
    let stat = diff::Stat(
        changes
            .iter()
            .map(|c| diff::file_diff(c, false).stat)
            .collect(),
    );
    assert_eq!(
        stat.render(),
        scratch.git(&["diff", "--cached", "--stat=72", "--summary", "--no-renames"])
    );
}
