//! A stop: what was read is in the last snapshot, to the last row, and the state does not know that
//! there was one.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::feeds::{Place, parquet, rows};
use crate::program::{ojad, succeeded};

/// Components and features of a snapshot directory's latest.
fn tables(directory: &Path) -> [Vec<u8>; 2] {
    ["components.parquet", "features.parquet"]
        .map(|name| fs::read(directory.join("latest").join(name)).expect("a table"))
}

/// What `ojad fit` makes of the feed: it learns the last minibatch however short.
fn fitted(place: &Place) -> [Vec<u8>; 2] {
    let to = place.path("fitted");
    let mut command = ojad();
    command
        .arg("fit")
        .arg(place.feed())
        .arg("--config")
        .arg(place.config());
    let output = command.arg("--output").arg(&to).output();
    succeeded(&output.expect("the program starts"));
    tables(&to)
}

#[test]
fn the_last_snapshot_has_every_row_that_was_read() {
    // Minibatches have 64 rows: less than one, six and a part, and seven.
    for count in [40, 400, 448] {
        let place = Place::new("");
        parquet(&place.feed().join("a.parquet"), &rows(count, 1));
        succeeded(&place.learn());
        assert_eq!(tables(&place.path("model")), fitted(&place), "{count} rows");
    }
}

#[test]
fn a_signal_to_stop_leaves_a_snapshot_of_every_row_that_was_read() {
    let place = Place::new("output.every_s = 100000");
    parquet(&place.feed().join("a.parquet"), &rows(40, 1));
    let log = place.path("log");
    let mut child = place
        .daemon()
        .stderr(Stdio::from(fs::File::create(&log).expect("a log")))
        .spawn()
        .expect("the program starts");
    let deadline = Instant::now() + Duration::from_mins(1);
    while !fs::read_to_string(&log).is_ok_and(|log| log.contains("file taken")) {
        assert!(Instant::now() < deadline, "the file is not taken");
        std::thread::sleep(Duration::from_millis(2));
    }
    let pid = child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status();
    assert!(sent.expect("kill").success());
    assert!(child.wait().expect("an end").success());
    assert_eq!(tables(&place.path("model")), fitted(&place));
}

#[test]
fn stops_change_no_bit() {
    let calm = Place::new("");
    for (name, count) in [("a", 40), ("b", 300), ("c", 77)] {
        parquet(&calm.feed().join(name), &rows(count, count as u64));
    }
    let expected = calm.learned();
    let place = Place::new("");
    for (name, count) in [("a", 40), ("b", 300), ("c", 77)] {
        parquet(&place.feed().join(name), &rows(count, count as u64));
        succeeded(&place.learn());
    }
    assert_eq!(place.result(), expected);
}
