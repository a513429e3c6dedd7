//! `xkvm`: runs a Linux guest, serves its batches, counts its exits.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use xkvm_host::exits::{Hot, Stats, Symbols};
use xkvm_host::vmm::machine::Image;
use xkvm_host::vmm::{Config, DiskBus, Ended, Machine, Outcome, Transport};

/// Small VMM that executes batched port I/O of patched Linux guests.
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes of `run`: 0 the guest powered off, 1 error, 3 the guest asked for a reset, 4 it crashed \
(triple fault or halt), 130 left with Ctrl-A x or by a signal.";

#[derive(Subcommand)]
enum Command {
    /// Run a Linux guest; Ctrl-A x leaves.
    Run(Run),
    /// Show which guest functions cause the exits that `run --stats` counted.
    Hot(HotArgs),
}

#[derive(Args)]
struct Run {
    /// Kernel: a bzImage, 32 or 64 bits.
    #[arg(long, value_name = "FILE")]
    kernel: PathBuf,
    /// Initial RAM disk.
    #[arg(long, value_name = "FILE")]
    initrd: Option<PathBuf>,
    /// Raw disk image; append ",ro" to protect it.
    #[arg(long, value_name = "FILE[,ro]")]
    disk: Vec<String>,
    /// Where the disks are.
    #[arg(long, value_enum, default_value = "piix3")]
    disk_bus: DiskBusArg,
    /// Show power management as a PCI function of PIIX4; of revisions below 3 Linux distrusts the timer.
    #[arg(long, value_name = "REVISION")]
    pm_revision: Option<u8>,
    /// Kernel command line.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "console=ttyS0 reboot=k panic=-1 nokaslr"
    )]
    cmdline: String,
    /// Guest memory, with K, M or G.
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = size)]
    memory: u64,
    /// Number of vCPUs.
    #[arg(long, value_name = "N", default_value_t = 1)]
    cpus: u8,
    /// How the guest may hand over its batches.
    #[arg(long, value_enum, default_value = "auto")]
    transport: TransportArg,
    /// Have KVM collect writes to the disks' registers: what it can do for a guest without patches.
    #[arg(long)]
    coalesced_pio: bool,
    /// Add a second serial port, ttyS1, and write its output to this file.
    #[arg(long, value_name = "FILE")]
    serial2: Option<PathBuf>,
    /// Count exits, and write them to this file as JSON.
    #[arg(long, value_name = "FILE")]
    stats: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum DiskBusArg {
    Piix3,
    Legacy,
}

#[derive(Clone, Copy, ValueEnum)]
enum TransportArg {
    Auto,
    Doorbell,
    Tunnel,
    Vmcall,
    Off,
}

#[derive(Args)]
struct HotArgs {
    /// What `run --stats` wrote.
    stats: PathBuf,
    /// The guest kernel's vmlinux or System.map.
    #[arg(long, value_name = "FILE")]
    symbols: Option<PathBuf>,
    /// One phase alone: 0 is the boot, up to the guest's first mark.
    #[arg(long, value_name = "N")]
    phase: Option<usize>,
    /// At most this many rows.
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(args) => run(&args),
        Command::Hot(args) => hot(&args).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        eprintln!("xkvm: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(args: &Run) -> Result<ExitCode> {
    let disks = args.disk.iter().map(|text| {
        let protected = text.strip_suffix(",ro");
        Image {
            path: protected.unwrap_or(text).into(),
            read_only: protected.is_some(),
        }
    });
    let config = Config {
        kernel: args.kernel.clone(),
        initrd: args.initrd.clone(),
        cmdline: args.cmdline.clone(),
        memory: args.memory,
        cpus: args.cpus,
        disks: disks.collect(),
        disk_bus: match args.disk_bus {
            DiskBusArg::Piix3 => DiskBus::Piix3,
            DiskBusArg::Legacy => DiskBus::Legacy,
        },
        pm_revision: args.pm_revision,
        transport: match args.transport {
            TransportArg::Auto => Transport::Auto,
            TransportArg::Doorbell => Transport::Doorbell,
            TransportArg::Tunnel => Transport::Tunnel,
            TransportArg::Vmcall => Transport::Vmcall,
            TransportArg::Off => Transport::Off,
        },
        coalesced_pio: args.coalesced_pio,
        serial2: args.serial2.clone(),
        stats: args.stats.is_some(),
    };
    let machine = Machine::new(&config, Box::new(io::stdout()))?;
    if let Some(path) = &args.stats {
        // A file that cannot be written is reported now, and not when the guest has done its work.
        // Until then what is in it stays.
        let open = OpenOptions::new().append(true).create(true).open(path);
        open.with_context(|| format!("cannot write {}", path.display()))?;
    }
    let Ended { outcome, stats } = machine.run(true)?;
    if let (Some(path), Some(stats)) = (&args.stats, &stats) {
        let json = serde_json::to_string_pretty(stats)?;
        fs::write(path, json + "\n").with_context(|| format!("cannot write {}", path.display()))?;
        eprintln!("xkvm: {} exits: {:?}", stats.exits, stats.by_reason());
    }
    let (code, said) = match outcome? {
        Outcome::PowerOff => (0, None),
        Outcome::Reset => (3, Some("the guest asked for a reset")),
        Outcome::TripleFault => (4, Some("the guest crashed: triple fault")),
        Outcome::Halt => (4, Some("the guest halted")),
        Outcome::Quit => (130, None),
    };
    if let Some(said) = said {
        eprintln!("xkvm: {said}");
    }
    Ok(code.into())
}

fn hot(args: &HotArgs) -> Result<()> {
    let text = fs::read_to_string(&args.stats)
        .with_context(|| format!("cannot read {}", args.stats.display()))?;
    let stats: Stats = serde_json::from_str(&text).with_context(|| {
        format!(
            "{} was not written by `xkvm run --stats`",
            args.stats.display()
        )
    })?;
    let symbols = match &args.symbols {
        None => Symbols::default(),
        Some(path) => fs::read(path)
            .map_err(anyhow::Error::from)
            .and_then(|file| Symbols::read(&file))
            .with_context(|| format!("cannot read symbols from {}", path.display()))?,
    };
    let stats = match args.phase {
        None => &stats,
        Some(n) => match stats.phases.get(n) {
            Some(phase) => &phase.stats,
            None => bail!(
                "{} has {} phases, numbered from 0",
                args.stats.display(),
                stats.phases.len()
            ),
        },
    };
    let mut table = Hot::new(stats, &symbols);
    table.rows.truncate(args.top);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&table)?);
    } else {
        print!("{table}");
    }
    Ok(())
}

/// Bytes, with a binary suffix.
fn size(text: &str) -> Result<u64, String> {
    let (number, shift) = match text.char_indices().last() {
        Some((at, 'K' | 'k')) => (text.get(..at), 10),
        Some((at, 'M' | 'm')) => (text.get(..at), 20),
        Some((at, 'G' | 'g')) => (text.get(..at), 30),
        _ => (Some(text), 0),
    };
    number
        .and_then(|n| n.parse::<u64>().ok())
        .and_then(|n| n.checked_mul(1 << shift))
        .ok_or_else(|| "not a size such as 256M".to_owned())
}
