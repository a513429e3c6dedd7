//! guestpatch
fn main() {}
