//! `xkvm-lab boot`: kernels without and with the series boot, and everything they should still do is done to them.

mod check;
mod recipes;
mod registers;
mod report;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::Lab;
use crate::busybox;
use crate::cache::Key;
use crate::check::{Check, same_messages};
use crate::console::{Facts, messages};
use crate::initramfs::Initramfs;
use crate::kernel::config::Config;
use crate::kernel::series::{Request, Series};
use crate::kernel::tree::Source;
use crate::kernel::{Arch, Kernel, Spec};
use crate::output;
use crate::peer::Peer;
use crate::qemu::{Machine, Outcome};
use check::Expected;
use registers::Registers;

/// A network card with its driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Nic {
    /// QEMU's rtl8139, whose driver is 8139cp.
    Rtl8139,
    /// QEMU's e1000.
    E1000,
    /// QEMU's rtl8139, with 8139too as its driver: a patch of the lab's own makes it take the chip.
    #[value(name = "8139too")]
    Rtl8139Too,
}

impl Nic {
    /// QEMU's name of the device.
    fn device(self) -> &'static str {
        match self {
            Self::Rtl8139 | Self::Rtl8139Too => "rtl8139",
            Self::E1000 => "e1000",
        }
    }

    /// The module that drives it.
    fn driver(self) -> &'static str {
        match self {
            Self::Rtl8139 => "8139cp",
            Self::E1000 => "e1000",
            Self::Rtl8139Too => "8139too",
        }
    }

    /// Recipes of the lab that it needs.
    fn recipes(self) -> &'static [&'static str] {
        match self {
            Self::Rtl8139 | Self::E1000 => &[],
            Self::Rtl8139Too => &["8139too-any-chip"],
        }
    }
}

/// How much is done to a guest.
#[derive(Debug, Clone, Copy)]
struct Amount {
    /// MiB of the long transfer, each way.
    mib: u64,
    /// Pings of each flood.
    pings: u32,
    /// Times that the interface goes down and up.
    cycles: u32,
    /// Times that the module is unloaded.
    reloads: u32,
    /// Kernel messages by network.
    messages: u32,
}

const FULL: Amount = Amount {
    mib: 64,
    pings: 1000,
    cycles: 10,
    reloads: 3,
    messages: 200,
};
const QUICK: Amount = Amount {
    mib: 8,
    pings: 300,
    cycles: 3,
    reloads: 1,
    messages: 50,
};

/// Which of the two kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Only {
    /// The one without the series.
    Stock,
    /// The one with it.
    Patched,
}

/// What the user asks for.
#[derive(Debug)]
pub struct Options {
    /// The kernel tree.
    pub tree: PathBuf,
    /// The series, by recipes.
    pub request: Request,
    /// The series, as a folder that `guestpatch series` wrote; instead of recipes.
    pub patches: Option<PathBuf>,
    /// Network cards.
    pub nics: Vec<Nic>,
    /// Smaller amounts.
    pub quick: bool,
    /// Kernels that check their locks and memory.
    pub debug: bool,
    /// What the kernels are built for.
    pub arch: Arch,
    /// The guest's busybox, instead of the usual one.
    pub busybox: Option<PathBuf>,
    /// Only one of the kernels.
    pub only: Option<Only>,
    /// Print the report for programs, and not for people.
    pub json: bool,
    /// How long one guest may take, in seconds; the default depends on what it does.
    pub timeout: Option<u64>,
}

/// One kernel with what its guests said.
struct Variant {
    name: &'static str,
    kernel: Kernel,
    series: Series,
    runs: Vec<Run>,
    /// For each card a boot that is the same each time.
    quiet: Vec<(Nic, Quiet)>,
}

/// What is seen of a boot without traffic, in which time is counted in instructions.
struct Quiet {
    /// What the card's driver and the rest of the kernel say.
    said: Vec<String>,
    facts: Facts,
    registers: Registers,
}

/// One boot.
struct Run {
    nic: Nic,
    outcome: Outcome,
    /// Messages that came by network.
    datagrams: Vec<Vec<u8>>,
}

/// Runs the experiment; true when all checks hold.
///
/// # Errors
/// When a step fails, so that there is nothing to check.
pub fn run(lab: &Lab, options: &Options) -> Result<bool> {
    let source = Source::open(&options.tree)?;
    let patched = match &options.patches {
        Some(folder) => Series::read(folder)?,
        None => Series::make(&source, &options.request)?,
    };
    // The rest may take an hour; this is known now.
    if !options.json {
        output::print(&report::series(&patched))?;
    }
    let own: BTreeSet<&str> = options
        .nics
        .iter()
        .flat_map(|n| n.recipes())
        .copied()
        .collect();
    let own = Series::of_lab(&source, &own.into_iter().collect::<Vec<_>>())?;
    let mut fragments = vec!["guest", "net"];
    let profile = match (options.arch, options.debug) {
        (Arch::X86_64, false) => "plain",
        (Arch::X86_64, true) => "debug",
        (Arch::I386, false) => "plain-i386",
        (Arch::I386, true) => bail!("--debug needs --arch x86_64: KASAN has no 32-bit form on x86"),
    };
    if options.debug {
        fragments.push("debug");
    }
    if options.arch == Arch::I386 {
        fragments.push("i386");
    }
    let config = Config::fragments(&fragments)?;
    let amount = if options.quick { QUICK } else { FULL };

    let mut variants = Vec::new();
    if options.only != Some(Only::Patched) {
        variants.push(("stock", Series::default().on(&own)));
    }
    if options.only != Some(Only::Stock) && !patched.is_empty() {
        variants.push(("patched", patched.on(&own)));
    }
    if variants.is_empty() {
        bail!("there is nothing to boot: the series is empty, and the stock kernel is left out");
    }
    let compared = variants.len() > 1;
    let mut done: Vec<Variant> = Vec::new();
    for (name, series) in variants {
        let spec = Spec {
            name,
            source: &source,
            series: &series,
            config: &config,
            profile,
        };
        let kernel = Kernel::get(lab, &spec)?;
        let mut runs = Vec::new();
        for nic in &options.nics {
            runs.push(boot(lab, options, amount, name, &kernel, *nic)?);
        }
        let mut quiet = Vec::new();
        if compared {
            for nic in &options.nics {
                quiet.push((*nic, listen(lab, options, name, &kernel, *nic)?));
            }
        }
        done.push(Variant {
            name,
            kernel,
            series,
            runs,
            quiet,
        });
    }
    let checks = judge(&done, amount, options)?;
    let json = report::json(&source, &done, &checks)?;
    let file = lab.logs.folder().join("report.json");
    fs::write(&file, &json).with_context(|| format!("cannot write {}", file.display()))?;
    output::print(&match options.json {
        true => json,
        false => format!(
            "{}report: {}\n",
            report::terminal(&done, &checks),
            file.display()
        ),
    })?;
    Ok(checks.iter().all(|check| check.holds))
}

fn boot(
    lab: &Lab,
    options: &Options,
    amount: Amount,
    variant: &str,
    kernel: &Kernel,
    nic: Nic,
) -> Result<Run> {
    let name = format!("{variant}-{}", nic.driver());
    lab.say(&format!(
        "running the {variant} kernel with {}",
        nic.driver()
    ));
    let seconds = timeout(options).as_secs();
    let peer = Peer::start()?;
    let parameters = [
        ("lab.workload", "boot".to_owned()),
        ("lab.driver", nic.driver().to_owned()),
        ("lab.port", peer.port().to_string()),
        ("lab.syslog", peer.syslog().to_string()),
        ("lab.mib", amount.mib.to_string()),
        ("lab.pings", amount.pings.to_string()),
        ("lab.cycles", amount.cycles.to_string()),
        ("lab.reloads", amount.reloads.to_string()),
        ("lab.messages", amount.messages.to_string()),
        // A transfer that hangs is given up before the guest is.
        ("lab.patience", (seconds / 3).max(1).to_string()),
    ];
    let mut machine = machine(lab, options, kernel, nic, &parameters)?;
    let outcome = start(lab, options, &mut machine, &name, kernel)?;
    Ok(Run {
        nic,
        outcome,
        datagrams: peer.datagrams(),
    })
}

/// A boot that is the same each time: messages, timer interrupts, registers.
fn listen(lab: &Lab, options: &Options, variant: &str, kernel: &Kernel, nic: Nic) -> Result<Quiet> {
    let parameters = [
        ("lab.workload", "messages".to_owned()),
        ("lab.drivers", nic.driver().to_owned()),
    ];
    let mut machine = machine(lab, options, kernel, nic, &parameters)?;
    machine.exact = true;
    // A real disk answers in the time of this machine. This one answers at once, and with zeros.
    machine.disks.clear();
    machine.extra = [
        "-blockdev",
        "driver=null-co,node-name=disk,size=16777216,read-zeroes=on",
        "-device",
        "ide-hd,drive=disk,bus=ide.0",
    ]
    .map(Into::into)
    .into();
    let name = format!("{variant}-{}-messages", nic.driver());
    let trace = lab.logs.folder().join(format!("{name}-registers.log"));
    machine.extra.extend(Registers::options(&trace));
    let outcome = start(lab, options, &mut machine, &name, kernel)?;
    let registers = Registers::read(&trace)?;
    // It is big, and the same each time.
    let _ = fs::remove_file(&trace);
    Ok(Quiet {
        said: messages(&outcome.console),
        facts: outcome.facts,
        registers,
    })
}

fn machine(
    lab: &Lab,
    options: &Options,
    kernel: &Kernel,
    nic: Nic,
    parameters: &[(&str, String)],
) -> Result<Machine> {
    let parameters = parameters.iter().map(|(n, v)| ((*n).to_owned(), v.clone()));
    Ok(Machine {
        kernel: kernel.image(),
        initrd: PathBuf::new(),
        parameters: parameters.collect(),
        memory: if options.debug { 1024 } else { 384 },
        cpus: 2,
        disks: vec![disk(lab)?],
        network: Some(nic.device().to_owned()),
        exact: false,
        extra: Vec::new(),
    })
}

/// Gives the machine its RAM disk and runs it.
fn start(
    lab: &Lab,
    options: &Options,
    machine: &mut Machine,
    name: &str,
    kernel: &Kernel,
) -> Result<Outcome> {
    let initrd = lab.logs.folder().join(format!("{name}-initrd.cpio"));
    let busybox = match &options.busybox {
        Some(file) => file.clone(),
        None => busybox::get(lab, options.arch)?,
    };
    fs::write(&initrd, ram_disk(kernel, &busybox)?.finish()?)
        .with_context(|| format!("cannot write {}", initrd.display()))?;
    machine.initrd.clone_from(&initrd);
    let outcome = machine.run(lab, name, timeout(options));
    // It is big, and made again in no time.
    let _ = fs::remove_file(&initrd);
    outcome
}

/// How long a guest may take.
fn timeout(options: &Options) -> Duration {
    let usual = if options.quick { 300 } else { 900 };
    let usual = if options.debug { 4 * usual } else { usual };
    Duration::from_secs(options.timeout.unwrap_or(usual))
}

/// A guest's RAM disk with the modules of its kernel.
pub(crate) fn ram_disk(kernel: &Kernel, busybox: &Path) -> Result<Initramfs> {
    let mut disk = Initramfs::new(busybox)?;
    for (name, path) in kernel.modules()? {
        disk.copy(&format!("lab/modules/{name}.ko"), &path, 0o644)?;
    }
    Ok(disk)
}

/// An empty disk of 16 MiB.
fn disk(lab: &Lab) -> Result<PathBuf> {
    const NAME: &str = "disk.img";
    let make = |folder: &Path| {
        let file = File::create(folder.join(NAME)).context("cannot make a disk image")?;
        file.set_len(16 << 20).context("cannot make a disk image")
    };
    let key = Key::of("disk").with("size", "16M").build();
    Ok(lab.cache.entry("files", &key, make)?.join(NAME))
}

fn judge(variants: &[Variant], amount: Amount, options: &Options) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    for variant in variants {
        for run in &variant.runs {
            let expected = Expected {
                variant: variant.name,
                driver: run.nic.driver(),
                amount,
                debug: options.debug,
            };
            checks.extend(check::run(&expected, &run.outcome, &run.datagrams));
        }
        for (nic, quiet) in &variant.quiet {
            let place = format!("{} {}, no traffic", variant.name, nic.driver());
            checks.push(check::ticks(&place, &quiet.facts));
        }
    }
    let stock = variants.iter().find(|v| v.name == "stock");
    if let Some(patched) = variants.iter().find(|v| v.name == "patched") {
        checks.extend(recipes::checks(options.arch, patched, stock)?);
        if let Some(stock) = stock {
            for ((nic, before), (_, after)) in stock.quiet.iter().zip(&patched.quiet) {
                let place = format!("patched {}", nic.driver());
                checks.push(same_messages(&place, &before.said, &after.said));
            }
        }
    }
    Ok(checks)
}
