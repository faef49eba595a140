//! Snapshot → directory, atomically.
//!
//! The files are written and fsynced in a temporary directory next to the destination (its name
//! begins with a dot, so that it is not taken for a snapshot), the directory is fsynced and
//! renamed, and `latest` is replaced by a rename too. After a failure the temporary directory is
//! removed; after a crash, the next snapshot removes its remains.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, FixedSizeListArray, Float64Array, Int32Array, RecordBatch, StringArray,
    UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::disk::{Disk, RealDisk};
use crate::learner::{Certainty, Estimate};
use crate::snapshot::disk::{
    checksum, fine_if_gone, point_latest, sync_directory, write_durably, writing,
};
use crate::snapshot::output::share;
use crate::snapshot::read::{Brief, Metadata};
use crate::snapshot::retain::ON_THE_WAY;
use crate::snapshot::{Snapshot, SnapshotError};

/// Most snapshots with the same number of rows in a directory: more would be a mistake.
const SAME_ROWS_AT_MOST: u32 = 10_000;

/// Writes the snapshot as a new directory in `directory` (created if missing) and points `latest`
/// to it. Its name is `rows-` and the rows learned, with a suffix if that is taken.
///
/// # Errors
/// If a file cannot be written, or a daemon publishes there; nothing is left behind then.
pub fn write(snapshot: &Snapshot, directory: &Path) -> Result<PathBuf, SnapshotError> {
    let _lock = share(directory)?;
    write_on(snapshot, directory, &RealDisk)
}

/// The same, on any disk. A snapshot of the same run and rows with the same content is not written
/// twice: a run that resumes after a crash reaches it again.
///
/// # Errors
/// As [`write()`].
pub fn write_on(
    snapshot: &Snapshot,
    directory: &Path,
    disk: &dyn Disk,
) -> Result<PathBuf, SnapshotError> {
    disk.create_dir_all(directory)
        .map_err(writing(directory, "cannot create the directory"))?;
    // The process id keeps two commands that write into one directory apart.
    let temporary = directory.join(format!("{ON_THE_WAY}{}", std::process::id()));
    let written = put(snapshot, directory, &temporary, disk);
    if written.is_err() {
        // What is left of it goes with the next snapshot.
        let _ = disk.remove_dir_all(&temporary);
    }
    written
}

fn put(
    snapshot: &Snapshot,
    directory: &Path,
    temporary: &Path,
    disk: &dyn Disk,
) -> Result<PathBuf, SnapshotError> {
    fine_if_gone(disk.remove_dir_all(temporary)).map_err(writing(temporary, "cannot remove"))?;
    disk.create_dir_all(temporary)
        .map_err(writing(temporary, "cannot create the directory"))?;
    let checksums = write_files(snapshot, temporary, disk)?;
    // Content and names are synced before the rename, so that a power cut never leaves half a
    // snapshot.
    sync_directory(disk, temporary)?;
    let names = disk
        .list(directory)
        .map_err(writing(directory, "cannot list"))?;
    let mut name = String::new();
    for attempt in 1..=SAME_ROWS_AT_MOST {
        let suffix = if attempt == 1 {
            String::new()
        } else {
            format!("-{attempt}")
        };
        name = format!("rows-{:012}{suffix}", snapshot.estimate.rows);
        if !names.iter().any(|there| there.as_os_str() == name.as_str()) {
            break;
        }
        let there = Brief::of(&directory.join(&name), disk);
        let run = snapshot.provenance.run_id;
        if there.is_some_and(|brief| brief.run_id == run && brief.checksums() == checksums) {
            disk.remove_dir_all(temporary)
                .map_err(writing(temporary, "cannot remove"))?;
            point_latest(disk, directory, &name)?;
            return Ok(directory.join(name));
        }
    }
    let place = directory.join(&name);
    disk.rename(temporary, &place)
        .map_err(writing(&place, "cannot rename to"))?;
    sync_directory(disk, directory)?;
    point_latest(disk, directory, &name)?;
    Ok(place)
}

/// Writes the three files; returns the checksums of the tables.
fn write_files(
    snapshot: &Snapshot,
    directory: &Path,
    disk: &dyn Disk,
) -> Result<[String; 2], SnapshotError> {
    let mut checksums = Vec::new();
    let tables = [
        ("components.parquet", components_table(&snapshot.estimate)),
        ("features.parquet", features_table(snapshot)),
    ];
    for (name, table) in tables {
        let path = directory.join(name);
        let refused = |reason: String| SnapshotError::Parquet {
            path: path.clone(),
            reason,
        };
        let table = table.map_err(|error| refused(error.to_string()))?;
        let bytes = parquet_of(&table).map_err(|error| refused(error.to_string()))?;
        write_durably(disk, &path, &bytes)?;
        checksums.push(checksum(&bytes));
    }
    let checksums = [checksums.remove(0), checksums.remove(0)];
    let [components, features] = checksums.clone();
    let metadata = Metadata::of(snapshot, components, features);
    let path = directory.join("snapshot.json");
    let json = serde_json::to_vec_pretty(&metadata).map_err(|error| SnapshotError::Damaged {
        path: path.clone(),
        reason: error.to_string(),
    })?;
    write_durably(disk, &path, &json)?;
    Ok(checksums)
}

/// A table as the Parquet file that a snapshot contains.
///
/// # Errors
/// If it cannot be encoded.
pub fn parquet_of(table: &RecordBatch) -> Result<Vec<u8>, parquet::errors::ParquetError> {
    let level = ZstdLevel::try_new(3)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        // Values of f64 hardly repeat: a dictionary would only be larger.
        .set_dictionary_enabled(false)
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, table.schema(), Some(properties))?;
    writer.write(table)?;
    writer.close()?;
    Ok(bytes)
}

/// An unknown error bar is null.
fn known(values: &[f64]) -> Float64Array {
    let values = values.iter().map(|v| v.is_finite().then_some(*v));
    values.collect()
}

fn plain(values: Vec<f64>) -> ArrayRef {
    Arc::new(Float64Array::from(values))
}

/// `components.parquet`: a row per component, descending.
///
/// # Errors
/// With more than 2³¹ − 1 features.
pub fn components_table(estimate: &Estimate) -> Result<RecordBatch, arrow::error::ArrowError> {
    let k = estimate.components();
    let ratios: Vec<f64> = (0..k)
        .map(|i| estimate.explained_variance_ratio(i))
        .collect();
    let cumulative = ratios
        .iter()
        .scan(0.0, |sum, ratio| {
            *sum += ratio;
            Some(*sum)
        })
        .collect();
    let item = Arc::new(Field::new("item", DataType::Float64, false));
    let m = i32::try_from(estimate.features).map_err(|_| {
        arrow::error::ArrowError::InvalidArgumentError("more than 2³¹ − 1 features".into())
    })?;
    let vectors =
        FixedSizeListArray::try_new(Arc::clone(&item), m, plain(estimate.vectors.clone()), None)?;
    let numbers: Int32Array = (1..).take(k).collect();
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("component", Arc::new(numbers)),
        ("eigenvalue", plain(estimate.eigenvalues.clone())),
        ("explained_variance_ratio", plain(ratios)),
        ("cumulative_ratio", plain(cumulative)),
        (
            "weight_singular_value",
            plain(estimate.weight_singular_values.clone()),
        ),
        (
            "eigenvalue_stderr",
            Arc::new(known(&estimate.eigenvalue_stderr)),
        ),
        (
            "angle_stderr_rad",
            Arc::new(known(&estimate.angle_stderr_rad)),
        ),
        (
            "active",
            Arc::new(BooleanArray::from(estimate.active.clone())),
        ),
    ];
    let determined = (0..k).map(|i| Some(i < estimate.determined));
    columns.push(("determined", Arc::new(determined.collect::<BooleanArray>())));
    columns.extend(certainty_columns(&estimate.certainty));
    columns.push(("vector", Arc::new(vectors)));
    table(columns)
}

/// Statements about the population; null where unknown.
fn certainty_columns(certainty: &[Certainty]) -> Vec<(&'static str, ArrayRef)> {
    let numbers = |of: &dyn Fn(&Certainty) -> Option<f64>| -> ArrayRef {
        Arc::new(certainty.iter().map(of).collect::<Float64Array>())
    };
    let component = |of: &dyn Fn(&Certainty) -> usize| -> ArrayRef {
        let numbers = certainty.iter().map(|one| 1 + of(one) as u64);
        Arc::new(numbers.map(Some).collect::<UInt64Array>())
    };
    let heavy = certainty.iter().map(|one| Some(one.is_heavy_tailed));
    vec![
        (
            "population_eigenvalue",
            numbers(&|one| one.population_eigenvalue),
        ),
        ("population_low", numbers(&|one| Some(one.interval?[0]))),
        ("population_high", numbers(&|one| Some(one.interval?[1]))),
        ("independent_rows", numbers(&|one| one.independent_rows)),
        ("angle_bound_rad", numbers(&|one| one.angle_bound_rad)),
        ("mixes_from", component(&|one| one.mixes.0)),
        ("mixes_to", component(&|one| one.mixes.1)),
        ("heavy_tails", Arc::new(heavy.collect::<BooleanArray>())),
    ]
}

/// `features.parquet`: a row per feature, with the entries of the components beside its moments.
///
/// # Errors
/// If the columns have inconsistent lengths.
pub fn features_table(snapshot: &Snapshot) -> Result<RecordBatch, arrow::error::ArrowError> {
    let estimate = &snapshot.estimate;
    let missing: UInt64Array = (0..estimate.features)
        .map(|j| snapshot.counts.missing(j))
        .collect();
    let names: StringArray = snapshot.features.names().iter().map(Some).collect();
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("feature".into(), Arc::new(names)),
        ("mean".into(), plain(estimate.mean.clone())),
        ("scale".into(), plain(estimate.scale.clone())),
        ("variance".into(), plain(estimate.variance.clone())),
        ("missing".into(), Arc::new(missing)),
        ("observed".into(), plain(estimate.observed.clone())),
    ];
    for i in 0..estimate.components() {
        columns.push((format!("pc{}", i + 1), plain(estimate.vector(i).to_vec())));
    }
    table(columns)
}

fn table<N: Into<String>>(
    columns: Vec<(N, ArrayRef)>,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns
        .into_iter()
        .map(|(name, array)| {
            let nullable = array.null_count() > 0;
            (
                Field::new(name.into(), array.data_type().clone(), nullable),
                array,
            )
        })
        .unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}
