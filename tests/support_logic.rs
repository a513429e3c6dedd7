//! Runs the guest's C helper in user space: rendered, compiled against a mock kernel, host and bus, and compared with the same
//! operations done natively.

mod support_render;

use std::fs;
use std::path::Path;
use std::process::Command;

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
fn lay_out(dir: &Path, probes: &[&str]) {
    let (source, header) = support_render::render_source(probes);
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
    lay_out(dir.path(), &["vmmcall", "export_h", "cc_platform"]);
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
fn every_choice_of_probes_renders_and_compiles() {
    if Command::new("cc").arg("--version").output().is_err() {
        eprintln!("SKIPPED: no `cc`");
        return;
    }
    for probes in [
        &[][..],
        &["vmmcall", "processor_h", "cpuid_api", "export_h"],
    ] {
        let dir = tempfile::tempdir().expect("temporary folder");
        lay_out(dir.path(), probes);
        cc(dir.path(), &["-DCONFIG_XKVM_IO", "-c", "xkvm_io.c"]);
    }
}
