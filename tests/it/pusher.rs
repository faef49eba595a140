//! A daemon and a client that pushes rows to it.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Child;
use std::time::{Duration, Instant};

use crate::feeds::{Place, rows, stream};

/// What waits longer than this hangs.
pub const PATIENCE: Duration = Duration::from_mins(1);
const STREAM: &str = "application/vnd.apache.arrow.stream";

/// A daemon that listens, until it is dropped: then it is killed without a word.
pub struct Daemon {
    pub child: Child,
    pub address: String,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<u64>,
    pub body: serde_json::Value,
}

impl Daemon {
    pub fn start(place: &Place) -> Self {
        let started = Self::start_with(place, &[]);
        started.unwrap_or_else(|| panic!("{:?}", place.log()))
    }

    /// Starts with variables of the environment; nothing if it ends before it listens.
    pub fn start_with(place: &Place, variables: &[(&str, String)]) -> Option<Self> {
        let mut command = place.daemon();
        command.envs(variables.iter().map(|(name, value)| (*name, value)));
        let mut daemon = Self {
            child: place.spawn_with(command),
            address: String::new(),
        };
        let until = Instant::now() + PATIENCE;
        while daemon.address.is_empty() {
            if let Some(address) = place.address() {
                daemon.address = address;
            } else if daemon.child.try_wait().expect("a status").is_some() {
                return None;
            }
            assert!(Instant::now() < until, "{}", place.log());
            std::thread::sleep(Duration::from_millis(2));
        }
        Some(daemon)
    }

    pub fn push(&self, query: &str, key: &str, body: &[u8]) -> Answer {
        try_push(&self.address, query, key, body).expect("an answer")
    }

    pub fn send(&self, head: &str, body: &[u8]) -> Answer {
        send(&self.address, head, body).expect("an answer")
    }

    /// Pushes until it is not told to come again.
    pub fn push_patiently(&self, query: &str, key: &str, body: &[u8]) -> (Answer, u32) {
        let until = Instant::now() + PATIENCE;
        let mut refusals = 0;
        loop {
            let answer = self.push(query, key, body);
            if answer.status != 429 {
                return (answer, refusals);
            }
            assert!(answer.retry_after.is_some_and(|s| s >= 1), "{answer:?}");
            refusals += 1;
            assert!(Instant::now() < until, "{answer:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn end(mut self) {
        let pid = self.child.id().to_string();
        let sent = std::process::Command::new("kill").arg(&pid).status();
        assert!(sent.expect("kill").success());
        let until = Instant::now() + PATIENCE;
        while self.child.try_wait().expect("a status").is_none() {
            assert!(Instant::now() < until, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

pub fn try_push(address: &str, query: &str, key: &str, body: &[u8]) -> Option<Answer> {
    let head = format!(
        "POST /api/v1/rows{query} HTTP/1.1\r\nIdempotency-Key: {key}\r\nContent-Type: {STREAM}\r\n"
    );
    send(address, &head, body)
}

/// Nothing if the server died before it answered.
fn send(address: &str, head: &str, body: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let rest = format!(
        "Host: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(rest.as_bytes()).ok()?;
    // One that is refused by its head may be answered before it was read.
    let _ = stream.write_all(body);
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let hung = read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    assert!(!hung, "no answer: {text}");
    let (head, body) = text.split_once("\r\n\r\n")?;
    let retry_after = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        (name == "retry-after").then(|| value.parse().expect("seconds"))
    });
    Some(Answer {
        status: head.split(' ').nth(1)?.parse().ok()?,
        retry_after,
        body: serde_json::from_str(body).ok()?,
    })
}

pub const PUSH: &str = "source.inputs = [\"push:\"]";

/// A place that takes pushed rows and no files.
pub fn pushing(extra: &str) -> Place {
    let place = Place::new("");
    configure(&place, PUSH, extra);
    place
}

pub fn configure(place: &Place, inputs: &str, extra: &str) {
    place.configure(&format!("http.listen = \"127.0.0.1:0\"\n{extra}"));
    let text = fs::read_to_string(place.config()).expect("text");
    let lines: Vec<&str> = text.lines().skip(1).collect();
    fs::write(place.config(), format!("{inputs}\n{}\n", lines.join("\n"))).expect("a file");
}

/// Files and pushed bodies of the same rows: what both must end in.
pub fn bodies(count: usize) -> Vec<Vec<u8>> {
    let body = |i: usize| stream(&rows(130 + 37 * (i % 9), i as u64));
    (0..count).map(body).collect()
}

pub fn as_files(bodies: &[Vec<u8>]) -> crate::feeds::Result {
    let place = Place::new("");
    for (i, body) in bodies.iter().enumerate() {
        fs::write(place.feed().join(format!("{i:04}.arrows")), body).expect("a file");
    }
    place.learned()
}
