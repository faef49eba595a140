//! What a run shows over HTTP beside its components: history, drift, files, snapshots, events.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use arrow::array::AsArray as _;
use arrow::datatypes::Float64Type;
use arrow::ipc::reader::StreamReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::feeds::{FEATURES, Place, parquet, rows};
use crate::http::{Daemon, LISTEN, PATIENCE};

const OPENAPI: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/src/http/openapi.json"
));

/// Waits until `is_so` of what is at `path`.
fn wait(daemon: &Daemon, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = daemon.get(path, "");
        let found = answer.json();
        if answer.status == 200 && is_so(&found) {
            return found;
        }
        assert!(Instant::now() < until, "{path}: {found}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn the_description_and_the_server_have_the_same_paths() {
    let described: Value = serde_json::from_str(OPENAPI).expect("JSON");
    let described = described["paths"].as_object().expect("paths");
    let router = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/api.rs");
    let router = std::fs::read_to_string(router).expect("text");
    let routes = router.split(".route(\"").skip(1);
    let mut routes: Vec<(&str, bool)> = routes
        .map(|rest| {
            let (path, method) = rest.split_once('"').expect("a path");
            (
                path,
                ["post", "scored"]
                    .iter()
                    .any(|post| method.trim_start_matches([',', ' ']).starts_with(post)),
            )
        })
        // The page's own files are nobody's business.
        .filter(|(path, _)| !path.starts_with("/assets"))
        .collect();
    routes.sort_unstable();
    let mut paths: Vec<(&str, bool)> = described
        .iter()
        .map(|(path, methods)| (path.as_str(), methods.get("post").is_some()))
        .collect();
    paths.sort_unstable();
    assert_eq!(routes, paths);
}

#[test]
fn the_history_goes_on_after_a_restart() {
    let place = Place::new(LISTEN);
    let daemon = Daemon::start(&place);
    parquet(&place.feed().join("a.parquet"), &rows(3000, 1));
    daemon.wait_for(3000);
    let history = wait(&daemon, "/api/v1/history", |h| {
        h["points"].as_array().is_some_and(|p| !p.is_empty())
    });
    let first = history["points"][0].clone();
    assert_eq!(first["eigenvalues"].as_array().map(Vec::len), Some(3));
    assert!(first["subspace_distance"].is_null());
    // It is written with the next checkpoint; a run that ends writes one.
    let until = Instant::now() + PATIENCE;
    while !place.state().join("history.json").exists() {
        parquet(&place.feed().join("b.parquet"), &rows(700, 2));
        assert!(Instant::now() < until, "no history was written");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    drop(daemon);
    let daemon = Daemon::start(&place);
    let again = daemon.get("/api/v1/history", "").json();
    assert_eq!(again["points"][0], first);
    parquet(&place.feed().join("c.parquet"), &rows(2000, 3));
    let longer = wait(&daemon, "/api/v1/history", |h| {
        h["points"]
            .as_array()
            .is_some_and(|points| points.len() > 1)
    });
    let points = longer["points"].as_array().expect("points");
    let (last, before) = (&points[points.len() - 1], &points[points.len() - 2]);
    let number = |point: &Value, key: &str| point[key].as_f64().expect("a number");
    assert!(number(last, "rows") > number(before, "rows"));
    let rate = (number(last, "rows") - number(before, "rows"))
        / (number(last, "unix_s") - number(before, "unix_s"));
    assert!((number(last, "rows_per_s") - rate).abs() < 1e-9 * rate);
    drop(daemon);
    // One that is damaged is begun anew, and nothing else is lost.
    std::fs::write(place.state().join("history.json"), "{\"version\":1").expect("a file");
    let daemon = Daemon::start(&place);
    wait(&daemon, "/api/v1/status", |status| {
        status["rows_read"] == 5700 || status["rows_read"] == 5000
    });
    let log = daemon.get("/api/v1/log", "").body;
    assert!(log.contains("starting a new one"), "{log}");
}

#[test]
fn a_snapshot_can_be_had_in_three_formats() {
    let place = Place::new(LISTEN);
    let daemon = Daemon::start(&place);
    assert_eq!(
        daemon.get("/api/v1/snapshots", "").json()["snapshots"],
        Value::Array(Vec::new())
    );
    assert_eq!(daemon.get("/api/v1/snapshots/latest", "").status, 404);
    parquet(&place.feed().join("a.parquet"), &rows(4100, 1));
    let listed = wait(&daemon, "/api/v1/snapshots", |found| {
        found["snapshots"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
    });
    let id = listed["snapshots"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let path = format!("/api/v1/snapshots/{id}");
    let json = daemon.get(&path, "").json();
    let components = json["components"].as_array().expect("components");
    let eigenvalues: Vec<f64> = components
        .iter()
        .map(|component| component["eigenvalue"].as_f64().expect("a number"))
        .collect();
    let arrow = daemon.get(&path, "Accept: application/vnd.apache.arrow.stream\r\n");
    assert_eq!(arrow.header("vary"), Some("accept"));
    let mut reader = StreamReader::try_new(arrow.bytes.as_slice(), None).expect("a stream");
    let table = reader.next().expect("a batch").expect("a batch");
    let found = table.column_by_name("eigenvalue").expect("a column");
    let found = found.as_primitive::<Float64Type>().values();
    // JSON readers may round the last digit.
    for (found, expected) in found.iter().zip(&eigenvalues) {
        assert!((found - expected).abs() <= 1e-15 * expected);
    }
    let accept = "Accept: text/html;q=0.9, application/vnd.apache.parquet;q=0.8\r\n";
    let features = daemon.get(&format!("{path}?table=features"), accept);
    assert_eq!(
        features.header("content-type"),
        Some("application/vnd.apache.parquet")
    );
    // The very bytes of the file: the snapshot was read, checked, and written again.
    let file = place.path("model").join(&id).join("features.parquet");
    assert_eq!(features.bytes, std::fs::read(file).expect("a file"));
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(features.bytes));
    let rows = reader
        .expect("a file")
        .metadata()
        .file_metadata()
        .num_rows();
    assert_eq!(rows as usize, FEATURES);
    let tag = daemon
        .get(&path, "")
        .header("etag")
        .expect("a tag")
        .to_owned();
    let known = daemon.get(&path, &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((known.status, known.body.as_str()), (304, ""));
    assert_eq!(daemon.get(&path, "Accept: text/html\r\n").status, 406);
    for stranger in ["..", "%2e%2e%2fstate", "rows-000", "latest%00"] {
        let answer = daemon.get(&format!("/api/v1/snapshots/{stranger}"), "");
        assert_eq!(answer.status, 404, "{stranger}: {}", answer.body);
    }
    assert_eq!(daemon.get(&format!("{path}?table=rows"), "").status, 400);
    assert_eq!(
        daemon.get(&format!("{path}?tabel=features"), "").status,
        400
    );
}

#[test]
fn one_component_and_all_of_them_are_the_same() {
    let place = Place::new(LISTEN);
    let daemon = Daemon::start(&place);
    parquet(&place.feed().join("a.parquet"), &rows(3000, 1));
    daemon.wait_for(3000);
    let all = wait(&daemon, "/api/v1/components", |_| true);
    let short = daemon.get("/api/v1/components?vectors=none", "").json();
    assert!(short["components"][0].get("vector").is_none() && short.get("features").is_none());
    let mut sum = 0.0;
    for i in 0..3 {
        let one = daemon
            .get(&format!("/api/v1/components/{}", i + 1), "")
            .json();
        let of_all = &all["components"][i];
        assert_eq!(
            (&one["vector"], &one["eigenvalue"]),
            (&of_all["vector"], &of_all["eigenvalue"])
        );
        sum += one["explained_variance_ratio"].as_f64().expect("a number");
        let cumulative = one["cumulative_ratio"].as_f64().expect("a number");
        assert!((cumulative - sum).abs() < 1e-12);
        // s = √(1 − λ/eigenvalue).
        let (s, value) = (&one["weight_singular_value"], &one["eigenvalue"]);
        let (s, value) = (s.as_f64().expect("s"), value.as_f64().expect("eigenvalue"));
        let penalty = all["penalty"].as_f64().expect("a number");
        assert!((s - (1.0 - penalty / value).max(0.0).sqrt()).abs() < 1e-12);
    }
    for stranger in ["0", "4", "-1", "one", "99999999999999999999"] {
        let answer = daemon.get(&format!("/api/v1/components/{stranger}"), "");
        assert_eq!(answer.status, 404, "{stranger}");
    }
}

#[test]
fn files_and_refusals_are_listed() {
    let place = Place::new(&format!("{LISTEN}\nsource.incomplete_age_s = 1"));
    let daemon = Daemon::start(&place);
    parquet(&place.feed().join("a.parquet"), &rows(1000, 1));
    std::fs::write(place.feed().join("b.parquet"), b"PAR1 is how it begins").expect("a file");
    std::fs::write(
        place.feed().join("c.arrow"),
        b"nothing that anybody can read",
    )
    .expect("a file");
    let refused = wait(&daemon, "/api/v1/quarantine", |found| found["total"] == 2);
    let files = refused["files"].as_array().expect("files");
    assert_eq!(files.len(), 2);
    for file in files {
        assert!(!file["reason"].as_str().expect("text").is_empty());
        assert_eq!(file["fault"], "file");
    }
    // The same, page by page.
    let mut paged = Vec::new();
    let mut next = Some(0);
    while let Some(offset) = next {
        let page = daemon.get(&format!("/api/v1/quarantine?limit=1&offset={offset}"), "");
        let page = page.json();
        assert_eq!(
            (&page["total"], &page["kept"], &page["offset"]),
            (&2.into(), &2.into(), &offset.into())
        );
        paged.extend(page["files"].as_array().expect("files").clone());
        next = page["next"].as_u64();
    }
    assert_eq!(&paged, files);
    for odd in ["limit=0", "limit=1001", "limit=x", "offset=-1", "after=1"] {
        let answer = daemon.get(&format!("/api/v1/quarantine?{odd}"), "");
        assert_eq!(answer.status, 400, "{odd}");
    }
    let sources = wait(&daemon, "/api/v1/sources", |found| found["total"] == 3);
    let done = sources["files"].as_array().expect("files").iter();
    let mut done = done.filter(|file| file["state"] == "done");
    let file = done.next().expect("the good one");
    assert_eq!(
        (&file["rows"], &file["format"]),
        (&1000.into(), &"Parquet".into())
    );
    assert!(done.next().is_none());
    wait(&daemon, "/api/v1/status", |status| {
        status["quarantined"] == 2 && status["lag_files"] == 0
    });
}

#[test]
fn what_cannot_be_read_makes_a_run_unready() {
    let place = Place::new(LISTEN);
    std::fs::remove_dir(place.feed()).expect("it was there");
    let daemon = Daemon::start(&place);
    let until = Instant::now() + PATIENCE;
    loop {
        let ready = daemon.get("/-/ready", "");
        if ready.status == 503 && ready.body.contains("a source cannot be read") {
            break;
        }
        assert!(Instant::now() < until, "{}", ready.body);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let status = daemon.get("/api/v1/status", "").json();
    assert_eq!(status["state"], "degraded");
    assert!(
        status["headline"]
            .as_str()
            .is_some_and(|text| text.starts_with("Degraded: "))
    );
    std::fs::create_dir(place.feed()).expect("a directory");
    wait(&daemon, "/api/v1/status", |status| {
        status["state"] == "waiting" && status["is_ready"] == true
    });
}

#[test]
fn a_drift_is_shown_and_remembered() {
    let drift = "drift.short_half_life_rows = 2000\ndrift.false_alarms_per_million_rows = 1.0";
    let place = Place::new(&format!("{LISTEN}\n{drift}"));
    let daemon = Daemon::start(&place);
    let watched = wait(&daemon, "/api/v1/drift", |found| {
        found["is_watched"] == true
    });
    assert_eq!(watched["params"]["short_half_life_rows"], 2000);
    parquet(&place.feed().join("a.parquet"), &rows(40_000, 1));
    daemon.wait_for(40_000);
    let before = daemon.get("/api/v1/drift", "").json();
    assert_eq!(before["events"], Value::Array(Vec::new()));
    // Every value moves by half.
    let moved = rows(6_000, 2);
    let columns = moved.columns().iter().map(|column| {
        let values = column.as_primitive::<arrow::datatypes::Float32Type>();
        let values = values.unary::<_, arrow::datatypes::Float32Type>(|x| x + 0.5);
        std::sync::Arc::new(values) as arrow::array::ArrayRef
    });
    let moved = arrow::array::RecordBatch::try_new(moved.schema(), columns.collect());
    parquet(&place.feed().join("b.parquet"), &moved.expect("a batch"));
    let after = wait(&daemon, "/api/v1/drift", |found| {
        found["events"]
            .as_array()
            .is_some_and(|events| !events.is_empty())
    });
    let event = &after["events"][0];
    assert_eq!(event["report"]["kind"], "mean");
    let rows_then = event["rows"].as_u64().expect("a number");
    assert!((40_000..46_000).contains(&rows_then), "{event}");
    let status = wait(&daemon, "/api/v1/status", |status| status["drifts"] == 1);
    assert_eq!(status["drifted_unix_s"], event["unix_s"]);
    if status["rows"].as_u64().expect("rows") < rows_then + 2000 {
        assert_eq!(status["state"], "drifted");
    }
}

#[test]
fn events_bring_every_status_and_end_with_the_run() {
    let place = Place::new(LISTEN);
    let daemon = Daemon::start(&place);
    let mut stream = TcpStream::connect(&daemon.address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = format!(
        "GET /api/v1/events HTTP/1.1\r\nHost: {}\r\n\r\n",
        daemon.address
    );
    stream.write_all(request.as_bytes()).expect("a request");
    let mut lines = BufReader::new(stream)
        .lines()
        .map(Result::unwrap_or_default);
    let mut next = |event: &str| -> Value {
        let named = format!("event: {event}");
        loop {
            let line = lines.next().expect("the stream goes on");
            if line == named {
                let data = lines.next().expect("data");
                return serde_json::from_str(data.strip_prefix("data: ").expect("data"))
                    .expect("JSON");
            }
        }
    };
    assert_eq!(next("status")["rows_read"], 0);
    parquet(&place.feed().join("a.parquet"), &rows(3000, 1));
    while next("status")["rows_read"] != 3000 {}
    // Other components are news.
    let until = Instant::now() + PATIENCE;
    loop {
        let line = lines.next().expect("the stream goes on");
        if line.starts_with("data: {\"rows\":") {
            break;
        }
        assert!(Instant::now() < until);
    }
    drop(daemon);
    assert!(
        lines.by_ref().take(100_000).all(|_| true),
        "the stream ends"
    );
}

#[test]
fn only_who_has_the_token_may_tell_a_run_what_to_do() {
    let place = Place::new(LISTEN);
    let daemon = Daemon::start(&place);
    assert_eq!(daemon.post("/api/v1/snapshot", "", b"").status, 404);
    assert_eq!(daemon.get("/api/v1/snapshot", "").status, 405);
    drop(daemon);
    let token = "0123456789abcdef0123456789abcdef";
    std::fs::write(place.path("token"), token).expect("a file");
    let file = place.path("token");
    let keys = format!(
        "{LISTEN}\nhttp.control = \"token\"\nhttp.token_file = \"{}\"",
        file.display()
    );
    place.configure(&keys);
    let daemon = Daemon::start(&place);
    parquet(&place.feed().join("a.parquet"), &rows(1000, 1));
    assert_eq!(daemon.post("/api/v1/snapshot", "", b"").status, 401);
    let right = format!("Authorization: Bearer {token}\r\n");
    let until = Instant::now() + PATIENCE;
    // 1,000 rows alone make no snapshot here.
    while daemon.get("/api/v1/status", &right).json()["rows_read"] != 1000 {
        assert!(Instant::now() < until);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let asked = daemon.post("/api/v1/snapshot", &right, b"");
    assert_eq!(
        (asked.status, &asked.json()["asked"]),
        (202, &"snapshot".into())
    );
    while !place.path("model/latest/snapshot.json").exists() {
        assert!(Instant::now() < until, "no snapshot was made");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // Another `http` needs a new start: the log says so.
    place.configure(&keys.replace("control = \"token\"", "control = \"off\""));
    assert_eq!(daemon.post("/api/v1/reload", &right, b"").status, 202);
    while !daemon
        .get("/api/v1/log", &right)
        .body
        .contains("need a restart")
    {
        assert!(
            Instant::now() < until,
            "the configuration was not read again"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    drop(daemon);
    // Without a token nobody could be asked for it.
    place.configure(&format!("{LISTEN}\nhttp.control = \"token\""));
    let output = place.learn();
    crate::program::refused(&output, 78, &["http.control", "http.token_file"]);
}
