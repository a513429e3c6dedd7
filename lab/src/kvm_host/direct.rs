//! This machine as the one that VMMs run on: the same script, in folders of its own.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::folder::Content;
use super::nested::Results;
use super::task::Task;
use crate::Lab;
use crate::run::step;

/// The script that runs a task.
const SCRIPT: &str = include_str!("../../host/task.sh");
/// Where KVM's tracepoints are; the script has an instance of its own there.
const TRACING: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
/// For what the script does besides.
const SLACK: Duration = Duration::from_secs(120);

/// Runs the task here. Tracepoints and QEMU's counters need root.
///
/// # Errors
/// When a file cannot be copied, or the script does not end.
pub fn run(lab: &Lab, task: &Task, files: &[(String, Content)]) -> Result<Results> {
    let home = tempfile::tempdir().context("cannot make a folder")?;
    let (folder, results) = (home.path().join("task"), home.path().join("results"));
    fs::create_dir(&results).context("cannot make a folder")?;
    for (name, content) in files {
        let to = folder.join(name);
        let parent = to.parent().unwrap_or(&folder);
        fs::create_dir_all(parent).context("cannot make a folder")?;
        match content {
            Content::Text(text) => fs::write(&to, text),
            Content::Copy(from) => fs::copy(from, &to).map(|_| ()),
        }
        .with_context(|| format!("cannot write {}", to.display()))?;
    }
    let script = home.path().join("task.sh");
    fs::write(&script, SCRIPT).context("cannot write a script")?;
    let log = lab.logs.file(&format!("{}-host.log", task.name));
    let mut command = Command::new("busybox");
    command.arg("sh").arg(&script).arg(&folder).arg(&results);
    // The script's own folder goes with this one, even if the script is killed.
    command.env("TMPDIR", home.path());
    let what = format!("the run of {}", task.name);
    let ended = step(&command, &what, &log, task.timeout + SLACK, &lab.interrupt);
    for tracing in TRACING {
        // A script that was killed has left it; else it is gone.
        let _ = fs::remove_dir(Path::new(tracing).join("instances/xkvm-lab"));
    }
    ended?;
    let mut all = Results::new();
    for entry in fs::read_dir(&results).context("cannot read the results")? {
        let entry = entry.context("cannot read the results")?;
        let content = fs::read(entry.path()).context("cannot read the results")?;
        all.insert(entry.file_name().to_string_lossy().into_owned(), content);
    }
    Ok(all)
}
