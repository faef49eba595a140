//! Bad input ends with one message and the right exit code, never with a panic or half a snapshot.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, RecordBatch, StringArray};
use arrow::ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

use crate::program::{FASHION, fashion_model, ojad, refused, run, stderr};

fn column(rows: usize) -> ArrayRef {
    Arc::new((0..rows).map(|i| Some(i as f32)).collect::<Float32Array>())
}

fn parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).expect("columns");
    let file = File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("a footer");
}

fn ipc(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).expect("columns");
    let file = File::create(path).expect("a file");
    let mut writer = FileWriter::try_new(file, &batch.schema()).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.finish().expect("a footer");
}

fn fit(input: &Path) -> std::process::Output {
    ojad()
        .arg("fit")
        .arg(input)
        .args(["-k", "1"])
        .output()
        .expect("the program starts")
}

fn file(place: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = place.join(name);
    fs::write(&path, bytes).expect("a file");
    path
}

#[test]
fn files_that_are_no_data_are_named() {
    let place = tempfile::tempdir().expect("a directory");
    refused(
        &fit(&file(place.path(), "empty.parquet", b"")),
        1,
        &["empty.parquet", "empty"],
    );
    refused(
        &fit(&file(place.path(), "a.txt", b"a,b\n1,2\n")),
        1,
        &["a.txt", "convert"],
    );
    refused(
        &fit(&place.path().join("none.parquet")),
        1,
        &["none.parquet", "no such"],
    );
    let directory = tempfile::tempdir().expect("a directory");
    refused(
        &fit(directory.path()),
        1,
        &[directory.path().to_str().expect("UTF-8")],
    );
}

#[test]
fn truncated_files_are_named() {
    let place = tempfile::tempdir().expect("a directory");
    let (a, b) = (place.path().join("a.parquet"), place.path().join("b.arrow"));
    parquet(&a, vec![("x", column(1_000)), ("y", column(1_000))]);
    ipc(&b, vec![("x", column(1_000)), ("y", column(1_000))]);
    for path in [a, b] {
        let whole = fs::read(&path).expect("bytes");
        for share in 1..8 {
            fs::write(&path, &whole[..whole.len() * share / 8]).expect("a file");
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            refused(&fit(&path), 1, &[&name]);
        }
    }
}

#[test]
fn a_third_file_of_another_schema_is_named_with_its_column() {
    let place = tempfile::tempdir().expect("a directory");
    let part = |name: &str| place.path().join(name);
    parquet(&part("1.parquet"), vec![("x", column(9)), ("y", column(9))]);
    parquet(&part("2.parquet"), vec![("y", column(9)), ("x", column(9))]);
    parquet(&part("3.parquet"), vec![("x", column(9))]);
    refused(&fit(place.path()), 1, &["3.parquet", "`y`"]);
    parquet(
        &part("3.parquet"),
        vec![("x", column(9)), ("y", column(9)), ("z", column(9))],
    );
    refused(&fit(place.path()), 1, &["3.parquet", "`z`"]);
}

#[test]
fn columns_without_numbers_and_too_many_components_are_refused() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("t.parquet");
    let text: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    parquet(&path, vec![("t", text)]);
    refused(&fit(&path), 1, &["t.parquet"]);
    let many = run(&["fit", FASHION, "-k", "900", "--id", "id", "--id", "label"]);
    refused(&many, 2, &["900", "784"]);
}

#[test]
fn a_bad_value_is_named_and_the_policies_count() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("v.parquet");
    let values = [
        Some(1.0),
        None,
        Some(f32::NAN),
        Some(f32::INFINITY),
        Some(2.0),
        Some(4.0),
    ];
    parquet(
        &path,
        vec![
            ("x", Arc::new(Float32Array::from(values.to_vec()))),
            ("y", column(6)),
        ],
    );
    refused(&fit(&path), 1, &["v.parquet", "row", "`x`", "null"]);
    for (policy, accepted) in [("skip", 3), ("mean", 6)] {
        let flags = [
            "--on-null",
            policy,
            "--on-nan",
            policy,
            "--on-inf",
            policy,
            "--json",
            "-k",
            "1",
        ];
        let output = ojad()
            .arg("fit")
            .arg(&path)
            .args(flags)
            .output()
            .expect("it starts");
        assert!(output.status.success(), "{}", stderr(&output));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(json["rows"], accepted);
        assert_eq!(json["rows_rejected"], 6 - accepted);
    }
}

#[test]
fn an_output_that_cannot_be_written_is_said_before_reading() {
    let place = tempfile::tempdir().expect("a directory");
    let blocked = file(place.path(), "file", b"x");
    let output = ojad()
        .args(["fit", FASHION, "--output"])
        .arg(&blocked)
        .output();
    refused(&output.expect("it starts"), 1, &["file", "--output"]);
    assert_eq!(fs::read(&blocked).expect("untouched"), b"x");
}

#[test]
#[cfg(target_os = "linux")]
fn a_name_that_is_not_utf8_is_read() {
    use std::os::unix::ffi::OsStrExt as _;
    let place = tempfile::tempdir().expect("a directory");
    let path = place
        .path()
        .join(std::ffi::OsStr::from_bytes(b"caf\xe9.parquet"));
    parquet(&path, vec![("x", column(20)), ("y", column(20))]);
    assert!(fit(&path).status.success());
}

#[test]
fn mutated_files_end_in_an_error_or_a_result() {
    let place = tempfile::tempdir().expect("a directory");
    let (a, b) = (place.path().join("a.parquet"), place.path().join("b.arrow"));
    parquet(&a, vec![("x", column(200)), ("y", column(200))]);
    ipc(&b, vec![("x", column(200)), ("y", column(200))]);
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for path in [a, b] {
        let whole = fs::read(&path).expect("bytes");
        for _ in 0..150 {
            let mut bytes = whole.clone();
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(0..bytes.len());
                bytes[at] = random.random();
            }
            fs::write(&path, &bytes).expect("a file");
            let output = fit(&path);
            let code = output.status.code();
            assert!(matches!(code, Some(0..=2)), "{code:?}: {}", stderr(&output));
            assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
        }
    }
}

/// A write beyond `blocks` of 512 bytes fails as on a full disk, and with one message.
#[cfg(target_os = "linux")]
fn on_a_full_disk(blocks: u32, args: &[&std::ffi::OsStr]) -> std::process::Output {
    std::process::Command::new("sh")
        .arg("-c")
        .arg(format!(
            "trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\""
        ))
        .arg(env!("CARGO_BIN_EXE_ojad"))
        .args(args)
        .output()
        .expect("a shell")
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_nothing_partial() {
    let place = tempfile::tempdir().expect("a directory");
    let model = fashion_model(place.path(), &[]);
    let entries = |place: &Path| fs::read_dir(place).expect("entries").count();
    let out = place.path().join("out");
    fs::create_dir(&out).expect("a directory");
    let words = ["fit", FASHION, "--id", "id", "--id", "label", "--output"];
    let mut args: Vec<&std::ffi::OsStr> = words.iter().map(std::ffi::OsStr::new).collect();
    args.push(out.as_os_str());
    let output = on_a_full_disk(4, &args);
    refused(&output, 1, &["components.parquet", "free up disk space"]);
    // A pass of hours is not in vain: what it found is shown.
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("3000 rows × 784 features"), "{shown}");
    let scores = out.join("scores.parquet");
    let mut args: Vec<&std::ffi::OsStr> = vec!["transform".as_ref(), "--model".as_ref()];
    args.push(model.as_os_str());
    args.extend(words[1..].iter().map(std::ffi::OsStr::new));
    args.push(scores.as_os_str());
    refused(&on_a_full_disk(4, &args), 1, &["scores.parquet"]);
    let picture = out.join("scree.png");
    let args = [
        "show".as_ref(),
        model.as_os_str(),
        "--plot".as_ref(),
        picture.as_os_str(),
    ];
    refused(&on_a_full_disk(4, &args), 1, &["scree.png"]);
    assert_eq!(entries(&out), 0, "nothing partial, nothing temporary");
}
