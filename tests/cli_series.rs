//! `series` and `scan` on the miniature kernel: what they write and say, and what they refuse.

mod cli_support;

use std::process::Command;

use cli_support::Place;
use insta::assert_snapshot;

fn git(place: &Place, args: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=A U Thor",
            "-c",
            "user.email=author@example.org",
            "-c",
            "commit.gpgsign=false",
        ])
        .args(args)
        .current_dir(place.path().join("linux"))
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .expect("git is installed");
    assert!(
        output.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The miniature kernel as a clean checkout.
fn checkout() -> Place {
    let place = Place::new();
    git(&place, &["init", "-q", "-b", "main"]);
    git(&place, &["add", "-A"]);
    git(&place, &["commit", "-q", "-m", "A tree"]);
    git(&place, &["config", "user.name", "A U Thor"]);
    git(&place, &["config", "user.email", "author@example.org"]);
    place
}

#[test]
fn the_default_series() {
    let place = Place::new();
    assert_snapshot!(place.run(&["series", "linux", "-o", "out"]), @r"
    exit 0
    stdout:
       1  lib: add batches of port I/O for KVM guests     4 files
       2  ata: libata-sff: batch the task file registers  1 file    saves 17 exits
       3  ata: libata: write PIO data in one exit         1 file    saves 255 exits
       4  ide: batch ide_tf_load and ide_tf_read          1 file    saves 3 exits
       5  ide: write PIO data in one exit                 1 file    saves 382 exits
          all, if every place runs once                             saves 657 exits
    stderr:
    note: ide-taskfile does not apply: it is for kernels >=2.6.18, <2.6.27, and this is 5.10.0-mini
    note: pmtmr-verify does not apply: this tree has no drivers/clocksource/acpi_pm.c
    note: pmtmr-read does not apply: this tree has no drivers/clocksource/acpi_pm.c nor any other of its 3 files
    note: flush-reads does not apply: this tree has no drivers/net/8139too.c nor any other of its 4 files
    note: elevator-noop does not apply: this tree has no block/Kconfig.iosched nor any other of its 6 files
    note: clock-hz does not apply: this tree has no kernel/Kconfig.hz nor any other of its 5 files
    note: io-delay does not apply: this tree has no arch/x86/Kconfig.debug nor any other of its 8 files
    Wrote 5 patches to out
    ");
    assert_snapshot!(place.read("out/series"), @r"
    0001-lib-add-batches-of-port-I-O-for-KVM-guests.patch
    0002-ata-libata-sff-batch-the-task-file-registers.patch
    0003-ata-libata-write-PIO-data-in-one-exit.patch
    0004-ide-batch-ide_tf_load-and-ide_tf_read.patch
    0005-ide-write-PIO-data-in-one-exit.patch
    ");
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let place = Place::new();
    place.run(&["series", "linux", "-o", "a"]);
    place.run(&["series", "linux", "-o", "b"]);
    for name in std::fs::read_dir(place.path().join("a")).unwrap() {
        let name = name.unwrap().file_name().into_string().unwrap();
        assert_eq!(
            place.read(&format!("a/{name}")),
            place.read(&format!("b/{name}")),
            "{name}"
        );
    }
}

#[test]
fn it_applies_and_a_second_run_has_nothing_to_do() {
    let place = checkout();
    place.run(&["series", "linux", "-o", "out"]);
    let patches: Vec<String> = place
        .read("out/series")
        .lines()
        .map(|l| format!("../out/{l}"))
        .collect();
    let mut args = vec!["am", "-q"];
    args.extend(patches.iter().map(String::as_str));
    git(&place, &args);
    assert_snapshot!(place.run(&["series", "linux", "-o", "again"]), @r"
    exit 0
    stderr:
    note: xkvm-io is applied already
    note: libata-taskfile is applied already
    note: libata-pio-data is applied already
    note: ide-taskfile does not apply: it is for kernels >=2.6.18, <2.6.27, and this is 5.10.0-mini
    note: ide-tf-load is applied already
    note: ide-pio-data is applied already
    note: pmtmr-verify does not apply: this tree has no drivers/clocksource/acpi_pm.c
    note: pmtmr-read does not apply: this tree has no drivers/clocksource/acpi_pm.c nor any other of its 3 files
    note: flush-reads does not apply: this tree has no drivers/net/8139too.c nor any other of its 4 files
    note: elevator-noop does not apply: this tree has no block/Kconfig.iosched nor any other of its 6 files
    note: clock-hz does not apply: this tree has no kernel/Kconfig.hz nor any other of its 5 files
    note: io-delay does not apply: this tree has no arch/x86/Kconfig.debug nor any other of its 8 files
    Nothing to do
    Wrote 0 patches to again
    ");
    assert_eq!(place.read("again/series"), "");
}

#[test]
fn apply_makes_a_branch_and_touches_nothing_else() {
    let place = checkout();
    let said = place.run(&["series", "linux", "--apply", "cheap"]);
    assert!(
        said.contains("Committed 5 patches on the new branch cheap ("),
        "{said}"
    );
    assert_eq!(git(&place, &["status", "--porcelain"]), "");
    assert_snapshot!(git(&place, &["log", "--format=%s", "cheap"]), @r"
    ide: write PIO data in one exit
    ide: batch ide_tf_load and ide_tf_read
    ata: libata: write PIO data in one exit
    ata: libata-sff: batch the task file registers
    lib: add batches of port I/O for KVM guests
    A tree
    ");
}

#[test]
fn a_dirty_tree_is_refused() {
    let place = checkout();
    place.write("linux/lib/Kconfig", "# changed\n");
    assert_snapshot!(place.run_untouched(&["series", "linux", "-o", "out", "--apply", "cheap"]), @r"
    exit 2
    stderr:
    error: the tree has uncommitted changes: lib/Kconfig
    hint: commit or stash them, or leave --apply out
    ");
}

#[test]
fn not_a_tree() {
    let place = Place::new();
    assert_snapshot!(place.run_untouched(&["series", "nowhere", "-o", "out"]), @r"
    exit 2
    stderr:
    error: nowhere is not a kernel tree: cannot read its Makefile (No such file or directory (os error 2))
    hint: give the top folder of an unpacked or checked-out kernel
    ");
    place.write("other/Makefile", "all:\n\tcc x.c\n");
    assert_snapshot!(place.run_untouched(&["series", "other", "-o", "out"]), @r"
    exit 2
    stderr:
    error: this Makefile names no VERSION and PATCHLEVEL: not the top of a kernel tree
     --> other/Makefile
    hint: give the top folder of an unpacked or checked-out kernel
    ");
    assert_snapshot!(place.run_untouched(&["scan", "other"]), @r"
    exit 2
    stderr:
    error: this Makefile names no VERSION and PATCHLEVEL: not the top of a kernel tree
     --> other/Makefile
    hint: give the top folder of an unpacked or checked-out kernel
    ");
}

#[test]
fn an_output_folder_in_use() {
    let place = Place::new();
    place.write("out/thesis.txt", "x");
    assert_snapshot!(place.run_untouched(&["series", "linux", "-o", "out"]), @r"
    exit 2
    stderr:
    error: output directory in use: out is not empty
    hint: name another directory, or empty this one
    ");
    assert_snapshot!(place.run_untouched(&["series", "linux", "-o", "out", "--force"]), @r"
    exit 2
    stderr:
    error: output directory in use: out is not empty
    hint: --force replaces only what guestpatch wrote, but there is thesis.txt; name another directory
    ");
    place.run(&["series", "linux", "-o", "old"]);
    assert_snapshot!(place.run_untouched(&["series", "linux", "-o", "old"]), @r"
    exit 2
    stderr:
    error: output directory in use: old is not empty
    hint: it holds an earlier series: add --force to replace it, or name another directory
    ");
}

/// Root may read anything, so the file that cannot be read is a folder here.
#[test]
fn an_unreadable_file() {
    let place = Place::new();
    std::fs::remove_file(place.path().join("linux/lib/Kconfig")).unwrap();
    std::fs::create_dir(place.path().join("linux/lib/Kconfig")).unwrap();
    assert_snapshot!(place.run_untouched(&["series", "linux", "-o", "out"]), @r"
    exit 3
    stderr:
    error: cannot read linux/lib/Kconfig: Is a directory (os error 21)
    ");
}

#[test]
fn no_output_is_a_usage_error() {
    assert_snapshot!(Place::new().run_untouched(&["series", "linux"]), @r"
    exit 2
    stderr:
    error: the following required arguments were not provided:
      --output <DIR>

    Usage: guestpatch series --output <DIR> <TREE>

    For more information, try '--help'.
    ");
}

#[test]
fn a_glob_that_matches_nothing_is_told() {
    let place = Place::new();
    let args = [
        "series",
        "linux",
        "--dry-run",
        "-r",
        "io-generic",
        "--files",
        "drivers/usb/**",
    ];
    assert_snapshot!(place.run_untouched(&args), @r"
    exit 1
    stderr:
    error: io-generic does not apply: none of its files matches drivers/usb/**
    hint: leave out `-r io-generic`
    ");
    assert_snapshot!(place.run_untouched(&["scan", "linux", "--files", "drivers/[a"]), @r"
    exit 2
    stderr:
    error: bad file pattern `drivers/[a`: unclosed character class; missing ']'
    ");
}

#[test]
fn output_into_the_tree() {
    let place = Place::new();
    let text = place.run_untouched(&["series", "linux", "-o", "linux/new/patches"]);
    assert!(text.starts_with("exit 2\n"), "{text}");
    assert!(
        text.contains("lies in the kernel tree, which is only read"),
        "{text}"
    );
}

#[test]
fn a_scan_for_people() {
    assert_snapshot!(Place::new().run_untouched(&["scan", "linux", "--limit", "12"]), @r"
    exit 0
    stdout:
    saves   ops  place                          function           recipe, or obstacle
      255     1  drivers/ata/libata-sff.c:60    ata_sff_data_xfer  libata-pio-data
      255     1  drivers/ide/ide-io-std.c:34    ide_output_data    ide-pio-data
      127     1  drivers/ide/ide-io-std.c:32    ide_output_data    ide-pio-data
       10    11  drivers/ata/libata-sff.c:12    ata_sff_tf_load    libata-taskfile
        5     6  drivers/ata/libata-sff.c:38    ata_sff_tf_read    libata-taskfile
        5     6  drivers/misc/mini-rtc.c:11     mini_rtc_read      io-generic
        3     4  drivers/ide/ide-io-std.c:19    ide_tf_load        ide-tf-load
        3     4  drivers/misc/mini-gpio.c:9     mini_gpio_init     io-generic
        3     4  drivers/misc/mini-serial.c:18  mini_serial_set    io-generic
        3     4  drivers/net/mini-net.c:14      mini_net_stats     io-generic
        2     3  drivers/ata/libata-sff.c:49    ata_sff_pulse      libata-taskfile
        -     2  drivers/ata/libata-sff.c:71    ata_bmdma_begin    dependent-read: needs a value that is read just before (line 72)
    … and 5 more, see --limit

    17 places in 13 files: 11 can be rewritten, saving 671 exits; 6 left alone
      dependent-read 2, call 1, loop 1, pause 1, preprocessor 1
    stderr:
    note: ide-taskfile does not apply: it is for kernels >=2.6.18, <2.6.27, and this is 5.10.0-mini
    note: pmtmr-verify does not apply: this tree has no drivers/clocksource/acpi_pm.c
    note: pmtmr-read does not apply: this tree has no drivers/clocksource/acpi_pm.c nor any other of its 3 files
    note: flush-reads does not apply: this tree has no drivers/net/8139too.c nor any other of its 4 files
    note: napi-8139too does not apply: this tree has no drivers/net/8139too.c nor drivers/net/ethernet/realtek/8139too.c
    note: napi-8139cp does not apply: this tree has no drivers/net/8139cp.c nor drivers/net/ethernet/realtek/8139cp.c
    note: napi-e1000 does not apply: this tree has no drivers/net/e1000/e1000_main.c nor any other of its 4 files
    note: elevator-noop does not apply: this tree has no block/Kconfig.iosched nor any other of its 6 files
    note: clock-hz does not apply: this tree has no kernel/Kconfig.hz nor any other of its 5 files
    note: io-delay does not apply: this tree has no arch/x86/Kconfig.debug nor any other of its 8 files
    note: napi-kconfig does not apply: this tree has no drivers/net/Kconfig nor any other of its 7 files
    ");
}

#[test]
fn a_scan_for_programs() {
    let place = Place::new();
    let json = |args: &[&str]| -> serde_json::Value {
        let output = place.command(args).output().unwrap();
        assert!(output.status.success());
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let scan = json(&["scan", "linux", "--json", "--limit", "1"]);
    assert_eq!(scan["format"], 1);
    assert_eq!(scan["sites"][0]["function"], "ata_sff_data_xfer");
    assert_eq!(scan["sites"][0]["exits_saved"], 255);
    let sarif = json(&["scan", "linux", "--sarif"]);
    assert_eq!(sarif["version"], "2.1.0");
    let report = json(&["series", "linux", "--dry-run", "--json"]);
    assert_eq!(report["abi"]["version"], 1);
    assert_eq!(report["patches"][1]["exits_saved"], 17);
    assert_eq!(report["recipes"][0]["status"], "applied");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let mut child = place
        .command(&["recipes", "show", "xkvm-io"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn colours_only_when_asked_for() {
    let place = Place::new();
    let coloured = |args: &[&str]| place.command(args).output().unwrap().stdout.contains(&0x1b);
    assert!(!coloured(&["scan", "linux"]));
    assert!(coloured(&["scan", "linux", "--color", "always"]));
    assert!(!coloured(&["scan", "linux", "--color", "never"]));
}
