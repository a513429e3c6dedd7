//! Counts exits by what caused them and where the guest was, and finds the functions behind them.

mod caller;
mod hot;
mod phases;
mod record;
mod symbols;

pub use hot::{Hot, HotRow};
pub use phases::{MARK_PORT, Phase, Phases};
pub use record::{Event, ExitRow, Recorder, Stats};
pub use symbols::Symbols;
