//! Every value arrives as it was written, whatever the format, type, encoding and row groups.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{DataType, Field, Float32Type, Int8Type, Int32Type, i256};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use ojad::rows::{Layout, Minibatch, Values};
use ojad::source::{BadValue, BinaryDtype, Reader, SourceParams, open};
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, Encoding, GzipLevel, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng};

pub fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
        .unwrap()
}

pub fn write(path: &Path, batch: &RecordBatch, properties: Option<WriterProperties>) -> OsString {
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), properties).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    path.into()
}

#[allow(clippy::unnecessary_wraps, reason = "as `write` takes it")]
pub fn groups_of(rows: usize) -> Option<WriterProperties> {
    let builder = WriterProperties::builder();
    Some(builder.set_max_row_group_row_count(Some(rows)).build())
}

/// All rows as f64, by minibatches of `capacity`; all but the last are full.
pub fn drain(reader: &mut Reader, capacity: usize) -> Vec<Vec<f64>> {
    let mut batch = reader.new_minibatch(capacity);
    let mut rows = Vec::new();
    let mut short = false;
    loop {
        let n = reader.fill(&mut batch).unwrap();
        if n == 0 {
            break;
        }
        assert!(!short, "only the last minibatch is short");
        short = n < capacity;
        assert_eq!(batch.first_row(), rows.len() as u64);
        push(&batch, &mut rows);
    }
    let counts = reader.counts();
    assert_eq!(
        counts.rows_accepted + counts.rows_rejected,
        counts.rows_read
    );
    assert_eq!(counts.rows_accepted, rows.len() as u64);
    rows
}

fn push(batch: &Minibatch, rows: &mut Vec<Vec<f64>>) {
    for i in 0..batch.rows() {
        rows.push((0..batch.features()).map(|j| batch.value(i, j)).collect());
    }
}

fn read(path: impl Into<OsString>, params: &SourceParams) -> Vec<Vec<f64>> {
    drain(&mut open(&[path.into()], params).unwrap(), 7)
}

fn same(a: &[Vec<f64>], b: &[Vec<f64>]) {
    assert_eq!(a.len(), b.len());
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        let bits = |row: &[f64]| row.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(a), bits(b), "row {i}");
    }
}

/// One column of each numeric type and the values of each row.
#[allow(clippy::too_many_lines, reason = "a table")]
fn every_type() -> (RecordBatch, Vec<Vec<f64>>) {
    let n = 50_i32;
    let ints = || 0..n;
    let decimal = |v: i128| v * 125;
    let keys: Int8Array = ints().map(|i| Some((i % 3) as i8)).collect();
    let words = Arc::new(Float32Array::from(vec![0.5, 1.5, 2.5]));
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "i8",
            Arc::new(ints().map(|i| Some((i - 25) as i8)).collect::<Int8Array>()),
        ),
        (
            "i16",
            Arc::new(
                ints()
                    .map(|i| Some((i * -300) as i16))
                    .collect::<Int16Array>(),
            ),
        ),
        (
            "i32",
            Arc::new(ints().map(|i| Some(i32::MIN + i)).collect::<Int32Array>()),
        ),
        (
            "i64",
            Arc::new(
                ints()
                    .map(|i| Some(-(1_i64 << 50) + i64::from(i)))
                    .collect::<Int64Array>(),
            ),
        ),
        (
            "u8",
            Arc::new(ints().map(|i| Some(255 - i as u8)).collect::<UInt8Array>()),
        ),
        (
            "u16",
            Arc::new(
                ints()
                    .map(|i| Some(u16::MAX - i as u16))
                    .collect::<UInt16Array>(),
            ),
        ),
        (
            "u32",
            Arc::new(
                ints()
                    .map(|i| Some(u32::MAX - i as u32))
                    .collect::<UInt32Array>(),
            ),
        ),
        (
            "u64",
            Arc::new(
                ints()
                    .map(|i| Some((1_u64 << 63) + ((i as u64) << 12)))
                    .collect::<UInt64Array>(),
            ),
        ),
        (
            "f16",
            Arc::new(
                ints()
                    .map(|i| Some(half::f16::from_f32(i as f32 / 4.0)))
                    .collect::<Float16Array>(),
            ),
        ),
        (
            "f32",
            Arc::new(
                ints()
                    .map(|i| Some(i as f32 / 3.0))
                    .collect::<Float32Array>(),
            ),
        ),
        (
            "f64",
            Arc::new(
                ints()
                    .map(|i| Some(f64::from(i) / 3.0))
                    .collect::<Float64Array>(),
            ),
        ),
        (
            "bool",
            Arc::new(ints().map(|i| Some(i % 2 == 1)).collect::<BooleanArray>()),
        ),
        (
            "d128",
            Arc::new(
                ints()
                    .map(|i| Some(decimal(i.into())))
                    .collect::<Decimal128Array>()
                    .with_precision_and_scale(20, 3)
                    .unwrap(),
            ),
        ),
        (
            "d256",
            Arc::new(
                ints()
                    .map(|i| Some(i256::from_i128(-decimal(i.into()))))
                    .collect::<Decimal256Array>()
                    .with_precision_and_scale(50, 3)
                    .unwrap(),
            ),
        ),
        (
            "dict",
            Arc::new(DictionaryArray::<Int8Type>::new(keys, words)),
        ),
    ];
    let rows = ints()
        .map(|i| {
            let x = f64::from(i);
            vec![
                x - 25.0,
                x * -300.0,
                f64::from(i32::MIN) + x,
                -((1_u64 << 50) as f64) + x,
                255.0 - x,
                65535.0 - x,
                f64::from(u32::MAX) - x,
                (1_u64 << 63) as f64 + x * 4096.0,
                x / 4.0,
                f64::from(i as f32 / 3.0),
                x / 3.0,
                f64::from(i % 2),
                x / 8.0,
                -x / 8.0,
                f64::from(i % 3) + 0.5,
            ]
        })
        .collect();
    // -0.0 where the decimal is 0.
    let rows: Vec<Vec<f64>> = rows;
    let rows = rows
        .into_iter()
        .map(|r| r.into_iter().map(|v| v + 0.0).collect())
        .collect();
    (batch(columns), rows)
}

#[test]
fn every_numeric_type_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let (batch, rows) = every_type();
    let params = SourceParams {
        limit: ojad::source::Limit::F64,
        ..SourceParams::default()
    };
    let path = folder.path().join("a");
    same(&read(write(&path, &batch, groups_of(11)), &params), &rows);
    let mut writer = FileWriter::try_new(File::create(&path).unwrap(), &batch.schema()).unwrap();
    writer.write(&batch.slice(0, 13)).unwrap();
    writer.write(&batch.slice(13, 37)).unwrap();
    writer.finish().unwrap();
    let reader = open(&[path.clone().into()], &params).unwrap();
    assert_eq!(reader.extent().rows_total, Some(50));
    same(&read(&path, &params), &rows);
    for body in [
        None,
        Some(CompressionType::LZ4_FRAME),
        Some(CompressionType::ZSTD),
    ] {
        let options = IpcWriteOptions::default()
            .try_with_compression(body)
            .unwrap();
        let file = File::create(&path).unwrap();
        let mut writer =
            StreamWriter::try_new_with_options(file, &batch.schema(), options).unwrap();
        writer.write(&batch.slice(0, 21)).unwrap();
        writer.write(&batch.slice(21, 29)).unwrap();
        writer.finish().unwrap();
        same(&read(&path, &params), &rows);
    }
}

#[test]
fn every_codec_and_page_version() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let values: Vec<f64> = (0..3000).map(|_| rng.random::<f64>()).collect();
    let data = batch(vec![
        ("a", Arc::new(Float64Array::from(values.clone()))),
        (
            "b",
            Arc::new(Int32Array::from_iter_values((0..3000).map(|i| i * 7 % 91))),
        ),
    ]);
    let rows: Vec<Vec<f64>> = values
        .iter()
        .enumerate()
        .map(|(i, &v)| vec![v, (i * 7 % 91) as f64])
        .collect();
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::BROTLI(BrotliLevel::default()),
    ];
    for codec in codecs {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            for dictionary in [true, false] {
                let properties = WriterProperties::builder()
                    .set_compression(codec)
                    .set_writer_version(version)
                    .set_dictionary_enabled(dictionary)
                    .set_max_row_group_row_count(Some(1234))
                    .set_data_page_row_count_limit(100)
                    .build();
                let path = write(&path, &data, Some(properties));
                same(&read(path, &SourceParams::default()), &rows);
            }
        }
    }
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_column_encoding("a".into(), Encoding::BYTE_STREAM_SPLIT)
        .set_column_encoding("b".into(), Encoding::DELTA_BINARY_PACKED)
        .build();
    same(
        &read(
            write(&path, &data, Some(properties)),
            &SourceParams::default(),
        ),
        &rows,
    );
}

fn fixed(values: Vec<Option<f32>>, len: i32) -> ArrayRef {
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let values = Arc::new(Float32Array::from(values));
    Arc::new(FixedSizeListArray::try_new(item, len, values, None).unwrap())
}

#[test]
fn lists_binaries_and_structs_are_named_and_laid_out() {
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<f32> = (0..60).map(|i| i as f32).collect();
    let lists = |n: usize| {
        let rows = values
            .chunks(n)
            .map(|row| Some(row.iter().map(|&v| Some(v))));
        ListArray::from_iter_primitive::<Float32Type, _, _>(rows)
    };
    let large = LargeListArray::from_iter_primitive::<Float32Type, _, _>(
        values
            .chunks(3)
            .map(|row| Some(row.iter().map(|&v| Some(v)))),
    );
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let inner = Arc::new(Int32Array::from_iter_values(0..20));
    let field = Arc::new(Field::new("b", DataType::Int32, true));
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "fixed",
            fixed(values.iter().copied().map(Some).collect(), 3),
        ),
        ("list", Arc::new(lists(3))),
        ("large", Arc::new(large)),
        (
            "raw",
            Arc::new(FixedSizeBinaryArray::try_new(12, bytes.into(), None).unwrap()),
        ),
        (
            "a",
            Arc::new(StructArray::from(vec![(field, inner as ArrayRef)])),
        ),
        (
            "text",
            Arc::new(StringArray::from_iter_values(
                (0..20).map(|i| i.to_string()),
            )),
        ),
    ];
    let data = batch(columns);
    let params = SourceParams {
        dtype: Some(BinaryDtype::F32),
        ..SourceParams::default()
    };
    let rows: Vec<Vec<f64>> = (0..20)
        .map(|i| {
            let row: Vec<f64> = (0..3).map(|j| f64::from(3 * i + j)).collect();
            [
                row.clone(),
                row.clone(),
                row.clone(),
                row,
                vec![f64::from(i)],
            ]
            .concat()
        })
        .collect();
    let path = write(&folder.path().join("a"), &data, groups_of(6));
    let mut reader = open(std::slice::from_ref(&path), &params).unwrap();
    assert_eq!(reader.new_minibatch(4).layout(), Layout::RowMajor);
    assert!(matches!(reader.new_minibatch(4).values(), Values::F64(_)));
    assert_eq!(reader.features().names()[..2], ["fixed.0", "fixed.1"]);
    assert_eq!(reader.features().names()[12], "a.b");
    assert_eq!(
        reader.selection().left,
        [("text".to_owned(), "not numeric: utf8".to_owned())]
    );
    same(&drain(&mut reader, 7), &rows);
    let path = folder.path().join("b");
    let mut writer = FileWriter::try_new(File::create(&path).unwrap(), &data.schema()).unwrap();
    writer.write(&data.slice(0, 5)).unwrap();
    writer.write(&data.slice(5, 15)).unwrap();
    writer.finish().unwrap();
    same(&read(path, &params), &rows);
}

#[test]
fn each_policy_does_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let x = [
        Some(1.0),
        None,
        Some(f64::NAN),
        Some(f64::INFINITY),
        Some(5.0),
        Some(-1e16),
    ];
    let data = batch(vec![
        ("x", Arc::new(Float64Array::from(x.to_vec()))),
        (
            "y",
            Arc::new(Float64Array::from(vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0])),
        ),
        (
            "id",
            Arc::new(StringArray::from(vec!["a", "b", "c", "d", "e", "f"])),
        ),
    ]);
    let path = write(&folder.path().join("a"), &data, groups_of(4));
    let with = |on_null, on_nan, on_inf| SourceParams {
        ids: vec!["id".to_owned()],
        on_null,
        on_nan,
        on_inf,
        ..SourceParams::default()
    };
    let (e, s, m) = (BadValue::Error, BadValue::Skip, BadValue::Mean);
    let mut reader = open(std::slice::from_ref(&path), &with(s, s, s)).unwrap();
    let mut batch = reader.new_minibatch(10);
    let ids = reader.fill_with_ids(&mut batch).unwrap().unwrap();
    assert_eq!(
        ids.column(0)
            .as_string::<i32>()
            .iter()
            .flatten()
            .collect::<String>(),
        "ae"
    );
    assert_eq!((batch.rows(), batch.value(1, 1) as i32), (2, 4));
    assert!(!batch.has_missing());
    let counts = reader.counts();
    assert_eq!(
        (counts.rows_read, counts.rows_accepted, counts.rows_rejected),
        (6, 2, 4)
    );
    assert_eq!(
        (counts.nulls[0], counts.nans[0], counts.infinities[0]),
        (1, 1, 2)
    );
    let mut reader = open(std::slice::from_ref(&path), &with(m, m, s)).unwrap();
    assert_eq!(reader.fill(&mut batch).unwrap(), 4);
    assert!(batch.has_missing() && batch.value(1, 0).is_nan() && batch.value(2, 0).is_nan());
    assert_eq!(reader.watermark().inputs[0].rows, 6);
    for (policy, row, value) in [
        (with(e, s, s), 1, "null"),
        (with(s, e, s), 2, "NaN"),
        (with(s, s, e), 3, "inf"),
    ] {
        let mut reader = open(std::slice::from_ref(&path), &policy).unwrap();
        let message = reader.fill(&mut batch).unwrap_err().to_string();
        assert!(message.contains(&format!("row {row} ")), "{message}");
        assert!(
            message.contains(&format!("`x`: value is {value}")),
            "{message}"
        );
    }
}

#[test]
fn null_lists_and_null_elements_follow_the_policy() {
    let folder = tempfile::tempdir().unwrap();
    let rows = vec![
        None,
        Some(vec![Some(1.0), Some(2.0)]),
        Some(vec![None, Some(4.0)]),
        None,
        Some(vec![Some(5.0), Some(6.0)]),
    ];
    let list = ListArray::from_iter_primitive::<Float32Type, _, _>(rows.clone());
    let fixed = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(rows, 2);
    let mean = SourceParams {
        on_null: BadValue::Mean,
        ..SourceParams::default()
    };
    let skip = SourceParams {
        on_null: BadValue::Skip,
        ..SourceParams::default()
    };
    for array in [Arc::new(list) as ArrayRef, Arc::new(fixed)] {
        let data = batch(vec![("p", array)]);
        let path = folder.path().join("a");
        let parquet = write(&path, &data, None);
        let ipc = folder.path().join("b");
        let mut writer = FileWriter::try_new(File::create(&ipc).unwrap(), &data.schema()).unwrap();
        writer.write(&data).unwrap();
        writer.finish().unwrap();
        for path in [parquet, ipc.into()] {
            same(
                &read(path.clone(), &skip),
                &[vec![1.0, 2.0], vec![5.0, 6.0]],
            );
            let mut reader = open(&[path], &mean).unwrap();
            let rows = drain(&mut reader, 5);
            assert_eq!(reader.counts().nulls, [3, 2]);
            assert!(rows[0][0].is_nan() && rows[2][0].is_nan() && rows[3][1].is_nan());
            assert_eq!(rows[2][1].to_bits(), 4_f64.to_bits());
        }
    }
}

#[test]
fn files_are_read_in_order_and_matched_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let sub = folder.path().join("sub");
    std::fs::create_dir(&sub).unwrap();
    let a: ArrayRef = Arc::new(Float32Array::from(vec![1.0, 2.0]));
    let b: ArrayRef = Arc::new(Float64Array::from(vec![3.0, 4.0]));
    write(
        &folder.path().join("1.parquet"),
        &batch(vec![("a", a.clone()), ("b", a.clone())]),
        None,
    );
    write(&sub.join("2.data"), &batch(vec![("b", b), ("a", a)]), None);
    std::fs::write(folder.path().join("_SUCCESS"), "").unwrap();
    let rows = [[1.0, 1.0], [2.0, 2.0], [1.0, 3.0], [2.0, 4.0]].map(|r| r.to_vec());
    let params = SourceParams::default();
    same(&read(folder.path(), &params), &rows);
    same(
        &read(folder.path().join("**").join("*.[pd]*a*"), &params),
        &rows,
    );
    let inputs: Vec<PathBuf> = vec![folder.path().join("?.parquet"), sub];
    let inputs: Vec<OsString> = inputs.into_iter().map(Into::into).collect();
    let mut reader = open(&inputs, &params).unwrap();
    assert!(matches!(reader.new_minibatch(1).values(), Values::F64(_)));
    assert_eq!(reader.extent().rows_total, Some(4));
    same(&drain(&mut reader, 3), &rows);
    assert!(
        reader
            .watermark()
            .inputs
            .iter()
            .all(|p| p.done && p.rows == 2)
    );
}

/// Random columns with nulls, random row groups and capacities: the rows that hold no null.
#[test]
fn random_files_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for _ in 0..40 {
        let n = rng.random_range(1..5000);
        let m = rng.random_range(1..12);
        let share = if rng.random::<bool>() { 0.0 } else { 0.01 };
        let mut table = vec![vec![Some(0.0); m]; n];
        let mut columns: Vec<(String, ArrayRef)> = Vec::new();
        for j in 0..m {
            for row in &mut table {
                let null = rng.random::<f64>() < share;
                row[j] = (!null).then(|| f64::from(rng.random_range(-100_i32..100)));
            }
            let column = table.iter().map(|row| row[j]);
            let array: ArrayRef = match rng.random_range(0..4) {
                0 => Arc::new(column.collect::<Float64Array>()),
                1 => Arc::new(
                    column
                        .map(|v| v.map(|v| v as f32))
                        .collect::<Float32Array>(),
                ),
                2 => Arc::new(
                    column
                        .map(|v| v.map(|v| v as i32))
                        .collect::<PrimitiveArray<Int32Type>>(),
                ),
                _ => Arc::new(column.map(|v| v.map(|v| v as i8)).collect::<Int8Array>()),
            };
            columns.push((format!("x{j}"), array));
        }
        let data = batch(
            columns
                .iter()
                .map(|(n, a)| (n.as_str(), a.clone()))
                .collect(),
        );
        let path = write(
            &folder.path().join("a"),
            &data,
            groups_of(rng.random_range(1..n + 1)),
        );
        let rows: Vec<Vec<f64>> = table
            .into_iter()
            .filter_map(|row| row.into_iter().collect())
            .collect();
        let params = SourceParams {
            on_null: BadValue::Skip,
            ..SourceParams::default()
        };
        let mut reader = open(&[path], &params).unwrap();
        same(&drain(&mut reader, rng.random_range(1..300)), &rows);
    }
}
