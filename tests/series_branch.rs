//! `--apply`: commits on a new branch, and everything that must be refused with the repository left as it was.

mod series_support;

use std::fs;
use std::path::Path;

use guestpatch::series::branch::apply;
use guestpatch::series::{Identity, Series};
use series_support::{Scratch, change, git, patch, sample, series};

fn tester() -> Identity {
    Identity {
        name: "Tester".to_owned(),
        email: "tester@example.org".to_owned(),
    }
}

/// HEAD, branches, index and files: what a refused or finished run must not change.
fn state(scratch: &Scratch) -> String {
    scratch.git(&["for-each-ref"])
        + &scratch.git(&["rev-parse", "HEAD"])
        + &fs::read_to_string(scratch.tree().join(".git/HEAD")).unwrap()
        + &scratch.git(&["ls-files", "-s"])
        + &scratch.git(&["status", "--porcelain", "--ignored"])
}

#[track_caller]
fn refused(scratch: &Scratch, series: &Series, name: &str, message: &str) {
    let before = state(scratch);
    let error = apply(series, name, &tester()).unwrap_err();
    assert!(error.message.contains(message), "{error}");
    assert!(error.hint.is_some(), "{error}");
    assert_eq!(state(scratch), before);
}

#[test]
fn the_branch_holds_what_git_am_would_make() {
    let scratch = Scratch::repository();
    let series = series(&scratch, sample(), None);
    let files = |s: &Scratch| {
        (
            s.git(&["rev-parse", "HEAD"]),
            s.git(&["ls-files", "-s"]),
            s.git(&["status", "--porcelain"]),
        )
    };
    let before = files(&scratch);
    let index = fs::read(scratch.tree().join(".git/index")).unwrap();

    let tip = apply(&series, "guest/io", &tester()).unwrap();

    assert_eq!(files(&scratch), before);
    assert_eq!(fs::read(scratch.tree().join(".git/index")).unwrap(), index);
    assert_eq!(scratch.git(&["rev-parse", "guest/io"]).trim(), tip);
    assert_eq!(scratch.git(&["rev-parse", "guest/io~2"]), before.0);
    assert_eq!(
        scratch.git(&["log", "-1", "--format=%an %ae %cn", "guest/io"]),
        "Tester tester@example.org Tester\n"
    );
    let paths = scratch.render(&series);
    let mut am = vec!["am", "-q"];
    am.extend(paths.iter().map(|p| p.to_str().unwrap()));
    scratch.git(&am);
    for back in ["", "~1"] {
        let both =
            |name: &str| scratch.git(&["log", "-1", "--format=%T%n%B", &format!("{name}{back}")]);
        assert_eq!(both("guest/io"), both("main"));
    }
    scratch.git(&["fsck", "--strict"]);
}

#[test]
fn worktrees_detached_heads_and_modes_are_fine() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = Scratch::repository();
    let script = scratch.tree().join("run.sh");
    fs::write(&script, "a\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    scratch.commit("Add a script");
    scratch.git(&["worktree", "add", "-q", "--detach", "../other"]);
    let base =
        guestpatch::kernel::Base::at(&scratch.top().join("other"), "linux-6.1.0".to_owned(), None)
            .unwrap();
    assert!(matches!(
        base.origin(),
        guestpatch::kernel::Origin::Commit { .. }
    ));
    let changes = vec![
        change(
            "Makefile",
            Some(&fs::read(scratch.tree().join("Makefile")).unwrap()),
            None,
        ),
        change("a/new/folder/x.c", None, Some(b"1\n")),
        change("run.sh", Some(b"a\n"), Some(b"b\n")),
    ];
    let series = Series::new(
        base,
        Default::default(),
        vec![patch("x: y", "", changes)],
        None,
    )
    .unwrap();
    apply(&series, "new", &tester()).unwrap();
    let listing = scratch.git(&["ls-tree", "-r", "new"]);
    assert!(
        listing.contains("100755 blob") && listing.contains("a/new/folder/x.c"),
        "{listing}"
    );
    assert!(!listing.contains("Makefile"), "{listing}");
}

#[test]
fn dirty_trees_are_refused_but_strangers_are_not() {
    let scratch = Scratch::repository();
    let list = series(&scratch, sample(), None);
    scratch.write("tree/notes.txt", b"mine");
    apply(&list, "with-notes", &tester()).unwrap();

    scratch.write("tree/drivers/batch.h", b"mine");
    refused(
        &scratch,
        &list,
        "b",
        "untracked files are where the series adds its own: drivers/batch.h",
    );
    fs::remove_file(scratch.tree().join("drivers/batch.h")).unwrap();

    scratch.write("tree/Makefile", b"edited");
    refused(
        &scratch,
        &list,
        "b",
        "the tree has uncommitted changes: Makefile",
    );
    scratch.git(&["add", "Makefile"]);
    refused(
        &scratch,
        &list,
        "b",
        "the tree has uncommitted changes: Makefile",
    );
    scratch.git(&["reset", "-q", "--hard"]);
    fs::remove_file(scratch.tree().join("Makefile")).unwrap();
    refused(
        &scratch,
        &list,
        "b",
        "the tree has uncommitted changes: Makefile",
    );
}

#[test]
fn files_that_head_does_not_have_are_refused() {
    let scratch = Scratch::repository();
    scratch.write("tree/.git/info/exclude", b"ignored.c\n");
    scratch.write("tree/ignored.c", b"1\n");
    let list = series(
        &scratch,
        vec![patch(
            "x: y",
            "",
            vec![change("ignored.c", Some(b"1\n"), Some(b"2\n"))],
        )],
        None,
    );
    refused(
        &scratch,
        &list,
        "b",
        "files differ from what HEAD has: ignored.c",
    );
}

#[test]
fn branch_names_are_checked() {
    let scratch = Scratch::repository();
    let list = series(&scratch, sample(), None);
    for bad in [
        "", "-x", "a b", "a..b", "HEAD", "x.lock", "a~1", "/a", "a/", "@{", "a\nb", "a\0b",
    ] {
        refused(&scratch, &list, bad, "is not a valid branch name");
    }
    refused(&scratch, &list, "main", "branch main exists already");
    refused(&scratch, &list, "main/x", "cannot exist beside branch main");
    scratch.git(&["branch", "x/y"]);
    refused(&scratch, &list, "x", "cannot exist beside branch x/y");
}

#[test]
fn trees_without_a_repository_of_their_own_are_refused() {
    let scratch = Scratch::plain();
    let list = series(&scratch, sample(), None);
    let said = |what: &str| {
        let error = apply(&list, "b", &tester()).unwrap_err();
        assert!(
            error.message.contains(what) && error.hint.is_some(),
            "{error}"
        );
    };
    said("is not a git checkout");
    git(scratch.top(), &["init", "-q"]);
    said("is inside the git repository");
    scratch.git(&["init", "-q"]);
    said("has no commit to start from");
    scratch.commit("Base");
    scratch.git(&["config", "core.bare", "true"]);
    said("is bare");
}

#[test]
fn an_identity_comes_from_the_repository() {
    let scratch = Scratch::repository();
    scratch.git(&["config", "user.name", "Repo User"]);
    scratch.git(&["config", "user.email", "repo@example.org"]);
    // The environment of the test run may set another; then there is nothing to see here.
    if std::env::var_os("GIT_COMMITTER_NAME").is_none()
        && std::env::var_os("GIT_COMMITTER_EMAIL").is_none()
    {
        assert_eq!(
            Identity::of_user(&scratch.tree()).unwrap().plain(),
            "Repo User <repo@example.org>"
        );
        guestpatch::series::branch::check(&scratch.tree(), "free").unwrap();
    }
    assert!(guestpatch::series::branch::check(Path::new("/"), "free").is_err());
}
