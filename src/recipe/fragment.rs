//! The configuration beside a series: what an existing `.config` must be told, since a changed default does not reach it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::run::{Plan, Status};

/// The name of the file.
pub const FILE: &str = "guest.config";

impl Plan<'_> {
    /// The fragment for the recipes that are in the tree after the series; `None` when they need none.
    ///
    /// Its lines are those of a `.config`; `scripts/kconfig/merge_config.sh .config guest.config` merges them, and on old kernels
    /// `cat guest.config >>.config && make oldconfig`.
    pub fn fragment(&self) -> Option<String> {
        let mut out = String::new();
        let mut set: BTreeMap<&str, &str> = BTreeMap::new();
        for done in &self.recipes {
            let applies = matches!(done.status, Status::Applied | Status::AlreadyApplied);
            if !applies || done.config.is_empty() {
                continue;
            }
            let _ = writeln!(out, "# {}", done.recipe.name);
            for (symbol, value) in &done.config {
                if set.get(symbol.as_str()) == Some(&value.as_str()) {
                    continue;
                }
                set.insert(symbol, value);
                let _ = match value.as_str() {
                    "n" => writeln!(out, "# {symbol} is not set"),
                    _ => writeln!(out, "{symbol}={value}"),
                };
            }
        }
        (!out.is_empty()).then_some(out)
    }
}
