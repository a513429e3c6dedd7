//! The kernel of the machine that VMMs run on: Debian's, or one with guestpatch's series for hosts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use walkdir::WalkDir;

use super::kvm;
use crate::Lab;
use crate::cache::Key;
use crate::debian::Package;
use crate::kernel::config::Config;
use crate::kernel::series::Series;
use crate::kernel::tree::Source;
use crate::kernel::{Kernel, Spec};
use crate::run::step;

/// Depends on the newest small kernel of the release; its KVM is that of the full one.
const METAPACKAGE: &str = "linux-image-cloud-amd64";
/// In the order in which they are loaded.
const MODULES: [&str; 3] = ["irqbypass.ko", "kvm.ko", "kvm-amd.ko"];
const TIMEOUT: Duration = Duration::from_secs(60);

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
    /// The package of the newest one of this machine's Debian release.
    ///
    /// # Errors
    /// When there is none.
    pub fn newest() -> Result<Package> {
        let all = Package::named(METAPACKAGE)?;
        Package::named(all.dependency("linux-image-")?)
    }

    /// The one in a package.
    ///
    /// # Errors
    /// When it cannot be fetched.
    pub fn debian(lab: &Lab, package: &Package) -> Result<Self> {
        let Package { name, version, .. } = package;
        let key = Key::of("host kernel")
            .with("package", name)
            .with("version", version);
        let folder = lab.cache.entry("files", &key.build(), |folder| {
            lab.say(&format!("fetching {name}"));
            let all = folder.join("all");
            fs::create_dir(&all).context("cannot make a folder in the cache")?;
            package.unpack(lab, &all)?;
            let missing = |what: &str| format!("{name} has no {what}");
            let kernel = find(&all, &|name| name.starts_with("vmlinuz-"))?;
            copy(
                &kernel.with_context(|| missing("vmlinuz"))?,
                &folder.join("vmlinuz"),
            )?;
            for module in MODULES {
                // Newer ones are packed.
                let packed = format!("{module}.xz");
                let found = find(&all, &|name| name == module || name == packed)?;
                let found = found.with_context(|| missing(module))?;
                copy(&found, &folder.join(found.file_name().unwrap_or_default()))?;
                if folder.join(&packed).exists() {
                    let mut unpack = Command::new("xz");
                    unpack.current_dir(folder).args(["-d", &packed]);
                    let log = lab.logs.file("unpack-module.log");
                    let what = format!("unpacking {packed}");
                    step(&unpack, &what, &log, TIMEOUT, &lab.interrupt)?;
                }
            }
            fs::remove_dir_all(&all).context("cannot delete what is not needed")
        })?;
        Ok(Self {
            name: format!("{name} {version}"),
            image: folder.join("vmlinuz"),
            modules: MODULES.iter().map(|m| folder.join(m)).collect(),
        })
    }

    /// The same, whose KVM is built from `source` with the series for hosts: all else stays as it is, so figures of the two compare.
    /// None, and the user is told why, if `source` is not the source of that kernel.
    ///
    /// # Errors
    /// When a package cannot be fetched, the series does not apply, or a step of the build fails.
    pub fn debian_patched(lab: &Lab, package: &Package, source: &Source) -> Result<Option<Self>> {
        let Some(built) = kvm::build(lab, package, source)? else {
            return Ok(None);
        };
        let mut kernel = Self::debian(lab, package)?;
        for (path, name) in kernel.modules.iter_mut().zip(MODULES) {
            if kvm::MODULES.contains(&name) {
                *path = built.join(name);
            }
        }
        kernel.name = format!("{} with the host series in KVM", kernel.name);
        Ok(Some(kernel))
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
        Ok(Self {
            name: format!("{} with the host series", source.release()),
            image: kernel.image(),
            modules: Vec::new(),
        })
    }
}

/// A file in the folder, or below it, whose name is `wanted`.
fn find(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Option<PathBuf>> {
    for entry in WalkDir::new(folder) {
        let entry = entry.context("cannot read what was unpacked")?;
        if entry.file_type().is_file() && wanted(&entry.file_name().to_string_lossy()) {
            return Ok(Some(entry.into_path()));
        }
    }
    Ok(None)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .map(|_| ())
        .with_context(|| format!("cannot copy {}", from.display()))
}
