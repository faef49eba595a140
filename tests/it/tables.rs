//! What a directory holds beside data: tables that a log manages, and files of other kinds.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use crate::feeds::{Place, parquet, rows, stream};
use crate::program::{ojad, refused, stderr, succeeded};
use crate::pusher::PATIENCE;

fn fit(input: impl AsRef<OsStr>) -> Output {
    let mut command = ojad();
    command.args(["fit", "-k", "2"]).arg(input);
    command.output().expect("the program starts")
}

/// A directory of rows with what makes it a table: a file by its path.
fn table(folder: &Path, log: &str) {
    let log = folder.join(log);
    fs::create_dir_all(log.parent().expect("a directory")).expect("a directory");
    fs::write(log, "{}").expect("a log");
    fs::create_dir_all(folder.join("data/day=1")).expect("a directory");
    parquet(&folder.join("live.parquet"), &rows(40, 1));
    parquet(&folder.join("data/day=1/removed.parquet"), &rows(100, 2));
}

const TABLES: [(&str, &str); 3] = [
    ("_delta_log/00000000000000000000.json", "Delta Lake"),
    (".hoodie/hoodie.properties", "Hudi"),
    ("metadata/v1.metadata.json", "Iceberg"),
];

#[test]
fn tables_are_refused_whatever_part_of_them_is_named() {
    for (log, name) in TABLES {
        let place = Place::new("");
        let folder = place.path("table");
        table(&folder, log);
        let parts = [name, "not all files", "reader of such tables"];
        refused(&fit(&folder), 1, &parts);
        refused(&fit(folder.join("data")), 1, &parts);
        refused(&fit(folder.join("data/day=1")), 1, &parts);
        refused(&fit(folder.join("*.parquet")), 1, &parts);
        refused(&fit(folder.join("data/**/*.parquet")), 1, &parts);
        // The directory above, which holds other data too.
        parquet(&place.path("beside.parquet"), &rows(30, 3));
        refused(&fit(place.path("")), 1, &parts);
        refused(&fit(place.path("**/*.parquet")), 1, &parts);
        // A glob that reaches none of it.
        succeeded(&fit(place.path("*.parquet")));
        // A named file is taken at its word.
        succeeded(&fit(folder.join("live.parquet")));
    }
}

#[test]
fn a_daemon_takes_no_file_of_a_table() {
    for (log, name) in TABLES {
        let place = Place::new("");
        table(&place.feed().join("table"), log);
        parquet(&place.feed().join("beside.parquet"), &rows(300, 3));
        let output = place.learn();
        succeeded(&output);
        let said = stderr(&output);
        let warnings = said.lines().filter(|line| line.contains(name));
        assert_eq!(warnings.count(), 1, "{said}");
        assert_eq!(place.result().rows_read, 300, "{name}");
    }
}

/// Files that are no data, and three hundred rows.
fn mixed(folder: &Path) {
    fs::write(folder.join("README.md"), "# What this is\n").expect("a file");
    fs::write(folder.join("manifest.json"), "{\"files\": 1}").expect("a file");
    fs::write(folder.join("part.crc"), b"crc\0\0\0\x02\0 and more").expect("a file");
    fs::write(folder.join("_SUCCESS"), "").expect("a file");
    parquet(&folder.join("a.parquet"), &rows(300, 1));
}

#[test]
fn other_files_are_left_out_and_counted_in_one_line() {
    let place = Place::new("");
    mixed(&place.feed());
    for input in [place.feed(), place.feed().join("*")] {
        let output = fit(input);
        succeeded(&output);
        let said = stderr(&output);
        let lines: Vec<&str> = said.lines().filter(|l| l.contains("left out")).collect();
        assert_eq!(lines.len(), 1, "{said}");
        assert!(
            lines[0].contains("3 files") && lines[0].contains("README.md"),
            "{said}"
        );
    }
    fs::remove_file(place.feed().join("a.parquet")).expect("removed");
    refused(&fit(place.feed()), 1, &["holds no data file", "3 files"]);
    // A named file is taken at its word.
    let named = place.feed().join("README.md");
    refused(
        &fit(named),
        1,
        &["README.md", "neither Parquet nor Arrow IPC"],
    );
}

#[test]
fn a_file_named_as_data_that_is_none_is_an_error() {
    for name in ["b.parquet", "b.arrow", "b.feather", "b.ipc", "b.PARQUET"] {
        for bytes in [&b"# no data at all\n"[..], b""] {
            let place = Place::new("");
            mixed(&place.feed());
            fs::write(place.feed().join(name), bytes).expect("a file");
            refused(&fit(place.feed()), 1, &[name]);
        }
    }
    // Data under another name is data.
    let place = Place::new("");
    fs::write(place.feed().join("rows.txt"), stream(&rows(50, 1))).expect("a file");
    succeeded(&fit(place.feed()));
}

#[test]
fn a_daemon_leaves_other_files_out_and_refuses_those_named_as_data() {
    let place = Place::new("source.incomplete_age_s = 1");
    mixed(&place.feed());
    fs::write(place.feed().join("b.parquet"), "# no data at all\n").expect("a file");
    // A run until it is idle does not wait for a file that may still be written.
    let log = place.path("log");
    let mut command = place.daemon();
    command.stderr(fs::File::create(&log).expect("a log"));
    let mut child = command.spawn().expect("a daemon");
    let deadline = Instant::now() + PATIENCE;
    let said = || fs::read_to_string(&log).unwrap_or_default();
    while !said().contains("it has not changed") && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = child.id().to_string();
    let sent = std::process::Command::new("kill").arg(&pid).status();
    assert!(sent.expect("kill").success());
    assert!(child.wait().expect("an end").success(), "{}", said());
    let said = said();
    let left = said.lines().filter(|line| line.contains("left out"));
    assert_eq!(left.count(), 1, "{said}");
    assert_eq!(place.inspect()["rows_read"], 300);
    let refused = place.quarantine().to_string();
    assert!(refused.contains("b.parquet"), "{refused}");
    for other in ["README.md", "manifest.json", "part.crc"] {
        assert!(!refused.contains(other), "{refused}");
    }
}

#[test]
fn a_glob_that_ends_in_a_slash_means_the_directories() {
    // `ojad fit 'plant/2026-*/'`, as the guides have it, found nothing: no file's path ends in a slash.
    let place = Place::new("");
    for (month, count) in [("2026-01", 120), ("2026-02", 80), ("2025-12", 900)] {
        let folder = place.path("plant").join(month);
        fs::create_dir_all(&folder).expect("a directory");
        parquet(&folder.join("a.parquet"), &rows(count, 1));
    }
    for pattern in ["plant/2026-*/", "plant/2026-*//", "plant/2026-*/**"] {
        let output = ojad()
            .args(["fit", "--json", "-k", "2"])
            .arg(place.path(pattern))
            .output()
            .expect("it starts");
        succeeded(&output);
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(found["rows"], 200, "{pattern}");
    }
    // Without one, `*` stays within the directory, where there is no file.
    refused(
        &fit(place.path("plant/2026-*")),
        1,
        &["no glob that matches"],
    );
}
