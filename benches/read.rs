//! Time of `Reader::fill` beside a bare single-threaded read of the same file by the arrow and
//! parquet crates' own readers: `cargo bench --bench read`.
//!
//! Prints thousand rows a second and the ratio of the medians of interleaved runs.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{
    ArrayRef, FixedSizeBinaryArray, FixedSizeListArray, Float32Array, Float64Array, ListArray,
    RecordBatch,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field};
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use ojad::source::{BinaryDtype, SourceParams, open};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::WriterProperties;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng};

type Failure = Box<dyn std::error::Error>;

const RUNS: usize = 7;
/// Rows of a batch written, and of a batch of the bare reader.
const BATCH: usize = 1024;

fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:<28} {:>10} {:>10} {:>7}",
        "file", "bare", "fill", "ratio"
    )?;
    let rows = 40 * BATCH;
    for (name, make) in CASES {
        let path = folder.path().join(name);
        make(&path, rows)?;
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            bare.push(timed(|| read_bare(&path))?);
            ours.push(timed(|| read_ours(&path))?);
        }
        let (bare, ours) = (median(&mut bare), median(&mut ours));
        let rate = |seconds: f64| rows as f64 / seconds / 1e3;
        let (b, o, ratio) = (rate(bare), rate(ours), ours / bare);
        writeln!(out, "{name:<28} {b:>6.0} k/s {o:>6.0} k/s {ratio:>7.2}")?;
        std::fs::remove_file(&path)?;
    }
    Ok(())
}

type Make = fn(&Path, usize) -> Result<(), Failure>;

const CASES: &[(&str, Make)] = &[
    ("784 f32 plain", |p, n| {
        parquet(p, n, Compression::UNCOMPRESSED, false, columns_f32)
    }),
    ("784 f32 snappy", |p, n| {
        parquet(p, n, Compression::SNAPPY, false, columns_f32)
    }),
    ("784 f32 dictionary", |p, n| {
        parquet(p, n, Compression::SNAPPY, true, columns_f32)
    }),
    ("fixed-size list 784", |p, n| {
        parquet(p, n, Compression::UNCOMPRESSED, false, fixed_list)
    }),
    ("list 784", |p, n| {
        parquet(p, n, Compression::UNCOMPRESSED, false, list)
    }),
    ("100 f64 plain", |p, n| {
        parquet(p, n, Compression::UNCOMPRESSED, false, columns_f64)
    }),
    ("binary 784 f32", |p, n| {
        parquet(p, n, Compression::UNCOMPRESSED, false, binary)
    }),
    ("ipc 784 f32", |p, n| ipc(p, n, columns_f32)),
    ("ipc fixed-size list 784", |p, n| ipc(p, n, fixed_list)),
];

fn timed(run: impl Fn() -> Result<usize, Failure>) -> Result<f64, Failure> {
    let start = Instant::now();
    run()?;
    Ok(start.elapsed().as_secs_f64())
}

fn median(seconds: &mut [f64]) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn read_bare(path: &Path) -> Result<usize, Failure> {
    let file = File::open(path)?;
    let mut rows = 0;
    if path.to_string_lossy().contains("ipc") {
        for batch in FileReader::try_new(file, None)? {
            rows += batch?.num_rows();
        }
    } else {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
        for batch in builder.with_batch_size(BATCH).build()? {
            rows += batch?.num_rows();
        }
    }
    Ok(rows)
}

fn read_ours(path: &Path) -> Result<usize, Failure> {
    let params = SourceParams {
        dtype: Some(BinaryDtype::F32),
        ..SourceParams::default()
    };
    let mut reader = open(&[OsString::from(path)], &params)?;
    let mut batch = reader.new_minibatch(64);
    let mut rows = 0;
    loop {
        match reader.fill(&mut batch)? {
            0 => return Ok(rows),
            n => rows += n,
        }
    }
}

type Columns = fn(&mut ChaCha8Rng) -> Result<RecordBatch, Failure>;

fn parquet(
    path: &Path,
    rows: usize,
    codec: Compression,
    dictionary: bool,
    columns: Columns,
) -> Result<(), Failure> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let first = columns(&mut rng)?;
    let properties = WriterProperties::builder()
        .set_compression(codec)
        .set_dictionary_enabled(dictionary)
        .set_encoding(Encoding::PLAIN)
        .build();
    let mut writer = ArrowWriter::try_new(File::create(path)?, first.schema(), Some(properties))?;
    writer.write(&first)?;
    for _ in 1..rows / BATCH {
        writer.write(&columns(&mut rng)?)?;
    }
    writer.close()?;
    Ok(())
}

fn ipc(path: &Path, rows: usize, columns: Columns) -> Result<(), Failure> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let first = columns(&mut rng)?;
    let mut writer = FileWriter::try_new(File::create(path)?, &first.schema())?;
    writer.write(&first)?;
    for _ in 1..rows / BATCH {
        writer.write(&columns(&mut rng)?)?;
    }
    writer.finish()?;
    Ok(())
}

/// Values with 8 random bits, so that codecs and dictionaries have something to find.
fn values(rng: &mut ChaCha8Rng, n: usize) -> Vec<f32> {
    (0..n)
        .map(|_| f32::from(rng.random::<u8>()) / 256.0)
        .collect()
}

fn columns_f32(rng: &mut ChaCha8Rng) -> Result<RecordBatch, Failure> {
    let column = |j: usize, values: Vec<f32>| {
        (
            format!("x{j}"),
            Arc::new(Float32Array::from(values)) as ArrayRef,
        )
    };
    let columns = (0..784).map(|j| column(j, values(rng, BATCH)));
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn columns_f64(rng: &mut ChaCha8Rng) -> Result<RecordBatch, Failure> {
    let mut column = || -> Vec<f64> { values(rng, BATCH).into_iter().map(f64::from).collect() };
    let columns = (0..100).map(|j| {
        let array = Arc::new(Float64Array::from(column())) as ArrayRef;
        (format!("x{j}"), array)
    });
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Float32, true))
}

fn fixed_list(rng: &mut ChaCha8Rng) -> Result<RecordBatch, Failure> {
    let items = Arc::new(Float32Array::from(values(rng, BATCH * 784)));
    let array = FixedSizeListArray::try_new(item(), 784, items, None)?;
    Ok(RecordBatch::try_from_iter([(
        "pixels",
        Arc::new(array) as ArrayRef,
    )])?)
}

fn list(rng: &mut ChaCha8Rng) -> Result<RecordBatch, Failure> {
    let items = Arc::new(Float32Array::from(values(rng, BATCH * 784)));
    let offsets: Vec<i32> = (0..=BATCH)
        .map(|i| i32::try_from(i * 784))
        .collect::<Result<_, _>>()?;
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    let array = ListArray::try_new(item(), offsets, items, None)?;
    Ok(RecordBatch::try_from_iter([(
        "pixels",
        Arc::new(array) as ArrayRef,
    )])?)
}

fn binary(rng: &mut ChaCha8Rng) -> Result<RecordBatch, Failure> {
    let bytes: Vec<u8> = values(rng, BATCH * 784)
        .into_iter()
        .flat_map(f32::to_le_bytes)
        .collect();
    let array = FixedSizeBinaryArray::try_new(784 * 4, bytes.into(), None)?;
    Ok(RecordBatch::try_from_iter([(
        "row",
        Arc::new(array) as ArrayRef,
    )])?)
}
