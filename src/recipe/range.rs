//! Kernel version ranges such as `>=2.6.26, <5.14`.

use std::fmt;

use crate::kernel::Version;

type Triple = (u32, u32, u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Less,
    AtMost,
    Exactly,
    AtLeast,
    More,
}

/// Bounds that must all hold; `-rc` and other suffixes do not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRange {
    text: String,
    bounds: Vec<(Bound, Triple)>,
}

impl VersionRange {
    /// Reads bounds separated by commas: `>=`, `>`, `<=`, `<` or `=`, each with a version of two or three numbers.
    ///
    /// # Errors
    /// A sentence about the first part that is not one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut bounds = Vec::new();
        for part in text.split(',').map(str::trim) {
            let (bound, version) = [
                (">=", Bound::AtLeast),
                ("<=", Bound::AtMost),
                (">", Bound::More),
                ("<", Bound::Less),
                ("=", Bound::Exactly),
            ]
            .into_iter()
            .find_map(|(sign, bound)| Some((bound, part.strip_prefix(sign)?.trim())))
            .ok_or_else(|| format!("`{part}` is not a version bound"))?;
            let version =
                triple(version).ok_or_else(|| format!("`{version}` is not a kernel version"))?;
            bounds.push((bound, version));
        }
        Ok(Self {
            text: text.to_owned(),
            bounds,
        })
    }

    /// Whether `version` is inside.
    pub fn contains(&self, version: &Version) -> bool {
        let version = version.triple();
        self.bounds.iter().all(|(bound, than)| match bound {
            Bound::Less => version < *than,
            Bound::AtMost => version <= *than,
            Bound::Exactly => version == *than,
            Bound::AtLeast => version >= *than,
            Bound::More => version > *than,
        })
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn triple(text: &str) -> Option<Triple> {
    let mut numbers = text.split('.').map(|n| n.parse::<u32>().ok());
    let (major, minor) = (numbers.next()??, numbers.next()??);
    let patch = match numbers.next() {
        Some(patch) => patch?,
        None => 0,
    };
    numbers.next().is_none().then_some((major, minor, patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(major: u32, minor: u32, patch: u32) -> Version {
        Version {
            major,
            minor,
            patch,
            extra: String::new(),
        }
    }

    #[test]
    fn all_bounds_must_hold() {
        let range = VersionRange::parse(">=2.6.26, <5.14").unwrap();
        assert!(!range.contains(&version(2, 6, 25)));
        assert!(range.contains(&version(2, 6, 26)));
        assert!(range.contains(&version(5, 13, 19)));
        assert!(!range.contains(&version(5, 14, 0)));
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(
            VersionRange::parse("2.6").unwrap_err(),
            "`2.6` is not a version bound"
        );
        assert_eq!(
            VersionRange::parse(">=2.6.x").unwrap_err(),
            "`2.6.x` is not a kernel version"
        );
        assert!(VersionRange::parse("").is_err());
    }
}
