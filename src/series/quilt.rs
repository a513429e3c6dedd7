//! The `series` file that quilt reads: patch files in the order they go on.

/// One name a line; every patch is for `-p1`, quilt's default.
pub(super) fn series_file<'a>(names: impl Iterator<Item = &'a str>) -> Vec<u8> {
    names
        .flat_map(|name| [name.as_bytes(), b"\n"])
        .flatten()
        .copied()
        .collect()
}
