//! Function names of the guest's kernel.

use anyhow::{Result, ensure};

/// Text symbols by address.
#[derive(Debug, Clone, Default)]
pub struct Symbols {
    /// Sorted.
    entries: Vec<(u64, String)>,
}

impl Symbols {
    /// Reads a `System.map`: lines of address, type, name.
    ///
    /// # Errors
    /// When there is no text symbol in it.
    pub fn from_system_map(text: &str) -> Result<Self> {
        let mut entries: Vec<(u64, String)> = text
            .lines()
            .filter_map(|line| {
                let mut words = line.split_ascii_whitespace();
                let address = u64::from_str_radix(words.next()?, 16).ok()?;
                let kind = words.next()?;
                let name = words.next()?;
                matches!(kind, "t" | "T" | "w" | "W").then(|| (address, name.to_owned()))
            })
            .collect();
        ensure!(!entries.is_empty(), "no text symbols: not a System.map");
        entries.sort();
        Ok(Self { entries })
    }

    /// The function that contains `address`, with the offset in it.
    pub fn find(&self, address: u64) -> Option<(&str, u64)> {
        /// No function is longer; beyond the last one there is something else.
        const LONGEST: u64 = 1 << 20;
        let after = self.entries.partition_point(|(at, _)| *at <= address);
        let (at, _) = self.entries.get(after.checked_sub(1)?)?;
        // Of several names at one address, the first.
        let first = self.entries.partition_point(|(a, _)| a < at);
        let (at, name) = self.entries.get(first)?;
        let offset = address - at;
        (offset < LONGEST).then_some((name.as_str(), offset))
    }

    /// `function+0x12`, or the bare address.
    pub fn name(&self, address: u64) -> String {
        match self.find(address) {
            Some((name, _)) => name.to_owned(),
            None => format!("{address:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_function_around_an_address() {
        let map = "ffffffff81000000 T _text\nffffffff81000100 t one\nffffffff81000100 T two\n\
                   ffffffff81000200 D data\nffffffff81000300 T iowrite8\n";
        let symbols = Symbols::from_system_map(map).unwrap();
        assert_eq!(symbols.find(0xffff_ffff_8100_0108), Some(("one", 8)));
        assert_eq!(symbols.find(0xffff_ffff_8100_0305), Some(("iowrite8", 5)));
        assert_eq!(symbols.find(0x1000), None);
        assert_eq!(symbols.find(u64::MAX), None);
        assert!(Symbols::from_system_map("no map").is_err());
    }
}
