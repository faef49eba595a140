//! Columns may be called as anybody likes, at any length: nothing that is stored, logged or answered grows
//! by it.

use std::fs;
use std::time::Instant;

use arrow::array::{ArrayRef, Float32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use serde_json::Value;
use std::sync::Arc;

use crate::feeds::{Place, ipc, rows, stream};
use crate::http::{Daemon, LISTEN, PATIENCE};
use crate::program::{refused, run, stderr};
use crate::pusher::configure;

const ARROW: &str = "Content-Type: application/vnd.apache.arrow.stream\r\n";
/// Longest message; the rest of an answer or of a file is not made of names.
const MESSAGE: usize = 4096;
/// Bytes of a name.
const LONG: usize = 500_000;

/// The rows with one column more, of such a name.
fn with_long(batch: &RecordBatch, number: usize) -> RecordBatch {
    let name = format!("n{number:04}").repeat(LONG / 5);
    let mut fields: Vec<Field> = batch
        .schema()
        .fields()
        .iter()
        .map(|field| field.as_ref().clone())
        .collect();
    fields.push(Field::new(name, DataType::Float32, false));
    let mut columns = batch.columns().to_vec();
    let values = Float32Array::from(vec![1.0; batch.num_rows()]);
    columns.push(Arc::new(values) as ArrayRef);
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch")
}

fn wait(daemon: &Daemon, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let found = daemon.get(path, "").json();
        if is_so(&found) {
            return found;
        }
        assert!(Instant::now() < until, "{path}: {found}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_name_of_half_a_megabyte_comes_back_whole_nowhere() {
    const FILES: usize = 8;
    let place = Place::new("");
    let inputs = format!(
        "source.inputs = [\"{}\", \"push:\"]",
        place.feed().display()
    );
    configure(
        &place,
        &inputs,
        "http.score_rows = 1000\nstate.checkpoint_s = 1",
    );
    let daemon = Daemon::start(&place);
    // The first file has such a name itself: it fixes nothing.
    ipc(&place.feed().join("0.arrow"), &with_long(&rows(100, 1), 0));
    wait(&daemon, "/api/v1/quarantine", |found| found["total"] == 1);
    ipc(&place.feed().join("1.arrow"), &rows(1000, 1));
    daemon.wait_for(1000);
    for i in 2..=FILES {
        let batch = with_long(&rows(100, 1), i);
        ipc(&place.feed().join(format!("{i}.arrow")), &batch);
    }
    let all = wait(&daemon, "/api/v1/quarantine", |found| {
        found["total"] == FILES
    });
    for file in all["files"].as_array().expect("files") {
        let reason = file["reason"].as_str().expect("text");
        assert!(reason.len() <= MESSAGE, "{}", reason.len());
        assert!(reason.contains("n0"), "{reason}");
    }
    let pushed = stream(&with_long(&rows(100, 1), 99));
    let json = format!("{{\"rows\":[{{\"{}\":1}}]}}", "j".repeat(LONG));
    let asked = [
        (
            "rows",
            format!("{ARROW}Idempotency-Key: k\r\n"),
            pushed.clone(),
        ),
        ("transform", ARROW.to_owned(), pushed),
        (
            "score",
            "Content-Type: application/json\r\n".to_owned(),
            json.into_bytes(),
        ),
    ];
    for (path, head, body) in asked {
        let answer = daemon.post(&format!("/api/v1/{path}"), &head, &body);
        assert_eq!(answer.status, 422, "{path}: {}", answer.body.len());
        let problem = answer.json();
        let detail = problem["detail"].as_str().expect("text");
        assert!(detail.len() <= MESSAGE, "{path}: {}", detail.len());
        assert!(detail.contains("bytes left out"), "{path}: {detail}");
    }
    let most = 3 * FILES * MESSAGE;
    for path in ["quarantine", "log", "status", "sources", "features"] {
        let bytes = daemon.get(&format!("/api/v1/{path}"), "").bytes.len();
        assert!(bytes < most, "{path}: {bytes}");
    }
    drop(daemon);
    place.configure(LISTEN);
    place.learned();
    for entry in fs::read_dir(place.state()).expect("a state").flatten() {
        let meta = entry.metadata().expect("a file");
        let name = entry.path();
        assert!(
            meta.is_dir() || meta.len() < most as u64,
            "{}: {meta:?}",
            name.display()
        );
    }
    let log = fs::read(place.path("log")).expect("a log");
    assert!(log.len() < most, "{}", log.len());
    for what in [place.inspect(), place.quarantine()] {
        let bytes = what.to_string().len();
        assert!(bytes < most, "{bytes}");
    }
}

#[test]
fn a_feature_with_a_name_that_is_none_is_refused_and_may_be_left_out() {
    let place = Place::new("");
    let path = place.path("long.arrow");
    let batch = with_long(&rows(500, 1), 7);
    ipc(&path, &batch);
    let path = path.to_str().expect("text");
    let model = place.path("model");
    let model = model.to_str().expect("text");
    let output = run(&["fit", path, "-k", "3", "--output", model]);
    refused(
        &output,
        1,
        &[
            "long.arrow",
            "a name of 500000 bytes",
            "`n0007n0007",
            "--exclude",
        ],
    );
    assert!(stderr(&output).len() < MESSAGE, "{}", stderr(&output).len());
    let output = run(&[
        "fit",
        path,
        "-k",
        "3",
        "--exclude",
        "n0007*",
        "--output",
        model,
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).len() < MESSAGE, "{}", stderr(&output).len());
}
