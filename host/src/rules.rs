//! The rules about ports, as a table: one look instead of a search for each entry.

use std::fmt;
use std::ops::RangeInclusive;

use crate::abi::{Fault, PortRules, Ports, Width};

/// Answers as [`Ports`] does.
pub(crate) struct PortTable {
    doorbell: Option<u16>,
    reserved: Vec<RangeInclusive<u16>>,
    /// For each port the widths, as [`Width::bytes`], of the accesses that must not start there.
    forbidden: Box<[u8; 1 << 16]>,
}

impl fmt::Debug for PortTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ports().fmt(f)
    }
}

impl PortTable {
    pub fn new(doorbell: Option<u16>, reserved: Vec<RangeInclusive<u16>>) -> Self {
        let mut table = Self {
            doorbell,
            reserved,
            forbidden: Box::new([0; 1 << 16]),
        };
        let doorbell = doorbell.map(|d| d..=d.saturating_add(3));
        let top = u16::MAX..=u16::MAX;
        let ranges: Vec<_> = table
            .reserved
            .iter()
            .cloned()
            .chain(doorbell)
            .chain([top])
            .collect();
        for range in ranges {
            // An access touches what lies up to three ports behind its first.
            for port in range.start().saturating_sub(3)..=*range.end() {
                for width in [Width::Byte, Width::Word, Width::Long] {
                    if table.ports().allow(port, width).is_err() {
                        table.forbidden[usize::from(port)] |= width as u8;
                    }
                }
            }
        }
        table
    }

    /// Which rule it is does not have to be fast.
    #[cold]
    fn refuse(&self, port: u16, width: Width) -> Result<(), Fault> {
        self.ports().allow(port, width)
    }

    fn ports(&self) -> Ports<'_> {
        Ports {
            doorbell: self.doorbell,
            reserved: &self.reserved,
        }
    }
}

impl PortRules for PortTable {
    #[inline]
    fn allow(&self, port: u16, width: Width) -> Result<(), Fault> {
        if self.forbidden[usize::from(port)] & width as u8 == 0 {
            return Ok(());
        }
        self.refuse(port, width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_table_says_what_the_rules_say(
            doorbell in prop::option::of(prop_oneof![any::<u16>(), Just(u16::MAX), Just(0)]),
            reserved in prop::collection::vec((any::<u16>(), 0u16..9), 0..6),
        ) {
            let reserved: Vec<_> = reserved.into_iter().map(|(f, n)| f..=f.saturating_add(n)).collect();
            let table = PortTable::new(doorbell, reserved);
            for port in 0..=u16::MAX {
                for width in [Width::Byte, Width::Word, Width::Long] {
                    prop_assert_eq!(table.allow(port, width), table.ports().allow(port, width));
                }
            }
        }
    }
}
