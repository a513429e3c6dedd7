//! ACPI power management: PM1 event and control registers, the PM timer, the reset register.

use std::time::Instant;

use super::power::{PowerSwitch, Request};
use crate::abi::Width;
use crate::bus::PortDevice;

/// First port of the block: event registers, control at +4, timer at +8.
pub const PM_BASE: u16 = 0x600;
/// Ports of the block.
pub const PM_LEN: u16 = 12;
/// Offset of PM1 control.
pub const PM1_CONTROL: u16 = 4;
/// Offset of the timer.
pub const PM_TIMER: u16 = 8;
/// `SLP_TYP` of S5, as the DSDT's `_S5` says.
pub const SLEEP_TYPE_S5: u8 = 5;

const TIMER_HZ: u128 = 3_579_545;
const SCI_EN: u32 = 1;
const SLP_EN: u32 = 1 << 13;

/// The block. It is in ACPI mode from the start, and raises no events.
#[derive(Debug)]
pub struct Pm {
    start: Instant,
    enable: u16,
    power: PowerSwitch,
}

impl Pm {
    /// The timer starts at 0 now.
    pub fn new(power: PowerSwitch) -> Self {
        Self {
            start: Instant::now(),
            enable: 0,
            power,
        }
    }

    /// 32 bits wide; the FADT says so.
    fn timer(&self) -> u32 {
        let ticks = self.start.elapsed().as_nanos() * TIMER_HZ / 1_000_000_000;
        ticks as u32
    }
}

impl PortDevice for Pm {
    fn read(&mut self, port: u16, width: Width) -> u32 {
        let register = match port.wrapping_sub(PM_BASE) {
            0 => u32::from(self.enable) << 16,
            2 => u32::from(self.enable),
            PM1_CONTROL => SCI_EN,
            PM_TIMER => self.timer(),
            _ => 0,
        };
        register & width.mask()
    }

    fn write(&mut self, port: u16, width: Width, value: u32) {
        match (port.wrapping_sub(PM_BASE), width) {
            (0, Width::Long) => self.enable = (value >> 16) as u16,
            (2, Width::Word) => self.enable = value as u16,
            (PM1_CONTROL, Width::Word | Width::Long)
                if value & SLP_EN != 0 && (value >> 10) & 7 == u32::from(SLEEP_TYPE_S5) =>
            {
                self.power.request(Request::Off);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_s5_powers_off() {
        let power = PowerSwitch::default();
        let mut pm = Pm::new(power.clone());
        assert_eq!(pm.read(PM_BASE + 4, Width::Word), 1, "ACPI mode");
        pm.write(PM_BASE + 4, Width::Word, 5 << 10);
        pm.write(PM_BASE + 4, Width::Word, 1 << 13);
        assert_eq!(power.requested(), None);
        pm.write(PM_BASE + 4, Width::Word, 5 << 10 | 1 << 13);
        assert_eq!(power.requested(), Some(Request::Off));
    }

    #[test]
    fn the_timer_runs_at_its_rate() {
        let mut pm = Pm::new(PowerSwitch::default());
        pm.start = Instant::now() - std::time::Duration::from_secs(10);
        let ticks = pm.read(PM_BASE + 8, Width::Long);
        assert!((35_795_450..37_000_000).contains(&ticks), "{ticks}");
    }
}
