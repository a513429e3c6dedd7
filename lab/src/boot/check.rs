//! What must hold for a guest, and what each recipe must have changed.

use std::collections::BTreeSet;

use super::Amount;
use crate::check::{self, Check};
use crate::console::Facts;
use crate::peer::stream_hash;
use crate::qemu::Outcome;

pub(super) fn shown(value: &str) -> &str {
    if value.is_empty() { "nothing" } else { value }
}

/// `key` must have been said, with this value.
fn equal(place: &str, name: impl Into<String>, facts: &Facts, key: &str, value: &str) -> Check {
    let said = facts.get(key);
    Check::new(place, name, said == value, shown(said))
}

/// What a run was told to do.
pub(super) struct Expected<'a> {
    pub(super) variant: &'a str,
    pub(super) driver: &'a str,
    pub(super) amount: Amount,
    pub(super) debug: bool,
}

/// What every guest must do, patched or not.
pub(super) fn run(expected: &Expected<'_>, outcome: &Outcome, datagrams: &[Vec<u8>]) -> Vec<Check> {
    let facts = &outcome.facts;
    let amount = expected.amount;
    let place = &format!("{} {}", expected.variant, expected.driver);
    let mut checks = vec![
        equal(place, "driver", facts, "driver", expected.driver),
        equal(place, "address by DHCP", facts, "address", "10.0.2.15/24"),
        transfer(place, facts, "bulk", 1, amount.mib << 20),
        flood(place, facts, "flood_small", amount.pings),
        flood(place, facts, "flood_large", amount.pings),
        netpoll(place, datagrams, amount.messages),
    ];
    checks.push(all(
        place,
        format!("down, up and traffic, {} times", amount.cycles),
        (1..=amount.cycles).flat_map(|n| traffic(place, facts, &format!("cycle_{n}"), 100 + n)),
    ));
    let reload = |n| {
        let key = format!("reload_{n}_gone");
        let gone = equal(place, "module unloaded", facts, &key, "yes");
        traffic(place, facts, &format!("reload_{n}"), 200 + n)
            .into_iter()
            .chain([gone])
    };
    checks.push(all(
        place,
        format!("module unloaded and loaded, {} times", amount.reloads),
        (1..=amount.reloads).flat_map(reload),
    ));
    // A driver that is loaded again counts from 0.
    let errors = |n| {
        let key = format!("link_errors_{n}");
        equal(place, "no errors", facts, &key, "0 0")
    };
    checks.push(all(
        place,
        "no errors counted".to_owned(),
        (0..=amount.reloads).map(errors),
    ));
    let (written, read) = (facts.get("disk_written"), facts.get("disk_read"));
    let same = written.len() == 64 && written == read;
    checks.push(Check::new(
        place,
        "disk reads what was written",
        same,
        shown(read),
    ));
    checks.push(clock(place, facts));
    if expected.debug {
        checks.push(equal(
            place,
            "lockdep at work to the end",
            facts,
            "lockdep",
            "1",
        ));
    }
    checks.push(check::quiet(place, &outcome.console, Some(&outcome.log)));
    checks
}

/// One check of many: shows the first that does not hold.
fn all(place: &str, name: String, checks: impl Iterator<Item = Check>) -> Check {
    let checks: Vec<Check> = checks.collect();
    match checks.iter().find(|check| !check.holds) {
        Some(bad) => Check::new(place, name, false, format!("{}: {}", bad.name, bad.seen)),
        None => Check::new(
            place,
            name,
            !checks.is_empty(),
            format!("{} checks", checks.len()),
        ),
    }
}

fn transfer(place: &str, facts: &Facts, prefix: &str, seed: u64, bytes: u64) -> Check {
    let hash = stream_hash(seed, bytes);
    let name = match bytes >> 20 {
        0 => format!("{} KiB of {prefix} each way", bytes >> 10),
        mib => format!("{mib} MiB of {prefix} each way"),
    };
    let (down, up) = (
        facts.get(&format!("{prefix}_down")),
        facts.get(&format!("{prefix}_up")),
    );
    if down != hash || up != hash {
        let seen = format!("{} down and {} up, not {hash}", shown(down), shown(up));
        return Check::new(place, name, false, seen);
    }
    let speed = |way: &str| {
        let seconds = facts
            .number(&format!("{prefix}_{way}_seconds"))
            .unwrap_or(0.0);
        #[expect(clippy::cast_precision_loss, reason = "a speed for the reader")]
        let mib = (bytes as f64) / f64::from(1 << 20);
        format!("{way} {:.1} MiB/s", mib / seconds.max(0.01))
    };
    Check::new(
        place,
        name,
        true,
        format!("{}, {}", speed("down"), speed("up")),
    )
}

fn flood(place: &str, facts: &Facts, key: &str, count: u32) -> Check {
    let name = format!("{count} pings of {key}");
    equal(place, name, facts, key, &format!("{count} of {count}"))
}

fn traffic(place: &str, facts: &Facts, prefix: &str, seed: u32) -> [Check; 2] {
    [
        flood(place, facts, &format!("{prefix}_flood"), 20),
        transfer(place, facts, prefix, seed.into(), 256 << 10),
    ]
}

/// Each message must have come; netconsole may split none of these.
fn netpoll(place: &str, datagrams: &[Vec<u8>], count: u32) -> Check {
    const MARK: &str = "lab-netpoll message ";
    let mut seen = BTreeSet::new();
    for datagram in datagrams {
        for line in String::from_utf8_lossy(datagram).lines() {
            let number = line.split_once(MARK).map(|(_, number)| number.trim());
            seen.extend(number.and_then(|n| n.parse::<u32>().ok()));
        }
    }
    let holds = seen == (0..count).collect();
    let name = "kernel messages by network (netpoll)";
    Check::new(place, name, holds, format!("{} of {count}", seen.len()))
}

/// The tick that the configuration names is the one that ticks.
fn clock(place: &str, facts: &Facts) -> Check {
    let (wanted, measured) = (facts.number("hz_config"), facts.number("hz_measured"));
    let holds = match (wanted, measured) {
        // Software emulation on a busy machine does not keep time exactly. It is enough to tell the rates apart that there are.
        (Some(wanted), Some(measured)) => {
            let off = |rate: f64| (measured - rate).abs();
            let nearest = [100.0, 250.0, 300.0, 1000.0]
                .iter()
                .all(|other| off(wanted) <= off(*other));
            nearest && off(wanted) < wanted / 2.0
        }
        _ => false,
    };
    let seen = format!(
        "{} configured, {} measured",
        shown(facts.get("hz_config")),
        shown(facts.get("hz_measured"))
    );
    Check::new(place, "jiffies a second", holds, seen)
}

/// A CPU at work takes as many timer interrupts as the configuration says.
pub(super) fn ticks(place: &str, facts: &Facts) -> Check {
    let (wanted, counted) = (facts.number("hz_config"), facts.number("timer_interrupts"));
    // Time is counted in instructions here, so it is kept exactly; some timers of the kernel's own come on top.
    let holds = match (wanted, counted) {
        (Some(wanted), Some(counted)) => (counted - wanted).abs() < wanted / 10.0,
        _ => false,
    };
    let seen = format!(
        "{} configured, {} counted",
        shown(facts.get("hz_config")),
        shown(facts.get("timer_interrupts"))
    );
    Check::new(
        place,
        "timer interrupts a second of a busy CPU",
        holds,
        seen,
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;

    const SMALL: Amount = Amount {
        mib: 1,
        pings: 300,
        cycles: 2,
        reloads: 1,
        messages: 50,
    };

    fn outcome(console: &str, facts: &str) -> Outcome {
        Outcome {
            console: console.to_owned(),
            facts: Facts::parse(facts),
            log: PathBuf::from("console.log"),
            took: Duration::from_secs(1),
        }
    }

    fn datagrams(count: u32) -> Vec<Vec<u8>> {
        let line = |n| format!("<5>[   12.3] lab-netpoll message {n}\n").into_bytes();
        (0..count).map(line).collect()
    }

    /// What a guest says with which all is well.
    fn good() -> String {
        let mut said =
            "XKVM driver=e1000\nXKVM address=10.0.2.15/24\nXKVM link_errors_0=0 0\nXKVM link_errors_1=0 0\nXKVM lockdep=1\n\
                        XKVM hz_config=250\nXKVM hz_measured=249.1\n"
                .to_owned();
        let mut say = |key: &str, value: &str| said.push_str(&format!("XKVM {key}={value}\n"));
        let data = "d".repeat(64);
        say("disk_written", &data);
        say("disk_read", &data);
        for flood in ["flood_small", "flood_large"] {
            say(flood, &format!("{0} of {0}", SMALL.pings));
        }
        let mut transfer = |prefix: &str, seed, bytes| {
            let hash = stream_hash(seed, bytes);
            say(&format!("{prefix}_down"), &hash);
            say(&format!("{prefix}_up"), &hash);
            say(&format!("{prefix}_flood"), "20 of 20");
            say(&format!("{prefix}_gone"), "yes");
        };
        transfer("bulk", 1, SMALL.mib << 20);
        for n in 1..=SMALL.cycles {
            transfer(&format!("cycle_{n}"), 100 + u64::from(n), 256 << 10);
        }
        for n in 1..=SMALL.reloads {
            transfer(&format!("reload_{n}"), 200 + u64::from(n), 256 << 10);
        }
        said
    }

    fn failing(console: &str, facts: &str, datagrams: &[Vec<u8>]) -> Vec<String> {
        let expected = Expected {
            variant: "stock",
            driver: "e1000",
            amount: SMALL,
            debug: true,
        };
        let checks = run(&expected, &outcome(console, facts), datagrams);
        let bad = checks.into_iter().filter(|check| !check.holds);
        bad.map(|check| check.name).collect()
    }

    /// A console without a complaint.
    const FINE: &str = "[    1.000000] fine\n";

    #[test]
    fn a_guest_with_which_all_is_well_passes() {
        let all = datagrams(SMALL.messages);
        assert_eq!(failing(FINE, &good(), &all), [""; 0]);
    }

    #[test]
    fn each_thing_that_goes_wrong_is_seen() {
        let all = datagrams(SMALL.messages);
        for line in good().lines() {
            // Two facts that nobody looks at: a flood of the long transfer, and its module.
            if line.starts_with("XKVM bulk_flood") || line.starts_with("XKVM bulk_gone") {
                continue;
            }
            if line.starts_with("XKVM cycle_") && line.contains("_gone") {
                continue;
            }
            let without = good().replace(&format!("{line}\n"), "");
            assert_eq!(failing(FINE, &without, &all).len(), 1, "without {line}");
        }
        assert_eq!(failing("[    1.000000] BUG: x\n", &good(), &all).len(), 1);
        assert_eq!(failing(FINE, &good(), &all[1..]).len(), 1);
        let lossy = good().replace("=300 of 300", "=299 of 300");
        assert_eq!(failing(FINE, &lossy, &all).len(), 2);
        let rough = good().replace("hz_measured=249.1", "hz_measured=268.0");
        assert_eq!(failing(FINE, &rough, &all).len(), 0);
        let stopped = good().replace("hz_measured=249.1", "hz_measured=0.0");
        assert_eq!(failing(FINE, &stopped, &all).len(), 1);
        let slow = good().replace("hz_measured=249.1", "hz_measured=100.0");
        assert_eq!(failing(FINE, &slow, &all).len(), 1);
    }

    #[test]
    fn too_many_and_too_few_interrupts_are_seen() {
        let holds = |said: &str| {
            let facts = Facts::parse(&format!("XKVM hz_config=250\n{said}"));
            ticks("x", &facts).holds
        };
        assert!(holds("XKVM timer_interrupts=251.5\n"));
        assert!(!holds("XKVM timer_interrupts=100.5\n"));
        assert!(!holds("XKVM timer_interrupts=300.5\n"));
        assert!(!holds(""));
    }
}
