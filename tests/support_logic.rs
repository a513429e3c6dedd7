//! Runs the guest's C helper in user space: rendered, compiled against a mock kernel, host and bus, and compared with the same
//! operations done natively.

use std::fs;
use std::path::Path;
use std::process::Command;

use guestpatch::kernel::Tree;
use guestpatch::recipe::{Catalogue, run::run};

/// Files by which the support recipe knows what a kernel has: path and text.
type Has = (&'static str, &'static str);

const VMMCALL: Has = (
    "arch/x86/include/asm/kvm_para.h",
    "/* X86_FEATURE_VMMCALL */\n",
);
const EXPORT: Has = ("include/linux/export.h", "");
const CC_PLATFORM: Has = (
    "include/linux/cc_platform.h",
    "/* CC_ATTR_GUEST_MEM_ENCRYPT */\n",
);
const READ_ONCE: Has = ("include/linux/compiler.h", "#define READ_ONCE(x) x\n");
const PM_NOTIFIER: Has = (
    "include/linux/suspend.h",
    "#define pm_notifier(fn, pri) x\n",
);
const PROCESSOR: Has = ("include/linux/processor.h", "");
const CPUID_API: Has = ("arch/x86/include/asm/cpuid/api.h", "");

/// The helper's C file and header for a kernel that has these, as `series` would write them.
fn render(has: &[Has]) -> (String, String) {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mini = [
        (
            "Makefile",
            "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 0\nEXTRAVERSION =\n",
        ),
        ("Kconfig", ""),
        ("lib/Makefile", "obj-$(CONFIG_GENERIC_IOMAP) += iomap.o\n"),
        ("lib/Kconfig", "menu \"Library routines\"\n\nendmenu\n"),
    ];
    for (path, text) in mini.iter().chain(has) {
        let file = dir.path().join(path);
        fs::create_dir_all(file.parent().expect("folder")).expect("folder");
        fs::write(file, text).expect("file");
    }
    let tree = Tree::open(dir.path()).expect("a kernel tree");
    let catalogue = Catalogue::load(None, &[]).expect("the built-in recipes are right");
    let recipe = catalogue.get("xkvm-io").expect("the support recipe");
    let plan = run(&tree, &[recipe], None, &|_| {}).expect("the tree can be read");
    assert!(plan.failures.is_empty(), "{:?}", plan.failures);
    let made = |path: &str| {
        let change = plan.patches[0].changes.iter().find(|c| c.path == path);
        let text = change.and_then(|c| c.after.clone()).expect(path);
        String::from_utf8(text).expect("UTF-8")
    };
    (made("lib/xkvm_io.c"), made("include/linux/xkvm_io.h"))
}

fn cc(dir: &Path, args: &[&str]) {
    let out = Command::new("cc")
        .current_dir(dir)
        .args([
            "-std=gnu11",
            "-O2",
            "-g",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-Wno-unused-parameter",
            "-Wno-pointer-arith",
        ])
        .args([
            "-fsanitize=address,undefined",
            "-fno-sanitize-recover=all",
            "-Iinclude",
        ])
        .args(args)
        .output()
        .expect("cc");
    assert!(
        out.status.success(),
        "cc {args:?}:\n{}",
        String::from_utf8_lossy(&out.stderr)
    );
}

/// Puts the rendered sources and the mock kernel into `dir`.
fn lay_out(dir: &Path, has: &[Has]) {
    let (source, header) = render(has);
    let include = dir.join("include");
    let mock = fs::canonicalize("testdata/support").expect("testdata");
    // Every kernel header the code asks for is the mock; so a header it forgot still shows in the kernel builds only.
    let wanted = [
        source.as_str(),
        &header,
        &fs::read_to_string(mock.join("driver.c")).expect("driver"),
    ]
    .concat();
    for name in wanted
        .lines()
        .filter_map(|l| l.strip_prefix("#include <")?.strip_suffix('>'))
    {
        let path = include.join(name);
        fs::create_dir_all(path.parent().expect("folder")).expect("folder");
        fs::write(path, format!("#include \"{}/mock.h\"\n", mock.display())).expect("header");
    }
    fs::write(include.join("linux/xkvm_io.h"), header).expect("header");
    fs::write(dir.join("xkvm_io.c"), source).expect("source");
    for name in ["driver.c", "harness.c"] {
        fs::copy(mock.join(name), dir.join(name)).expect("source");
    }
}

fn build(dir: &Path) {
    cc(dir, &["-DCONFIG_XKVM_IO", "-c", "xkvm_io.c"]);
    cc(dir, &["-DCONFIG_XKVM_IO", "-c", "harness.c"]);
    cc(dir, &["-DCONFIG_XKVM_IO", "-c", "driver.c"]);
    let off = ["straight", "conditional", "strings"].map(|f| format!("-Dxd_{f}=off_{f}"));
    let [a, b, c] = off.each_ref().map(String::as_str);
    cc(dir, &[a, b, c, "-c", "driver.c", "-o", "driver_off.o"]);
    cc(
        dir,
        &[
            "xkvm_io.o",
            "harness.o",
            "driver.o",
            "driver_off.o",
            "-o",
            "harness",
        ],
    );
}

#[test]
fn the_helper_does_what_the_single_instructions_do() {
    if Command::new("cc").arg("--version").output().is_err() {
        eprintln!("SKIPPED: no `cc`, the guest's helper was not run");
        return;
    }
    let dir = tempfile::tempdir().expect("temporary folder");
    lay_out(
        dir.path(),
        &[VMMCALL, EXPORT, CC_PLATFORM, READ_ONCE, PM_NOTIFIER],
    );
    build(dir.path());
    for how in [
        "none",
        "bare-metal",
        "encrypted",
        "off",
        "no-memory",
        "no-strings",
        "doorbell",
        "tunnel",
        "vmcall",
    ] {
        let out = Command::new(dir.path().join("harness"))
            .arg(how)
            .output()
            .expect("run");
        assert!(
            out.status.success(),
            "{how}: {} {}",
            out.status,
            String::from_utf8_lossy(&out.stderr)
        );
    }
}

#[test]
fn other_kernels_helpers_render_and_compile() {
    if Command::new("cc").arg("--version").output().is_err() {
        eprintln!("SKIPPED: no `cc`");
        return;
    }
    for has in [&[][..], &[VMMCALL, PROCESSOR, CPUID_API, EXPORT]] {
        let dir = tempfile::tempdir().expect("temporary folder");
        lay_out(dir.path(), has);
        cc(dir.path(), &["-DCONFIG_XKVM_IO", "-c", "xkvm_io.c"]);
    }
}
