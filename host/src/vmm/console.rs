//! The terminal: raw while the VM runs, and Ctrl-A x to leave.

use std::io::{self, IsTerminal, Read};
use std::thread;
use std::time::Duration;

use crate::devices::serial::Serial;
use crate::devices::shared::Shared;

/// Standard input in raw mode until dropped. Does nothing when it is no terminal.
#[derive(Debug)]
pub struct RawTerminal(Option<libc::termios>);

impl RawTerminal {
    /// Switches to raw mode.
    pub fn new() -> Self {
        if !io::stdin().is_terminal() {
            return Self(None);
        }
        // SAFETY: an all-zero termios is a valid value of this plain C struct, and tcgetattr only writes into it.
        let before = unsafe {
            let mut before: libc::termios = std::mem::zeroed();
            if libc::tcgetattr(libc::STDIN_FILENO, &mut before) != 0 {
                return Self(None);
            }
            before
        };
        let mut raw = before;
        // SAFETY: `raw` is a valid termios; both calls only read or write it.
        unsafe {
            libc::cfmakeraw(&mut raw);
            // Output stays as it was: "\n" of our own messages needs it.
            raw.c_oflag = before.c_oflag;
            libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, &raw);
        }
        Self(Some(before))
    }
}

impl Default for RawTerminal {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // SAFETY: `before` is what tcgetattr gave us.
            unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, before) };
        }
    }
}

/// Calls `leave` when the process is asked to end, instead of ending it. Threads that are started later leave the signals alone.
pub fn on_termination(leave: impl FnOnce() + Send + 'static) {
    // SAFETY: an all-zero sigset_t is valid for sigemptyset to write to, and these calls only read and write it.
    let set = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            libc::sigaddset(&mut set, signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        set
    };
    thread::spawn(move || {
        let mut signal = 0;
        // SAFETY: the set was initialised above, and only `signal` is written.
        if unsafe { libc::sigwait(&set, &mut signal) } == 0 {
            leave();
        }
    });
}

const CTRL_A: u8 = 1;

/// What typed bytes mean: `Ctrl-A x` leaves, `Ctrl-A Ctrl-A` is one Ctrl-A.
#[derive(Debug, Default)]
pub struct Keys {
    escaped: bool,
}

impl Keys {
    /// Bytes for the guest; `None` when the user leaves.
    pub fn filter(&mut self, typed: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(typed.len());
        for &byte in typed {
            match (std::mem::take(&mut self.escaped), byte) {
                (true, b'x' | b'X') => return None,
                (true, CTRL_A) => out.push(CTRL_A),
                (true, byte) => out.extend([CTRL_A, byte]),
                (false, CTRL_A) => self.escaped = true,
                (false, byte) => out.push(byte),
            }
        }
        Some(out)
    }
}

/// Feeds standard input to the serial port, on a thread of its own. Calls `leave` when the user wants to.
pub fn feed(serial: Shared<Serial>, leave: impl FnOnce() + Send + 'static) {
    thread::spawn(move || {
        let escapes = io::stdin().is_terminal();
        let mut keys = Keys::default();
        let mut buffer = [0; 64];
        loop {
            let typed = match io::stdin().read(&mut buffer) {
                Ok(n) if n > 0 => buffer.get(..n).unwrap_or_default(),
                _ => return,
            };
            let bytes = if escapes {
                match keys.filter(typed) {
                    Some(bytes) => bytes,
                    None => return leave(),
                }
            } else {
                typed.to_vec()
            };
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let taken = serial.lock().type_bytes(rest);
                rest = rest.get(taken..).unwrap_or_default();
                if taken == 0 {
                    // The guest is slow to read; its FIFO is full.
                    thread::sleep(Duration::from_millis(2));
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_escape() {
        let mut keys = Keys::default();
        assert_eq!(keys.filter(b"ls\r"), Some(b"ls\r".to_vec()));
        assert_eq!(keys.filter(b"\x01"), Some(vec![]));
        assert_eq!(keys.filter(b"\x01b\x01c"), Some(b"\x01b\x01c".to_vec()));
        assert_eq!(keys.filter(b"\x01"), Some(vec![]));
        assert_eq!(keys.filter(b"x"), None);
    }
}
