//! Shortens long texts in the middle.
//!
//! A message names its subject, and files may contain column names of any length. What is stored,
//! logged or answered keeps its beginning, which names the place, and its end, which names the
//! remedy.

/// Bytes of a message that is stored, logged or answered.
pub const MESSAGE_BYTES_MAX: usize = 4096;

/// The text itself or, if it has more than `most` bytes, its beginning and end with a note of how
/// much was left out; at most `most` bytes long, provided `most` is at least 256.
#[must_use]
pub fn bounded(text: String, most: usize) -> String {
    if text.len() <= most {
        return text;
    }
    let head = text.floor_char_boundary(most / 2);
    let tail = text.ceil_char_boundary(text.len() - most / 4);
    let left_out = tail - head;
    format!(
        "{}… ({left_out} bytes left out) …{}",
        &text[..head],
        &text[tail..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_keeps_its_beginning_and_its_end() {
        let long = format!("a.parquet: {}; rename it", "é".repeat(300_000));
        let said = bounded(long, MESSAGE_BYTES_MAX);
        assert!(said.len() <= MESSAGE_BYTES_MAX, "{}", said.len());
        assert!(said.starts_with("a.parquet: éé"), "{said}");
        assert!(said.ends_with("éé; rename it"), "{said}");
        let short = "é".repeat(MESSAGE_BYTES_MAX / 2);
        assert_eq!(bounded(short.clone(), MESSAGE_BYTES_MAX), short);
        for most in [256, 257, 300, 1001] {
            let said = bounded("é".repeat(9999), most);
            assert!(said.len() <= most, "{most}: {said}");
        }
    }
}
