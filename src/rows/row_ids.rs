//! Ids of rows: the values of their id columns as text, beside a minibatch.

use crate::codec::{CodecError, Decoder, Encoder};

/// Bytes kept of one value: an id is meant to be read, and a long text is not an id.
pub const ID_BYTES: usize = 80;
/// Marks a truncated value.
pub const ID_CUT: char = '…';
/// Most bytes of the values of one minibatch: 2¹⁸ ids of 64 bytes. Further values are null.
const TEXT_BYTES: usize = 16 << 20;

/// Texts of the id columns of some rows, row by row; a null stays one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowIds {
    /// Number of id columns.
    width: usize,
    text: String,
    /// End of each value in `text`, and true if it is null.
    ends: Vec<(u32, bool)>,
    is_passed_over: bool,
}

impl RowIds {
    /// RowIds of no rows yet, with `width` values each.
    pub fn new(width: usize) -> Self {
        Self {
            width,
            ..Self::default()
        }
    }

    /// Number of id columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Bytes of memory used.
    pub fn bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<(u32, bool)>()
    }

    /// Values of all rows.
    pub fn values(&self) -> usize {
        self.ends.len()
    }

    /// True if values were skipped for lack of time.
    pub fn is_passed_over(&self) -> bool {
        self.is_passed_over
    }

    /// Marks the values as skipped.
    pub fn pass_over(&mut self) {
        self.is_passed_over = true;
    }

    /// Appends a value, truncated if too long.
    pub fn push(&mut self, value: Option<&str>) {
        let value = value.filter(|value| {
            self.text.len() + value.len().min(ID_BYTES) + ID_CUT.len_utf8() <= TEXT_BYTES
        });
        if let Some(value) = value {
            if value.len() <= ID_BYTES + ID_CUT.len_utf8() && is_whole(value) {
                self.text.push_str(value);
            } else {
                self.text
                    .push_str(&value[..value.floor_char_boundary(ID_BYTES)]);
                self.text.push(ID_CUT);
            }
        }
        self.ends.push((self.text.len() as u32, value.is_none()));
    }

    /// Appends rows of unknown ids.
    pub fn pad(&mut self, rows: usize) {
        self.set_values(self.ends.len() + rows * self.width);
    }

    /// Appends the values of `rows` rows; missing ones are null.
    pub fn append(&mut self, of: Option<&Self>, rows: usize) {
        let until = self.ends.len() + rows * self.width;
        if let Some(of) = of.filter(|of| of.width == self.width) {
            self.is_passed_over |= of.is_passed_over;
            for i in 0..of.ends.len().min(rows * self.width) {
                self.push(of.at(i));
            }
        }
        self.set_values(until);
    }

    /// Extends or truncates the values to that number; missing ones are null.
    pub fn set_values(&mut self, values: usize) {
        let from = values.checked_sub(1).and_then(|last| self.ends.get(last));
        let end = from.map_or(if values == 0 { 0 } else { self.text.len() }, |at| {
            at.0 as usize
        });
        self.text.truncate(end);
        self.ends.resize(values, (end as u32, true));
    }

    fn at(&self, i: usize) -> Option<&str> {
        let (end, is_null) = *self.ends.get(i)?;
        let from = i.checked_sub(1).map_or(0, |before| self.ends[before].0);
        (!is_null)
            .then(|| self.text.get(from as usize..end as usize))
            .flatten()
    }

    /// The value of a row.
    pub fn get(&self, row: usize, column: usize) -> Option<&str> {
        self.at(row * self.width + column)
    }

    /// Writes them; the reader must know their number.
    pub fn encode(&self, to: &mut Encoder) {
        to.bool(self.is_passed_over);
        to.usize(self.width);
        to.str(&self.text);
        to.usize(self.ends.len());
        for (end, is_null) in &self.ends {
            to.u32(*end);
            to.bool(*is_null);
        }
    }

    /// Reads what was written.
    ///
    /// # Errors
    /// If data is missing, values are too long, or a value ends within a character.
    pub fn decode(from: &mut Decoder<'_>) -> Result<Self, CodecError> {
        let is_passed_over = from.bool()?;
        let width = from.usize()?;
        let text = from.str()?.to_owned();
        if text.len() > TEXT_BYTES {
            return Err(from.refuse("more ids than can be held"));
        }
        let count = from.count(5)?;
        let mut ends = Vec::with_capacity(count);
        let mut before = 0;
        for _ in 0..count {
            let (end, is_null) = (from.u32()?, from.bool()?);
            let len = text
                .get(before as usize..end as usize)
                .map_or(usize::MAX, str::len);
            if len > ID_BYTES + ID_CUT.len_utf8() || (is_null && len > 0) {
                return Err(from.refuse("an id that is not text of an allowed length"));
            }
            ends.push((end, is_null));
            before = end;
        }
        Ok(Self {
            width,
            text,
            ends,
            is_passed_over,
        })
    }
}

/// True if a value is short enough or was already truncated.
fn is_whole(value: &str) -> bool {
    value.len() <= ID_BYTES || value.ends_with(ID_CUT)
}

#[cfg(test)]
mod tests {
    use super::{ID_BYTES, RowIds, TEXT_BYTES};
    use crate::codec::{Decoder, Encoder};

    fn row_ids() -> RowIds {
        let mut row_ids = RowIds::new(2);
        for value in [Some("a"), None, Some(""), Some("ää")] {
            row_ids.push(value);
        }
        row_ids
    }

    #[test]
    fn nulls_stay_nulls_and_long_values_are_cut_between_characters() {
        let row_ids = row_ids();
        assert_eq!((row_ids.get(0, 0), row_ids.get(0, 1)), (Some("a"), None));
        assert_eq!(
            (row_ids.get(1, 0), row_ids.get(1, 1)),
            (Some(""), Some("ää"))
        );
        assert_eq!(row_ids.get(2, 0), None);
        let mut long = RowIds::new(1);
        // Three bytes each: the eightieth is within the 27th.
        long.push(Some(&"€".repeat(100)));
        let cut = format!("{}…", "€".repeat(26));
        assert_eq!(long.get(0, 0), Some(cut.as_str()));
        // What was cut once is not cut again.
        let mut twice = RowIds::new(1);
        twice.append(Some(&long), 1);
        assert_eq!(twice, long);
    }

    #[test]
    fn rows_without_values_are_null_and_keep_the_others_in_place() {
        let mut all = RowIds::new(2);
        all.pad(1);
        all.append(Some(&row_ids()), 3);
        all.append(None, 1);
        all.append(Some(&row_ids()), 1);
        let firsts: Vec<_> = (0..6).map(|row| all.get(row, 0)).collect();
        assert_eq!(
            firsts,
            [None, Some("a"), Some(""), None, None, Some("a")],
            "{all:?}"
        );
        assert_eq!(all.values(), 12);
    }

    #[test]
    fn what_a_broken_worker_says_is_refused() {
        let bytes = |row_ids: &RowIds| {
            let mut to = Encoder::new();
            row_ids.encode(&mut to);
            to.into_bytes()
        };
        let read = |bytes: &[u8]| RowIds::decode(&mut Decoder::new("test", bytes));
        assert_eq!(read(&bytes(&row_ids())), Ok(row_ids()));
        let within = RowIds {
            ends: vec![(2, false)],
            text: "€".to_owned(),
            ..RowIds::new(1)
        };
        let backwards = RowIds {
            ends: vec![(2, false), (1, false)],
            text: "ab".to_owned(),
            ..RowIds::new(1)
        };
        let beyond = RowIds {
            ends: vec![(9, false)],
            text: "ab".to_owned(),
            ..RowIds::new(1)
        };
        let long = RowIds {
            ends: vec![(200, false)],
            text: "a".repeat(200),
            ..RowIds::new(1)
        };
        for wrong in [within, backwards, beyond, long] {
            assert!(read(&bytes(&wrong)).is_err(), "{wrong:?}");
        }
        let whole = bytes(&row_ids());
        assert!((0..whole.len()).all(|end| read(&whole[..end]).is_err()));
    }

    #[test]
    fn the_text_of_a_minibatch_is_bounded() {
        let mut row_ids = RowIds::new(1);
        let value = "x".repeat(ID_BYTES);
        for _ in 0..TEXT_BYTES / ID_BYTES + 100 {
            row_ids.push(Some(&value));
        }
        assert!(row_ids.text.len() <= TEXT_BYTES);
        assert_eq!(row_ids.get(row_ids.values() - 1, 0), None);
    }
}
