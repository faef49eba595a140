//! Rows in memory: what the lab's algorithms and figures are shown on.
//!
//! In: Parquet and Arrow inputs, by the same reader as a fit, or rows that were made. Out: centred
//! rows as one f64 matrix with names of the features and, where a column is named, labels. Refuses
//! more values than [`VALUES_MAX`].

use std::ffi::OsString;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use faer::Mat;

use crate::source::{self, SourceError, SourceParams};

/// Values held at most: 2 GiB of f64. The lab is for data that fits; a fit is for all other.
pub const VALUES_MAX: usize = 1 << 28;

/// Rows read at a time.
const ROWS: usize = 1_024;

/// Why there is no data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// An input could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Too many values to hold.
    #[error(
        "{rows} rows × {features} features are more than the {VALUES_MAX} values that the lab holds; \
         take fewer rows, or use `ojad fit`, which holds none"
    )]
    TooLarge {
        /// Rows read so far.
        rows: usize,
        /// m.
        features: usize,
    },
    /// The labels have no text.
    #[error(
        "column `{column}`: its values cannot be shown as labels: {reason}; name another column"
    )]
    Labels {
        /// The column.
        column: String,
        /// What Arrow says.
        reason: String,
    },
}

/// Centred rows.
#[derive(Clone, Debug)]
pub struct Data {
    /// n×m; every column sums to zero.
    pub rows: Mat<f64>,
    /// What was taken off, length m, in feature units.
    pub mean: Vec<f64>,
    /// Names of the features, length m.
    pub names: Vec<String>,
    /// One label a row where a column of them was named, else empty.
    pub labels: Vec<String>,
}

impl Data {
    /// Takes the mean off `rows` (n×m); a NaN becomes the mean of its feature.
    pub fn centred(mut rows: Mat<f64>, names: Vec<String>) -> Self {
        let mean: Vec<f64> = (0..rows.ncols())
            .map(|j| {
                let present = rows.col(j).iter().filter(|value| !value.is_nan());
                let (sum, count) =
                    present.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
                sum / f64::from(count.max(1))
            })
            .collect();
        for (j, mean) in mean.iter().enumerate() {
            for value in rows.col_mut(j).iter_mut() {
                *value = if value.is_nan() { 0.0 } else { *value - mean };
            }
        }
        Self {
            rows,
            mean,
            names,
            labels: Vec::new(),
        }
    }

    /// Reads every row of `inputs`. Columns named in `params.ids` are no features; the first of
    /// them gives the labels.
    ///
    /// # Errors
    /// If an input cannot be read, or does not fit into memory.
    pub fn read(inputs: &[OsString], params: &SourceParams) -> Result<Self, DataError> {
        let mut reader = source::open(inputs, params)?;
        let names = reader.features().names().to_vec();
        let features = names.len();
        let mut batch = reader.new_minibatch(ROWS);
        let mut values = Vec::new();
        let mut labels = Vec::new();
        loop {
            let ids = reader.fill_with_ids(&mut batch)?;
            if batch.rows() == 0 {
                break;
            }
            for i in 0..batch.rows() {
                values.extend((0..features).map(|j| batch.value(i, j)));
            }
            if values.len() > VALUES_MAX {
                let rows = values.len() / features.max(1);
                return Err(DataError::TooLarge { rows, features });
            }
            if let Some(ids) = ids {
                append_labels(&mut labels, &ids)?;
            }
        }
        let rows = values.len() / features.max(1);
        let rows = Mat::from_fn(rows, features, |i, j| values[i * features + j]);
        let mut data = Self::centred(rows, names);
        data.labels = labels;
        Ok(data)
    }

    /// n.
    pub fn count(&self) -> usize {
        self.rows.nrows()
    }

    /// m.
    pub fn features(&self) -> usize {
        self.rows.ncols()
    }
}

/// The text of the first column.
fn append_labels(labels: &mut Vec<String>, ids: &RecordBatch) -> Result<(), DataError> {
    let Some(column) = ids.columns().first() else {
        return Ok(());
    };
    let failed = |reason: arrow::error::ArrowError| DataError::Labels {
        column: ids.schema().field(0).name().clone(),
        reason: reason.to_string(),
    };
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(column.as_ref(), &options).map_err(failed)?;
    for i in 0..column.len() {
        labels.push(formatter.value(i).try_to_string().map_err(failed)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Data;

    #[test]
    fn a_missing_value_is_the_mean_of_its_feature() {
        let rows = faer::mat![[1.0, 5.0], [f64::NAN, 7.0], [3.0, 9.0]];
        let data = Data::centred(rows, vec!["a".into(), "b".into()]);
        assert_eq!(data.mean, [2.0, 7.0]);
        assert_eq!(data.rows, faer::mat![[-1.0, -2.0], [0.0, 0.0], [1.0, 2.0]]);
    }
}
