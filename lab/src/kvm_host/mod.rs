//! Where VMMs run on real KVM: a machine of QEMU's, whose processor does AMD's SVM in software, with a kernel whose KVM does not
//! know the difference; or this machine, when its KVM has hardware behind it.
//!
//! Each task has a machine of its own, so that no run depends on those before it. With time counted in instructions the same task
//! gives the same counts and times, to the last digit.

mod direct;
mod folder;
mod kernel;
mod nested;
mod result;
mod task;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result};

use crate::Lab;
use crate::cache::Key;
use crate::initramfs;
pub use kernel::HostKernel;
pub use task::{Done, Phase, Place, Task, Traced, Vmm};

/// Where tasks run.
#[derive(Debug, Clone)]
pub enum KvmHost {
    /// In a machine of QEMU's.
    Nested {
        /// The kernel of that machine.
        kernel: HostKernel,
        /// Parameters of its KVM: name in `/sys/module/kvm/parameters` and value.
        parameters: Vec<(&'static str, String)>,
        /// Whether its time is counted in instructions.
        exact: bool,
    },
    /// On this machine.
    Direct,
}

/// Whether KVM on this machine has hardware behind it, and may be used.
pub fn has_hardware() -> bool {
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let capable = flags
        .lines()
        .filter(|line| line.starts_with("flags"))
        .any(|line| {
            line.split_whitespace()
                .any(|flag| flag == "vmx" || flag == "svm")
        });
    capable
        && std::fs::OpenOptions::new()
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

/// Runs jobs, as many at a time as this machine has processors (on hardware KVM, where time is measured, one); results in the order of
/// the jobs. A guest that did not end well is an error among the results, which shows the end of its console.
///
/// # Errors
/// When a job cannot be run at all, so that others could not either. No other is begun then.
pub fn run(lab: &Lab, xkvm: &Path, jobs: &[Job]) -> Result<Vec<Result<Done>>> {
    let alone = jobs.iter().any(|job| matches!(job.host, KvmHost::Direct));
    let workers = match std::thread::available_parallelism() {
        Ok(count) if !alone => count.get(),
        _ => 1,
    };
    let next = Mutex::new(jobs.iter().enumerate());
    let done: Mutex<Vec<(usize, Result<Result<Done>>)>> = Mutex::new(Vec::new());
    let work = || {
        loop {
            let job = next.lock().ok().and_then(|mut next| next.next());
            let Some((at, job)) = job else { return };
            let result = one(lab, xkvm, job);
            match &result {
                Ok(Ok(_)) => {}
                Ok(Err(_)) => lab.say(&format!("{} did not end well", job.task.name)),
                Err(_) => {
                    // What runs beside it may take long to end.
                    if let Ok(mut next) = next.lock() {
                        next.by_ref().for_each(drop);
                    }
                    lab.say(&format!("{} failed: no other run is begun", job.task.name));
                }
            }
            if let Ok(mut done) = done.lock() {
                done.push((at, result));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..workers.min(jobs.len()) {
            scope.spawn(work);
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

fn one(lab: &Lab, xkvm: &Path, job: &Job) -> Result<Result<Done>> {
    let name = &job.task.name;
    lab.say(&format!("running {name}"));
    let files = folder::files(&job.task, xkvm)?;
    let results = match &job.host {
        KvmHost::Nested {
            kernel,
            parameters,
            exact,
        } => nested::run(lab, &job.task, &files, kernel, parameters, *exact)?,
        KvmHost::Direct => direct::run(lab, &job.task, &files)?,
    };
    let log: PathBuf = lab.logs.file(&format!("{name}-console.log"));
    let console = results.get("console").map_or(&[][..], Vec::as_slice);
    std::fs::write(&log, console).with_context(|| format!("cannot write {}", log.display()))?;
    Ok(result::read(&job.task, &results, &log))
}
