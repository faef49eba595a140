//! Definition and repetition levels of a page in stored form: as runs.
//!
//! A run of a few bytes can represent up to two billion levels, and the decoders expand a whole
//! list however long it is. So lists are measured here first, run by run.

use parquet::basic::Encoding;
use parquet::column::page::Page;
use parquet::schema::types::ColumnDescriptor;

use super::EXCESS_MAX;

/// Levels of one page.
pub(super) struct Levels<'a> {
    bytes: &'a [u8],
    /// Bits a level.
    width: u32,
    /// Levels to come.
    left: usize,
    is_hybrid: bool,
}

/// Some levels.
enum Run<'a> {
    Same {
        level: u16,
        len: usize,
    },
    /// Packed into bits, the first level in the lowest bits (in the highest, when not hybrid).
    Packed {
        bytes: &'a [u8],
        len: usize,
    },
}

/// A data page taken apart.
pub(super) struct Sections<'a> {
    pub rep: Levels<'a>,
    pub def: Levels<'a>,
    pub values: &'a [u8],
    pub encoding: Encoding,
    /// Levels of the page.
    pub len: usize,
}

/// The sections of a data page, `None` for a dictionary; an error when it is too short for them.
pub(super) fn sections<'a>(
    page: &'a Page,
    column: &ColumnDescriptor,
) -> Result<Option<Sections<'a>>, &'static str> {
    const SHORT: &str = "a page ends before its levels do";
    let width = |max: i16| {
        u32::from(max.cast_unsigned())
            .checked_ilog2()
            .map_or(0, |n| n + 1)
    };
    let rep_width = width(column.max_rep_level());
    let def_width = width(column.max_def_level());
    let (len, encoding, rep, def, values) = match page {
        Page::DictionaryPage { .. } => return Ok(None),
        Page::DataPage {
            buf,
            num_values,
            encoding,
            def_level_encoding,
            rep_level_encoding,
            ..
        } => {
            let len = *num_values as usize;
            let (rep, rest) = first(buf, rep_width, len, *rep_level_encoding).ok_or(SHORT)?;
            let (def, rest) = first(rest, def_width, len, *def_level_encoding).ok_or(SHORT)?;
            (len, *encoding, rep, def, rest)
        }
        Page::DataPageV2 {
            buf,
            num_values,
            encoding,
            def_levels_byte_len,
            rep_levels_byte_len,
            ..
        } => {
            let len = *num_values as usize;
            let (rep, rest) = buf
                .split_at_checked(*rep_levels_byte_len as usize)
                .ok_or(SHORT)?;
            let (def, rest) = rest
                .split_at_checked(*def_levels_byte_len as usize)
                .ok_or(SHORT)?;
            let levels = |bytes, width| Levels {
                bytes,
                width,
                left: len,
                is_hybrid: true,
            };
            let (rep, def) = (levels(rep, rep_width), levels(def, def_width));
            (len, *encoding, rep, def, rest)
        }
    };
    Ok(Some(Sections {
        rep,
        def,
        values,
        encoding,
        len,
    }))
}

/// The levels at the start of a page of the first version, and what is behind them.
fn first(bytes: &[u8], width: u32, len: usize, coded: Encoding) -> Option<(Levels<'_>, &[u8])> {
    let is_hybrid = coded == Encoding::RLE;
    // Levels that can only be 0 are not stored. Those coded in runs follow their size; the older
    // bit-packed ones have a size that their number determines.
    let (levels, rest) = if width == 0 {
        (&bytes[..0], bytes)
    } else if is_hybrid {
        let (size, rest) = bytes.split_first_chunk::<4>()?;
        rest.split_at_checked(u32::from_le_bytes(*size) as usize)?
    } else {
        bytes.split_at_checked((len * width as usize).div_ceil(8))?
    };
    let levels = Levels {
        bytes: levels,
        width,
        left: len,
        is_hybrid,
    };
    Some((levels, rest))
}

impl<'a> Levels<'a> {
    /// The next levels; `None` where they, or the bytes, end.
    fn run(&mut self) -> Option<Run<'a>> {
        if self.left == 0 {
            return None;
        }
        if self.width == 0 {
            let len = std::mem::take(&mut self.left);
            return Some(Run::Same { level: 0, len });
        }
        if !self.is_hybrid {
            let len = std::mem::take(&mut self.left);
            let bytes = self.bytes;
            return Some(Run::Packed { bytes, len });
        }
        let head = self.varint()?;
        let count = usize::try_from(head >> 1).ok()?;
        if head & 1 == 0 {
            // Of at most 16 bits, as levels are.
            let (level, rest) = self
                .bytes
                .split_at_checked(self.width.div_ceil(8) as usize)?;
            self.bytes = rest;
            let level = level.iter().rev().take(2);
            let level = level.fold(0, |level, &byte| level << 8 | u16::from(byte));
            // A run may be declared longer than the page has levels.
            let len = count.min(self.left);
            self.left -= len;
            return Some(Run::Same { level, len });
        }
        let len = count.checked_mul(8)?.min(self.left);
        let size = count.checked_mul(self.width as usize)?;
        // The last group may be cut short where its levels have ended.
        let (bytes, rest) = self.bytes.split_at(size.min(self.bytes.len()));
        self.bytes = rest;
        self.left -= len;
        Some(Run::Packed { bytes, len })
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// The levels one by one.
    pub fn singly(mut self) -> impl Iterator<Item = u16> {
        let mut run = None;
        let mut at = 0;
        std::iter::from_fn(move || {
            loop {
                match &run {
                    Some(Run::Same { level, len }) if at < *len => {
                        at += 1;
                        return Some(*level);
                    }
                    Some(Run::Packed { bytes, len }) if at < *len => {
                        at += 1;
                        return unpack(bytes, at - 1, self.width as usize, self.is_hybrid);
                    }
                    _ => {
                        run = Some(self.run()?);
                        at = 0;
                    }
                }
            }
        })
    }
}

/// The level at this place.
fn unpack(bytes: &[u8], at: usize, width: usize, lowest_first: bool) -> Option<u16> {
    (0..width).try_fold(0, |level, bit| {
        let place = at * width + bit;
        let byte = *bytes.get(place / 8)?;
        Some(if lowest_first {
            level | u16::from(byte >> (place % 8) & 1) << bit
        } else {
            level << 1 | u16::from(byte >> (7 - place % 8) & 1)
        })
    })
}

/// Number of values by which the lists of a column chunk exceed `len` each.
///
/// With s the values since the last list that began when all before were complete, a value adds 1
/// to s and a list that begins takes `len` off, to no less than zero: s does not exceed `len` as
/// long as no list does. Levels are processed 64 at a time, which is off by at most 64.
pub(super) struct Excess {
    len: u64,
    values: u64,
}

impl Excess {
    pub fn new(len: usize) -> Self {
        let len = (len as u64).max(1);
        Self { len, values: 0 }
    }

    /// Adds the repetition levels of the next page.
    pub fn add(&mut self, mut rep: Levels<'_>) -> Result<(), String> {
        while let Some(run) = rep.run() {
            match run {
                Run::Same { level, len } => {
                    let lists = if level == 0 { len as u64 } else { 0 };
                    self.take(len as u64, lists)?;
                }
                Run::Packed { bytes, len } if rep.width == 1 => {
                    let mut left = len;
                    for bits in bytes.chunks(8) {
                        let mut word = [0; 8];
                        word[..bits.len()].copy_from_slice(bits);
                        let levels = left.min(8 * bits.len());
                        left -= levels;
                        // Levels behind the last are nobody's; they are zero or come to no harm.
                        let more = u64::from(u64::from_le_bytes(word).count_ones());
                        let levels = levels as u64;
                        self.take(levels, levels.saturating_sub(more))?;
                    }
                }
                Run::Packed { bytes, len } => {
                    for at in 0..len {
                        let level = unpack(bytes, at, rep.width as usize, rep.is_hybrid);
                        let Some(level) = level else { break };
                        self.take(1, u64::from(level == 0))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, levels: u64, lists: u64) -> Result<(), String> {
        let all = self.values.saturating_add(levels);
        self.values = all.saturating_sub(lists.saturating_mul(self.len));
        if self.values > self.len + EXCESS_MAX {
            return Err(format!(
                "lists that should hold {} values hold at least {} more",
                self.len,
                self.values - self.len
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hybrid(bytes: &[u8], width: u32, left: usize) -> Levels<'_> {
        Levels {
            bytes,
            width,
            left,
            is_hybrid: true,
        }
    }

    #[test]
    fn runs_unfold_as_the_format_says() {
        // Three times 5, then eight of 3 bits: the example of the format, 0 to 7.
        let bytes = [6, 5, 3, 0b1000_1000, 0b1100_0110, 0b1111_1010];
        let levels: Vec<u16> = hybrid(&bytes, 3, 11).singly().collect();
        assert_eq!(levels, [5, 5, 5, 0, 1, 2, 3, 4, 5, 6, 7]);
        let old = Levels {
            is_hybrid: false,
            ..hybrid(&[0b0000_0101, 0b0011_1001, 0b0111_0111], 3, 8)
        };
        assert_eq!(old.singly().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn regular_lists_have_no_excess_and_one_of_millions_has() {
        let list = [[2, 0].as_slice(), &[198, 1, 1]].concat(); // 1 + 99 levels
        let mut excess = Excess::new(100);
        excess.add(hybrid(&list.repeat(5000), 1, 500_000)).unwrap();
        assert!(excess.values <= 100);
        // One zero and 2^25 ones.
        let long = [2, 0, 0x80, 0x80, 0x80, 0x20, 1];
        assert!(excess.add(hybrid(&long, 1, usize::MAX)).is_err());
        // Null rows before it give no credit.
        let mut excess = Excess::new(100);
        excess
            .add(hybrid(&[0x80, 0x80, 0x80, 0x20, 0], 1, usize::MAX))
            .unwrap();
        assert!(excess.add(hybrid(&long, 1, usize::MAX)).is_err());
        // 2^23 groups of eight, packed.
        let packed = [vec![0x81, 0x80, 0x20], vec![0xFF; 1 << 18]].concat();
        assert!(
            Excess::new(100)
                .add(hybrid(&packed, 1, usize::MAX))
                .is_err()
        );
    }
}
