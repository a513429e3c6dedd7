//! What the user sees when a recipe is wrong, and that nothing is written then.

mod cli_support;

use cli_support::Place;
use insta::assert_snapshot;

/// A right recipe, of which each test spoils one thing.
const RECIPE: &str = r#"+++
name = "mine"
version = 1
subject = "mini: one thing less"
order = 500
files = ["drivers/misc/*.c"]
needles = ["outl"]

[[step]]
kind = "rewrite"
pattern = "outl(0, $PORT)"
to = "mini_clear($PORT)"
+++
Clearing is shorter.

## Sample: a clear

```c before
void f(void)
{
	outl(0, 1);
}
```

```c after
void f(void)
{
	mini_clear(1);
}
```
"#;

fn with(place: &Place, from: &str, to: &str) {
    assert!(RECIPE.contains(from));
    place.write("my/mine.md", &RECIPE.replace(from, to));
}

/// The error for a recipe in which `from` is replaced by `to`.
fn error(from: &str, to: &str) -> String {
    let place = Place::new();
    with(&place, from, to);
    place.run_untouched(&["series", "linux", "-o", "out", "--recipes", "my"])
}

#[test]
fn a_right_recipe_works() {
    let place = Place::new();
    place.write("my/mine.md", RECIPE);
    assert_snapshot!(place.run(&["recipes", "test", "my/mine.md"]), @r"
    exit 0
    stdout:
    mine: 1 of 1 sample passed
    1 passed, 0 failed
    ");
    assert_snapshot!(place.run(&["series", "linux", "-o", "out", "--recipes", "my", "-r", "mine"]), @r"
    exit 0
    stdout:
       1  mini: one thing less  1 file
    stderr:
    Wrote 1 patch to out
    ");
    assert!(
        place
            .read("out/0001-mini-one-thing-less.patch")
            .contains("+\tmini_clear(GPIO_REG(base, 1));")
    );
}

#[test]
fn an_unknown_recipe() {
    assert_snapshot!(Place::new().run_untouched(&["series", "linux", "-o", "out", "-r", "libata-taskfil"]), @r"
    exit 2
    stderr:
    error: there is no recipe `libata-taskfil`
    hint: did you mean `libata-taskfile`?
    ");
    assert_snapshot!(Place::new().run_untouched(&["recipes", "show", "zzz"]), @r"
    exit 2
    stderr:
    error: there is no recipe `zzz`
    hint: `guestpatch recipes list` shows them all
    ");
}

#[test]
fn an_unknown_key() {
    assert_snapshot!(error("needles =", "neddles ="), @r"
    exit 2
    stderr:
    error: unknown key `neddles`
     --> my/mine.md:7:1
    hint: did you mean `needles`?
    ");
    assert_snapshot!(error("to = ", "twards = 1\nto = "), @r"
    exit 2
    stderr:
    error: unknown key `twards`
     --> my/mine.md:12:1
    hint: keys here: pattern, to, functions, drop-comments, include, saves
    ");
}

#[test]
fn a_missing_key_and_a_wrong_type() {
    assert_snapshot!(error("order = 500\n", ""), @r"
    exit 2
    stderr:
    error: the key `order` is missing
     --> my/mine.md:2:1
    ");
    assert_snapshot!(error("order = 500", "order = \"late\""), @r#"
    exit 2
    stderr:
    error: invalid type: string "late", expected u32
     --> my/mine.md:5:9
    "#);
    assert_snapshot!(error("order = 500", "order = "), @r"
    exit 2
    stderr:
    error: string values must be quoted, expected literal string
     --> my/mine.md:5:9
    ");
}

#[test]
fn a_bad_glob() {
    assert_snapshot!(error("drivers/misc/*.c", "drivers/misc/[a.c"), @r"
    exit 2
    stderr:
    error: bad file pattern `drivers/misc/[a.c`: unclosed character class; missing ']'
     --> my/mine.md:6:10
    hint: paths count from the tree's top; `*` stays in one folder, `**` is any folders, `{a,b}` and `[ab]` are choices
    ");
    assert_snapshot!(error("drivers/misc/*.c", "../other/*.c"), @r"
    exit 2
    stderr:
    error: bad file pattern `../other/*.c`
     --> my/mine.md:6:10
    hint: paths count from the tree's top; `*` stays in one folder, `**` is any folders, `{a,b}` and `[ab]` are choices
    ");
}

#[test]
fn a_bad_pattern() {
    assert_snapshot!(error("outl(0, $PORT)", "outl(0, $PORT"), @r"
    exit 2
    stderr:
    error: bad pattern: `outl(0, $PORT` does not parse as C
     --> my/mine.md:11:11
    hint: a pattern is one C expression, or one statement with its `;`, with metavariables like `$A`
    ");
    assert_snapshot!(error("mini_clear($PORT)\"", "mini_clear($WHERE)\""), @r"
    exit 2
    stderr:
    error: `$WHERE` is not in the pattern
     --> my/mine.md:12:6
    ");
}

#[test]
fn a_bad_expression() {
    assert_snapshot!(error("kind = ", "when = \"version >= v(5\"\nkind = "), @r"
    exit 2
    stderr:
    error: bad `when`: unexpected end of input, expected `,`
     --> my/mine.md:10:8
    hint: an expression such as `version >= v(2, 6, 26) and not vmmcall`
    ");
    assert_snapshot!(error("kind = ", "when = \"versoin > v(5, 4)\"\nkind = "), @r"
    exit 2
    stderr:
    error: bad `when`: unknown name `versoin` in this expression
     --> my/mine.md:10:8
    hint: did you mean `version`?
    ");
    assert_snapshot!(error("order = 500", "order = 500\nkernels = \"5.4\""), @r"
    exit 2
    stderr:
    error: `5.4` is not a version bound
     --> my/mine.md:6:11
    hint: write bounds such as `>=2.6.26, <5.14`
    ");
}

#[test]
fn other_faults() {
    assert_snapshot!(error("\"rewrite\"", "\"rewrit\""), @r"
    exit 2
    stderr:
    error: there is no step kind `rewrit`
     --> my/mine.md:10:8
    hint: did you mean `rewrite`?
    ");
    assert_snapshot!(error("mini: one thing less", "mini: one thing less, said with so many words that no mail reader shows it"), @r"
    exit 2
    stderr:
    error: the subject has 74 characters, 70 are allowed
     --> my/mine.md:4:11
    ");
    assert_snapshot!(error("Clearing is shorter.\n", ""), @r"
    exit 2
    stderr:
    error: this recipe has no prose
     --> my/mine.md:14:1
    hint: say under the front matter why the change is right: it becomes the commit message
    ");
    assert_snapshot!(error("## Sample: a clear", "## A clear"), @r"
    exit 2
    stderr:
    error: no sample shows what the step `rewrite` does
     --> my/mine.md:9
    hint: add `## Sample: NAME` with a ```c before and a ```c after block
    ");
    assert_snapshot!(error("order = 500", "order = 500\nrequires = [\"io-generc\"]"), @r"
    exit 2
    stderr:
    error: there is no recipe `io-generc`
     --> my/mine.md:6:13
    hint: did you mean `io-generic`?
    ");
    assert_snapshot!(error("order = 500", "order = 500\nrequires = [\"io-generic\"]"), @r"
    exit 2
    stderr:
    error: `mine` (order 500) requires `io-generic`, which comes later (order 800)
     --> my/mine.md:6:13
    hint: give it an order above 800
    ");
}

#[test]
fn a_failing_sample() {
    let place = Place::new();
    with(&place, "\tmini_clear(1);", "\tmini_clear(2);");
    assert_snapshot!(place.run_untouched(&["recipes", "test", "my/mine.md"]), @r"
    exit 1
    stdout:
    my/mine.md:16: sample `a clear` failed
        --- after
        +++ what the recipe makes of it
        @@ -1,4 +1,4 @@
         void f(void)
         {
        -	mini_clear(2);
        +	mini_clear(1);
         }
    mine: 0 of 1 sample passed
    0 passed, 1 failed
    ");
}

#[test]
fn the_cover_letter_tells_whose_kernel_it_is() {
    let place = Place::new();
    with(&place, "order = 500", "order = 500\ntarget = \"host\"");
    let target = ["--target", "host"];
    let series = [
        "series",
        "linux",
        "-o",
        "out",
        "--recipes",
        "my",
        "-r",
        "mine",
    ];
    let said = place.run(&[&series[..], &target[..]].concat());
    assert!(said.starts_with("exit 0"), "{said}");
    let letter = place.read("out/0000-cover-letter.patch");
    assert!(letter.contains("the host's kernel"), "{letter}");
    assert!(!letter.contains("guest kernel"), "{letter}");
}

#[test]
fn a_recipe_that_finds_nothing() {
    let place = Place::new();
    with(&place, "outl(0, $PORT)\"", "outl(7, $PORT)\"");
    place.write(
        "my/mine.md",
        &place.read("my/mine.md").replace("outl(0, 1)", "outl(7, 1)"),
    );
    assert_snapshot!(place.run_untouched(&["series", "linux", "-o", "out", "--recipes", "my", "-r", "mine"]), @r"
    exit 1
    stderr:
    error: mine: found 0 places to change in drivers/misc/mini-gpio.c, but expects at least 1
    hint: the code is not as the recipe knows it: narrow its `kernels`, or give it a `when`
    ");
    with(&place, "[\"outl\"]", "[\"nowhere\"]");
    assert_snapshot!(place.run_untouched(&["series", "linux", "-o", "out", "--recipes", "my", "-r", "mine"]), @r"
    exit 1
    stderr:
    error: mine does not apply: none of its files has any of the words nowhere
    hint: leave out `-r mine`
    ");
}

#[test]
fn a_step_that_must_find_its_place() {
    let place = Place::new();
    with(
        &place,
        "to = \"mini_clear($PORT)\"",
        "to = \"mini_clear($PORT)\"\n\n[[step]]\nkind = \"rewrite\"\nat-least = 1\npattern = \"mini_nowhere($X)\"\nto = \"mini_else($X)\"",
    );
    assert_snapshot!(place.run_untouched(&["series", "linux", "-o", "out", "--recipes", "my", "-r", "mine"]), @r"
    exit 1
    stderr:
    error: mine: its step `rewrite` changed 0 places and must change 1
     --> my/mine.md:14
    hint: the code is not as the recipe knows it: narrow its `kernels`, or give the step a `when`
    ");
}

#[test]
fn a_recipe_replaces_the_built_in_one() {
    let place = Place::new();
    place.write(
        "my/io-generic.md",
        &RECIPE.replace("\"mine\"", "\"io-generic\""),
    );
    assert_snapshot!(place.run(&["series", "linux", "--dry-run", "--recipes", "my", "-r", "io-generic"]), @r"
    exit 0
    stdout:
       1  mini: one thing less  1 file
    stderr:
    note: my/io-generic.md replaces the built-in recipe io-generic
    ");
}

#[test]
fn a_key_can_be_set() {
    let place = Place::new();
    let set = |key: &str| {
        place.run_untouched(&[
            "series",
            "linux",
            "--dry-run",
            "-r",
            "libata-taskfile",
            "--set",
            key,
        ])
    };
    assert_snapshot!(set("libata-taskfile.max-ops=4"), @r"
    exit 0
    stdout:
       1  lib: add batches of port I/O for KVM guests     4 files
       2  ata: libata-sff: batch the task file registers  1 file    saves 12 exits
          all, if every place runs once                             saves 12 exits
    ");
    assert_snapshot!(set("libata-taskfile.max-ops=1000"), @r"
    exit 2
    stderr:
    error: max-ops is 1000, but a batch has 2 to 255 operations
     --> recipes/libata-taskfile.md:14:1
    ");
    assert_snapshot!(set("libata-taskfil.max-ops=4"), @r"
    exit 2
    stderr:
    error: --set: there is no recipe `libata-taskfil`
    hint: did you mean `libata-taskfile`?
    ");
    assert_snapshot!(set("max-ops"), @r"
    exit 2
    stderr:
    error: invalid value 'max-ops' for '--set <RECIPE.KEY=VALUE>': give RECIPE.KEY=VALUE, such as `libata-taskfile.max-ops=16`

    For more information, try '--help'.
    ");
}
