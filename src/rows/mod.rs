//! Rows on their way from a source to the learner: minibatches, feature names, watermarks.
//!
//! In: values that a source decoded. Out: b×m blocks in reused storage. Refuses nothing: the
//! source's policies decide which values a row may hold.

mod epoch;
mod row_ids;
mod run_id;

use std::fmt::Write as _;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use ojad_core::rows::{Buffer, Layout, Lease, Minibatch, Values, Width};

pub use epoch::{is_since_1970, since_1970, unix_s};
pub use row_ids::{ID_BYTES, ID_CUT, RowIds};
pub use run_id::{NoRunId, RunId};

/// The names of the m features, in the order of a minibatch's columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features {
    names: Arc<[String]>,
}

impl Features {
    /// Features in this order.
    pub fn new(names: Vec<String>) -> Self {
        Self {
            names: names.into(),
        }
    }

    /// The names, length m.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// m, the number of features.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// True if there is no feature.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Hexadecimal SHA-256 over the names, each preceded by its length: two models with the same
    /// hash take the same rows.
    pub fn schema_hash(&self) -> String {
        let mut hasher = Sha256::new();
        for name in self.names.iter() {
            hasher.update((name.len() as u64).to_le_bytes());
            hasher.update(name.as_bytes());
        }
        hex(&hasher.finalize())
    }
}

/// Lower-case hexadecimal digits of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The last position contained in a state: plain data, so that states can be moved and merged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    /// Per input, in the order of reading.
    pub inputs: Vec<Position>,
}

/// How far one input has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Path as the user would name it (lossy if not UTF-8), or `-`.
    pub input: String,
    /// Rows read from it, accepted or rejected.
    pub rows: u64,
    /// True if it was read to its end.
    pub done: bool,
}

/// Rows and values counted on the way in: `rows_accepted + rows_rejected == rows_read`, always.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCounts {
    /// Rows that left the decoder.
    pub rows_read: u64,
    /// Rows handed to the learner.
    pub rows_accepted: u64,
    /// Rows left out by a policy of `skip`.
    pub rows_rejected: u64,
    /// Of these, rows with a null; otherwise with a NaN; otherwise with an infinity. Rows from
    /// before these counts existed are in none of them.
    #[serde(default)]
    pub rejected_by: [u64; 3],
    /// Values that were null, per feature.
    pub nulls: Vec<u64>,
    /// Values that were NaN, per feature.
    pub nans: Vec<u64>,
    /// Values that were infinite or beyond the precision's range, per feature.
    pub infinities: Vec<u64>,
}

impl RowCounts {
    /// Zeros for `features` features.
    pub fn of(features: usize) -> Self {
        Self {
            nulls: vec![0; features],
            nans: vec![0; features],
            infinities: vec![0; features],
            ..Self::default()
        }
    }

    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &Self) {
        let add = |to: &mut Vec<u64>, from: &[u64]| {
            to.resize(to.len().max(from.len()), 0);
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        };
        self.rows_read += other.rows_read;
        self.rows_accepted += other.rows_accepted;
        self.rows_rejected += other.rows_rejected;
        let reasons = self.rejected_by.iter_mut().zip(other.rejected_by);
        reasons.for_each(|(to, from)| *to += from);
        add(&mut self.nulls, &other.nulls);
        add(&mut self.nans, &other.nans);
        add(&mut self.infinities, &other.infinities);
    }

    /// Values of feature `j` that were null, NaN or infinite.
    pub fn missing(&self, j: usize) -> u64 {
        let of = |counts: &[u64]| counts.get(j).copied().unwrap_or(0);
        of(&self.nulls) + of(&self.nans) + of(&self.infinities)
    }

    /// The counts of both.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let mut sum = self.clone();
        sum.add(other);
        sum
    }
}
