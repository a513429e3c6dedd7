//! `remove-file` on the miniature kernel: when a header goes, what the patch looks like, and when it stays.

mod cli_support;

use std::process::{Command, Stdio};

use cli_support::Place;
use insta::assert_snapshot;

const HEADER: &str = "arch/x86/include/asm/mini_timer.h";
const DRIVER: &str = "#include <asm/mini_timer.h>

static int mini_check(void)
{
	return mini_wait();
}

int mini_init(void)
{
	if (mini_check())
		return -1;

	return 0;
}
";

/// Removes a check, and the header that it needed.
const RECIPE: &str = r#"+++
name = "mine"
version = 1
subject = "mini: drop the check"
target = "guest"
default = true
order = 500
files = ["drivers/misc/mini-clock.c"]
needles = ["mini_check"]
expect = { min = 3 }

[[step]]
kind = "remove-call"
pattern = "mini_check()"

[[step]]
kind = "remove-function"
names = ["mini_check"]

[[step]]
kind = "remove-directive"
includes = ["asm/mini_timer.h"]

[[step]]
kind = "remove-file"
file = "arch/x86/include/asm/mini_timer.h"
+++
Nobody needs it.

## Sample: the check

```c before
static int mini_check(void)
{
	return mini_wait();
}

int mini_init(void)
{
	if (mini_check())
		return -1;

	return 0;
}
```

```c after
int mini_init(void)
{
	return 0;
}
```
"#;

/// The miniature kernel with a header of one user, as a clean checkout.
fn checkout() -> Place {
    let place = Place::new();
    place.write("my/mine.md", RECIPE);
    place.write("linux/drivers/misc/mini-clock.c", DRIVER);
    place.write(
        &format!("linux/{HEADER}"),
        "/* asm/mini_timer.h */\nint mini_wait(void);\n",
    );
    // What a build leaves
    let dependencies = format!("deps := {HEADER}\n");
    place.write("linux/drivers/misc/.mini-clock.o.cmd", &dependencies);
    place.write("linux/drivers/misc/mini-clock.o", &format!("{HEADER}\0"));
    // Names that are not its own
    place.write(
        "linux/drivers/misc/other.c",
        "#include \"xmini_timer.h\"\n#include <mini_timer.hpp>\n",
    );
    tool(&place, "git", &["init", "-q", "-b", "main"]);
    tool(&place, "git", &["config", "user.name", "A U Thor"]);
    tool(
        &place,
        "git",
        &["config", "user.email", "author@example.org"],
    );
    commit(&place);
    place
}

fn commit(place: &Place) {
    tool(place, "git", &["add", "-A"]);
    tool(place, "git", &["commit", "-q", "-m", "A tree"]);
}

fn tool(place: &Place, program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .current_dir(place.path().join("linux"))
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {told}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn series(place: &Place, dir: &str) -> String {
    place.run(&["series", "linux", "-o", dir, "--recipes", "my"])
}

/// The one patch of the recipe; none when it is not in the series.
fn patch(place: &Place, dir: &str) -> Option<String> {
    let list = place.read(&format!("{dir}/series"));
    let name = list.lines().find(|l| l.ends_with("drop-the-check.patch"))?;
    Some(format!("{dir}/{name}"))
}

fn is_there(place: &Place) -> bool {
    place.path().join("linux").join(HEADER).exists()
}

#[test]
fn a_header_goes_with_its_last_user() {
    let place = checkout();
    series(&place, "out");
    let patch = patch(&place, "out").unwrap();
    let text = place.read(&patch);
    let (_, diff) = text.split_once("\n---\n").unwrap();
    let (diff, _) = diff.split_once("diff --git a/drivers").unwrap();
    assert_snapshot!(diff, @r"
     arch/x86/include/asm/mini_timer.h |  2 --
     drivers/misc/mini-clock.c         | 10 ----------
     2 files changed, 12 deletions(-)
     delete mode 100644 arch/x86/include/asm/mini_timer.h

    diff --git a/arch/x86/include/asm/mini_timer.h b/arch/x86/include/asm/mini_timer.h
    deleted file mode 100644
    index 03b9d915a892..000000000000
    --- a/arch/x86/include/asm/mini_timer.h
    +++ /dev/null
    @@ -1,2 +0,0 @@
    -/* asm/mini_timer.h */
    -int mini_wait(void);
    ");
    tool(&place, "git", &["am", "-q", &format!("../{patch}")]);
    assert!(!is_there(&place));
    assert_snapshot!(tool(&place, "git", &["show", "--summary", "--format=%s"]), @r"
    mini: drop the check

     delete mode 100644 arch/x86/include/asm/mini_timer.h
    ");
    let again = series(&place, "again");
    assert!(again.starts_with("exit 0\n"), "{again}");
    assert!(
        again.contains("mine does not apply: none of its files has any of the words mini_check"),
        "{again}"
    );
    assert_eq!(crate::patch(&place, "again"), None);
}

#[test]
fn patch_and_a_branch_remove_it_too() {
    let place = checkout();
    let said = place.run(&[
        "series",
        "linux",
        "-o",
        "out",
        "--recipes",
        "my",
        "--apply",
        "less",
    ]);
    assert!(said.starts_with("exit 0\n"), "{said}");
    assert!(is_there(&place));
    let diff = tool(
        &place,
        "git",
        &["diff", "--summary", "--diff-filter=D", "main", "less"],
    );
    assert_eq!(
        diff,
        " delete mode 100644 arch/x86/include/asm/mini_timer.h\n"
    );
    // As quilt does it.
    for patch in place.read("out/series").lines() {
        let file = format!("../out/{patch}");
        tool(&place, "patch", &["-p1", "-s", "-i", &file]);
    }
    assert!(!is_there(&place));
    tool(&place, "git", &["add", "-A"]);
    assert_eq!(tool(&place, "git", &["diff", "--cached", "less"]), "");
}

#[test]
fn a_header_stays_while_something_names_it() {
    for (user, text) in [
        ("drivers/misc/a.c", "#include <asm/mini_timer.h>\n"),
        (
            "drivers/misc/a.c",
            "\n#include \"../../arch/x86/include/asm/mini_timer.h\"\n",
        ),
        ("arch/x86/a.S", "#define X\n# include \"mini_timer.h\"\n"),
        (
            "arch/um/include/asm/Kbuild",
            "generic-y += a.h\ngeneric-y += mini_timer.h\n",
        ),
        ("MAINTAINERS", "X\nF:\tarch/x86/include/asm/mini_timer.h\n"),
    ] {
        let place = checkout();
        place.write(&format!("linux/{user}"), text);
        commit(&place);
        let said = series(&place, "out");
        assert!(said.starts_with("exit 0\n"), "{said}");
        let line = text.lines().position(|l| l.contains("mini_timer")).unwrap() + 1;
        let reason = format!("{user}:{line} refers to it");
        let report: serde_json::Value =
            serde_json::from_str(&place.read("out/report.json")).unwrap();
        let sites = report["sites"].as_array().unwrap();
        let site = sites.iter().find(|s| s["file"] == HEADER).unwrap();
        assert_eq!(site["code"], "still-used");
        assert_eq!(site["reason"], reason);
        let letter = place.read("out/0000-cover-letter.patch");
        assert!(
            letter.contains(&format!("  {HEADER}:1: still-used, {reason}\n")),
            "{letter}"
        );
        let patch = patch(&place, "out").unwrap();
        assert!(!place.read(&patch).contains("deleted file"));
        tool(&place, "git", &["am", "-q", &format!("../{patch}")]);
        let again = series(&place, "again");
        assert!(again.starts_with("exit 0\n"), "{again}");
        assert_eq!(crate::patch(&place, "again"), None, "{user}");
    }
}

#[test]
fn only_the_named_files_are_its_users() {
    let place = checkout();
    place.write("linux/lib/a.c", "#include <asm/mini_timer.h>\n");
    let narrow =
        "file = \"arch/x86/include/asm/mini_timer.h\"\nusers = [\"drivers/**\", \"arch/x86/**\"]";
    let wide = narrow.replace("drivers/", "lib/");
    let file = "file = \"arch/x86/include/asm/mini_timer.h\"";
    for (users, goes) in [(narrow, true), (&wide, false)] {
        place.write("my/mine.md", &RECIPE.replace(file, users));
        let dir = format!("out-{goes}");
        series(&place, &dir);
        let text = place.read(&patch(&place, &dir).unwrap());
        assert_eq!(text.contains("deleted file"), goes);
    }
}

#[test]
fn a_header_that_is_left_over_alone_is_not_this_recipes_business() {
    let place = checkout();
    place.write("linux/drivers/misc/mini-clock.c", "int mini_init(void);\n");
    let said = series(&place, "out");
    assert!(said.starts_with("exit 0\n"), "{said}");
    assert_eq!(patch(&place, "out"), None);
}

#[test]
fn what_cannot_be_told_is_refused() {
    let error = |path: &str| {
        let place = Place::new();
        place.write("my/mine.md", &RECIPE.replace(HEADER, path));
        place.run_untouched(&["series", "linux", "-o", "out", "--recipes", "my"])
    };
    assert_snapshot!(error("drivers/misc/mini-clock.c"), @r"
    exit 2
    stderr:
    error: `drivers/misc/mini-clock.c` is not a header
     --> my/mine.md:26:8
    hint: only a header is always referred to by its name
    ");
    assert_snapshot!(error("include/uapi/linux/mini.h"), @r"
    exit 2
    stderr:
    error: `include/uapi/linux/mini.h` is a header for user space
     --> my/mine.md:26:8
    hint: nothing in the tree tells whether a program includes it
    ");
    assert_snapshot!(error("../mini.h"), @r"
    exit 2
    stderr:
    error: `../mini.h` is not the path of one file in the tree
     --> my/mine.md:26:8
    hint: paths count from the top of the kernel tree
    ");
}
