//! A changed default reaches an existing configuration only through the fragment beside the series.

mod cli_support;

use cli_support::Place;

const KCONFIG_HZ: &str = "choice\n\tprompt \"Timer frequency\"\n\tdefault HZ_250\n\n\tconfig HZ_100\n\t\tbool \"100 HZ\"\n\n\tconfig HZ_250\n\t\tbool \"250 HZ\"\n\n\tconfig HZ_1000\n\t\tbool \"1000 HZ\"\n\nendchoice\n";

/// The miniature kernel with a clock rate to choose.
fn place() -> Place {
    let place = Place::new();
    place.write("linux/kernel/Kconfig.hz", KCONFIG_HZ);
    for arch in ["i386", "x86_64"] {
        let path = format!("linux/arch/x86/configs/{arch}_defconfig");
        place.write(&path, "CONFIG_PCI=y\nCONFIG_HZ_1000=y\n");
    }
    place
}

#[test]
fn a_new_default_comes_with_a_fragment() {
    let place = place();
    let told = place.run(&["series", "linux", "-o", "out", "-r", "clock-hz"]);
    assert!(
        told.contains("kernel: default to 100 timer interrupts a second"),
        "{told}"
    );
    assert_eq!(
        place.read("out/guest.config"),
        "# clock-hz\nCONFIG_HZ_100=y\n# CONFIG_HZ_250 is not set\n# CONFIG_HZ_300 is not set\n# CONFIG_HZ_1000 is not set\n"
    );
    // It is one of the files that --force may replace.
    let again = place.run(&["series", "linux", "-o", "out", "-r", "clock-hz", "--force"]);
    assert!(again.starts_with("exit 0"), "{again}");
}

#[test]
fn the_helper_is_turned_on() {
    let place = place();
    let told = place.run(&["series", "linux", "-o", "out", "-r", "libata-taskfile"]);
    assert!(told.starts_with("exit 0"), "{told}");
    assert_eq!(
        place.read("out/guest.config"),
        "# xkvm-io\nCONFIG_XKVM_IO=y\n"
    );
}

#[test]
fn a_series_without_configuration_has_no_fragment() {
    let place = place();
    place.write(
        "own/fast.md",
        "+++\nname = \"fast\"\nversion = 1\nsubject = \"lib: say it\"\ntarget = \"guest\"\norder = 200\n\
         files = [\"lib/Makefile\"]\nexpect = { min = 1 }\n\n[[step]]\nkind = \"insert\"\nfile = \"lib/Makefile\"\n\
         after = \"obj-$(CONFIG_GENERIC_IOMAP) += iomap.o\"\ntext = \"# here\\n\"\n+++\nSay it.\n",
    );
    let told = place.run(&[
        "series",
        "linux",
        "-o",
        "out",
        "--recipes",
        "own",
        "-r",
        "fast",
    ]);
    assert!(told.starts_with("exit 0"), "{told}");
    assert!(!place.path().join("out/guest.config").exists());
}

#[test]
fn a_parameter_is_set_on_the_command_line() {
    let place = place();
    let run = |hz: &str, out: &str| {
        let set = format!("clock-hz.hz={hz}");
        place.run(&[
            "series", "linux", "-o", out, "-r", "clock-hz", "--set", &set,
        ])
    };
    let told = run("1000", "out");
    assert!(
        told.contains("kernel: default to 1000 timer interrupts a second"),
        "{told}"
    );
    let patch = place.read("out/0001-kernel-default-to-1000-timer-interrupts-a-second.patch");
    assert!(patch.contains("+\tdefault HZ_1000"), "{patch}");
    assert!(patch.contains("Make 1000 a"), "{patch}");
    assert!(
        place
            .read("out/guest.config")
            .contains("\nCONFIG_HZ_1000=y\n")
    );

    let refuse = |hz: &str| {
        let set = format!("clock-hz.hz={hz}");
        place.run_untouched(&[
            "series", "linux", "-o", "no", "-r", "clock-hz", "--set", &set,
        ])
    };
    let wrong = refuse("77");
    assert!(wrong.starts_with("exit 2"), "{wrong}");
    assert!(
        wrong.contains("`HZ_77` is not in the list `choice`"),
        "{wrong}"
    );
    // A slip of the parameter's name.
    let slip = place.run_untouched(&[
        "series",
        "linux",
        "-o",
        "no",
        "-r",
        "clock-hz",
        "--set",
        "clock-hz.tick=100",
    ]);
    assert!(slip.starts_with("exit 2"), "{slip}");
    assert!(slip.contains("hint: parameters: hz; keys here: "), "{slip}");
    // A rate that other kernels have and this one does not.
    let missing = refuse("300");
    assert!(missing.starts_with("exit 1"), "{missing}");
    assert!(missing.contains("this choice has no HZ_300"), "{missing}");
}
