//! Files → rows in memory for the lab.
//!
//! In: Parquet and Arrow inputs, by the same reader as a fit. Out: [`Data`], with labels if a
//! column of them is named. Refuses more values than [`VALUES_MAX`].

use std::ffi::OsString;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use faer::Mat;

use super::data::Data;
use crate::source::{self, SourceError, SourceParams};

/// Most values held: 2 GiB of f64. The lab is for data that fits into memory; `fit` is for the
/// rest.
pub const VALUES_MAX: usize = 1 << 28;

/// Rows read at a time.
const ROWS: usize = 1_024;

/// A reason why inputs give the lab no rows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// An input could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Too many values to hold.
    #[error(
        "{rows} rows × {features} features are more than the {VALUES_MAX} values that the lab \
         holds in memory; use fewer rows, or `ojad fit`, which does not keep rows"
    )]
    TooLarge {
        /// Rows read so far.
        rows: usize,
        /// The number of features, m.
        features: usize,
    },
    /// The labels cannot be converted to text.
    #[error(
        "column `{column}`: its values cannot be shown as labels: {reason}; name another column"
    )]
    Labels {
        /// The column of the labels.
        column: String,
        /// Arrow's reason, in its words.
        reason: String,
    },
}

/// Reads every row of `inputs`. Columns named in `params.ids` are not features; the first of them
/// provides the labels.
///
/// # Errors
/// If an input cannot be read, or does not fit into memory.
pub fn read(inputs: &[OsString], params: &SourceParams) -> Result<Data, DataError> {
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
    let mut data = Data::centred(rows, names);
    data.labels = labels;
    Ok(data)
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
