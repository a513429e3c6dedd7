//! Child processes: each has a log, a time limit and a process group that is ended whatever happens.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// How often a child is looked at.
const PAUSE: Duration = Duration::from_millis(20);
/// How many lines of a failing step's log are shown, at most.
const TAIL: usize = 30;

/// Whether the user wants to stop.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on SIGINT, SIGTERM and SIGHUP end the step at work, and with it the run.
    ///
    /// # Errors
    /// When the signals cannot be caught.
    pub fn catch() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&flag))
                .context("cannot catch signals")?;
        }
        Ok(Self(flag))
    }

    /// Whether a signal has come.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A folder with the logs of one run of the program.
#[derive(Debug)]
pub struct Logs {
    folder: PathBuf,
    count: AtomicUsize,
}

impl Logs {
    /// How many runs' logs are kept.
    const KEPT: usize = 20;

    /// A new folder in `parent`; those of much older runs go.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(parent: &Path) -> Result<Self> {
        let mut old: Vec<PathBuf> = fs::read_dir(parent)
            .with_context(|| format!("cannot read {}", parent.display()))?
            .filter_map(|entry| entry.ok().map(|e| e.path()))
            .collect();
        old.sort();
        let is_at_work = |folder: &Path| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            let process = name.rsplit_once('-').map_or("", |(_, process)| process);
            !process.is_empty() && Path::new("/proc").join(process).exists()
        };
        old.retain(|folder| !is_at_work(folder));
        for folder in old.iter().rev().skip(Self::KEPT - 1) {
            // Only room is lost if it cannot be deleted.
            let _ = fs::remove_dir_all(folder);
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let folder = parent.join(format!("{}-{}", now.as_secs(), std::process::id()));
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        Ok(Self {
            folder,
            count: AtomicUsize::new(0),
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A new file name in the order of the steps, such as `03-make.log`.
    pub fn file(&self, name: &str) -> PathBuf {
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        self.folder.join(format!("{number:02}-{name}"))
    }
}

/// A child process at work. Dropping it ends it and its process group.
#[derive(Debug)]
pub struct Running {
    name: String,
    log: PathBuf,
    child: Child,
    deadline: Instant,
    timeout: Duration,
    over: bool,
}

impl Running {
    /// Starts `command`; everything it prints goes to `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &Command, name: &str, log: &Path, timeout: Duration) -> Result<Self> {
        let open = || -> io::Result<(File, File)> {
            let file = File::create(log)?;
            let again = file.try_clone()?;
            Ok((file, again))
        };
        let (out, err) = open().with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = without_orphans(command);
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        command.process_group(0);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {name}: is setpriv (util-linux) there?"))?;
        Ok(Self {
            name: name.to_owned(),
            log: log.to_owned(),
            child,
            deadline: Instant::now() + timeout,
            timeout,
            over: false,
        })
    }

    /// From now on errors show the end of this file, where what it runs writes to.
    #[must_use]
    pub fn showing(mut self, log: &Path) -> Self {
        self.log = log.to_owned();
        self
    }

    /// Looks whether it has ended, and how.
    ///
    /// # Errors
    /// When its time is over or the user interrupts: then it and its group are ended.
    pub fn poll(&mut self, interrupt: &Interrupt) -> Result<Option<ExitStatus>> {
        // Its process id stays taken until it is waited for: so the group that is ended is surely its own.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let ended = waitid(WaitId::Pid(Pid::from_child(&self.child)), options)
            .with_context(|| format!("cannot wait for {}", self.name))?;
        if ended.is_some() {
            return self.end().map(Some);
        }
        if interrupt.is_set() {
            self.end()?;
            bail!("interrupted during {}", self.name);
        }
        if Instant::now() >= self.deadline {
            self.end()?;
            return Err(self.failure(&format!("took longer than {:?}", self.timeout)));
        }
        Ok(None)
    }

    /// Waits until it has ended, and tells how.
    ///
    /// # Errors
    /// When its time is over, or the user interrupts.
    pub fn wait(&mut self, interrupt: &Interrupt) -> Result<ExitStatus> {
        loop {
            match self.poll(interrupt)? {
                Some(status) => return Ok(status),
                None => thread::sleep(PAUSE),
            }
        }
    }

    /// Waits until it has ended well.
    ///
    /// # Errors
    /// When it ends with another status than 0, its time is over, or the user interrupts.
    pub fn finish(mut self, interrupt: &Interrupt) -> Result<()> {
        let status = self.wait(interrupt)?;
        if status.success() {
            Ok(())
        } else {
            Err(self.failure(&format!("failed ({status})")))
        }
    }

    /// An error that shows the end of the log.
    pub fn failure(&self, what: &str) -> anyhow::Error {
        failure(&self.name, what, &self.log)
    }

    fn end(&mut self) -> Result<ExitStatus> {
        self.over = true;
        // Fails when there is nobody left, which is what is wanted.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        self.child
            .wait()
            .with_context(|| format!("cannot wait for {}", self.name))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.over {
            let _ = self.end();
        }
    }
}

/// Runs one step to its end.
///
/// # Errors
/// See [`Running::finish`].
pub fn step(
    command: &Command,
    name: &str,
    log: &Path,
    timeout: Duration,
    interrupt: &Interrupt,
) -> Result<()> {
    let running = Running::start(command, name, log, timeout)?;
    // Only seen on a terminal.
    let clock = ProgressBar::new_spinner().with_message(name.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}, {elapsed}") {
        clock.set_style(style);
    }
    clock.enable_steady_tick(Duration::from_millis(200));
    let ended = running.finish(interrupt);
    clock.finish_and_clear();
    ended
}

/// The error of a step: what failed, the last lines of its log, where the whole log is.
pub fn failure(name: &str, what: &str, log: &Path) -> anyhow::Error {
    let tail = match tail(log) {
        Ok(lines) if lines.is_empty() => "    (its log is empty)\n".to_owned(),
        Ok(lines) => lines.iter().map(|line| format!("    {line}\n")).collect(),
        Err(error) => format!("    (its log cannot be read: {error})\n"),
    };
    anyhow!("{name} {what}\n{tail}  log: {}", log.display())
}

/// The last lines of a file.
fn tail(path: &Path) -> io::Result<Vec<String>> {
    // Far more than the lines that are shown.
    const ENOUGH: u64 = 64 << 10;
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(ENOUGH);
    file.seek(SeekFrom::Start(start))?;
    let mut text = Vec::new();
    file.take(ENOUGH).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.trim_end_matches('\r'))
        .collect();
    let from = lines.len().saturating_sub(TAIL);
    Ok(lines[from..]
        .iter()
        .map(|line| (*line).to_owned())
        .collect())
}

/// The same command, ended by the kernel when this program dies without a chance to do so itself (SIGKILL).
fn without_orphans(command: &Command) -> Command {
    let mut wrapped = Command::new("setpriv");
    wrapped
        .args(["--pdeathsig", "KILL", "--"])
        .arg(command.get_program())
        .args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    // What programs say is searched for words, and in error messages of an English program. The kernel's make unsets the first.
    wrapped.env("LC_ALL", "C").env("LC_MESSAGES", "C");
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped
}

/// For a shell, whatever is in it.
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=,:".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// A command that is ended when it has used so many seconds of processor time, however long that takes on a busy machine.
pub fn limited(program: &str, seconds: u64) -> Command {
    let mut command = Command::new("prlimit");
    // Only the soft limit tells why: at the hard one it is killed.
    let limit = format!("--cpu={seconds}:{}", seconds + 60);
    command.args([&limit, "--", program]);
    command
}

/// Whether a [`limited`] command has used up its time.
pub fn has_used_up(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::XCPU.as_raw())
}

/// Waits until `command` has ended well; returns its standard output.
///
/// # Errors
/// When it cannot be run or fails. For commands that answer at once.
pub fn ask(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        bail!(
            "{program} {} failed ({}): {}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn run(script: &str, timeout: Duration) -> (Result<()>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let done = step(
            &shell(script),
            "the step",
            &log,
            timeout,
            &Interrupt::default(),
        );
        (done, folder)
    }

    fn is_alive(pid: i32) -> bool {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // A zombie that init has not collected yet is no longer at work.
        !state.is_empty() && !state.contains(") Z ")
    }

    #[test]
    fn a_step_that_works_says_nothing() {
        let (done, _folder) = run("exit 0", Duration::from_secs(20));
        done.unwrap();
    }

    #[test]
    fn a_failing_step_shows_the_end_of_its_log() {
        let (done, folder) = run("seq 100; echo why >&2; exit 3", Duration::from_secs(20));
        let error = done.unwrap_err().to_string();
        assert!(
            error.starts_with("the step failed (exit status: 3)\n"),
            "{error}"
        );
        assert!(error.contains("    why\n"), "{error}");
        assert!(
            error.contains("    100\n") && !error.contains("    50\n"),
            "{error}"
        );
        let log = folder.path().join("log");
        assert!(error.ends_with(&log.display().to_string()), "{error}");
    }

    /// The script has written the process id of a child of its own to its log.
    fn assert_child_is_gone(folder: &tempfile::TempDir) {
        let log = fs::read_to_string(folder.path().join("log")).unwrap();
        let pid: i32 = log.trim().parse().unwrap();
        thread::sleep(Duration::from_millis(200));
        assert!(!is_alive(pid), "{pid} still runs");
    }

    #[test]
    fn a_step_out_of_time_is_ended_with_its_children() {
        let script = "sleep 1000 & echo $!; wait";
        let (done, folder) = run(script, Duration::from_millis(500));
        let error = done.unwrap_err().to_string();
        assert!(error.contains("took longer than 500ms"), "{error}");
        assert_child_is_gone(&folder);
    }

    #[test]
    fn what_a_step_leaves_in_the_background_is_ended() {
        let (done, folder) = run("sleep 1000 & echo $!", Duration::from_secs(20));
        done.unwrap();
        assert_child_is_gone(&folder);
    }

    #[test]
    fn processor_time_is_limited() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let ended = |script: &str| {
            let mut command = limited("sh", 1);
            command.args(["-c", script]);
            let limit = Duration::from_secs(100);
            let mut running = Running::start(&command, "the step", &log, limit).unwrap();
            running.wait(&Interrupt::default()).unwrap()
        };
        assert!(has_used_up(ended("while :; do :; done")));
        // Time in which it does nothing does not count.
        assert!(ended("sleep 1.5").success());
        assert!(!has_used_up(ended("kill -KILL $$")));
    }

    #[test]
    fn an_interrupt_ends_the_step() {
        let folder = tempfile::tempdir().unwrap();
        let interrupt = Interrupt::default();
        interrupt.0.store(true, Ordering::Relaxed);
        let begun = Instant::now();
        let log = folder.path().join("log");
        let limit = Duration::from_secs(100);
        let error = step(&shell("sleep 50"), "the step", &log, limit, &interrupt).unwrap_err();
        assert_eq!(error.to_string(), "interrupted during the step");
        assert!(begun.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn only_the_logs_of_late_runs_are_kept() {
        let parent = tempfile::tempdir().unwrap();
        for number in 0..30 {
            fs::create_dir(parent.path().join(format!("{number:010}-0"))).unwrap();
        }
        // That of this process stays, old as it is.
        let own = parent
            .path()
            .join(format!("0000000000-{}", std::process::id()));
        fs::create_dir(&own).unwrap();
        let logs = Logs::new(parent.path()).unwrap();
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), Logs::KEPT + 1);
        assert!(own.exists());
        assert!(logs.folder().exists());
        assert!(logs.file("a.log").ends_with("01-a.log"));
        assert!(logs.file("b.log").ends_with("02-b.log"));
    }
}
