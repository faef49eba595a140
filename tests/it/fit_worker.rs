//! `ojad fit --worker` decodes in a worker process: the result is the same, and a file that kills its
//! decoder is named.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, AsArray as _, Float32Array, RecordBatch};
use arrow::datatypes::Float32Type;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::feeds::{ipc, parquet, rows, stream};
use crate::program::{ojad, refused, succeeded};
use crate::unkind::worker_of;

/// The same rows, every `each`-th with a NaN.
fn holed(batch: &RecordBatch, each: usize) -> RecordBatch {
    let mut columns = batch.columns().to_vec();
    let holes = columns[3].as_primitive::<Float32Type>().iter().enumerate();
    let holes = holes.map(|(i, value)| value.map(|v| if i % each == 0 { f32::NAN } else { v }));
    columns[3] = Arc::new(holes.collect::<Float32Array>()) as ArrayRef;
    RecordBatch::try_new(batch.schema(), columns).expect("a batch")
}

/// Files of every format, few and many rows, none of which ends with a minibatch.
fn feed(at: &Path) {
    for i in 0..40_u64 {
        let batch = holed(&rows(37 + 211 * (i as usize % 7), i), 13);
        match i % 3 {
            0 => parquet(&at.join(format!("{i:02}.parquet")), &batch),
            1 => ipc(&at.join(format!("{i:02}.arrow")), &batch),
            _ => fs::write(at.join(format!("{i:02}.arrows")), stream(&batch)).expect("a file"),
        }
    }
}

fn fit(isolation: &str, model: &Path) -> Command {
    let mut fit = ojad();
    fit.env("OJAD_SOURCE_ISOLATION", isolation)
        .args(["fit", "-k", "3", "--minibatch", "256", "--on-nan", "skip"])
        .arg("--output")
        .arg(model);
    fit
}

/// What a fit wrote: all components to the last bit, and all counts.
fn written(model: &Path) -> (Vec<u8>, serde_json::Value) {
    let latest = model.join("latest");
    let json = fs::read_to_string(latest.join("snapshot.json")).expect("a snapshot");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let counts = serde_json::json!([json["rows"], json["watermark"]]);
    let components = fs::read(latest.join("components.parquet")).expect("components");
    (components, counts)
}

#[test]
fn a_worker_changes_no_bit() {
    let place = tempfile::tempdir().expect("a directory");
    let inputs = place.path().join("feed");
    fs::create_dir(&inputs).expect("a directory");
    feed(&inputs);
    let streamed = stream(&holed(&rows(1_000, 99), 7));
    let result = |isolation: &str, threads: &str, waiting: &str| {
        let model = place
            .path()
            .join(format!("{isolation}-{threads}-{waiting}"));
        // Standard input between two files: its rows are decoded in the program itself.
        let mut child = fit(isolation, &model)
            .env("OJAD_RUN_CHANNEL_MINIBATCHES", waiting)
            .args(["--threads", threads])
            .arg(inputs.join("00.parquet"))
            .arg("-")
            .arg(&inputs)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(&streamed).expect("rows");
        drop(stdin);
        assert!(child.wait().expect("an end").success());
        written(&model)
    };
    let expected = result("none", "1", "1");
    assert!(expected.1.to_string().contains("\"done\":true"));
    for (isolation, threads, waiting) in [
        ("none", "2", "8"),
        ("process", "2", "1"),
        ("process", "2", "8"),
        ("process", "2", "1024"),
    ] {
        let found = result(isolation, threads, waiting);
        assert!(found == expected, "{isolation} {threads} {waiting}");
    }
}

#[test]
fn a_worker_that_is_killed_is_replaced() {
    let place = tempfile::tempdir().expect("a directory");
    let inputs = place.path().join("feed");
    fs::create_dir(&inputs).expect("a directory");
    for i in 0..6 {
        parquet(&inputs.join(format!("{i}.parquet")), &rows(60_000, i));
    }
    let calm = place.path().join("calm");
    succeeded(&output(fit("none", &calm).arg(&inputs)));
    let model = place.path().join("model");
    let mut child = fit("process", &model)
        .arg(&inputs)
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    let (began, mut killed) = (Instant::now(), false);
    while child.try_wait().expect("a child").is_none() {
        assert!(began.elapsed().as_secs() < 60, "it does not end");
        // Once: a second worker might die before its first row, and then the file is blamed.
        if let Some(pid) = worker_of(&child)
            && !killed
        {
            std::thread::sleep(std::time::Duration::from_millis(30));
            let sent = Command::new("kill").args(["-9", &pid.to_string()]).status();
            killed = sent.expect("kill").success();
        }
    }
    assert!(child.wait().expect("an end").success());
    assert!(killed, "no worker was killed");
    assert!(written(&model) == written(&calm));
}

/// Zeros in a single page, which takes 160 MB of whoever decodes it.
fn large_page(path: &Path) {
    let zeros: ArrayRef = Arc::new(Float32Array::from(vec![0.0; 40_000_000]));
    let batch = RecordBatch::try_from_iter([("x0", Arc::clone(&zeros)), ("x1", zeros)]);
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_data_page_size_limit(1 << 30)
        .set_write_batch_size(1 << 30)
        .set_max_row_group_row_count(None)
        .build();
    let batch = batch.expect("a batch");
    let file = fs::File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("Parquet");
    writer.write(&batch).expect("rows");
    writer.close().expect("a footer");
}

#[test]
fn a_file_that_kills_the_worker_is_named() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("large.parquet");
    large_page(&path);
    let fit = |flags: &[&str]| {
        let mut fit = ojad();
        fit.env("OJAD_SOURCE_WORKER_MEMORY_MIB", "256")
            .args(["fit", "-k", "1"])
            .args(flags)
            .arg(&path);
        output(&mut fit)
    };
    let says = ["large.parquet", "died", "source.worker_memory_mib"];
    refused(&fit(&["--worker"]), 1, &says);
    // Nothing is wrong with it.
    succeeded(&fit(&[]));
}

#[test]
fn where_no_worker_starts_that_is_said() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("a.parquet");
    parquet(&path, &rows(5_000, 1));
    // The memory that a worker shares counts as a file. The signal would end the program before it
    // can be told.
    let mut shell = Command::new("sh");
    let mut fit = |flags: &str| {
        let line = format!("trap '' XFSZ; ulimit -f 0; exec \"$OJAD\" fit -k 2 {flags} \"$0\"");
        let shell = shell.env("OJAD", env!("CARGO_BIN_EXE_ojad"));
        output(shell.args(["-c", &line]).arg(&path))
    };
    refused(
        &fit("--worker"),
        1,
        &["cannot start the worker", "leave `--worker` out"],
    );
}

fn output(command: &mut Command) -> Output {
    command.output().expect("the program starts")
}
