//! Rows collected into a minibatch.

use crate::learner::{LearnError, Learner};
use crate::rows::{Layout, Minibatch, Width};
use crate::score::Rows;

/// At most one minibatch of rows, in the width and layout of the first of them.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    batch: Minibatch,
}

impl Waiting {
    /// Room for `capacity` rows.
    pub(super) fn new(capacity: usize, features: usize) -> Self {
        Self {
            batch: Minibatch::new(Width::F32, Layout::RowMajor, capacity, features),
        }
    }

    /// Wraps rows that are already waiting.
    pub(super) fn of(batch: Minibatch) -> Self {
        Self { batch }
    }

    pub(super) fn features(&self) -> usize {
        self.batch.features()
    }

    pub(super) fn rows(&self) -> usize {
        self.batch.rows()
    }

    pub(super) fn is_full(&self) -> bool {
        self.batch.rows() == self.batch.capacity()
    }

    /// Has `learner` learn the rows; afterwards none are waiting.
    ///
    /// # Errors
    /// If the rows cannot be learned. There is then no room for others.
    pub(super) fn learn(&mut self, learner: &mut dyn Learner) -> Result<(), LearnError> {
        let mut batch = self.batch.take();
        batch.set_first_row(learner.rows());
        self.batch = learner.update(batch)?;
        Ok(())
    }

    /// The waiting rows.
    pub(super) fn as_minibatch(&self) -> &Minibatch {
        &self.batch
    }

    /// Copies rows starting at `at`, as many as there is room for; returns their number.
    pub(super) fn copy_from(&mut self, rows: &Rows<'_>, at: usize) -> usize {
        let held = self.batch.rows();
        let count = (rows.len() - at).min(self.batch.capacity() - held);
        self.make_fit(rows);
        let has_missing = rows.copy_to((at, count), &mut self.batch, held);
        self.batch.set_rows(held + count);
        self.batch
            .set_has_missing(self.batch.has_missing() || has_missing);
        count
    }

    /// Makes the storage hold values as wide as those of `rows`; it takes their layout when it is empty.
    fn make_fit(&mut self, rows: &Rows<'_>) {
        let (held, width, layout) = (self.batch.rows(), rows.width(), rows.layout());
        let is_wide_enough = self.batch.width() == Width::F64 || width == Width::F32;
        if held > 0 && is_wide_enough {
            return;
        }
        if held == 0 && self.batch.width() == width && self.batch.layout() == layout {
            return;
        }
        let layout = if held == 0 {
            layout
        } else {
            self.batch.layout()
        };
        let (capacity, features) = (self.batch.capacity(), self.batch.features());
        let mut wider = Minibatch::new(width, layout, capacity, features);
        // f64 rows behind f32 ones: those that wait are exact in f64, the others would not be in f32.
        if held > 0 {
            Rows::of_minibatch(&self.batch, None).copy_to((0, held), &mut wider, 0);
            wider.set_rows(held);
            wider.set_has_missing(self.batch.has_missing());
        }
        self.batch = wider;
    }
}
