//! What must hold: no data is lost, no kernel complains, runs repeat, and the savings are there.

mod content;
mod guests;
mod promises;

pub use guests::guests;
pub use promises::promises;
