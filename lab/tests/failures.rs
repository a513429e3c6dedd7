//! A step that goes wrong ends the run with its log and leaves nothing behind.
//!
//! The kernel is a pretended one: its Makefile answers what the lab asks of make, and its image does what the test wants.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// What the image does at the place where a kernel starts, in 16-bit code: the jump over the header is given.
const HANG: &str = r"\353\376";
/// mov al, 0xfe; out 0x64, al: the keyboard controller resets the machine; then wait for it.
const RESET: &str = r"\260\376\346\144\364\353\375";

/// A folder with a pretended tree and a cache.
struct Bench {
    home: TempDir,
}

impl Bench {
    /// `build` is the shell command that makes the image at `$@`.
    fn new(build: &str) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let tree = home.path().join("linux");
        fs::create_dir(&tree).expect("a folder");
        for folder in ["arch/x86", "drivers", "kernel"] {
            fs::create_dir_all(tree.join(folder)).expect("a folder");
        }
        fs::write(tree.join("Kbuild"), "").expect("a file");
        let makefile = format!(
            "VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 0\nEXTRAVERSION =\nNAME = Pretended\n\n\
             allnoconfig:\n\tcp $(KCONFIG_ALLCONFIG) $(O)/.config\n\n\
             modules:\n\t: >$(O)/modules.order\n\n\
             bzImage: $(O)/arch/x86/boot/bzImage\n\
             \t: >$(O)/System.map\n\t: >$(O)/vmlinux\n\n\
             $(O)/arch/x86/boot/bzImage:\n\tmkdir -p $(@D)\n\t{build}\n"
        );
        fs::write(tree.join("Makefile"), makefile).expect("a file");
        Self { home }
    }

    /// An image that begins with this code.
    fn image(code: &str) -> Self {
        // A boot sector that says how many sectors of setup follow, the signature and a version of the boot protocol.
        Self::new(&format!(
            "truncate -s 64K $@; p() {{ printf \"$$2\" | dd of=$@ bs=1 seek=$$(($$1)) conv=notrunc status=none; }}; \
             p 0x1f1 '\\004'; p 0x1fe '\\125\\252'; p 0x200 '\\353\\176'; p 0x202 HdrS; p 0x206 '\\002\\002'; \
             p 0x211 '\\001'; p 0x280 '{code}'"
        ))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xkvm-lab"));
        command.arg("--cache").arg(self.home.path().join("cache"));
        command.arg("boot").arg(self.home.path().join("linux"));
        command.args(["--series", "none", "--quick", "--nic", "e1000"]);
        command.args(arguments);
        command.stdin(Stdio::null());
        command
    }

    fn boot(&self, arguments: &[&str]) -> (Output, String) {
        let output = self.command(arguments).output().expect("xkvm-lab runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output, said)
    }

    /// Command lines of processes that have to do with this folder.
    fn processes(&self) -> Vec<String> {
        let home = self.home.path().to_string_lossy().into_owned();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").expect("processes").flatten() {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.contains(&home) {
                found.push(line);
            }
        }
        found
    }

    fn nobody_is_left(&self) {
        // What was killed may take a moment to go.
        let gone = wait_for(|| self.processes().is_empty());
        assert!(gone, "{:?}", self.processes());
    }

    fn start_hanging_guest(&self) -> Child {
        let mut lab = self.command(&["--timeout", "600"]);
        let lab = lab.stdout(Stdio::null()).stderr(Stdio::piped());
        let child = lab.spawn().expect("xkvm-lab runs");
        let guest = |line: &String| line.starts_with("qemu-system-x86_64");
        let up = wait_for(|| self.processes().iter().any(guest));
        assert!(up, "the guest does not start");
        child
    }
}

fn wait_for(condition: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        if condition() {
            return true;
        }
        thread::sleep(Duration::from_millis(50));
    }
    false
}

/// What a guest needs; CI has it all.
fn can_run_guests() -> bool {
    let there = |name: &str| {
        let found = ["/usr/bin", "/bin", "/usr/local/bin"]
            .iter()
            .any(|folder| Path::new(folder).join(name).exists());
        if !found {
            eprintln!("SKIPPED: there is no {name}");
        }
        found
    };
    let here = there("qemu-system-x86_64") && there("busybox");
    assert!(
        here || std::env::var_os("CI").is_none(),
        "CI must have them"
    );
    here
}

fn send(signal: &str, child: &Child) {
    let status = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .expect("kill runs");
    assert!(status.success());
}

/// The log that an error names.
fn log(said: &str) -> PathBuf {
    let line = said.lines().find_map(|l| l.trim().strip_prefix("log: "));
    line.expect("a log is named").into()
}

#[test]
fn a_missing_tree_is_told() {
    let bench = Bench::new("true");
    fs::remove_dir_all(bench.home.path().join("linux")).expect("a folder");
    let (output, said) = bench.boot(&[]);
    assert_eq!(output.status.code(), Some(2));
    let tree = bench.home.path().join("linux");
    assert!(said.contains(&tree.display().to_string()), "{said}");
}

#[test]
fn a_kernel_that_does_not_build_shows_why() {
    let bench = Bench::new("@echo 'x.c:1: error: no such thing'; seq 100; exit 7");
    let (output, said) = bench.boot(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("make of the stock kernel failed"), "{said}");
    // What went wrong, though it is not at the end; and the end.
    assert!(said.contains("x.c:1: error: no such thing"), "{said}");
    assert!(
        said.contains("    100\n") && !said.contains("    20\n"),
        "{said}"
    );
    let text = fs::read_to_string(log(&said)).expect("the log is there");
    assert!(text.contains("\n20\n"), "{text}");
    // No half-made kernel is taken for one the next time.
    let (output, _) = bench.boot(&[]);
    assert_eq!(output.status.code(), Some(2));
    bench.nobody_is_left();
}

#[test]
fn a_configuration_that_drops_symbols_is_refused() {
    let bench = Bench::new("true");
    let makefile = bench.home.path().join("linux/Makefile");
    let text = fs::read_to_string(&makefile).expect("a file");
    let dropping = "grep -v '^CONFIG_E1000=' $(KCONFIG_ALLCONFIG) >$(O)/.config";
    let text = text.replace("cp $(KCONFIG_ALLCONFIG) $(O)/.config", dropping);
    fs::write(&makefile, text).expect("a file");
    let (output, said) = bench.boot(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("CONFIG_E1000=m became n"), "{said}");
}

#[test]
fn a_guest_that_hangs_is_ended() {
    if !can_run_guests() {
        return;
    }
    let bench = Bench::image(HANG);
    let (output, said) = bench.boot(&["--timeout", "3"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said.contains("the guest stock-e1000 did not power off within 3s"),
        "{said}"
    );
    assert!(log(&said).exists());
    bench.nobody_is_left();
}

#[test]
fn a_guest_that_goes_down_early_has_failed() {
    if !can_run_guests() {
        return;
    }
    let bench = Bench::image(RESET);
    let (output, said) = bench.boot(&["--timeout", "60"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said.contains("went down before its workload was done"),
        "{said}"
    );
}

#[test]
fn an_image_that_is_no_kernel_is_told() {
    if !can_run_guests() {
        return;
    }
    let bench = Bench::new("echo nothing >$@");
    let (output, said) = bench.boot(&["--timeout", "60"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("could not be run"), "{said}");
}

#[test]
fn an_interrupted_run_ends_its_guest() {
    if !can_run_guests() {
        return;
    }
    let bench = Bench::image(HANG);
    let child = bench.start_hanging_guest();
    send("-TERM", &child);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("interrupted during the guest stock-e1000"),
        "{said}"
    );
    bench.nobody_is_left();
}

#[test]
fn a_killed_run_leaves_no_guest() {
    if !can_run_guests() {
        return;
    }
    let bench = Bench::image(HANG);
    let mut child = bench.start_hanging_guest();
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    bench.nobody_is_left();
}

#[test]
fn clean_deletes_what_was_cached() {
    let bench = Bench::new("true");
    let (_, _) = bench.boot(&[]);
    let cache = bench.home.path().join("cache");
    assert!(cache.join("trees").exists());
    let mut clean = Command::new(env!("CARGO_BIN_EXE_xkvm-lab"));
    let output = clean.arg("--cache").arg(&cache).arg("clean").output();
    assert!(output.expect("xkvm-lab runs").status.success());
    assert!(!cache.join("trees").exists());
}

/// What `measure` cannot do is told before anything is built.
#[test]
fn what_cannot_be_measured_is_told_at_once() {
    let bench = Bench::new("false");
    let file = bench.home.path().join("file");
    fs::write(&file, "").expect("a file");
    let file = file.to_string_lossy();
    let tree = bench.home.path().join("linux");
    let tree = tree.to_string_lossy();
    let nested = ["--place", "nested"];
    let cases: [(&[&str], &str); 9] = [
        (
            &["--only", "nonsense"],
            "no run has a name with \"nonsense\"",
        ),
        (&["--only", ""], "no run has a name with \"\""),
        (
            &["--only", "stock", "--only", "nonsense"],
            "no run has a name with \"nonsense\"",
        ),
        (
            &["--quick", "--only", "vmcall"],
            "legacy-batches-vmcall-commands is there with --host-tree\n",
        ),
        (
            &["--quick", "--only", "network"],
            "qemu-rtl8139-stock-network is there without --quick\n",
        ),
        (
            &["--quick", "--only", "pit-100"],
            "pit-100-idle is there without --quick and with --host-tree\n",
        ),
        (&["-o", &file], "is not a folder: --output names one"),
        (
            &[
                "--quick",
                "--host-tree",
                &tree,
                "--bless",
                "/nope/bars.toml",
            ],
            "bars cannot be written to /nope/bars.toml",
        ),
        (&["--quick", "--only", "stock", "--bless", "x"], "no --only"),
    ];
    for (arguments, expected) in cases {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xkvm-lab"));
        command.arg("--cache").arg(bench.home.path().join("cache"));
        command
            .arg("measure")
            .arg(&*tree)
            .args(nested)
            .args(arguments);
        let output = command.output().expect("xkvm-lab runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert!(!said.contains("building"), "{arguments:?}: {said}");
    }
}
