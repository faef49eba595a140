//! `ojad fit` and what follows it, on real images kept in the repo.

use std::fs;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{AsArray as _, Float32Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Float64Type, Schema};
use arrow::ipc::writer::StreamWriter;
use faer::MatRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::program::{FASHION, fashion_model, ojad, refused, run, stderr, succeeded};

fn read(path: &std::path::Path) -> RecordBatch {
    let file = File::open(path).expect("a file");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .expect("Parquet")
        .build();
    let batches: Vec<_> = reader.expect("Parquet").map(|b| b.expect("rows")).collect();
    concat_batches(&batches[0].schema(), &batches).expect("one schema")
}

fn numbers(table: &RecordBatch, name: &str) -> Vec<f64> {
    let column = table.column_by_name(name).expect("the column");
    column.as_primitive::<Float64Type>().values().to_vec()
}

fn vectors(table: &RecordBatch) -> Vec<f64> {
    let list = table
        .column_by_name("vector")
        .expect("vectors")
        .as_fixed_size_list();
    list.values()
        .as_primitive::<Float64Type>()
        .values()
        .to_vec()
}

#[test]
fn real_images_give_numpys_components() {
    let place = tempfile::tempdir().expect("a directory");
    let model = fashion_model(place.path(), &[]);
    let ours = read(&model.join("latest/components.parquet"));
    let reference =
        std::path::Path::new(FASHION).with_file_name("fashion-sample.reference.parquet");
    let numpy = read(&reference);
    let (u, v) = (vectors(&ours), vectors(&numpy));
    let as_mat = |v| MatRef::from_row_major_slice(v, 10, 784);
    let sin2 = ojad::linalg::mean_sin2(as_mat(&u), as_mat(&v));
    // IncrementalPCA(20) of scikit-learn 1.9.1 over the same minibatches of 240 rows: 2.0e-4.
    assert!(sin2 < 2.0e-4, "{sin2}");
    for (a, b) in numbers(&ours, "eigenvalue")
        .iter()
        .zip(numbers(&numpy, "eigenvalue"))
    {
        assert!((a / b - 1.0).abs() < 0.01, "{a} {b}");
    }
}

#[test]
fn threads_channels_and_split_files_give_the_same_bits() {
    let place = tempfile::tempdir().expect("a directory");
    let one = fashion_model(&place.path().join("a"), &["--threads", "1"]);
    let two = fashion_model(&place.path().join("b"), &["--threads", "2"]);
    let bits = |model: &std::path::Path| {
        fs::read(model.join("latest/components.parquet")).expect("components")
    };
    assert!(bits(&one) == bits(&two), "one thread or two");
    for waiting in [1, 3, 100] {
        let config = place.path().join("run.toml");
        let text = format!("[run]\nchannel_minibatches = {waiting}\n");
        fs::write(&config, text).expect("a file");
        let config = config.to_str().expect("UTF-8");
        let model = place.path().join(format!("w{waiting}"));
        let model = fashion_model(&model, &["--config", config]);
        assert!(bits(&one) == bits(&model), "{waiting} minibatches may wait");
    }
    // The same rows in two files, split where no row group ends.
    let table = read(std::path::Path::new(FASHION));
    let parts = place.path().join("parts");
    fs::create_dir(&parts).expect("a directory");
    for (name, from, rows) in [("a.parquet", 0, 1_234), ("b.parquet", 1_234, 1_766)] {
        let file = File::create(parts.join(name)).expect("a file");
        let mut writer = ArrowWriter::try_new(file, table.schema(), None).expect("a writer");
        writer.write(&table.slice(from, rows)).expect("rows");
        writer.close().expect("a footer");
    }
    let model = place.path().join("c");
    let output = ojad()
        .arg("fit")
        .arg(&parts)
        .args(["--id", "id", "--id", "label", "-k", "10", "--output"])
        .arg(&model)
        .output()
        .expect("the program starts");
    succeeded(&output);
    assert!(bits(&one) == bits(&model), "one file or two");
}

#[test]
fn transform_scores_as_the_formula_says_and_passes_ids_through() {
    let place = tempfile::tempdir().expect("a directory");
    let model = fashion_model(place.path(), &[]);
    let scores = place.path().join("scores.parquet");
    let output = ojad()
        .args([
            "transform",
            FASHION,
            "--id",
            "id",
            "--id",
            "label",
            "--model",
        ])
        .arg(&model)
        .arg("--output")
        .arg(&scores)
        .output()
        .expect("the program starts");
    succeeded(&output);
    let (scores, data) = (read(&scores), read(std::path::Path::new(FASHION)));
    assert_eq!(scores.num_rows(), 3_000);
    assert_eq!(scores.column_by_name("id"), data.column_by_name("id"));
    let features = read(&model.join("latest/features.parquet"));
    let (mean, pc2) = (numbers(&features, "mean"), numbers(&features, "pc2"));
    let pixels = data
        .column_by_name("pixels")
        .expect("pixels")
        .as_fixed_size_list();
    let bytes = pixels
        .values()
        .as_primitive::<arrow::datatypes::UInt8Type>()
        .values();
    for row in [0, 1_500, 2_999] {
        let expected: f64 = (0..784)
            .map(|j| (f64::from(bytes[row * 784 + j]) - mean[j]) * pc2[j])
            .sum();
        let ours = numbers(&scores, "pc2")[row];
        assert!((ours - expected).abs() < 1e-8, "{ours} {expected}");
    }
    let wrong = ojad()
        .args([
            "transform",
            FASHION,
            "--id",
            "id",
            "--output",
            "x.parquet",
            "--model",
        ])
        .arg(&model)
        .output()
        .expect("the program starts");
    refused(&wrong, 1, &["`label`", "--exclude"]);
}

#[test]
fn show_and_merge_read_what_fit_wrote() {
    let place = tempfile::tempdir().expect("a directory");
    let model = fashion_model(place.path(), &[]);
    let path = model.to_str().expect("UTF-8");
    let shown = run(&["show", path, "--json", "--vectors"]);
    succeeded(&shown);
    let json: serde_json::Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!(json["rows"], 3_000);
    assert_eq!(json["components"].as_array().expect("components").len(), 10);
    assert_eq!(
        json["components"][9]["vector"]
            .as_array()
            .expect("a vector")
            .len(),
        784
    );
    let both = place.path().join("both");
    let merged = run(&[
        "merge",
        path,
        path,
        "--output",
        both.to_str().expect("UTF-8"),
    ]);
    succeeded(&merged);
    let both = read(&both.join("latest/components.parquet"));
    let one = read(&model.join("latest/components.parquet"));
    for (a, b) in numbers(&both, "eigenvalue")
        .iter()
        .zip(numbers(&one, "eigenvalue"))
    {
        assert!(
            (a / b - 1.0).abs() < 1e-9,
            "a data set twice has the same covariance: {a} {b}"
        );
    }
}

#[test]
fn ctrl_c_on_a_silent_stream_ends_with_what_was_read() {
    let place = tempfile::tempdir().expect("a directory");
    let model = place.path().join("model");
    let mut child = ojad()
        .args(["fit", "-", "-k", "2", "--minibatch", "100", "--output"])
        .arg(&model)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    let schema = Arc::new(Schema::new(
        ["a", "b", "c"]
            .map(|name| Field::new(name, DataType::Float32, false))
            .to_vec(),
    ));
    let column = |seed: usize| {
        let value = |i: usize| ((i * 7 + seed * 13) % 101) as f32;
        Arc::new((0..1_000).map(value).map(Some).collect::<Float32Array>()) as _
    };
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column(1), column(2), column(3)]);
    let stdin = child.stdin.take().expect("a pipe");
    let mut writer = StreamWriter::try_new(stdin, &schema).expect("a stream");
    writer.write(&batch.expect("a batch")).expect("rows");
    writer.flush().expect("rows");
    // The first line comes when the stream is open; the rows are read right after it.
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let first = lines.next().expect("a line").expect("text");
    assert!(first.contains("3 features"), "{first}");
    std::thread::sleep(Duration::from_millis(300));
    let pid = child.id().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status();
    assert!(killed.expect("kill").success());
    let until = Instant::now() + Duration::from_secs(20);
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        assert!(Instant::now() < until, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    };
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert!(status.success(), "{rest:?}");
    assert!(
        rest.iter().any(|line| line.contains("interrupted")),
        "{rest:?}"
    );
    let json = fs::read_to_string(model.join("latest/snapshot.json")).expect("a snapshot");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["learner"]["interrupted"], true);
    drop(writer);
}

#[test]
fn synth_feeds_fit_and_the_truth_is_found() {
    let place = tempfile::tempdir().expect("a directory");
    let data = place.path().join("data");
    let text = data.to_str().expect("UTF-8");
    let args = [
        "synth",
        "--rows",
        "20000",
        "--features",
        "60",
        "-k",
        "3",
        "--rows-per-file",
        "7000",
    ];
    for layout in ["list", "columns", "binary"] {
        succeeded(&run(
            &[&args[..], &["--layout", layout, "--output", text]].concat()
        ));
        let model = place.path().join(layout);
        let fit = [
            "fit",
            text,
            "-k",
            "3",
            "--dtype",
            "f32",
            "--output",
            model.to_str().expect("UTF-8"),
        ];
        succeeded(&run(&fit));
        let ours = read(&model.join("latest/components.parquet"));
        let truth = read(&data.join("_truth.parquet"));
        let (u, v) = (vectors(&ours), vectors(&truth));
        let as_mat = |v| MatRef::from_row_major_slice(v, 3, 60);
        let sin2 = ojad::linalg::mean_sin2(as_mat(&u), as_mat(&v));
        // Σ(l+1)/l²·(m−k)/(nk) of the planted 20, 12, 4 is 7e-4.
        assert!(sin2 < 2e-3, "{layout}: {sin2}");
        fs::remove_dir_all(&data).expect("removed");
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let mut child = ojad()
        .args([
            "synth",
            "--rows",
            "1000000",
            "--features",
            "50",
            "--output",
            "-",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", stderr(&output));
    std::io::stdout().flush().expect("stdout");
}

#[test]
fn completions_and_help_have_what_they_promise() {
    let script = run(&["completions", "bash"]);
    succeeded(&script);
    assert!(String::from_utf8_lossy(&script.stdout).contains("transform"));
    for command in [
        "fit",
        "show",
        "transform",
        "merge",
        "check",
        "synth",
        "completions",
    ] {
        let help = run(&[command, "--help"]);
        succeeded(&help);
        assert!(
            String::from_utf8_lossy(&help.stdout).contains("Examples:"),
            "{command}"
        );
    }
}

#[test]
fn a_small_stack_is_no_reason_to_end() {
    let dir = tempfile::tempdir().expect("a directory");
    for stack_kib in [64, 32] {
        let model = dir.path().join(stack_kib.to_string());
        let mut limited = std::process::Command::new("sh");
        limited.args(["-c", &format!("ulimit -s {stack_kib}; exec \"$@\""), "sh"]);
        limited.arg(ojad().get_program());
        limited.args([
            "fit", FASHION, "--id", "id", "--id", "label", "-k", "10", "--output",
        ]);
        succeeded(&limited.arg(&model).output().expect("a shell"));
    }
}
