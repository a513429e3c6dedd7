//! The chipset that `ata_piix` looks for: host bridge, ISA bridge, and the PIIX3 IDE function with its bus masters; where it is
//! wanted, PIIX4's function of power management.
//!
//! Both channels are at their fixed ports (compatibility mode), with interrupts 14 and 15.

use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

use super::ata::{Channel, DmaEnd, Segment};
use super::pci::{
    COMMAND, COMMAND_IO, COMMAND_MASTER, CONFIG_ADDRESS, CONFIG_DATA, ConfigAddress, ConfigSpace,
    REVISION,
};
use super::pm::PM_BASE;
use super::power::{PowerSwitch, Request};
use crate::abi::Width;
use crate::bus::{Buffer, PortDevice};

/// Ports from which PCI functions may be given some: what the host bridge passes on.
pub const WINDOW: std::ops::RangeInclusive<u16> = 0xc000..=0xffff;

/// Where firmware would have put the bus masters.
const BUS_MASTERS: u16 = 0xc000;
const BUS_MASTER_BAR: u8 = 0x20;
/// IDE timing registers; bit 15 of each enables its channel.
const TIMING: u8 = 0x40;
/// Power management: where its ports are.
const PM_BAR: u8 = 0x40;
/// Power management: bit 0 enables them.
const PM_MISC: u8 = 0x80;
/// Reset control, in the middle of the address port.
const RESET: u16 = 0xcf9;

/// Entries in 64 KiB, which a table must not leave.
const MOST_PRDS: u64 = 8192;

const START: u8 = 1;
const TO_MEMORY: u8 = 8;
const ACTIVE: u8 = 1;
const ERROR: u8 = 2;
const INTERRUPT: u8 = 4;

#[derive(Debug, Clone, Copy, Default)]
struct BusMaster {
    command: u8,
    status: u8,
    table: u32,
    /// A command is done, though the table had room for more. The next one needs a new start: otherwise a single exit could bring
    /// a batch of commands with a transfer each.
    served: bool,
}

/// One half of the IDE function.
#[derive(Debug)]
struct Port {
    channel: Channel,
    master: BusMaster,
}

/// The chipset.
#[derive(Debug)]
pub struct Piix3 {
    address: ConfigAddress,
    host_bridge: ConfigSpace,
    isa_bridge: ConfigSpace,
    ide: ConfigSpace,
    power_management: Option<ConfigSpace>,
    ports: [Port; 2],
    memory: GuestMemoryMmap,
    power: PowerSwitch,
}

enum Target {
    Config,
    Address,
    Reset,
    /// Register of a channel.
    Drive(usize, u8),
    /// Register of a bus master.
    Master(usize, u8),
    Nothing,
}

impl Piix3 {
    /// Primary and secondary channel; `secondary_enabled`: whether the guest is to look at the second at all.
    pub fn new(
        channels: [Channel; 2],
        secondary_enabled: bool,
        memory: GuestMemoryMmap,
        power: PowerSwitch,
    ) -> Self {
        let mut host_bridge = ConfigSpace::new(0x8086, 0x1237, 0x06_0000);
        host_bridge.allow(COMMAND, &[COMMAND_IO | COMMAND_MASTER | 2]);
        let mut isa_bridge = ConfigSpace::new(0x8086, 0x7000, 0x06_0100);
        // Several functions
        isa_bridge.set(0x0e, &[0x80]);
        let mut ide = ConfigSpace::new(0x8086, 0x7010, 0x01_0180);
        ide.set(COMMAND, &[COMMAND_IO | COMMAND_MASTER]);
        ide.allow(COMMAND, &[COMMAND_IO | COMMAND_MASTER]);
        ide.set(BUS_MASTER_BAR, &(BUS_MASTERS | 1).to_le_bytes());
        ide.allow(BUS_MASTER_BAR, &[0xf0, 0xff]);
        let enabled = |on| if on { 0x80 } else { 0 };
        ide.set(TIMING, &[0, 0x80, 0, enabled(secondary_enabled)]);
        ide.allow(TIMING, &[0xff; 5]);
        Self {
            address: ConfigAddress::default(),
            host_bridge,
            isa_bridge,
            ide,
            power_management: None,
            ports: channels.map(|channel| Port {
                channel,
                master: BusMaster::default(),
            }),
            memory,
            power,
        }
    }

    /// Adds PIIX4's function of power management: the guest is told where the ports of [`Pm`](super::pm::Pm) are, and of which
    /// `revision` they are. Linux reads the timer of revisions below 3 until it gets the same order three times
    /// (drivers/clocksource/acpi_pm.c).
    #[must_use]
    pub fn with_power_management(mut self, revision: u8) -> Self {
        let mut space = ConfigSpace::new(0x8086, 0x7113, 0x06_8000);
        space.set(REVISION, &[revision]);
        space.set(COMMAND, &[COMMAND_IO]);
        space.set(PM_BAR, &(PM_BASE | 1).to_le_bytes());
        space.set(PM_MISC, &[1]);
        self.power_management = Some(space);
        self
    }

    fn space(&mut self) -> Option<&mut ConfigSpace> {
        match self.address.function()? {
            (0, 0) => Some(&mut self.host_bridge),
            (1, 0) => Some(&mut self.isa_bridge),
            (1, 1) => Some(&mut self.ide),
            (1, 3) => self.power_management.as_mut(),
            _ => None,
        }
    }

    fn target(&self, port: u16) -> Target {
        let drive = |n, base: u16| Target::Drive(n, (port - base) as u8);
        match port {
            0x1f0..=0x1f7 => drive(0, 0x1f0),
            0x170..=0x177 => drive(1, 0x170),
            0x3f6 => Target::Drive(0, 8),
            0x376 => Target::Drive(1, 8),
            RESET => Target::Reset,
            CONFIG_ADDRESS => Target::Address,
            CONFIG_DATA..=0xcff => Target::Config,
            _ => {
                let base = (self.ide.long(BUS_MASTER_BAR) & 0xfff0) as u16;
                let on = self.ide.byte(COMMAND) & COMMAND_IO != 0;
                match port.checked_sub(base) {
                    Some(offset @ 0..16) if on => {
                        Target::Master(usize::from(offset >> 3), (offset & 7) as u8)
                    }
                    _ => Target::Nothing,
                }
            }
        }
    }

    /// After anything that may have raised the drive's interrupt, or started a transfer.
    fn settle(&mut self, n: usize) {
        let bus_mastering = self.ide.byte(COMMAND) & COMMAND_MASTER != 0;
        let Some(port) = self.ports.get_mut(n) else {
            return;
        };
        if bus_mastering && port.master.status & ACTIVE != 0 && !port.master.served {
            port.transfer(&self.memory);
        }
        if port.channel.take_edge() {
            port.master.status |= INTERRUPT;
        }
    }

    fn read_master(&self, n: usize, register: u8, width: Width) -> u32 {
        let Some(port) = self.ports.get(n) else {
            return width.mask();
        };
        let [a, b, c, d] = port.master.table.to_le_bytes();
        let all = [port.master.command, 0, port.master.status, 0, a, b, c, d];
        let mut value = [0; 4];
        let cells = all.iter().skip(register.into());
        for (to, from) in value.iter_mut().take(width.bytes() as usize).zip(cells) {
            *to = *from;
        }
        u32::from_le_bytes(value)
    }

    fn write_master(&mut self, n: usize, register: u8, width: Width, value: u32) {
        let Some(Port { master, .. }) = self.ports.get_mut(n) else {
            return;
        };
        match (register, width) {
            (0, _) => {
                let started = master.command & START == 0 && value as u8 & START != 0;
                master.command = value as u8 & (START | TO_MEMORY);
                if started {
                    master.status |= ACTIVE;
                    master.served = false;
                } else if master.command & START == 0 {
                    master.status &= !ACTIVE;
                }
                self.settle(n);
            }
            (2, _) => {
                let value = value as u8;
                let kept = master.status & ACTIVE | value & 0x60;
                master.status = kept | master.status & !value & (ERROR | INTERRUPT);
            }
            (4, Width::Long) => master.table = value & !3,
            _ => {}
        }
    }
}

impl Port {
    /// Moves the sectors of a waiting command.
    fn transfer(&mut self, memory: &GuestMemoryMmap) {
        let Some((bytes, to_disk)) = self.channel.dma_waiting() else {
            return;
        };
        let (mut segments, last) = prds(memory, self.master.table, bytes);
        if (self.master.command & TO_MEMORY == 0) != to_disk {
            // The two disagree about the direction. Hardware would wait for ever.
            segments.clear();
        }
        match self.channel.run_dma(memory, &segments) {
            // Active still, when the table would have had room for more.
            Some(DmaEnd::Done) if !last => self.master.served = true,
            Some(DmaEnd::BusError) => {
                self.master.status = self.master.status & !ACTIVE | ERROR;
            }
            _ => self.master.status &= !ACTIVE,
        }
    }
}

/// The pieces a table names, as far as `bytes` need, and whether they are the whole table.
fn prds(memory: &GuestMemoryMmap, table: u32, bytes: u64) -> (Vec<Segment>, bool) {
    let mut segments = Vec::new();
    let mut named = 0;
    for n in 0..MOST_PRDS {
        let at = GuestAddress(u64::from(table) + n * 8);
        let Ok(entry) = memory.read_obj::<[u8; 8]>(at) else {
            return (segments, true);
        };
        let [a, b, c, d, low, high, _, flags] = entry;
        let len = match u16::from_le_bytes([low & !1, high]) {
            0 => 0x1_0000,
            len => u32::from(len),
        };
        let gpa = u64::from(u32::from_le_bytes([a & !1, b, c, d]));
        segments.push(Segment { gpa, len });
        named += u64::from(len);
        let last = flags & 0x80 != 0;
        if last || named >= bytes {
            return (segments, last && named <= bytes);
        }
    }
    (segments, true)
}

impl PortDevice for Piix3 {
    fn read(&mut self, port: u16, width: Width) -> u32 {
        match self.target(port) {
            Target::Address => self.address.read(width),
            Target::Config => {
                let at = self.address.offset(port);
                self.space().map_or(width.mask(), |s| s.read(at, width))
            }
            Target::Drive(n, register) => {
                let Some(port) = self.ports.get_mut(n) else {
                    return width.mask();
                };
                let value = match register {
                    0 => port.channel.read_data(width),
                    register => port.channel.read(register).into(),
                };
                self.settle(n);
                value
            }
            Target::Master(n, register) => self.read_master(n, register, width),
            Target::Reset => 0,
            Target::Nothing => width.mask(),
        }
    }

    fn write(&mut self, port: u16, width: Width, value: u32) {
        match self.target(port) {
            Target::Address => self.address.write(width, value),
            Target::Config => {
                let at = self.address.offset(port);
                if let Some(space) = self.space() {
                    space.write(at, width, value);
                }
            }
            Target::Drive(n, register) => {
                let Some(port) = self.ports.get_mut(n) else {
                    return;
                };
                match register {
                    0 => port.channel.write_data(width, value),
                    register => port.channel.write(register, value as u8),
                }
                self.settle(n);
            }
            Target::Master(n, register) => self.write_master(n, register, width, value),
            Target::Reset => {
                if value & 4 != 0 {
                    self.power.request(Request::Reset);
                }
            }
            Target::Nothing => {}
        }
    }

    fn read_string(&mut self, port: u16, width: Width, data: &mut Buffer<'_>) {
        if let Target::Drive(n, 0) = self.target(port) {
            if let Some(port) = self.ports.get_mut(n) {
                port.channel.read_data_string(width, data);
            }
            self.settle(n);
            return;
        }
        while !data.is_empty() {
            let value = self.read(port, width).to_le_bytes();
            data.put(value.get(..width.bytes() as usize).unwrap_or_default());
        }
    }

    fn write_string(&mut self, port: u16, width: Width, data: &mut Buffer<'_>) {
        if let Target::Drive(n, 0) = self.target(port) {
            if let Some(port) = self.ports.get_mut(n) {
                port.channel.write_data_string(width, data);
            }
            self.settle(n);
            return;
        }
        let mut value = [0; 4];
        while data.take(value.get_mut(..width.bytes() as usize).unwrap_or_default()) != 0 {
            self.write(port, width, u32::from_le_bytes(value));
        }
    }
}
