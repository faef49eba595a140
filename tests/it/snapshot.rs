//! Snapshots are whole or not there, and damage is found.

use std::fs;

use ojad::learner::LearnerParams;
use ojad::rows::{Features, RowCounts, Watermark};
use ojad::snapshot::{Provenance, Snapshot, read, write};
use rand_distr::StandardNormal;

use crate::reference::{learned, planted, spikes};

fn snapshot() -> Snapshot {
    let (rows, _) = planted(500, &spikes(30, 3, 9.0, 4.0), 1.0, 1, &StandardNormal);
    let params = LearnerParams {
        components: 4,
        ..LearnerParams::default()
    };
    let summary = learned(&rows, &params).summary().expect("finite");
    Snapshot {
        estimate: summary.estimate(4, params.penalty),
        features: Features::new((0..30).map(|j| format!("sensor {j}")).collect()),
        counts: RowCounts {
            rows_read: 500,
            rows_accepted: 500,
            ..RowCounts::default()
        },
        watermark: Watermark::default(),
        provenance: Provenance::new(&params, 30, summary.squared_weight),
    }
}

#[test]
fn what_is_read_is_what_was_written_bit_for_bit() {
    let place = tempfile::tempdir().expect("a directory");
    let written = snapshot();
    let path = write(&written, place.path()).expect("written");
    assert_eq!(read(&path).expect("read"), written);
    assert_eq!(read(place.path()).expect("latest"), written);
}

#[test]
fn latest_points_to_the_newest_and_a_taken_name_gets_a_suffix() {
    let place = tempfile::tempdir().expect("a directory");
    let first = write(&snapshot(), place.path()).expect("written");
    let again = write(&snapshot(), place.path()).expect("written");
    assert_eq!(first, again, "the same content is not written twice");
    let mut other = snapshot();
    other.estimate.mean[0] += 1.0;
    let second = write(&other, place.path()).expect("written");
    assert_ne!(first, second);
    let latest = fs::read_link(place.path().join("latest")).expect("a link");
    assert_eq!(place.path().join(latest), second);
    let hidden = fs::read_dir(place.path())
        .expect("a directory")
        .filter(|entry| {
            entry
                .as_ref()
                .is_ok_and(|e| e.file_name().to_string_lossy().starts_with('.'))
        })
        .count();
    assert_eq!(hidden, 0, "nothing temporary is left");
}

#[test]
fn damage_to_any_file_is_found_and_named() {
    let place = tempfile::tempdir().expect("a directory");
    let path = write(&snapshot(), place.path()).expect("written");
    for name in ["components.parquet", "features.parquet", "snapshot.json"] {
        let file = path.join(name);
        let whole = fs::read(&file).expect("bytes");
        let mut bytes = whole.clone();
        bytes[whole.len() / 2] ^= 0x40;
        bytes.truncate(whole.len() - 1);
        fs::write(&file, &bytes).expect("written");
        let error = read(&path).expect_err("damage is found").to_string();
        assert!(error.contains(name), "{error}");
        fs::remove_file(&file).expect("removed");
        assert!(read(&path).is_err(), "{name} is missing");
        fs::write(&file, &whole).expect("written");
    }
    assert!(read(&path).is_ok());
    let newer = fs::read_to_string(path.join("snapshot.json")).expect("text");
    let newer = newer.replace("\"format_version\": 1", "\"format_version\": 99");
    fs::write(path.join("snapshot.json"), newer).expect("written");
    assert!(read(&path).expect_err("newer").to_string().contains("99"));
}

#[test]
fn a_directory_without_a_snapshot_says_so() {
    let place = tempfile::tempdir().expect("a directory");
    assert!(
        read(place.path())
            .expect_err("none")
            .to_string()
            .contains("no snapshot here")
    );
}

#[test]
fn a_snapshot_from_before_observed_weights_were_kept_is_read() {
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use sha2::{Digest as _, Sha256};
    use std::fmt::Write as _;
    let place = tempfile::tempdir().expect("a directory");
    let mut written = snapshot();
    written.counts.nulls = (0..30).map(|j| if j == 2 { 125 } else { 0 }).collect();
    let path = write(&written, place.path()).expect("written");
    // The file as it was: the same columns, but `observed`.
    let file = path.join("features.parquet");
    let bytes = bytes::Bytes::from(fs::read(&file).expect("a file"));
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .expect("Parquet")
        .build();
    let mut table = reader
        .expect("Parquet")
        .next()
        .expect("a batch")
        .expect("a batch");
    let at = table.schema().index_of("observed").expect("a column");
    table.remove_column(at);
    let mut writer = ArrowWriter::try_new(Vec::new(), table.schema(), None).expect("a writer");
    writer.write(&table).expect("rows");
    let bytes = writer.into_inner().expect("bytes");
    let mut sum = String::new();
    for byte in Sha256::digest(&bytes) {
        write!(sum, "{byte:02x}").expect("a string");
    }
    fs::write(&file, &bytes).expect("a file");
    let about = path.join("snapshot.json");
    let mut json: serde_json::Value =
        serde_json::from_slice(&fs::read(&about).expect("a file")).expect("JSON");
    json["features_sha256"] = sum.into();
    fs::write(&about, json.to_string()).expect("a file");
    // 125 of 500 values of feature 2 were missing, and none of the others.
    let observed = read(&path).expect("read").estimate.observed;
    for (j, observed) in observed.iter().enumerate() {
        let right = if j == 2 { 375.0 } else { 500.0 };
        assert!((observed - right).abs() < 1e-9, "{j}: {observed}");
    }
}
