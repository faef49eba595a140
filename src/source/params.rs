//! How inputs become rows: the keys of `[features]` and `[source]`.

use serde::{Deserialize, Serialize};

use crate::rows::Width;

/// Policy for values that are not finite numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BadValue {
    /// Ends the run with an error that names file, row and column.
    #[default]
    Error,
    /// Leaves the row out and counts it.
    Skip,
    /// Substitutes the mean of the feature's observed values: the value adds no variance, and a
    /// feature contributes nothing until its first value.
    Mean,
}

/// Policy for numeric columns that the first file did not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Extra {
    /// Ends the run with an error that names file and column.
    #[default]
    Error,
    /// Leaves the column out.
    Ignore,
}

/// How the bytes of a `FixedSizeBinary` column are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BinaryDtype {
    /// Little-endian IEEE 754 half precision.
    F16,
    /// Little-endian IEEE 754 single precision.
    F32,
    /// Little-endian IEEE 754 double precision.
    F64,
}

/// Choice of features, and policies for bad values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceParams {
    /// Globs of column names that are features; empty: every numeric column.
    pub include: Vec<String>,
    /// Globs of column names that are not.
    pub exclude: Vec<String>,
    /// Names of columns that identify a row: never features, passed through by `transform`.
    pub ids: Vec<String>,
    /// How `FixedSizeBinary` columns are read; `None`: they are not features.
    pub dtype: Option<BinaryDtype>,
    /// A column that the first file did not have.
    pub extra: Extra,
    /// A null.
    pub on_null: BadValue,
    /// A NaN.
    pub on_nan: BadValue,
    /// An infinity, or a magnitude above `limit`.
    pub on_inf: BadValue,
    /// Largest magnitude that the learner's precision can square and sum.
    pub limit: Limit,
    /// Minimum number of features: a file with fewer is refused.
    pub features_least: usize,
    /// Threads that decode the columns of a Parquet file; the values are the same.
    #[serde(skip)]
    pub decoders: Decoders,
}

/// Threads that decode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decoders {
    /// The reader's own.
    #[default]
    One,
    /// A second one decodes half of the columns, if they are compressed and many.
    Two,
}

/// Largest magnitude of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Limit {
    /// Limit of products in f32: 1e15.
    #[default]
    F32,
    /// Limit of products in f64: 1e150.
    F64,
}

impl Limit {
    /// The magnitude itself.
    pub fn magnitude(self) -> f64 {
        match self {
            Self::F32 => Width::F32.largest(),
            Self::F64 => Width::F64.largest(),
        }
    }
}
