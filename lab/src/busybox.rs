//! The user space of guests: a busybox without libraries, for the architecture of the kernel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection};

use crate::Lab;
use crate::cache::Key;
use crate::debian;
use crate::kernel::Arch;
use crate::run::step;

/// Where Debian's package busybox-static puts it.
const INSTALLED: &str = "/bin/busybox";
const PACKAGE: &str = "busybox-static";
const TIMEOUT: Duration = Duration::from_secs(300);

/// A busybox for kernels of `arch`: that of this machine, or for i386 one that is fetched into the cache.
///
/// # Errors
/// When it cannot be fetched.
pub fn get(lab: &Lab, arch: Arch) -> Result<PathBuf> {
    match arch {
        Arch::X86_64 => Ok(PathBuf::from(INSTALLED)),
        Arch::I386 => {
            let key = Key::of("busybox").with("arch", "i386").build();
            let folder = lab
                .cache
                .entry("files", &key, |folder| fetch(lab, folder))?;
            Ok(folder.join("busybox"))
        }
    }
}

/// Reads the program, and makes sure that guests can run it.
///
/// # Errors
/// When it is not there, or needs libraries.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let name = path.display();
    let program =
        fs::read(path).with_context(|| format!("cannot read {name} (package {PACKAGE})"))?;
    let elf =
        object::File::parse(program.as_slice()).with_context(|| format!("{name} is no program"))?;
    // What the static one does not have.
    if elf.sections().any(|s| s.name() == Ok(".interp")) {
        bail!("{name} needs libraries: install the package {PACKAGE}");
    }
    Ok(program)
}

/// With lists of apt's own: the machine's, and what it has installed, stay as they are.
fn fetch(lab: &Lab, folder: &Path) -> Result<()> {
    lab.say("fetching busybox for i386");
    let work = tempfile::tempdir().context("cannot make a folder for apt")?;
    for part in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(work.path().join(part)).context("cannot make a folder for apt")?;
    }
    let status = work.path().join("status");
    fs::write(&status, "").context("cannot make a folder for apt")?;
    let apt = || {
        let mut command = Command::new("apt-get");
        for (option, part) in [
            ("Dir::State::lists", "lists"),
            ("Dir::Cache", "cache"),
            ("Dir::State::status", "status"),
        ] {
            let path = work.path().join(part);
            command.args(["-o", &format!("{option}={}", path.display())]);
        }
        command.args(["-o", "APT::Architecture=i386"]);
        command.args(["-o", "APT::Architectures=i386", "-qq"]);
        command
    };
    // It also fails where some list that is not needed cannot be had. What counts is the package.
    let mut update = apt();
    update.arg("update");
    let log = lab.logs.file("busybox-update.log");
    let updated = step(&update, "apt-get update", &log, TIMEOUT, &lab.interrupt);
    let root = work.path().join("root");
    fs::create_dir(&root).context("cannot make a folder for apt")?;
    debian::unpack(lab, apt(), PACKAGE, &root)
        .or_else(|error| updated.and(Err(error)))
        .context("there is no busybox for i386; name one without libraries with --busybox")?;
    let program = root.join("bin/busybox");
    fs::copy(&program, folder.join("busybox"))
        .map(|_| ())
        .with_context(|| format!("{PACKAGE} has no bin/busybox"))
}
