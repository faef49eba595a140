//! Id columns → the text by which people know a row, within a small share of the time.

use std::fmt::{self, Write};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::catch_panic;
use crate::rows::{ID_BYTES, RowIds};

/// Recording ids may take 1/this of the time: for short rows it would take as long as learning
/// them.
const SHARE: u32 = 50;
/// Time that it may take at once in excess of its share.
const GRACE: Duration = Duration::from_millis(100);

/// Records ids; a piece for which there is no time is skipped as a whole.
pub struct RowIdEncoder {
    started: Instant,
    spent: Duration,
    is_passing: bool,
    row_ids: RowIds,
}

impl Default for RowIdEncoder {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            spent: Duration::ZERO,
            is_passing: false,
            row_ids: RowIds::default(),
        }
    }
}

impl RowIdEncoder {
    /// Begins a piece whose rows have `width` ids.
    pub(super) fn begin(&mut self, width: usize) {
        self.row_ids = RowIds::new(width);
        self.is_passing = self.spent > GRACE + self.started.elapsed() / SHARE;
        if self.is_passing {
            self.row_ids.pass_over();
        }
    }

    /// Appends the ids of the `accepted` rows that passed; missing ones are null.
    pub(super) fn take(
        &mut self,
        path: &Path,
        ids: Option<&RecordBatch>,
        rows: Range<usize>,
        passed: Option<impl Iterator<Item = bool>>,
        accepted: usize,
    ) {
        if self.is_passing || self.row_ids.width() == 0 {
            return;
        }
        let began = Instant::now();
        let until = self.row_ids.values() + accepted * self.row_ids.width();
        if let Some(ids) = ids {
            let row_ids = &mut self.row_ids;
            // Ids that cannot be written are null: no row is refused for its id.
            let _ = catch_panic::catch(path, || {
                match passed {
                    None => write(ids, rows, row_ids),
                    Some(passed) => {
                        let kept = rows.zip(passed).filter(|(_, passed)| *passed);
                        write(ids, kept.map(|(row, _)| row), row_ids);
                    }
                }
                Ok(())
            });
        }
        self.row_ids.set_values(until);
        self.spent += began.elapsed();
    }

    /// The ids of the piece.
    pub(super) fn end(&mut self) -> RowIds {
        std::mem::take(&mut self.row_ids)
    }
}

/// Appends the ids of these rows.
fn write(ids: &RecordBatch, rows: impl Iterator<Item = usize>, row_ids: &mut RowIds) {
    let options = FormatOptions::new().with_display_error(false);
    let columns: Vec<_> = ids
        .columns()
        .iter()
        .map(|array| {
            (
                array,
                ArrayFormatter::try_new(array.as_ref(), &options).ok(),
            )
        })
        .collect();
    let mut text = Bounded::default();
    for row in rows {
        for (array, format) in &columns {
            text.0.clear();
            let value = format.as_ref().filter(|_| !array.is_null(row));
            // A text that is full ends the writing: that is no error.
            let written = value.is_some_and(|format| {
                format.value(row).write(&mut text).is_ok() || text.0.len() > ID_BYTES
            });
            row_ids.push(written.then_some(text.0.as_str()));
        }
    }
}

/// Accepts no more text than is kept of a value, plus a character to show that there was more.
#[derive(Default)]
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = (ID_BYTES + 1).saturating_sub(self.0.len());
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        // The next whole character: the end must be seen to lie beyond.
        self.0.push_str(&text[..text.ceil_char_boundary(room)]);
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, DictionaryArray, FixedSizeBinaryArray, Int64Array, ListArray, RecordBatch,
        StringArray, TimestampMillisecondArray,
    };
    use arrow::datatypes::{Int32Type, Int64Type};

    use super::{GRACE, RowIdEncoder, SHARE};

    fn batch() -> RecordBatch {
        let long = "é".repeat(60);
        let name = StringArray::from(vec![Some("a"), None, Some(long.as_str())]);
        let number = Int64Array::from(vec![Some(-7), Some(8), None]);
        let word: DictionaryArray<Int32Type> =
            vec![Some("x"), Some("y"), None].into_iter().collect();
        let bytes = FixedSizeBinaryArray::try_from_iter([[0_u8, 255], [1, 2], [3, 4]].into_iter())
            .expect("bytes");
        let at = TimestampMillisecondArray::from(vec![Some(0), None, Some(1)]);
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([
            Some((0..1000).map(Some).collect::<Vec<_>>()),
            Some(vec![Some(1), None]),
            None,
        ]);
        RecordBatch::try_from_iter([
            ("name", Arc::new(name) as ArrayRef),
            ("number", Arc::new(number)),
            ("word", Arc::new(word)),
            ("bytes", Arc::new(bytes)),
            ("at", Arc::new(at)),
            ("list", Arc::new(list)),
        ])
        .expect("a batch")
    }

    #[test]
    fn every_type_is_text_and_rejected_rows_have_no_place() {
        let mut id_encoder = RowIdEncoder::default();
        id_encoder.begin(6);
        let passed = [true, false, true].into_iter();
        id_encoder.take(Path::new("a"), Some(&batch()), 0..3, Some(passed), 2);
        let row_ids = id_encoder.end();
        let row = |i| (0..6).map(|j| row_ids.get(i, j)).collect::<Vec<_>>();
        let first = row(0);
        let known = [
            Some("a"),
            Some("-7"),
            Some("x"),
            Some("00ff"),
            Some("1970-01-01T00:00:00"),
        ];
        assert_eq!(first[..5], known);
        let list = first[5].expect("text");
        assert!(
            list.starts_with("[0, 1, 2") && list.ends_with('…'),
            "{list}"
        );
        let long = format!("{}…", "é".repeat(40));
        assert_eq!(
            row(1)[..5],
            [
                Some(long.as_str()),
                None,
                None,
                Some("0304"),
                Some("1970-01-01T00:00:00.001")
            ]
        );
        assert_eq!(row_ids.values(), 12);
    }

    #[test]
    fn no_ids_and_no_time_are_told_apart() {
        let mut id_encoder = RowIdEncoder::default();
        id_encoder.begin(1);
        id_encoder.take(
            Path::new("a"),
            None,
            0..3,
            None::<std::iter::Empty<bool>>,
            3,
        );
        let row_ids = id_encoder.end();
        assert_eq!((row_ids.values(), row_ids.is_passed_over()), (3, false));
        id_encoder.spent = 2 * GRACE + id_encoder.started.elapsed() / SHARE;
        id_encoder.begin(1);
        id_encoder.take(
            Path::new("a"),
            None,
            0..3,
            None::<std::iter::Empty<bool>>,
            3,
        );
        let row_ids = id_encoder.end();
        assert_eq!((row_ids.values(), row_ids.is_passed_over()), (0, true));
    }
}
