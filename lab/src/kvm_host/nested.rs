//! The machine of QEMU's: its RAM disk holds the task, its second serial port brings the results.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Error, Result};
use tempfile::TempPath;

use super::folder::{self, Content};
use super::kernel::HostKernel;
use super::result::USED_UP;
use super::task::Task;
use crate::Lab;
use crate::busybox;
use crate::cache::Key;
use crate::initramfs::Initramfs;
use crate::kernel::Arch;
use crate::qemu::{BARE, EXACT, QEMU, SEED};
use crate::run::{Running, failure, has_used_up, limited};

/// MiB of the machine: the guest, its disk, the kernel's trace, the RAM disk.
const MEMORY: u32 = 2048;
/// The most time that one task takes on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(3 * 3600);

/// The file with the results of a task.
const SENT: &str = "results.cpio";

/// What came out of a task, by file name.
pub type Results = BTreeMap<String, Vec<u8>>;

/// The machine has used up its processor time.
#[derive(Debug)]
struct UsedUp;

impl fmt::Display for UsedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the processor time of its machine is used up")
    }
}

/// Where tasks run in machines of QEMU's.
#[derive(Debug, Clone)]
pub struct Nested {
    /// The kernel of the machines.
    pub kernel: HostKernel,
    /// Parameters of its KVM: name in `/sys/module/kvm/parameters` and value.
    pub parameters: Vec<(&'static str, String)>,
    /// Whether a task runs that ran before: all that goes in is the same, so its results would be, too.
    pub fresh: bool,
}

impl Nested {
    /// Runs the task in a machine of its own, where time is counted in instructions, or takes what it left when it ran before. Another
    /// number of the try is another seed, with which time passes a little differently. Also tells whether it ran now.
    ///
    /// # Errors
    /// When the machine does not come up, or does not send results.
    pub fn run(
        &self,
        lab: &Lab,
        task: &Task,
        files: &[(String, Content)],
        attempt: usize,
    ) -> Result<(Results, bool)> {
        let name = &task.name;
        let image = image(lab, files, &self.kernel, &self.parameters)?;
        let options = options(attempt);
        let key = self.key(name, &image, &options)?;
        let ran = Cell::new(false);
        let make = |folder: &Path| {
            ran.set(true);
            lab.say(&format!("running {name}"));
            self.start(lab, task, &image, &options, &folder.join(SENT))
        };
        let entry = match self.fresh {
            true => lab.cache.renewed("guests", &key, make),
            false => lab.cache.entry("guests", &key, make),
        };
        let results = entry.and_then(|folder| {
            unpack(&folder.join(SENT)).or_else(|_| {
                // A computer that lost its power may have kept the name of a file, and not what is in it.
                let folder = lab.cache.renewed("guests", &key, make)?;
                unpack(&folder.join(SENT))
            })
        });
        match results {
            Err(error) if error.is::<UsedUp>() => {
                Ok(([("status".to_owned(), USED_UP.into())].into(), true))
            }
            results => Ok((results?, ran.get())),
        }
    }

    /// All that goes into what the task leaves.
    fn key(&self, name: &str, image: &[u8], options: &[String]) -> Result<Key> {
        let mut key = Key::of("guest")
            // Told apart from the same task that runs again.
            .with("name", name)
            .with("image", image)
            .with("options", options.join(" "));
        let machine = folder::machine()?;
        for path in machine.iter().chain([&self.kernel.image]) {
            let content =
                fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            key = key.with("file", content);
        }
        Ok(key.build())
    }

    /// Starts the machine and waits until it has sent its results to the file `sent`.
    fn start(
        &self,
        lab: &Lab,
        task: &Task,
        image: &[u8],
        options: &[String],
        sent: &Path,
    ) -> Result<()> {
        let name = &task.name;
        let log = lab.logs.file(&format!("{name}-host.log"));
        // It is big, and made again in no time: it goes, however this ends.
        let initrd = TempPath::try_from_path(log.with_extension("cpio"))
            .context("cannot name the RAM disk")?;
        fs::write(&initrd, image).with_context(|| format!("cannot write {}", initrd.display()))?;
        let mut command = limited(QEMU, task.processor.as_secs());
        command.args(options);
        command.arg("-kernel").arg(&self.kernel.image);
        command.arg("-initrd").arg(&initrd);
        for file in [&log, sent] {
            let mut option = OsString::from("file:");
            option.push(file);
            command.arg("-serial").arg(option);
        }
        let what = format!("the machine of {name}");
        let messages = log.with_extension("qemu.log");
        let mut running = Running::start(&command, &what, &messages, TIMEOUT)?.showing(&log);
        let status = running.wait(&lab.interrupt)?;
        if has_used_up(status) {
            return Err(Error::msg(UsedUp));
        }
        if !status.success() {
            let said = fs::metadata(&messages).is_ok_and(|meta| meta.len() > 0);
            let log = if said { &messages } else { &log };
            return Err(failure(&what, &format!("failed ({status})"), log));
        }
        unpack(sent)
            .map_err(|error| failure(&what, &format!("sent no whole results ({error:#})"), &log))?;
        Ok(())
    }
}

/// All that the machine is, but for files.
fn options(attempt: usize) -> Vec<String> {
    let fixed = [
        "-machine",
        "pc",
        "-accel",
        "tcg",
        "-cpu",
        // Without XSAVE: the sizes that this emulation tells nested guests do not add up, and new kernels complain.
        "max,svm=on,xsave=off",
        "-net",
        "none",
        "-smp",
        "1",
        "-append",
        // To find out how fast the timer of a local APIC is, Linux waits for ticks in a loop. Where an instruction is a nanosecond
        // that takes half of a boot; the PIT and the HPET are known.
        "console=ttyS0 panic=-1 quiet nokaslr norandmaps nolapic_timer",
    ];
    let fixed = BARE.iter().chain(&fixed).chain(&EXACT);
    let mut all: Vec<String> = fixed.map(|option| (*option).to_owned()).collect();
    let (memory, seed) = (MEMORY.to_string(), (SEED + attempt).to_string());
    all.extend(["-m".to_owned(), memory, "-seed".to_owned(), seed]);
    all
}

fn image(
    lab: &Lab,
    files: &[(String, Content)],
    kernel: &HostKernel,
    parameters: &[(&'static str, String)],
) -> Result<Vec<u8>> {
    let mut disk = Initramfs::of_host(&busybox::get(lab, Arch::X86_64)?)?;
    for (name, content) in files {
        let name = format!("task/{name}");
        match content {
            Content::Text(text) => disk.file(&name, text.as_bytes(), 0o644)?,
            Content::Copy(path) => disk.copy(&name, path, 0o755)?,
        }
    }
    let mut modules = String::new();
    for path in &kernel.modules {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        disk.copy(&format!("task/{name}"), path, 0o644)?;
        modules.push_str(&format!("{name}\n"));
    }
    disk.file("task/modules", modules.as_bytes(), 0o644)?;
    let set = parameters
        .iter()
        .map(|(name, value)| format!("echo {value} >/sys/module/kvm/parameters/{name}\n"));
    disk.file(
        "task/parameters.sh",
        set.collect::<String>().as_bytes(),
        0o644,
    )?;
    disk.finish()
}

/// Reads the archive of results to its end.
fn unpack(path: &Path) -> Result<Results> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut input = BufReader::new(file);
    let mut results = Results::new();
    loop {
        let mut entry = cpio::NewcReader::new(input).context("the archive is cut off")?;
        if entry.entry().is_trailer() {
            return Ok(results);
        }
        let name = entry.entry().name().trim_start_matches("./").to_owned();
        let mut content = Vec::new();
        entry
            .read_to_end(&mut content)
            .context("the archive is cut off")?;
        results.insert(name, content);
        input = entry.finish().context("the archive is cut off")?;
    }
}

#[cfg(test)]
mod tests {
    use cpio::newc::{Builder, trailer};
    use std::io::Write;

    use super::*;

    fn archive() -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, content) in [("./status", "0\n"), ("./console", "hello")] {
            let mut entry = Builder::new(name).write(&mut bytes, content.len() as u32);
            entry.write_all(content.as_bytes()).unwrap();
            entry.finish().unwrap();
        }
        trailer(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn results_are_unpacked_whole_or_not_at_all() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("results");
        let bytes = archive();
        fs::write(&path, &bytes).unwrap();
        let results = unpack(&path).unwrap();
        assert_eq!(results["status"], b"0\n");
        assert_eq!(results["console"], b"hello");
        for cut in [0, 50, 120, 200, 300] {
            fs::write(&path, &bytes[..cut]).unwrap();
            assert!(unpack(&path).is_err(), "{cut} of {}", bytes.len());
        }
    }
}
