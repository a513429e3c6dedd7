//! `xkvm-lab measure`: what the series saves, counted by KVM itself.
//!
//! plan (what is run) -> `kvm_host` (runs it) -> figures (sums) -> check, bars (what must hold) -> report.

mod bars;
mod check;
mod figures;
mod plan;
mod report;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use xkvm_host::exits::{ExitRow, Hot, Stats, Symbols};

use crate::Lab;
use crate::boot::ram_disk;
use crate::busybox;
use crate::cache::{Key, hex};
use crate::kernel::config::Config;
use crate::kernel::series::Series;
use crate::kernel::tree::Source;
use crate::kernel::{Arch, Kernel, Spec};
use crate::kvm_host::{self, Done, HostKernel, Job, KvmHost, Phase, Task, Vmm};
use crate::qemu::QEMU;
use crate::run::{ask, step};
use crate::vmm;
use bars::Bars;
use figures::{Cost, is_mark, named, ports, traced};
use plan::{Guest, Host, Run, Workload};
use report::{PhaseReport, Report, RunReport};

/// Rows of a table of functions.
const FUNCTIONS: usize = 8;
/// Bytes of a guest's disk, a sparse file: some of it lies behind 128 GiB, where commands need more registers.
const DISK: u64 = 129 << 30;
/// The longest that a guest takes, in the time of the machine it runs on; by instructions, it has a thousand million a second.
const TIMEOUT: Duration = Duration::from_secs(900);

/// What the user asks for.
#[derive(Debug)]
pub struct Options {
    /// The guests' kernel tree.
    pub tree: PathBuf,
    /// The kernel tree of the host, for what needs a patched one.
    pub host_tree: Option<PathBuf>,
    /// Only what shows each promise once.
    pub quick: bool,
    /// Only runs whose name holds one of these.
    pub only: Vec<String>,
    /// On this machine's KVM, or in a machine of QEMU's; by default whichever there is.
    pub place: Place,
    /// Where the report goes besides.
    pub output: Option<PathBuf>,
    /// Write what was measured as the new bars to this file.
    pub bless: Option<PathBuf>,
}

/// Where guests run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Place {
    /// On this machine when its KVM has hardware behind it, else nested.
    Auto,
    /// On this machine.
    Direct,
    /// In a machine of QEMU's that counts its time in instructions: the same to the last digit each time.
    Nested,
}

/// Runs the experiment; true when all checks hold.
///
/// # Errors
/// When a step fails, so that there is nothing to report.
pub fn run(lab: &Lab, options: &Options) -> Result<bool> {
    let direct = match options.place {
        Place::Auto => kvm_host::has_hardware(),
        Place::Direct => true,
        Place::Nested => false,
    };
    // A patched host is a machine that is built; this one is as it is.
    let hosts = options.host_tree.is_some() && !direct;
    let whole = hosts && options.only.is_empty();
    if options.bless.is_some() && !whole {
        bail!(
            "bars are those of all quick runs in machines of QEMU's: --bless needs --host-tree and no --only"
        );
    }
    let mut runs = if options.quick {
        plan::quick(hosts)
    } else {
        plan::full(hosts)
    };
    // Only counted time is the same again.
    runs.retain(|run| !(direct && run.again));
    if !options.only.is_empty() {
        runs.retain(|run| options.only.iter().any(|part| run.name().contains(part)));
    }
    if runs.is_empty() {
        bail!("no run has a name with {}", options.only.join(" or "));
    }
    match (direct, &options.host_tree) {
        (true, Some(_)) => lab.say(
            "guests run on this machine's own kernel: --host-tree is not used, and nothing is shown of vmcall and pit_max_hz",
        ),
        (false, None) => {
            lab.say("without --host-tree no host is built: nothing is shown of vmcall and pit_max_hz");
        }
        _ => {}
    }
    // Not after an hour of work.
    let mut folders = vec![lab.logs.folder().to_owned()];
    folders.extend(options.output.clone());
    for folder in &folders {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }

    let source = Source::open(&options.tree)?;
    let mut inputs = BTreeMap::new();
    let xkvm = vmm::xkvm(lab)?;
    inputs.insert("xkvm".to_owned(), hash(&xkvm)?);
    let sector = sector(lab)?;
    inputs.insert("sector".to_owned(), hash(&sector)?);
    let busybox = busybox::get(lab, Arch::X86_64)?;
    inputs.insert("busybox".to_owned(), digits(&busybox::read(&busybox)?));
    inputs.insert("scripts".to_owned(), kvm_host::scripts());
    let guests = guests(lab, &source, &runs, &mut inputs)?;
    let places = places(lab, options, &runs, direct, &mut inputs)?;

    // They are big, and made again in no time.
    let initrds = tempfile::tempdir_in(lab.logs.folder()).context("cannot make a folder")?;
    let mut jobs = Vec::new();
    for run in &runs {
        let guest = guests.get(&run.variant.guest).context("no such guest")?;
        let initrd = initrds.path().join(run.variant.guest.name());
        if !initrd.exists() {
            let mut disk = ram_disk(guest, &busybox)?;
            disk.copy("lab/sector", &sector, 0o755)?;
            fs::write(&initrd, disk.finish()?)
                .with_context(|| format!("cannot write {}", initrd.display()))?;
        }
        jobs.push(Job {
            host: places
                .get(&run.variant.host)
                .context("no such host")?
                .clone(),
            task: task(run, guest, initrd),
        });
    }
    let done = kvm_host::run(lab, &xkvm, &jobs)?;
    drop(initrds);

    let mut symbols = BTreeMap::new();
    for (guest, kernel) in &guests {
        let file = fs::read(kernel.system_map()).context("cannot read a System.map")?;
        symbols.insert(*guest, Symbols::read(&file)?);
    }
    let checks = check::guests(&runs, &done);
    let unknown = Symbols::default();
    let summed = runs.iter().zip(&done).map(|(run, done)| {
        let symbols = symbols.get(&run.variant.guest).unwrap_or(&unknown);
        summary(run, done, symbols)
    });
    let (major, minor, patch) = source.version();
    let mut report = Report {
        format: report::FORMAT,
        kernel: format!("{major}.{minor}.{patch}"),
        command: command(options, direct),
        exact: !direct,
        inputs,
        runs: summed.collect(),
        checks,
    };
    report.checks.extend(check::promises(&report));
    let got = Bars::of(&report);
    if options.quick && report.exact && options.bless.is_none() {
        report.checks.extend(Bars::kept()?.compare(&got, whole));
    }

    report::print(&report);
    for folder in &folders {
        report::write(&report, folder)?;
        println!("report: {}", folder.join("report.html").display());
    }
    let holds = report.checks.iter().all(|check| check.holds);
    match &options.bless {
        Some(file) if holds => fs::write(file, got.render()?)
            .with_context(|| format!("cannot write {}", file.display()))?,
        Some(_) => lab.say("no bars are written: a check does not hold"),
        None => {}
    }
    Ok(holds)
}

/// Builds the guests' kernels.
fn guests(
    lab: &Lab,
    source: &Source,
    runs: &[Run],
    inputs: &mut BTreeMap<String, String>,
) -> Result<BTreeMap<Guest, Kernel>> {
    let mut kernels: BTreeMap<Guest, Option<Kernel>> =
        runs.iter().map(|run| (run.variant.guest, None)).collect();
    let config = Config::fragments(&["guest", "net"])?;
    for (guest, kernel) in &mut kernels {
        let name = guest.name();
        let series = Series::make(source, &guest.request())?;
        let spec = Spec {
            name: &name,
            source,
            series: &series,
            config: &config.with(&guest.config()),
            profile: "plain",
        };
        let built = Kernel::get(lab, &spec)?;
        inputs.insert(format!("guest {name}"), hash(&built.image())?);
        *kernel = Some(built);
    }
    Ok(kernels
        .into_iter()
        .filter_map(|(g, k)| Some((g, k?)))
        .collect())
}

/// The guests' program for single sectors.
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
fn places(
    lab: &Lab,
    options: &Options,
    runs: &[Run],
    direct: bool,
    inputs: &mut BTreeMap<String, String>,
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
    let mut patched = None;
    for run in runs {
        let host = run.variant.host;
        if places.contains_key(&host) {
            continue;
        }
        let (kernel, parameters) = match (host, &options.host_tree) {
            (Host::Stock, _) => (HostKernel::debian(lab)?, Vec::new()),
            (Host::Patched { pit_max_hz }, Some(tree)) => {
                if patched.is_none() {
                    patched = Some(HostKernel::patched(lab, &Source::open(tree)?)?);
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
        let known = format!("{} {}", kernel.name, hash(&kernel.image)?);
        inputs.insert(name.to_owned(), known);
        let place = KvmHost::Nested {
            kernel,
            parameters,
            exact: true,
        };
        places.insert(host, place);
    }
    Ok(places)
}

fn task(run: &Run, kernel: &Kernel, initrd: PathBuf) -> Task {
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
    }
}

/// One run, summed up.
fn summary(run: &Run, done: &Done, symbols: &Symbols) -> RunReport {
    let phases = named(done).map(|phase| PhaseReport {
        name: phase.name.clone(),
        cost: Cost::of(phase),
        traced: traced(phase),
        kvm: phase.kvm.clone(),
        ports: ports(phase),
        functions: functions(phase, symbols),
    });
    RunReport {
        name: run.name(),
        variant: run.variant.name.clone(),
        workload: run.workload.name().to_owned(),
        guest: run.variant.guest.name(),
        host: run.variant.host.name(),
        kib: run.workload.kib(),
        phases: phases.collect(),
        facts: done
            .facts
            .iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect(),
        disk: done.disk.clone(),
    }
}

/// The functions that left the guest most in a phase.
fn functions(phase: &Phase, symbols: &Symbols) -> Vec<xkvm_host::exits::HotRow> {
    let row = |place: &kvm_host::Place| ExitRow {
        reason: place.reason.clone(),
        port: place.port,
        width: None,
        rip: place.rip,
        caller: place.caller,
        exits: place.exits,
        nanoseconds: 0,
        elements: place.exits,
    };
    let known = phase
        .places
        .iter()
        .filter(|place| place.rip != 0 && !is_mark(place));
    let stats = Stats {
        exits: phase.user_exits,
        rows: known.map(row).collect(),
        ..Stats::default()
    };
    let mut table = Hot::new(&stats, symbols);
    table.rows.truncate(FUNCTIONS);
    table.rows
}

fn hash(path: &Path) -> Result<String> {
    let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(digits(&content))
}

/// The first digits of a hash: enough to see that something is another.
fn digits(content: &[u8]) -> String {
    let mut digits = hex(&Sha256::digest(content));
    digits.truncate(16);
    digits
}

/// The command that does the same again.
fn command(options: &Options, direct: bool) -> String {
    let place = if direct { "direct" } else { "nested" };
    let mut line = format!("xkvm-lab measure TREE --place {place}");
    if options.host_tree.is_some() {
        line.push_str(" --host-tree HOST_TREE");
    }
    if options.quick {
        line.push_str(" --quick");
    }
    for only in &options.only {
        line.push_str(&format!(" --only {only}"));
    }
    line
}
