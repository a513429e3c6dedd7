//! Kernel versions, as the top Makefile states them.

use std::fmt;

/// VERSION.PATCHLEVEL.SUBLEVEL and EXTRAVERSION of a tree; orders as the kernel's own KERNEL_VERSION does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// VERSION.
    pub major: u32,
    /// PATCHLEVEL.
    pub minor: u32,
    /// SUBLEVEL.
    pub patch: u32,
    /// EXTRAVERSION, such as `-rc3` or `.7`; takes part in the ordering last.
    pub extra: String,
}

impl Version {
    /// Reads the first lines of a top-level kernel Makefile.
    pub fn from_makefile(text: &[u8]) -> Option<Self> {
        let value = |key: &str| {
            text.split(|b| *b == b'\n').take(40).find_map(|line| {
                let line = std::str::from_utf8(line).ok()?;
                let (name, value) = line.split_once('=')?;
                (name.trim() == key).then(|| value.trim().to_owned())
            })
        };
        Some(Self {
            major: value("VERSION")?.parse().ok()?,
            minor: value("PATCHLEVEL")?.parse().ok()?,
            patch: value("SUBLEVEL").unwrap_or_default().parse().unwrap_or(0),
            extra: value("EXTRAVERSION").unwrap_or_default(),
        })
    }

    /// The three numbers, for comparisons with a recipe's range.
    pub fn triple(&self) -> (u32, u32, u32) {
        (self.major, self.minor, self.patch)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{}.{}{}",
            self.major, self.minor, self.patch, self.extra
        )
    }
}
