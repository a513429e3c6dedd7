//! What is run: which kernels, on which host and VMM, doing what.

use crate::kernel::Arch;
use crate::kernel::config::Config;
use crate::kernel::series::{Choice, Request};
use crate::kvm_host::Vmm;

/// A guest kernel. In this order each is most like the one before, and the least is compiled anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guest {
    /// Without the series.
    Stock,
    /// With the recipes that batch port I/O of libata: little is compiled anew for it.
    Batches,
    /// With one recipe (and what it needs).
    Only(&'static str),
    /// With the series that `guestpatch series` writes.
    Default,
    /// With every recipe for guests.
    All,
    /// Without the series, at another rate.
    Hz(u32),
    /// With 32 bits, without the series or with one recipe.
    I386(Option<&'static str>),
}

impl Guest {
    /// A word for it.
    pub fn name(self) -> String {
        match self {
            Self::Stock => "stock".to_owned(),
            Self::Batches => "batches".to_owned(),
            Self::Default => "default".to_owned(),
            Self::All => "all".to_owned(),
            Self::Only(recipe) => recipe.to_owned(),
            Self::Hz(rate) => format!("hz-{rate}"),
            Self::I386(recipe) => format!("i386-{}", recipe.unwrap_or("stock")),
        }
    }

    /// Whether it has anything of a series.
    pub fn is_patched(self) -> bool {
        !matches!(self, Self::Stock | Self::Hz(_) | Self::I386(None))
    }

    /// The kernel without the series that this one is compared with.
    pub fn stock(self) -> Self {
        match self {
            Self::I386(_) => Self::I386(None),
            _ => Self::Stock,
        }
    }

    /// What it is built for.
    pub fn arch(self) -> Arch {
        match self {
            Self::I386(_) => Arch::I386,
            _ => Arch::X86_64,
        }
    }

    /// What guestpatch is asked for.
    pub fn request(self) -> Request {
        let (choice, names): (_, &[&str]) = match self {
            Self::Batches => (Choice::None, &["libata-taskfile", "libata-pio-data"]),
            Self::Stock | Self::Hz(_) | Self::Only(_) | Self::I386(_) => (Choice::None, &[]),
            Self::Default => (Choice::Default, &[]),
            Self::All => (Choice::All, &[]),
        };
        let mut names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        if let Self::Only(recipe) | Self::I386(Some(recipe)) = self {
            names.push(recipe.to_owned());
        }
        Request {
            choice,
            names,
            folder: None,
            set: Vec::new(),
        }
    }

    /// What its configuration has besides the lab's.
    pub fn config(self) -> Config {
        match self {
            Self::Hz(rate) => Config::parse(&format!("CONFIG_HZ_{rate}=y")).unwrap_or_default(),
            _ => Config::default(),
        }
    }
}

/// The kernel whose KVM runs the guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// As Debian ships it.
    Stock,
    /// Built with the host series; `pit_max_hz` is the parameter of its kvm module, 0 for no limit.
    Patched {
        /// Most interrupts a second from the PIT.
        pit_max_hz: u32,
    },
}

impl Host {
    /// For readers.
    pub fn name(self) -> String {
        match self {
            Self::Stock => "stock KVM".to_owned(),
            Self::Patched { pit_max_hz: 0 } => "KVM with the host series".to_owned(),
            Self::Patched { pit_max_hz } => format!("KVM with pit_max_hz={pit_max_hz}"),
        }
    }
}

/// A guest kernel on a host and a VMM.
#[derive(Debug, Clone)]
pub struct Variant {
    /// Unique, fit for file names.
    pub name: String,
    /// The guest.
    pub guest: Guest,
    /// The host.
    pub host: Host,
    /// The VMM.
    pub vmm: Vmm,
    /// What this variant's command line has besides the usual.
    pub parameters: &'static str,
    /// The guest's name of the disk.
    pub disk: &'static str,
}

/// KiB that fill caches and queues. In blocks of 4 KiB they would take an hour in a machine of QEMU's, and show nothing else.
const LARGE: u32 = 64 << 10;

/// What a guest does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// No more than to boot.
    Boot,
    /// Single commands of the disk, with KVM's tracepoints.
    Commands,
    /// Writes and reads of this many KiB, direct and buffered, in blocks of 4 and of 128 KiB; much data only in large blocks.
    Blocks(u32),
    /// That many small files.
    Files(u32),
    /// Nothing, for that many seconds.
    Idle(u32),
    /// This many KiB each way, and pings.
    Network {
        /// The module.
        driver: &'static str,
        /// KiB each way.
        kib: u32,
        /// Pings, each after the answer to the one before.
        pings: u32,
    },
}

impl Workload {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::Commands => "commands",
            Self::Blocks(_) => "blocks",
            Self::Files(_) => "files",
            Self::Idle(_) => "idle",
            Self::Network { .. } => "network",
        }
    }

    /// Its parameters for the guest's script.
    pub fn parameters(self) -> String {
        let own = match self {
            Self::Boot => return "lab.workload=measure".to_owned(),
            Self::Commands => String::new(),
            Self::Blocks(kib) if kib >= LARGE => format!(" lab.kib={kib} lab.sizes=128"),
            Self::Blocks(kib) => format!(" lab.kib={kib} lab.sizes=4,128"),
            Self::Files(files) => format!(" lab.files={files}"),
            Self::Idle(seconds) => format!(" lab.seconds={seconds}"),
            Self::Network { driver, kib, pings } => {
                format!(" lab.driver={driver} lab.kib={kib} lab.pings={pings}")
            }
        };
        format!("lab.workload=measure lab.parts={}{own}", self.name())
    }

    /// What it measures, in order; before the first is the phase `boot`.
    pub fn phases(self) -> &'static [&'static str] {
        match self {
            Self::Boot => &[],
            Self::Commands => &["write-sector", "read-sector", "write-far", "read-far"],
            Self::Blocks(LARGE..) => &[
                "write-direct-128k",
                "read-direct-128k",
                "write-buffered-128k",
                "read-buffered-128k",
            ],
            Self::Blocks(_) => &[
                "write-direct-4k",
                "read-direct-4k",
                "write-buffered-4k",
                "read-buffered-4k",
                "write-direct-128k",
                "read-direct-128k",
                "write-buffered-128k",
                "read-buffered-128k",
            ],
            Self::Files(_) => &["files-make", "files-read", "files-remove"],
            Self::Idle(_) => &["idle"],
            Self::Network { .. } => &["receive", "send", "ping"],
        }
    }

    /// KiB that each of its phases moves, where that means something.
    pub fn kib(self) -> Option<u32> {
        match self {
            Self::Blocks(kib) | Self::Network { kib, .. } => Some(kib),
            _ => None,
        }
    }

    /// Whether KVM's tracepoints are recorded.
    pub fn is_traced(self) -> bool {
        self == Self::Commands
    }
}

/// One run.
#[derive(Debug, Clone)]
pub struct Run {
    /// Who.
    pub variant: Variant,
    /// What.
    pub workload: Workload,
    /// Told apart from the same run before.
    pub again: bool,
}

impl Run {
    /// The first of its sort.
    fn new(variant: Variant, workload: Workload) -> Self {
        Self {
            variant,
            workload,
            again: false,
        }
    }

    /// Unique, fit for file names.
    pub fn name(&self) -> String {
        let again = if self.again { "-again" } else { "" };
        format!("{}-{}{again}", self.variant.name, self.workload.name())
    }
}

/// A VMM's disk controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bus {
    /// PIIX3, by DMA.
    Piix3,
    /// Legacy ports, by PIO.
    Legacy,
}

impl Bus {
    fn name(self) -> &'static str {
        match self {
            Self::Piix3 => "piix3",
            Self::Legacy => "legacy",
        }
    }
}

fn xkvm(bus: Bus, guest: Guest, transport: &'static str, host: Host) -> Variant {
    let how = match (guest, transport) {
        (Guest::Stock, "off") => "stock".to_owned(),
        (guest, transport) => format!("{}-{transport}", guest.name()),
    };
    Variant {
        name: format!("{}-{how}", bus.name()),
        guest,
        host,
        vmm: Vmm::Xkvm {
            transport,
            disk_bus: bus.name(),
            coalesced_pio: false,
            pm_revision: None,
        },
        parameters: "",
        disk: "sda",
    }
}

/// The stock guest, with KVM collecting what it can by itself.
fn zone(bus: Bus) -> Variant {
    let mut variant = xkvm(bus, Guest::Stock, "off", Host::Stock);
    variant.name = format!("{}-zone", bus.name());
    if let Vmm::Xkvm { coalesced_pio, .. } = &mut variant.vmm {
        *coalesced_pio = true;
    }
    variant
}

const PATCHED: Host = Host::Patched { pit_max_hz: 0 };

/// What CI runs: it shows each promise once, and takes minutes. Without the tree of a host kernel, no host is built.
pub fn quick(hosts: bool) -> Vec<Run> {
    use {Bus::*, Workload::*};
    const KIB: u32 = 1024;
    let stock = |bus, workload| Run::new(xkvm(bus, Guest::Stock, "off", Host::Stock), workload);
    let batches = |bus, transport, host| xkvm(bus, Guest::Batches, transport, host);
    let ours = |bus, workload| Run::new(batches(bus, "doorbell", Host::Stock), workload);
    let mut runs = vec![
        // The longest first: so at the end no processor waits long for another.
        stock(Piix3, Blocks(KIB)),
        ours(Piix3, Blocks(KIB)),
        stock(Legacy, Commands),
        ours(Legacy, Commands),
        stock(Piix3, Commands),
        ours(Piix3, Commands),
        // With interrupts of the disk, which come when the time has come: the harder one to repeat.
        Run {
            again: true,
            ..ours(Piix3, Commands)
        },
        Run::new(batches(Legacy, "tunnel", Host::Stock), Commands),
        Run::new(zone(Legacy), Commands),
    ];
    if hosts {
        runs.push(Run::new(batches(Legacy, "vmcall", PATCHED), Commands));
    }
    runs
}

/// Everything.
pub fn full(hosts: bool) -> Vec<Run> {
    use {Bus::*, Workload::*};
    let mut runs = quick(hosts);
    runs.retain(|run| run.workload == Commands);
    let mut add = |variant: &Variant, workload| {
        runs.push(Run::new(variant.clone(), workload));
    };
    const DMA: u32 = 4 << 10;
    // A MiB by stock PIO is half a million exits.
    const PIO: u32 = 256;
    for (bus, kib) in [(Piix3, DMA), (Legacy, PIO)] {
        let mut variants = vec![
            xkvm(bus, Guest::Stock, "off", Host::Stock),
            zone(bus),
            xkvm(bus, Guest::Default, "off", Host::Stock),
            xkvm(bus, Guest::Default, "doorbell", Host::Stock),
            xkvm(bus, Guest::Default, "tunnel", Host::Stock),
        ];
        if hosts {
            variants.push(xkvm(bus, Guest::Default, "vmcall", PATCHED));
        }
        for variant in &variants {
            add(variant, Blocks(kib));
        }
    }
    add(
        &xkvm(Piix3, Guest::All, "doorbell", Host::Stock),
        Blocks(DMA),
    );
    for (guest, transport) in [(Guest::Stock, "off"), (Guest::Default, "doorbell")] {
        let mut variant = xkvm(Piix3, guest, transport, Host::Stock);
        add(&variant, Files(300));
        variant.name = variant.name.replace("piix3-", "piix3-large-");
        add(&variant, Blocks(LARGE));
    }
    for recipe in ["libata-taskfile", "libata-pio-data", "elevator-noop"] {
        for bus in [Piix3, Legacy] {
            add(
                &xkvm(bus, Guest::Only(recipe), "doorbell", Host::Stock),
                Blocks(PIO),
            );
        }
    }
    // Only 32-bit kernels compare the PM timer with the PIT when they boot.
    for guest in [Guest::I386(None), Guest::I386(Some("pmtmr-verify"))] {
        let mut variant = xkvm(Piix3, guest, "off", Host::Stock);
        variant.name = guest.name();
        add(&variant, Boot);
    }
    // What the recipes alone are compared with on this bus.
    let mut small = xkvm(Piix3, Guest::Stock, "off", Host::Stock);
    small.name = "piix3-small-stock".to_owned();
    add(&small, Blocks(PIO));

    // A tick that goes on while nothing is to do, as in kernels without NO_HZ.
    const PERIODIC: &str = "nohz=off highres=off";
    for guest in [Guest::Hz(1000), Guest::Stock, Guest::Hz(100)] {
        let mut variant = xkvm(Piix3, guest, "off", Host::Stock);
        variant.parameters = PERIODIC;
        add(&variant, Idle(5));
    }
    let ticking = |what: &str, guest: Guest, parameters| Variant {
        name: format!("{what}-{}", guest.name()),
        parameters,
        ..xkvm(Piix3, guest, "off", Host::Stock)
    };
    // The PM timer as the clock, of a revision that Linux distrusts.
    const PM_TIMER: &str = "nohz=off highres=off clocksource=acpi_pm";
    for guest in [Guest::Stock, Guest::Only("pmtmr-read")] {
        let mut variant = ticking("pmtimer", guest, PM_TIMER);
        if let Vmm::Xkvm { pm_revision, .. } = &mut variant.vmm {
            *pm_revision = Some(2);
        }
        add(&variant, Idle(5));
    }
    // The PIT set anew for each tick, by a guest that does not ask what KVM can do: KVM tells those that do that no delay is needed.
    const ONE_SHOT: &str = "nohz=off nolapic_timer lapic=notscdeadline nopv";
    for guest in [Guest::Stock, Guest::Only("io-delay")] {
        add(&ticking("oneshot", guest, ONE_SHOT), Idle(5));
    }
    if hosts {
        for pit_max_hz in [0, 100] {
            let host = Host::Patched { pit_max_hz };
            let mut variant = xkvm(Piix3, Guest::Hz(1000), "off", host);
            variant.name = format!("pit-{pit_max_hz}");
            // The PIT ticks only where there is no better timer.
            variant.parameters = "nohz=off highres=off nolapic_timer lapic=notscdeadline";
            add(&variant, Idle(5));
        }
    }

    let qemu = |guest: Guest, what: &str, options: &[&str], disk| Variant {
        name: format!("qemu-{what}-{}", guest.name()),
        guest,
        host: Host::Stock,
        vmm: Vmm::Qemu {
            options: options.iter().map(|o| (*o).to_owned()).collect(),
        },
        parameters: "",
        disk,
    };
    let ide = ["-device", "ide-hd,drive=disk"];
    let virtio = ["-device", "virtio-blk-pci,drive=disk"];
    add(&qemu(Guest::Stock, "ide", &ide, "sda"), Blocks(DMA));
    add(&qemu(Guest::Stock, "virtio", &virtio, "vda"), Blocks(DMA));
    for (card, driver, strip) in [
        ("rtl8139", "8139cp", "napi-8139cp"),
        ("e1000", "e1000", "napi-e1000"),
    ] {
        let device = format!("{card},netdev=net,romfile=");
        let mut guests = vec![Guest::Stock, Guest::Only(strip), Guest::All];
        if card == "rtl8139" {
            guests.push(Guest::Only("flush-reads"));
        }
        for guest in guests {
            let options = ["-device", &device];
            let network = Network {
                driver,
                kib: 1024,
                pings: 50,
            };
            add(&qemu(guest, card, &options, "sda"), network);
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_run_has_a_name_of_its_own() {
        for runs in [quick(true), full(true), full(false)] {
            let names: BTreeSet<String> = runs.iter().map(Run::name).collect();
            assert_eq!(names.len(), runs.len(), "{names:?}");
            let fit = |c: char| c.is_ascii_alphanumeric() || c == '-';
            assert!(names.iter().all(|name| name.chars().all(fit)), "{names:?}");
        }
    }

    #[test]
    fn a_host_is_built_only_when_there_is_a_tree() {
        let built = |runs: Vec<Run>| runs.iter().any(|run| run.variant.host != Host::Stock);
        assert!(built(quick(true)) && built(full(true)));
        assert!(!built(quick(false)) && !built(full(false)));
    }

    #[test]
    fn a_rate_is_a_configuration() {
        assert_eq!(Guest::Hz(1000).config().hz(), Some("1000"));
    }
}
