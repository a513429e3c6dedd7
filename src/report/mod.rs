//! What the program tells about its work: a table for people, JSON and SARIF for programs.

pub mod napi;
pub mod sarif;
pub mod scan;
pub mod series;
pub mod table;
mod totals;

pub use totals::Totals;

/// The program's name and version, in every report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Tool {
    /// `guestpatch`.
    pub name: &'static str,
    /// The version of the package.
    pub version: &'static str,
}

/// This program.
pub const TOOL: Tool = Tool {
    name: env!("CARGO_PKG_NAME"),
    version: env!("CARGO_PKG_VERSION"),
};

/// JSON with a line break at its end, indented for people.
pub fn to_json(report: &impl serde::Serialize) -> String {
    // Reports are structs of strings and numbers: serde_json has nothing to refuse in them.
    let mut text = serde_json::to_string_pretty(report).unwrap_or_default();
    text.push('\n');
    text
}
