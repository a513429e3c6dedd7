//! Building: a workspace for each tree and sort of configuration, in which one variant after the other is patched and made; only what
//! a variant changes is compiled anew.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use walkdir::WalkDir;

use super::config::Config;
use super::patches;
use super::tree;
use super::{Arch, Spec};
use crate::Lab;
use crate::cache::{Key, KeyBuilder};
use crate::run::{ask, failure, step};

/// Counts up when kernels must be built anew although nothing else has changed.
const RECIPE: &str = "1";
/// Counts up when something else is kept of a build: its objects are still good.
const KEPT: &str = "2";
/// Far more than a small kernel takes on a slow machine.
const TIMEOUT: Duration = Duration::from_secs(3600);
/// Disk space for the objects of a small kernel and what is kept of it, with room to spare.
const SPACE: u64 = 1 << 30;

/// Objects that are kept, as what is linked tells no more which code asks for what.
pub const OBJECTS: &[&str] = &["drivers/ata/libata-sff.o", "drivers/clocksource/acpi_pm.o"];

/// The folder of the kernel in the cache; it is built if it is not there.
pub(super) fn kernel(lab: &Lab, spec: &Spec<'_>) -> Result<PathBuf> {
    let version = spec.source.version();
    if version < (5, 4, 0) {
        bail!(
            "the lab cannot build Linux {}.{}.{}: 5.4 is the oldest",
            version.0,
            version.1,
            version.2
        );
    }
    let config = spec.config.with(&spec.series.config);
    let mut key = base_key(spec)?
        .with("kept", KEPT)
        .with("config", config.render());
    for (name, text) in &spec.series.patches {
        key = key.with(name, text);
    }
    lab.cache.entry("kernels", &key.build(), |folder| {
        build(lab, spec, &config, folder)
    })
}

/// What all variants in one workspace have in common.
fn base_key(spec: &Spec<'_>) -> Result<KeyBuilder> {
    let compiler = ask("gcc", &["--version"])?;
    Ok(Key::of("kernel")
        .with("recipe", RECIPE)
        .with("tree", spec.source.key().to_string())
        .with("compiler", compiler.lines().next().unwrap_or_default()))
}

fn build(lab: &Lab, spec: &Spec<'_>, config: &Config, folder: &Path) -> Result<()> {
    lab.cache.require_space(SPACE, "building a kernel")?;
    let pristine = spec.source.copy(lab)?;
    let key = base_key(spec)?.with("profile", spec.profile).build();
    let (work, _guard) = lab.cache.workspace(&key)?;
    let make = Make {
        lab,
        spec,
        arch: Arch::of(config),
        source: work.join("source"),
        output: work.join("output"),
    };
    lab.say(&format!("building the {} kernel", spec.name));
    make.prepare(&pristine)?;
    make.patch(&pristine)?;
    make.configure(config)?;
    make.run("make", &["bzImage", "modules"])?;
    make.collect(folder)
}

struct Make<'a> {
    lab: &'a Lab,
    spec: &'a Spec<'a>,
    arch: Arch,
    source: PathBuf,
    output: PathBuf,
}

impl Make<'_> {
    /// The source folder, if the workspace is new.
    fn prepare(&self, pristine: &Path) -> Result<()> {
        if self.source.exists() {
            return Ok(());
        }
        let draft = self.source.with_extension("draft");
        if draft.exists() {
            fs::remove_dir_all(&draft).context("cannot delete what a broken run left")?;
        }
        tree::link(pristine, &draft)?;
        fs::rename(&draft, &self.source).context("cannot rename a folder of the cache")
    }

    /// Takes the patches of the variant before back, and applies this one's.
    fn patch(&self, pristine: &Path) -> Result<()> {
        // Written before a file is changed: what a broken run left is taken back as well.
        let list = self.source.with_file_name("patched");
        for path in fs::read_to_string(&list).unwrap_or_default().lines() {
            restore(pristine, &self.source, path)
                .with_context(|| format!("cannot restore {path}"))?;
        }
        let touched = patches::touched(&self.spec.series.patches);
        let lines = touched.iter().map(|path| format!("{}\n", path.display()));
        fs::write(&list, lines.collect::<String>())
            .with_context(|| format!("cannot write {}", list.display()))?;
        if self.spec.series.is_empty() {
            return Ok(());
        }
        patches::apply(
            self.lab,
            self.spec.name,
            &self.spec.series.patches,
            &self.source,
        )
    }

    fn configure(&self, config: &Config) -> Result<()> {
        fs::create_dir_all(&self.output).context("cannot make a folder for the objects")?;
        let wanted = self.output.with_file_name("wanted.config");
        fs::write(&wanted, config.render()).context("cannot write the configuration")?;
        let file = format!("KCONFIG_ALLCONFIG={}", wanted.display());
        self.run("configure", &[&file, "allnoconfig"])?;
        let got = self.output.join(".config");
        let text =
            fs::read_to_string(&got).with_context(|| format!("cannot read {}", got.display()))?;
        let missing = config.missing_in(&Config::parse(&text)?);
        if missing.is_empty() {
            return Ok(());
        }
        bail!(
            "the configuration of the {} kernel is not what was asked for:\n    {}\n  the whole of it: {}",
            self.spec.name,
            missing.join("\n    "),
            got.display()
        )
    }

    fn run(&self, name: &str, arguments: &[&str]) -> Result<()> {
        let mut command = make(&self.source, &self.output, self.arch);
        command.args(arguments);
        self.step(&command, name)
    }

    /// Keeps what is wanted of the result.
    fn collect(&self, folder: &Path) -> Result<()> {
        let modules = folder.join("modules");
        fs::create_dir(&modules).context("cannot make a folder in the cache")?;
        let copy = |from: PathBuf, to: PathBuf| {
            fs::copy(&from, to)
                .map(|_| ())
                .with_context(|| format!("cannot copy {}", from.display()))
        };
        for (path, name) in [
            ("arch/x86/boot/bzImage", "bzImage"),
            ("System.map", "System.map"),
            ("vmlinux", "vmlinux"),
            (".config", "config"),
        ] {
            copy(self.output.join(path), folder.join(name))?;
        }
        let objects = folder.join("objects");
        fs::create_dir(&objects).context("cannot make a folder in the cache")?;
        for path in OBJECTS.iter().map(|path| self.output.join(path)) {
            // Not in every configuration.
            if path.exists() {
                copy(
                    path.clone(),
                    objects.join(path.file_name().unwrap_or_default()),
                )?;
            }
        }
        // Those of this build; a module of an earlier one may still lie there.
        let order = self.output.join("modules.order");
        let order = fs::read_to_string(&order)
            .with_context(|| format!("cannot read {}", order.display()))?;
        let names: BTreeSet<String> = order.lines().filter_map(module_name).collect();
        for entry in WalkDir::new(&self.output) {
            let path = entry.context("cannot read the objects")?.into_path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if names.contains(&*name) {
                copy(path.clone(), modules.join(&*name))?;
            }
        }
        Ok(())
    }

    fn step(&self, command: &Command, name: &str) -> Result<()> {
        let log = self
            .lab
            .logs
            .file(&format!("{}-{name}.log", self.spec.name));
        let name = format!("{name} of the {} kernel", self.spec.name);
        made(self.lab, command, &name, &log)
    }
}

/// Make, with as many jobs as there are processors, for a tree whose objects go to `output`.
pub fn make(source: &Path, output: &Path, arch: Arch) -> Command {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut command = Command::new("make");
    command.current_dir(source);
    command.arg(format!("-j{jobs}"));
    command.arg(format!("O={}", output.display()));
    command.arg(format!("ARCH={}", arch.name()));
    command.args(["CROSS_COMPILE=", "WERROR=0"]);
    // Nothing of the machine or the hour gets into the kernel: the same input makes the same kernel.
    command.env("KBUILD_BUILD_TIMESTAMP", "2026-01-01");
    command
        .env("KBUILD_BUILD_USER", "lab")
        .env("KBUILD_BUILD_HOST", "lab");
    command.env("KBUILD_BUILD_VERSION", "1");
    for name in [
        "MAKEFLAGS",
        "MFLAGS",
        "ARCH",
        "KCFLAGS",
        "KAFLAGS",
        "KCPPFLAGS",
        "KBUILD_OUTPUT",
        "KBUILD_EXTMOD",
        "KBUILD_EXTRA_SYMBOLS",
        "LLVM",
        "LLVM_IAS",
        "LOCALVERSION",
        "DEBIAN_KERNEL_USE_CCACHE",
    ] {
        command.env_remove(name);
    }
    // An interrupted compiler leaves files, which are to lie with the rest of what it made.
    command.env("TMPDIR", output);
    command
}

/// Runs such a command; `name` says what it makes.
///
/// # Errors
/// When it fails: what a compiler has said, and the end of the log.
pub fn made(lab: &Lab, command: &Command, name: &str, log: &Path) -> Result<()> {
    step(command, name, log, TIMEOUT, &lab.interrupt).map_err(|error| {
        // With several jobs, what went wrong may stand far above the end.
        match compiler_errors(log) {
            Some(errors) => failure(name, &format!("failed:\n{errors}  and at the end"), log),
            None => error,
        }
    })
}

/// File name of a module in `modules.order`, whose lines name it as .ko or, in newer kernels, as .o.
fn module_name(line: &str) -> Option<String> {
    let stem = Path::new(line.trim()).file_stem()?.to_str()?;
    Some(format!("{stem}.ko"))
}

/// Puts a file back as it was. It is new by its time: make must see that.
fn restore(pristine: &Path, source: &Path, path: &str) -> io::Result<()> {
    let (from, to) = (pristine.join(path), source.join(path));
    tree::remove(&to)?;
    match fs::read(&from) {
        Ok(text) => {
            fs::write(&to, text)?;
            fs::set_permissions(&to, fs::metadata(&from)?.permissions())
        }
        // The patch had made it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// The first lines of a log with which a compiler or make says that something is wrong.
fn compiler_errors(log: &Path) -> Option<String> {
    let text = fs::read_to_string(log).ok()?;
    let wrong = |line: &&str| line.contains("error:") || line.contains("undefined reference");
    let lines: Vec<String> = text
        .lines()
        .filter(wrong)
        .take(8)
        .map(|line| format!("    {line}\n"))
        .collect();
    (!lines.is_empty()).then(|| lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restored_file_is_as_it_was_and_young() {
        let home = tempfile::tempdir().unwrap();
        let (pristine, source) = (home.path().join("a"), home.path().join("b"));
        fs::create_dir(&pristine).unwrap();
        fs::write(pristine.join("f"), "old").unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        fs::File::open(pristine.join("f"))
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
        tree::link(&pristine, &source).unwrap();
        // As git does it: a new file in place of the link.
        fs::remove_file(source.join("f")).unwrap();
        fs::write(source.join("f"), "patched").unwrap();
        fs::write(source.join("new"), "patched").unwrap();
        for path in ["f", "new"] {
            restore(&pristine, &source, path).unwrap();
        }
        assert_eq!(fs::read_to_string(source.join("f")).unwrap(), "old");
        assert!(!source.join("new").exists());
        let time = |folder: &Path| fs::metadata(folder.join("f")).unwrap().modified().unwrap();
        assert!(time(&source) > long_ago);
        assert_eq!(time(&pristine), long_ago);
    }

    #[test]
    fn modules_are_named_by_old_and_new_kernels() {
        assert_eq!(
            module_name("drivers/net/8139cp.o").as_deref(),
            Some("8139cp.ko")
        );
        assert_eq!(module_name("kernel/x/y.ko").as_deref(), Some("y.ko"));
        assert_eq!(module_name(""), None);
    }
}
