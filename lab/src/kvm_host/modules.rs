//! KVM of Debian's kernel with guestpatch's series for hosts. Only its modules are built: the files that they are made of, from the
//! kernel's source, go into the tree of headers that Debian ships for modules of others.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::Lab;
use crate::cache::Key;
use crate::debian::Package;
use crate::kernel::Arch;
use crate::kernel::build::{made, make};
use crate::kernel::patches;
use crate::kernel::series::Series;
use crate::kernel::tree::Source;
use crate::run::ask;

/// Where KVM is, in a kernel tree: what is built, and what it includes.
const KVM: &str = "arch/x86/kvm";
const SHARED: &str = "virt";
/// Those that the machine loads. It has AMD's processor, so nothing of Intel's is built.
const BUILT: [&str; 2] = ["kvm.ko", "kvm-amd.ko"];
/// Bytes that it takes, with room to spare.
const SPACE: u64 = 512 << 20;

/// The folder with the modules for the kernel of `package`, of which `source` is the source.
///
/// # Errors
/// When there are no headers for it, the series does not apply, or a step of the build fails.
pub(super) fn build(lab: &Lab, package: &Package, source: &Source) -> Result<PathBuf> {
    let series = Series::for_host(source)?;
    let headers = headers(package)?;
    let compiler = ask("gcc", &["--version"])?;
    let mut key = Key::of("kvm modules")
        .with("tree", source.key().to_string())
        .with("compiler", compiler.lines().next().unwrap_or_default());
    for Package { name, version } in &headers {
        key = key.with(name, version);
    }
    for (name, text) in &series.patches {
        key = key.with(name, text);
    }
    lab.cache.entry("files", &key.build(), |folder| {
        lab.cache.require_space(SPACE, "building KVM's modules")?;
        lab.say("building the host's KVM");
        let work = tempfile::tempdir_in(folder).context("cannot make a folder in the cache")?;
        for package in &headers {
            package.unpack(lab, work.path())?;
        }
        let all = work.path().join("usr/src");
        let [own, common, _tools] = &headers;
        let (output, tree) = (all.join(&own.name), all.join(&common.name));
        let touched = patches::touched(&series.patches);
        source.copy_some(&tree, |path| {
            path.starts_with(KVM) || path.starts_with(SHARED) || touched.contains(path)
        })?;
        patches::apply(lab, "host", &series.patches, &tree)?;

        let mut command = make(&tree, &output, Arch::X86_64);
        command.arg(format!("M={KVM}"));
        command.args(["CONFIG_KVM_INTEL=", "CONFIG_DEBUG_INFO=", "modules"]);
        let log = lab.logs.file("host-kvm-make.log");
        made(lab, &command, "make of the host's KVM", &log)?;
        for module in BUILT {
            let made = output.join(KVM).join(module);
            fs::copy(&made, folder.join(module))
                .with_context(|| format!("cannot copy {}", made.display()))?;
        }
        work.close().context("cannot delete what is not needed")
    })
}

/// What modules for the kernel of `package` are built with: its own headers, those that it shares with others, and tools.
fn headers(package: &Package) -> Result<[Package; 3]> {
    let name = package.name.replacen("linux-image-", "linux-headers-", 1);
    let own = Package::named(&name)?;
    // Of another version, modules would not be loaded.
    if own.version != package.version {
        bail!(
            "{name} is {}, and {} {}: try again when both are the same",
            own.version,
            package.name,
            package.version
        );
    }
    let depends = Package::dependencies(&name)?;
    let find = |what: &str| {
        let found = depends.iter().find(|name| name.starts_with(what));
        Package::named(found.with_context(|| format!("{name} depends on no {what}…"))?)
    };
    Ok([own, find("linux-headers-")?, find("linux-kbuild-")?])
}
