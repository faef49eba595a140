//! Whatever bytes a file holds, reading it ends, in an error or in rows.
//!
//! Files of every format are cut and changed at random by the thousand and read in a process of
//! its own, with a bound on its memory and on its time: an abort, a signal or a hang fails the
//! test, and the last line that the process wrote names the change.

// The counts belong into the log of the run.
#![allow(clippy::print_stdout)]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use arrow::array::*;
use arrow::datatypes::{Float16Type, Float32Type, Int8Type};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use half::f16;
use ojad::source::{BadValue, SourceError, SourceParams, open};
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, Encoding, GzipLevel, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

/// What the child is asked to do: the format, and whether to cut.
const TASK: &str = "OJAD_TEST_MUTATIONS";
/// Changes of each sample.
const CHANGES: usize = 1_000;
/// No sample holds more than 3 KB of values; what a change can make of it stays far below.
const MEMORY_KB: u32 = 4 << 20;
/// Some minutes at most on a busy machine; a hang is longer.
const DEADLINE: Duration = Duration::from_mins(5);

fn rows() -> RecordBatch {
    let n = 48;
    let list = (0..n).map(|i| (i % 7 != 3).then(|| vec![Some(i as f32), None, Some(0.5)]));
    let halves = (0..n).map(|i| Some(vec![Some(f16::from_f32(i as f32)); 2]));
    let word = |i: usize| ["one", "two", "three"][i % 3];
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "f",
            Arc::new(
                (0..n)
                    .map(|i| (i % 5 != 2).then_some(i as f32))
                    .collect::<Float32Array>(),
            ),
        ),
        (
            "d",
            Arc::new(
                (0..n)
                    .map(|i| Some(i as f64 / 3.0))
                    .collect::<Float64Array>(),
            ),
        ),
        ("i", Arc::new(Int32Array::from_iter_values(0..48))),
        (
            "b",
            Arc::new((0..n).map(|i| Some(i % 3 == 0)).collect::<BooleanArray>()),
        ),
        (
            "l",
            Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(list)),
        ),
        (
            "h",
            Arc::new(ListArray::from_iter_primitive::<Float16Type, _, _>(halves)),
        ),
        (
            "w",
            Arc::new((0..n).map(word).collect::<DictionaryArray<Int8Type>>()),
        ),
        (
            "id",
            Arc::new(StringArray::from_iter_values((0..n).map(word))),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
        .expect("columns")
}

fn parquet_samples() -> Vec<Vec<u8>> {
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::BROTLI(BrotliLevel::default()),
    ];
    let mut samples = Vec::new();
    for (i, codec) in codecs.into_iter().enumerate() {
        let is_new = i % 2 == 1;
        let mut properties = WriterProperties::builder()
            .set_compression(codec)
            .set_dictionary_enabled(i % 3 != 0)
            .set_max_row_group_row_count(Some(30))
            .set_data_page_row_count_limit(20)
            .set_write_batch_size(20);
        if is_new {
            properties = properties.set_writer_version(WriterVersion::PARQUET_2_0);
        }
        if i % 3 == 0 {
            let coding = |name: &str| parquet::schema::types::ColumnPath::from(name);
            properties = properties
                .set_column_encoding(coding("i"), Encoding::DELTA_BINARY_PACKED)
                .set_column_encoding(coding("d"), Encoding::BYTE_STREAM_SPLIT)
                .set_column_encoding(coding("id"), Encoding::DELTA_BYTE_ARRAY)
                .set_column_encoding(coding("w"), Encoding::DELTA_LENGTH_BYTE_ARRAY);
        }
        let (rows, mut bytes) = (rows(), Vec::new());
        let properties = Some(properties.build());
        let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), properties).expect("it");
        writer.write(&rows).expect("rows");
        writer.close().expect("a footer");
        samples.push(bytes);
    }
    samples
}

fn ipc_samples(as_stream: bool) -> Vec<Vec<u8>> {
    let rows = rows();
    let codecs = [
        None,
        Some(CompressionType::LZ4_FRAME),
        Some(CompressionType::ZSTD),
    ];
    let write = |codec| {
        let options = IpcWriteOptions::default();
        let options = options.try_with_compression(codec).expect("a codec");
        let (schema, mut bytes) = (rows.schema(), Vec::new());
        if as_stream {
            let writer = StreamWriter::try_new_with_options(&mut bytes, &schema, options);
            let mut writer = writer.expect("a writer");
            writer.write(&rows.slice(0, 30)).expect("rows");
            writer.write(&rows.slice(30, 18)).expect("rows");
            writer.finish().expect("an end");
        } else {
            let writer = FileWriter::try_new_with_options(&mut bytes, &schema, options);
            let mut writer = writer.expect("a writer");
            writer.write(&rows.slice(0, 30)).expect("rows");
            writer.write(&rows.slice(30, 18)).expect("rows");
            writer.finish().expect("a footer");
        }
        bytes
    };
    codecs.into_iter().map(write).collect()
}

fn samples(format: &str) -> Vec<Vec<u8>> {
    match format {
        "parquet" => parquet_samples(),
        "file" => ipc_samples(false),
        _ => ipc_samples(true),
    }
}

/// Changes some bytes as transmission, other programs and fuzzers do.
fn change(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    for _ in 0..random.random_range(1..4) {
        let len = bytes.len();
        // Every other change is in the last quarter, where footers are.
        let low = if random.random() { 0 } else { len * 3 / 4 };
        let at = random.random_range(low..len);
        match random.random_range(0..6) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes[at] = random.random(),
            2 => bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][random.random_range(0..5)],
            3 => {
                let numbers = [0, 1, -1, i64::MAX, i64::MIN, 1 << 31, 1 << 40, 0x7FFF_FFFF];
                let number = numbers[random.random_range(0..8)].to_le_bytes();
                let size = random.random_range(1..9).min(len - at);
                bytes[at..at + size].copy_from_slice(&number[..size]);
            }
            4 => {
                let from = random.random_range(0..len);
                let size = random.random_range(1..65).min(len - at.max(from));
                bytes.copy_within(from..from + size, at);
            }
            _ => {
                let end = (at + random.random_range(1..9)).min(len);
                if random.random() && len > 64 {
                    bytes.drain(at..end);
                } else {
                    bytes.splice(at..at, vec![random.random(); end - at]);
                }
            }
        }
    }
}

/// How often reading ended in what.
#[derive(Default)]
struct Ends {
    rows: usize,
    errors: usize,
    panics: usize,
}

impl Ends {
    /// Reads the file; returns what was said, if it was refused.
    fn read(&mut self, path: &Path, with_ids: bool) -> Option<String> {
        let params = SourceParams {
            ids: if with_ids {
                vec!["id".to_owned(), "w".to_owned()]
            } else {
                Vec::new()
            },
            on_null: BadValue::Mean,
            on_nan: BadValue::Mean,
            on_inf: BadValue::Skip,
            ..SourceParams::default()
        };
        let read = || -> Result<(), SourceError> {
            let mut reader = open(&[path.into()], &params)?;
            let mut batch = reader.new_minibatch(16);
            loop {
                let is_more = if with_ids {
                    reader.fill_with_ids(&mut batch)?.is_some()
                } else {
                    reader.fill(&mut batch)? > 0
                };
                if !is_more {
                    return Ok(());
                }
            }
        };
        let said = read().err().map(|error| error.to_string());
        match &said {
            None => self.rows += 1,
            Some(text) if text.contains("the decoder gave up") => self.panics += 1,
            Some(_) => self.errors += 1,
        }
        said
    }
}

#[test]
#[ignore = "a part of the tests below, which run it in a process of its own"]
fn child() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let (what, format) = task.split_once(' ').expect("two words");
    ojad::source::quiet_decoder_panics();
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("a");
    let mut log = std::io::stdout();
    let mut ends = Ends::default();
    for (n, whole) in samples(format).into_iter().enumerate() {
        std::fs::write(&path, &whole).expect("a file");
        let said = ends.read(&path, true);
        assert_eq!(said, None, "sample {n} of {format} as it is");
    }
    ends = Ends::default();
    for (n, whole) in samples(format).into_iter().enumerate() {
        let count = if what == "cut" {
            whole.len() / 64
        } else {
            CHANGES
        };
        for i in 0..count {
            let mut bytes = whole.clone();
            if what == "cut" {
                bytes.truncate(64 * i);
            } else {
                let mut random = ChaCha8Rng::seed_from_u64((n * CHANGES + i) as u64);
                change(&mut bytes, &mut random);
            }
            writeln!(log, "{what} {format} {n} {i}").expect("a pipe");
            std::fs::write(&path, &bytes).expect("a file");
            let said = ends.read(&path, i % 2 == 0);
            writeln!(log, "{}", said.unwrap_or_default()).expect("a pipe");
        }
    }
    let Ends {
        rows,
        errors,
        panics,
    } = ends;
    let all = rows + errors + panics;
    writeln!(
        log,
        "{what} {format}: {all} files, {rows} read, {errors} refused, {panics} caught"
    )
    .expect("a pipe");
    writeln!(log, "done").expect("a pipe");
}

/// Runs [`child`] and returns its last lines.
fn run(task: &'static str) -> String {
    let (done, output) = mpsc::channel::<Output>();
    let this = std::env::current_exe().expect("a program");
    thread::spawn(move || {
        let mut command = Command::new(&this);
        if cfg!(target_os = "linux") {
            command = Command::new("sh");
            command.args(["-c", "ulimit -v $1; shift; exec \"$@\"", "sh"]);
            command.arg(MEMORY_KB.to_string()).arg(&this);
        }
        command.args(["--exact", "mutations::child", "--ignored", "--nocapture"]);
        let output = command.env(TASK, task).output().expect("it starts");
        // Nobody listens after the deadline.
        let _ = done.send(output);
    });
    let output = output
        .recv_timeout(DEADLINE)
        .expect("it ends before the deadline");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = lines.lines().filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(4)..].join("\n");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}: {last}\n{errors}",
        output.status
    );
    assert!(lines.contains(&"done"), "{last}");
    let counts = lines
        .iter()
        .find(|line| line.starts_with(&format!("{task}:")));
    (*counts.expect("counts")).to_owned()
}

#[test]
fn changed_files_end_in_an_error_or_in_rows() {
    for task in ["change parquet", "change file", "change stream"] {
        println!("{}", run(task));
    }
}

#[test]
fn files_cut_anywhere_end_in_an_error_or_in_rows() {
    for task in ["cut parquet", "cut file", "cut stream"] {
        println!("{}", run(task));
    }
}
