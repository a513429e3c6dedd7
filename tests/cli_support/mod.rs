//! Running the real program in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The miniature kernel of this repository.
pub fn mini_linux() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/mini-linux")
}

/// A folder to run in, with a copy of the miniature kernel in `linux`.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        copy(&mini_linux(), &dir.path().join("linux"));
        Self(dir)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, path: &str, text: &str) {
        let full = self.path().join(path);
        std::fs::create_dir_all(full.parent().expect("a parent")).expect("a folder");
        std::fs::write(full, text).expect("a file");
    }

    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// Every file below the folder with its length, for comparing before and after.
    pub fn listing(&self) -> Vec<(PathBuf, u64)> {
        fn walk(dir: &Path, out: &mut Vec<(PathBuf, u64)>) {
            for entry in std::fs::read_dir(dir).expect("a folder") {
                let entry = entry.expect("an entry");
                let meta = entry.metadata().expect("metadata");
                if meta.is_dir() {
                    walk(&entry.path(), out);
                }
                out.push((entry.path(), meta.len()));
            }
        }
        let mut out = Vec::new();
        walk(self.path(), &mut out);
        out.sort();
        out
    }

    /// Exit code, stdout and stderr of the program, as one text.
    pub fn run(&self, args: &[&str]) -> String {
        let output = self.command(args).output().expect("the program runs");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let mut all = format!("exit {}\n", output.status.code().expect("no signal"));
        for (name, text) in [
            ("stdout", text(&output.stdout)),
            ("stderr", text(&output.stderr)),
        ] {
            if !text.is_empty() {
                all.push_str(&format!("{name}:\n{text}"));
            }
        }
        all
    }

    /// As `run`, and nothing in the folder may have changed.
    pub fn run_untouched(&self, args: &[&str]) -> String {
        let before = self.listing();
        let all = self.run(args);
        assert_eq!(before, self.listing(), "something was written");
        all
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_guestpatch"));
        command
            .args(args)
            .current_dir(self.path())
            .stdin(Stdio::null());
        // Nothing of the machine's: neither git identity nor colours nor dates.
        command
            .env_remove("SOURCE_DATE_EPOCH")
            .env_remove("CLICOLOR_FORCE");
        command
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        for key in [
            "GIT_COMMITTER_NAME",
            "GIT_COMMITTER_EMAIL",
            "EMAIL",
            "GIT_DIR",
            "GIT_WORK_TREE",
        ] {
            command.env_remove(key);
        }
        command
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let goal = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &goal);
        } else {
            std::fs::copy(entry.path(), goal).expect("a copy");
        }
    }
}
