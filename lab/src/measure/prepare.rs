//! What runs need: kernels of guests and hosts, the guests' own program, tasks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::Options;
use super::plan::{Guest, Host, Run, Workload};
use crate::Lab;
use crate::busybox;
use crate::cache::{Key, hex};
use crate::debian::Package;
use crate::kernel::config::Config;
use crate::kernel::series::Series;
use crate::kernel::tree::Source;
use crate::kernel::{Arch, Kernel, Spec};
use crate::kvm_host::{HostKernel, KvmHost, Nested, Task, Vmm};
use crate::qemu::QEMU;
use crate::run::{ask, step};
use crate::vmm;

/// Bytes of a guest's disk, a sparse file: some of it lies behind 128 GiB, where commands need more registers.
const DISK: u64 = 129 << 30;
/// The longest that a guest takes, in the time of the machine it runs on; by instructions, it has a thousand million a second.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What goes into an experiment, by name, and the first digits of its hash or what it calls itself.
pub type Inputs = BTreeMap<String, String>;

/// What is neither a kernel nor a place.
pub struct Programs {
    /// The paired host's program.
    pub xkvm: PathBuf,
    /// The guests' program for single sectors.
    pub sector: PathBuf,
    /// The guests' other programs.
    pub busyboxes: BTreeMap<Arch, PathBuf>,
}

/// Builds or fetches the programs.
///
/// # Errors
/// When one can be neither built nor fetched.
pub fn programs(lab: &Lab, runs: &[Run], inputs: &mut Inputs) -> Result<Programs> {
    let xkvm = vmm::xkvm(lab)?;
    inputs.insert("xkvm".to_owned(), hash(&xkvm)?);
    let sector = sector(lab)?;
    inputs.insert("sector".to_owned(), hash(&sector)?);
    let mut busyboxes = BTreeMap::new();
    for run in runs {
        let arch = run.variant.guest.arch();
        if busyboxes.contains_key(&arch) {
            continue;
        }
        let busybox = busybox::get(lab, arch)?;
        let name = format!("busybox {}", arch.name());
        inputs.insert(name, digits(&busybox::read(&busybox)?));
        busyboxes.insert(arch, busybox);
    }
    Ok(Programs {
        xkvm,
        sector,
        busyboxes,
    })
}

/// Builds the guests' kernels, those of the quick set without what it does not use: that is a quarter of the time.
///
/// # Errors
/// When the series does not apply, or a step of a build fails.
pub fn guests(
    lab: &Lab,
    source: &Source,
    runs: &[Run],
    quick: bool,
    inputs: &mut Inputs,
) -> Result<BTreeMap<Guest, Kernel>> {
    let mut kernels: BTreeMap<Guest, Option<Kernel>> =
        runs.iter().map(|run| (run.variant.guest, None)).collect();
    for (guest, kernel) in &mut kernels {
        let name = guest.name();
        let (fragments, profile): (&[&str], _) = match (guest.arch(), quick) {
            (Arch::X86_64, true) => (&["guest", "least"], "least"),
            (Arch::X86_64, false) => (&["guest", "storage", "net"], "plain"),
            (Arch::I386, _) => (&["guest", "storage", "net", "i386"], "plain-i386"),
        };
        let config = Config::fragments(fragments)?;
        let series = Series::make(source, &guest.request())?;
        let spec = Spec {
            name: &name,
            source,
            series: &series,
            config: &config.with(&guest.config()),
            profile,
        };
        let built = Kernel::get(lab, &spec)?;
        inputs.insert(format!("guest {name}"), hash(&built.image())?);
        // Most recipes change drivers that are modules.
        let mut modules = Vec::new();
        for (module, file) in built.modules()? {
            modules.push(format!("{module} {}", hash(&file)?));
        }
        inputs.insert(
            format!("modules {name}"),
            digits(modules.join(" ").as_bytes()),
        );
        *kernel = Some(built);
    }
    Ok(kernels
        .into_iter()
        .filter_map(|(g, k)| Some((g, k?)))
        .collect())
}

fn sector(lab: &Lab) -> Result<PathBuf> {
    const SOURCE: &str = include_str!("../../guest/sector.c");
    const LIMIT: Duration = Duration::from_secs(60);
    let compiler = ask("gcc", &["--version"])?;
    let key = Key::of("sector")
        .with("source", SOURCE)
        .with("compiler", compiler);
    let folder = lab.cache.entry("files", &key.build(), |folder| {
        fs::write(folder.join("sector.c"), SOURCE).context("cannot write to the cache")?;
        let mut command = Command::new("gcc");
        command.current_dir(folder);
        command.args([
            "-O2", "-Wall", "-Werror", "-static", "-s", "-o", "sector", "sector.c",
        ]);
        let log = lab.logs.file("sector-build.log");
        step(&command, "compiling sector.c", &log, LIMIT, &lab.interrupt)
    })?;
    Ok(folder.join("sector"))
}

/// Gets the places ready at which the runs take place.
///
/// # Errors
/// When there is no QEMU, or a kernel can be neither fetched nor built.
pub fn places(
    lab: &Lab,
    host_source: Option<&Source>,
    runs: &[Run],
    options: &Options,
    direct: bool,
    inputs: &mut Inputs,
) -> Result<BTreeMap<Host, KvmHost>> {
    let mut places = BTreeMap::new();
    if direct {
        inputs.insert(
            "host".to_owned(),
            ask("uname", &["-srv"])?.trim().to_owned(),
        );
        places.insert(Host::Stock, KvmHost::Direct);
        return Ok(places);
    }
    let qemu = ask(QEMU, &["--version"])
        .context("QEMU is not there: install the packages qemu-system-x86 and seabios")?;
    let qemu = qemu.lines().next().unwrap_or_default();
    inputs.insert("qemu".to_owned(), qemu.to_owned());
    let debian = HostKernel::newest().context("the host's kernel cannot be found")?;
    let mut patched = None;
    for run in runs {
        let host = run.variant.host;
        if places.contains_key(&host) {
            continue;
        }
        let (kernel, parameters) = match (host, host_source) {
            (Host::Stock, _) => (HostKernel::debian(lab, &debian)?, Vec::new()),
            (Host::Patched { pit_max_hz }, Some(source)) => {
                if patched.is_none() {
                    patched = Some(patched_host(lab, &debian, source, options.quick)?);
                }
                let kernel = patched.clone().context("no patched host")?;
                (kernel, vec![("pit_max_hz", pit_max_hz.to_string())])
            }
            (Host::Patched { .. }, None) => bail!("a patched host needs --host-tree"),
        };
        let name = match host {
            Host::Stock => "host stock",
            Host::Patched { .. } => "host patched",
        };
        let mut known = vec![kernel.name.clone()];
        for file in [&kernel.image].into_iter().chain(&kernel.modules) {
            known.push(hash(file)?);
        }
        inputs.insert(name.to_owned(), known.join(" "));
        let place = Nested {
            kernel,
            parameters,
            fresh: options.fresh,
        };
        places.insert(host, KvmHost::Nested(place));
    }
    Ok(places)
}

fn patched_host(lab: &Lab, debian: &Package, source: &Source, quick: bool) -> Result<HostKernel> {
    // A whole kernel takes minutes, and shows the same.
    if quick && let Some(kernel) = HostKernel::debian_patched(lab, debian, source)? {
        return Ok(kernel);
    }
    HostKernel::built(lab, source)
}

/// What is run, by a guest with this RAM disk.
pub fn task(run: &Run, kernel: &Kernel, initrd: PathBuf) -> Task {
    let variant = &run.variant;
    let mark = match variant.vmm {
        Vmm::Xkvm { .. } => "port",
        Vmm::Qemu { .. } => "ask",
    };
    let mut cmdline = format!(
        "console=ttyS0 reboot=k panic=-1 nokaslr loglevel=8 lab.mark={mark} lab.disk={} {}",
        variant.disk,
        run.workload.parameters(),
    );
    if !variant.parameters.is_empty() {
        cmdline = format!("{cmdline} {}", variant.parameters);
    }
    Task {
        name: run.name(),
        vmm: variant.vmm.clone(),
        kernel: kernel.image(),
        initrd,
        cmdline,
        memory: 384,
        disk: (!matches!(run.workload, Workload::Network { .. })).then_some(DISK),
        written: match run.workload {
            Workload::Blocks(kib) => u64::from(kib) << 10,
            _ => 1 << 20,
        },
        trace: run.workload.is_traced(),
        timeout: TIMEOUT,
        processor: Duration::from_secs(match run.workload {
            Workload::Blocks(_) => 900,
            _ => 300,
        }),
    }
}

/// The same of a file.
fn hash(path: &Path) -> Result<String> {
    let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(digits(&content))
}

/// The first digits of a hash: enough to see that something is another.
pub fn digits(content: &[u8]) -> String {
    let mut digits = hex(&Sha256::digest(content));
    digits.truncate(16);
    digits
}
