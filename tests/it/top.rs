//! `ojad top --once` tells what a daemon does; the dashboard and the alerts ask for metrics that exist.

use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::feeds::{Place, parquet, rows};
use crate::program::{ojad, refused, stderr, succeeded};

/// What waits longer than this hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// A daemon that listens, until it is dropped.
struct Daemon(Child, String);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Daemon {
    fn start(place: &Place) -> Self {
        let mut daemon = Self(place.spawn(), String::new());
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(address) = place.address() {
                daemon.1 = format!("http://{address}");
                return daemon;
            }
            assert!(Instant::now() < until, "{}", place.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn top(url: &str, more: &[&str]) -> Output {
    let mut command = ojad();
    command
        .env_remove("OJAD_HTTP_TOKEN")
        .env("LC_ALL", "C.UTF-8");
    command.args(["top", "--once", "--url", url]).args(more);
    command.output().expect("the program starts")
}

#[test]
fn one_page_tells_what_the_daemon_does() {
    let place = Place::new("http.listen = \"127.0.0.1:0\"");
    let daemon = Daemon::start(&place);
    let empty = top(&daemon.1, &[]);
    succeeded(&empty);
    let text = String::from_utf8(empty.stdout).expect("text");
    assert!(text.contains("no components yet"), "{text}");
    parquet(&place.feed().join("a.parquet"), &rows(3200, 1));
    let until = Instant::now() + PATIENCE;
    let text = loop {
        let output = top(&daemon.1, &[]);
        succeeded(&output);
        let text = String::from_utf8(output.stdout).expect("text");
        // 3,200 rows are 50 minibatches of 64; the components of all of them have three lines.
        if text.contains("rows      3,200 learned") && text.contains("\n    3 ") {
            break text;
        }
        assert!(Instant::now() < until, "{text}");
        std::thread::sleep(Duration::from_millis(50));
    };
    for part in [
        "ojad 0.1.0 at http://127.0.0.1:",
        "    1 █",
        "checkpoint",
        "noise variance",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "{text}");
    // A program that is not `--once` needs a terminal, and says what does not.
    let output = ojad()
        .args(["top", "--url", &daemon.1])
        .stdin(Stdio::null())
        .output();
    refused(&output.expect("the program starts"), 2, &["--once"]);
    let url = daemon.1.clone();
    drop(daemon);
    refused(&top(&url, &[]), 1, &[&url, "http.listen", "--url"]);
}

#[test]
fn a_token_is_asked_for_by_name() {
    let place = Place::new("");
    let token = place.path("token");
    fs::write(&token, "0123456789abcdef\n").expect("a file");
    let token = token.to_str().expect("text");
    place.configure(&format!(
        "http.listen = \"127.0.0.1:0\"\nhttp.token_file = \"{token}\""
    ));
    let daemon = Daemon::start(&place);
    refused(
        &top(&daemon.1, &[]),
        1,
        &["401", "--token-file", "OJAD_HTTP_TOKEN"],
    );
    succeeded(&top(&daemon.1, &["--token-file", token]));
    let missing = place.path("none");
    let missing = missing.to_str().expect("text");
    refused(
        &top(&daemon.1, &["--token-file", missing]),
        1,
        &[missing, "readable"],
    );
    refused(
        &top(&daemon.1, &["--ca", token]),
        1,
        &["--ca", "no certificate"],
    );
    refused(&top("127.0.0.1:8650", &[]), 2, &["--url", "http://"]);
    refused(&top("https://127.0.0.1:8650", &[]), 2, &["--ca"]);
}

/// The metrics that `/metrics` promises.
const METRICS: [&str; 16] = [
    "rows_total",
    "rows_rejected_total",
    "source_lag_bytes",
    "source_lag_files",
    "minibatch_update_seconds",
    "snapshot_last_success_timestamp_seconds",
    "checkpoint_last_success_timestamp_seconds",
    "drift_distance",
    "drift_score",
    "drift_threshold",
    "drifts_total",
    "explained_variance_ratio",
    "eigenvalue",
    "ready",
    "files_quarantined_total",
    "build_info",
];

fn config(name: &str) -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    fs::read_to_string(format!("{root}/config/{name}")).expect("text")
}

/// Names that begin with `ojad_`, without what a histogram adds.
fn asked_for(text: &str) -> Vec<String> {
    let names = text.split("ojad_").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_');
        let name = &rest[..end.unwrap_or(rest.len())];
        let name = name.strip_suffix("_bucket").unwrap_or(name);
        name.strip_suffix("_sum").unwrap_or(name).to_owned()
    });
    names.collect()
}

#[test]
fn the_dashboard_shows_every_metric_and_no_other() {
    let text = config("grafana-dashboard.json");
    let dashboard: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let asked = asked_for(&text);
    for name in METRICS {
        assert!(asked.iter().any(|one| one == name), "no panel shows {name}");
    }
    for name in asked.iter().chain(&asked_for(&config("alerts.yml"))) {
        assert!(METRICS.contains(&name.as_str()), "nobody has ojad_{name}");
    }
    // Each panel has an expression, a place of its own, and a title.
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut places: Vec<(u64, u64)> = Vec::new();
    for panel in panels {
        assert!(panel["targets"][0]["expr"].is_string() && panel["title"].is_string());
        let at = |key: &str| panel["gridPos"][key].as_u64().expect("a number");
        assert!(at("x") + at("w") <= 24, "{panel}");
        assert!(!places.contains(&(at("x"), at("y"))), "{panel}");
        places.push((at("x"), at("y")));
    }
}

#[test]
fn the_alerts_fire_when_they_should() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
    let promtool = |args: [&str; 3]| {
        let output = Command::new("promtool")
            .args(args)
            .current_dir(root)
            .output();
        output.map(|output| {
            assert!(output.status.success(), "{}", stderr(&output));
        })
    };
    if promtool(["check", "rules", "alerts.yml"]).is_err() {
        println!("promtool is not here: the alerts were looked at only");
        return;
    }
    promtool(["test", "rules", "alerts.test.yml"]).expect("promtool");
}
