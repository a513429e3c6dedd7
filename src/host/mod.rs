//! The paired host, built from the sources in this program: the one that matches a series.

mod build;
mod check;
mod source;

pub use build::build;
pub use check::check;
pub use source::{files, write};

/// The program that the host crate builds.
pub const PROGRAM: &str = "xkvm";
