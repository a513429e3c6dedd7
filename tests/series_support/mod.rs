//! What the tests of the series share: a scratch repository, git without the user's own settings, and sample patches.
#![allow(dead_code, reason = "each test program uses a part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use guestpatch::kernel::Base;
use guestpatch::series::{Cover, FileChange, Identity, Patch, Series};
use guestpatch::step::{Site, Verdict};

/// A folder with a small tree, removed at the end of the test.
pub struct Scratch {
    dir: tempfile::TempDir,
}

pub const DRIVER: &str = "// SPDX-License-Identifier: GPL-2.0\n#include <linux/io.h>\n\nstatic int first(int a)\n{\n\treturn a;\n}\n\n\
    static void load(struct dev *d)\n{\n\toutb(1, d->base);\n\toutb(2, d->base + 1);\n\toutb(3, d->base + 2);\n}\n";

impl Scratch {
    /// A tree without a repository.
    pub fn plain() -> Self {
        let scratch = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        scratch.write("tree/drivers/x.c", DRIVER.as_bytes());
        scratch.write(
            "tree/Makefile",
            b"VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 0\n",
        );
        scratch
    }

    /// A tree with one commit.
    pub fn repository() -> Self {
        let scratch = Self::plain();
        scratch.git(&["init", "-q", "-b", "main"]);
        scratch.commit("Base");
        scratch
    }

    pub fn commit(&self, message: &str) {
        self.git(&["add", "-A", "-f"]);
        self.git(&["commit", "-q", "-m", message]);
    }

    pub fn top(&self) -> &Path {
        self.dir.path()
    }

    pub fn tree(&self) -> PathBuf {
        self.dir.path().join("tree")
    }

    pub fn write(&self, path: &str, content: &[u8]) {
        let full = self.dir.path().join(path);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        fs::write(full, content).unwrap();
    }

    pub fn base(&self) -> Base {
        Base::at(&self.tree(), "linux-6.1.0".to_owned(), None).unwrap()
    }

    /// Runs git in the tree; fails the test when git does.
    pub fn git(&self, args: &[&str]) -> String {
        let output = git(&self.tree(), args);
        assert!(
            output.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Writes the series to `out` beside the tree and returns the patch files in order.
    pub fn render(&self, series: &Series) -> Vec<PathBuf> {
        let out = self.dir.path().join("out");
        let files = series.render();
        guestpatch::series::output::write(&out, &files, false).unwrap();
        files
            .iter()
            .map(|(name, _)| out.join(name))
            .filter(|p| is_patch(p))
            .collect()
    }
}

fn is_patch(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    name.ends_with(".patch") && !name.starts_with("0000-")
}

/// git with a fixed identity and nobody's settings.
pub fn git(dir: &Path, args: &[&str]) -> Output {
    Command::new("git")
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CEILING_DIRECTORIES", dir.parent().unwrap())
        .env("GIT_AUTHOR_NAME", "Tester")
        .env("GIT_AUTHOR_EMAIL", "tester@example.org")
        .env("GIT_COMMITTER_NAME", "Tester")
        .env("GIT_COMMITTER_EMAIL", "tester@example.org")
        .env("GIT_COMMITTER_DATE", "1700000000 +0000")
        .env("GIT_AUTHOR_DATE", "1700000000 +0000")
        .env("TZ", "UTC")
        .env_remove("GIT_DIR")
        .output()
        .expect("git is installed")
}

pub fn change(path: &str, before: Option<&[u8]>, after: Option<&[u8]>) -> FileChange {
    FileChange {
        path: path.to_owned(),
        before: before.map(<[u8]>::to_vec),
        after: after.map(<[u8]>::to_vec),
    }
}

pub fn patch(subject: &str, body: &str, changes: Vec<FileChange>) -> Patch {
    Patch {
        subject: subject.to_owned(),
        body: body.to_owned(),
        recipe: "sample".to_owned(),
        recipe_version: 1,
        changes,
        sites: Vec::new(),
    }
}

/// Two patches on [`Scratch`]'s tree: a new header, and a driver that uses it.
pub fn sample() -> Vec<Patch> {
    let header = b"/* SPDX-License-Identifier: GPL-2.0 */\nvoid batch(int n);\n";
    let after = DRIVER
        .replace(
            "#include <linux/io.h>\n",
            "#include <linux/io.h>\n#include \"batch.h\"\n",
        )
        .replace(
            "\toutb(1, d->base);\n\toutb(2, d->base + 1);\n\toutb(3, d->base + 2);\n",
            "\tbatch(3);\n",
        );
    let mut second = patch(
        "x: batch the register accesses",
        "Each access is an exit.\n\nOne batch is one exit.",
        vec![change(
            "drivers/x.c",
            Some(DRIVER.as_bytes()),
            Some(after.as_bytes()),
        )],
    );
    let site = |line, verdict| Site {
        file: "drivers/x.c".to_owned(),
        line,
        function: "load".to_owned(),
        ops: 3,
        exits_saved: if verdict == Verdict::Rewritten { 2 } else { 0 },
        verdict,
    };
    let blocked = Verdict::Blocked {
        code: "call".to_owned(),
        reason: "a call".to_owned(),
        line: 6,
    };
    second.sites = vec![site(11, Verdict::Rewritten), site(4, blocked)];
    vec![
        patch(
            "x: add the batch header",
            "It says what a batch is.",
            vec![change("drivers/batch.h", None, Some(header))],
        ),
        second,
    ]
}

pub fn series(scratch: &Scratch, patches: Vec<Patch>, signoff: Option<Identity>) -> Series {
    let cover = Cover {
        assumptions: vec!["Nothing else is read.".to_owned()],
        ..Cover::default()
    };
    Series::new(scratch.base(), cover, patches, signoff).unwrap()
}

/// The Debian tree of that version, if the environment says where such trees are.
pub fn kernel_tree(version: &str) -> Option<PathBuf> {
    let dir = PathBuf::from(std::env::var_os("GUESTPATCH_TEST_TREES")?)
        .join(format!("linux-source-{version}"));
    dir.is_dir().then_some(dir)
}
