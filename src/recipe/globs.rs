//! Path and name patterns, kept with their text.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// A set of glob patterns. `*` does not match `/`, `**` does.
#[derive(Debug, Clone, Default)]
pub struct Globs {
    patterns: Vec<String>,
    set: GlobSet,
}

impl Globs {
    /// Compiles `patterns`.
    ///
    /// # Errors
    /// The index of the first bad pattern, and what is wrong with it.
    pub fn new<S: AsRef<str>>(patterns: &[S]) -> Result<Self, (usize, String)> {
        let mut set = GlobSetBuilder::new();
        for (index, pattern) in patterns.iter().enumerate() {
            let glob = GlobBuilder::new(pattern.as_ref())
                .literal_separator(true)
                .build()
                .map_err(|e| (index, e.kind().to_string()))?;
            set.add(glob);
        }
        let set = set.build().map_err(|e| (0, e.kind().to_string()))?;
        Ok(Self {
            patterns: patterns.iter().map(|p| p.as_ref().to_owned()).collect(),
            set,
        })
    }

    /// The patterns as written.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether any pattern matches `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.set.is_match(text)
    }

    /// The patterns, when each of them is a plain path: then nothing need be walked.
    pub fn as_plain_paths(&self) -> Option<&[String]> {
        let plain = self
            .patterns
            .iter()
            .all(|p| !p.contains(['*', '?', '[', '{', '\\']));
        plain.then_some(&self.patterns[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_in_its_folder() {
        let globs = Globs::new(&["drivers/*/a.c", "lib/**"]).unwrap();
        assert!(globs.is_match("drivers/x/a.c"));
        assert!(!globs.is_match("drivers/x/y/a.c"));
        assert!(globs.is_match("lib/x/y.c"));
        assert!(globs.as_plain_paths().is_none());
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let (index, message) = Globs::new(&["ok", "drivers/[a"]).unwrap_err();
        assert_eq!(index, 1);
        assert!(message.contains("unclosed"), "{message}");
    }
}
