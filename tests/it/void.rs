//! A column of type null in one file of a feed: the same files in any order end in what `fit` learns
//! from them, whether they are followed or pushed.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray as _, Float64Array, ListArray, NullArray, RecordBatch, StructArray,
};
use arrow::datatypes::{DataType, Field, Float64Type};

use crate::feeds::{Place, parquet, stream};
use crate::program::{ojad, refused, succeeded};
use crate::pusher::{Daemon, pushing};

const ROWS: usize = 80;

/// What the column `v` is where it is one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Scalar,
    List,
    Struct,
}

/// Rows of which `v` is of type null, and rows with values in it: no two columns go together.
fn void_and_full(kind: Kind) -> [RecordBatch; 2] {
    let column = |seed: usize, rows: usize| -> ArrayRef {
        let value = |i: usize| ((i * seed) % 17) as f64 + (i % seed) as f64;
        Arc::new(Float64Array::from_iter_values((0..rows).map(value)))
    };
    let v: ArrayRef = match kind {
        Kind::Scalar => column(3, ROWS),
        Kind::List => {
            let row = |i: usize| Some(vec![Some((i % 7) as f64), Some((i % 11) as f64)]);
            let rows = (0..ROWS).map(row);
            Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(rows))
        }
        Kind::Struct => {
            let field = |name: &str| Arc::new(Field::new(name, DataType::Float64, true));
            let inner = vec![(field("a"), column(3, ROWS)), (field("b"), column(4, ROWS))];
            Arc::new(StructArray::from(inner))
        }
    };
    let nulls: ArrayRef = Arc::new(NullArray::new(ROWS));
    let whole = |v: ArrayRef, from: usize| {
        let names = ["v", "w", "x", "y"];
        let others = [5, 7, 11].map(|seed| column(seed + from, ROWS));
        let columns = names.into_iter().zip([v].into_iter().chain(others));
        RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true)))
            .expect("a batch")
    };
    [whole(nulls, 0), whole(v, 8)]
}

/// Names of the features, and the components to the bit.
fn model(directory: &Path) -> (Vec<String>, Vec<u8>) {
    use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder as Builder;
    let latest = directory.join("latest");
    let file = fs::File::open(latest.join("features.parquet")).expect("features");
    let mut reader = Builder::try_new(file)
        .expect("Parquet")
        .build()
        .expect("a reader");
    let rows = reader.next().expect("one").expect("rows");
    let names = rows
        .column_by_name("feature")
        .expect("names")
        .as_string::<i32>();
    let names = names.iter().flatten().map(str::to_owned).collect();
    (
        names,
        fs::read(latest.join("components.parquet")).expect("components"),
    )
}

/// What `fit` makes of these files, in this order and with the keys of the place.
fn fitted(place: &Place, files: &[RecordBatch]) -> Result<(Vec<String>, Vec<u8>), String> {
    let folder = tempfile::tempdir().expect("a directory");
    let (input, output) = (folder.path().join("in"), folder.path().join("model"));
    fs::create_dir(&input).expect("a directory");
    for (i, data) in files.iter().enumerate() {
        parquet(&input.join(format!("{i}.parquet")), data);
    }
    let mut fit = ojad();
    fit.arg("fit")
        .arg("--config")
        .arg(place.config())
        .arg(&input);
    let done = fit
        .arg("--output")
        .arg(&output)
        .output()
        .expect("it starts");
    if done.status.success() {
        return Ok(model(&output));
    }
    refused(&done, 1, &["column `v", "null", "source.on_null"]);
    Err(String::from_utf8_lossy(&done.stderr).into_owned())
}

/// Every order of the two files with every policy, where one row of both can be learned at all.
fn cases() -> Vec<(Kind, &'static str, [RecordBatch; 2], bool)> {
    let mut cases = Vec::new();
    for kind in [Kind::Scalar, Kind::List, Kind::Struct] {
        for policy in ["mean", "skip", "error"] {
            for is_first in [true, false] {
                // A row without a list is learned before anybody can know that it is one, and how long.
                if kind != Kind::Scalar && policy == "mean" && is_first {
                    continue;
                }
                let [void, full] = void_and_full(kind);
                let files = if is_first { [void, full] } else { [full, void] };
                cases.push((kind, policy, files, is_first));
            }
        }
    }
    cases
}

/// What `fit` learns, and of how many rows; of a file that it refuses a daemon learns nothing.
fn expected(
    place: &Place,
    policy: &str,
    files: &[RecordBatch; 2],
    is_first: bool,
) -> ((Vec<String>, Vec<u8>), u64) {
    let full = &files[usize::from(is_first)];
    match fitted(place, files) {
        Ok(found) if policy == "skip" => (found, ROWS as u64),
        Ok(found) => (found, 2 * ROWS as u64),
        Err(message) => {
            let void = format!("{}.parquet", usize::from(!is_first));
            assert!(policy == "error" && message.contains(&void), "{message}");
            (
                fitted(place, std::slice::from_ref(full)).expect("values"),
                ROWS as u64,
            )
        }
    }
}

fn learned_rows(place: &Place) -> u64 {
    let found = place.inspect();
    let number = |name: &str| found[name].as_u64().expect("a number");
    number("rows_read") - number("rows_rejected")
}

#[test]
fn files_with_a_column_of_type_null_are_learned_as_fit_does_in_any_order() {
    for (kind, policy, files, is_first) in cases() {
        let told = format!("{kind:?}, {policy}, null first: {is_first}");
        for at_once in [true, false] {
            let place = Place::new(&format!("source.on_null = \"{policy}\""));
            let (expected, rows) = expected(&place, policy, &files, is_first);
            for (i, data) in files.iter().enumerate() {
                parquet(&place.feed().join(format!("{i}.parquet")), data);
                if i > 0 || !at_once {
                    succeeded(&place.learn());
                }
            }
            assert_eq!(learned_rows(&place), rows, "{told}");
            assert!(model(&place.path("model")) == expected, "{told}");
            let refused = u64::from(policy == "error");
            assert_eq!(place.inspect()["quarantined"], refused, "{told}");
            if policy == "error" {
                let list = place.quarantine();
                let reason = list[0]["reason"].as_str().expect("text");
                for part in ["column `v", "null", "source.on_null", "features.exclude"] {
                    assert!(reason.contains(part), "{told}: no {part} in {reason}");
                }
            }
        }
    }
}

#[test]
fn bodies_with_a_column_of_type_null_are_learned_as_fit_does_in_any_order() {
    for (kind, policy, files, is_first) in cases() {
        let told = format!("{kind:?}, {policy}, null first: {is_first}");
        let place = pushing(&format!("source.on_null = \"{policy}\""));
        let (expected, rows) = expected(&place, policy, &files, is_first);
        let daemon = Daemon::start(&place);
        for (i, data) in files.iter().enumerate() {
            let answer = daemon.push("?ack=durable", &format!("key-{i}"), &stream(data));
            let is_void = (i == 0) == is_first;
            let status = if is_void && policy == "error" {
                422
            } else {
                200
            };
            assert_eq!(answer.status, status, "{told}: {answer:?}");
        }
        daemon.end();
        assert_eq!(learned_rows(&place), rows, "{told}");
        assert!(model(&place.path("model")) == expected, "{told}");
    }
}
