//! Sums over sites.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::step::{Site, Verdict};

/// Sums over sites.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Places found.
    pub sites: usize,
    /// I/O operations in them.
    pub ops: usize,
    /// Places rewritten (or that would be).
    pub rewritten: usize,
    /// Exits saved if each rewritten place runs once.
    pub exits_saved: usize,
    /// Places left alone, by the code of the reason.
    pub blocked: BTreeMap<String, usize>,
}

impl Totals {
    /// Adds everything up.
    pub fn of<'a>(sites: impl IntoIterator<Item = &'a Site>) -> Self {
        let mut totals = Self::default();
        for site in sites {
            totals.sites += 1;
            totals.ops += site.ops;
            totals.exits_saved += site.exits_saved;
            match &site.verdict {
                Verdict::Rewritten => totals.rewritten += 1,
                Verdict::Blocked { code, .. } => {
                    *totals.blocked.entry(code.clone()).or_default() += 1
                }
            }
        }
        totals
    }

    /// Places left alone.
    pub fn left_alone(&self) -> usize {
        self.blocked.values().sum()
    }
}
