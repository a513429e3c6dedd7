//! Where VMMs run on real KVM: a machine of QEMU's, whose processor does AMD's SVM in software, with a kernel whose KVM does not
//! know the difference; or this machine, when its KVM has hardware behind it.
//!
//! Each task has a machine of its own, so that no run depends on those before it. With time counted in instructions the same task
//! gives the same counts and times, to the last digit.

mod direct;
mod folder;
mod kernel;
mod kvm;
mod nested;
mod result;
mod task;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::Lab;
use crate::cache::Key;
use crate::initramfs;
pub use kernel::HostKernel;
pub use nested::Nested;
pub use task::{Done, Phase, Place, Task, Traced, Vmm};

/// Where tasks run.
#[derive(Debug, Clone)]
pub enum KvmHost {
    /// In a machine of QEMU's.
    Nested(Nested),
    /// On this machine.
    Direct,
}

/// Whether KVM on this machine has hardware behind it, and may be used.
pub fn has_hardware() -> bool {
    let flags = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let capable = flags
        .lines()
        .filter(|line| line.starts_with("flags"))
        .any(|line| {
            line.split_whitespace()
                .any(|flag| flag == "vmx" || flag == "svm")
        });
    capable
        && fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/kvm")
            .is_ok()
}

/// A hash of all scripts that take part in a run, in the guest and around it.
pub fn scripts() -> String {
    let mut key = Key::of("scripts");
    for (name, content) in initramfs::scripts() {
        key = key.with(&name, content);
    }
    key.build().short().to_owned()
}

/// A task and where it runs.
#[derive(Debug, Clone)]
pub struct Job {
    /// Where.
    pub host: KvmHost,
    /// What.
    pub task: Task,
}

/// How often a guest is tried in a machine of QEMU's. QEMU's SVM now and then delivers an interrupt twice, and a guest that holds the
/// lock of that interrupt waits for itself; as everything repeats, it would do so each time.
const TRIES: usize = 5;

/// Runs jobs, as many at a time as this machine has processors (on hardware KVM, where time is measured, one); results in the order of
/// the jobs. What each guest leaves is kept among the logs as it ends, too. A guest that did not end well is an error among the results.
///
/// # Errors
/// When the user interrupts.
pub fn run(lab: &Lab, xkvm: &Path, jobs: &[Job]) -> Result<Vec<Result<Done>>> {
    let alone = jobs.iter().any(|job| matches!(job.host, KvmHost::Direct));
    let workers = match std::thread::available_parallelism() {
        Ok(count) if !alone => count.get(),
        _ => 1,
    };
    let next = Mutex::new(jobs.iter().enumerate());
    let done: Mutex<BTreeMap<usize, Result<Done>>> = Mutex::new(BTreeMap::new());
    let work = || {
        while !lab.interrupt.is_set() {
            let job = next.lock().ok().and_then(|mut next| next.next());
            let Some((at, job)) = job else { return };
            let result = one(lab, xkvm, job);
            if let Err(error) = &result
                && !lab.interrupt.is_set()
            {
                lab.say(&format!("{} did not end well: {error:#}", job.task.name));
            }
            if let Ok(mut done) = done.lock() {
                done.insert(at, result);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..workers.min(jobs.len()) {
            scope.spawn(work);
        }
    });
    if lab.interrupt.is_set() {
        bail!(
            "interrupted; what guests left that had ended is in {}",
            lab.logs.folder().display()
        );
    }
    let done = done.into_inner().unwrap_or_default();
    Ok(done.into_values().collect())
}

/// Runs one guest, and once more while it hangs.
fn one(lab: &Lab, xkvm: &Path, job: &Job) -> Result<Done> {
    let name = &job.task.name;
    let files = folder::files(&job.task, xkvm)?;
    let tries = match job.host {
        KvmHost::Nested(_) => TRIES,
        KvmHost::Direct => 1,
    };
    let begun = Instant::now();
    let (mut hung, mut ran) = (Vec::new(), false);
    loop {
        let (results, now) = match &job.host {
            KvmHost::Nested(nested) => nested.run(lab, &job.task, &files, hung.len())?,
            KvmHost::Direct => {
                lab.say(&format!("running {name}"));
                (direct::run(lab, &job.task, &files)?, true)
            }
        };
        ran |= now;
        let log = lab.logs.file(&format!("{name}-console.log"));
        let console = results.get("console").map_or(&[][..], Vec::as_slice);
        fs::write(&log, console).with_context(|| format!("cannot write {}", log.display()))?;
        if result::is_late(&job.task, &results) && hung.len() + 1 < tries {
            lab.say(&format!("{name} is not done in time: it hangs, or this machine is very slow; it is tried with another seed"));
            hung.push(String::from_utf8_lossy(console).into_owned());
            continue;
        }
        let done = Done {
            hung,
            ..result::read(&job.task, &results, &log)?
        };
        keep(lab, &done)?;
        lab.say(&match ran {
            true => format!("{name} took {} s", begun.elapsed().as_secs()),
            false => format!("{name} ran before, and nothing has changed since"),
        });
        return Ok(done);
    }
}

/// Whatever becomes of the other guests, what this one left can be read.
fn keep(lab: &Lab, done: &Done) -> Result<()> {
    let file = lab.logs.file(&format!("{}.json", done.name));
    let text = serde_json::to_string_pretty(done).context("cannot write a result")?;
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
}
