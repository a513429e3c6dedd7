//! Reading kernel C: functions are cut out of a file, kernel idioms are blanked at equal length,
//! each function is parsed on its own, and edits go to the original bytes.

mod conditional;
pub mod edit;
pub mod functions;
pub mod headers;
pub mod idioms;
pub(crate) mod lex;
pub mod macros;
pub mod mask;
pub mod parse;
