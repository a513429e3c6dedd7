//! Blanking kernel idioms at equal length, so that a C parser understands what is left and every byte offset stays.

/// The masked twin of `text`: same length, same line breaks.
pub fn mask(_text: &[u8]) -> Vec<u8> {
    todo!()
}
