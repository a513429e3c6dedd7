//! Packages of this machine's Debian release: asked for and unpacked, never installed.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::Lab;
use crate::run::{ask, step};

const TIMEOUT: Duration = Duration::from_secs(600);
/// Bytes that the largest package that is asked for takes, packed and unpacked, with room to spare.
const SPACE: u64 = 1 << 30;

/// A package in the version that apt would install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// With Debian's revision, such as `6.1.1-1`.
    pub version: String,
    /// Names of packages that it depends on; of alternatives, the first.
    pub depends: Vec<String>,
}

impl Package {
    /// The package `name`.
    ///
    /// # Errors
    /// When apt does not know it.
    pub fn named(name: &str) -> Result<Self> {
        let told = ask("apt-cache", &["show", "--no-all-versions", name])
            .context("a Debian package is asked for, of which apt's lists tell")?;
        let version = field(&told, "Version").context("apt-cache told no version")?;
        Ok(Self {
            name: name.to_owned(),
            version: version.to_owned(),
            depends: dependencies(field(&told, "Depends").unwrap_or_default()),
        })
    }

    /// The version of what is packaged: without Debian's revision.
    pub fn upstream(&self) -> &str {
        self.version
            .rsplit_once('-')
            .map_or(&*self.version, |(upstream, _)| upstream)
    }

    /// The first dependency whose name begins so.
    ///
    /// # Errors
    /// When there is none.
    pub fn dependency(&self, prefix: &str) -> Result<&str> {
        let found = self.depends.iter().find(|name| name.starts_with(prefix));
        found
            .map(String::as_str)
            .with_context(|| format!("the package {} depends on no {prefix}*", self.name))
    }

    /// Fetches the package and unpacks it in `folder`, which is there.
    ///
    /// # Errors
    /// When it cannot be had.
    pub fn unpack(&self, lab: &Lab, folder: &Path) -> Result<()> {
        let version = format!("{}={}", self.name, self.version);
        unpack(lab, Command::new("apt-get"), &version, folder)
            .context("`apt-get update` brings apt's lists up to date")
    }
}

/// Fetches a package by `apt`, an apt-get with options, and unpacks it in `folder`, which is there.
///
/// # Errors
/// When it cannot be had.
pub fn unpack(lab: &Lab, mut apt: Command, package: &str, folder: &Path) -> Result<()> {
    lab.cache.require_space(SPACE, "unpacking a package")?;
    let name = package.split('=').next().unwrap_or(package);
    let work = tempfile::tempdir_in(folder).context("cannot make a folder for a package")?;
    apt.current_dir(work.path()).args(["download", package]);
    let log = lab.logs.file(&format!("fetch-{name}.log"));
    let what = format!("fetching {name}");
    step(&apt, &what, &log, TIMEOUT, &lab.interrupt)?;
    let archive = fs::read_dir(work.path())
        .context("cannot read a folder")?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|e| e == "deb"))
        .with_context(|| format!("apt-get download left nothing of {name}"))?;
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("-x").arg(&archive).arg(folder);
    let log = lab.logs.file(&format!("unpack-{name}.log"));
    let what = format!("unpacking {name}");
    step(&unpack, &what, &log, TIMEOUT, &lab.interrupt)
}

/// The value of a field of a package's description. Unlike what apt prints for people, it has one name in all languages.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// The names in a list such as `a (= 1), b:any | c`.
fn dependencies(list: &str) -> Vec<String> {
    let name = |one: &str| {
        let end = one.find([' ', '(', ':', '|']).unwrap_or(one.len());
        one[..end].to_owned()
    };
    let each = list.split(',').map(str::trim);
    each.filter(|one| !one.is_empty()).map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(version: &str) -> Package {
        Package {
            name: "linux-x".to_owned(),
            version: version.to_owned(),
            depends: dependencies("linux-y-1 (= 1), linux-z:any (>= 2) | b,c|d"),
        }
    }

    #[test]
    fn a_field_is_found() {
        let text = "Package: x\nVersion: 6.1.1-1\nInstalled-Size: 3\n";
        assert_eq!(field(text, "Version"), Some("6.1.1-1"));
        assert_eq!(field(text, "Size"), None);
    }

    #[test]
    fn dependencies_are_found() {
        let package = package("1");
        assert_eq!(package.depends, ["linux-y-1", "linux-z", "c"]);
        assert_eq!(package.dependency("linux-z").unwrap(), "linux-z");
        assert!(package.dependency("d").is_err());
        assert_eq!(dependencies(""), [""; 0]);
    }

    #[test]
    fn the_revision_is_debians() {
        assert_eq!(package("6.1.192-2").upstream(), "6.1.192");
        assert_eq!(package("6.1.192-2~bpo-1").upstream(), "6.1.192-2~bpo");
        assert_eq!(package("7").upstream(), "7");
    }
}
