//! The whole VMM on real KVM, with a "kernel" of a few instructions in a hand-made bzImage.
#![cfg(feature = "vmm")]

mod guest;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use guest::{Folder, LOAD, PAGE, bzimage, code, power_off, ring, say};
use iced_x86::code_asm::*;
use kvm_ioctls::{Cap, Kvm};
use xkvm_host::abi::{Entry, Width};
use xkvm_host::exits::{MARK_PORT, Stats};
use xkvm_host::vmm::machine::Image;
use xkvm_host::vmm::{Config, DiskBus, Ended, Machine, Outcome, Transport};

#[derive(Clone, Default)]
struct Console(Arc<Mutex<Vec<u8>>>);

impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Prints the command line that boot_params point to.
fn print_cmdline(a: &mut CodeAssembler) {
    let mut again = a.create_label();
    let mut end = a.create_label();
    a.mov(esi, dword_ptr(esi + 0x228)).unwrap();
    a.mov(dx, 0x3f8u32).unwrap();
    a.set_label(&mut again).unwrap();
    a.lodsb().unwrap();
    a.test(al, al).unwrap();
    a.jz(end).unwrap();
    a.out(dx, al).unwrap();
    a.jmp(again).unwrap();
    a.set_label(&mut end).unwrap();
}

/// `None`, said aloud, without KVM.
fn run(
    name: &str,
    code: CodeAssembler,
    change: impl FnOnce(&mut Config, &Folder),
) -> Option<(Outcome, String, Stats)> {
    if let Err(e) = Kvm::new() {
        eprintln!("SKIPPED: /dev/kvm cannot be opened ({e}); the VMM was not run");
        return None;
    }
    let folder = Folder::new(name);
    let mut config = Config {
        kernel: folder.file("bzImage", &bzimage(code)),
        cmdline: "quiet".to_owned(),
        memory: 32 << 20,
        disk_bus: DiskBus::Piix3,
        transport: Transport::Doorbell,
        stats: true,
        ..Config::default()
    };
    change(&mut config, &folder);
    let console = Console::default();
    let started = Instant::now();
    let machine = Machine::new(&config, Box::new(console.clone())).unwrap();
    eprintln!("ready to run after {:?}", started.elapsed());
    let Ended { outcome, stats } = machine.run(false).unwrap();
    let said = console.0.lock().unwrap().clone();
    Some((
        outcome.unwrap(),
        String::from_utf8(said).unwrap(),
        stats.unwrap(),
    ))
}

#[test]
fn the_kernel_gets_its_command_line_and_powers_off() {
    let mut a = code();
    say(&mut a, "hello ");
    print_cmdline(&mut a);
    power_off(&mut a);
    let Some((outcome, said, stats)) = run("boot", a, |_, _| ()) else {
        return;
    };
    assert_eq!((outcome, said.as_str()), (Outcome::PowerOff, "hello quiet"));
    assert_eq!(stats.exits, 12);
    assert_eq!(stats.by_reason()["out"], 12);
    assert!(stats.rows.iter().all(|row| row.rip >= LOAD));
}

#[test]
fn batches_reach_the_devices() {
    let text = b"eleven OUTs";
    let entries: Vec<Entry> = text
        .iter()
        .map(|&b| Entry::output(Width::Byte, 0x3f8, b.into()))
        .collect();
    let mut a = code();
    ring(&mut a, &entries);
    // The answer, as a digit beyond "0"
    a.add(al, 0x30).unwrap();
    a.mov(dx, 0x3f8u32).unwrap();
    a.out(dx, al).unwrap();
    power_off(&mut a);
    let Some((outcome, said, stats)) = run("batch", a, |_, _| ()) else {
        return;
    };
    assert_eq!(
        (outcome, said.as_str()),
        (Outcome::PowerOff, "eleven OUTs;")
    );
    assert_eq!(stats.exits, 3);
    assert_eq!(stats.batches[&11], 1);
}

#[test]
fn switched_off_nobody_answers() {
    let mut a = code();
    ring(&mut a, &[Entry::output(Width::Byte, 0x3f8, 65)]);
    let mut no = a.create_label();
    a.cmp(eax, -1000).unwrap();
    a.jne(no).unwrap();
    say(&mut a, "no answer");
    a.set_label(&mut no).unwrap();
    power_off(&mut a);
    let off = |config: &mut Config, _: &Folder| config.transport = Transport::Off;
    let Some((_, said, stats)) = run("off", a, off) else {
        return;
    };
    assert_eq!(said, "no answer");
    assert!(stats.batches.is_empty());
}

/// A sector by one string entry, on both kinds of controller.
#[test]
fn a_sector_goes_to_the_image_in_one_exit() {
    for disk_bus in [DiskBus::Piix3, DiskBus::Legacy] {
        let register = |port: u16, value| Entry::output(Width::Byte, 0x1f0 + port, value);
        let mut a = code();
        ring(
            &mut a,
            &[
                register(6, 0xe0),
                register(2, 1),
                register(3, 2),
                register(4, 0),
                register(5, 0),
                register(7, 0x30),
                Entry::string(
                    xkvm_host::abi::Direction::Out,
                    Width::Word,
                    0x1f0,
                    LOAD,
                    256,
                ),
                Entry::input(Width::Byte, 0x1f7),
            ],
        );
        // The status read: ready, no error
        let mut no = a.create_label();
        a.cmp(dword_ptr(PAGE + 16 + 16 * 7 + 4), 0x50).unwrap();
        a.jne(no).unwrap();
        say(&mut a, "written");
        a.set_label(&mut no).unwrap();
        power_off(&mut a);
        let mut image = PathBuf::new();
        let mut copy = Vec::new();
        let kept = Folder::new(&format!("disk-{disk_bus:?}"));
        let disk = |config: &mut Config, _: &Folder| {
            config.disk_bus = disk_bus;
            image = kept.file("disk.img", &[0; 4096]);
            copy = fs::read(&config.kernel).unwrap();
            config.disks.push(Image {
                path: image.clone(),
                read_only: false,
            });
        };
        let Some((outcome, said, stats)) = run("sector", a, disk) else {
            return;
        };
        assert_eq!((outcome, said.as_str()), (Outcome::PowerOff, "written"));
        assert_eq!(stats.by_reason()["batch"], 1);
        let written = fs::read(&image).unwrap();
        let sent = &copy[1024..copy.len().min(1536)];
        assert_eq!(&written[1024..1024 + sent.len()], sent);
        assert!(written[..1024].iter().all(|b| *b == 0));
    }
}

#[test]
fn resets_and_crashes_end_the_vm() {
    let mut a = code();
    a.mov(al, 0xfeu32).unwrap();
    a.out(0x64, al).unwrap();
    a.hlt().unwrap();
    let Some((outcome, ..)) = run("reset", a, |_, _| ()) else {
        return;
    };
    assert_eq!(outcome, Outcome::Reset);

    let mut a = code();
    // There is no interrupt table.
    a.ud2().unwrap();
    let (outcome, ..) = run("crash", a, |_, _| ()).unwrap();
    assert_eq!(outcome, Outcome::TripleFault);
}

#[test]
fn what_is_no_kernel_is_refused() {
    let folder = Folder::new("refused");
    if Kvm::new().is_err() {
        eprintln!("SKIPPED: no /dev/kvm");
        return;
    }
    let mut config = Config {
        kernel: folder.file("text", &[b'x'; 2000]),
        memory: 32 << 20,
        ..Config::default()
    };
    let error = Machine::new(&config, Box::new(io::sink())).unwrap_err();
    assert!(
        format!("{error:#}").contains("is not a bzImage"),
        "{error:#}"
    );
    config.kernel = folder.file("bzImage", &bzimage(code()));
    config.cmdline = "x".repeat(300);
    let error = Machine::new(&config, Box::new(io::sink())).unwrap_err();
    assert!(format!("{error:#}").contains("command line"), "{error:#}");
    config.memory = 1;
    let error = Machine::new(&config, Box::new(io::sink())).unwrap_err();
    assert!(format!("{error:#}").contains("16M"), "{error:#}");
    for cpus in [0, 33] {
        config.cpus = cpus;
        let error = Machine::new(&config, Box::new(io::sink())).unwrap_err();
        assert!(error.to_string().contains("1 to 32"), "{error:#}");
    }
}

/// The first vCPU wakes the second by its local APIC; the second one prints and switches the machine off, while the first spins.
#[test]
fn a_second_cpu_is_started_and_ends_the_vm() {
    let apic = |a: &mut CodeAssembler, register: u32, value: u32| {
        a.mov(dword_ptr(0xfee0_0000u32 + register), value).unwrap();
    };
    // What the second one runs in real mode, from page 8 on.
    let mut ap = CodeAssembler::new(16).unwrap();
    ap.mov(dx, 0x3f8u32).unwrap();
    ap.mov(al, 0x32u32).unwrap();
    ap.out(dx, al).unwrap();
    ap.mov(dx, 0x604u32).unwrap();
    ap.mov(ax, 5u32 << 10 | 1 << 13).unwrap();
    ap.out(dx, ax).unwrap();
    let ap = ap.assemble(0).unwrap();

    let mut a = code();
    for (at, byte) in (0x8000u32..).zip(&ap) {
        a.mov(byte_ptr(at), u32::from(*byte)).unwrap();
    }
    say(&mut a, "1");
    // Enable; APIC 1; INIT, then start at page 8.
    apic(&mut a, 0xf0, 0x1ff);
    apic(&mut a, 0x310, 1 << 24);
    apic(&mut a, 0x300, 0x4500);
    apic(&mut a, 0x310, 1 << 24);
    apic(&mut a, 0x300, 0x4608);
    let mut here = a.create_label();
    a.set_label(&mut here).unwrap();
    a.pause().unwrap();
    a.jmp(here).unwrap();
    let Some((outcome, said, stats)) = run("smp", a, |config, _| config.cpus = 2) else {
        return;
    };
    assert_eq!((outcome, said.as_str()), (Outcome::PowerOff, "12"));
    assert_eq!(stats.by_reason()["out"], 3, "of both");
}

/// What the marks of a guest separate: all counts of the phases together are those of the run.
#[test]
fn marks_split_the_counts() {
    let mark = |a: &mut CodeAssembler, byte: u32| {
        a.mov(dx, u32::from(MARK_PORT)).unwrap();
        a.mov(al, byte).unwrap();
        a.out(dx, al).unwrap();
    };
    let output = |port| Entry::output(Width::Byte, port, 0x62);
    let mut a = code();
    say(&mut a, "a");
    mark(&mut a, 7);
    ring(&mut a, &[output(0x3f8), output(0x3f8), output(0x3f8)]);
    say(&mut a, "c");
    mark(&mut a, 9);
    // Refused as a whole; a wider write is no mark.
    ring(&mut a, &[output(0x3f8), output(MARK_PORT)]);
    a.mov(dx, u32::from(MARK_PORT)).unwrap();
    a.out(dx, eax).unwrap();
    power_off(&mut a);
    let Some((outcome, said, stats)) = run("phases", a, |_, _| ()) else {
        return;
    };
    assert_eq!((outcome, said.as_str()), (Outcome::PowerOff, "abbbc"));
    let phases: Vec<_> = stats
        .phases
        .iter()
        .map(|phase| (phase.mark, phase.stats.exits))
        .collect();
    assert_eq!(phases, [(None, 2), (Some(7), 3), (Some(9), 3)]);
    let of = |n: usize| &stats.phases[n].stats;
    assert_eq!(of(1).batches, [(3, 1)].into());
    assert_eq!(
        (of(2).batches.len(), &of(2).refused),
        (0, &[(-1, 1)].into())
    );
    let rows = |stats: &Stats, port| stats.rows.iter().filter(|r| r.port == Some(port)).count();
    let marks = [of(0), of(1), of(2), &stats].map(|stats| rows(stats, MARK_PORT));
    assert_eq!(marks, [1, 1, 1, 3], "a mark is the end of its phase");

    let mut sum = Stats::default();
    for phase in &stats.phases {
        assert!(phase.stats.wall_nanoseconds >= phase.stats.nanoseconds);
        sum.wall_nanoseconds += phase.stats.wall_nanoseconds;
        let mut stats = phase.stats.clone();
        stats.wall_nanoseconds = 0;
        sum.add(stats);
    }
    assert_eq!(
        (sum.exits, sum.nanoseconds),
        (stats.exits, stats.nanoseconds)
    );
    assert_eq!(
        (&sum.rows, &sum.batches, &sum.refused),
        (&stats.rows, &stats.batches, &stats.refused)
    );
    if stats.kvm.is_empty() {
        eprintln!("SKIPPED: this KVM has no KVM_GET_STATS_FD");
        return;
    }
    for (name, value) in &sum.kvm {
        assert_eq!(stats.kvm[name], *value, "{name}");
    }
    // KVM also counts what it handles itself.
    for phase in &stats.phases {
        assert!(phase.stats.kvm["exits"] >= phase.stats.exits, "{phase:?}");
    }
    let json = serde_json::to_string(&stats).unwrap();
    assert_eq!(serde_json::from_str::<Stats>(&json).unwrap(), stats);
}

#[test]
fn the_second_serial_port_writes_to_its_file() {
    let to = |a: &mut CodeAssembler, port: u32, byte: char| {
        a.mov(dx, port).unwrap();
        a.mov(al, byte as u32).unwrap();
        a.out(dx, al).unwrap();
    };
    let program = || {
        let mut a = code();
        to(&mut a, 0x2f8, 'r');
        to(&mut a, 0x3f8, 'c');
        to(&mut a, 0x2f8, 's');
        // What a driver probes: the scratch register keeps its value where there is a port.
        to(&mut a, 0x2ff, 'k');
        a.in_(al, dx).unwrap();
        a.mov(dx, 0x3f8u32).unwrap();
        a.out(dx, al).unwrap();
        power_off(&mut a);
        a
    };
    let kept = Folder::new("serial2-file");
    let path = kept.file("results", b"of the run before");
    let second = |config: &mut Config, _: &Folder| config.serial2 = Some(path.clone());
    let Some((_, said, _)) = run("serial2", program(), second) else {
        return;
    };
    assert_eq!(said, "ck");
    assert_eq!(fs::read(&path).unwrap(), b"rs");

    // All ones are no text.
    let mut config = Config {
        kernel: kept.file("bzImage", &bzimage(program())),
        memory: 32 << 20,
        ..Config::default()
    };
    let console = Console::default();
    let machine = Machine::new(&config, Box::new(console.clone())).unwrap();
    machine.run(false).unwrap().outcome.unwrap();
    assert_eq!(*console.0.lock().unwrap(), b"c\xff", "without the option");

    config.serial2 = Some(kept.file("file", b"").join("below"));
    let error = Machine::new(&config, Box::new(io::sink())).unwrap_err();
    assert!(
        format!("{error:#}").contains("second serial port"),
        "{error:#}"
    );
}

/// An LBA48 command, where the order of the writes decides about the sector, with its registers collected by KVM or not.
#[test]
fn collected_registers_are_no_exits() {
    // High bytes, low bytes: one sector, number 0x100_0002.
    let registers: [(u32, u32); 10] = [
        (1, 0),
        (2, 0),
        (3, 1),
        (4, 0),
        (5, 0),
        (2, 1),
        (3, 2),
        (4, 0),
        (5, 0),
        (6, 0xe0),
    ];
    const SECTOR: u64 = 0x100_0002;
    if Kvm::new().is_ok_and(|kvm| !kvm.check_extension(Cap::CoalescedPio)) {
        eprintln!("SKIPPED: this KVM cannot collect port writes");
        return;
    }
    for disk_bus in [DiskBus::Piix3, DiskBus::Legacy] {
        let mut exits = Vec::new();
        for coalesced_pio in [false, true] {
            let mut a = code();
            for (register, value) in registers.into_iter().chain([(7, 0x34)]) {
                a.mov(dx, 0x1f0 + register).unwrap();
                a.mov(al, value).unwrap();
                a.out(dx, al).unwrap();
            }
            a.mov(dx, 0x1f0u32).unwrap();
            a.mov(esi, LOAD as u32).unwrap();
            a.mov(ecx, 256u32).unwrap();
            a.rep().outsw().unwrap();
            // Written, but never looked at: the end of the run has to see it.
            a.mov(dx, 0x1f2u32).unwrap();
            a.out(dx, al).unwrap();
            power_off(&mut a);

            let kept = Folder::new(&format!("collected-{disk_bus:?}"));
            let image = kept.file("disk.img", &[]);
            let disk = fs::File::options().write(true).open(&image).unwrap();
            disk.set_len((SECTOR + 8) * 512).unwrap();
            let mut sent = Vec::new();
            let change = |config: &mut Config, _: &Folder| {
                config.disk_bus = disk_bus;
                config.coalesced_pio = coalesced_pio;
                sent = fs::read(&config.kernel).unwrap().split_off(1024);
                config.disks.push(Image {
                    path: image.clone(),
                    read_only: false,
                });
            };
            let Some((outcome, _, stats)) = run("collected", a, change) else {
                return;
            };
            assert_eq!(outcome, Outcome::PowerOff);
            let mut written = vec![0; sent.len().min(512)];
            let disk = fs::File::open(&image).unwrap();
            disk.read_exact_at(&mut written, SECTOR * 512).unwrap();
            assert_eq!(written, sent[..written.len()]);
            let of = |ports: std::ops::RangeInclusive<u16>| {
                let rows = stats.rows.iter();
                rows.filter(|r| r.port.is_some_and(|p| ports.contains(&p)))
                    .map(|r| r.exits)
                    .sum::<u64>()
            };
            exits.push((of(0x1f1..=0x1f6), of(0x1f7..=0x1f7)));
        }
        assert_eq!(exits, [(11, 1), (0, 1)], "{disk_bus:?}");
    }
}
