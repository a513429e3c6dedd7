//! Puts the VM together and runs it.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use kvm_bindings::{
    CpuId, KVM_MAX_CPUID_ENTRIES, KVM_PIT_SPEAKER_DUMMY, kvm_enable_cap, kvm_pit_config,
};
use kvm_ioctls::{Cap, Kvm, VmFd};
use vm_memory::GuestMemoryMmap;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};
use vmm_sys_util::signal::{Killable, SIGRTMIN, register_signal_handler};

use super::console::{RawTerminal, feed};
use super::vcpu::Vcpu;
use super::{acpi, boot, memory};
use crate::abi::{Cpuid, DOORBELL_PORT, Features, HYPERCALL, TUNNEL_HYPERCALL};
use crate::bus::Bus;
use crate::cpuid::add_leaves;
use crate::devices::ata::{Channel, Disk, FileDisk, LegacyIde};
use crate::devices::cmos::{self, Cmos};
use crate::devices::i8042::{self, I8042};
use crate::devices::piix3::{Piix3, WINDOW};
use crate::devices::pm::{PM_BASE, PM_LEN, Pm};
use crate::devices::power::PowerSwitch;
use crate::devices::serial::{COM1, COM1_IRQ, Serial};
use crate::devices::shared::Shared;
use crate::exits::{Recorder, Stats};
use crate::transport::Host;

/// Where KVM may put its task state on Intel: below the BIOS, out of all RAM.
const TSS: usize = 0xfffb_d000;
const KEYBOARD_IRQ: u32 = 1;
const IDE_IRQS: [u32; 2] = [14, 15];

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
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// bzImage.
    pub kernel: PathBuf,
    /// Initial RAM disk.
    pub initrd: Option<PathBuf>,
    /// Kernel command line.
    pub cmdline: String,
    /// Guest memory in bytes.
    pub memory: u64,
    /// Disks, in order.
    pub disks: Vec<Image>,
    /// Where they are.
    pub disk_bus: DiskBus,
    /// What the guest is offered.
    pub transport: Transport,
    /// Whether exits are counted.
    pub stats: bool,
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

/// A VM, ready to run.
#[derive(Debug)]
pub struct Machine {
    /// Before the memory it uses.
    vcpu: Vcpu,
    vm: VmFd,
    serial: Shared<Serial>,
}

enum Message {
    Done,
    Leave,
}

impl Machine {
    /// Builds the VM up to the guest's first instruction. The guest's console goes to `console`.
    ///
    /// # Errors
    /// When `/dev/kvm`, a file or the memory cannot be had, or the configuration asks for what this host has not.
    pub fn new(config: &Config, console: Box<dyn Write + Send>) -> Result<Self> {
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
        // SAFETY: the mapping is reference-counted, and `Machine::vcpu` holds a reference; it is dropped no earlier than the vCPU,
        // without which the VM does not run.
        unsafe { memory::register(&vm, &memory)? };

        let offer = offer(&vm, config.transport)?;
        let power = PowerSwitch::default();
        let (bus, serial) = devices(&vm, config, &memory, &power, console)?;

        let mut fd = vm.create_vcpu(0).context("cannot create a vCPU")?;
        fd.set_cpuid2(&cpuid(&kvm, offer)?)?;
        acpi::write(&memory, config.disk_bus == DiskBus::Piix3)?;
        let entry = boot::load(
            &memory,
            &config.kernel,
            config.initrd.as_deref(),
            &config.cmdline,
        )?;
        let mut sregs = fd.get_sregs()?;
        let regs = boot::protected_mode(&memory, entry, &mut sregs)?;
        fd.set_sregs(&sregs)?;
        fd.set_regs(&regs)?;

        let recorder = config.stats.then(|| Recorder::new(&kvm, &mut fd));
        let host = Host::new(offer.unwrap_or(Cpuid {
            features: Features(0),
            ..Cpuid::default()
        }));
        let vcpu = Vcpu {
            fd,
            host,
            bus: Arc::new(Mutex::new(bus)),
            memory,
            power,
            quit: Arc::default(),
            recorder,
        };
        Ok(Self { vcpu, vm, serial })
    }

    /// Runs the VM to its end; `interactive`: feeds it standard input.
    ///
    /// # Errors
    /// When KVM fails, or cannot emulate what the guest does.
    pub fn run(self, interactive: bool) -> Result<(Outcome, Option<Stats>)> {
        let Self {
            mut vcpu,
            vm,
            serial,
        } = self;
        let quit = Arc::clone(&vcpu.quit);
        // Only to interrupt KVM_RUN.
        register_signal_handler(SIGRTMIN(), on_signal)
            .map_err(|e| anyhow!("no signal handler: {e}"))?;

        let (send, messages) = mpsc::channel();
        let _terminal = interactive.then(RawTerminal::new);
        if interactive {
            let send = send.clone();
            feed(serial, move || drop(send.send(Message::Leave)));
        }
        let thread = thread::Builder::new().name("vcpu0".into()).spawn(move || {
            let outcome = vcpu.run();
            let stats = vcpu.recorder.take().map(|r| r.finish(&vcpu.fd));
            // The receiver waits for this, or is gone with the process.
            let _ = send.send(Message::Done);
            (outcome, stats)
        })?;
        if matches!(messages.recv(), Ok(Message::Leave)) {
            quit.store(true, Ordering::Release);
            // A signal just before KVM_RUN is lost, so it is repeated.
            while !thread.is_finished() {
                thread
                    .kill(SIGRTMIN())
                    .map_err(|e| anyhow!("cannot stop the vCPU: {e}"))?;
                thread::sleep(Duration::from_millis(10));
            }
        }
        let (outcome, stats) = thread
            .join()
            .map_err(|_| anyhow!("the vCPU's thread panicked"))?;
        drop(vm);
        Ok((outcome?, stats))
    }

    /// The flag that ends the VM after the next signal to its thread.
    pub fn quit_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.vcpu.quit)
    }
}

extern "C" fn on_signal(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}

/// What this KVM lets us offer; `None` when switched off.
fn offer(vm: &VmFd, transport: Transport) -> Result<Option<Cpuid>> {
    let mask = vm.check_extension_int(Cap::ExitHypercall);
    let passes = |number: u32| mask > 0 && mask as u32 >> number & 1 != 0;
    let (tunnel, vmcall) = (passes(TUNNEL_HYPERCALL), passes(HYPERCALL));
    let mut features = match transport {
        Transport::Off => return Ok(None),
        Transport::Doorbell => Features::DOORBELL,
        Transport::Tunnel => {
            ensure!(
                tunnel,
                "this KVM has no KVM_HC_MAP_GPA_RANGE for the tunnel"
            );
            Features::TUNNEL
        }
        Transport::Vmcall => {
            ensure!(vmcall, "this KVM does not pass hypercall {HYPERCALL} on");
            Features::VMCALL
        }
        Transport::Auto => {
            let mut all = Features::DOORBELL;
            if tunnel {
                all = all.with(Features::TUNNEL);
            }
            if vmcall {
                all = all.with(Features::VMCALL);
            }
            all
        }
    };
    let mut wanted = 0;
    if features.has(Features::TUNNEL) {
        wanted |= 1u64 << TUNNEL_HYPERCALL;
    }
    if features.has(Features::VMCALL) {
        wanted |= 1 << HYPERCALL;
    }
    if wanted != 0 {
        vm.enable_cap(&kvm_enable_cap {
            cap: Cap::ExitHypercall as u32,
            args: [wanted, 0, 0, 0],
            ..Default::default()
        })
        .context("KVM_CAP_EXIT_HYPERCALL")?;
    }
    features = features.with(Features::STRINGS);
    let port = features.has(Features::DOORBELL).then_some(DOORBELL_PORT);
    Ok(Some(Cpuid {
        features,
        doorbell_port: port.unwrap_or_default(),
        hypercall: HYPERCALL,
    }))
}

fn cpuid(kvm: &Kvm, offer: Option<Cpuid>) -> Result<CpuId> {
    const HYPERVISOR: u32 = 1 << 31;
    const TSC_DEADLINE: u32 = 1 << 24;
    const HYPER_THREADING: u32 = 1 << 28;
    let deadline = kvm.check_extension(Cap::TscDeadlineTimer);
    let mut table = kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)?;
    // The host's topology is not the guest's.
    table.retain(|entry| !matches!(entry.function, 0x0b | 0x1f));
    for entry in table.as_mut_slice() {
        match entry.function {
            1 => {
                entry.ecx |= HYPERVISOR;
                if deadline {
                    entry.ecx |= TSC_DEADLINE;
                }
                entry.edx &= !HYPER_THREADING;
                // APIC 0, one logical processor
                entry.ebx = entry.ebx & 0xffff | 1 << 16;
            }
            // Cores sharing a cache, cores of the package: one
            4 => entry.eax &= 0x3fff,
            0x8000_0008 => entry.ecx &= !0xf0ff,
            _ => {}
        }
    }
    if let Some(offer) = offer {
        add_leaves(&mut table, &offer)?;
    }
    Ok(table)
}

fn irq(vm: &VmFd, gsi: u32) -> Result<EventFd> {
    let fd = EventFd::new(EFD_NONBLOCK)?;
    vm.register_irqfd(&fd, gsi)
        .with_context(|| format!("cannot connect interrupt {gsi}"))?;
    Ok(fd)
}

fn devices(
    vm: &VmFd,
    config: &Config,
    memory: &GuestMemoryMmap,
    power: &PowerSwitch,
    console: Box<dyn Write + Send>,
) -> Result<(Bus, Shared<Serial>)> {
    let mut bus = Bus::new();
    let serial = Shared::new(Serial::new(irq(vm, COM1_IRQ)?, console));
    let id = bus.add(serial.clone());
    bus.claim(id, COM1..=COM1 + 7)?;
    let id = bus.add(I8042::new(power.clone(), irq(vm, KEYBOARD_IRQ)?));
    bus.claim(id, i8042::DATA..=i8042::DATA)?;
    bus.claim(id, i8042::COMMAND..=i8042::COMMAND)?;
    let id = bus.add(Cmos::default());
    bus.claim(id, cmos::INDEX..=cmos::INDEX + 1)?;
    let id = bus.add(Pm::new(power.clone()));
    bus.claim(id, PM_BASE..=PM_BASE + PM_LEN - 1)?;

    let most = match config.disk_bus {
        DiskBus::Piix3 => 4,
        DiskBus::Legacy => 2,
    };
    if config.disks.len() > most {
        bail!("at most {most} disks here");
    }
    let mut disks = config.disks.iter().map(|image| {
        FileDisk::open(&image.path, image.read_only)
            .with_context(|| format!("cannot open disk {}", image.path.display()))
            .map(|disk| Box::new(disk) as Box<dyn Disk>)
    });
    let mut channel = |n: usize| -> Result<Channel> {
        let pair = [disks.next().transpose()?, disks.next().transpose()?];
        let gsi = IDE_IRQS.get(n).copied().unwrap_or(IDE_IRQS[0]);
        Ok(Channel::new(pair, n * 2, irq(vm, gsi)?))
    };
    match config.disk_bus {
        DiskBus::Legacy => {
            if !config.disks.is_empty() {
                let id = bus.add(LegacyIde::primary(channel(0)?));
                bus.claim(id, LegacyIde::PRIMARY..=LegacyIde::PRIMARY + 7)?;
                bus.claim(id, LegacyIde::PRIMARY_CONTROL..=LegacyIde::PRIMARY_CONTROL)?;
            }
        }
        DiskBus::Piix3 => {
            let secondary = config.disks.len() > 2;
            let channels = [channel(0)?, channel(1)?];
            let piix3 = Piix3::new(channels, secondary, memory.clone(), power.clone());
            let id = bus.add(piix3);
            bus.claim(id, 0xcf8..=0xcff)?;
            bus.claim(id, WINDOW)?;
            bus.claim(id, 0x1f0..=0x1f7)?;
            bus.claim(id, 0x3f6..=0x3f6)?;
            if secondary {
                bus.claim(id, 0x170..=0x177)?;
                bus.claim(id, 0x376..=0x376)?;
            }
        }
    }
    Ok((bus, serial))
}
