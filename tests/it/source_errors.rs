//! Bad input ends with one message that gives place and remedy, never with a panic.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::Float32Type;
use ojad::source::{BadValue, Decoders, Extra, SourceError, SourceParams, open};

use crate::source_values::{batch, drain, write};

fn floats(n: usize) -> ArrayRef {
    Arc::new(Float32Array::from_iter_values((0..n).map(|i| i as f32)))
}

fn refused(inputs: &[OsString], params: &SourceParams) -> SourceError {
    match open(inputs, params) {
        Err(error) => error,
        Ok(mut reader) => {
            let mut batch = reader.new_minibatch(16);
            loop {
                match reader.fill(&mut batch) {
                    Err(error) => break error,
                    Ok(n) => assert!(n > 0, "the end without an error"),
                }
            }
        }
    }
}

fn says(path: &Path, parts: &[&str]) {
    let message = refused(&[path.into()], &SourceParams::default()).to_string();
    for part in parts {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn files_that_are_no_data_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.parquet");
    says(&path, &["bad.parquet", "no such file"]);
    says(folder.path(), &["holds no data file"]);
    for (bytes, part) in [
        (&b""[..], "0 bytes"),
        (b"a,b\n1,2\n", "\"a,b\\n1,2\\n\""),
        (b"FEA1....", "Feather"),
        (b"PAR1", "corrupt or truncated"),
        (b"ARROW1", "corrupt or truncated"),
        (b"ARROW1\0\0aaaaaaaaaaaaaaaaaa", "corrupt or truncated"),
        (b"\xFF\xFF\xFF\xFF\x10\0\0\0", "corrupt or truncated"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        says(&path, &["bad.parquet", part]);
    }
}

#[test]
fn values_whose_squares_are_lost_are_refused_by_name_and_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.parquet");
    let column = |unit: f64| -> ArrayRef {
        let values = (0..500).map(|i| unit * f64::from(i * i % 83));
        Arc::new(Float64Array::from_iter_values(values))
    };
    let fit = |columns: [f64; 2], scale: &str| {
        let [x, y] = columns.map(column);
        write(&path, &batch(vec![("x", x), ("y", y)]), None);
        let mut command = crate::program::ojad();
        let flags = ["fit", "-k", "1", "--scale", scale];
        let output = command.args(flags).arg(&path).output();
        output.expect("the program starts")
    };
    let remedies = ["`x`", "multiply the column by a power of ten", "--exclude"];
    for unit in [1e-150, 1e-160, 1e-200, 1e-300] {
        for scale in ["none", "standard"] {
            let output = fit([unit, -2.0 * unit], scale);
            crate::program::refused(&output, 1, &remedies);
            let said = crate::program::stderr(&output);
            assert!(!said.contains("too large"), "{said}");
        }
        // Beside a column that varies by much more it is nothing; in units of its deviation it is as much.
        crate::program::succeeded(&fit([unit, 1.0], "none"));
        crate::program::refused(&fit([unit, 1.0], "standard"), 1, &remedies);
    }
    for scale in ["none", "standard"] {
        crate::program::succeeded(&fit([1e-140, 3e-140], scale));
        // A constant is one, however small.
        let still: ArrayRef = Arc::new(Float64Array::from_iter_values([1e-200; 500]));
        write(&path, &batch(vec![("x", still), ("y", column(1.0))]), None);
        let mut command = crate::program::ojad();
        let command = command
            .args(["fit", "-k", "1", "--scale", scale])
            .arg(&path);
        crate::program::succeeded(&command.output().expect("the program starts"));
    }
}

#[test]
fn every_truncation_and_many_flips_end_in_an_error_or_in_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let list = ListArray::from_iter_primitive::<Float32Type, _, _>(
        (0..40).map(|i| Some(vec![Some(i as f32); 3])),
    );
    let data = batch(vec![("x", floats(40)), ("l", Arc::new(list))]);
    write(&path, &data, None);
    let parquet = std::fs::read(&path).unwrap();
    let mut ipc = Vec::new();
    let mut writer = arrow::ipc::writer::FileWriter::try_new(&mut ipc, &data.schema()).unwrap();
    writer.write(&data).unwrap();
    writer.finish().unwrap();
    drop(writer);
    ojad::source::quiet_decoder_panics();
    for whole in [parquet, ipc] {
        for len in 8..whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            refused(&[path.clone().into()], &SourceParams::default());
        }
        for at in 8..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            std::fs::write(&path, &bytes).unwrap();
            // Either way it returns.
            if let Ok(mut reader) = open(&[path.clone().into()], &SourceParams::default()) {
                let mut batch = reader.new_minibatch(16);
                while reader.fill(&mut batch).is_ok_and(|n| n > 0) {}
            }
        }
    }
}

#[test]
fn the_third_file_must_agree() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let good = batch(vec![("a", floats(3)), ("b", floats(3))]);
    write(&at("1"), &good, None);
    write(&at("2"), &good, None);
    let text: ArrayRef = Arc::new(StringArray::from(vec!["u"; 3]));
    for (bad, part) in [
        (batch(vec![("a", floats(3))]), "column `b`"),
        (
            batch(vec![("a", floats(3)), ("b", text)]),
            "not numeric: utf8 here",
        ),
        (
            batch(vec![("a", floats(3)), ("b", floats(3)), ("c", floats(3))]),
            "column `c`",
        ),
    ] {
        write(&at("3"), &bad, None);
        says(folder.path(), &["/3: ", part]);
    }
    let ignore = SourceParams {
        extra: Extra::Ignore,
        ..SourceParams::default()
    };
    let mut reader = open(&[folder.path().into()], &ignore).unwrap();
    assert_eq!(drain(&mut reader, 4).len(), 9);
}

#[test]
fn no_rows_no_features_and_uneven_lists_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let text: ArrayRef = Arc::new(StringArray::from(vec!["u"; 3]));
    write(&path, &batch(vec![("t", text)]), None);
    says(&path, &["no numeric column", "`t` (not numeric: utf8)"]);
    write(&path, &batch(vec![("a", floats(0))]), None);
    says(&path, &["no rows"]);
    let b = folder.path().join("b");
    write(&b, &batch(vec![("a", floats(2))]), None);
    let mut reader = open(&[folder.path().into()], &SourceParams::default()).unwrap();
    assert_eq!(drain(&mut reader, 4).len(), 2);
    for lengths in [[2, 2, 3, 1], [2, 2, 0, 4]] {
        let rows = lengths.map(|n| Some(vec![Some(1.0); n]));
        let list = ListArray::from_iter_primitive::<Float32Type, _, _>(rows);
        write(&path, &batch(vec![("l", Arc::new(list))]), None);
        says(&path, &["row 2 ", "`l`", "where 2 are expected"]);
    }
    write(&path, &batch(vec![("a", floats(2))]), None);
    let ids = SourceParams {
        ids: vec!["key".to_owned()],
        ..SourceParams::default()
    };
    assert!(
        refused(&[path.into()], &ids)
            .to_string()
            .contains("id column `key`")
    );
}

#[test]
fn a_file_cut_while_it_is_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let groups = crate::source_values::groups_of(1000);
    write(&path, &batch(vec![("a", floats(20_000))]), groups);
    let mut reader = open(&[path.clone().into()], &SourceParams::default()).unwrap();
    let mut batch = reader.new_minibatch(100);
    assert_eq!(reader.fill(&mut batch).unwrap(), 100);
    std::fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(100)
        .unwrap();
    let error = loop {
        if let Err(error) = reader.fill(&mut batch) {
            break error;
        }
    };
    // Not "corrupt": whoever reads that would look for a fault in a file that was whole.
    assert!(
        matches!(&error, SourceError::ChangedWhileRead { path: of } if *of == path),
        "{error}"
    );
    assert!(matches!(reader.fill(&mut batch), Err(SourceError::Ended)));
}

/// Forty columns of compressed pages: enough for two threads to share.
fn compressed(path: &Path) -> Vec<u8> {
    let columns = (0..40).map(|j| {
        let values = (0..500).map(|i| (i % 7 != 0 || j % 3 != 0).then_some((i * j % 11) as f32));
        let array: ArrayRef = Arc::new(values.collect::<Float32Array>());
        (format!("x{j}"), array)
    });
    let data = RecordBatch::try_from_iter(columns).unwrap();
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_compression(parquet::basic::Compression::SNAPPY)
        .build();
    let file = std::fs::File::create(path).unwrap();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(file, data.schema(), Some(properties)).unwrap();
    writer.write(&data).unwrap();
    writer.close().unwrap();
    std::fs::read(path).unwrap()
}

/// Every value until the end or an error, and which of them it was.
fn until_the_end(path: &Path, decoders: Decoders) -> (Vec<f64>, Option<String>) {
    let params = SourceParams {
        on_null: BadValue::Mean,
        on_nan: BadValue::Mean,
        on_inf: BadValue::Mean,
        decoders,
        ..SourceParams::default()
    };
    let mut values = Vec::new();
    let mut reader = match open(&[path.into()], &params) {
        Ok(reader) => reader,
        Err(error) => return (values, Some(error.to_string())),
    };
    let mut batch = reader.new_minibatch(64);
    loop {
        match reader.fill(&mut batch) {
            Ok(0) => return (values, None),
            Ok(rows) => values.extend(
                (0..rows)
                    .flat_map(|i| (0..batch.features()).map(move |j| (i, j)))
                    .map(|(i, j)| batch.value(i, j)),
            ),
            Err(error) => return (values, Some(error.to_string())),
        }
    }
}

#[test]
fn two_decoders_give_the_values_and_the_errors_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let whole = compressed(&path);
    ojad::source::quiet_decoder_panics();
    let same = |at: usize| {
        let (one, error) = until_the_end(&path, Decoders::One);
        let (two, same_error) = until_the_end(&path, Decoders::Two);
        assert_eq!(error, same_error, "byte {at}");
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert!(bits(&one) == bits(&two), "byte {at}");
        one.len()
    };
    assert_eq!(same(0), 500 * 40);
    for at in (8..whole.len()).step_by(37) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        std::fs::write(&path, &bytes).unwrap();
        same(at);
    }
}
