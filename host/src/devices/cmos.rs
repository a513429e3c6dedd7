//! The real-time clock and its CMOS memory: time of day in UTC, no alarms.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::abi::Width;
use crate::bus::PortDevice;

/// Index port; data is the next.
pub const INDEX: u16 = 0x70;

const REGISTER_A: u8 = 0x0a;
const REGISTER_B: u8 = 0x0b;
const REGISTER_C: u8 = 0x0c;
const REGISTER_D: u8 = 0x0d;
const CENTURY: u8 = 0x32;

/// The clock follows the host's. What the guest sets in the time registers is forgotten.
#[derive(Debug)]
pub struct Cmos {
    index: u8,
    ram: [u8; 128],
}

impl Default for Cmos {
    fn default() -> Self {
        let mut ram = [0; 128];
        // 24-hour mode, BCD
        ram[usize::from(REGISTER_B)] = 0x02;
        Self { index: 0, ram }
    }
}

/// Seconds, minutes, hours, day of the week from 1, day, month, year: of a time in seconds since 1970.
fn civil(seconds: u64) -> [u64; 7] {
    let days = seconds / 86_400;
    // Howard Hinnant's days-to-civil, for days since 1970-01-01 and not before.
    let z = days + 719_468;
    let day_of_era = z % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + z / 146_097 * 400 + u64::from(month <= 2);
    [
        seconds % 60,
        seconds / 60 % 60,
        seconds / 3600 % 24,
        (days + 4) % 7 + 1,
        day,
        month,
        year,
    ]
}

impl Cmos {
    fn register(&self, now: u64) -> u8 {
        let [second, minute, hour, weekday, day, month, year] = civil(now);
        let value = match self.index {
            0 => second,
            2 => minute,
            4 => hour,
            6 => weekday,
            7 => day,
            8 => month,
            9 => year % 100,
            CENTURY => year / 100,
            // Never in the middle of an update
            REGISTER_A => return 0x26,
            REGISTER_C => return 0,
            REGISTER_D => return 0x80,
            index => return self.ram.get(usize::from(index)).copied().unwrap_or(0xff),
        };
        let binary = self.ram[usize::from(REGISTER_B)] & 0x04 != 0;
        let value = if binary {
            value
        } else {
            ((value / 10) << 4) | (value % 10)
        };
        value as u8
    }
}

impl PortDevice for Cmos {
    fn read(&mut self, port: u16, _: Width) -> u32 {
        if port == INDEX {
            return 0xff;
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_secs());
        self.register(now).into()
    }

    fn write(&mut self, port: u16, _: Width, value: u32) {
        if port == INDEX {
            self.index = value as u8 & 0x7f;
        } else if let Some(cell) = self.ram.get_mut(usize::from(self.index)) {
            *cell = value as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(civil(0), [0, 0, 0, 5, 1, 1, 1970]);
        assert_eq!(civil(951_827_696), [56, 34, 12, 3, 29, 2, 2000]);
        assert_eq!(civil(4_102_444_799), [59, 59, 23, 5, 31, 12, 2099]);
    }

    #[test]
    fn registers_are_bcd_until_told_otherwise() {
        let mut cmos = Cmos {
            index: 2,
            ..Cmos::default()
        };
        assert_eq!(cmos.register(34 * 60), 0x34);
        cmos.write(INDEX, Width::Byte, 0x8b);
        cmos.write(INDEX + 1, Width::Byte, 0x06);
        cmos.index = 2;
        assert_eq!(cmos.register(34 * 60), 34);
        cmos.index = CENTURY;
        assert_eq!(cmos.register(951_827_696), 20);
    }
}
