//! What the VMM costs beside its guest: time to start, memory. The figures are printed:
//! `cargo test --release -p xkvm-host --test footprint -- --nocapture`.
#![cfg(feature = "vmm")]

mod guest;

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use guest::{Folder, bzimage, code, power_off, ring, say};
use kvm_ioctls::Kvm;
use xkvm_host::abi::{Entry, Width};

const START: Duration = Duration::from_millis(20);
const KERNEL: usize = 12 << 20;
const MEMORY_KB: u64 = 16 << 10;

fn no_kvm() -> bool {
    let missing = Kvm::new().err();
    if let Some(e) = &missing {
        eprintln!("SKIPPED: /dev/kvm cannot be opened ({e}); nothing was measured");
    }
    missing.is_some()
}

fn xkvm(kernel: &Path, disk: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xkvm"));
    command.args(["run", "--memory", "256M", "--cmdline", "quiet", "--kernel"]);
    command
        .arg(kernel)
        .arg("--disk")
        .arg(disk)
        .stdin(Stdio::null());
    command
}

/// The shortest of several: what else the machine does only makes it longer. On a busy machine it takes more of them.
fn shortest(limit: Duration, mut run: impl FnMut() -> Duration) -> Duration {
    let until = Instant::now() + Duration::from_secs(20);
    let mut least = Duration::MAX;
    let mut rounds = 0;
    while rounds < 20 || least > limit && Instant::now() < until {
        least = least.min(run());
        rounds += 1;
    }
    least
}

/// From the start of the process to the first byte that the guest's first instructions write to the console.
#[test]
fn the_first_instruction_comes_soon() {
    if no_kvm() {
        return;
    }
    let mut a = code();
    say(&mut a, "R");
    power_off(&mut a);
    let mut image = bzimage(a);
    // As large as a distribution's kernel: it has to be read.
    image.resize(KERNEL, 0);
    let folder = Folder::new("start");
    let kernel = folder.file("bzImage", &image);
    let disk = folder.file("disk.img", &[0; 1 << 20]);
    let bare = shortest(Duration::MAX, || {
        let started = Instant::now();
        let vm = Kvm::new().and_then(|kvm| kvm.create_vm());
        assert!(vm.is_ok());
        started.elapsed()
    });
    let whole = shortest(START, || {
        let started = Instant::now();
        let mut child = xkvm(&kernel, &disk)
            .stdout(Stdio::piped())
            .spawn()
            .expect("xkvm");
        let mut said = [0];
        let read = child.stdout.take().expect("piped").read_exact(&mut said);
        let elapsed = started.elapsed();
        let status = child.wait().expect("xkvm ran");
        assert!(read.is_ok() && status.success(), "{read:?} {status}");
        elapsed
    });
    eprintln!(
        "KVM_CREATE_VM {bare:.1?}; xkvm until the first instruction of a {} MiB kernel {whole:.1?}",
        KERNEL >> 20
    );
    assert!(whole.saturating_sub(bare) <= START, "{whole:?} is too long");
}

/// Resident memory of the process without the guest's, after the guest has used the console, the disk's registers and a batch.
#[test]
fn the_process_is_small() {
    if no_kvm() {
        return;
    }
    let mut a = code();
    let status = Entry::input(Width::Byte, 0x1f7);
    ring(&mut a, &vec![status; 255]);
    say(&mut a, "R");
    let mut here = a.create_label();
    a.set_label(&mut here).unwrap();
    a.jmp(here).unwrap();
    let folder = Folder::new("memory");
    let kernel = folder.file("bzImage", &bzimage(a));
    let disk = folder.file("disk.img", &[0; 1 << 20]);
    let stats = folder.file("stats.json", b"");
    let mut child = xkvm(&kernel, &disk)
        .arg("--stats")
        .arg(stats)
        .stdout(Stdio::piped())
        .spawn()
        .expect("xkvm");
    let mut said = [0];
    let read = child.stdout.take().expect("piped").read_exact(&mut said);
    let maps = fs::read_to_string(format!("/proc/{}/smaps", child.id()));
    child.kill().expect("xkvm runs");
    child.wait().expect("xkvm ran");
    assert!(read.is_ok() && said == *b"R");
    let (guest, own) = resident(&maps.expect("/proc"));
    eprintln!("xkvm: {own} KiB resident beside {guest} KiB of the guest's");
    assert!(guest > 0, "the guest's memory was not found");
    assert!(own <= MEMORY_KB, "{own} KiB");
}

/// Resident KiB of the mapping that holds the guest's memory, and of all others.
fn resident(maps: &str) -> (u64, u64) {
    let number = |line: &str, key| {
        let rest = line.strip_prefix(key)?;
        rest.trim().trim_end_matches(" kB").parse::<u64>().ok()
    };
    let (mut guest, mut own, mut size) = (0, 0, 0);
    for line in maps.lines() {
        if let Some(kib) = number(line, "Size:") {
            size = kib;
        } else if let Some(kib) = number(line, "Rss:") {
            *(if size >= 256 << 10 {
                &mut guest
            } else {
                &mut own
            }) += kib;
        }
    }
    (guest, own)
}
