//! The kernel checkout: its version, its files, and what is pending on top of it.

mod base;
pub mod files;
mod globs;
mod needles;
mod overlay;
mod version;

pub(crate) use base::hex;
pub use base::{Base, Origin, PLAIN_DATE, digest};
pub use overlay::Overlay;
pub use version::Version;

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// A kernel source tree, opened read-only.
///
/// All paths inside it are relative to the root, with `/`.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    version: Version,
}

impl Tree {
    /// Opens the tree at `root`.
    ///
    /// # Errors
    /// When `root` is not the top of a kernel tree (no `Makefile` with VERSION, PATCHLEVEL, SUBLEVEL, or no `Kconfig`/`drivers`).
    pub fn open(root: &Path) -> Result<Self> {
        let makefile = root.join("Makefile");
        let text = std::fs::read(&makefile).map_err(|e| {
            Error::usage(format!(
                "{} is not a kernel tree: cannot read its Makefile ({e})",
                root.display()
            ))
            .hint("give the top folder of an unpacked or checked-out kernel")
        })?;
        let version = Version::from_makefile(&text).ok_or_else(|| {
            Error::usage(
                "this Makefile names no VERSION and PATCHLEVEL: not the top of a kernel tree",
            )
            .at(&makefile, 0, 0)
            .hint("give the top folder of an unpacked or checked-out kernel")
        })?;
        Ok(Self {
            root: root.to_path_buf(),
            version,
        })
    }

    /// The top folder as given.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The version its Makefile states.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Reads `path`; `None` when there is no such file.
    ///
    /// # Errors
    /// When the file is there but cannot be read.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let full = self.root.join(path);
        match std::fs::read(&full) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e)
                if matches!(
                    e.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(e) => Err(Error::io(&full, "read", &e)),
        }
    }
}
