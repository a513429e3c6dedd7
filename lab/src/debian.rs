//! Packages of this machine's Debian release: asked for and unpacked, never installed.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::Lab;
use crate::run::{ask, step};

const TIMEOUT: Duration = Duration::from_secs(600);

/// A package in the version that apt would install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// With Debian's revision, such as `6.1.1-1`.
    pub version: String,
}

impl Package {
    /// The package `name`.
    ///
    /// # Errors
    /// When apt does not know it.
    pub fn named(name: &str) -> Result<Self> {
        let told = ask("apt-cache", &["show", "--no-all-versions", name])
            .with_context(|| format!("apt does not know {name}: has `apt-get update` been run?"))?;
        let version = field(&told, "Version").context("apt-cache told no version")?;
        Ok(Self {
            name: name.to_owned(),
            version: version.to_owned(),
        })
    }

    /// The names of the packages that `name` depends on.
    ///
    /// # Errors
    /// When apt does not know it.
    pub fn dependencies(name: &str) -> Result<Vec<String>> {
        let told = ask("apt-cache", &["depends", "--important", name])
            .with_context(|| format!("apt does not know {name}: has `apt-get update` been run?"))?;
        Ok(depends(&told))
    }

    /// The version of what is packaged: without Debian's revision.
    pub fn upstream(&self) -> &str {
        self.version
            .rsplit_once('-')
            .map_or(&*self.version, |(upstream, _)| upstream)
    }

    /// Fetches the package and unpacks it in `folder`, which is there.
    ///
    /// # Errors
    /// When it cannot be had.
    pub fn unpack(&self, lab: &Lab, folder: &Path) -> Result<()> {
        let work = tempfile::tempdir_in(folder).context("cannot make a folder for a package")?;
        let log = lab.logs.file(&format!("fetch-{}.log", self.name));
        let mut fetch = Command::new("apt-get");
        fetch.current_dir(work.path());
        fetch
            .arg("download")
            .arg(format!("{}={}", self.name, self.version));
        let what = format!("fetching {}", self.name);
        step(&fetch, &what, &log, TIMEOUT, &lab.interrupt)?;
        let archive = fs::read_dir(work.path())
            .context("cannot read a folder")?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|e| e == "deb"))
            .with_context(|| format!("apt-get download left nothing of {}", self.name))?;
        let log = lab.logs.file(&format!("unpack-{}.log", self.name));
        let mut unpack = Command::new("dpkg-deb");
        unpack.arg("-x").arg(&archive).arg(folder);
        let what = format!("unpacking {}", self.name);
        step(&unpack, &what, &log, TIMEOUT, &lab.interrupt)
    }
}

/// The value of a field of a package's description.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// What `apt-cache depends` says: a line each, alternatives with a bar before.
fn depends(text: &str) -> Vec<String> {
    let names = text.lines().filter_map(|line| {
        line.trim()
            .trim_start_matches('|')
            .strip_prefix("Depends: ")
    });
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found() {
        let text = "Package: x\nVersion: 6.1.1-1\nInstalled-Size: 3\n";
        assert_eq!(field(text, "Version"), Some("6.1.1-1"));
        assert_eq!(field(text, "Size"), None);
    }

    #[test]
    fn dependencies_are_found() {
        let text =
            "linux-x\n  PreDepends: a\n  Depends: linux-y\n |Depends: b\n  Depends: <c>\n    d\n";
        assert_eq!(depends(text), ["linux-y", "b", "<c>"]);
    }

    #[test]
    fn the_revision_is_debians() {
        let package = |version: &str| Package {
            name: "linux-x".to_owned(),
            version: version.to_owned(),
        };
        assert_eq!(package("6.1.192-2").upstream(), "6.1.192");
        assert_eq!(package("6.1.192-2~bpo-1").upstream(), "6.1.192-2~bpo");
        assert_eq!(package("7").upstream(), "7");
    }
}
