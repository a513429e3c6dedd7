//! The folder of a task, as the scripts in `lab/host` want it: files by name, in memory.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::task::{Task, Vmm};
use crate::qemu::QEMU;
use crate::run::{ask, quoted};

/// Where QEMU's ROMs lie in Debian, and what a guest that is booted directly needs of them.
const DATA: [&str; 2] = ["/usr/share/seabios", "/usr/share/qemu"];
/// What a guest's server runs, and how it makes data.
const SERVER: [(&str, &str); 2] = [
    ("serve.sh", include_str!("../../host/serve.sh")),
    ("data.sh", include_str!("../../guest/data.sh")),
];
const ROMS: [&str; 4] = [
    "bios-256k.bin",
    "kvmvapic.bin",
    "linuxboot_dma.bin",
    "linuxboot.bin",
];

/// One file of the folder.
#[derive(Debug)]
pub enum Content {
    /// This text.
    Text(String),
    /// A copy of this file.
    Copy(PathBuf),
}

/// Everything that a task needs, by path in its folder.
///
/// # Errors
/// When a program that it needs is not there.
pub fn files(task: &Task, xkvm: &Path) -> Result<Vec<(String, Content)>> {
    use Content::{Copy, Text};
    if task.trace && matches!(task.vmm, Vmm::Qemu { .. }) {
        bail!(
            "{} cannot be traced: only marks at a port are seen in a trace",
            task.name
        );
    }
    let mut files = vec![
        ("kernel".to_owned(), Copy(task.kernel.clone())),
        ("initrd".to_owned(), Copy(task.initrd.clone())),
        ("command".to_owned(), Text(command(task))),
        ("disk".to_owned(), Text(task.disk.unwrap_or(0).to_string())),
        ("written".to_owned(), Text(task.written.to_string())),
        (
            "seconds".to_owned(),
            Text(task.timeout.as_secs().to_string()),
        ),
    ];
    if task.trace {
        files.push(("trace".to_owned(), Text(String::new())));
    }
    match task.vmm {
        Vmm::Xkvm { .. } => files.push(("xkvm".to_owned(), Copy(xkvm.to_owned()))),
        Vmm::Qemu { .. } => {
            files.push(("ask".to_owned(), Text(String::new())));
            files.extend(SERVER.map(|(name, text)| (name.to_owned(), Text(text.to_owned()))));
            files.extend(qemu()?);
        }
    }
    Ok(files)
}

/// The script that becomes the VMM; its folder is empty but for the disk, and `$task` names the task's.
fn command(task: &Task) -> String {
    let memory = task.memory.to_string();
    let cmdline = quoted(&task.cmdline);
    match &task.vmm {
        Vmm::Xkvm {
            transport,
            disk_bus,
            coalesced_pio,
            pm_revision,
        } => {
            let mut line = format!(
                "exec \"$task/xkvm\" run --kernel \"$task/kernel\" --initrd \"$task/initrd\" --memory {memory}M \
                 --transport {transport} --disk-bus {disk_bus} --serial2 serial2 --stats stats.json --cmdline {cmdline}"
            );
            if task.disk.is_some() {
                line.push_str(" --disk disk");
            }
            if *coalesced_pio {
                line.push_str(" --coalesced-pio");
            }
            if let Some(revision) = pm_revision {
                line.push_str(&format!(" --pm-revision {revision}"));
            }
            line + "\n"
        }
        Vmm::Qemu { options } => {
            let mut line = format!(
                "exec \"$task\"/qemu/lib/ld-* --library-path \"$task/qemu/lib\" \"$task/qemu/qemu\" -L \"$task/qemu/data\" \
                 -accel kvm -cpu host -machine pc -m {memory} -nodefaults -no-user-config -display none -no-reboot \
                 -kernel \"$task/kernel\" -initrd \"$task/initrd\" -append {cmdline} -serial stdio -serial pipe:serial2 \
                 -netdev user,id=net"
            );
            if task.disk.is_some() {
                line.push_str(" -drive if=none,id=disk,format=raw,cache=unsafe,file=disk");
            }
            for option in options {
                line.push(' ');
                line.push_str(&quoted(option));
            }
            line + "\n"
        }
    }
}

/// QEMU as this machine has it: the program, the libraries it is linked with, its ROMs.
fn qemu() -> Result<Vec<(String, Content)>> {
    let program = program()?;
    let mut files = vec![("qemu/qemu".to_owned(), Content::Copy(program.clone()))];
    let mut names = BTreeSet::new();
    for line in ask("ldd", &[&program.to_string_lossy()])?.lines() {
        // `libx.so => /lib/libx.so (0x…)`, or the loader alone: `/lib64/ld-linux-x86-64.so.2 (0x…)`.
        let Some(path) = line.split_whitespace().find(|word| word.starts_with('/')) else {
            if line.contains("not found") {
                bail!("QEMU lacks a library: {}", line.trim());
            }
            continue;
        };
        let path = Path::new(path);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if names.insert(name.clone().into_owned()) {
            files.push((format!("qemu/lib/{name}"), Content::Copy(path.to_owned())));
        }
    }
    for (name, path) in ROMS.iter().zip(roms()?) {
        files.push((format!("qemu/data/{name}"), Content::Copy(path)));
    }
    Ok(files)
}

/// Where the ROMs are on this machine.
fn roms() -> Result<Vec<PathBuf>> {
    let find = |rom: &&str| {
        let mut places = DATA.iter().map(|folder| Path::new(folder).join(rom));
        places
            .find(|path| path.exists())
            .with_context(|| format!("QEMU's {rom} is neither in {} nor in {}", DATA[0], DATA[1]))
    };
    ROMS.iter().map(find).collect()
}

/// The files of which a machine of QEMU's is made here.
///
/// # Errors
/// When QEMU is not whole.
pub fn machine() -> Result<Vec<PathBuf>> {
    let mut files = roms()?;
    files.push(program()?);
    Ok(files)
}

fn program() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(QEMU))
        .find(|path| fs::metadata(path).is_ok_and(|meta| meta.is_file()))
        .context("QEMU is not there: install the package qemu-system-x86")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn task(vmm: Vmm) -> Task {
        Task {
            name: "t".to_owned(),
            vmm,
            kernel: "/k".into(),
            initrd: "/i".into(),
            cmdline: "console=ttyS0 lab.x='a b'".to_owned(),
            memory: 256,
            disk: Some(1 << 20),
            written: 0,
            trace: false,
            timeout: Duration::from_secs(9),
            processor: Duration::from_secs(9),
        }
    }

    #[test]
    fn a_guest_of_qemu_is_not_traced() {
        let mut task = task(Vmm::Qemu { options: vec![] });
        task.trace = true;
        let error = files(&task, Path::new("/x")).unwrap_err().to_string();
        assert!(error.contains("cannot be traced"), "{error}");
    }

    #[test]
    fn a_command_is_one_line_for_the_shell() {
        let xkvm = Vmm::Xkvm {
            transport: "doorbell",
            disk_bus: "legacy",
            coalesced_pio: true,
            pm_revision: Some(2),
        };
        let line = command(&task(xkvm));
        for part in [
            "--transport doorbell --disk-bus legacy",
            "--memory 256M",
            r"--cmdline 'console=ttyS0 lab.x='\''a b'\'''",
            "--disk disk --coalesced-pio --pm-revision 2\n",
        ] {
            assert!(line.contains(part), "{part} in {line}");
        }
        let options = vec!["-device".to_owned(), "e1000,netdev=net".to_owned()];
        let line = command(&task(Vmm::Qemu { options }));
        assert!(line.ends_with(" -device e1000,netdev=net\n"), "{line}");
        assert!(line.contains("file=disk"), "{line}");
    }
}
