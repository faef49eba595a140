//! The HTTP server: what it says is what the state says, and it says it to nobody else.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Child;
use std::time::{Duration, Instant};

use crate::feeds::{FEATURES, Place, parquet, rows};
use crate::program::stderr;

/// What waits longer than this hangs.
pub const PATIENCE: Duration = Duration::from_mins(1);
pub const LISTEN: &str = "http.listen = \"127.0.0.1:0\"";

/// A daemon that listens, until it is dropped.
pub struct Daemon {
    child: Child,
    pub address: String,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
    pub bytes: Vec<u8>,
}

impl Answer {
    fn of(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, body) = bytes.split_at(end.expect("a head"));
        let head = String::from_utf8(head.to_vec()).expect("text");
        let status = head.split(' ').nth(1).expect("a status");
        Self {
            status: status.parse().expect("a number"),
            bytes: body[4..].to_vec(),
            body: String::from_utf8_lossy(&body[4..]).into_owned(),
            head,
        }
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value)
    }
}

impl Daemon {
    pub fn start(place: &Place) -> Self {
        let mut daemon = Self {
            child: place.spawn(),
            address: String::new(),
        };
        let until = Instant::now() + PATIENCE;
        while daemon.address.is_empty() {
            daemon.address = place.address().unwrap_or_default();
            assert!(Instant::now() < until, "{}", place.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        daemon
    }

    pub fn ask(&self, request: &str) -> Answer {
        Answer::of(&self.exchange(request.as_bytes()))
    }

    pub fn get(&self, path: &str, headers: &str) -> Answer {
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n",
            self.address
        ))
    }

    /// Asks with a body, and gets bytes: their status, their head and their body.
    pub fn post(&self, path: &str, headers: &str, body: &[u8]) -> Answer {
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
            self.address,
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        Answer::of(&self.exchange(&request))
    }

    /// The bytes of an answer.
    pub fn exchange(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(request).expect("a request");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("an answer");
        bytes
    }

    /// Waits until so many rows were read and are shown.
    pub fn wait_for(&self, rows: u64) -> serde_json::Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let status = self.get("/api/v1/status", "").json();
            if status["rows_read"] == rows {
                return status;
            }
            assert!(Instant::now() < until, "{status}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn what_is_shown_is_what_is_known() {
    let place = Place::new(LISTEN);
    let daemon = Daemon::start(&place);
    let empty = daemon.get("/api/v1/components", "");
    assert_eq!(
        (empty.status, empty.json()["status"].as_u64()),
        (503, Some(503))
    );
    assert_eq!(daemon.get("/-/healthy", "").body, "healthy\n");
    parquet(&place.feed().join("a.parquet"), &rows(3000, 1));
    let status = daemon.wait_for(3000);
    assert_eq!(
        status["rows"]
            .as_u64()
            .zip(status["rows_waiting"].as_u64())
            .map(|(a, b)| a + b),
        Some(3000)
    );
    assert_eq!(
        (&status["features"], &status["is_ready"]),
        (&FEATURES.into(), &true.into())
    );
    assert_eq!(daemon.get("/-/ready", "").status, 200);
    // The components that are shown are those of the snapshot of the same rows: all that were read,
    // those that wait for a full minibatch too.
    let until = Instant::now() + PATIENCE;
    let (shown, tag) = loop {
        let answer = daemon.get("/api/v1/components", "");
        let shown = answer.json();
        if shown["rows"] == status["rows_read"] {
            break (shown, answer.header("etag").expect("a tag").to_owned());
        }
        assert!(Instant::now() < until, "{shown}");
        std::thread::sleep(Duration::from_millis(20));
    };
    let features = daemon.get("/api/v1/features", "").json();
    let metrics = daemon.get("/metrics", "");
    assert_eq!(
        daemon
            .get("/api/v1/components", &format!("If-None-Match: {tag}\r\n"))
            .status,
        304
    );
    drop(daemon);
    place.learned();
    let snapshot = ojad::snapshot::read(&place.path("model")).expect("a snapshot");
    assert_eq!(shown["rows"], snapshot.estimate.rows);
    // The digits are all there; a JSON reader may round the last one.
    let same = |found: &serde_json::Value, expected: f64| {
        let found = found.as_f64().expect("a number");
        assert!(
            (found - expected).abs() <= 1e-15 * expected.abs(),
            "{found} {expected}"
        );
    };
    let components = shown["components"].as_array().expect("a list");
    assert_eq!(components.len(), 3);
    for (i, component) in components.iter().enumerate() {
        let estimate = &snapshot.estimate;
        same(&component["eigenvalue"], estimate.eigenvalues[i]);
        same(
            &component["eigenvalue_stderr"],
            estimate.eigenvalue_stderr[i],
        );
        same(
            &component["explained_variance_ratio"],
            estimate.explained_variance_ratio(i),
        );
        let vector = component["vector"].as_array().expect("a list").iter();
        vector
            .zip(estimate.vector(i))
            .for_each(|(found, entry)| same(found, *entry));
    }
    same(&features["features"][1]["mean"], snapshot.estimate.mean[1]);
    check_metrics(&metrics, &snapshot);
}

/// Every line is a comment or a sample; names and values are those expected.
fn check_metrics(metrics: &Answer, snapshot: &ojad::snapshot::Snapshot) {
    assert!(
        metrics
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("application/openmetrics-text"))
    );
    let lines: Vec<&str> = metrics.body.lines().collect();
    assert_eq!(lines.last(), Some(&"# EOF"));
    let samples: Vec<(&str, f64)> = lines
        .iter()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            (name, value.parse().expect("a number"))
        })
        .collect();
    let value = |name: &str| {
        let found = samples.iter().find(|(found, _)| *found == name);
        found
            .unwrap_or_else(|| panic!("no {name} in\n{}", metrics.body))
            .1
    };
    assert_eq!(value("ojad_rows_total") as u64, 3000);
    assert_eq!(value("ojad_ready") as u64, 1);
    let ratio = value("ojad_explained_variance_ratio{component=\"1\"}");
    assert!((ratio - snapshot.estimate.explained_variance_ratio(0)).abs() < 1e-12);
    assert!(metrics.body.contains(&format!(
        "ojad_build_info{{version=\"{}\"}} 1",
        env!("CARGO_PKG_VERSION")
    )));
}

#[test]
fn strangers_are_refused() {
    let token = "0123456789abcdef0123456789abcdef";
    let place = Place::new(LISTEN);
    fs::write(place.path("token"), format!("{token}\n")).expect("a file");
    let file = place.path("token");
    place.configure(&format!(
        "{LISTEN}\nhttp.token_file = \"{}\"\nhttp.hosts = [\"plant.example\"]",
        file.display()
    ));
    let daemon = Daemon::start(&place);
    assert_eq!(daemon.get("/-/healthy", "").status, 200);
    let refused = daemon.get("/api/v1/status", "");
    assert_eq!(
        (refused.status, refused.header("www-authenticate")),
        (401, Some("Bearer"))
    );
    let wrong = format!("Authorization: Bearer {}\r\n", token.replace('0', "1"));
    assert_eq!(daemon.get("/metrics", &wrong).status, 401);
    let right = format!("Authorization: Bearer {token}\r\n");
    let answer = daemon.get("/api/v1/status", &right);
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .header("content-security-policy")
            .is_some_and(|policy| policy
                .starts_with("default-src 'none'; script-src 'self'; style-src 'self'; "))
    );
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    // A name that nobody gave to it, one that somebody did, and none.
    let called = |host: &str| {
        daemon
            .ask(&format!(
                "GET /api/v1/status HTTP/1.1\r\n{host}Connection: close\r\n{right}\r\n"
            ))
            .status
    };
    assert_eq!(called("Host: evil.example\r\n"), 421);
    assert_eq!(called("Host: 127.0.0.1.evil.example:80\r\n"), 421);
    assert_eq!(called("Host: plant.example:8650\r\n"), 200);
    assert_eq!(called("Host: localhost\r\n"), 200);
    assert_eq!(called("Host: [::1]:8650\r\n"), 200);
    assert_eq!(called(""), 421);
    let missing = daemon.get("/../etc/passwd", &right);
    assert_eq!(
        (missing.status, missing.header("content-type")),
        (404, Some("application/problem+json"))
    );
    let post = format!(
        "POST /api/v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n{right}\r\n"
    );
    assert_eq!(daemon.ask(&post).status, 405);
}

#[test]
fn what_would_be_unsafe_does_not_start() {
    let place = Place::new("");
    let refused = |keys: &str, what: &str| {
        place.configure(keys);
        let output = place.learn();
        assert_eq!(
            output.status.code(),
            Some(78),
            "{keys}: {}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains(what),
            "{keys}: {}",
            stderr(&output)
        );
    };
    refused("http.listen = \"0.0.0.0:8650\"", "http.token_file");
    refused("http.listen = \"8650\"", "127.0.0.1:8650");
    refused(
        "http.listen = \"127.0.0.1:0\"\nhttp.token_file = \"/no/such/file\"",
        "make it readable",
    );
    fs::write(place.path("token"), "short").expect("a file");
    let short = format!(
        "{LISTEN}\nhttp.token_file = \"{}\"",
        place.path("token").display()
    );
    refused(&short, "fewer than 16 characters");
    // A port that somebody has is named.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    place.configure(&format!("http.listen = \"{address}\""));
    let output = place.learn();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains(&format!("http.listen {address}")),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_client_that_never_ends_its_request_is_cut_off() {
    let place = Place::new(LISTEN);
    let daemon = Daemon::start(&place);
    let mut slow: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = TcpStream::connect(&daemon.address).expect("a connection");
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: local")
                .expect("a beginning");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            stream
        })
        .collect();
    // Others are served meanwhile, and rows are learned.
    parquet(&place.feed().join("a.parquet"), &rows(1000, 1));
    daemon.wait_for(1000);
    for stream in &mut slow {
        let mut rest = Vec::new();
        // Closed, with an answer or without one.
        let _ = stream.read_to_end(&mut rest).expect("an end");
    }
    assert_eq!(daemon.get("/-/healthy", "").status, 200);
}
