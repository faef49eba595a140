//! Nobody keeps others out, nobody asks for more than is allowed, and nobody listens in.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::feeds::{Place, parquet, rows};
use crate::http::{Daemon, LISTEN, PATIENCE};
use crate::program::refused;

/// A connection that has had one answer and asks for nothing more.
fn idle(daemon: &Daemon) -> TcpStream {
    let mut stream = TcpStream::connect(&daemon.address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = format!(
        "GET /api/v1/status HTTP/1.1\r\nHost: {}\r\n\r\n",
        daemon.address
    );
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200");
    stream
}

/// Whether the other side has ended it.
fn is_ended(stream: &mut TcpStream) -> bool {
    stream
        .set_read_timeout(Some(Duration::from_millis(1)))
        .expect("a timeout");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).is_ok()
}

#[test]
fn a_thousand_idle_connections_keep_nobody_out() {
    let keys = "http.connections = 100\nhttp.requests_per_s = 100000";
    let place = Place::new(&format!("{LISTEN}\n{keys}"));
    let daemon = Daemon::start(&place);
    let begun = Instant::now();
    // Half of them had an answer, half never said a word.
    let mut held: Vec<TcpStream> = (0..1000)
        .map(|i| match i % 2 {
            0 => idle(&daemon),
            _ => TcpStream::connect(&daemon.address).expect("a connection"),
        })
        .collect();
    let asked = Instant::now();
    assert_eq!(daemon.get("/api/v1/status", "").status, 200);
    let (held_ms, answered_ms) = (begun.elapsed().as_millis(), asked.elapsed().as_millis());
    println!("1,000 idle connections in {held_ms} ms, a newcomer answered in {answered_ms} ms");
    // The oldest made room; the youngest are still there: 100 that were answered, and 128 that never said
    // a word.
    let ended = held.iter_mut().map(is_ended).collect::<Vec<_>>();
    assert!(
        ended[..1000 - 2 * 128].iter().all(|ended| *ended),
        "{ended:?}"
    );
    let is_left = |parity: usize| {
        let left = ended.iter().enumerate();
        left.filter(|(i, ended)| i % 2 == parity && !**ended)
            .count()
    };
    assert!((1..=100).contains(&is_left(0)), "{ended:?}");
    assert!((1..=128).contains(&is_left(1)), "{ended:?}");
    // And rows are learned.
    parquet(&place.feed().join("a.parquet"), &rows(1000, 1));
    daemon.wait_for(1000);
}

#[test]
fn an_event_stream_does_not_make_room() {
    let place = Place::new(&format!("{LISTEN}\nhttp.connections = 4"));
    let daemon = Daemon::start(&place);
    let mut stream = TcpStream::connect(&daemon.address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = format!(
        "GET /api/v1/events HTTP/1.1\r\nHost: {}\r\n\r\n",
        daemon.address
    );
    stream.write_all(request.as_bytes()).expect("a request");
    let held: Vec<TcpStream> = (0..20).map(|_| idle(&daemon)).collect();
    let mut events = [0; 4096];
    for _ in 0..3 {
        assert!(stream.read(&mut events).expect("events") > 0);
    }
    drop(held);
}

#[test]
fn a_client_that_asks_too_often_is_told_when_to_come_back() {
    let place = Place::new(&format!("{LISTEN}\nhttp.requests_per_s = 5"));
    let daemon = Daemon::start(&place);
    let answers: Vec<_> = (0..30).map(|_| daemon.get("/api/v1/status", "")).collect();
    let refused = answers.iter().filter(|answer| answer.status == 429).count();
    assert!(refused >= 10, "{refused}");
    assert!(answers[..8].iter().all(|answer| answer.status == 200));
    let last = answers.iter().rfind(|answer| answer.status == 429);
    assert_eq!(
        last.and_then(|answer| answer.header("retry-after")),
        Some("1")
    );
    // Whether it lives may be asked at any time.
    assert_eq!(daemon.get("/-/healthy", "").status, 200);
    let until = Instant::now() + PATIENCE;
    while daemon.get("/api/v1/status", "").status == 429 {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn pages_of_other_sites_may_send_nothing() {
    let place = Place::new(LISTEN);
    let daemon = Daemon::start(&place);
    let own = format!("Origin: http://{}\r\n", daemon.address);
    let sent = |headers: &str| daemon.post("/api/v1/snapshot", headers, b"").status;
    // 404: control is off. It was let through to that answer.
    assert_eq!(sent(""), 404);
    assert_eq!(sent(&own), 404);
    assert_eq!(sent("Sec-Fetch-Site: same-origin\r\n"), 404);
    assert_eq!(sent("Origin: http://evil.example\r\n"), 403);
    assert_eq!(sent("Origin: null\r\n"), 403);
    assert_eq!(sent("Origin: http://127.0.0.1:1\r\n"), 403);
    assert_eq!(sent("Sec-Fetch-Site: cross-site\r\n"), 403);
    assert_eq!(sent("Sec-Fetch-Site: same-site\r\n"), 403);
    // Nothing says that another site may read an answer.
    let answer = daemon.get("/api/v1/status", "Origin: http://evil.example\r\n");
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (200, None)
    );
    let preflight = format!(
        "OPTIONS /api/v1/status HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
         Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n\r\n",
        daemon.address
    );
    assert_eq!(daemon.ask(&preflight).status, 403);
}

#[test]
fn what_is_too_large_is_refused_before_it_is_read() {
    let place = Place::new(&format!("{LISTEN}\nhttp.body_mib = 1"));
    let daemon = Daemon::start(&place);
    let head = |path: &str, length: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{length}\r\n",
            daemon.address
        )
    };
    let announced = daemon.ask(&head("/api/v1/transform", "Content-Length: 1048577\r\n"));
    assert_eq!(announced.status, 413);
    assert!(
        announced.body.contains("http.body_mib"),
        "{}",
        announced.body
    );
    let long = format!("X-Long: {}\r\n", "x".repeat(100_000));
    assert_eq!(daemon.get("/api/v1/status", &long).status, 431);
    let many = format!("X-Many: {}\r\n", "x".repeat(200)).repeat(90);
    assert_eq!(daemon.get("/api/v1/status", &many).status, 431);
    let head = format!(
        "HEAD /api/v1/status HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        daemon.address
    );
    let answer = daemon.ask(&head);
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    let two = format!(
        "GET /api/v1/status HTTP/1.1\r\nHost: {0}\r\nHost: {0}\r\nConnection: close\r\n\r\n",
        daemon.address
    );
    assert!(matches!(daemon.ask(&two).status, 400 | 421));
}

/// A file of `tests/data/tls`.
fn pem(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/tls")
        .join(name)
}

fn tls_keys(certificate: &str, key: &str) -> String {
    format!(
        "{LISTEN}\nhttp.tls_certificate = \"{}\"\nhttp.tls_key = \"{}\"",
        pem(certificate).display(),
        pem(key).display()
    )
}

#[test]
fn with_a_certificate_nobody_listens_in() {
    let place = Place::new(&tls_keys("one.pem", "one.key.pem"));
    let daemon = Daemon::start(&place);
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(pem("one.pem")).expect("a certificate");
    roots.add(certificate).expect("a root");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let stream = TcpStream::connect(&daemon.address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut stream = StreamOwned::new(client, stream);
    let request = format!(
        "GET /api/v1/status HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        daemon.address
    );
    stream.write_all(request.as_bytes()).expect("a request");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert!(
        text.to_lowercase()
            .contains("strict-transport-security: max-age=")
    );
    // Whoever speaks plain HTTP gets no answer, and keeps nobody out.
    let mut plain = TcpStream::connect(&daemon.address).expect("a connection");
    plain.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    plain.write_all(request.as_bytes()).expect("a request");
    let mut rest = Vec::new();
    let _ = plain.read_to_end(&mut rest);
    assert!(!rest.starts_with(b"HTTP/"), "{rest:?}");
}

#[test]
fn a_certificate_that_does_not_fit_is_refused_at_the_start() {
    let place = Place::new("");
    let start = |keys: &str| {
        place.configure(keys);
        place.learn()
    };
    let mismatch = start(&tls_keys("one.pem", "other.key.pem"));
    refused(
        &mismatch,
        78,
        &["http.tls_certificate", "one.pem", "private key"],
    );
    let missing = start(&tls_keys("none.pem", "one.key.pem"));
    refused(&missing, 78, &["http.tls_certificate", "none.pem"]);
    let swapped = start(&tls_keys("one.key.pem", "one.key.pem"));
    refused(&swapped, 78, &["http.tls_certificate", "no certificate"]);
    let half = format!(
        "{LISTEN}\nhttp.tls_key = \"{}\"",
        pem("one.key.pem").display()
    );
    refused(&start(&half), 78, &["http.tls_certificate", "both files"]);
}
