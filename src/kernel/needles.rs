//! Words without which a file is not worth a closer look.

use std::ops::Range;

use aho_corasick::{AhoCorasick, Input, Match, MatchKind, Span, packed};

use crate::{Error, Result};

/// What makes a file worth a closer look: literal words.
#[derive(Debug, Clone)]
pub struct Needles {
    matcher: Matcher,
    /// The longest first: of those that match at one place, the matcher then names the longest.
    words: Vec<String>,
    /// Whether a needle has bytes in it that are no part of a word (`hwif->OUTB`).
    mixed: bool,
}

#[derive(Debug, Clone)]
enum Matcher {
    /// Every file is.
    Any,
    /// A vector search, for sets that are small enough: twice as fast as the automaton, whose prefilter looks at first letters only.
    Packed(packed::Searcher),
    Automaton(AhoCorasick),
}

impl Matcher {
    /// The first place at or after `at` where a word matches; of several there, the longest.
    fn find(&self, text: &[u8], at: usize) -> Option<Match> {
        match self {
            Self::Any => None,
            Self::Packed(searcher) => searcher.find_in(
                text,
                Span {
                    start: at,
                    end: text.len(),
                },
            ),
            Self::Automaton(automaton) => automaton.find(Input::new(text).range(at..)),
        }
    }
}

impl Needles {
    /// Every file qualifies.
    pub fn any() -> Self {
        Self {
            matcher: Matcher::Any,
            words: Vec::new(),
            mixed: false,
        }
    }

    /// Files that contain one of `words`, not as a part of a longer identifier. An empty list is [`Needles::any`].
    ///
    /// # Errors
    /// When a word is empty, or there are more than the matcher can take.
    pub fn words<S: AsRef<str>>(words: &[S]) -> Result<Self> {
        if words.is_empty() {
            return Ok(Self::any());
        }
        let mut words: Vec<String> = words.iter().map(|w| w.as_ref().to_owned()).collect();
        if words.iter().any(String::is_empty) {
            return Err(Error::usage("an empty needle is in every file")
                .hint("leave the needles out instead"));
        }
        words.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        words.dedup();
        let mut packed = packed::Config::new()
            .match_kind(packed::MatchKind::LeftmostFirst)
            .builder();
        let matcher = match packed.extend(&words).build() {
            Some(searcher) => Matcher::Packed(searcher),
            None => Matcher::Automaton(
                AhoCorasick::builder()
                    .match_kind(MatchKind::LeftmostFirst)
                    .build(&words)
                    .map_err(|e| Error::usage(format!("bad needles: {e}")))?,
            ),
        };
        let mixed = words.iter().any(|w| !w.bytes().all(is_word));
        Ok(Self {
            matcher,
            words,
            mixed,
        })
    }

    /// Whether `text` qualifies.
    pub fn is_in(&self, text: &[u8]) -> bool {
        matches!(self.matcher, Matcher::Any) || self.find(text, 0).is_some()
    }

    /// The byte ranges of all words found, in order; none for [`Needles::any`].
    pub fn all(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(range) = self.find(text, at) {
            at = range.start + 1;
            found.push(range);
        }
        found
    }

    /// The first word at or after `at`.
    fn find(&self, text: &[u8], mut at: usize) -> Option<Range<usize>> {
        while let Some(m) = self.matcher.find(text, at) {
            if stands_alone(text, m.range()) {
                return Some(m.range());
            }
            // A shorter needle can stand alone where the longest does not only if the longest is not one word.
            if self.mixed {
                let mut here = self
                    .words
                    .iter()
                    .map(|w| (w, m.start()..m.start() + w.len()));
                let alone = |(w, range): &(&String, Range<usize>)| {
                    text[m.start()..].starts_with(w.as_bytes()) && stands_alone(text, range.clone())
                };
                if let Some((_, range)) = here.find(alone) {
                    return Some(range);
                }
            }
            at = m.start() + 1;
        }
        None
    }
}

/// Whether the match at `range` is no part of a longer identifier.
fn stands_alone(text: &[u8], range: Range<usize>) -> bool {
    let joins = |left: usize, right: usize| {
        text.get(left).copied().is_some_and(is_word)
            && text.get(right).copied().is_some_and(is_word)
    };
    !(range.start > 0 && joins(range.start - 1, range.start) || joins(range.end - 1, range.end))
}

/// Plain ASCII: no Unicode rules, so that other encodings around a word do not matter.
fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needles_are_words() {
        let needles = Needles::words(&["inb", "inb_p", "hwif", "hwif->OUTB"]).unwrap();
        let found = |text: &str| {
            needles
                .all(text.as_bytes())
                .into_iter()
                .map(|r| text[r].to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(found("inb_p(inb(x), inbx, xinb, inb_px)"), ["inb_p", "inb"]);
        assert_eq!(
            found("hwif->OUTB(hwif->OUTBSYNC); hwifs"),
            ["hwif->OUTB", "hwif"]
        );
        assert!(needles.is_in(b"\xe4inb\xff"));
        assert!(!needles.is_in(b"rainbow"));
        assert!(Needles::any().is_in(b""));
        assert!(Needles::words(&[""]).is_err());
        // Too many for the vector search.
        let many: Vec<String> = (0..2000).map(|n| format!("word{n}")).collect();
        let many = Needles::words(&many).unwrap();
        assert!(many.is_in(b"a word1999 b") && !many.is_in(b"word2000 word19990"));
    }
}
