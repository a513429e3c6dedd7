//! What the files of a task's results say.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use xkvm_host::exits::{ExitRow, MARK_PORT, Stats};

use super::nested::Results;
use super::task::{Done, Phase, Place, Task, Traced, Vmm};
use crate::console::Facts;
use crate::run::failure;

/// The status of a guest that was ended with its machine.
pub const USED_UP: &str =
    "its machine has used up its processor time: it hangs, or this computer is slow";

/// Whether the guest had not powered off when its time was over.
pub fn is_late(task: &Task, results: &Results) -> bool {
    let status = results.get("status").map_or(&[][..], Vec::as_slice);
    let status = String::from_utf8_lossy(status);
    match (status.trim(), &task.vmm) {
        (USED_UP | "143" | "130" | "124", _) => true,
        // Only QEMU is killed; of xkvm it says that there was no memory.
        ("137", Vmm::Qemu { .. }) => true,
        _ => false,
    }
}

/// Reads the results; `log` is where the console was written to.
///
/// # Errors
/// When the VMM or the guest did not end well, or something of the results is missing or broken.
pub fn read(task: &Task, results: &Results, log: &Path) -> Result<Done> {
    let text = |name: &str| -> String {
        let bytes = results.get(name).map_or(&[][..], Vec::as_slice);
        String::from_utf8_lossy(bytes).into_owned()
    };
    let what = format!("the guest {}", task.name);
    let status = text("status");
    if status.trim() != "0" {
        let said = match text("log").trim_end() {
            "" => String::new(),
            said => format!(": {said}"),
        };
        let why = match status.trim() {
            USED_UP => format!("did not power off: {USED_UP}"),
            _ if is_late(task, results) => format!("did not power off within {:?}", task.timeout),
            status if status.parse::<u8>().is_ok() => format!("ended with status {status}"),
            why => format!("could not be run: {why}"),
        };
        return Err(failure(&what, &format!("{why}{said}"), log));
    }
    let facts = Facts::parse(&text("serial2"));
    if !facts.done {
        return Err(failure(
            &what,
            "went down before its workload was done",
            log,
        ));
    }
    let mut phases = match task.vmm {
        Vmm::Xkvm { .. } => xkvm(&text("stats.json"), &facts),
        Vmm::Qemu { .. } => qemu(&text("snapshots")),
    }
    .with_context(|| format!("what was counted of {what} cannot be read"))?;
    if task.trace {
        let lost = text("lost");
        let is_lost = |line: &str| line.split_once('=').is_none_or(|(_, n)| n.trim() != "0");
        if lost.is_empty() || lost.lines().any(is_lost) {
            bail!("KVM's tracepoints for {what} lost events: {}", lost.trim());
        }
        let traces = cut(&text("trace"))?;
        if traces.len() + 1 != phases.len() {
            bail!(
                "KVM's tracepoints for {what} show {} marks, and the VMM {}",
                traces.len(),
                phases.len() - 1
            );
        }
        for (phase, trace) in phases.iter_mut().skip(1).zip(traces) {
            phase.trace = trace;
        }
    }
    let disk = text("disk").trim().to_owned();
    Ok(Done {
        name: task.name.clone(),
        console: text("console"),
        facts,
        phases,
        hung: Vec::new(),
        disk: (!disk.is_empty()).then_some(disk),
    })
}

/// Phases that `xkvm` counted: it knows a byte of each, the guest said the name that belongs to it.
fn xkvm(json: &str, facts: &Facts) -> Result<Vec<Phase>> {
    let stats: Stats = serde_json::from_str(json).context("stats.json is broken")?;
    let name = |mark: Option<u8>| match mark {
        None => "boot".to_owned(),
        Some(mark) => match facts.get(&format!("phase_{mark}")) {
            "" => "rest".to_owned(),
            name => name.to_owned(),
        },
    };
    let place = |row: ExitRow| Place {
        reason: row.reason,
        port: row.port,
        rip: row.rip,
        caller: row.caller,
        exits: row.exits,
        nanoseconds: row.nanoseconds,
    };
    let phases = stats.phases.into_iter().map(|phase| Phase {
        name: name(phase.mark),
        nanoseconds: phase.stats.wall_nanoseconds,
        user_exits: phase.stats.exits,
        kvm: phase.stats.kvm,
        batches: phase.stats.batches,
        places: phase.stats.rows.into_iter().map(place).collect(),
        trace: Vec::new(),
    });
    Ok(phases.collect())
}

/// Phases of a guest of QEMU's, from KVM's counters at each mark.
fn qemu(snapshots: &str) -> Result<Vec<Phase>> {
    #[derive(Default)]
    struct Snapshot {
        name: String,
        // The guest stands still from the one to the other.
        reached: u64,
        left: u64,
        kvm: BTreeMap<String, u64>,
        user: BTreeMap<String, u64>,
    }
    let mut all: Vec<Snapshot> = Vec::new();
    for line in snapshots.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |word: &str| {
            word.parse()
                .with_context(|| format!("not a number: {line}"))
        };
        match (words.as_slice(), all.last_mut()) {
            (["mark", what], _) => {
                let (_, name) = what.split_once('=').context("a mark without a name")?;
                all.push(Snapshot {
                    name: name.to_owned(),
                    ..Snapshot::default()
                });
            }
            (["reached", value], Some(last)) => last.reached = number(value)?,
            (["left", value], Some(last)) => last.left = number(value)?,
            (["kvm", name, value], Some(last)) => {
                last.kvm.insert((*name).to_owned(), number(value)?);
            }
            (["user", reason, value], Some(last)) => {
                last.user.insert((*reason).to_owned(), number(value)?);
            }
            _ => bail!("`{line}` says nothing"),
        }
    }
    for mark in &all {
        let missing = [
            (!mark.kvm.contains_key("exits"), "KVM's counters"),
            (mark.user.is_empty(), "exits to user space"),
            (mark.reached == 0 || mark.left < mark.reached, "the time"),
        ];
        if let Some((_, what)) = missing.into_iter().find(|(is_missing, _)| *is_missing) {
            bail!("nothing is told of {what} at the mark `{}`", mark.name);
        }
    }
    let grown = |from: &BTreeMap<String, u64>, to: &BTreeMap<String, u64>| {
        let grown = to.iter().map(|(name, now)| {
            let was = from.get(name).copied().unwrap_or_default();
            (name.clone(), now.saturating_sub(was))
        });
        grown.filter(|(_, n)| *n > 0).collect::<BTreeMap<_, _>>()
    };
    let mut phases = Vec::new();
    let first = Snapshot {
        name: "boot".to_owned(),
        ..Snapshot::default()
    };
    let begun = std::iter::once(&first).chain(&all);
    for (from, to) in begun.zip(&all) {
        let user = grown(&from.user, &to.user);
        let place = |(reason, exits): (&String, &u64)| Place {
            reason: exit_reason(reason),
            port: None,
            rip: 0,
            caller: None,
            exits: *exits,
            nanoseconds: 0,
        };
        phases.push(Phase {
            name: from.name.clone(),
            nanoseconds: to.reached.saturating_sub(from.left),
            user_exits: user.values().sum(),
            kvm: grown(&from.kvm, &to.kvm),
            places: user.iter().map(place).collect(),
            ..Phase::default()
        });
    }
    // How long the machine was up before is no time of the guest's.
    if let Some(boot) = phases.first_mut() {
        boot.nanoseconds = 0;
    }
    Ok(phases)
}

/// `KVM_EXIT_…` of the number that the tracepoint shows (include/uapi/linux/kvm.h).
fn exit_reason(number: &str) -> String {
    match number {
        "2" => "io",
        "3" => "hypercall",
        "5" => "halt",
        "6" => "mmio",
        "7" => "window",
        "8" => "shutdown",
        "10" => "signal",
        other => other,
    }
    .to_owned()
}

/// The events from one mark to the next, beginning with the first mark. The marks are in none.
fn cut(trace: &str) -> Result<Vec<Vec<Traced>>> {
    let mut phases: Vec<Vec<Traced>> = Vec::new();
    for line in trace.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let hex = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16);
        let event = match words.as_slice() {
            ["hypercall", number] => Traced::Hypercall {
                number: hex(number).with_context(|| format!("`{line}` is no event"))?,
            },
            [way @ ("read" | "write"), port, count] => Traced::Port {
                write: *way == "write",
                port: u16::try_from(hex(port)?).with_context(|| format!("`{line}` is no event"))?,
                count: count
                    .parse()
                    .with_context(|| format!("`{line}` is no event"))?,
            },
            _ => bail!("`{line}` is no event"),
        };
        match (event, phases.last_mut()) {
            (
                Traced::Port {
                    write: true,
                    port: MARK_PORT,
                    ..
                },
                _,
            ) => phases.push(Vec::new()),
            (event, Some(last)) => last.push(event),
            (event, None) => bail!("{event:?} comes before the first mark"),
        }
    }
    Ok(phases)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_cut_at_the_marks() {
        let trace = "write 0x5e0 1\nwrite 0x1f2 1\nread 0x1f7 1\nwrite 0x5e0 1\nhypercall 0xc\n";
        let port = |write, port| Traced::Port {
            write,
            port,
            count: 1,
        };
        assert_eq!(
            cut(trace).unwrap(),
            [
                vec![port(true, 0x1f2), port(false, 0x1f7)],
                vec![Traced::Hypercall { number: 12 }]
            ]
        );
        assert!(cut("write 0x1f2 1\n").is_err());
        assert!(cut("write 0x5e0 1\nnonsense\n").is_err());
    }

    #[test]
    fn snapshots_become_differences() {
        let text = "mark 1=send\nreached 70\nkvm exits 1000\nkvm io_exits 10\nuser 2 7\nleft 100\n\
                    mark 2=rest\nreached 350\nkvm exits 1500\nkvm io_exits 10\nuser 2 9\nuser 6 40\nleft 390\n";
        let phases = qemu(text).unwrap();
        let names: Vec<_> = phases.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["boot", "send"]);
        let send = &phases[1];
        assert_eq!((send.nanoseconds, send.user_exits), (250, 42));
        assert_eq!(send.kvm, [("exits".to_owned(), 500)].into());
        assert_eq!(send.places[0].reason, "io");
        assert_eq!(send.places[1].reason, "mmio");
        assert!(qemu("kvm exits 1\n").is_err());
        for missing in [
            "reached 70\n",
            "kvm exits 1000\n",
            "user 2 7\n",
            "left 100\n",
        ] {
            let text = text.replace(missing, "");
            assert!(qemu(&text).is_err(), "without {missing}");
        }
    }

    /// A task of xkvm's and what it leaves when all is well.
    fn good() -> (Task, Results) {
        let task = Task {
            name: "t".to_owned(),
            vmm: Vmm::Xkvm {
                transport: "off",
                disk_bus: "legacy",
                coalesced_pio: false,
                pm_revision: None,
            },
            kernel: "/k".into(),
            initrd: "/i".into(),
            cmdline: String::new(),
            memory: 1,
            disk: None,
            written: 0,
            trace: true,
            timeout: std::time::Duration::from_secs(9),
            processor: std::time::Duration::from_secs(9),
        };
        let phase = |mark| xkvm_host::exits::Phase {
            mark,
            stats: Stats::default(),
        };
        let stats = Stats {
            phases: [None, Some(1), Some(2)].map(phase).into(),
            ..Stats::default()
        };
        let files = [
            ("status", "0\n".to_owned()),
            ("serial2", "XKVM phase_1=write\nXKVM done\n".to_owned()),
            ("stats.json", serde_json::to_string(&stats).unwrap()),
            ("lost", "overrun=0\ndropped events=0\n".to_owned()),
            (
                "trace",
                "write 0x5e0 1\nwrite 0x1f7 1\nwrite 0x5e0 1\n".to_owned(),
            ),
            ("log", String::new()),
        ];
        let files = files.map(|(name, text)| (name.to_owned(), text.into_bytes()));
        (task, files.into())
    }

    #[test]
    fn a_guest_that_did_not_end_well_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let console = home.path().join("console");
        std::fs::write(&console, "the last words\n").unwrap();
        let (task, all) = good();
        let done = read(&task, &all, &console).unwrap();
        assert_eq!(done.phases[1].trace.len(), 1);
        for (name, text, why) in [
            ("status", "124", "the guest t did not power off within 9s\n"),
            ("status", "1", "the guest t ended with status 1\n"),
            ("status", "137", "the guest t ended with status 137\n"),
            (
                "status",
                USED_UP,
                "the guest t did not power off: its machine has",
            ),
            (
                "status",
                "no root",
                "the guest t could not be run: no root\n",
            ),
            (
                "serial2",
                "XKVM phase_1=write\n",
                "went down before its workload was done",
            ),
            ("stats.json", "{", "cannot be read"),
            ("lost", "overrun=1\ndropped events=0\n", "lost events"),
            ("lost", "", "lost events"),
            ("trace", "write 0x5e0 1\n", "show 1 marks, and the VMM 2"),
        ] {
            let mut some = all.clone();
            some.insert(name.to_owned(), text.as_bytes().to_vec());
            let error = read(&task, &some, &console).unwrap_err();
            let said = format!("{error:#}");
            assert!(said.contains(why), "{name} {text}: {said}");
            if name == "status" {
                assert!(said.contains("the last words"), "{said}");
            }
        }
    }

    #[test]
    fn phases_have_the_names_that_the_guest_said() {
        let stats = Stats {
            phases: [None, Some(1), Some(2)]
                .map(|mark| xkvm_host::exits::Phase {
                    mark,
                    stats: Stats {
                        exits: 3,
                        ..Stats::default()
                    },
                })
                .into(),
            ..Stats::default()
        };
        let json = serde_json::to_string(&stats).unwrap();
        let facts = Facts::parse("XKVM phase_1=write\nXKVM done\n");
        let names: Vec<_> = xkvm(&json, &facts)
            .unwrap()
            .into_iter()
            .map(|p| p.name)
            .collect();
        assert_eq!(names, ["boot", "write", "rest"]);
        assert!(xkvm("{", &facts).is_err());
    }
}
