//! guestpatch reads a guest Linux kernel checkout and writes a patch series that makes
//! that kernel cheap to run under KVM.
//!
//! Data flows one way, and so do the module dependencies:
//!
//! ```text
//! kernel (checkout) -> recipe -> step (over c: masked text + syntax -> edits) -> series -> report
//! ```

pub mod c;
pub mod error;
pub mod host;
pub mod kernel;
pub mod napi;
pub mod recipe;
pub mod report;
pub mod series;
pub mod step;

pub use error::{Error, Result};
