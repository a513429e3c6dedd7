//! Puts the VM together and runs it.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use kvm_bindings::{KVM_PIT_SPEAKER_DUMMY, kvm_pit_config};
use kvm_ioctls::{Kvm, VmFd};
use vmm_sys_util::signal::{Killable, SIGRTMIN, register_signal_handler};

use super::console::{RawTerminal, feed, on_termination};
use super::ring::Ring;
use super::shared_bus::SharedBus;
use super::vcpu::Vcpu;
use super::{acpi, board, boot, memory, offer};
use crate::abi::{Cpuid, Features, IN_KERNEL_PORTS};
use crate::devices::power::PowerSwitch;
use crate::devices::serial::Serial;
use crate::devices::shared::Shared;
use crate::exits::{MARK_PORT, Phases, Recorder, Stats};
use crate::transport::Host;

/// Where KVM may put its task state on Intel: below the BIOS, out of all RAM.
const TSS: usize = 0xfffb_d000;
/// Most vCPUs: the old APIC numbers are bytes, and nobody needs more here.
pub const MAX_CPUS: u8 = 32;

/// Which transports the guest is offered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Transport {
    /// All that this KVM can.
    #[default]
    Auto,
    /// The doorbell alone.
    Doorbell,
    /// The tunnel alone; needs `KVM_CAP_EXIT_HYPERCALL`.
    Tunnel,
    /// The hypercall of its own alone; needs a KVM that passes it on.
    Vmcall,
    /// None: the guest sees no such host.
    Off,
}

/// Where the disks are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DiskBus {
    /// PIIX3 IDE function with bus-master DMA: four disks.
    #[default]
    Piix3,
    /// The legacy ports alone, without PCI: two disks.
    Legacy,
}

/// One disk image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Raw image file.
    pub path: PathBuf,
    /// Writes fail.
    pub read_only: bool,
}

/// What to run.
#[derive(Debug, Clone)]
pub struct Config {
    /// bzImage.
    pub kernel: PathBuf,
    /// Initial RAM disk.
    pub initrd: Option<PathBuf>,
    /// Kernel command line.
    pub cmdline: String,
    /// Guest memory in bytes.
    pub memory: u64,
    /// Number of vCPUs, 1 to [`MAX_CPUS`].
    pub cpus: u8,
    /// Disks, in order.
    pub disks: Vec<Image>,
    /// Where they are.
    pub disk_bus: DiskBus,
    /// Shows power management as a PCI function of a PIIX4 of this revision; only with [`DiskBus::Piix3`].
    pub pm_revision: Option<u8>,
    /// What the guest is offered.
    pub transport: Transport,
    /// Whether KVM collects writes to the disks' registers, instead of leaving the guest for each.
    pub coalesced_pio: bool,
    /// Where the output of a second serial port goes; without it there is none.
    pub serial2: Option<PathBuf>,
    /// Whether exits are counted.
    pub stats: bool,
}

impl Default for Config {
    /// 256 MiB and one vCPU, and nothing to run.
    fn default() -> Self {
        Self {
            kernel: PathBuf::new(),
            initrd: None,
            cmdline: String::new(),
            memory: 256 << 20,
            cpus: 1,
            disks: Vec::new(),
            disk_bus: DiskBus::default(),
            pm_revision: None,
            transport: Transport::default(),
            coalesced_pio: false,
            serial2: None,
            stats: false,
        }
    }
}

/// How the VM ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The guest switched itself off.
    PowerOff,
    /// The guest asked for a reset; there is none here.
    Reset,
    /// The guest faulted while it handled a fault.
    TripleFault,
    /// The guest halted for good.
    Halt,
    /// The user left.
    Quit,
}

/// What a run left.
#[derive(Debug)]
pub struct Ended {
    /// How it ended; an error when KVM failed, or could not emulate what the guest did.
    pub outcome: Result<Outcome>,
    /// What was counted, also then.
    pub stats: Option<Stats>,
}

/// A VM, ready to run.
#[derive(Debug)]
pub struct Machine {
    /// The first one boots; the others wait in KVM for it to start them.
    vcpus: Vec<Vcpu>,
    vm: VmFd,
    bus: SharedBus,
    serial: Shared<Serial>,
    quit: Arc<AtomicBool>,
    phases: Option<Arc<Phases>>,
}

impl Machine {
    /// Builds the VM up to the guest's first instruction. The guest's console goes to `console`.
    ///
    /// # Errors
    /// When `/dev/kvm`, a file or the memory cannot be had, or the configuration asks for what this host has not.
    pub fn new(config: &Config, console: Box<dyn Write + Send>) -> Result<Self> {
        if !(1..=MAX_CPUS).contains(&config.cpus) {
            bail!("there can be 1 to {MAX_CPUS} vCPUs");
        }
        let kvm = Kvm::new().context("cannot open /dev/kvm")?;
        let vm = kvm.create_vm().context("cannot create a VM")?;
        vm.set_tss_address(TSS)?;
        vm.create_irq_chip()
            .context("no interrupt controller in KVM")?;
        vm.create_pit2(kvm_pit_config {
            flags: KVM_PIT_SPEAKER_DUMMY,
            ..Default::default()
        })
        .context("no timer in KVM")?;

        let memory = memory::map(config.memory)?;
        // SAFETY: the mapping is reference-counted, and every `Vcpu` holds a reference; it is dropped no earlier than the vCPUs,
        // without which the VM does not run.
        unsafe { memory::register(&vm, &memory)? };

        let offer = offer::offer(&vm, config.transport)?;
        let power = PowerSwitch::default();
        let (bus, serial) = board::devices(&vm, config, &memory, &power, console)?;
        let (bus, quit) = (SharedBus::new(bus), Arc::default());
        acpi::write(&memory, config.disk_bus == DiskBus::Piix3, config.cpus)?;
        let entry = boot::load(
            &memory,
            &config.kernel,
            config.initrd.as_deref(),
            &config.cmdline,
        )?;

        let phases = config.stats.then(|| Arc::new(Phases::new()));
        let mut reserved = IN_KERNEL_PORTS.to_vec();
        if phases.is_some() {
            reserved.push(MARK_PORT..=MARK_PORT);
        }
        let mut vcpus = Vec::new();
        for id in 0..config.cpus {
            let mut fd = vm.create_vcpu(id.into()).context("cannot create a vCPU")?;
            fd.set_cpuid2(&offer::cpuid(&kvm, offer, id)?)?;
            if id == 0 {
                let mut sregs = fd.get_sregs()?;
                let regs = boot::protected_mode(&memory, entry, &mut sregs)?;
                fd.set_sregs(&sregs)?;
                fd.set_regs(&regs)?;
            }
            if id == 0 && config.coalesced_pio {
                bus.collect(Ring::new(&vm, &fd, &board::collectable(config))?);
            }
            let recorder = phases
                .as_ref()
                .map(|phases| Recorder::new(&kvm, &mut fd, Arc::clone(phases)));
            let offer = offer.unwrap_or(Cpuid {
                features: Features(0),
                ..Cpuid::default()
            });
            let host = Host::with_reserved(offer, reserved.clone());
            vcpus.push(Vcpu {
                fd,
                host,
                bus: bus.clone(),
                memory: memory.clone(),
                power: power.clone(),
                quit: Arc::clone(&quit),
                recorder,
            });
        }
        Ok(Self {
            vcpus,
            vm,
            bus,
            serial,
            quit,
            phases,
        })
    }

    /// Runs the VM to its end; `interactive`: feeds it standard input, and a signal that would end the process ends the VM.
    ///
    /// # Errors
    /// When the VM could not be run, or stopped.
    pub fn run(self, interactive: bool) -> Result<Ended> {
        let Self {
            vcpus,
            vm,
            bus,
            serial,
            quit,
            phases,
        } = self;
        // Only to interrupt KVM_RUN.
        register_signal_handler(SIGRTMIN(), on_signal)
            .map_err(|e| anyhow!("no signal handler: {e}"))?;

        // Whatever comes ends the VM: a vCPU is done, or the user leaves.
        let (send, end) = mpsc::channel();
        let _terminal = interactive.then(RawTerminal::new);
        if interactive {
            let leave = |send: mpsc::Sender<()>| {
                move || {
                    let _ = send.send(());
                }
            };
            // Before any other thread: they inherit which signals are blocked.
            on_termination(leave(send.clone()));
            feed(serial, leave(send.clone()));
        }
        let mut threads = Vec::new();
        let mut failed = None;
        for (id, mut vcpu) in vcpus.into_iter().enumerate() {
            let done = Done(send.clone());
            let run = move || {
                let _done = done;
                let outcome = vcpu.run();
                let stats = vcpu.recorder.take().map(|r| r.finish(&vcpu.fd));
                (outcome, stats)
            };
            // A thread that does not start drops its `Done`, which stops the others.
            match thread::Builder::new().name(format!("vcpu{id}")).spawn(run) {
                Ok(thread) => threads.push(thread),
                Err(e) => failed = Some(e.into()),
            }
        }
        let _ = end.recv();
        quit.store(true, Ordering::Release);
        // A signal just before KVM_RUN is lost, so it is repeated.
        for round in 0.. {
            let mut running = threads.iter().filter(|t| !t.is_finished()).peekable();
            if running.peek().is_none() {
                break;
            }
            for thread in running {
                thread
                    .kill(SIGRTMIN())
                    .map_err(|e| anyhow!("cannot stop a vCPU: {e}"))?;
            }
            thread::sleep(Duration::from_micros(if round < 10 { 100 } else { 10_000 }));
        }

        let (mut outcome, mut stats) = (Outcome::Quit, None::<Stats>);
        for thread in threads {
            let (end, counted) = thread
                .join()
                .map_err(|_| anyhow!("a vCPU's thread panicked"))?;
            match end {
                // Those that were stopped say so.
                Ok(Outcome::Quit) => {}
                Ok(end) => outcome = end,
                Err(e) => failed = Some(e),
            }
            match (&mut stats, counted) {
                (Some(sum), Some(counted)) => sum.add(counted),
                (none, counted) => *none = counted,
            }
        }
        // What the guest wrote last may not have caused an exit.
        drop(bus.lock());
        if let (Some(phases), Some(stats)) = (&phases, &mut stats) {
            phases.finish(stats);
        }
        drop(vm);
        Ok(Ended {
            outcome: failed.map_or(Ok(outcome), Err),
            stats,
        })
    }
}

/// Says that a vCPU's thread is over, also when it panics.
struct Done(mpsc::Sender<()>);

impl Drop for Done {
    fn drop(&mut self) {
        // The receiver waits for this, or for another vCPU.
        let _ = self.0.send(());
    }
}

extern "C" fn on_signal(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}
