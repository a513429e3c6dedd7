//! The hot-function table: which functions cause the exits, and who calls them.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::{Stats, Symbols};

/// Exits of one function on behalf of another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HotRow {
    /// Address of the instruction that exits most.
    pub address: u64,
    /// The function it is in.
    pub function: String,
    /// The function that called it, where that is known: a leaf such as `iowrite8` has many, and means another thing for each.
    pub caller: Option<String>,
    /// How many.
    pub exits: u64,
    /// Time in user space for them, in nanoseconds.
    pub nanoseconds: u64,
    /// Share of all exits, 0 to 1.
    pub share: f64,
}

/// The table, most exits first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hot {
    /// All exits.
    pub exits: u64,
    /// One row for a function and its caller.
    pub rows: Vec<HotRow>,
}

#[derive(Default)]
struct Sum {
    exits: u64,
    nanoseconds: u64,
    addresses: BTreeMap<u64, u64>,
}

impl Hot {
    /// Sums up by function and caller. Without symbols every address is its own.
    pub fn new(stats: &Stats, symbols: &Symbols) -> Self {
        let mut sums: BTreeMap<(String, Option<String>), Sum> = BTreeMap::new();
        for row in &stats.rows {
            let caller = row.caller.map(|caller| symbols.name(caller));
            let sum = sums.entry((symbols.name(row.rip), caller)).or_default();
            sum.exits += row.exits;
            sum.nanoseconds += row.nanoseconds;
            *sum.addresses.entry(row.rip).or_default() += row.exits;
        }
        let total = stats.exits.max(1) as f64;
        let mut rows: Vec<HotRow> = sums
            .into_iter()
            .map(|((function, caller), sum)| HotRow {
                address: most(sum.addresses).unwrap_or_default(),
                function,
                caller,
                exits: sum.exits,
                nanoseconds: sum.nanoseconds,
                share: sum.exits as f64 / total,
            })
            .collect();
        // They come by name, and stay so where exits are equal.
        rows.sort_by_key(|row| Reverse(row.exits));
        Self {
            exits: stats.exits,
            rows,
        }
    }
}

fn most<K: Ord>(counts: BTreeMap<K, u64>) -> Option<K> {
    counts
        .into_iter()
        .max_by_key(|(_, count)| *count)
        .map(|(key, _)| key)
}

impl fmt::Display for Hot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<18} {:<28} {:<28} {:>9} {:>11} {:>7}",
            "ADDRESS", "FUNCTION", "CALLER", "EXITS", "TIME", "SHARE"
        )?;
        for row in &self.rows {
            writeln!(
                f,
                "{:<#18x} {:<28} {:<28} {:>9} {:>8.1} ms {:>5.1} %",
                row.address,
                row.function,
                row.caller.as_deref().unwrap_or("-"),
                row.exits,
                row.nanoseconds as f64 / 1e6,
                row.share * 100.0,
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::ExitRow;
    use super::*;

    #[test]
    fn functions_are_summed_by_caller() {
        let row = |rip, caller, exits| ExitRow {
            reason: "out".into(),
            port: Some(0x1f2),
            width: Some(1),
            rip,
            caller: Some(caller),
            exits,
            nanoseconds: exits * 1_000_000,
            elements: exits,
        };
        let stats = Stats {
            exits: 100,
            rows: vec![
                row(0x105, 0x210, 60),
                row(0x106, 0x310, 20),
                row(0x107, 0x210, 10),
                row(0x400, 0x210, 10),
            ],
            ..Stats::default()
        };
        let map = "100 T iowrite8\n200 T ata_sff_tf_load\n300 T ata_sff_dev_select\n400 T other\n";
        let hot = Hot::new(&stats, &Symbols::from_system_map(map).unwrap());
        let rows = hot.rows.iter().map(|row| {
            let caller = row.caller.as_deref().unwrap_or("-");
            (row.address, row.function.as_str(), caller, row.exits)
        });
        let expected = [
            (0x105, "iowrite8", "ata_sff_tf_load", 70),
            (0x106, "iowrite8", "ata_sff_dev_select", 20),
            (0x400, "other", "ata_sff_tf_load", 10),
        ];
        assert_eq!(rows.collect::<Vec<_>>(), expected);
        assert!(hot.to_string().contains("70.0 %"), "{hot}");
    }
}
