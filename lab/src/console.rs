//! What a guest says: its kernel's messages on the console, and the workload's results on the other serial port.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Regex, RegexSet};

/// Messages of a kernel that found something wrong with itself.
static WARNINGS: LazyLock<RegexSet> = LazyLock::new(|| {
    RegexSet::new([
        r"\bWARNING: ",
        r"\bBUG: ",
        r"\bkernel BUG at ",
        r"\bOops\b",
        r"\bINFO: possible ",
        r"\bINFO: task .* blocked for more than ",
        r"\bINFO: (lockdep|trying to register)\b",
        r"\brcu: INFO: ",
        r"\bKASAN: ",
        r"\bUBSAN: ",
        r"\bCall Trace:",
        r"\bNETDEV WATCHDOG\b",
        r"\bgeneral protection fault\b",
        r"\bUnable to handle kernel\b",
        r"\bKernel panic - not syncing\b",
        r"\bnobody cared\b",
        r"\bsoft lockup\b",
        r"\bhard LOCKUP\b",
        r"\bTx timeout\b",
        r"\bDetected Tx Unit Hang\b",
        r"\bsegfault at ",
        r"\bNOHZ\b.*softirq",
        r"\bhuh, entered softirq\b",
        r"\bunregister_netdevice: waiting for\b",
    ])
    .expect("the patterns are right")
});

/// The lines of a console with which a kernel complains, and up to two after each.
pub fn warnings(console: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut context = 0;
    for line in console.lines() {
        // The script's own commands stand on the console too.
        if line.starts_with("lab: ") {
            continue;
        }
        if WARNINGS.is_match(line) {
            context = 3;
        }
        if context > 0 {
            context -= 1;
            found.push(line.trim_end().to_owned());
        }
    }
    found
}

/// Results of a workload: `XKVM key=value` lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Facts {
    values: BTreeMap<String, String>,
    /// Whether the last line was `XKVM done`.
    pub done: bool,
}

impl Facts {
    /// Reads what came over the second serial port.
    pub fn parse(text: &str) -> Self {
        let mut facts = Self::default();
        for line in text.lines() {
            let Some(said) = line.trim().strip_prefix("XKVM ") else {
                continue;
            };
            facts.done = said == "done";
            if let Some((key, value)) = said.split_once('=') {
                facts.values.insert(key.to_owned(), value.trim().to_owned());
            }
        }
        facts
    }

    /// The value of `key`; empty when the guest did not say it.
    pub fn get(&self, key: &str) -> &str {
        self.values.get(key).map_or("", String::as_str)
    }

    /// The value of `key` as a number.
    pub fn number(&self, key: &str) -> Option<f64> {
        self.get(key).parse().ok()
    }

    /// All keys and values, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }
}

/// The kernel's messages of a console, without the time in front and without what is another value in each run.
pub fn messages(console: &str) -> Vec<String> {
    static STAMP: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:<\d>)?\[ *\d+\.\d{6}\] (.*)$"));
    console
        .lines()
        .filter_map(|line| STAMP.captures(line.trim_end()))
        .map(|found| normal(&found[1]))
        .collect()
}

/// One message, with what changes from run to run and build to build replaced.
fn normal(message: &str) -> String {
    static CHANGES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        let rules = [
            // file systems have names that are drawn
            (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "#-#"),
            // addresses, ranges, masks
            (r"\b0x[0-9a-f]+\b", "0x#"),
            (r"\b[0-9a-f]{8,16}\b", "#"),
            // sizes, in any unit
            (
                r"\b\d+(\.\d+)? ?(K|kB|KB|KiB|MB|MiB|bytes|pages|blocks)\b",
                "# $2",
            ),
            // the layout of per-CPU data
            (r"\b([srdu])\d{3,}\b", "$1#"),
            (r"\balloc=\d+\*", "alloc=#*"),
            // measured: speeds and times
            (r"\b\d+\.\d+ (MHz|BogoMIPS)", "# $1"),
            (r"\blpj=\d+", "lpj=#"),
            (r"\(-?[#\d]+, -?[#\d]+\)", "(#, #)"),
            (
                r"\b\d+(\.\d+)? ?(ns|us|usecs|msecs|ms|seconds|secs|jiffies|MB/sec)\b",
                "# $2",
            ),
            (r"\bset to \S+ UTC \(\d+\)", "set to # UTC"),
            // the version of the kernel is in its banner
            (r"\b\d+\.\d+\.\d+[-+.\w]*", "#.#.#"),
            // ports of the lab's own server
            (r"\blab\.(port|syslog)=\d+", "lab.$1=#"),
            (r"\b(remote port|local port) \d+", "$1 #"),
        ];
        rules.map(|(from, to)| (pattern(from), to)).into()
    });
    let mut text = message.to_owned();
    for (from, to) in CHANGES.iter() {
        text = from.replace_all(&text, *to).into_owned();
    }
    text
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is right")
}

/// Lines that only one of two runs has, however often: (only in the first, only in the second). The order of messages is not
/// compared, as it changes from run to run where CPUs and devices come up at the same time.
pub fn difference(first: &[String], second: &[String]) -> (Vec<String>, Vec<String>) {
    let only = |these: &[String], those: &[String]| {
        let mut seen: Vec<String> = Vec::new();
        for line in these {
            if !those.contains(line) && !seen.contains(line) {
                seen.push(line.clone());
            }
        }
        seen
    };
    (only(first, second), only(second, first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_found_with_what_follows() {
        let console = "[    1.0] fine\n[    2.0] WARNING: CPU: 0 PID: 1 at x.c:3 f+0x1/0x2\n[    2.0] Modules linked in:\n\
                       [    2.0] CPU: 0\n[    3.0] later\n";
        assert_eq!(
            warnings(console),
            [
                "[    2.0] WARNING: CPU: 0 PID: 1 at x.c:3 f+0x1/0x2",
                "[    2.0] Modules linked in:",
                "[    2.0] CPU: 0"
            ]
        );
    }

    #[test]
    fn every_sort_of_complaint_is_known() {
        for line in [
            "BUG: kernel NULL pointer dereference, address: 0000000000000000",
            "BUG: KASAN: slab-use-after-free in f+0x1/0x2",
            "WARNING: possible circular locking dependency detected",
            "WARNING: inconsistent lock state",
            "INFO: possible recursive locking detected",
            "INFO: task ip:33 blocked for more than 120 seconds.",
            "Oops: 0000 [#1] SMP",
            "rcu: INFO: rcu_sched detected stalls on CPUs/tasks:",
            "rcu: INFO: rcu_preempt self-detected stall on CPU",
            "NETDEV WATCHDOG: eth0 (8139cp): transmit queue 0 timed out",
            " Call Trace:",
            "irq 11: nobody cared (try booting with the \"irqpoll\" option)",
            "Kernel panic - not syncing: Attempted to kill init!",
            "general protection fault, probably for non-canonical address",
            "e1000 0000:00:03.0 eth0: Detected Tx Unit Hang",
            "NOHZ tick-stop error: local softirq work is pending, handler #08!!!",
            "NOHZ: local_softirq_pending 08",
            "softirq: huh, entered softirq 3 NET_RX 0 with preempt_count 101, exited with 102?",
            "unregister_netdevice: waiting for eth0 to become free. Usage count = 1",
        ] {
            assert!(!warnings(line).is_empty(), "{line}");
        }
    }

    #[test]
    fn a_sound_console_has_no_complaint() {
        let console = "[    0.0] Warning: unable to open an initial console.\n[    0.1] rcu: Hierarchical RCU implementation.\n\
                       [    0.2] debug: unmapping init memory\nlab: grep 'BUG: ' /tmp/x\n[    0.3] random: 7 urandom warning(s) missed\n";
        assert_eq!(warnings(console), [""; 0]);
    }

    #[test]
    fn facts_are_read_whatever_the_line_end() {
        let facts = Facts::parse("noise\nXKVM a=1\r\nXKVM b=x = y\nXKVM c=\nXKVM done\r\n");
        assert!(facts.done);
        assert_eq!(facts.get("a"), "1");
        assert_eq!(facts.number("a"), Some(1.0));
        assert_eq!(facts.get("b"), "x = y");
        assert_eq!(facts.get("c"), "");
        assert_eq!(facts.get("d"), "");
        assert_eq!(facts.number("b"), None);
    }

    #[test]
    fn only_the_last_line_can_say_that_all_is_done() {
        assert!(!Facts::parse("XKVM a=1\n").done);
        assert!(!Facts::parse("XKVM done\nXKVM a=1\n").done);
    }

    #[test]
    fn what_differs_in_each_run_is_no_difference() {
        assert_eq!(
            normal("percpu: Embedded 44 pages/cpu s143256 r8192 d28776 u2097152"),
            "percpu: Embedded # pages/cpu s# r# d# u#"
        );
        assert_eq!(
            normal("EXT4-fs (sda): mounted filesystem 0b1c2d3e-1234-4abc-8def-0123456789ab r/w"),
            "EXT4-fs (sda): mounted filesystem #-# r/w"
        );
        assert_eq!(
            normal("pcpu-alloc: s77900 r0 d32692 u110592 alloc=27*4096"),
            normal("pcpu-alloc: s77164 r0 d29332 u106496 alloc=26*4096")
        );
        assert_eq!(
            normal("sched_clock: Marking stable (211031246, 897135)->(213066089, -1137708)"),
            normal("sched_clock: Marking stable (211030614, -8970)->(213065980, -41138311)")
        );
        let one = "[    0.000000] tsc: Detected 2394.374 MHz processor\n[    0.000000] BIOS-e820: [mem 0x0000000000100000-0x1ffdffff]\n\
                   [    0.1] not a message\n[    0.120000] Memory: 498120K/523768K available (4096K kernel code)\n";
        let two = "[   12.345678] tsc: Detected 1000.001 MHz processor\n[    0.000000] BIOS-e820: [mem 0x0000000000200000-0x1ffdffff]\n\
                   [    0.130000] Memory: 498000K/523768K available (4100K kernel code)\n[    0.140000] new\n";
        let (first, second) = (messages(one), messages(two));
        assert_eq!(first.len(), 3);
        assert_eq!(
            difference(&first, &second),
            (vec![], vec!["new".to_owned()])
        );
    }

    #[test]
    fn a_difference_is_told_once() {
        let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            difference(&lines("a x b x"), &lines("b c a")),
            (lines("x"), lines("c"))
        );
    }
}
