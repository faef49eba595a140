//! Labelled rows for a classifier: a training part and a test part, by a seed.
//!
//! In: [`Data`] with labels. Out: standardized rows and classes. Refuses data that cannot be
//! learned or tested: no labels, one class, too few rows.

use std::collections::BTreeMap;

use faer::Mat;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

use crate::data::Data;

/// One row in six is for the test.
const TEST_SHARE: usize = 6;

/// Fewest rows of which a part can be held back.
pub const ROWS_MIN: usize = 60;

/// More distinct labels than this are numbers, not classes.
pub const CLASSES_MAX: usize = 1_000;

/// A reason why rows are not a task for a classifier.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The rows have no labels.
    #[error("the rows have no labels; name their column with `--label`")]
    NoLabels,
    /// Nothing to tell apart.
    #[error(
        "every row has the label `{label}`: there is nothing to tell apart; name another column \
         with `--label`, or use rows of at least two classes"
    )]
    OneClass {
        /// The label that every row has.
        label: String,
    },
    /// Labels that are not classes.
    #[error(
        "{classes} distinct labels in {rows} rows are too many for classes; name a column with few values \
         with `--label` (at most {CLASSES_MAX}, and two rows a class on average)"
    )]
    ManyClasses {
        /// The number of distinct labels.
        classes: usize,
        /// The number of rows, n.
        rows: usize,
    },
    /// There are too few rows to hold some back.
    #[error("{rows} rows are too few to learn from and to test on; use at least {ROWS_MIN}")]
    FewRows {
        /// The number of rows, n.
        rows: usize,
    },
    /// Every feature is constant over the rows.
    #[error("no feature varies over the rows; use other rows or columns")]
    Constant,
}

/// Rows and their classes.
#[derive(Clone, Debug)]
pub struct Part {
    /// The standardized rows, n×m.
    pub rows: Mat<f64>,
    /// Length n, below the number of classes.
    pub classes: Vec<usize>,
}

/// Labelled rows, split into a part to learn from and a part to test on.
#[derive(Clone, Debug)]
pub struct Task {
    /// The part that networks learn from.
    pub train: Part,
    /// The part that is held back for the test.
    pub test: Part,
    /// The labels; a class is a place among them.
    pub labels: Vec<String>,
}

impl Task {
    /// Splits `data` five to one at random by `seed` and standardizes the features: the training
    /// rows' mean off, over their standard deviation; a feature that does not vary there is zero.
    /// Values beyond ±`clip` deviations become that: a pixel that is lit in one training image of
    /// thousands would else be fifty deviations in a test image.
    ///
    /// # Errors
    /// If there is nothing to learn.
    pub fn split(data: &Data, seed: u64, clip: f64) -> Result<Self, TaskError> {
        let n = data.count();
        if data.labels.len() != n || n == 0 {
            return Err(TaskError::NoLabels);
        }
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for label in &data.labels {
            places.insert(label, 0);
        }
        let labels: Vec<String> = places.keys().map(|label| (*label).to_owned()).collect();
        for (place, value) in places.values_mut().enumerate() {
            *value = place;
        }
        if let [label] = labels.as_slice() {
            return Err(TaskError::OneClass {
                label: label.clone(),
            });
        }
        if n < ROWS_MIN {
            return Err(TaskError::FewRows { rows: n });
        }
        if labels.len() > CLASSES_MAX || 2 * labels.len() > n {
            return Err(TaskError::ManyClasses {
                classes: labels.len(),
                rows: n,
            });
        }
        let classes: Vec<usize> = data
            .labels
            .iter()
            .filter_map(|label| places.get(label.as_str()).copied())
            .collect();
        let mut order: Vec<usize> = (0..n).collect();
        shuffle(&mut order, &mut ChaCha8Rng::seed_from_u64(seed));
        let (test, train) = order.split_at(n / TEST_SHARE);
        let part = |of: &[usize]| Part {
            rows: Mat::from_fn(of.len(), data.features(), |i, j| data.rows[(of[i], j)]),
            classes: of.iter().map(|i| classes[*i]).collect(),
        };
        let mut task = Self {
            train: part(train),
            test: part(test),
            labels,
        };
        task.standardize(clip)?;
        Ok(task)
    }

    fn standardize(&mut self, clip: f64) -> Result<(), TaskError> {
        let mut varies = false;
        for j in 0..self.train.rows.ncols() {
            let column = self.train.rows.col_as_slice(j);
            let n = column.len() as f64;
            let mean = column.iter().sum::<f64>() / n;
            let variance = column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            let inverse = if variance > 0.0 {
                1.0 / variance.sqrt()
            } else {
                0.0
            };
            varies = varies || variance > 0.0;
            for part in [&mut self.train, &mut self.test] {
                for value in part.rows.col_as_slice_mut(j) {
                    *value = ((*value - mean) * inverse).clamp(-clip, clip);
                }
            }
        }
        if varies {
            Ok(())
        } else {
            Err(TaskError::Constant)
        }
    }
}

/// Shuffles in place (Fisher and Yates): every order is as likely.
pub(super) fn shuffle(order: &mut [usize], random: &mut ChaCha8Rng) {
    for i in (1..order.len()).rev() {
        order.swap(i, random.random_range(0..=i));
    }
}

#[cfg(test)]
mod tests {
    use faer::Mat;

    use super::{Task, TaskError};
    use crate::data::Data;

    fn data(n: usize, label: impl Fn(usize) -> String) -> Data {
        let rows = Mat::from_fn(n, 3, |i, j| if j == 2 { 4.0 } else { (i * (j + 1)) as f64 });
        let mut data = Data::centred(rows, vec!["a".into(), "b".into(), "c".into()]);
        data.labels = (0..n).map(label).collect();
        data
    }

    #[test]
    fn the_parts_share_no_row_and_the_training_rows_are_standardized() {
        let task = Task::split(&data(600, |i| (i % 3).to_string()), 1, 5.0).expect("a task");
        assert_eq!(
            (task.train.classes.len(), task.test.classes.len()),
            (500, 100)
        );
        for j in 0..2 {
            let column = task.train.rows.col_as_slice(j);
            assert!(column.iter().sum::<f64>().abs() < 1e-9);
            let variance = column.iter().map(|v| v * v).sum::<f64>() / 500.0;
            assert!((variance - 1.0).abs() < 1e-9);
        }
        assert!(task.train.rows.col(2).norm_max() == 0.0);
        let all = task
            .train
            .rows
            .col(0)
            .iter()
            .chain(task.test.rows.col(0).iter());
        let mut all: Vec<i64> = all.map(|v| (v * 1e6) as i64).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 600);
    }

    #[test]
    fn what_cannot_be_learned_is_refused() {
        let refused = |data: &Data| Task::split(data, 1, 5.0).expect_err("a refusal");
        let one = refused(&data(100, |_| "x".into()));
        assert!(matches!(one, TaskError::OneClass { .. }), "{one}");
        let few = refused(&data(20, |i| (i % 2).to_string()));
        assert!(matches!(few, TaskError::FewRows { rows: 20 }), "{few}");
        let many = refused(&data(100, |i| i.to_string()));
        assert!(matches!(many, TaskError::ManyClasses { .. }), "{many}");
        let mut none = data(100, |_| String::new());
        none.labels.clear();
        assert!(matches!(refused(&none), TaskError::NoLabels));
    }
}
