//! The page: its files are whole, named by what they hold, and bring in nothing from elsewhere.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use flate2::read::GzDecoder;

use crate::feeds::Place;
use crate::http::{Daemon, LISTEN};

const PATIENCE: Duration = Duration::from_mins(1);
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What was answered: its status, its head in lower case, its body as it came.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(key, _)| *key == name);
        found.next().map(|(_, value)| value)
    }
}

fn get(daemon: &Daemon, path: &str, headers: &str) -> Answer {
    let mut stream = TcpStream::connect(&daemon.address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let address = &daemon.address;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an answer");
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.expect("a head");
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let status = head.split(' ').nth(1).expect("a status");
    Answer {
        status: status.parse().expect("a number"),
        body: bytes[end + 4..].to_vec(),
        head,
    }
}

/// The files of the page as they lie in the tree.
fn files() -> Vec<(String, String)> {
    files_of("src/http/page")
}

fn files_of(place: &str) -> Vec<(String, String)> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join(place);
    let mut files: Vec<_> = fs::read_dir(place)
        .expect("a directory")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_none_or(|kind| kind != "rs"))
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy();
            (name.into_owned(), fs::read_to_string(&path).expect("text"))
        })
        .collect();
    files.sort();
    files
}

#[test]
fn every_file_comes_whole_with_its_type_and_once() {
    let place = Place::new(LISTEN);
    let daemon = Daemon::start(&place);
    for (name, text) in files() {
        let (path, kind) = match name.rsplit_once('.') {
            Some(("index", _)) => ("/".to_owned(), "text/html; charset=utf-8"),
            Some((_, "js")) => (format!("/assets/{name}"), "text/javascript; charset=utf-8"),
            Some((_, "css")) => (format!("/assets/{name}"), "text/css; charset=utf-8"),
            Some((_, "svg")) => (format!("/assets/{name}"), "image/svg+xml"),
            _ => panic!("{name}: no type"),
        };
        let answer = get(&daemon, &path, "");
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some(kind)),
            "{name}"
        );
        assert!(answer.body == text.as_bytes(), "{name}: other bytes");
        assert_eq!(answer.header("cache-control"), Some("no-cache"), "{name}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let policy = answer.header("content-security-policy").expect("a policy");
        let is_same = policy.split_whitespace().eq(POLICY.split_whitespace());
        assert!(is_same, "{name}: {policy}");
        let tag = answer.header("etag").expect("a tag");
        let again = get(&daemon, &path, &format!("If-None-Match: {tag}\r\n"));
        assert_eq!((again.status, again.body.len()), (304, 0), "{name}");
        let other = get(&daemon, &path, "If-None-Match: \"another\"\r\n");
        assert_eq!(other.status, 200, "{name}");
    }
    for path in [
        "/assets/",
        "/assets/page.rs",
        "/assets/..%2fpage.rs",
        "/assets/a/b",
    ] {
        assert_eq!(get(&daemon, path, "").status, 404, "{path}");
    }
}

#[test]
fn plotly_is_the_same_packed_and_unpacked() {
    let place = Place::new(LISTEN);
    let daemon = Daemon::start(&place);
    let path = "/assets/plotly.min.js";
    let plain = get(&daemon, path, "");
    let packed = get(&daemon, path, "Accept-Encoding: br, gzip\r\n");
    assert_eq!((plain.status, packed.status), (200, 200));
    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let mut unpacked = Vec::new();
    let read = GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked);
    read.expect("gzip");
    assert!(unpacked == plain.body, "they differ");
    assert!(String::from_utf8_lossy(&plain.body).contains("plotly.js v3"));
    // A cache must not give the one for the other.
    let tag = |answer: &Answer| answer.header("etag").map(str::to_owned);
    assert_ne!(tag(&plain), tag(&packed));
    for answer in [&plain, &packed] {
        assert_eq!(answer.header("vary"), Some("accept-encoding"));
    }
    let known = format!(
        "Accept-Encoding: gzip\r\nIf-None-Match: {}\r\n",
        tag(&packed).expect("a tag")
    );
    assert_eq!(get(&daemon, path, &known).status, 304);
}

#[test]
fn the_page_comes_without_the_token_and_nothing_of_the_run_does() {
    let place = Place::new(LISTEN);
    fs::write(place.path("token"), "0123456789abcdef0123456789abcdef\n").expect("a file");
    let file = place.path("token");
    place.configure(&format!(
        "{LISTEN}\nhttp.token_file = \"{}\"",
        file.display()
    ));
    let daemon = Daemon::start(&place);
    for path in ["/", "/assets/app.js", "/assets/plotly.min.js"] {
        assert_eq!(get(&daemon, path, "").status, 200, "{path}");
    }
    for path in [
        "/api/v1/status",
        "/metrics",
        "/assets",
        "//",
        "/assets/../api/v1/status",
    ] {
        assert_ne!(get(&daemon, path, "").status, 200, "{path}");
    }
    assert_eq!(get(&daemon, "/api/v1/status", "").status, 401);
}

#[test]
fn the_page_asks_nobody_else_and_has_no_code_inline() {
    let mut all = files();
    all.extend(files_of("crates/lab/src/page"));
    assert!(all.len() > 15, "{} files", all.len());
    for (name, text) in all {
        // The namespace of SVG is a name, not a place.
        let text = text.replace("http://www.w3.org/2000/svg", "");
        for word in ["http://", "https://", "url(", "@import", "\"//", "'//"] {
            assert!(!text.contains(word), "{name}: {word}");
        }
        // Text from the server may only become text.
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "new Function",
            " onclick=",
            " onload=",
            " onerror=",
        ] {
            assert!(!text.contains(word), "{name}: {word}");
        }
        let is_page = Path::new(&name)
            .extension()
            .is_some_and(|kind| kind == "html");
        if is_page {
            assert!(!text.contains("<style") && !text.contains(" style="));
            for script in text.split("<script").skip(1) {
                let (head, body) = script.split_once('>').expect("an end");
                assert!(head.contains(" src=\"/assets/"), "{head}");
                assert!(body.starts_with("</script>"), "{body}");
            }
        }
    }
}
