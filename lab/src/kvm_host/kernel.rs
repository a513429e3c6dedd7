//! The kernel of the machine that VMMs run on: Debian's, or one built with the host series.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use walkdir::WalkDir;

use crate::Lab;
use crate::cache::Key;
use crate::kernel::config::Config;
use crate::kernel::series::Series;
use crate::kernel::tree::Source;
use crate::kernel::{Kernel, Spec};
use crate::run::{ask, step};

/// Depends on the newest small kernel of the release; its KVM is that of the full one.
const METAPACKAGE: &str = "linux-image-cloud-amd64";
/// In the order in which they are loaded.
const MODULES: [&str; 3] = ["irqbypass.ko", "kvm.ko", "kvm-amd.ko"];
const TIMEOUT: Duration = Duration::from_secs(600);

/// A kernel with KVM.
#[derive(Debug, Clone)]
pub struct HostKernel {
    /// What it is, for readers.
    pub name: String,
    /// The bootable image.
    pub image: PathBuf,
    /// Modules to load, in order; none when KVM is built in.
    pub modules: Vec<PathBuf>,
}

impl HostKernel {
    /// The newest one of this machine's Debian release, taken from its package.
    ///
    /// # Errors
    /// When there is no such package, or it cannot be fetched.
    pub fn debian(lab: &Lab) -> Result<Self> {
        let package = newest()?;
        let version = ask("apt-cache", &["show", "--no-all-versions", &package])?;
        let version = field(&version, "Version").context("apt-cache told no version")?;
        let key = Key::of("host kernel")
            .with("package", &package)
            .with("version", version);
        let folder = lab.cache.entry("files", &key.build(), |folder| {
            lab.say(&format!("fetching {package}"));
            let log = lab.logs.file("host-kernel.log");
            let run = |command: &mut Command| {
                command.current_dir(folder);
                step(
                    command,
                    &format!("fetching {package}"),
                    &log,
                    TIMEOUT,
                    &lab.interrupt,
                )
            };
            run(Command::new("apt-get").args(["download", &package]))?;
            let archive = only(folder, |name| name.ends_with(".deb"))?;
            run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg("all"))?;
            let all = folder.join("all");
            let kernel = only(&all.join("boot"), |name| name.starts_with("vmlinuz-"))?;
            copy(&kernel, &folder.join("vmlinuz"))?;
            for module in MODULES {
                let found = find(&all, module)
                    .with_context(|| format!("{package} has no module {module}"))?;
                copy(&found, &folder.join(module))?;
            }
            fs::remove_dir_all(&all).context("cannot delete what is not needed")?;
            fs::remove_file(&archive).context("cannot delete what is not needed")
        })?;
        Ok(Self {
            name: format!("{package} {version}"),
            image: folder.join("vmlinuz"),
            modules: MODULES.iter().map(|m| folder.join(m)).collect(),
        })
    }

    /// One built from `source` with guestpatch's series for hosts.
    ///
    /// # Errors
    /// When the series does not apply, or a step of the build fails.
    pub fn patched(lab: &Lab, source: &Source) -> Result<Self> {
        let series = Series::for_host(source)?;
        let config = Config::fragments(&["host"])?;
        let spec = Spec {
            name: "host",
            source,
            series: &series,
            config: &config,
            profile: "host",
        };
        let kernel = Kernel::get(lab, &spec)?;
        let (major, minor, patch) = source.version();
        Ok(Self {
            name: format!("{major}.{minor}.{patch} with the host series"),
            image: kernel.image(),
            modules: Vec::new(),
        })
    }
}

/// The package that the metapackage depends on now.
fn newest() -> Result<String> {
    let depends = ask("apt-cache", &["depends", METAPACKAGE])
        .context("the host's kernel comes from a Debian package")?;
    match depends
        .lines()
        .find_map(|l| l.trim().strip_prefix("Depends: linux-image-"))
    {
        Some(rest) => Ok(format!("linux-image-{rest}")),
        None => bail!("apt does not know {METAPACKAGE}: has `apt-get update` been run?"),
    }
}

/// The value of a field of a package's description.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// The one file of a folder whose name is `wanted`.
fn only(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<PathBuf> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut found = entries
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| {
            path.file_name()
                .is_some_and(|n| wanted(&n.to_string_lossy()))
        });
    match (found.next(), found.next()) {
        (Some(path), None) => Ok(path),
        _ => bail!(
            "{} does not hold the one file that was looked for",
            folder.display()
        ),
    }
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut entries = WalkDir::new(folder)
        .into_iter()
        .filter_map(|entry| entry.ok());
    entries
        .find(|e| e.file_name() == name)
        .map(|e| e.into_path())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .map(|_| ())
        .with_context(|| format!("cannot copy {}", from.display()))
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
}
