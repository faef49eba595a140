//! Files of every layout that the benches read, and the bare readers to hold against ojad.
//!
//! Rows have ten planted directions (Walsh functions of the feature, so all but orthogonal) above
//! uniform noise, each with four fifths of the spread of the one before; values have 8 bits behind the point, so that codecs and dictionaries find something.

use std::fs::File;
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
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::WriterProperties;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng};

pub type Failure = Box<dyn std::error::Error>;

/// Rows of a batch written, and of a batch of the bare reader.
pub const BATCH: usize = 1024;

type Make = fn(&Path, usize) -> Result<(), Failure>;

/// A layout.
pub struct Case {
    pub name: &'static str,
    /// m.
    #[allow(dead_code, reason = "one bench of the two needs it")]
    pub features: usize,
    pub make: Make,
}

const PLAIN: Compression = Compression::UNCOMPRESSED;

pub const CASES: &[Case] = &[
    Case {
        name: "784 f32 plain",
        features: 784,
        make: |p, n| parquet(p, n, PLAIN, false, columns_f32),
    },
    Case {
        name: "784 f32 snappy",
        features: 784,
        make: |p, n| parquet(p, n, Compression::SNAPPY, false, columns_f32),
    },
    Case {
        name: "784 f32 dictionary",
        features: 784,
        make: |p, n| parquet(p, n, Compression::SNAPPY, true, columns_f32),
    },
    Case {
        name: "fixed-size list 784",
        features: 784,
        make: |p, n| parquet(p, n, PLAIN, false, fixed_list),
    },
    Case {
        name: "list 784",
        features: 784,
        make: |p, n| parquet(p, n, PLAIN, false, list),
    },
    Case {
        name: "100 f64 plain",
        features: 100,
        make: |p, n| parquet(p, n, PLAIN, false, columns_f64),
    },
    Case {
        name: "binary 784 f32",
        features: 784,
        make: |p, n| parquet(p, n, PLAIN, false, binary),
    },
    Case {
        name: "ipc 784 f32",
        features: 784,
        make: |p, n| ipc(p, n, columns_f32),
    },
    Case {
        name: "ipc fixed-size list 784",
        features: 784,
        make: |p, n| ipc(p, n, fixed_list),
    },
];

/// Seconds of a run.
pub fn timed<T>(run: impl FnOnce() -> Result<T, Failure>) -> Result<f64, Failure> {
    let start = Instant::now();
    run()?;
    Ok(start.elapsed().as_secs_f64())
}

/// The middle one.
pub fn median(seconds: &mut [f64]) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// Reads every batch by the crates' own readers, on one thread, and drops it.
pub fn read_bare(path: &Path) -> Result<usize, Failure> {
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
        .set_max_row_group_row_count(Some(64 * BATCH))
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

/// Planted directions.
const FACTORS: usize = 10;

/// BATCH×m, row-major.
fn values(rng: &mut ChaCha8Rng, m: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(BATCH * m);
    for _ in 0..BATCH {
        let z: [f32; FACTORS] = std::array::from_fn(|f| {
            let spread = 0.8_f32.powf(f as f32);
            spread * (f32::from(rng.random::<u8>()) - 127.5)
        });
        for j in 0..m {
            let signs = z.iter().enumerate();
            let signal: f32 = signs
                .map(|(f, z)| if j >> f & 1 == 0 { *z } else { -z })
                .sum();
            let value = signal.round() + f32::from(rng.random::<u8>());
            out.push(value / 256.0);
        }
    }
    out
}

/// Column `j` of BATCH×m values.
fn column(values: &[f32], m: usize, j: usize) -> impl Iterator<Item = f32> {
    values.iter().skip(j).step_by(m).copied()
}

fn columns_f32(rng: &mut ChaCha8Rng) -> Result<RecordBatch, Failure> {
    let values = values(rng, 784);
    let columns = (0..784).map(|j| {
        let array = Float32Array::from_iter_values(column(&values, 784, j));
        (format!("x{j}"), Arc::new(array) as ArrayRef)
    });
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn columns_f64(rng: &mut ChaCha8Rng) -> Result<RecordBatch, Failure> {
    let values = values(rng, 100);
    let columns = (0..100).map(|j| {
        let array = Float64Array::from_iter_values(column(&values, 100, j).map(f64::from));
        (format!("x{j}"), Arc::new(array) as ArrayRef)
    });
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Float32, true))
}

fn one(name: &str, array: ArrayRef) -> Result<RecordBatch, Failure> {
    Ok(RecordBatch::try_from_iter([(name, array)])?)
}

fn fixed_list(rng: &mut ChaCha8Rng) -> Result<RecordBatch, Failure> {
    let items = Arc::new(Float32Array::from(values(rng, 784)));
    let array = FixedSizeListArray::try_new(item(), 784, items, None)?;
    one("pixels", Arc::new(array))
}

fn list(rng: &mut ChaCha8Rng) -> Result<RecordBatch, Failure> {
    let items = Arc::new(Float32Array::from(values(rng, 784)));
    let offsets: Vec<i32> = (0..=BATCH)
        .map(|i| i32::try_from(i * 784))
        .collect::<Result<_, _>>()?;
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    one(
        "pixels",
        Arc::new(ListArray::try_new(item(), offsets, items, None)?),
    )
}

fn binary(rng: &mut ChaCha8Rng) -> Result<RecordBatch, Failure> {
    let bytes: Vec<u8> = values(rng, 784)
        .into_iter()
        .flat_map(f32::to_le_bytes)
        .collect();
    let array = FixedSizeBinaryArray::try_new(784 * 4, bytes.into(), None)?;
    one("row", Arc::new(array))
}
