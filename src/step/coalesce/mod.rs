//! Runs of port I/O become one batch.
