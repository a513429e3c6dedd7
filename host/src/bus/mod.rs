//! Port devices, and the bus that a batch is handed to.

mod buffer;
mod map;

pub use buffer::{Buffer, Ram};
pub use map::{Bus, ClaimError, DeviceId};

use crate::abi::{Op, Width};

/// Takes validated operations. This is the one trait a VMM with a bus of its own implements.
pub trait PortBus {
    /// Executes `ops` in order and puts what single reads return into [`Op::val`].
    ///
    /// One call is one batch: a bus behind a lock locks once. String operations move their data through [`Buffer::guest`].
    fn execute(&mut self, ops: &mut [Op], ram: &dyn Ram);
}

/// A device with ports.
pub trait PortDevice {
    /// One read. `port` is absolute; bits above the width are ignored.
    fn read(&mut self, port: u16, width: Width) -> u32;

    /// One write of the low bits of `value`.
    fn write(&mut self, port: u16, width: Width, value: u32);

    /// As many reads of `port` as fill `data`. Override it where a device can do better than element by element.
    fn read_string(&mut self, port: u16, width: Width, data: &mut Buffer<'_>) {
        let mut chunk = [0; CHUNK];
        while !data.is_empty() {
            let n = chunk.len().min(data.len());
            let Some(part) = chunk.get_mut(..n) else {
                return;
            };
            for element in part.chunks_mut(width.bytes() as usize) {
                let value = self.read(port, width).to_le_bytes();
                element.copy_from_slice(value.get(..element.len()).unwrap_or_default());
            }
            data.put(part);
        }
    }

    /// As many writes to `port` as `data` holds.
    fn write_string(&mut self, port: u16, width: Width, data: &mut Buffer<'_>) {
        let mut chunk = [0; CHUNK];
        loop {
            let n = data.take(&mut chunk);
            let part = chunk.get(..n).unwrap_or_default();
            if part.is_empty() {
                return;
            }
            for element in part.chunks(width.bytes() as usize) {
                let mut value = [0; 4];
                for (to, from) in value.iter_mut().zip(element) {
                    *to = *from;
                }
                self.write(port, width, u32::from_le_bytes(value));
            }
        }
    }
}

/// Bytes moved at a time by the string defaults: whole elements of every width.
const CHUNK: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers reads with a counter, and remembers.
    #[derive(Default)]
    struct Log(Vec<(u16, u32)>, u32);

    impl PortDevice for Log {
        fn read(&mut self, port: u16, _: Width) -> u32 {
            self.1 += 1;
            self.0.push((port, self.1));
            self.1
        }
        fn write(&mut self, port: u16, _: Width, value: u32) {
            self.0.push((port, value));
        }
    }

    #[test]
    fn strings_come_as_elements_in_order() {
        let mut log = Log::default();
        let mut data: Vec<u8> = (0..600u16).flat_map(u16::to_le_bytes).collect();
        log.write_string(0x1f0, Width::Word, &mut Buffer::host(&mut data));
        let want: Vec<_> = (0..600).map(|n| (0x1f0, n)).collect();
        assert_eq!(log.0, want);

        let mut data = [0; 8];
        log.read_string(0x1f0, Width::Long, &mut Buffer::host(&mut data));
        assert_eq!(data, [1, 0, 0, 0, 2, 0, 0, 0]);
    }
}
