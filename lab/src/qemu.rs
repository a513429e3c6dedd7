//! QEMU as the virtual machine: the command line, the two serial ports, the time limit.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::Lab;
use crate::console::Facts;
use crate::run::{Running, failure};

/// Package qemu-system-x86.
pub const QEMU: &str = "qemu-system-x86_64";
/// Nothing that was not asked for, no window, and an end when the guest powers off.
pub const BARE: [&str; 5] = [
    "-nodefaults",
    "-no-user-config",
    "-display",
    "none",
    "-no-reboot",
];
/// Time counted in instructions, for a machine with one processor: with the same seed the same guest runs the same way each time.
pub const EXACT: [&str; 4] = [
    "-icount",
    "shift=0,sleep=off",
    "-rtc",
    "base=2026-01-01T00:00:00,clock=vm",
];
/// What chance begins with in such a machine.
pub const SEED: usize = 42;

/// A virtual machine that boots a kernel directly.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The kernel image.
    pub kernel: PathBuf,
    /// The initial RAM disk.
    pub initrd: PathBuf,
    /// Parameters for the kernel, besides those for the console.
    pub parameters: Vec<(String, String)>,
    /// Memory in MiB.
    pub memory: u32,
    /// Processors.
    pub cpus: u32,
    /// Raw disk images, on the IDE controller. What the guest writes is forgotten.
    pub disks: Vec<PathBuf>,
    /// QEMU's name of the network card, on user networking.
    pub network: Option<String>,
    /// Whether time is counted in instructions: then the same guest runs the same way each time, however busy this machine
    /// is. It has one processor.
    pub exact: bool,
    /// Options that only one experiment needs.
    pub extra: Vec<OsString>,
}

/// What a guest left.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// All of the console.
    pub console: String,
    /// The workload's results.
    pub facts: Facts,
    /// Where the console is.
    pub log: PathBuf,
    /// How long it ran.
    pub took: Duration,
}

impl Machine {
    /// The command, with the serial ports going to files.
    fn command(&self, console: &Path, results: &Path) -> Command {
        let mut command = Command::new(QEMU);
        command.args(BARE);
        // Software emulation: it is everywhere, and all that counts is what the guest does.
        command.args(["-machine", "pc", "-accel", "tcg", "-cpu", "max"]);
        let cpus = if self.exact { 1 } else { self.cpus };
        command.args(["-m", &self.memory.to_string()]);
        command.args(["-smp", &cpus.to_string()]);
        if self.exact {
            command.args(EXACT).args(["-seed", &SEED.to_string()]);
        }
        command.arg("-kernel").arg(&self.kernel);
        command.arg("-initrd").arg(&self.initrd);
        command.args(["-append", &self.append()]);
        for log in [console, results] {
            command.args([OsString::from("-serial"), with("file:", log)]);
        }
        for disk in &self.disks {
            command.arg("-drive");
            command.arg(with("if=ide,format=raw,snapshot=on,file=", disk));
        }
        if let Some(card) = &self.network {
            // No boot ROM: it comes with packages that are not needed otherwise.
            let device = format!("{card},netdev=net,mac=52:54:00:12:34:56,romfile=");
            command.args(["-netdev", "user,id=net", "-device", &device]);
        }
        command.args(&self.extra);
        command
    }

    fn append(&self) -> String {
        let fixed = "console=ttyS0 panic=-1 loglevel=8";
        let own = self.parameters.iter().map(|(n, v)| format!(" {n}={v}"));
        fixed.to_owned() + &own.collect::<String>()
    }

    /// Runs the guest until it powers off.
    ///
    /// # Errors
    /// When it does not within `timeout`, or did not say before that its workload is done; the error shows the end of the
    /// console.
    pub fn run(&self, lab: &Lab, name: &str, timeout: Duration) -> Result<Outcome> {
        let console = lab.logs.file(&format!("{name}-console.log"));
        let results = console.with_file_name(format!("{name}-results.txt"));
        let log = console.with_file_name(format!("{name}-qemu.log"));
        let begun = Instant::now();
        let what = format!("the guest {name}");
        let mut running = Running::start(&self.command(&console, &results), &what, &log, timeout)?;
        let status = loop {
            match running.poll(&lab.interrupt) {
                Ok(Some(status)) => break status,
                Ok(None) => thread::sleep(Duration::from_millis(20)),
                Err(error) if lab.interrupt.is_set() => return Err(error),
                Err(_) => {
                    let late = format!("did not power off within {timeout:?}");
                    return Err(failure(&what, &late, &console));
                }
            }
        };
        if !status.success() {
            return Err(running.failure(&format!("could not be run ({status})")));
        }
        let outcome = Outcome {
            console: read(&console)?,
            facts: Facts::parse(&read(&results)?),
            log: console,
            took: begun.elapsed(),
        };
        if !outcome.facts.done {
            let what_went_wrong = "went down before its workload was done";
            return Err(failure(&what, what_went_wrong, &outcome.log));
        }
        Ok(outcome)
    }
}

/// A path within an option; QEMU wants commas doubled.
fn with(prefix: &str, path: &Path) -> OsString {
    let path = path.to_string_lossy().replace(',', ",,");
    OsString::from(format!("{prefix}{path}"))
}

/// A serial port carries bytes.
fn read(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_complete() {
        let machine = Machine {
            kernel: "/k/bzImage".into(),
            initrd: "/i".into(),
            parameters: vec![("lab.workload".to_owned(), "boot".to_owned())],
            memory: 256,
            cpus: 2,
            disks: vec!["/a,b.img".into()],
            network: Some("e1000".to_owned()),
            exact: false,
            extra: vec!["-S".into()],
        };
        let command = machine.command(Path::new("/c"), Path::new("/r"));
        let line: Vec<_> = command.get_args().map(|a| a.to_string_lossy()).collect();
        let line = line.join(" ");
        for part in [
            "-m 256 -smp 2",
            "-kernel /k/bzImage -initrd /i",
            "-append console=ttyS0 panic=-1 loglevel=8 lab.workload=boot",
            "-serial file:/c -serial file:/r",
            "-drive if=ide,format=raw,snapshot=on,file=/a,,b.img",
            "-device e1000,netdev=net,mac=52:54:00:12:34:56,romfile=",
        ] {
            assert!(line.contains(part), "{part} in {line}");
        }
        assert!(line.ends_with(" -S"));
        assert!(!line.contains("icount"));
        let exact = Machine {
            exact: true,
            ..machine
        };
        let command = exact.command(Path::new("/c"), Path::new("/r"));
        let line: Vec<_> = command.get_args().map(|a| a.to_string_lossy()).collect();
        let line = line.join(" ");
        assert!(line.contains("-smp 1 -icount shift=0,sleep=off"), "{line}");
    }
}
