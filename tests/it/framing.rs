//! One reader of Arrow IPC streams: the same bytes get the same answer from a file, standard input, a
//! pushed body, a body to be scored, a growing file and a connection.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{
    ArrayRef, DictionaryArray, Float32Array, Int32Array, IntervalYearMonthArray, RecordBatch,
};
use arrow::ipc::MetadataVersion;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use ojad::source::{Numbers, Pushed};

use crate::feeds::{Place, rows, stream};
use crate::program::{ojad, refused, stderr, succeeded};
use crate::pusher::{Daemon, PATIENCE, configure, pushing};

/// The schema of `generated_null_trivial.stream` of Arrow's own tests, "1.0.0-bigendian": one column
/// `f0` of type null, written on a big-endian machine. From github.com/apache/arrow-testing,
/// Apache License 2.0.
const BIG_ENDIAN: &str = "ffffffff800000001000000000000a000e000600050008000a000000000104001000000000000a00\
     1000060008000c000a000000000001000c000000040000000000000001000000140000001000140008000600\
     07000c0000001000100000000000010118000000100000000400000000000000040004000400000002000000\
     6630000000000000";

fn big_endian() -> Vec<u8> {
    let digits: Vec<u32> = BIG_ENDIAN.chars().filter_map(|c| c.to_digit(16)).collect();
    let mut bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect();
    assert_eq!(bytes.len(), 8 + 0x80);
    bytes.extend(b"\xFF\xFF\xFF\xFF\0\0\0\0");
    bytes
}

/// As Arrow wrote before 0.15: no mark before the length of a header.
fn old_options() -> IpcWriteOptions {
    IpcWriteOptions::try_new(8, true, MetadataVersion::V4).expect("options")
}

fn old_stream(batch: &RecordBatch) -> Vec<u8> {
    let schema = batch.schema();
    let writer = StreamWriter::try_new_with_options(Vec::new(), &schema, old_options());
    let mut writer = writer.expect("a writer");
    writer.write(batch).expect("rows");
    writer.finish().expect("an end");
    writer.into_inner().expect("bytes")
}

fn old_file(batch: &RecordBatch) -> Vec<u8> {
    let schema = batch.schema();
    let writer = FileWriter::try_new_with_options(Vec::new(), &schema, old_options());
    let mut writer = writer.expect("a writer");
    writer.write(batch).expect("rows");
    writer.finish().expect("an end");
    writer.into_inner().expect("bytes")
}

fn fit(path: &Path) -> Output {
    let mut command = ojad();
    command.args(["fit", "-k", "2", "--json"]).arg(path);
    command.output().expect("the program starts")
}

fn fit_stdin(bytes: &[u8]) -> Output {
    let mut command = ojad();
    command.args(["fit", "-k", "2", "--json", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("a child");
    let mut to = child.stdin.take().expect("a pipe");
    // What is refused early is not read to its end.
    let _ = to.write_all(bytes);
    drop(to);
    child.wait_with_output().expect("an end")
}

fn learned(output: &Output) -> u64 {
    succeeded(output);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    json["rows"].as_u64().expect("rows")
}

/// The rows of a body to be scored, which comes in pieces, or what is wrong with it.
fn scored(bytes: &[u8], piece: usize) -> Result<u64, String> {
    let mut pushed = Pushed::new(1 << 26, 1 << 20);
    let mut rows = 0;
    for piece in bytes.chunks(piece) {
        pushed.push(piece);
        while let Some(batch) = pushed.next_batch().map_err(|error| error.to_string())? {
            rows += batch.num_rows() as u64;
        }
    }
    pushed.end().map_err(|error| error.to_string())?;
    Ok(rows)
}

/// All ways in take `bytes` for this many rows.
fn all_read(what: &str, bytes: &[u8], expected: u64) {
    let place = pushing("");
    let path = place.path("input");
    std::fs::write(&path, bytes).expect("a file");
    assert_eq!(learned(&fit(&path)), expected, "{what}: a file");
    assert_eq!(learned(&fit_stdin(bytes)), expected, "{what}: stdin");
    for piece in [7, 4096, bytes.len()] {
        assert_eq!(scored(bytes, piece), Ok(expected), "{what}: /transform");
    }
    let daemon = Daemon::start(&place);
    let answer = daemon.push("", "key", bytes);
    assert_eq!(answer.status, 202, "{what}: /rows: {answer:?}");
    assert_eq!(answer.body["rows"], expected, "{what}: /rows");
    daemon.end();
    assert_eq!(place.learned().rows_read, expected, "{what}: the spool");
    let feed = Place::new("");
    std::fs::write(feed.feed().join("a.arrows"), bytes).expect("a file");
    assert_eq!(feed.learned().rows_read, expected, "{what}: the daemon");
}

/// No way in takes `bytes`, and each says all of `parts`.
fn all_refuse(daemon: &Daemon, place: &Place, what: &str, bytes: &[u8], parts: &[&str]) {
    let path = place.path("input");
    std::fs::write(&path, bytes).expect("a file");
    println!("{what}: {}", stderr(&fit(&path)));
    refused(&fit(&path), 1, parts);
    refused(&fit_stdin(bytes), 1, parts);
    for piece in [3, bytes.len()] {
        let error = scored(bytes, piece).expect_err(what);
        assert!(
            parts.iter().all(|part| error.contains(part)),
            "{what}: {error}"
        );
    }
    let answer = daemon.push("", &format!("key-{what}").replace(' ', "-"), bytes);
    let text = answer.body.to_string();
    assert_eq!(answer.status, 400, "{what}: {text}");
    assert!(
        parts.iter().all(|part| text.contains(part)),
        "{what}: {text}"
    );
}

#[test]
fn streams_behind_each_other_lose_no_row() {
    let (a, b) = (rows(700, 1), rows(500, 2));
    let without_mark = stream(&a)[..stream(&a).len() - 8].to_vec();
    for (what, bytes) in [
        ("two", [stream(&a), stream(&b)].concat()),
        ("no mark between", [without_mark, stream(&b)].concat()),
        ("old and new", [old_stream(&a), stream(&b)].concat()),
        ("new and old", [stream(&a), old_stream(&b)].concat()),
    ] {
        all_read(what, &bytes, 1200);
    }
}

#[test]
fn the_rows_behind_the_end_are_those_of_two_files() {
    let place = Place::new("");
    let (a, b) = (stream(&rows(700, 1)), stream(&rows(500, 2)));
    let both = place.path("both.arrows");
    std::fs::write(&both, [&a[..], &b[..]].concat()).expect("a file");
    let parts = [place.path("a.arrows"), place.path("b.arrows")];
    std::fs::write(&parts[0], a).expect("a file");
    std::fs::write(&parts[1], b).expect("a file");
    let one = fit(&both);
    let mut command = ojad();
    command.args(["fit", "-k", "2", "--json"]).args(&parts);
    let two = command.output().expect("the program starts");
    let parsed = |output: &Output| {
        succeeded(output);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        json["components"].clone()
    };
    assert!(
        parsed(&one).is_array() || parsed(&one).is_object(),
        "{}",
        parsed(&one)
    );
    assert_eq!(parsed(&one), parsed(&two));
}

#[test]
fn a_stream_from_before_arrow_0_15_gets_one_answer() {
    let batch = rows(600, 3);
    all_read("old", &old_stream(&batch), 600);
    let place = Place::new("");
    let path = place.path("old.arrow");
    std::fs::write(&path, old_file(&batch)).expect("a file");
    assert_eq!(learned(&fit(&path)), 600, "a file with a footer");
}

#[test]
fn what_is_no_further_stream_is_an_error_everywhere() {
    let place = pushing("");
    let daemon = Daemon::start(&place);
    let whole = stream(&rows(700, 1));
    let mut half = stream(&rows(700, 2));
    half.truncate(half.len() / 2);
    let values: ArrayRef = Arc::new(Float32Array::from(vec![1.0; 50]));
    let other = RecordBatch::try_from_iter([("y", values)]).expect("a batch");
    let renamed = stream(&other);
    let behind: &[&str] = &["not another stream", "the end of the stream"];
    let text = b"a,b\n1,2\n";
    for (what, tail, parts) in [
        ("text", &text[..], behind),
        ("a byte", &[1], behind),
        ("a zero", &[0], behind),
        ("zeros", &[0; 8], behind),
        ("another mark", b"\xFF\xFF\xFF\xFF\0\0\0\0", behind),
        ("a parquet file", b"PAR1\x15\0\x15\0\x15\0", behind),
        ("other columns", &renamed, &["a stream with other columns"]),
        ("half a stream", &half, &["ends"]),
    ] {
        let bytes = [&whole[..], tail].concat();
        all_refuse(&daemon, &place, what, &bytes, parts);
    }
    // Of all that was refused no row was learned.
    assert_eq!(daemon.push("", "whole", &whole).status, 202);
    daemon.end();
    assert_eq!(place.learned().rows_read, 700);
}

#[test]
fn dictionaries_are_those_of_their_own_stream_everywhere() {
    let encoded = |seed: u64, words: [f32; 3]| {
        let plain = rows(600, seed);
        let keys = Int32Array::from_iter_values((0..600).map(|i| i % 3));
        let words: ArrayRef = Arc::new(Float32Array::from(words.to_vec()));
        let column: ArrayRef = Arc::new(DictionaryArray::new(keys, words));
        let names: Vec<_> = plain
            .schema()
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .collect();
        let columns = names.into_iter().zip(plain.columns().to_vec());
        let columns = columns.chain([("word".to_owned(), column)]);
        RecordBatch::try_from_iter(columns).expect("a batch")
    };
    let (a, b) = (encoded(1, [1.0, 2.0, 4.0]), encoded(2, [-8.0, 16.0, 32.0]));
    let bytes = [stream(&a), old_stream(&b)].concat();
    all_read("dictionaries", &bytes, 1200);
    // The mean of (1 + 2 + 4)/3 and (−8 + 16 + 32)/3 is 47/6.
    let mut pushed = Pushed::new(1 << 26, 1 << 20);
    pushed.push(bytes);
    let mut sum = 0.0;
    while let Some(batch) = pushed.next_batch().expect("rows") {
        let word = batch.column_by_name("word").expect("a column");
        let word = Numbers::of(word, 1).expect("numbers");
        sum += word
            .f32s()
            .expect("f32")
            .iter()
            .map(|x| f64::from(*x))
            .sum::<f64>();
    }
    assert!((sum / 1200.0 - 47.0 / 6.0).abs() < 1e-12, "{sum}");
}

#[test]
fn what_is_cut_short_or_begins_in_the_middle_is_an_error_everywhere() {
    let place = pushing("");
    let daemon = Daemon::start(&place);
    let whole = stream(&rows(700, 1));
    // The length of the schema's header stands behind the mark.
    let schema = 8 + usize::try_from(u32::from_le_bytes([whole[4], whole[5], whole[6], whole[7]]))
        .expect("a length");
    for (what, bytes, parts) in [
        ("no schema", &whole[schema..], &["schema"][..]),
        ("half a schema", &whole[..schema / 2], &["ends"]),
        (
            "half a batch",
            &whole[..schema + (whole.len() - schema) / 2],
            &["ends"],
        ),
        ("half a prefix", &whole[..schema + 6], &["ends"]),
    ] {
        all_refuse(&daemon, &place, what, bytes, parts);
    }
    daemon.end();
}

#[test]
fn big_endian_is_called_so_everywhere() {
    let place = pushing("");
    let daemon = Daemon::start(&place);
    all_refuse(
        &daemon,
        &place,
        "big",
        &big_endian(),
        &["big-endian", "pyarrow"],
    );
    let path = place.path("input");
    assert!(!stderr(&fit(&path)).contains("corrupt"));
    // One behind a stream of the other kind.
    let bytes = [stream(&rows(50, 1)), big_endian()].concat();
    all_refuse(&daemon, &place, "behind", &bytes, &["big-endian"]);
}

#[test]
fn intervals_and_files_without_rows_are_called_so() {
    let place = Place::new("");
    let path = place.path("input");
    let months: ArrayRef = Arc::new(IntervalYearMonthArray::from(vec![1, 2]));
    let months = RecordBatch::try_from_iter([("months", months)]).expect("a batch");
    std::fs::write(&path, stream(&months)).expect("a file");
    refused(
        &fit(&path),
        1,
        &["no numeric column", "`months` (interval)"],
    );
    std::fs::write(&path, stream(&rows(10, 1).slice(0, 0))).expect("a file");
    refused(&fit(&path), 1, &["no rows"]);
}

#[test]
fn a_stream_that_had_ended_goes_on_with_another() {
    let place = Place::new("");
    let path = place.feed().join("a.arrows");
    let add = |bytes: &[u8]| {
        let file = std::fs::File::options()
            .append(true)
            .create(true)
            .open(&path);
        file.expect("a file").write_all(bytes).expect("bytes");
    };
    add(&stream(&rows(700, 1)));
    assert_eq!(place.learned().rows_read, 700);
    let next = stream(&rows(500, 2));
    add(&next[..next.len() / 2]);
    let some = place.learned().rows_read;
    assert!((700..1200).contains(&some), "{some}");
    add(&next[next.len() / 2..]);
    assert_eq!(place.learned().rows_read, 1200);
    add(&old_stream(&rows(300, 3)));
    assert_eq!(place.learned().rows_read, 1500);
    // What is no stream is not passed over in silence.
    add(b"these are no rows");
    let output = place.learn();
    let said = format!("{}{}", stderr(&output), place.quarantine());
    assert!(said.contains("the end of the stream"), "{said}");
    assert_eq!(place.result().rows_read, 1500);
}

#[test]
fn one_connection_may_carry_two_streams() {
    for scheme in ["fifo", "unix"] {
        let place = Place::new("");
        let path = place.path("in");
        configure(
            &place,
            &format!("source.inputs = [\"{scheme}:{}\"]", path.display()),
            "",
        );
        if scheme == "fifo" {
            let made = std::process::Command::new("mkfifo").arg(&path).status();
            assert!(made.expect("mkfifo").success());
        }
        let daemon = Daemon::start(&place);
        let bytes = [stream(&rows(700, 1)), old_stream(&rows(500, 2))].concat();
        match scheme {
            "fifo" => std::fs::File::options()
                .write(true)
                .open(&path)
                .expect("a pipe")
                .write_all(&bytes)
                .expect("rows"),
            _ => UnixStream::connect(&path)
                .expect("a connection")
                .write_all(&bytes)
                .expect("rows"),
        }
        let log = || std::fs::read_to_string(place.path("log")).unwrap_or_default();
        let deadline = Instant::now() + PATIENCE;
        while !log().contains("rows=1200") {
            assert!(Instant::now() < deadline, "{scheme}: {}", log());
            std::thread::sleep(Duration::from_millis(5));
        }
        daemon.end();
        assert_eq!(place.inspect()["rows_read"], 1200, "{scheme}");
    }
}

#[test]
fn standard_input_may_carry_two_streams() {
    let place = Place::new("");
    let text = std::fs::read_to_string(place.config()).expect("text");
    let lines: Vec<&str> = text.lines().skip(1).collect();
    let text = format!("source.inputs = [\"-\"]\n{}\n", lines.join("\n"));
    std::fs::write(place.config(), text).expect("a file");
    let mut command = place.daemon();
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("a daemon");
    let mut to = child.stdin.take().expect("a pipe");
    to.write_all(&stream(&rows(700, 1))).expect("rows");
    to.write_all(&stream(&rows(500, 2))).expect("rows");
    drop(to);
    let output = child.wait_with_output().expect("an end");
    succeeded(&output);
    assert_eq!(place.inspect()["rows_read"], 1200);
}
