//! `xkvm-lab measure`: what the series saves, counted by KVM itself.
//!
//! plan (what is run), prepare (what that needs) -> `kvm_host` (runs it) -> figures, summary (sums) -> check, bars (what must hold) -> report.

mod bars;
mod check;
mod figures;
mod plan;
mod prepare;
mod report;
mod summary;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xkvm_host::exits::Symbols;

use crate::Lab;
use crate::boot::ram_disk;
use crate::check::Check;
use crate::kernel::tree::Source;
use crate::kvm_host::{self, Job};
use crate::output;
use crate::run::quoted;
use bars::Bars;
use prepare::{Inputs, digits, guests, places, programs, task};
use report::Report;
use summary::summary;

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
    /// Run guests that ran before, too.
    pub fresh: bool,
    /// Where the report goes besides.
    pub output: Option<PathBuf>,
    /// The cache, when it is not the usual one: to tell how all is repeated.
    pub cache: Option<PathBuf>,
    /// Print the report for programs, and not for people.
    pub json: bool,
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
        let names: Vec<String> = runs.iter().map(|run| run.name()).collect();
        for word in &options.only {
            if word.is_empty() || !names.iter().any(|name| name.contains(word)) {
                let more = elsewhere(word, options.quick, hosts, direct);
                bail!(
                    "no run has a name with {word:?}; there are {}{more}",
                    names.join(", ")
                );
            }
        }
        let is_wanted = |name: &String| options.only.iter().any(|part| name.contains(part));
        runs.retain(|run| is_wanted(&run.name()));
    }
    // What cannot be used is said now, and not after an hour of work.
    if options.place == Place::Direct && !kvm_host::has_hardware() {
        bail!(
            "guests cannot run here: this machine's processor has no vmx or svm, or /dev/kvm cannot be opened; --place nested does without"
        );
    }
    lab.say("reading the kernel trees");
    let source = Source::open(&options.tree)?;
    let host = match &options.host_tree {
        Some(tree) if !direct => Some(Source::open(tree)?),
        _ => None,
    };
    match (direct, &options.host_tree) {
        (true, Some(_)) => lab.say(
            "guests run on this machine's own kernel: --host-tree is not used, and nothing is shown of vmcall and pit_max_hz",
        ),
        (false, None) => {
            lab.say("without --host-tree no host is built: nothing is shown of vmcall and pit_max_hz");
        }
        _ => {}
    }
    let mut folders = vec![lab.logs.folder().to_owned()];
    folders.extend(options.output.clone());
    if let Some(file) = &options.bless {
        let into = file.parent().filter(|into| !into.as_os_str().is_empty());
        if file.is_dir() || into.is_some_and(|into| !into.is_dir()) {
            bail!("bars cannot be written to {}", file.display());
        }
    }
    for folder in &folders {
        if folder.exists() && !folder.is_dir() {
            bail!("{} is not a folder: --output names one", folder.display());
        }
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        tempfile::tempfile_in(folder)
            .with_context(|| format!("cannot write to {}", folder.display()))?;
    }

    let mut inputs = Inputs::new();
    let programs = programs(lab, &runs, &mut inputs)?;
    inputs.insert("scripts".to_owned(), kvm_host::scripts());
    // The guests' kernels take longest: what is wrong with the rest is known before.
    let places = places(lab, host.as_ref(), &runs, options, direct, &mut inputs)?;
    let guests = guests(lab, &source, &runs, options.quick, &mut inputs)?;

    // They are big, and made again in no time.
    let initrds = tempfile::tempdir_in(lab.logs.folder()).context("cannot make a folder")?;
    let mut jobs = Vec::new();
    for run in &runs {
        let guest = guests.get(&run.variant.guest).context("no such guest")?;
        let initrd = initrds.path().join(run.variant.guest.name());
        if !initrd.exists() {
            let busybox = programs.busyboxes.get(&run.variant.guest.arch());
            let mut disk = ram_disk(guest, busybox.context("no such busybox")?)?;
            disk.copy("lab/sector", &programs.sector, 0o755)?;
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
    for Job { task, .. } in &jobs {
        inputs.insert(
            format!("task {}", task.name),
            digits(task.asked().as_bytes()),
        );
    }
    let ended = kvm_host::run(lab, &programs.xkvm, &jobs)?;
    drop(initrds);
    // One guest that hangs does not take with it what the others have shown.
    let mut checks = Vec::new();
    let (mut finished, mut done) = (Vec::new(), Vec::new());
    for (run, ended) in runs.into_iter().zip(ended) {
        match ended {
            Ok(ended) => {
                finished.push(run);
                done.push(ended);
            }
            Err(error) => checks.push(Check::new(
                &run.name(),
                "does its work and powers off",
                false,
                format!("{error:#}"),
            )),
        }
    }
    if done.is_empty() {
        let why = checks.first().map_or("", |check| check.seen.as_str());
        bail!("no guest did its work: {why}");
    }
    let runs = finished;

    let mut symbols = BTreeMap::new();
    for (guest, kernel) in &guests {
        let file = fs::read(kernel.system_map()).context("cannot read a System.map")?;
        symbols.insert(*guest, Symbols::read(&file)?);
    }
    checks.extend(check::guests(&runs, &done));
    let unknown = Symbols::default();
    let summed = runs.iter().zip(&done).map(|(run, done)| {
        let symbols = symbols.get(&run.variant.guest).unwrap_or(&unknown);
        summary(run, done, symbols)
    });
    let mut report = Report {
        format: report::FORMAT,
        kernel: source.release(),
        command: command(options, direct),
        logs: lab.logs.folder().to_owned(),
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

    // A full disk takes neither the other copy nor what is printed with it.
    let mut failed = Vec::new();
    let mut pages = String::new();
    for folder in &folders {
        match report::write(&report, folder) {
            Ok(page) => pages.push_str(&format!("report: {}\n", page.display())),
            Err(error) => failed.push(format!("{error:#}")),
        }
    }
    output::print(&match options.json {
        true => output::json(&report)?,
        false => report::terminal(&report) + &pages,
    })?;
    if !failed.is_empty() {
        bail!("{}", failed.join("; "));
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

/// A run with this word in its name that there would be if other things were asked for.
fn elsewhere(word: &str, quick: bool, hosts: bool, direct: bool) -> String {
    for (other, patched) in [(quick, true), (!quick, hosts), (!quick, true)] {
        if word.is_empty() || (patched && direct) {
            continue;
        }
        let runs = match other {
            true => plan::quick(patched),
            false => plan::full(patched),
        };
        let mut names = runs.iter().map(plan::Run::name);
        let Some(name) = names.find(|name| name.contains(word)) else {
            continue;
        };
        let mut asked = Vec::new();
        match (quick, other) {
            (true, false) => asked.push("without --quick"),
            (false, true) => asked.push("with --quick"),
            _ => {}
        }
        if patched && !hosts {
            asked.push("with --host-tree");
        }
        return format!("; {name} is there {}", asked.join(" and "));
    }
    String::new()
}

/// The command that does the same again, where guestpatch's sources are.
fn command(options: &Options, direct: bool) -> String {
    let place = if direct { "direct" } else { "nested" };
    let path = |path: &Path| {
        let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        quoted(&whole.to_string_lossy())
    };
    let mut words = vec![path(&options.tree)];
    words.extend(["--place", place].map(str::to_owned));
    if let Some(tree) = &options.host_tree {
        words.extend(["--host-tree".to_owned(), path(tree)]);
    }
    if options.quick {
        words.push("--quick".to_owned());
    }
    for only in &options.only {
        words.extend(["--only".to_owned(), quoted(only)]);
    }
    if let Some(cache) = &options.cache {
        words.extend(["--cache".to_owned(), path(cache)]);
    }
    format!(
        "cargo run --release -p xkvm-lab -- measure {}",
        words.join(" ")
    )
}
