//! Bytes → record batches → minibatches.
//!
//! [`open`] finds the files, agrees on the features and returns a [`Reader`], which fills
//! minibatches.

mod params;

use std::ffi::OsString;

use arrow::array::RecordBatch;

pub use params::{BadValue, BinaryDtype, Extra, Limit, SourceParams};

use crate::rows::{Features, Minibatch, Tally, Watermark};

/// What can go wrong between a path and a minibatch.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {}

/// Fills minibatches from the inputs, in order.
pub struct Reader {}

/// How much there is to read, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extent {
    /// Rows of all inputs; `None` for a stream.
    pub rows_total: Option<u64>,
    /// Bytes of all inputs; `None` for a stream.
    pub bytes_total: Option<u64>,
    /// Bytes read so far, as stored.
    pub bytes_read: u64,
}

/// What was taken as a feature and what was left, for the one line that says so.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Column name and the number of features it gives.
    pub taken: Vec<(String, usize)>,
    /// Column name and why it was left out ("not numeric: utf8", "time", "id", "excluded").
    pub left: Vec<(String, String)>,
}

/// Finds the files of `inputs` and agrees on the features.
///
/// # Errors
/// When an input cannot be found, told or read, or gives no feature.
pub fn open(_inputs: &[OsString], _params: &SourceParams) -> Result<Reader, SourceError> {
    unimplemented!()
}

impl Reader {
    /// Names of the features, in the order of a minibatch's columns.
    pub fn features(&self) -> &Features {
        unimplemented!()
    }
    /// What was taken and what was left.
    pub fn selection(&self) -> &Selection {
        unimplemented!()
    }
    /// An empty minibatch of the width and layout that this reader fills without conversion.
    pub fn new_minibatch(&self, _capacity: usize) -> Minibatch {
        unimplemented!()
    }
    /// Fills `batch` with the next rows: full but at the end of the inputs; 0 rows is the end.
    ///
    /// # Errors
    /// See [`SourceError`]; rows of minibatches filled before stay valid.
    pub fn fill(&mut self, _batch: &mut Minibatch) -> Result<usize, SourceError> {
        unimplemented!()
    }
    /// The same, with the columns named `ids` of just these rows.
    ///
    /// # Errors
    /// As [`Reader::fill`].
    pub fn fill_with_ids(
        &mut self,
        _batch: &mut Minibatch,
    ) -> Result<Option<RecordBatch>, SourceError> {
        unimplemented!()
    }
    /// Rows and values counted so far.
    pub fn tally(&self) -> &Tally {
        unimplemented!()
    }
    /// How much there is to read.
    pub fn extent(&self) -> Extent {
        unimplemented!()
    }
    /// The position behind the last row filled.
    pub fn watermark(&self) -> Watermark {
        unimplemented!()
    }
}
