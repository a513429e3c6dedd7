//! Function names of the guest's kernel.

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind};

/// Text symbols by address.
#[derive(Debug, Clone, Default)]
pub struct Symbols {
    /// Sorted.
    entries: Vec<(u64, String)>,
}

impl Symbols {
    /// Reads a `vmlinux` or a `System.map`, whichever it is.
    ///
    /// # Errors
    /// When it is neither, or has no text symbols.
    pub fn read(file: &[u8]) -> Result<Self> {
        if file.starts_with(b"\x7fELF") {
            return Self::from_elf(file);
        }
        let text = std::str::from_utf8(file).context("neither a vmlinux nor a System.map")?;
        Self::from_system_map(text)
    }

    /// Reads the symbol table of a kernel's ELF file, 32 or 64 bits.
    ///
    /// # Errors
    /// When it is damaged, or stripped.
    pub fn from_elf(file: &[u8]) -> Result<Self> {
        let elf = object::File::parse(file).context("not an ELF file")?;
        let mut entries = Vec::new();
        for symbol in elf.symbols() {
            // By the section: code written in assembly is often not marked as a function.
            let section = symbol
                .section_index()
                .and_then(|i| elf.section_by_index(i).ok());
            let name = symbol.name().unwrap_or_default();
            // Labels of the assembler are no functions.
            let usable = !name.is_empty() && !name.starts_with(".L");
            if usable && section.is_some_and(|s| s.kind() == SectionKind::Text) {
                entries.push((symbol.address(), name.to_owned()));
            }
        }
        ensure!(
            !entries.is_empty(),
            "no text symbols: a stripped file, such as a bzImage's inside"
        );
        entries.sort();
        Ok(Self { entries })
    }

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

    /// The function, or the bare address where there is none.
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

    /// This test's own program is an ELF file with functions in it.
    #[test]
    fn an_elf_file_tells_its_functions() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let symbols = Symbols::read(&own).unwrap();
        let (at, name) = symbols.entries.iter().find(|(_, n)| n == "_start").unwrap();
        assert_eq!(symbols.find(at + 1), Some((name.as_str(), 1)));
        let has = |name: &str| symbols.entries.iter().any(|(_, n)| n == name);
        // Not a function of Rust's: a release build leaves none of the tests as they were.
        assert!(has("main"));
        assert!(!has("edata") && !has("_edata"), "data");
    }

    #[test]
    fn what_has_no_symbols_is_refused() {
        let told = |file: &[u8]| Symbols::read(file).unwrap_err().to_string();
        assert_eq!(told(b"\xff\xfe"), "neither a vmlinux nor a System.map");
        assert_eq!(told(b"\x7fELF\x02"), "not an ELF file");
        assert!(told(b"text").contains("not a System.map"));
    }
}
