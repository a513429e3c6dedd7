//! The user's kernel tree, which is only read, and the lab's own copy of it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use guestpatch::kernel::Tree;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use walkdir::{DirEntry, WalkDir};

use crate::Lab;
use crate::cache::{Key, hex};

/// Folders that no x86 build reads, from the top of the tree. Together they are a third of it.
const UNUSED: &[&str] = &[
    "drivers/gpu/drm/amd/include/",
    "tools/perf/",
    "tools/testing/",
];
/// What builds and scripts leave in a tree; the lab's build must not find it.
const LEAVINGS: &[&str] = &[
    ".config",
    ".config.old",
    "include/config/",
    "include/generated/",
    "arch/x86/include/generated/",
];
/// The architectures that stay; of the others no file is read either.
const ARCHITECTURES: &[&str] = &["x86", "um"];

/// A kernel tree as it is now.
#[derive(Debug)]
pub struct Source {
    tree: Tree,
    /// What a build may read, with the digest of each.
    files: BTreeMap<PathBuf, String>,
    key: Key,
}

impl Source {
    /// Reads the tree at `root`.
    ///
    /// # Errors
    /// When it is not a kernel tree, or cannot be read.
    pub fn open(root: &Path) -> Result<Self> {
        let tree = Tree::open(root).map_err(told)?;
        let files = list(tree.root())?;
        let files: BTreeMap<PathBuf, String> = files
            .into_par_iter()
            .map(|path| digest(&tree.root().join(&path)).map(|digest| (path, digest)))
            .collect::<Result<_>>()?;
        let mut key = Key::of("tree");
        for (path, digest) in &files {
            key = key.with(&path.to_string_lossy(), digest);
        }
        let key = key.build();
        Ok(Self { tree, files, key })
    }

    /// The tree as guestpatch sees it.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Its version, such as (6, 12, 94).
    pub fn version(&self) -> (u32, u32, u32) {
        self.tree.version().triple()
    }

    /// The same for readers, such as `6.12.94`.
    pub fn release(&self) -> String {
        let (major, minor, patch) = self.version();
        format!("{major}.{minor}.{patch}")
    }

    /// The hash of all that is copied.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// A copy that belongs to the lab. Nobody writes to it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn copy(&self, lab: &Lab) -> Result<PathBuf> {
        lab.cache.entry("trees", &self.key, |folder| {
            lab.cache.require_space(3 << 29, "a copy of the tree")?;
            lab.say(&format!("copying {}", self.tree.root().display()));
            self.copy_some(folder, |_| true)
        })
    }

    /// Copies the `wanted` files of the tree into another one, over what it has.
    ///
    /// # Errors
    /// When one cannot be copied.
    pub fn copy_some(&self, to: &Path, wanted: impl Fn(&Path) -> bool) -> Result<()> {
        let files = self.files.keys().filter(|path| wanted(path));
        clone(self.tree.root(), to, files.clone(), |from, to| {
            remove(to)?;
            // Where the file system can, this makes a second reference to the same blocks.
            fs::copy(from, to).map(|_| ())
        })?;
        // The user may be at work in the tree: what is kept by a hash is what was hashed.
        let files: Vec<&PathBuf> = files.collect();
        files.into_par_iter().try_for_each(|path| {
            match self.files.get(path) == Some(&digest(&to.join(path))?) {
                true => Ok(()),
                false => bail!("{} has changed meanwhile: run again", path.display()),
            }
        })
    }

    /// The first `wanted` file that `other` has too, with another content.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn difference(
        &self,
        other: &Path,
        wanted: impl Fn(&Path) -> bool,
    ) -> Result<Option<&Path>> {
        for path in self.files.keys().filter(|path| wanted(path)) {
            let (ours, theirs) = (self.tree.root().join(path), other.join(path));
            let differ = || -> io::Result<bool> {
                Ok(theirs.is_file() && fs::read(&ours)? != fs::read(&theirs)?)
            };
            if differ().with_context(|| format!("cannot compare {}", path.display()))? {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }
}

/// Makes `files` of `from` appear in `to`, each by `copy`.
fn clone<'a>(
    from: &Path,
    to: &Path,
    files: impl Iterator<Item = &'a PathBuf>,
    copy: impl Fn(&Path, &Path) -> io::Result<()>,
) -> Result<()> {
    let mut made = None;
    for path in files {
        let (source, target) = (from.join(path), to.join(path));
        let mut one = || {
            if made != path.parent() {
                fs::create_dir_all(target.parent().unwrap_or(to))?;
                made = path.parent();
            }
            if source.is_symlink() {
                symlink(fs::read_link(&source)?, &target)
            } else {
                copy(&source, &target)
            }
        };
        one()
            .with_context(|| format!("cannot copy {} to {}", source.display(), target.display()))?;
    }
    Ok(())
}

/// A second copy of the whole folder `from`, of hard links: whoever changes a file must replace it.
///
/// # Errors
/// When it cannot be made.
pub fn link(from: &Path, to: &Path) -> Result<()> {
    let files = list(from)?;
    clone(from, to, files.iter(), |from, to| fs::hard_link(from, to))
}

/// Deletes a file or link, if it is there: who writes over it would write to what it is a link of.
///
/// # Errors
/// When it cannot be deleted.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Every file and link of the tree that a build may read, sorted.
fn list(root: &Path) -> Result<Vec<PathBuf>> {
    let wanted = |entry: &DirEntry| {
        let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
        is_wanted(path, entry.file_type().is_dir())
    };
    let mut files = Vec::new();
    for entry in WalkDir::new(root).into_iter().filter_entry(wanted) {
        let entry = entry.context("cannot read the kernel tree")?;
        let kind = entry.file_type();
        if kind.is_file() || kind.is_symlink() {
            let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
            files.push(path.to_owned());
        }
    }
    files.sort();
    Ok(files)
}

fn is_wanted(path: &Path, folder: bool) -> bool {
    let name = path.file_name().unwrap_or_default();
    // Objects and the commands that made them.
    let is_made = ["o", "ko", "a", "cmd"]
        .iter()
        .any(|made| path.extension() == Some(OsStr::new(made)))
        || name.to_string_lossy().starts_with(".checkpatch-");
    if name == OsStr::new(".git")
        || (is_made && !folder)
        || LEAVINGS.iter().any(|leaving| path.starts_with(leaving))
    {
        return false;
    }
    // Every folder is described to Kconfig and make, built or not.
    let is_description = name.to_string_lossy().starts_with("Kconfig")
        || ["Makefile", "Kbuild"]
            .iter()
            .any(|known| name == OsStr::new(known));
    if folder || is_description {
        return true;
    }
    let mut parts = path.components().map(Component::as_os_str);
    let is_foreign = parts.next() == Some(OsStr::new("arch"))
        && parts.next().is_some_and(|arch| {
            let mut known = ARCHITECTURES.iter().map(OsStr::new);
            // Files right in arch/ are for all.
            parts.next().is_some() && !known.any(|known| known == arch)
        });
    !is_foreign && !UNUSED.iter().any(|prefix| path.starts_with(prefix))
}

/// Content, kind and whether it is executable.
fn digest(path: &Path) -> Result<String> {
    let read = || -> io::Result<String> {
        let meta = fs::symlink_metadata(path)?;
        if meta.is_symlink() {
            return Ok(format!("link {}", fs::read_link(path)?.display()));
        }
        let executable = meta.permissions().mode() & 0o111 != 0;
        let hash = Sha256::digest(fs::read(path)?);
        Ok(format!("{executable} {}", hex(&hash)))
    };
    read().with_context(|| format!("cannot read {}", path.display()))
}

/// guestpatch's error with its hint, as one of this program.
pub fn told(error: guestpatch::Error) -> anyhow::Error {
    match &error.hint {
        Some(hint) => anyhow::anyhow!("{error}; {hint}"),
        None => anyhow::anyhow!("{error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_build_reads_is_left_out() {
        for (path, wanted) in [
            ("Makefile", true),
            (".gitignore", true),
            (".git", false),
            ("arch/Kconfig", true),
            ("arch/x86/kernel/setup.c", true),
            ("arch/arm/kernel/setup.c", false),
            ("arch/arm/crypto/Kconfig", true),
            ("arch/arm/Kconfig.debug", true),
            ("drivers/gpu/drm/amd/include/asic.h", false),
            ("drivers/gpu/drm/amd/Makefile", true),
            ("tools/objtool/check.c", true),
            ("tools/testing/x.c", false),
            (".config", false),
            ("include/config/auto.conf", false),
            ("include/configuration.h", true),
            ("kernel/.fork.o.cmd", false),
            ("kernel/fork.o", false),
            ("kernel/fork.c", true),
            ("kernel/config.cmd/Kconfig", true),
            (".checkpatch-camelcase.git.", false),
        ] {
            assert_eq!(is_wanted(Path::new(path), false), wanted, "{path}");
        }
        assert!(is_wanted(Path::new("arch/arm"), true));
    }

    #[test]
    fn a_linked_copy_has_every_file_and_link() {
        let home = tempfile::tempdir().unwrap();
        let (from, to) = (home.path().join("a"), home.path().join("b"));
        fs::create_dir_all(from.join("x/y")).unwrap();
        fs::write(from.join("x/y/f"), "text").unwrap();
        symlink("y/f", from.join("x/l")).unwrap();
        link(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("x/y/f")).unwrap(), "text");
        assert_eq!(fs::read_link(to.join("x/l")).unwrap(), Path::new("y/f"));
        assert_eq!(list(&to).unwrap(), list(&from).unwrap());
    }

    fn small_tree() -> (tempfile::TempDir, Source) {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("linux");
        for folder in ["arch/x86/kvm", "drivers", "kernel", "include"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let makefile = "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 1\n";
        for (name, text) in [
            ("Makefile", makefile),
            ("Kbuild", ""),
            ("include/a.h", "a"),
            ("arch/x86/kvm/x86.c", "x86"),
        ] {
            fs::write(root.join(name), text).unwrap();
        }
        let source = Source::open(&root).unwrap();
        (home, source)
    }

    #[test]
    fn some_files_go_over_those_that_are_there() {
        let (home, source) = small_tree();
        let (to, elsewhere) = (home.path().join("to"), home.path().join("elsewhere"));
        fs::create_dir_all(to.join("arch/x86/kvm")).unwrap();
        fs::write(&elsewhere, "mine").unwrap();
        // Who copies through a link writes to what is not meant.
        symlink(&elsewhere, to.join("arch/x86/kvm/x86.c")).unwrap();
        let wanted = |path: &Path| path.starts_with("arch");
        source.copy_some(&to, wanted).unwrap();
        assert_eq!(
            fs::read_to_string(to.join("arch/x86/kvm/x86.c")).unwrap(),
            "x86"
        );
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "mine");
        assert!(!to.join("Makefile").exists());
    }

    #[test]
    fn what_changes_meanwhile_is_not_kept() {
        let (home, source) = small_tree();
        fs::write(home.path().join("linux/include/a.h"), "b").unwrap();
        let copied = source.copy_some(&home.path().join("to"), |_| true);
        let said = copied.unwrap_err().to_string();
        assert!(said.contains("include/a.h"), "{said}");
    }

    #[test]
    fn a_difference_is_found() {
        let (home, source) = small_tree();
        let other = home.path().join("other");
        fs::create_dir_all(other.join("include")).unwrap();
        let difference = || source.difference(&other, |path| path.starts_with("include"));
        assert_eq!(difference().unwrap(), None);
        fs::write(other.join("include/a.h"), "a").unwrap();
        // It is not wanted.
        fs::write(other.join("Makefile"), "other").unwrap();
        assert_eq!(difference().unwrap(), None);
        fs::write(other.join("include/a.h"), "b").unwrap();
        assert_eq!(difference().unwrap(), Some(Path::new("include/a.h")));
    }

    #[test]
    fn a_digest_tells_content_mode_and_target() {
        let home = tempfile::tempdir().unwrap();
        let (a, b) = (home.path().join("a"), home.path().join("b"));
        fs::write(&a, "text").unwrap();
        fs::write(&b, "text").unwrap();
        assert_eq!(digest(&a).unwrap(), digest(&b).unwrap());
        fs::set_permissions(&b, PermissionsExt::from_mode(0o755)).unwrap();
        assert_ne!(digest(&a).unwrap(), digest(&b).unwrap());
        let link = home.path().join("l");
        symlink("a", &link).unwrap();
        assert_eq!(digest(&link).unwrap(), "link a");
    }
}
