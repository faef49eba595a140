//! What a client pushes is learned once: whoever dies, repeats himself, or comes at the same time.

use std::fs;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Float32Array, RecordBatch};
use arrow::datatypes::Schema;
use ojad::checkpoint::{Checkpoint, Section};
use sha2::{Digest as _, Sha256};

use crate::feeds::{FEATURES, Place, ipc, parquet, rows, stream};
use crate::program::stderr;
use crate::pusher::{Daemon, PATIENCE, PUSH, as_files, bodies, configure, pushing, try_push};

/// Names of pushed bodies that wait in the spool.
fn waiting(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(place.state().join("spool")).expect("a spool");
    let names = entries.map(|entry| entry.expect("a name").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("push-")).collect()
}

#[test]
fn pushed_rows_are_learned_as_files_are() {
    let bodies = bodies(12);
    let expected = as_files(&bodies);
    let place = pushing("");
    let daemon = Daemon::start(&place);
    for (i, body) in bodies.iter().enumerate() {
        let answer = daemon.push("", &format!("batch-{i}"), body);
        assert_eq!(answer.status, 202, "{answer:?}");
        assert_eq!(answer.body["status"], "accepted");
        assert_eq!(answer.body["rows"], 130 + 37 * (i % 9));
    }
    // It stays until it is stopped, and what came is learned.
    daemon.end();
    assert_eq!(place.learned(), expected);
    assert_eq!(place.inspect()["pushed"], 12);
}

#[test]
fn a_key_is_taken_once_for_ever() {
    let place = pushing("state.checkpoint_s = 1");
    let bodies = bodies(3);
    let mut daemon = Daemon::start(&place);
    let first = daemon.push("", "one key", &bodies[0]);
    // A space is not visible.
    assert_eq!(first.status, 400, "{first:?}");
    assert_eq!(
        daemon.push("", "key", &bodies[0]).body["status"],
        "accepted"
    );
    let again = |daemon: &Daemon| {
        let answer = daemon.push("", "key", &bodies[0]);
        assert_eq!(
            (answer.status, &answer.body["status"]),
            (202, &"duplicate".into())
        );
        assert_eq!(answer.body["rows"], 130);
        let other = daemon.push("", "key", &bodies[1]);
        assert_eq!(other.status, 422, "{other:?}");
        answer
    };
    again(&daemon);
    // Killed before any checkpoint.
    drop(daemon);
    daemon = Daemon::start(&place);
    again(&daemon);
    let answer = daemon.push("?ack=durable", "key", &bodies[0]);
    assert_eq!(
        (answer.status, &answer.body["is_durable"]),
        (200, &true.into())
    );
    drop(daemon);
    daemon = Daemon::start(&place);
    assert_eq!(again(&daemon).body["is_durable"], true);
    // Until its file has gone from the spool.
    let until = Instant::now() + PATIENCE;
    let mut i = 0;
    while waiting(&place)
        .iter()
        .any(|name| name.starts_with("push-000000000000-130-"))
    {
        let (answer, _) = daemon.push_patiently("?ack=durable", &format!("more-{i}"), &bodies[2]);
        assert_eq!(answer.status, 200, "{answer:?}");
        i += 1;
        assert!(Instant::now() < until, "{:?}", waiting(&place));
    }
    again(&daemon);
    drop(daemon);
    daemon = Daemon::start(&place);
    assert_eq!(again(&daemon).body["is_durable"], true);
    drop(daemon);
    assert!(place.learn().status.success());
    let found = place.inspect();
    assert_eq!(found["rows_read"], 130 + i * 204);
    assert_eq!(found["pushed"], 1 + i);
}

#[test]
fn of_many_at_once_with_one_key_one_is_taken() {
    let place = pushing("");
    let daemon = Daemon::start(&place);
    let body = stream(&rows(3000, 1));
    for round in 0..5 {
        let (address, key) = (&daemon.address, format!("key-{round}"));
        let answers = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..12)
                .map(|_| scope.spawn(|| try_push(address, "", &key, &body).expect("an answer")))
                .collect();
            let answers = clients
                .into_iter()
                .map(|client| client.join().expect("no panic"));
            answers.collect::<Vec<_>>()
        });
        let taken = answers.iter().filter(|a| a.body["status"] == "accepted");
        assert_eq!(taken.count(), 1, "{answers:?}");
        assert!(answers.iter().all(|answer| answer.status == 202));
    }
    daemon.end();
    // A stop drains what was read, not what could be.
    assert_eq!(place.learned().rows_read, 15_000);
}

#[test]
fn a_durable_answer_outlives_the_daemon() {
    let place = pushing("state.checkpoint_s = 100000\nsource.rescan_ms = 60000");
    let text = fs::read_to_string(place.config()).expect("text");
    let text = text.replace("state.checkpoint_rows = 640\n", "");
    let text = text.replace("source.rescan_ms = 20\n", "");
    fs::write(place.config(), text).expect("a file");
    let mut sum = 0;
    for (i, body) in bodies(4).iter().enumerate() {
        let daemon = Daemon::start(&place);
        let answer = daemon.push("?ack=durable", &format!("batch-{i}"), body);
        drop(daemon);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body["is_durable"], true);
        sum += answer.body["rows"].as_u64().expect("a number");
        let found = place.inspect();
        assert_eq!(found["rows_read"], sum);
        assert!(
            found["rows_waiting"]
                .as_u64()
                .is_some_and(|n| n > 0 || sum % 64 == 0)
        );
    }
    // The checkpoint has the key itself.
    let newest = fs::read_dir(place.state()).expect("a state").flatten();
    let newest = newest.map(|entry| entry.path());
    let newest = newest
        .filter(|path| path.to_string_lossy().contains("checkpoint-"))
        .max();
    let newest = newest.expect("a checkpoint");
    let bytes = fs::read(&newest).expect("bytes");
    let checkpoint = Checkpoint::decode(&bytes, &newest).expect("whole");
    let section = checkpoint.section(Section::Pushed);
    let key: [u8; 32] = Sha256::digest(b"batch-3").into();
    assert!(section.windows(32).any(|part| part == key));
    assert_eq!(section.len(), 1 + 8 + 4 * 73);
}

#[test]
fn as_much_as_may_waits_and_then_there_is_room() {
    let place = pushing("source.spool_mib = 1\nstate.checkpoint_s = 100000");
    let text = fs::read_to_string(place.config()).expect("text");
    let text = text.replace("state.checkpoint_rows = 640\n", "");
    fs::write(place.config(), text).expect("a file");
    let daemon = Daemon::start(&place);
    // 1.1 MB.
    let body = stream(&rows(23_000, 1));
    let mut refusals = 0;
    for i in 0..4 {
        let (answer, more) = daemon.push_patiently("", &format!("batch-{i}"), &body);
        assert_eq!(answer.body["status"], "accepted", "{answer:?}");
        refusals += more;
        // What is known is answered, room or none.
        let again = daemon.push("", &format!("batch-{i}"), &body);
        assert_eq!(again.body["status"], "duplicate", "{again:?}");
    }
    assert!(refusals >= 3, "{refusals}");
    daemon.end();
    assert_eq!(place.learned().rows_read, 4 * 23_000);
}

/// The same columns with a NaN in some row, or with another name.
fn changed(batch: &RecordBatch, nan_at: usize) -> RecordBatch {
    let mut columns = batch.columns().to_vec();
    let mut values = vec![1.0_f32; batch.num_rows()];
    values[nan_at] = f32::NAN;
    columns[3] = Arc::new(Float32Array::from(values)) as ArrayRef;
    RecordBatch::try_new(batch.schema(), columns).expect("a batch")
}

#[test]
fn bad_bodies_are_refused_and_say_why() {
    let place = pushing("http.body_mib = 1");
    let daemon = Daemon::start(&place);
    let good = stream(&rows(200, 1));
    let answer = daemon.push("?ack=durable", "good", &good);
    assert_eq!(answer.status, 200, "{answer:?}");
    let refused = |query: &str, key: &str, body: &[u8], status: u16, word: &str| {
        let answer = daemon.push(query, key, body);
        assert_eq!(answer.status, status, "{key}: {answer:?}");
        assert_eq!(answer.body["status"], status, "{key}");
        let detail = answer.body["detail"].as_str().expect("text");
        assert!(detail.contains(word), "{key}: {detail}");
    };
    refused("", "empty", b"", 400, "empty");
    refused("", "cut", &good[..good.len() / 2], 400, "ends too soon");
    refused(
        "",
        "unended",
        &good[..good.len() - 8],
        400,
        "close the writer",
    );
    refused("", "text", b"a,b\n1,2\n", 400, "Arrow IPC stream is needed");
    refused(
        "",
        "more",
        &[good.as_slice(), b"x"].concat(),
        400,
        "follow the end",
    );
    let file = |name: &str| fs::read(place.path(name)).expect("bytes");
    ipc(&place.path("a.arrow"), &rows(20, 1));
    parquet(&place.path("a.parquet"), &rows(20, 1));
    refused("", "file", &file("a.arrow"), 400, "an Arrow IPC file");
    refused("", "parquet", &file("a.parquet"), 400, "a Parquet file");
    refused("", "", &good, 400, "Idempotency-Key");
    refused("", &"k".repeat(201), &good, 400, "200 visible");
    refused("?ack=soon", "ack", &good, 400, "ack=durable");
    let large = stream(&rows(23_000, 1));
    refused("", "large", &large, 413, "http.body_mib");
    // Another schema: a column is missing.
    let some = rows(50, 2);
    let fields = some
        .schema()
        .fields()
        .iter()
        .skip(1)
        .cloned()
        .collect::<Vec<_>>();
    let less = RecordBatch::try_new(Arc::new(Schema::new(fields)), some.columns()[1..].to_vec());
    let less = stream(&less.expect("a batch"));
    refused("", "schema", &less, 422, "`x0` of earlier rows");
    // A value that no policy lets pass is found where the rows are decoded.
    let bad = stream(&changed(&rows(200, 3), 150));
    refused("?ack=durable", "nan", &bad, 422, "NaN");
    refused("", "nan", &bad, 422, "NaN");
    refused("", "nan", &good, 422, "another body");
    let head = "POST /api/v1/rows HTTP/1.1\r\nIdempotency-Key: k\r\nContent-Type: text/csv\r\n";
    assert_eq!(daemon.send(head, &good).status, 415);
    let get = daemon.send("GET /api/v1/rows HTTP/1.1\r\n", b"");
    assert_eq!(get.status, 405);
    let status = daemon.send("GET /api/v1/status HTTP/1.1\r\n", b"");
    assert_eq!(status.body["can_push"], true);
    // What was refused at once left nothing; the daemon goes on, also after a restart.
    let next = daemon.push("?ack=durable", "schema", &good);
    assert_eq!(next.status, 200, "{next:?}");
    drop(daemon);
    let daemon = Daemon::start(&place);
    let answer = daemon.push("", "nan", &bad);
    assert_eq!(answer.status, 422, "{answer:?}");
    assert!(
        answer.body["detail"]
            .as_str()
            .is_some_and(|d| d.contains("NaN")),
        "{answer:?}"
    );
    daemon.end();
    let found = place.inspect();
    assert_eq!(
        (&found["quarantined"], &found["features"]),
        (&1.into(), &FEATURES.into())
    );
    assert_eq!(found["pushed"], 3);
}

#[test]
fn a_full_disk_is_told_and_the_same_key_may_come_again() {
    let place = pushing("");
    let full = place.path("state.full");
    let variables = [(
        "OJAD_TEST_FULL_BELOW",
        place.state().to_string_lossy().into_owned(),
    )];
    let daemon = Daemon::start_with(&place, &variables).expect("it lives");
    let body = stream(&rows(500, 1));
    fs::write(&full, "").expect("a file");
    let answer = daemon.push("", "key", &body);
    assert_eq!(
        (answer.status, answer.retry_after),
        (503, Some(1)),
        "{answer:?}"
    );
    fs::remove_file(&full).expect("room");
    let answer = daemon.push("?ack=durable", "key", &body);
    assert_eq!(
        (answer.status, &answer.body["status"]),
        (200, &"accepted".into()),
        "{answer:?}"
    );
    daemon.end();
    assert_eq!(place.inspect()["rows_read"], 500);
}

#[test]
fn where_nothing_is_pushed_nothing_is_there() {
    let place = Place::new("");
    configure(&place, PUSH, "");
    let text = fs::read_to_string(place.config()).expect("text");
    let text = text.replace("http.listen = \"127.0.0.1:0\"\n", "");
    fs::write(place.config(), text).expect("a file");
    let output = place.learn();
    assert_eq!(output.status.code(), Some(78), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("http.listen"),
        "{}",
        stderr(&output)
    );
    configure(&place, "source.inputs = [\"push:rows\"]", "");
    let output = place.learn();
    assert_eq!(output.status.code(), Some(78), "{}", stderr(&output));
    // A state from before, without keys, goes on when rows are pushed.
    place.configure("http.listen = \"127.0.0.1:0\"");
    parquet(&place.feed().join("a.parquet"), &rows(700, 1));
    let daemon = Daemon::start(&place);
    let body = stream(&rows(300, 2));
    let answer = daemon.push("", "key", &body);
    assert_eq!(answer.status, 404, "{answer:?}");
    drop(daemon);
    assert_eq!(place.learned().rows_read, 700);
    let sections = place.inspect()["sections"].to_string();
    assert!(
        sections.contains("feed") && !sections.contains("pushed"),
        "{sections}"
    );
    let inputs = format!(
        "source.inputs = [\"push:\", \"{}\"]",
        place.feed().display()
    );
    configure(&place, &inputs, "");
    let daemon = Daemon::start(&place);
    assert_eq!(daemon.push("?ack=durable", "key", &body).status, 200);
    daemon.end();
    assert_eq!(place.inspect()["rows_read"], 1000);
}
