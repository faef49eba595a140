//! Recent rows as they arrived: a ring of them, and those that stood out.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::rows::{Minibatch, RowIds};
use crate::snapshot::Scores;

/// Rows of the ring.
const ROWS_MAX: usize = 2000;
/// Most bytes of their values: with 20,000 features there are fewer rows.
const BYTES_MAX: usize = 16 << 20;
/// Minimum number of minibatches that the ring spans, with a few rows of each.
const SPAN: usize = 20;
/// Most rows that stand out, of each kind.
pub const TOP_MAX: usize = 20;
/// Rows per generation: the rows that stood out are kept for the current generation and the
/// previous one.
const GENERATION: u64 = 50_000;

/// A row with everything known about it.
#[derive(Debug)]
pub struct Row {
    /// Its number among the accepted rows.
    pub number: u64,
    /// When it was examined, seconds since 1970.
    pub unix_s: u64,
    /// In the order of the features; NaN where it had no value.
    pub values: Vec<f64>,
    /// Values of the id columns.
    pub ids: Vec<Option<String>>,
}

/// The largest of some rows by one measure.
#[derive(Clone, Debug, Default)]
struct Top(Vec<(f64, Arc<Row>)>);

/// Remembered rows.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    ring: VecDeque<Arc<Row>>,
    /// Residual and T² of this generation and of the previous one.
    tops: [[Top; 2]; 2],
    in_generation: u64,
    /// Rows examined so far.
    pub examined: u64,
    /// Number of features: all kept rows have as many as the first.
    features: usize,
}

impl Top {
    /// True if a row of this measure is among the largest.
    fn takes(&self, measure: f64, most: usize) -> bool {
        measure.is_finite()
            && (self.0.len() < most || self.0.last().is_some_and(|last| measure > last.0))
    }

    fn put(&mut self, measure: f64, row: Arc<Row>, most: usize) {
        let at = self.0.partition_point(|(other, _)| *other >= measure);
        self.0.insert(at, (measure, row));
        self.0.truncate(most);
    }
}

impl Kept {
    /// Takes in a minibatch and its scores.
    pub(super) fn take(
        &mut self,
        batch: &Minibatch,
        row_ids: Option<&RowIds>,
        scores: &Scores,
        unix_s: u64,
    ) {
        let (b, m) = (batch.rows(), batch.features().max(1));
        if self.features != m {
            *self = Self {
                features: m,
                ..Self::default()
            };
        }
        let bytes = m * size_of::<f64>();
        let room = (BYTES_MAX / bytes).clamp(1, ROWS_MAX);
        // Four lists of rows that stood out take as much at the most.
        let most = (BYTES_MAX / (4 * bytes)).clamp(1, TOP_MAX);
        if self.in_generation >= GENERATION {
            let now = std::mem::take(&mut self.tops[0]);
            self.tops[1] = now;
            self.in_generation = 0;
        }
        let each = (b * SPAN).div_ceil(room).max(1) as u64;
        for i in 0..b {
            let number = batch.first_row() + i as u64;
            let measures = [scores.residual[i], scores.t2[i]];
            let mut row = None;
            let mut made = || {
                let row = row.get_or_insert_with(|| Arc::new(Row::of(batch, row_ids, i, unix_s)));
                Arc::clone(row)
            };
            for (top, measure) in self.tops[0].iter_mut().zip(measures) {
                if top.takes(measure, most) {
                    top.put(measure, made(), most);
                }
            }
            if number.is_multiple_of(each) {
                if self.ring.len() >= room {
                    self.ring.pop_front();
                }
                self.ring.push_back(made());
            }
        }
        self.examined += b as u64;
        self.in_generation += b as u64;
    }

    /// The ring, the oldest first; the rows that stood out by their residual; those by their T².
    pub fn rows(&self) -> [Vec<Arc<Row>>; 3] {
        let of = |kind: usize| {
            let both = self.tops.iter().flat_map(|tops| &tops[kind].0);
            both.map(|(_, row)| Arc::clone(row)).collect()
        };
        [self.ring.iter().cloned().collect(), of(0), of(1)]
    }
}

impl Row {
    fn of(batch: &Minibatch, row_ids: Option<&RowIds>, i: usize, unix_s: u64) -> Self {
        let width = row_ids.map_or(0, RowIds::width);
        let ids = (0..width).map(|j| Some(row_ids?.get(i, j)?.to_owned()));
        Self {
            number: batch.first_row() + i as u64,
            unix_s,
            values: (0..batch.features()).map(|j| batch.value(i, j)).collect(),
            ids: ids.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A minibatch of rows `from…` whose residual is their number and whose T² its negative.
    fn take(kept: &mut Kept, from: u64, rows: usize, features: usize) {
        let mut batch = Minibatch::from_rows(&vec![1.0; rows * features], features);
        batch.set_first_row(from);
        let numbers = (from..).take(rows).map(|number| number as f64);
        let scores = Scores {
            residual: numbers.clone().collect(),
            t2: numbers.map(|number| -number).collect(),
            ..Scores::default()
        };
        kept.take(&batch, None, &scores, 7);
    }

    #[test]
    fn the_ring_spans_many_minibatches_and_few_bytes() {
        let mut kept = Kept::default();
        for at in 0..100 {
            take(&mut kept, 1000 * at, 1000, 4);
        }
        let [ring, residual, t2] = kept.rows();
        assert!(ring.len() <= ROWS_MAX);
        let first = ring.first().expect("rows").number;
        assert!(first <= 1000 * (100 - SPAN as u64), "{first}");
        assert_eq!(residual.first().expect("rows").number, 99_999);
        assert_eq!(kept.examined, 100_000);
        // Of the last two generations, the first row of the older one has the largest T².
        assert!(t2.iter().any(|row| row.number == 0));
        let wide = 100_000;
        take(&mut kept, 0, 40, wide);
        let [ring, residual, t2] = kept.rows();
        let rows = ring.len() + residual.len() + t2.len();
        assert!(rows * wide * size_of::<f64>() <= 2 * BYTES_MAX, "{rows}");
        assert_eq!(kept.examined, 40);
    }

    #[test]
    fn what_stood_out_long_ago_is_forgotten() {
        let mut kept = Kept::default();
        let mut at = 1_000_000;
        take(&mut kept, at, 1, 4);
        at = 0;
        for _ in 0..3 {
            take(&mut kept, at, GENERATION as usize, 4);
            at += GENERATION;
        }
        let [_, residual, _] = kept.rows();
        assert!(residual.iter().all(|row| row.number != 1_000_000));
    }
}
