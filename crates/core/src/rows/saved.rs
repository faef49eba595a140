//! Rows of a minibatch ↔ bytes: waiting rows in checkpoints and saved models.

use super::{Minibatch, Values};
use crate::codec::{CodecError, Decoder, Encoder};

impl Minibatch {
    /// Writes its rows: their number, whether a value is missing, whether they are f64, and the values
    /// one row after the other.
    pub fn save(&self, to: &mut Encoder) {
        to.usize(self.rows());
        to.bool(self.has_missing());
        let places = places(self, self.rows());
        match self.values() {
            Values::F32(values) => {
                to.bool(false);
                to.f32s(&places.map(|at| values[at]).collect::<Vec<_>>());
            }
            Values::F64(values) => {
                to.bool(true);
                to.f64s(&places.map(|at| values[at]).collect::<Vec<_>>());
            }
        }
    }

    /// Replaces its rows by the stored ones.
    ///
    /// # Errors
    /// If they are too many, of another width, or missing.
    pub fn restore(&mut self, from: &mut Decoder<'_>) -> Result<(), CodecError> {
        let (rows, has_missing, is_wide) = (from.usize()?, from.bool()?, from.bool()?);
        let capacity = self.capacity();
        if rows > capacity {
            return Err(from.refuse(format!("{rows} rows wait for a minibatch of {capacity}")));
        }
        let (len, places) = (rows * self.features(), places(self, rows));
        match (self.values_mut(), is_wide) {
            (Values::F32(to), false) => {
                let values = from.f32s_of(len)?;
                places.zip(values).for_each(|(at, value)| to[at] = value);
            }
            (Values::F64(to), true) => {
                let values = from.f64s_of(len)?;
                places.zip(values).for_each(|(at, value)| to[at] = value);
            }
            _ => return Err(from.refuse("values of another width")),
        }
        self.set_rows(rows);
        self.set_has_missing(has_missing);
        Ok(())
    }
}

/// Positions of the values of the first rows, row by row.
fn places(batch: &Minibatch, rows: usize) -> impl Iterator<Item = usize> + use<> {
    let (m, row, col) = (batch.features(), batch.row_stride(), batch.col_stride());
    (0..rows).flat_map(move |i| (0..m).map(move |j| i * row + j * col))
}
