//! The kernel of the machine that VMMs run on: Debian's, or one with guestpatch's series for hosts.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use walkdir::WalkDir;

use super::modules;
use crate::Lab;
use crate::cache::Key;
use crate::debian::Package;
use crate::kernel::config::Config;
use crate::kernel::series::Series;
use crate::kernel::tree::Source;
use crate::kernel::{Kernel, Spec};

/// Depends on the newest small kernel of the release; its KVM is that of the full one.
const METAPACKAGE: &str = "linux-image-cloud-amd64";
/// In the order in which they are loaded.
const MODULES: [&str; 3] = ["irqbypass.ko", "kvm.ko", "kvm-amd.ko"];

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
        Self::of_package(lab, &newest()?)
    }

    /// The same, whose KVM is built from `source` with the series for hosts: all else stays as it is, so figures of the two compare.
    /// None if `source` is that of another kernel.
    ///
    /// # Errors
    /// When a package cannot be fetched, the series does not apply, or a step of the build fails.
    pub fn debian_patched(lab: &Lab, source: &Source) -> Result<Option<Self>> {
        let package = newest()?;
        let (major, minor, patch) = source.version();
        let version = format!("{major}.{minor}.{patch}");
        if package.upstream() != version {
            lab.say(&format!(
                "{} is {}, and --host-tree {version}: a whole kernel is built for the host",
                package.name, package.version
            ));
            return Ok(None);
        }
        let built = modules::build(lab, &package, source)?;
        let mut kernel = Self::of_package(lab, &package)?;
        for module in &mut kernel.modules {
            let replacement = built.join(module.file_name().unwrap_or_default());
            if replacement.exists() {
                *module = replacement;
            }
        }
        kernel.name = format!("{} with the host series in KVM", kernel.name);
        Ok(Some(kernel))
    }

    fn of_package(lab: &Lab, package: &Package) -> Result<Self> {
        let Package { name, version } = package;
        let key = Key::of("host kernel")
            .with("package", name)
            .with("version", version);
        let folder = lab.cache.entry("files", &key.build(), |folder| {
            lab.say(&format!("fetching {name}"));
            let all = folder.join("all");
            fs::create_dir(&all).context("cannot make a folder in the cache")?;
            package.unpack(lab, &all)?;
            let take = |wanted: &dyn Fn(&str) -> bool, to: &str| {
                let found = find(&all, wanted).with_context(|| format!("{name} has no {to}"))?;
                copy(&found, &folder.join(to))
            };
            take(&|name| name.starts_with("vmlinuz-"), "vmlinuz")?;
            for module in MODULES {
                take(&|name| name == module, module)?;
            }
            fs::remove_dir_all(&all).context("cannot delete what is not needed")
        })?;
        Ok(Self {
            name: format!("{name} {version}"),
            image: folder.join("vmlinuz"),
            modules: MODULES.iter().map(|m| folder.join(m)).collect(),
        })
    }

    /// One built from `source` as a whole, with the series for hosts.
    ///
    /// # Errors
    /// When the series does not apply, or a step of the build fails.
    pub fn built(lab: &Lab, source: &Source) -> Result<Self> {
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
fn newest() -> Result<Package> {
    let depends = Package::dependencies(METAPACKAGE)
        .context("the host's kernel comes from a Debian package")?;
    let name = depends
        .iter()
        .find(|name| name.starts_with("linux-image-"))
        .with_context(|| format!("{METAPACKAGE} depends on no kernel"))?;
    Package::named(name)
}

/// A file of the folder whose name is `wanted`.
fn find(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Option<PathBuf> {
    let mut entries = WalkDir::new(folder)
        .into_iter()
        .filter_map(|entry| entry.ok());
    entries
        .find(|e| e.file_type().is_file() && wanted(&e.file_name().to_string_lossy()))
        .map(|e| e.into_path())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .map(|_| ())
        .with_context(|| format!("cannot copy {}", from.display()))
}
