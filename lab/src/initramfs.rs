//! An initial RAM disk: busybox, the lab's scripts, and what else a workload needs.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use cpio::newc::{Builder, ModeFileType, trailer};
use include_dir::{Dir, include_dir};

use crate::busybox;

static GUEST: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/guest");
static HOST: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/host");

/// All scripts of guests and of the machines that run them: path and content.
pub fn scripts() -> impl Iterator<Item = (String, &'static [u8])> {
    let of = |folder: &'static str, dir: &'static Dir<'static>| {
        let name =
            move |file: &include_dir::File<'_>| format!("{folder}/{}", file.path().display());
        dir.files().map(move |file| (name(file), file.contents()))
    };
    of("guest", &GUEST).chain(of("host", &HOST))
}

/// The contents of a RAM disk, in the order they were added.
#[derive(Debug, Default)]
pub struct Initramfs {
    archive: Vec<u8>,
    folders: BTreeSet<String>,
    inodes: u32,
}

impl Initramfs {
    /// One for guests: it starts their script `init.sh` by the shell of `busybox`.
    ///
    /// # Errors
    /// When that is no busybox that runs without libraries.
    pub fn new(busybox: &Path) -> Result<Self> {
        Self::with(busybox, &GUEST, "lab/guest")
    }

    /// One for the machine that runs a VMM.
    ///
    /// # Errors
    /// As [`Initramfs::new`].
    pub fn of_host(busybox: &Path) -> Result<Self> {
        Self::with(busybox, &HOST, "lab/host")
    }

    fn with(busybox: &Path, scripts: &Dir<'_>, folder: &str) -> Result<Self> {
        let mut new = Self::default();
        for folder in ["proc", "sys", "dev", "tmp"] {
            new.folder(folder)?;
        }
        // The kernel opens it before anything is mounted.
        new.add("dev/console", ModeFileType::Char, 0o600, (5, 1), &[])?;
        new.file("bin/busybox", &busybox::read(busybox)?, 0o755)?;
        new.link("bin/sh", "busybox")?;
        new.link("init", &format!("{folder}/init.sh"))?;
        for script in scripts.files() {
            let name = format!("{folder}/{}", script.path().display());
            new.file(&name, script.contents(), 0o755)?;
        }
        Ok(new)
    }

    /// Adds a file.
    ///
    /// # Errors
    /// When it does not fit into the format: 4 GiB are too much.
    pub fn file(&mut self, path: &str, content: &[u8], mode: u32) -> Result<()> {
        self.add(path, ModeFileType::Regular, mode, (0, 0), content)
    }

    /// Adds a copy of a file of this machine.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn copy(&mut self, path: &str, from: &Path, mode: u32) -> Result<()> {
        let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.file(path, &content, mode)
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// When it does not fit into the format.
    pub fn link(&mut self, path: &str, to: &str) -> Result<()> {
        self.add(path, ModeFileType::Symlink, 0o777, (0, 0), to.as_bytes())
    }

    fn folder(&mut self, path: &str) -> Result<()> {
        if path.is_empty() || !self.folders.insert(path.to_owned()) {
            return Ok(());
        }
        self.add(path, ModeFileType::Directory, 0o755, (0, 0), &[])
    }

    fn add(
        &mut self,
        path: &str,
        kind: ModeFileType,
        mode: u32,
        device: (u32, u32),
        content: &[u8],
    ) -> Result<()> {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.folder(parent)?;
        }
        self.inodes += 1;
        let write = || -> io::Result<()> {
            let size = u32::try_from(content.len()).map_err(io::Error::other)?;
            let entry = Builder::new(path)
                .ino(self.inodes)
                .mode(mode)
                .rdev_major(device.0)
                .rdev_minor(device.1)
                .set_mode_file_type(kind);
            let mut entry = entry.write(&mut self.archive, size);
            io::Write::write_all(&mut entry, content)?;
            entry.finish().map(|_| ())
        };
        write().with_context(|| format!("cannot put {path} into the RAM disk"))
    }

    /// The archive.
    ///
    /// # Errors
    /// When its end cannot be written.
    pub fn finish(self) -> Result<Vec<u8>> {
        trailer(self.archive).context("cannot end the RAM disk")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(mut archive: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut all = Vec::new();
        loop {
            let mut reader = cpio::NewcReader::new(archive).unwrap();
            if reader.entry().is_trailer() {
                return all;
            }
            let (name, mode) = (reader.entry().name().to_owned(), reader.entry().mode());
            let mut content = Vec::new();
            io::Read::read_to_end(&mut reader, &mut content).unwrap();
            all.push((name, mode, content));
            archive = reader.finish().unwrap();
        }
    }

    #[test]
    fn folders_come_before_what_is_in_them_and_once() {
        let mut disk = Initramfs::default();
        disk.file("a/b/c", b"hello", 0o644).unwrap();
        disk.file("a/b/d", b"", 0o755).unwrap();
        disk.link("a/e", "b/c").unwrap();
        let names = names(&disk.finish().unwrap());
        let expected = [
            ("a", 0o40755, ""),
            ("a/b", 0o40755, ""),
            ("a/b/c", 0o100644, "hello"),
            ("a/b/d", 0o100755, ""),
            ("a/e", 0o120777, "b/c"),
        ];
        assert_eq!(
            names,
            expected.map(|(n, m, c)| (n.to_owned(), m, c.as_bytes().to_vec()))
        );
    }
}
