//! Clients that hold on to what there is only so much of: connections, memory for bodies, places of
//! requests that are scored. Whoever is honest is answered all the same, and health and metrics always.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::feeds::{Place, parquet, rows, stream};
use crate::http::{Daemon, LISTEN, PATIENCE};
use crate::pusher::pushing;

const ARROW: &str = "Content-Type: application/vnd.apache.arrow.stream\r\n";
/// What whoever starts and watches the daemon asks for.
const WATCHED: [&str; 3] = ["/-/healthy", "/-/ready", "/metrics"];

fn connect(daemon: &Daemon) -> TcpStream {
    let stream = TcpStream::connect(&daemon.address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// A connection on which so much was sent.
fn sent(daemon: &Daemon, bytes: &[u8]) -> TcpStream {
    let mut stream = connect(daemon);
    stream.write_all(bytes).expect("bytes");
    stream
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// The head of a request with a body of `len` bytes, and some of the body.
fn post(path: &str, key: &str, len: usize, begun: usize) -> Vec<u8> {
    let head = format!(
        "POST /api/v1/{path} HTTP/1.1\r\nHost: localhost\r\n{ARROW}Idempotency-Key: {key}\r\n\
         Content-Length: {len}\r\n\r\n"
    );
    [head.as_bytes(), &vec![b'x'; begun]].concat()
}

/// The status of what was answered, if anything was.
fn status(stream: &mut TcpStream) -> Option<u16> {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        // Whoever was cut off may hear of it so.
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.split(' ').nth(1)?.parse().ok()
}

fn all_watched_are_answered(daemon: &Daemon, who: &str) {
    for path in WATCHED {
        assert_eq!(daemon.get(path, "").status, 200, "{who}: {path}");
    }
}

/// Waits until a request that is no health check is answered.
fn others_are_answered(daemon: &Daemon, who: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = daemon.get("/api/v1/status", "");
        if answer.status == 200 {
            return;
        }
        assert_eq!(answer.status, 503, "{who}");
        assert_eq!(answer.header("retry-after"), Some("1"), "{who}");
        assert!(Instant::now() < until, "{who}: nobody else is answered");
    }
}

/// Sends a few bytes on each now and then, until it is told to end.
fn dribble(streams: &[TcpStream], until: &AtomicBool) {
    while !until.load(Ordering::Relaxed) {
        for mut stream in streams {
            // It may have been cut off.
            let _ = stream.write_all(b"xxxxxxxxxxxx");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn health_and_metrics_are_answered_whoever_holds_all_places() {
    let place = Place::new(&format!("{LISTEN}\nhttp.connections = 8"));
    parquet(&place.feed().join("a.parquet"), &rows(1000, 1));
    let daemon = Daemon::start(&place);
    daemon.wait_for(1000);
    let huge = 10_000_000;
    let crowds: [(&str, usize, Vec<u8>); 5] = [
        ("silent", 300, Vec::new()),
        ("half a head", 300, b"GET / HTTP/1.1\r\nX: ".to_vec()),
        ("idle", 100, get("/api/v1/status")),
        ("half a body", 100, post("transform", "k", huge, 300)),
        ("no reading", 100, get("/assets/plotly.min.js").repeat(20)),
    ];
    for (who, count, bytes) in crowds {
        let crowd: Vec<TcpStream> = (0..count).map(|_| sent(&daemon, &bytes)).collect();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            if who.starts_with("half") {
                scope.spawn(|| dribble(&crowd, &is_over));
            }
            all_watched_are_answered(&daemon, who);
            others_are_answered(&daemon, who);
            all_watched_are_answered(&daemon, who);
            is_over.store(true, Ordering::Relaxed);
        });
    }
    others_are_answered(&daemon, "all have gone");
}

#[test]
fn health_is_answered_while_others_hold_all_places_and_keep_them() {
    let place = Place::new(&format!("{LISTEN}\nhttp.connections = 8"));
    let daemon = Daemon::start(&place);
    // One address has seven of eight places. A page that is open takes what comes, and has to go for nobody.
    let mut pages: Vec<TcpStream> = (0..7)
        .map(|_| sent(&daemon, &get("/api/v1/events")))
        .collect();
    let mut piece = [0; 12];
    for page in &mut pages {
        page.read_exact(&mut piece).expect("a stream");
        assert_eq!(&piece, b"HTTP/1.1 200");
    }
    for _ in 0..3 {
        all_watched_are_answered(&daemon, "open pages");
        let answer = daemon.get("/api/v1/status", "");
        assert_eq!(
            (answer.status, answer.header("retry-after")),
            (503, Some("1"))
        );
    }
    // All of them are still there: behind what came is no end.
    for page in &mut pages {
        page.set_nonblocking(true).expect("a socket");
        let mut bytes = vec![0; 1 << 16];
        let end = loop {
            match page.read(&mut bytes) {
                Ok(0) => break None,
                Ok(_) => {}
                Err(error) => break Some(error.kind()),
            }
        };
        assert_eq!(end, Some(ErrorKind::WouldBlock));
    }
    // One that goes leaves its place to another.
    pages.pop();
    others_are_answered(&daemon, "a page was closed");
}

#[test]
fn bodies_that_dribble_are_ended_and_keep_no_other_out() {
    let place = pushing("http.body_mib = 1");
    let daemon = Daemon::start(&place);
    let announced = |i: usize| sent(&daemon, &post("rows", &i.to_string(), 1 << 20, 300));
    let mut slow: Vec<TcpStream> = (0..20).map(announced).collect();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| dribble(&slow, &is_over));
        // Nobody has to come again, from the first moment on.
        for i in 0..5 {
            let head = format!("{ARROW}Idempotency-Key: good{i}\r\n");
            let answer = daemon.post("/api/v1/rows", &head, &stream(&rows(100, i)));
            assert_eq!(answer.status, 202, "{}", answer.body);
        }
        daemon.wait_for(500);
        // Every one of them is told why, dribbling all the while.
        for stream in &slow {
            let mut stream = stream.try_clone().expect("a handle");
            assert_eq!(status(&mut stream), Some(408));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    slow.clear();
    others_are_answered(&daemon, "nobody");
}

#[test]
fn bodies_that_fill_the_memory_and_stop_make_way() {
    let place = pushing("http.body_mib = 1\nhttp.body_least_bytes_per_s = 1");
    let daemon = Daemon::start(&place);
    // Four of the largest bodies are held at a time, and all but the last byte of each comes.
    let nearly = (1 << 20) - 1;
    let mut full: Vec<TcpStream> = (0..4)
        .map(|i| sent(&daemon, &post("rows", &i.to_string(), 1 << 20, nearly)))
        .collect();
    let until = Instant::now() + PATIENCE;
    let body = stream(&rows(5000, 1));
    let mut refused = false;
    loop {
        let answer = daemon.post(
            "/api/v1/rows",
            &format!("{ARROW}Idempotency-Key: good\r\n"),
            &body,
        );
        match answer.status {
            202 => break,
            429 => refused = true,
            other => panic!("{other}: {}", answer.body),
        }
        assert!(Instant::now() < until, "nobody made way");
    }
    // Who made way is told so; of the others, all that they sent was looked at, or it had no room.
    let mut told = Vec::new();
    for stream in &mut full {
        let _ = stream.write_all(b"x");
        told.push(status(stream));
    }
    assert!(told.contains(&Some(408)), "{told:?} {refused}");
    assert!(
        told.iter().all(|one| matches!(one, Some(400 | 408 | 429))),
        "{told:?}"
    );
}

#[test]
fn an_honest_client_on_a_slow_link_is_waited_for() {
    let place = pushing("");
    let daemon = Daemon::start(&place);
    let body = stream(&rows(500, 1));
    let mut slow = sent(&daemon, &post("rows", "slow", body.len(), 0));
    // Eight KiB a second, in pieces, with pauses of half a second between them.
    for piece in body.chunks(4096) {
        slow.write_all(piece).expect("it is waited for");
        std::thread::sleep(Duration::from_millis(500));
    }
    let mut line = [0; 12];
    slow.read_exact(&mut line).expect("an answer");
    assert_eq!(&line, b"HTTP/1.1 202");
    daemon.wait_for(500);
}

#[test]
fn who_sends_too_much_sees_why_it_is_refused() {
    let place = pushing("http.body_mib = 1");
    let daemon = Daemon::start(&place);
    let large = vec![0; 20 << 20];
    for path in ["rows", "transform", "score"] {
        let head = format!("{ARROW}Idempotency-Key: k\r\n");
        let answer = daemon.post(&format!("/api/v1/{path}"), &head, &large);
        assert_eq!(answer.status, 413, "{path}: {}", answer.body);
        assert_eq!(answer.header("connection"), Some("close"), "{path}");
    }
    // Nobody asked for this one.
    assert_eq!(daemon.post("/api/v1/nothing", "", &large).status, 413);
    // Without a length it is found out on the way.
    let mut chunked = format!(
        "POST /api/v1/rows HTTP/1.1\r\nHost: localhost\r\n{ARROW}Idempotency-Key: k\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for chunk in large.chunks(1 << 16) {
        chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let answer = daemon.exchange(&chunked);
    assert!(answer.starts_with(b"HTTP/1.1 413"), "{answer:?}");
}

#[test]
fn what_a_noisy_client_uses_up_is_not_the_rate_of_health_and_metrics() {
    let place = Place::new(&format!("{LISTEN}\nhttp.requests_per_s = 5"));
    let daemon = Daemon::start(&place);
    for path in ["/api/v1/log", "/metrics", "/-/ready"] {
        // Pipelined, so that no time passes between them.
        let mut noisy = get(path).repeat(99);
        noisy.extend_from_slice(
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        );
        let answers = String::from_utf8_lossy(&daemon.exchange(&noisy)).into_owned();
        let refused = answers.matches("HTTP/1.1 429").count();
        assert!(refused > 50, "{path}: {refused}");
        all_watched_are_answered(&daemon, path);
    }
}
