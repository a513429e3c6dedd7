//! The program as its users call it.
#![cfg(feature = "vmm")]

mod guest;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use guest::{Folder, bzimage, code, power_off, say};
use iced_x86::code_asm::*;
use kvm_ioctls::Kvm;
use xkvm_host::exits::{MARK_PORT, Stats};

fn no_kvm() -> bool {
    let missing = Kvm::new().err();
    if let Some(e) = &missing {
        eprintln!("SKIPPED: /dev/kvm cannot be opened ({e}); the program was not run");
    }
    missing.is_some()
}

fn xkvm(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xkvm"));
    command.args(args).stdin(Stdio::null());
    command
}

/// What runs the guest, and where its statistics will be.
fn prepare(folder: &Folder, code: CodeAssembler) -> (Command, PathBuf) {
    let kernel = folder.file("bzImage", &bzimage(code));
    let stats = kernel.with_file_name("stats.json");
    let mut command = xkvm(&["run", "--memory", "32M", "--cmdline", "quiet", "--kernel"]);
    command.arg(kernel).arg("--stats").arg(&stats);
    (command, stats)
}

fn read(stats: &Path) -> Stats {
    let text = fs::read_to_string(stats).expect("the statistics were written");
    serde_json::from_str(&text).expect("statistics")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Says something, so that there is something to count.
fn says_r() -> CodeAssembler {
    let mut a = code();
    say(&mut a, "R");
    a
}

#[test]
fn statistics_are_written_however_the_guest_ends() {
    if no_kvm() {
        return;
    }
    type End = fn(&mut CodeAssembler);
    let reset: End = |a| {
        a.mov(al, 0xfeu32).unwrap();
        a.out(0x64, al).unwrap();
        a.hlt().unwrap();
    };
    // There is no interrupt table.
    let crash: End = |a| a.ud2().unwrap();
    // Nothing to fetch instructions from: KVM gives up.
    let astray: End = |a| {
        a.mov(eax, 0x4000_0000u32).unwrap();
        a.jmp(eax).unwrap();
    };
    let ends = [
        (power_off as End, 0, ""),
        (reset, 3, "asked for a reset"),
        (crash, 4, "triple fault"),
        (astray, 1, "KVM cannot emulate"),
    ];
    for (end, status, said) in ends {
        let mut a = says_r();
        end(&mut a);
        let folder = Folder::new(&format!("end-{status}"));
        let (mut command, stats) = prepare(&folder, a);
        let Output {
            status: code,
            stdout,
            stderr,
        } = command.output().unwrap();
        assert_eq!(code.code(), Some(status), "{}", text(&stderr));
        assert!(text(&stderr).contains(said), "{}", text(&stderr));
        assert_eq!(stdout, b"R");
        let stats = read(&stats);
        assert!(stats.by_reason()["out"] >= 1);
        assert_eq!(stats.phases.len(), 1);
        assert_eq!(stats.phases[0].stats.exits, stats.exits);
    }
}

#[test]
fn statistics_are_written_when_the_program_is_ended() {
    if no_kvm() {
        return;
    }
    let mut a = says_r();
    let mut here = a.create_label();
    a.set_label(&mut here).unwrap();
    a.jmp(here).unwrap();
    let folder = Folder::new("terminated");
    let (mut command, stats) = prepare(&folder, a);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    child.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
    let kill = Command::new("kill").arg(child.id().to_string()).status();
    assert!(kill.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(read(&stats).by_reason()["out"], 1);
}

#[test]
fn hot_shows_one_phase() {
    if no_kvm() {
        return;
    }
    let mut a = says_r();
    a.mov(dx, u32::from(MARK_PORT)).unwrap();
    a.out(dx, al).unwrap();
    say(&mut a, "four");
    power_off(&mut a);
    let folder = Folder::new("hot");
    let (mut command, stats) = prepare(&folder, a);
    assert!(command.status().unwrap().success());
    let hot = |args: &[&str]| {
        xkvm(&["hot", "--json"])
            .arg(&stats)
            .args(args)
            .output()
            .unwrap()
    };
    for (args, exits) in [(&[][..], 7), (&["--phase", "0"], 2), (&["--phase", "1"], 5)] {
        let table: serde_json::Value = serde_json::from_slice(&hot(args).stdout).unwrap();
        assert_eq!(table["exits"], exits, "{args:?}");
        let rows = table["rows"].as_array().unwrap().iter();
        assert_eq!(
            rows.map(|row| row["exits"].as_u64().unwrap()).sum::<u64>(),
            exits
        );
    }
    let none = hot(&["--phase", "2"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(
        text(&none.stderr).contains("2 phases, numbered from 0"),
        "{}",
        text(&none.stderr)
    );
}
