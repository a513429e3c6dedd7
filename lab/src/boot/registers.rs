//! Which registers of the emulated devices a guest reads and writes, as QEMU traces it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// What QEMU's firmware loads the kernel from, last of all. The lab's kernels have no driver for it.
const LOADER: [&str; 2] = ["fwcfg", "fwcfg.dma"];

/// The accesses of one boot, without those of the firmware.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Registers {
    devices: BTreeMap<String, Device>,
}

/// Those to what QEMU calls one region: a timer, the registers of a card.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Device {
    /// Reads.
    pub(super) reads: u64,
    /// Reads of the register that the access right before has written.
    pub(super) read_backs: u64,
    /// Address, size and value of each write, in order.
    pub(super) writes: Vec<(u64, u32, u64)>,
}

impl Registers {
    /// Options with which QEMU traces to `file`.
    pub(super) fn options(file: &Path) -> Vec<OsString> {
        let mut options: Vec<OsString> = ["read", "write"]
            .iter()
            .flat_map(|way| ["-trace".into(), format!("memory_region_ops_{way}").into()])
            .collect();
        options.extend(["-D".into(), file.into()]);
        options
    }

    /// Reads what QEMU wrote.
    ///
    /// # Errors
    /// When it cannot be read, or there is no access in it.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let told = || format!("cannot read {}", file.display());
        let trace = BufReader::new(File::open(file).with_context(told)?);
        let mut all = Self::default();
        let mut written = None;
        for line in trace.split(b'\n') {
            let line = line.with_context(told)?;
            match Access::parse(&String::from_utf8_lossy(&line)) {
                Some(access) if LOADER.contains(&access.device) => all = Self::default(),
                Some(access) => written = all.add(&access, written),
                None => {}
            }
        }
        if all.devices.is_empty() {
            bail!(
                "{} names no access to a register: this QEMU does not trace memory_region_ops_read with the name of the region \
                 (Debian's does, from 7.2 on)",
                file.display()
            );
        }
        Ok(all)
    }

    /// Counts an access that came after a write to `written`; returns what it has written itself.
    fn add(&mut self, access: &Access<'_>, written: Option<u64>) -> Option<u64> {
        if !self.devices.contains_key(access.device) {
            self.devices
                .insert(access.device.to_owned(), Device::default());
        }
        let device = self.devices.get_mut(access.device)?;
        if access.is_write {
            device
                .writes
                .push((access.address, access.size, access.value));
            return Some(access.address);
        }
        device.reads += 1;
        if written == Some(access.address) {
            device.read_backs += 1;
        }
        None
    }

    /// The accesses to the region `name`; none when it has had none.
    pub(super) fn device(&self, name: &str) -> Device {
        self.devices.get(name).cloned().unwrap_or_default()
    }
}

struct Access<'a> {
    is_write: bool,
    address: u64,
    value: u64,
    size: u32,
    device: &'a str,
}

impl<'a> Access<'a> {
    /// A line such as `memory_region_ops_read cpu 0 mr 0x5 addr 0x608 value 0x7 size 4 name 'acpi-tmr'`.
    fn parse(line: &'a str) -> Option<Self> {
        let (_, rest) = line.split_once("memory_region_ops_")?;
        let (rest, name) = rest.split_once(" name '")?;
        let (way, _) = rest.split_once(' ')?;
        let after = |word: &str| {
            let mut words = rest.split(' ').skip_while(|w| *w != word);
            words.nth(1)
        };
        let hex = |word| u64::from_str_radix(after(word)?.strip_prefix("0x")?, 16).ok();
        Some(Self {
            is_write: way == "write",
            address: hex("addr")?,
            value: hex("value")?,
            size: after("size")?.parse().ok()?,
            device: name.strip_suffix('\'')?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registers(text: &str) -> Result<Registers> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, text).unwrap();
        Registers::read(file.path())
    }

    #[test]
    fn accesses_are_counted_by_device() {
        let all = registers(
            "memory_region_ops_write cpu 0 mr 0x55d0 addr 0xfebf1037 value 0xc size 1 name 'rtl8139'\n\
             memory_region_ops_read cpu 0 mr 0x55d0 addr 0xfebf1037 value 0xc size 1 name 'rtl8139'\n\
             memory_region_ops_read cpu 0 mr 0x55d0 addr 0xfebf1037 value 0xc size 1 name 'rtl8139'\n\
             memory_region_ops_write cpu 0 mr 0x55d0 addr 0xfebf103c value 0x1 size 2 name 'rtl8139'\n\
             memory_region_ops_read cpu 0 mr 0x77d0 addr 0x608 value 0x1f size 4 name 'acpi-tmr'\n\
             something else\n",
        )
        .unwrap();
        let card = all.device("rtl8139");
        assert_eq!((card.reads, card.read_backs), (2, 1));
        assert_eq!(card.writes, [(0xfebf_1037, 1, 0xc), (0xfebf_103c, 2, 0x1)]);
        let timer = all.device("acpi-tmr");
        assert_eq!((timer.reads, timer.read_backs), (1, 0));
        assert_eq!(all.device("pit"), Device::default());
    }

    #[test]
    fn what_the_firmware_does_is_left_out() {
        let timer =
            "memory_region_ops_read cpu 0 mr 0x5 addr 0x608 value 0x7 size 4 name 'acpi-tmr'\n";
        let load =
            "memory_region_ops_write cpu 0 mr 0x5 addr 0x514 value 0x7 size 4 name 'fwcfg.dma'\n";
        let all = registers(&[timer, load, timer, load, timer, timer].concat()).unwrap();
        assert_eq!(all.device("acpi-tmr").reads, 2);
        assert!(registers(&[timer, load].concat()).is_err());
    }

    #[test]
    fn a_trace_without_accesses_is_an_error() {
        assert!(registers("").is_err());
        // As QEMU wrote it before it gave names.
        let old = "memory_region_ops_read cpu 0 mr 0x5 addr 0x608 value 0x7 size 4\n";
        assert!(registers(old).is_err());
    }
}
