//! What guests are told to write, by its SHA-256: were it nothing, reading it back would show nothing.

use sha2::{Digest, Sha256};

use crate::cache::hex;

const SECTOR: usize = 512;

/// So many KiB as `guest/data.sh` makes them: sectors that begin with their numbers.
pub fn data(kib: u32) -> String {
    sum_of(kib, kib * 2)
}

/// The first sectors of the shortest data.
pub fn sectors(count: u32) -> String {
    sum_of(1, count)
}

/// The first `count` sectors of so many KiB.
fn sum_of(kib: u32, count: u32) -> String {
    // The script counts one further, which is cut off.
    let width = (kib * 2 + 1).to_string().len();
    let spaces = " ".repeat(SECTOR - width);
    let mut sum = Sha256::new();
    for number in 1..=count {
        sum.update(format!("{number:0width$}"));
        sum.update(&spaces);
    }
    hex(&sum.finalize())
}

/// Small files, one after the other.
pub fn files(count: u32) -> String {
    let all: String = (1..=count).map(|n| format!("file {n}\n")).collect();
    hex(&Sha256::digest(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums of what the scripts make in busybox's shell.
    #[test]
    fn data_is_that_of_the_script() {
        assert!(sectors(1).starts_with("876f5e00819b2e72"));
        assert!(data(1).starts_with("797c3794ba1f8b1e"));
        // Numbers get another digit on the way.
        assert!(data(5000).starts_with("a4beea774c857369"));
        // for i in 1 2 3; do echo "file $i"; done
        assert!(files(3).starts_with("15e4a8a02a180d45"));
    }
}
