//! Wire ABI v1.
