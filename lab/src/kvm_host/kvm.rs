//! KVM of Debian's kernel with guestpatch's series for hosts. Only its modules are built: the files that they are made of, from the
//! kernel's source, go into the tree of headers that Debian ships for modules of others.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result};

use crate::Lab;
use crate::cache::Key;
use crate::debian::Package;
use crate::kernel::Arch;
use crate::kernel::build::{made, make};
use crate::kernel::patches;
use crate::kernel::series::Series;
use crate::kernel::tree::Source;
use crate::run::ask;

/// What is built, in the order in which it is loaded. The machine has AMD's processor, so nothing of Intel's is.
pub(super) const MODULES: [&str; 2] = ["kvm.ko", "kvm-amd.ko"];
/// Where KVM is, in a kernel tree: what is built, and what it includes.
const KVM: &str = "arch/x86/kvm";
const SHARED: &str = "virt";
/// What make is asked for besides.
const ARGUMENTS: [&str; 3] = ["CONFIG_KVM_INTEL=", "CONFIG_DEBUG_INFO=", "modules"];
/// Bytes that it takes, with room to spare.
const SPACE: u64 = 512 << 20;

/// Why a kernel's KVM cannot be built alone.
#[derive(Debug)]
struct Unfit(String);

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The folder with the modules for the kernel in `package`; none, and the user is told why, if `source` is not its source.
///
/// # Errors
/// When a package cannot be fetched, the series does not apply, or a step of the build fails.
pub(super) fn build(lab: &Lab, package: &Package, source: &Source) -> Result<Option<PathBuf>> {
    match modules(lab, package, source) {
        Err(unfit) if unfit.is::<Unfit>() => {
            let kernel = &package.name;
            lab.say(&format!(
                "KVM of {kernel} cannot be built from --host-tree: {unfit}. A whole kernel is built for the host"
            ));
            Ok(None)
        }
        modules => modules.map(Some),
    }
}

fn modules(lab: &Lab, package: &Package, source: &Source) -> Result<PathBuf> {
    let version = source.release();
    if package.upstream() != version {
        return unfit(format!("it is {}, the tree {version}", package.version));
    }
    let series = Series::for_host(source)?;
    let touched = patches::touched(&series.patches);
    if let Some(path) = foreign(&touched) {
        return unfit(format!("the host series changes {}", path.display()));
    }
    if !series.config.is_empty() {
        return unfit("the host series changes the configuration".to_owned());
    }
    let headers = Headers::of(package)?;
    let Ok(compiler) = ask(&headers.compiler, &["--version"]) else {
        return unfit(format!("it takes {}, which is not here", headers.compiler));
    };

    let mut key = Key::of("kvm modules")
        .with("tree", source.key().to_string())
        .with("compiler", compiler.lines().next().unwrap_or_default())
        .with("arguments", ARGUMENTS.join(" "));
    for Package { name, version, .. } in headers.packages() {
        key = key.with(name, version);
    }
    for (name, text) in &series.patches {
        key = key.with(name, text);
    }
    lab.cache.entry("files", &key.build(), |folder| {
        lab.cache.require_space(SPACE, "building KVM's modules")?;
        lab.say("building the host's KVM");
        let work = tempfile::tempdir_in(folder).context("cannot make a folder in the cache")?;
        for package in headers.packages() {
            package.unpack(lab, work.path())?;
        }
        let sources = work.path().join("usr/src");
        let output = sources.join(&headers.own.name);
        let tree = sources.join(&headers.common.name);
        // All but KVM is compiled already, with these.
        let is_header = |path: &Path| path.starts_with("include") || path.starts_with("arch");
        if let Some(path) = source.difference(&tree, is_header)? {
            return unfit(format!("its {} is another", path.display()));
        }
        source.copy_some(&tree, |path| is_of_kvm(path) || touched.contains(path))?;
        patches::apply(lab, "host", &series.patches, &tree)?;

        let mut command = make(&tree, &output, Arch::X86_64);
        command.arg(format!("M={KVM}"));
        command.arg(format!("CC={}", headers.compiler));
        command.args(ARGUMENTS);
        let log = lab.logs.file("host-kvm-make.log");
        made(lab, &command, "make of the host's KVM", &log)?;
        for module in MODULES {
            let file = output.join(KVM).join(module);
            fs::copy(&file, folder.join(module))
                .with_context(|| format!("cannot copy {}", file.display()))?;
        }
        work.close().context("cannot delete what is not needed")
    })
}

fn unfit<T>(why: String) -> Result<T> {
    Err(Error::msg(Unfit(why)))
}

fn is_of_kvm(path: &Path) -> bool {
    path.starts_with(KVM) || path.starts_with(SHARED)
}

/// One of the files that others than KVM may be compiled with. What user space is told is none: no kernel depends on it.
fn foreign(touched: &BTreeSet<PathBuf>) -> Option<&PathBuf> {
    let is_for_readers =
        |path: &Path| path.starts_with("Documentation") || path.starts_with("include/uapi");
    let mut paths = touched.iter();
    paths.find(|path| !is_of_kvm(path) && !is_for_readers(path))
}

/// What modules for one kernel are built with.
struct Headers {
    /// What this kernel has for itself: its configuration, what its build made.
    own: Package,
    /// What it shares with others of its version.
    common: Package,
    /// The programs that a build runs; they may be newer.
    tools: Package,
    /// The compiler that the kernel was built by.
    compiler: String,
}

impl Headers {
    /// Those of the kernel in `package`.
    fn of(package: &Package) -> Result<Self> {
        let name = package.name.replacen("linux-image-", "linux-headers-", 1);
        let Ok(own) = Package::named(&name) else {
            return unfit(format!("apt knows no {name}"));
        };
        let common = Package::named(own.dependency("linux-headers-")?)?;
        for headers in [&own, &common] {
            if headers.version != package.version {
                let (ours, theirs) = (&package.version, &headers.version);
                return unfit(format!("it is {ours}, {} {theirs}", headers.name));
            }
        }
        Ok(Self {
            tools: Package::named(own.dependency("linux-kbuild-")?)?,
            compiler: compiler(&own.depends),
            own,
            common,
        })
    }

    fn packages(&self) -> [&Package; 3] {
        [&self.own, &self.common, &self.tools]
    }
}

/// `gcc-12` of the dependency `linux-compiler-gcc-12-x86`, or of `gcc-12` itself.
fn compiler(depends: &[String]) -> String {
    let mut versions = depends.iter().filter_map(|name| {
        let name = name.strip_prefix("linux-compiler-").unwrap_or(name);
        name.strip_prefix("gcc-")?.split('-').next()
    });
    match versions.next() {
        Some(version) => format!("gcc-{version}"),
        None => "gcc".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_is_the_one_of_the_kernel() {
        let of = |depends: &[&str]| {
            let depends: Vec<String> = depends.iter().map(|d| (*d).to_owned()).collect();
            compiler(&depends)
        };
        let old = ["linux-kbuild-6.1", "linux-compiler-gcc-12-x86"];
        assert_eq!(of(&old), "gcc-12");
        assert_eq!(of(&["gcc-14", "linux-kbuild-6.12"]), "gcc-14");
        assert_eq!(of(&["linux-kbuild-6.12"]), "gcc");
    }

    #[test]
    fn what_others_are_compiled_with_is_foreign() {
        let of = |paths: &[&str]| {
            let touched = paths.iter().map(PathBuf::from).collect();
            foreign(&touched).map(|path| path.display().to_string())
        };
        let own = [
            "arch/x86/kvm/x86.c",
            "virt/kvm/kvm_main.c",
            "include/uapi/linux/kvm_para.h",
            "Documentation/virt/kvm/api.rst",
        ];
        assert_eq!(of(&own), None);
        let wanted = Some("include/linux/kvm_host.h".to_owned());
        assert_eq!(
            of(&["arch/x86/kvm/x86.c", "include/linux/kvm_host.h"]),
            wanted
        );
        assert!(of(&["arch/x86/kernel/kvm.c"]).is_some());
    }
}
