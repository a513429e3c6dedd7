//! The devices, and where they are.

use std::fs::File;
use std::io::Write;
use std::ops::RangeInclusive;

use anyhow::{Context, Result, bail};
use kvm_ioctls::VmFd;
use vm_memory::GuestMemoryMmap;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::machine::{Config, DiskBus};
use crate::bus::Bus;
use crate::devices::ata::{Channel, Disk, FileDisk, LegacyIde};
use crate::devices::cmos::{self, Cmos};
use crate::devices::i8042::{self, I8042};
use crate::devices::piix3::{Piix3, WINDOW};
use crate::devices::pm::{PM_BASE, PM_LEN, Pm};
use crate::devices::power::PowerSwitch;
use crate::devices::serial::{COM1, COM1_IRQ, COM2, COM2_IRQ, Serial};
use crate::devices::shared::Shared;

/// Of a channel's registers those whose writes have no effect before something else is looked at: features, count, address, device.
/// Neither the data port nor the command register.
const TASK_FILES: [RangeInclusive<u16>; 2] = [0x1f1..=0x1f6, 0x171..=0x176];
const KEYBOARD_IRQ: u32 = 1;
const IDE_IRQS: [u32; 2] = [14, 15];

fn irq(vm: &VmFd, gsi: u32) -> Result<EventFd> {
    let fd = EventFd::new(EFD_NONBLOCK)?;
    vm.register_irqfd(&fd, gsi)
        .with_context(|| format!("cannot connect interrupt {gsi}"))?;
    Ok(fd)
}

/// Ports of `config`'s devices to which writes can wait until the guest exits the next time.
pub fn collectable(config: &Config) -> Vec<RangeInclusive<u16>> {
    // The second channel serves disks three and four; the legacy one is there for disks alone.
    let channels = match (config.disk_bus, config.disks.len()) {
        (DiskBus::Legacy, 0) => 0,
        (DiskBus::Legacy, _) | (DiskBus::Piix3, 0..=2) => 1,
        (DiskBus::Piix3, _) => 2,
    };
    TASK_FILES.into_iter().take(channels).collect()
}

/// The bus with all devices that `config` asks for; the first serial port also by itself, to be fed.
///
/// # Errors
/// When a disk or the second serial port's file cannot be opened, there are too many, or KVM refuses an interrupt line.
pub fn devices(
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
    if let Some(path) = &config.serial2 {
        let file = File::create(path)
            .with_context(|| format!("cannot write the second serial port's {}", path.display()))?;
        let id = bus.add(Serial::new(irq(vm, COM2_IRQ)?, Box::new(file)));
        bus.claim(id, COM2..=COM2 + 7)?;
    }
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
            if config.pm_revision.is_some() {
                bail!(
                    "power management has a revision where there is PCI: with the disks on piix3"
                );
            }
            if !config.disks.is_empty() {
                let id = bus.add(LegacyIde::primary(channel(0)?));
                bus.claim(id, LegacyIde::PRIMARY..=LegacyIde::PRIMARY + 7)?;
                bus.claim(id, LegacyIde::PRIMARY_CONTROL..=LegacyIde::PRIMARY_CONTROL)?;
            }
        }
        DiskBus::Piix3 => {
            let secondary = config.disks.len() > 2;
            let channels = [channel(0)?, channel(1)?];
            let mut piix3 = Piix3::new(channels, secondary, memory.clone(), power.clone());
            if let Some(revision) = config.pm_revision {
                piix3 = piix3.with_power_management(revision);
            }
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
