//! `guestpatch host build`, with a stand-in for cargo where only what is around it matters.

mod cli_support;

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use cli_support::Place;

/// A program in the place of cargo: notes how it was called, and builds as `does` says.
fn run_with_cargo(place: &Place, does: &str, args: &[&str]) -> String {
    let text = format!(
        "#!/bin/sh\necho \"$*\" >>{0}/called\n{does}\n",
        place.path().display()
    );
    place.write("cargo", &text);
    let cargo = place.path().join("cargo");
    std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).expect("a program");
    let mut command = place.command(args);
    command.env("CARGO", &cargo).env_remove("CARGO_TARGET_DIR");
    let output = command.output().expect("the program runs");
    format!(
        "exit {}\n{}{}",
        output.status.code().expect("no signal"),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

const BUILDS: &str = r#"echo built >the-program
echo '{"reason":"compiler-artifact","target":{"name":"xkvm_host"},"executable":null}'
echo "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"xkvm\"},\"executable\":\"$PWD/the-program\"}""#;

#[test]
fn the_host_of_a_series_is_built() {
    let place = Place::new();
    let made = place.run(&["series", "linux", "-o", "out"]);
    assert!(made.starts_with("exit 0"), "{made}");
    for (series, dir) in [("out", "one"), ("out/report.json", "two")] {
        let told = run_with_cargo(
            &place,
            BUILDS,
            &["host", "build", "-o", dir, "--series", series],
        );
        assert_eq!(told, format!("exit 0\nBuilt {dir}/xkvm\n"));
        assert_eq!(place.read(&format!("{dir}/xkvm")), "built\n");
        assert!(
            place
                .read(&format!("{dir}/host/src/main.rs"))
                .contains("fn main")
        );
    }
    let called = place.read("called");
    let called = called.lines().next().expect("cargo was called");
    assert!(
        called.starts_with("build --release --locked --bin xkvm "),
        "{called}"
    );
}

#[test]
fn a_series_that_does_not_match_is_refused_before_anything_is_done() {
    let place = Place::new();
    place.run(&["series", "linux", "-o", "out"]);
    let report = place.read("out/report.json");
    let newer = report.replace("\"transports\": [", "\"transports\": [\n      \"pigeon\",");
    assert_ne!(newer, report);
    place.write("out/report.json", &newer);
    let told = place.run_untouched(&["host", "build", "-o", "host", "--series", "out"]);
    assert_eq!(
        told,
        "exit 2\nstderr:\nerror: a transport the host has not: the series has pigeon, the host in this guestpatch doorbell, \
         tunnel, vmcall\n --> out/report.json\nhint: build the host with guestpatch 0.1.0, which wrote the series, or write the \
         series again with this one\n"
    );

    let told = place.run_untouched(&["host", "build", "-o", "host", "--series", "none"]);
    assert!(told.contains("cannot read none"), "{told}");
    // The kernel itself is no series.
    let told = place.run_untouched(&["host", "build", "-o", "host", "--series", "linux/Makefile"]);
    assert!(told.contains("not the report of a series"), "{told}");
}

#[test]
fn nothing_is_left_of_a_build_that_fails() {
    let place = Place::new();
    let before = place.listing();
    let told = run_with_cargo(
        &place,
        "echo oops >&2; exit 101",
        &["host", "build", "-o", "host"],
    );
    assert!(told.starts_with("exit 1\n"), "{told}");
    assert!(
        told.contains("oops") && told.contains("cargo could not build the host"),
        "{told}"
    );
    let told = run_with_cargo(&place, "exit 0", &["host", "build", "-o", "host"]);
    assert!(told.contains("named no program"), "{told}");
    for name in ["cargo", "called"] {
        std::fs::remove_file(place.path().join(name)).expect("the stand-in");
    }
    assert_eq!(before, place.listing());
}

#[test]
fn without_cargo_there_is_a_way_out() {
    let place = Place::new();
    let mut command = place.command(&["host", "build", "-o", "host"]);
    let output = command
        .env_remove("CARGO")
        .env("PATH", "/nowhere")
        .output()
        .expect("runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(told.contains("no cargo"), "{told}");
    assert!(
        told.contains("https://rustup.rs") && told.contains("--source-only"),
        "{told}"
    );
    assert!(!place.path().join("host").exists());
}

#[test]
fn a_folder_in_use_is_left_alone() {
    let place = Place::new();
    let told = place.run_untouched(&["host", "build", "-o", "linux", "--source-only"]);
    assert!(told.starts_with("exit 2"), "{told}");
    assert!(told.contains("output directory in use"), "{told}");
}

/// What cargo itself says about the sources: the workspace is whole, and the versions in the lock file are those it needs.
#[test]
fn cargo_takes_the_sources_as_they_are() {
    let place = Place::new();
    let told = place.run(&["host", "build", "-o", "host", "--source-only"]);
    assert_eq!(told, "exit 0\nstderr:\nWrote the host's sources to host\n");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1"])
        // Crates of other platforms are not there where only this one was built for.
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(place.path().join("host"))
        .output()
        .expect("cargo");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let members = metadata["workspace_members"].as_array().expect("members");
    assert_eq!(members.len(), 1, "{members:?}");
    let ours = metadata["packages"].as_array().expect("packages");
    let ours = ours
        .iter()
        .find(|p| p["name"] == "xkvm-host")
        .expect("the host");
    let has = |kind: &str, name: &str| {
        let targets = ours["targets"].as_array().expect("targets");
        targets
            .iter()
            .any(|t| t["kind"][0] == kind && t["name"] == name)
    };
    assert!(has("bin", "xkvm") && has("test", "hostile") && has("bench", "batch"));
}

/// The real thing takes a minute: `cargo test --test cli_host -- --ignored`. CI does it.
#[test]
#[ignore = "compiles the host"]
fn the_host_builds_and_runs_away_from_the_repository() {
    let place = Place::new();
    let made = place.run(&["series", "linux", "-o", "out"]);
    assert!(made.starts_with("exit 0"), "{made}");
    let told = place.run(&["host", "build", "-o", "host", "--series", "out", "--quiet"]);
    assert_eq!(told, "exit 0\n");
    let output = Command::new(place.path().join("host/xkvm"))
        .arg("--version")
        .output();
    let output = output.expect("the host runs");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        concat!("xkvm-host ", env!("CARGO_PKG_VERSION"), "\n")
    );
}
