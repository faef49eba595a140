//! Directory → snapshot, every checksum checked.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch, RecordBatchReader as _};
use arrow::compute::concat_batches;
use arrow::datatypes::{Float64Type, UInt64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::learner::{Certainty, Estimate, Limits, NoiseRule, Unresolved};
use crate::rows::{Features, RowCounts, RunId, Watermark, unix_s};
use crate::snapshot::disk::checksum;
use crate::snapshot::{FORMAT_VERSION, Provenance, Snapshot, SnapshotError};

/// Content of `snapshot.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Metadata {
    format_version: u32,
    ojad_version: String,
    /// The run it belongs to; none for `fit` and `merge`, and in files from before runs had ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run_id: Option<RunId>,
    /// When it was written, in seconds since 1970; 0 in files from before this was recorded.
    #[serde(default)]
    created_unix_s: u64,
    features: usize,
    components: usize,
    rows: u64,
    rows_rejected: u64,
    effective_rows: f64,
    divisor: String,
    penalty: f64,
    noise_variance: f64,
    total_variance: f64,
    components_above_noise: Option<usize>,
    components_above_noise_is_lower_bound: bool,
    /// Absent in files from before it was recorded.
    #[serde(default)]
    components_above_noise_rule: Option<NoiseRule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unresolved: Option<Unresolved>,
    #[serde(default)]
    widened_to_f64: bool,
    /// Distributions measured on rows before they were learned; none in files from before they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limits: Option<Limits>,
    constant_features: Vec<usize>,
    feature_schema_hash: String,
    learner: Provenance,
    counts: RowCounts,
    watermark: Watermark,
    components_sha256: String,
    features_sha256: String,
}

impl Metadata {
    pub(super) fn of(snapshot: &Snapshot, components: String, features: String) -> Self {
        let estimate = &snapshot.estimate;
        Self {
            format_version: FORMAT_VERSION,
            ojad_version: env!("CARGO_PKG_VERSION").into(),
            run_id: snapshot.provenance.run_id,
            created_unix_s: unix_s(),
            features: estimate.features,
            components: estimate.components(),
            rows: estimate.rows,
            rows_rejected: snapshot.counts.rows_rejected,
            effective_rows: estimate.effective_rows,
            divisor: "n".into(),
            penalty: estimate.penalty,
            noise_variance: estimate.noise_variance,
            total_variance: estimate.total_variance,
            components_above_noise: estimate.components_above_noise,
            components_above_noise_is_lower_bound: estimate.above_noise_is_lower_bound,
            components_above_noise_rule: estimate.above_noise_rule,
            unresolved: estimate.unresolved,
            widened_to_f64: estimate.is_widened,
            limits: estimate.limits.clone(),
            constant_features: (0..estimate.features)
                .filter(|j| estimate.constant[*j])
                .collect(),
            feature_schema_hash: snapshot.features.schema_hash(),
            learner: snapshot.provenance.clone(),
            counts: snapshot.counts.clone(),
            watermark: snapshot.watermark.clone(),
            components_sha256: components,
            features_sha256: features,
        }
    }
}

/// Head of `snapshot.json`, without reading it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Brief {
    #[serde(default)]
    pub created_unix_s: u64,
    pub rows: u64,
    #[serde(default)]
    pub run_id: Option<RunId>,
    components_sha256: String,
    features_sha256: String,
}

impl Brief {
    /// The snapshot in `directory`; `None` where there is none.
    pub fn of(directory: &Path, disk: &dyn Disk) -> Option<Self> {
        let json = disk.read(&directory.join("snapshot.json")).ok()?;
        serde_json::from_slice(&json).ok()
    }

    /// Of the two tables.
    pub fn checksums(&self) -> [String; 2] {
        [self.components_sha256.clone(), self.features_sha256.clone()]
    }
}

/// Reads a snapshot directory, or the `latest` one of a directory that holds snapshots.
///
/// # Errors
/// If there is none, or a file is missing, damaged or in a newer format.
pub fn read(path: &Path) -> Result<Snapshot, SnapshotError> {
    let directory = locate(path)?;
    let json = directory.join("snapshot.json");
    let metadata: Metadata = serde_json::from_slice(&bytes_of(&json)?)
        .map_err(|error| damaged(&json, error.to_string()))?;
    if metadata.format_version > FORMAT_VERSION {
        return Err(SnapshotError::NewerFormat {
            path: json,
            found: metadata.format_version,
            known: FORMAT_VERSION,
        });
    }
    let components = directory.join("components.parquet");
    let table = decode(&components, &metadata.components_sha256)?;
    let features = directory.join("features.parquet");
    let moments = decode(&features, &metadata.features_sha256)?;
    let estimate = estimate_of(
        &metadata,
        &Columns(&table, &components),
        &Columns(&moments, &features),
    )?;
    let names = Columns(&moments, &features).strings("feature")?;
    let features_read = Features::new(names);
    if features_read.schema_hash() != metadata.feature_schema_hash {
        return Err(damaged(
            &features,
            "feature names do not match their hash".into(),
        ));
    }
    Ok(Snapshot {
        estimate,
        features: features_read,
        counts: metadata.counts,
        watermark: metadata.watermark,
        provenance: Provenance {
            run_id: metadata.run_id,
            ..metadata.learner
        },
    })
}

fn locate(path: &Path) -> Result<PathBuf, SnapshotError> {
    // The directory itself comes first, because a snapshot may be named directly.
    [path.to_owned(), path.join("latest")]
        .into_iter()
        .find(|directory| directory.join("snapshot.json").exists())
        .ok_or_else(|| SnapshotError::NotASnapshot {
            path: path.to_owned(),
        })
}

fn damaged(path: &Path, reason: String) -> SnapshotError {
    SnapshotError::Damaged {
        path: path.to_owned(),
        reason,
    }
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, SnapshotError> {
    fs::read(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => damaged(path, "the file is missing".into()),
        _ => SnapshotError::Io {
            path: path.to_owned(),
            action: "cannot read",
            source,
            remedy: "check its permissions",
        },
    })
}

fn decode(path: &Path, expected: &str) -> Result<RecordBatch, SnapshotError> {
    let bytes = bytes_of(path)?;
    // Before decoding, so that damage is reported as such and not as an error of the decoder.
    if checksum(&bytes) != expected {
        return Err(damaged(
            path,
            "its bytes do not match the checksum in snapshot.json".into(),
        ));
    }
    let refused = |reason: String| SnapshotError::Parquet {
        path: path.to_owned(),
        reason,
    };
    let reader = ParquetRecordBatchReaderBuilder::try_new(parquet_bytes(bytes))
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .map_err(|error| refused(error.to_string()))?;
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader
        .collect::<Result<_, _>>()
        .map_err(|error| refused(error.to_string()))?;
    concat_batches(&schema, &batches).map_err(|error| refused(error.to_string()))
}

fn parquet_bytes(bytes: Vec<u8>) -> bytes::Bytes {
    bytes.into()
}

/// A table and its file's name, for messages.
struct Columns<'a>(&'a RecordBatch, &'a Path);

impl Columns<'_> {
    fn column(&self, name: &str) -> Result<&dyn Array, SnapshotError> {
        self.0
            .column_by_name(name)
            .map(AsRef::as_ref)
            .ok_or_else(|| damaged(self.1, format!("column `{name}` is missing")))
    }

    fn wrong(&self, name: &str) -> SnapshotError {
        damaged(self.1, format!("column `{name}` has another type"))
    }

    fn numbers(&self, name: &str) -> Result<Vec<f64>, SnapshotError> {
        let column = self.column(name)?;
        let array = column
            .as_primitive_opt::<Float64Type>()
            .ok_or_else(|| self.wrong(name))?;
        Ok(array.iter().map(|v| v.unwrap_or(f64::NAN)).collect())
    }

    /// Numbers, where they are known.
    fn known(&self, name: &str) -> Result<Vec<Option<f64>>, SnapshotError> {
        let column = self.column(name)?;
        let array = column
            .as_primitive_opt::<Float64Type>()
            .ok_or_else(|| self.wrong(name))?;
        Ok(array.iter().collect())
    }

    /// Numbers of components, from 0.
    fn components(&self, name: &str) -> Result<Vec<usize>, SnapshotError> {
        let column = self.column(name)?;
        let array = column
            .as_primitive_opt::<UInt64Type>()
            .ok_or_else(|| self.wrong(name))?;
        let numbers = array.iter().map(|v| v.unwrap_or(1).saturating_sub(1));
        Ok(numbers.map(|v| usize::try_from(v).unwrap_or(0)).collect())
    }

    fn strings(&self, name: &str) -> Result<Vec<String>, SnapshotError> {
        let column = self.column(name)?;
        let array = column
            .as_string_opt::<i32>()
            .ok_or_else(|| self.wrong(name))?;
        Ok(array
            .iter()
            .map(|v| v.unwrap_or_default().to_owned())
            .collect())
    }

    fn flags(&self, name: &str) -> Result<Vec<bool>, SnapshotError> {
        let column = self.column(name)?;
        let array = column.as_boolean_opt().ok_or_else(|| self.wrong(name))?;
        Ok(array
            .iter()
            .map(std::option::Option::unwrap_or_default)
            .collect())
    }

    fn vectors(&self, name: &str, m: usize) -> Result<Vec<f64>, SnapshotError> {
        let column = self.column(name)?;
        let list = column
            .as_fixed_size_list_opt()
            .ok_or_else(|| self.wrong(name))?;
        let values = list
            .values()
            .as_primitive_opt::<Float64Type>()
            .ok_or_else(|| self.wrong(name))?;
        if usize::try_from(list.value_length()).ok() != Some(m) {
            return Err(damaged(
                self.1,
                format!("column `{name}` does not have {m} entries per row"),
            ));
        }
        let first = list.value_offset_at(0);
        Ok(values.values()[first..first + m * list.len()].to_vec())
    }
}

/// Weights of the observed values; for files from before these were recorded, derived from the
/// counts of missing values on the assumption of equal row weights.
fn observed_of(metadata: &Metadata, features: &Columns<'_>) -> Result<Vec<f64>, SnapshotError> {
    if features.0.column_by_name("observed").is_some() {
        return features.numbers("observed");
    }
    let share = |j: usize| {
        // Missing values of rejected rows were counted too, at most one a row.
        let missing = metadata.counts.missing(j);
        let missing = missing.saturating_sub(metadata.counts.rows_rejected);
        1.0 - missing.min(metadata.rows) as f64 / metadata.rows.max(1) as f64
    };
    Ok((0..metadata.features)
        .map(|j| metadata.effective_rows * share(j))
        .collect())
}

/// Leading components with a direction: in snapshots from before this was written down, those whose vector is not zero.
fn determined_of(
    components: &Columns<'_>,
    vectors: &[f64],
    m: usize,
) -> Result<usize, SnapshotError> {
    if components.0.column_by_name("determined").is_some() {
        let flags = components.flags("determined")?;
        return Ok(flags.iter().take_while(|flag| **flag).count());
    }
    let mut vectors = vectors.chunks_exact(m.max(1));
    let first_zero = vectors.position(|vector| vector.iter().all(|v| *v == 0.0));
    Ok(first_zero.unwrap_or_else(|| components.0.num_rows()))
}

/// Statements about the population; empty for snapshots of versions that did not write them.
fn certainty_of(k: usize, components: &Columns<'_>) -> Result<Vec<Certainty>, SnapshotError> {
    if components
        .0
        .column_by_name("population_eigenvalue")
        .is_none()
    {
        let unknown = |i| Certainty {
            mixes: (i, i),
            ..Certainty::default()
        };
        return Ok((0..k).map(unknown).collect());
    }
    let eigenvalues = components.known("population_eigenvalue")?;
    let low = components.known("population_low")?;
    let high = components.known("population_high")?;
    let rows = components.known("independent_rows")?;
    let angles = components.known("angle_bound_rad")?;
    let from = components.components("mixes_from")?;
    let to = components.components("mixes_to")?;
    let heavy = components.flags("heavy_tails")?;
    Ok((0..k)
        .map(|i| Certainty {
            independent_rows: rows[i],
            population_eigenvalue: eigenvalues[i],
            interval: low[i].zip(high[i]).map(|(low, high)| [low, high]),
            angle_bound_rad: angles[i],
            mixes: (from[i], to[i]),
            is_heavy_tailed: heavy[i],
        })
        .collect())
}

fn estimate_of(
    metadata: &Metadata,
    components: &Columns<'_>,
    features: &Columns<'_>,
) -> Result<Estimate, SnapshotError> {
    let (k, m) = (metadata.components, metadata.features);
    let rows = [(components, k), (features, m)];
    if let Some((table, expected)) = rows
        .iter()
        .find(|(table, rows)| table.0.num_rows() != *rows)
    {
        let found = table.0.num_rows();
        return Err(damaged(
            table.1,
            format!("{found} rows, snapshot.json says {expected}"),
        ));
    }
    // Present and of the right type, though the counts in snapshot.json say more.
    features
        .column("missing")?
        .as_primitive_opt::<UInt64Type>()
        .ok_or_else(|| features.wrong("missing"))?;
    let mut constant = vec![false; m];
    for j in &metadata.constant_features {
        if let Some(flag) = constant.get_mut(*j) {
            *flag = true;
        }
    }
    let vectors = if k > 0 {
        components.vectors("vector", m)?
    } else {
        Vec::new()
    };
    Ok(Estimate {
        determined: determined_of(components, &vectors, m)?,
        features: m,
        rows: metadata.rows,
        effective_rows: metadata.effective_rows,
        mean: features.numbers("mean")?,
        scale: features.numbers("scale")?,
        variance: features.numbers("variance")?,
        observed: observed_of(metadata, features)?,
        constant,
        vectors,
        eigenvalues: components.numbers("eigenvalue")?,
        eigenvalue_stderr: components.numbers("eigenvalue_stderr")?,
        angle_stderr_rad: components.numbers("angle_stderr_rad")?,
        certainty: certainty_of(k, components)?,
        weight_singular_values: components.numbers("weight_singular_value")?,
        active: components.flags("active")?,
        penalty: metadata.penalty,
        noise_variance: metadata.noise_variance,
        total_variance: metadata.total_variance,
        components_above_noise: metadata.components_above_noise,
        above_noise_is_lower_bound: metadata.components_above_noise_is_lower_bound,
        above_noise_rule: metadata.components_above_noise_rule,
        unresolved: metadata.unresolved,
        is_widened: metadata.widened_to_f64,
        limits: metadata.limits.clone(),
    })
}
