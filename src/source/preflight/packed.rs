//! Byte-array values of a page in stored form: bounds on their decoded size.
//!
//! Only ids have such columns. The decoders allocate as many lengths as a delta header declares.

use parquet::basic::Encoding;

use super::UNCOMPRESSED_FREE;

/// Checks that the delta streams of lengths in `values` hold no more than the page does.
pub(super) fn check_lengths(values: &[u8], encoding: Encoding, len: usize) -> Result<(), String> {
    let streams = match encoding {
        Encoding::DELTA_LENGTH_BYTE_ARRAY => 1,
        Encoding::DELTA_BYTE_ARRAY => 2,
        _ => return Ok(()),
    };
    let mut at = values;
    for _ in 0..streams {
        let stream = delta(at, len as u64);
        at = stream.ok_or("a page's stream of lengths contradicts its header")?;
    }
    Ok(())
}

/// The bytes after a delta-packed stream of at most `max` numbers.
fn delta(bytes: &[u8], max: u64) -> Option<&[u8]> {
    let mut at = bytes;
    let block = varint(&mut at)?;
    let minis = varint(&mut at)?;
    let count = varint(&mut at)?;
    varint(&mut at)?;
    let per_mini = block.checked_div(minis)?;
    // Eight values of any width fill whole bytes, so that every miniblock ends at a byte.
    if count > max || per_mini < 8 || !per_mini.is_multiple_of(8) {
        return None;
    }
    // The first value was in the header.
    let mut left = count.saturating_sub(1);
    while left > 0 {
        varint(&mut at)?;
        let (widths, mut rest) = at.split_at_checked(usize::try_from(minis).ok()?)?;
        for &width in widths {
            if left > 0 {
                let size = u64::from(width).checked_mul(per_mini / 8)?;
                rest = rest.get(usize::try_from(size).ok()?..)?;
            }
            left = left.saturating_sub(per_mini);
        }
        at = rest;
    }
    Some(at)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Checks that `values` times a dictionary's longest word fits into memory.
pub(super) fn check_words(dictionary: &[u8], values: u64) -> Result<(), String> {
    let (mut at, mut longest) = (dictionary, 0);
    while let Some((len, rest)) = at.split_first_chunk::<4>() {
        let len = u32::from_le_bytes(*len);
        longest = longest.max(u64::from(len));
        at = rest.get(len as usize..).unwrap_or_default();
    }
    let bytes = longest.saturating_mul(values);
    if bytes > UNCOMPRESSED_FREE {
        return Err(format!(
            "a word of {longest} bytes in a dictionary, which {values} values may repeat"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delta_stream_ends_where_its_blocks_do() {
        // 128 a block, 4 minis, 3 values, the first 1; a block of width 1 in its first mini.
        let bytes = [0x80, 1, 4, 3, 2, 0, 1, 0, 0, 0, 7, 0, 0, 0, 99];
        assert_eq!(delta(&bytes, 3), Some(&[99][..]));
        assert_eq!(delta(&bytes, 2), None);
        assert_eq!(delta(&bytes[..10], 3), None);
        assert_eq!(delta(&[0x80, 1, 4, 0xFF, 0xFF, 0xFF, 0x7F, 0], 3), None);
    }
}
