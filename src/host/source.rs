//! The host's sources, as they were when this program was made.

use std::fs;
use std::path::Path;

use include_dir::{Dir, include_dir};
use toml::{Table, Value};

use crate::{Error, Result};

static WORKSPACE: &str = include_str!("../../Cargo.toml");

/// The host's part of this workspace's lock file. Cargo alone can tell which part that is, so it is a file of its own, and a test
/// says when it has to be renewed.
static LOCK: &str = include_str!("../../host/Cargo.lock");

/// The crate's own files beside its folders. The fuzz target is not among them: it is a workspace of its own.
static FILES: [(&str, &str); 4] = [
    ("Cargo.toml", include_str!("../../host/Cargo.toml")),
    ("README.md", include_str!("../../host/README.md")),
    ("LICENSE-APACHE", include_str!("../../host/LICENSE-APACHE")),
    ("LICENSE-MIT", include_str!("../../host/LICENSE-MIT")),
];
static FOLDERS: [(&str, Dir<'static>); 3] = [
    ("src", include_dir!("$CARGO_MANIFEST_DIR/host/src")),
    ("tests", include_dir!("$CARGO_MANIFEST_DIR/host/tests")),
    ("benches", include_dir!("$CARGO_MANIFEST_DIR/host/benches")),
];

/// A workspace with the host crate alone: path and content of every file, and the versions of all it depends on.
///
/// # Errors
/// When this program was made from a broken workspace.
pub fn files() -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = vec![
        ("Cargo.toml".to_owned(), workspace()?.into_bytes()),
        ("Cargo.lock".to_owned(), LOCK.into()),
    ];
    for (name, text) in FILES {
        files.push((format!("host/{name}"), text.into()));
    }
    for (name, dir) in &FOLDERS {
        collect(dir, name, &mut files);
    }
    Ok(files)
}

/// Writes [`files`] below `dir`.
///
/// # Errors
/// As [`files`], and when the system refuses to write.
pub fn write(dir: &Path) -> Result<()> {
    for (name, content) in files()? {
        let path = dir.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|e| Error::io(parent, "create", &e))?;
        }
        fs::write(&path, content).map_err(|e| Error::io(&path, "write", &e))?;
    }
    Ok(())
}

fn collect(dir: &Dir<'_>, under: &str, files: &mut Vec<(String, Vec<u8>)>) {
    for file in dir.files() {
        let name = format!("host/{under}/{}", file.path().display());
        files.push((name, file.contents().to_vec()));
    }
    for inner in dir.dirs() {
        collect(inner, under, files);
    }
}

fn broken(what: &str, why: impl std::fmt::Display) -> Error {
    Error::failed(format!(
        "the host's {what} in this program is broken: {why}"
    ))
}

/// This workspace's manifest without the other packages: what members inherit, and the release profile. That of tests names
/// packages that the host alone does not have.
fn workspace() -> Result<String> {
    let mut root: Table = WORKSPACE.parse().map_err(|e| broken("Cargo.toml", e))?;
    root.retain(|key, _| matches!(key, "workspace" | "profile"));
    if let Some(Value::Table(workspace)) = root.get_mut("workspace") {
        workspace.insert("members".to_owned(), Value::Array(vec!["host".into()]));
        workspace.remove("default-members");
        workspace.remove("exclude");
    }
    if let Some(Value::Table(profiles)) = root.get_mut("profile") {
        profiles.remove("dev");
    }
    toml::to_string(&root).map_err(|e| broken("Cargo.toml", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_has_the_host_alone() {
        let text = workspace().expect("a manifest");
        let root: Table = text.parse().expect("TOML");
        assert_eq!(root.keys().collect::<Vec<_>>(), ["profile", "workspace"]);
        assert!(text.contains("members = [\"host\"]"), "{text}");
        assert!(text.contains("edition = "), "{text}");
        assert!(!text.contains("sha2"), "{text}");
    }

    /// Renew it so: `guestpatch host build -o X --source-only`, `cp Cargo.lock X`, in X `cargo metadata`, `cp X/Cargo.lock host`.
    #[test]
    fn the_lock_file_has_the_versions_that_are_tested_here() {
        let packages = |text: &str| -> Vec<(String, String, String)> {
            let root: Table = text.parse().expect("TOML");
            let packages = root["package"].as_array().expect("packages").clone();
            let of =
                |p: &Value, key: &str| p.get(key).map_or("", |v| v.as_str().expect(key)).to_owned();
            packages
                .iter()
                .map(|p| (of(p, "name"), of(p, "version"), of(p, "checksum")))
                .collect()
        };
        let all = packages(include_str!("../../Cargo.lock"));
        let ours = packages(LOCK);
        for package in &ours {
            assert!(
                all.contains(package),
                "host/Cargo.lock is out of date: {package:?}"
            );
        }
        assert!(ours.iter().any(|p| p.0 == "kvm-ioctls"));
    }

    #[test]
    fn everything_the_crate_includes_is_there() {
        let files = files().expect("the sources");
        let has = |name: &str| files.iter().any(|(path, _)| path == name);
        for name in [
            "host/src/main.rs",
            "host/src/abi/mod.rs",
            "host/tests/kvm.rs",
            "host/README.md",
        ] {
            assert!(has(name), "{name}");
        }
        assert!(!files.iter().any(|(path, _)| path.contains("fuzz")));
    }
}
