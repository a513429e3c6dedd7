//! The keyboard controller: enough for its drivers to finish at once, and the reset line.

use std::collections::VecDeque;
use std::fmt;

use super::irq::IrqLine;
use super::power::{PowerSwitch, Request};
use crate::abi::Width;
use crate::bus::PortDevice;

/// Data port.
pub const DATA: u16 = 0x60;
/// Status and command port.
pub const COMMAND: u16 = 0x64;

const OUTPUT_FULL: u8 = 1;
const SYSTEM: u8 = 1 << 2;
const NOT_LOCKED: u8 = 1 << 4;
const KEYBOARD_IRQ: u8 = 1;

/// Most bytes waiting for the guest; more than any answer has.
const QUEUE: usize = 16;

/// The controller with a keyboard on which nobody types, and no mouse.
pub struct I8042 {
    power: PowerSwitch,
    irq: Box<dyn IrqLine + Send>,
    /// The controller's command byte.
    control: u8,
    output: VecDeque<u8>,
    /// A command that waits for its data byte.
    pending: Option<u8>,
    /// The keyboard's own command that waits for its data byte.
    keyboard_pending: bool,
}

impl fmt::Debug for I8042 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("I8042")
            .field("control", &self.control)
            .finish_non_exhaustive()
    }
}

impl I8042 {
    /// `irq` is the keyboard's line.
    pub fn new(power: PowerSwitch, irq: impl IrqLine + Send + 'static) -> Self {
        Self {
            power,
            irq: Box::new(irq),
            control: 0x61,
            output: VecDeque::new(),
            pending: None,
            keyboard_pending: false,
        }
    }

    fn answer(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.output.len() < QUEUE {
                self.output.push_back(byte);
            }
        }
        self.interrupt();
    }

    fn interrupt(&self) {
        if self.control & KEYBOARD_IRQ != 0 && !self.output.is_empty() {
            self.irq.pulse();
        }
    }

    fn command(&mut self, command: u8) {
        self.pending = None;
        match command {
            0x20 => self.answer(&[self.control]),
            0x60 | 0xd1..=0xd4 => self.pending = Some(command),
            0xa7 => self.control |= 1 << 5,
            // There is no second port: its test fails, so drivers do not look further.
            0xa9 => self.answer(&[1]),
            0xaa => self.answer(&[0x55]),
            0xab => self.answer(&[0]),
            0xad => self.control |= 1 << 4,
            0xae => self.control &= !(1 << 4),
            0xd0 => self.answer(&[0x03]),
            // Pulse output lines that are 0 here; line 0 is the CPU's reset.
            0xf0..=0xff if command & 1 == 0 => self.power.request(Request::Reset),
            _ => {}
        }
    }

    fn data(&mut self, value: u8) {
        match self.pending.take() {
            Some(0x60) => self.control = value,
            Some(0xd1) if value & 1 == 0 => self.power.request(Request::Reset),
            // Loop back; from the keyboard's side, since there is no other.
            Some(0xd2 | 0xd3) => self.answer(&[value]),
            Some(_) => {}
            None => self.keyboard(value),
        }
    }

    fn keyboard(&mut self, value: u8) {
        if std::mem::take(&mut self.keyboard_pending) {
            self.answer(&[0xfa]);
            return;
        }
        match value {
            0xf2 => self.answer(&[0xfa, 0xab, 0x83]),
            0xff => self.answer(&[0xfa, 0xaa]),
            0xee => self.answer(&[0xee]),
            0xed | 0xf0 | 0xf3 => {
                self.keyboard_pending = true;
                self.answer(&[0xfa]);
            }
            _ => self.answer(&[0xfa]),
        }
    }
}

impl PortDevice for I8042 {
    fn read(&mut self, port: u16, _: Width) -> u32 {
        let byte = if port == DATA {
            let byte = self.output.pop_front().unwrap_or_default();
            self.interrupt();
            byte
        } else {
            let full = if self.output.is_empty() {
                0
            } else {
                OUTPUT_FULL
            };
            full | SYSTEM | NOT_LOCKED
        };
        byte.into()
    }

    fn write(&mut self, port: u16, _: Width, value: u32) {
        if port == DATA {
            self.data(value as u8);
        } else {
            self.command(value as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::irq::NoIrq;
    use super::*;

    fn ask(kbd: &mut I8042, port: u16, byte: u8) -> Vec<u8> {
        kbd.write(port, Width::Byte, byte.into());
        let mut answer = Vec::new();
        while kbd.read(COMMAND, Width::Byte) & 1 != 0 {
            answer.push(kbd.read(DATA, Width::Byte) as u8);
        }
        answer
    }

    #[test]
    fn answers_what_drivers_ask() {
        let power = PowerSwitch::default();
        let mut kbd = I8042::new(power.clone(), NoIrq);
        assert_eq!(ask(&mut kbd, COMMAND, 0xaa), [0x55]);
        assert_eq!(ask(&mut kbd, COMMAND, 0x60), []);
        assert_eq!(ask(&mut kbd, DATA, 0x47), []);
        assert_eq!(ask(&mut kbd, COMMAND, 0x20), [0x47]);
        assert_eq!(ask(&mut kbd, DATA, 0xf2), [0xfa, 0xab, 0x83]);
        assert_eq!(ask(&mut kbd, DATA, 0xed), [0xfa]);
        assert_eq!(ask(&mut kbd, DATA, 0xff), [0xfa], "LEDs, not a reset");
        assert_eq!(power.requested(), None);
        ask(&mut kbd, COMMAND, 0xfe);
        assert_eq!(power.requested(), Some(Request::Reset));
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut kbd = I8042::new(PowerSwitch::default(), NoIrq);
        for _ in 0..1000 {
            kbd.write(DATA, Width::Byte, 0xf2);
        }
        assert_eq!(kbd.output.len(), QUEUE);
    }
}
