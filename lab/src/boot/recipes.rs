//! What each recipe must have changed: read back from guests, from objects, and from the registers that were touched. The kernel
//! without the series must be different there, or there is nothing to see.

use std::fs;

use anyhow::{Context, Result};

use super::check::shown;
use super::{Nic, Quiet, Variant};
use crate::check::Check;
use crate::kernel::series::Series;
use crate::kernel::{Arch, Kernel, modules};
use crate::qemu::Outcome;

/// All of it.
pub(super) fn checks(arch: Arch, patched: &Variant, stock: Option<&Variant>) -> Result<Vec<Check>> {
    let Some(run) = patched.runs.first() else {
        return Ok(Vec::new());
    };
    let before = stock.and_then(|s| s.runs.first()).map(|r| &r.outcome);
    let mut checks = read_back(&patched.series, &run.outcome, before);
    checks.extend(napi(patched, stock)?);
    let before = stock.map(|stock| &stock.kernel);
    checks.extend(objects(arch, &patched.series, &patched.kernel, before)?);
    if let Some(stock) = stock {
        for (nic, now) in &patched.quiet {
            if let Some((_, before)) = stock.quiet.iter().find(|(n, _)| n == nic) {
                checks.extend(card(&patched.series, *nic, before, now));
            }
        }
        if let (Some((_, before)), Some((_, now))) = (stock.quiet.first(), patched.quiet.first()) {
            checks.extend(machine(arch, &patched.series, before, now));
        }
    }
    Ok(checks)
}

/// What a guest tells about itself. The stock kernel must tell something else: only so is there something to see.
fn read_back(series: &Series, now: &Outcome, before: Option<&Outcome>) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut add = |recipe: &str, key: &str, is_right: &dyn Fn(&str) -> bool| {
        if !series.has(recipe) {
            return;
        }
        let value = now.facts.get(key);
        let mut holds = is_right(value);
        let seen = match before.map(|outcome| outcome.facts.get(key)) {
            None => format!("{key} is {}", shown(value)),
            Some(was) if was != value => {
                format!("{key} was {}, is {}", shown(was), shown(value))
            }
            Some(_) => {
                holds = false;
                format!("{key} is {}, as without the series", shown(value))
            }
        };
        checks.push(Check::new("patched", recipe, holds, seen));
    };
    // The one in brackets is active.
    add("elevator-noop", "scheduler", &|s| s.contains("[none]"));
    let hz = series.config.hz();
    add("clock-hz", "hz_config", &|value| Some(value) == hz);
    add("pmtmr-read", "symbol_acpi_pm_read_slow", &|n| n == "0");
    // IO_DELAY_NONE
    add("io-delay", "io_delay", &|kind| kind == "3");
    add("xkvm-io", "symbol_xkvm_io_coalesce", &|n| n == "1");
    if series.has("xkvm-io") {
        let line = now.console.lines().find(|l| l.contains("xkvm_io: "));
        let seen = line.unwrap_or("it says nothing, as QEMU is no host for it");
        let name = "xkvm-io finds no host";
        checks.push(Check::new("patched", name, line.is_none(), seen));
    }
    checks
}

/// A driver without NAPI asks the kernel for nothing of it.
fn napi(patched: &Variant, stock: Option<&Variant>) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    for (module, path) in patched.kernel.modules()? {
        let recipe = format!("napi-{module}");
        if !patched.series.has(&recipe) {
            continue;
        }
        let uses = |names: Vec<String>| -> Vec<String> {
            names.into_iter().filter(|n| n.contains("napi")).collect()
        };
        let now = uses(modules::imports(&path)?);
        let mut seen = format!("{module} uses {}", shown(&now.join(" ")));
        let mut holds = now.is_empty();
        if let Some(stock) = stock {
            let file = stock
                .kernel
                .modules()?
                .into_iter()
                .find(|(n, _)| *n == module);
            let was = match file {
                Some((_, path)) => uses(modules::imports(&path)?),
                None => Vec::new(),
            };
            holds &= !was.is_empty();
            seen = format!(
                "{module} used {}, uses {}",
                shown(&was.join(" ")),
                shown(&now.join(" "))
            );
        }
        checks.push(Check::new("patched", recipe, holds, seen));
    }
    Ok(checks)
}

/// What the compiler made of the recipes.
fn objects(
    arch: Arch,
    series: &Series,
    now: &Kernel,
    before: Option<&Kernel>,
) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    for (recipe, function) in [
        ("libata-taskfile", "xkvm_io_coalesce"),
        ("libata-pio-data", "xkvm_io_outs"),
    ] {
        if series.has(recipe) {
            let calls = |kernel: &Kernel| -> Result<bool> {
                let imports = modules::imports(&kernel.object("libata-sff.o"))?;
                Ok(imports.iter().any(|name| name == function))
            };
            let (is, was) = (calls(now)?, before.map(calls).transpose()?);
            let word = |calls| if calls { "calls" } else { "does not call" };
            let mut seen = format!("libata-sff.o {} {function}", word(is));
            if let Some(was) = was {
                seen = format!("{seen}; without the series it {} it", word(was));
            }
            let holds = is && was != Some(true);
            checks.push(Check::new("patched", recipe, holds, seen));
        }
    }
    if series.has("pmtmr-verify") {
        let is = checks_rate(now)?;
        let was = before.map(checks_rate).transpose()?;
        checks.push(rate_check(arch, is, was));
    }
    Ok(checks)
}

/// Whether the kernel compares the PM timer with the PIT. The function is inlined, but what it has to say is not.
fn checks_rate(kernel: &Kernel) -> Result<bool> {
    const MESSAGE: &[u8] = b"PM-Timer running at invalid rate";
    let file = kernel.object("acpi_pm.o");
    let object = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(object.windows(MESSAGE.len()).any(|part| part == MESSAGE))
}

fn rate_check(arch: Arch, is: bool, was: Option<bool>) -> Check {
    let word = |is| if is { "there" } else { "absent" };
    let now = word(is);
    let (holds, seen) = match (arch, was) {
        // There is only a macro in its place.
        (Arch::X86_64, _) => (
            !is,
            format!("the rate check is {now}; x86-64 never has it: no effect here"),
        ),
        (Arch::I386, Some(was)) => (
            was && !is,
            format!("the rate check was {}, is {now}", word(was)),
        ),
        (Arch::I386, None) => (!is, format!("the rate check is {now}")),
    };
    Check::new("patched", "pmtmr-verify", holds, seen)
}

/// What a card's registers tell.
fn card(series: &Series, nic: Nic, before: &Quiet, now: &Quiet) -> Vec<Check> {
    // Region and device have the same name.
    if !series.has("flush-reads") || nic.device() != "rtl8139" {
        return Vec::new();
    }
    let read_backs = |quiet: &Quiet| quiet.registers.device("rtl8139").read_backs;
    let place = format!("patched {}", nic.driver());
    vec![fewer(
        &place,
        "flush-reads",
        "registers read back right after they were written",
        read_backs(before),
        read_backs(now),
    )]
}

/// What the other registers of the machine tell.
fn machine(arch: Arch, series: &Series, before: &Quiet, now: &Quiet) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut reads = |recipe: &str, device: &str, what: &str| {
        if series.has(recipe) {
            let reads = |quiet: &Quiet| quiet.registers.device(device).reads;
            let name = format!("{recipe} in registers");
            checks.push(fewer("patched", &name, what, reads(before), reads(now)));
        }
    };
    reads("pmtmr-read", "acpi-tmr", "reads of the PM timer");
    if arch == Arch::I386 {
        // Whether channel 2 of the PIT has run out is seen at the speaker's port.
        reads(
            "pmtmr-verify",
            "pcspk",
            "reads of the port of PIT channel 2",
        );
    }
    if series.has("libata-taskfile") {
        let writes = |quiet: &Quiet| quiet.registers.device("ide").writes;
        let (before, now) = (writes(before), writes(now));
        let differs = before.iter().zip(&now).position(|(was, is)| was != is);
        let (holds, seen) = match differs {
            None if before.len() == now.len() => (
                !now.is_empty(),
                format!("{} writes, all the same", now.len()),
            ),
            None => (
                false,
                format!("{} writes were made, now {}", before.len(), now.len()),
            ),
            Some(at) => {
                let told = |(address, size, value): (u64, u32, u64)| {
                    format!("{value:#x} to {address:#x} ({size} bytes)")
                };
                let (was, is) = (told(before[at]), told(now[at]));
                (false, format!("write {at} was {was}, is {is}"))
            }
        };
        let name = "libata-* without a host: what the drives' registers are written";
        checks.push(Check::new("patched", name, holds, seen));
    }
    checks
}

/// `what` must have been there, and be less now.
fn fewer(place: &str, name: &str, what: &str, was: u64, is: u64) -> Check {
    Check::new(
        place,
        name,
        is < was,
        format!("{what}: were {was}, are {is}"),
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::console::Facts;
    use crate::kernel::config::Config;

    fn outcome(console: &str, facts: &str) -> Outcome {
        Outcome {
            console: console.to_owned(),
            facts: Facts::parse(facts),
            log: PathBuf::from("console.log"),
            took: Duration::from_secs(1),
        }
    }

    fn series(recipes: &[&str]) -> Series {
        Series {
            config: Config::parse("CONFIG_HZ_100=y").unwrap(),
            recipes: recipes.iter().map(|r| ((*r).to_owned(), None)).collect(),
            ..Series::default()
        }
    }

    #[test]
    fn a_recipe_must_have_changed_something() {
        let stock = outcome(
            "",
            "XKVM scheduler=none [mq-deadline]\nXKVM hz_config=250\n",
        );
        let good = outcome(
            "",
            "XKVM scheduler=[none] mq-deadline\nXKVM hz_config=100\n",
        );
        let both = series(&["elevator-noop", "clock-hz"]);
        let holds = |now: &Outcome, before: Option<&Outcome>| -> Vec<bool> {
            let checks = read_back(&both, now, before);
            checks.iter().map(|check| check.holds).collect()
        };
        assert_eq!(holds(&good, Some(&stock)), [true, true]);
        assert_eq!(holds(&good, None), [true, true]);
        assert_eq!(holds(&stock, None), [false, false]);
        // Right, but it was so before: this shows nothing.
        assert_eq!(holds(&good, Some(&good)), [false, false]);
        assert!(read_back(&series(&[]), &stock, None).is_empty());
    }

    #[test]
    fn a_helper_that_finds_a_host_in_qemu_is_wrong() {
        let facts = "XKVM symbol_xkvm_io_coalesce=1\n";
        let quiet = read_back(&series(&["xkvm-io"]), &outcome("", facts), None);
        assert!(quiet.iter().all(|check| check.holds));
        let console = "[    0.1] xkvm_io: batches of port I/O go by doorbell\n";
        let loud = read_back(&series(&["xkvm-io"]), &outcome(console, facts), None);
        assert!(!loud[1].holds);
    }

    #[test]
    fn the_rate_check_must_go_where_it_was() {
        let holds = |arch, is, was| rate_check(arch, is, was).holds;
        assert!(holds(Arch::I386, false, Some(true)));
        assert!(holds(Arch::I386, false, None));
        assert!(!holds(Arch::I386, false, Some(false)));
        assert!(!holds(Arch::I386, true, Some(true)));
        assert!(holds(Arch::X86_64, false, Some(false)));
        assert!(!holds(Arch::X86_64, true, None));
    }

    fn quiet(accesses: &[(&str, &str, u64)]) -> Quiet {
        let line = |(way, device, value): &(&str, &str, u64)| {
            format!(
                "memory_region_ops_{way} cpu 0 mr 0x1 addr 0x1f7 value {value:#x} size 1 name '{device}'\n"
            )
        };
        let trace = tempfile::NamedTempFile::new().unwrap();
        fs::write(&trace, accesses.iter().map(line).collect::<String>()).unwrap();
        Quiet {
            said: Vec::new(),
            facts: Facts::default(),
            registers: super::super::registers::Registers::read(trace.path()).unwrap(),
        }
    }

    #[test]
    fn fewer_reads_are_wanted_and_the_same_writes() {
        let timer = ("read", "acpi-tmr", 1);
        let (a, b) = (("write", "ide", 0xe7), ("write", "ide", 0xa0));
        let both = series(&["pmtmr-read", "libata-taskfile"]);
        let holds = |before: &Quiet, now: &Quiet| -> Vec<bool> {
            let checks = machine(Arch::X86_64, &both, before, now);
            checks.iter().map(|check| check.holds).collect()
        };
        let stock = quiet(&[timer, a, timer, b]);
        assert_eq!(holds(&stock, &quiet(&[timer, a, b])), [true, true]);
        assert_eq!(holds(&stock, &stock), [false, true]);
        assert_eq!(holds(&stock, &quiet(&[timer, b, a])), [true, false]);
        assert_eq!(holds(&stock, &quiet(&[timer, a])), [true, false]);
        let idle = quiet(&[timer]);
        assert_eq!(holds(&idle, &idle), [false, false]);
    }

    #[test]
    fn registers_of_a_card_are_read_back_less_often() {
        let flush = series(&["flush-reads"]);
        let (write, read) = (("write", "rtl8139", 1), ("read", "rtl8139", 1));
        let stock = quiet(&[write, read, write, read]);
        let better = quiet(&[write, write, read]);
        assert!(card(&flush, Nic::Rtl8139, &stock, &better)[0].holds);
        assert!(!card(&flush, Nic::Rtl8139, &stock, &stock)[0].holds);
        assert!(card(&flush, Nic::E1000, &stock, &better).is_empty());
    }
}
