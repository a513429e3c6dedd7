//! Patterns for names of functions.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// A set of glob patterns over identifiers.
#[derive(Debug, Clone)]
pub struct NameGlobs {
    empty: bool,
    set: GlobSet,
}

impl NameGlobs {
    /// Compiles `patterns`.
    ///
    /// # Errors
    /// The index of the first bad pattern, and what is wrong with it.
    pub fn new<S: AsRef<str>>(patterns: &[S]) -> Result<Self, (usize, String)> {
        let mut set = GlobSetBuilder::new();
        for (index, pattern) in patterns.iter().enumerate() {
            let glob = GlobBuilder::new(pattern.as_ref())
                .build()
                .map_err(|e| (index, e.kind().to_string()))?;
            set.add(glob);
        }
        let set = set.build().map_err(|e| (0, e.kind().to_string()))?;
        Ok(Self {
            empty: patterns.is_empty(),
            set,
        })
    }

    /// Whether there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.empty
    }

    /// Whether any pattern matches `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.set.is_match(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_pattern_will_do() {
        let globs = NameGlobs::new(&["ata_sff_*", "ide_tf_load"]).unwrap();
        assert!(globs.is_match("ata_sff_tf_load"));
        assert!(globs.is_match("ide_tf_load"));
        assert!(!globs.is_match("my_ide_tf_load"));
        assert!(NameGlobs::new::<&str>(&[]).unwrap().is_empty());
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let (index, message) = NameGlobs::new(&["ok", "drivers/[a"]).unwrap_err();
        assert_eq!(index, 1);
        assert!(message.contains("unclosed"), "{message}");
    }
}
