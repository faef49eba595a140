//! The first file fixes the features with its first row that is taken, and never before: whatever
//! cannot be learned from is refused, and the feed is as free as it was. A kill at every step of such a
//! feed is tried in `crash.rs`, failing disks in `faults.rs`.

use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, RecordBatch};

use crate::feeds::{Place, foreign, parquet, rows, stream};
use crate::program::{ojad, refused, stderr, succeeded};
use crate::pusher::{Daemon, pushing};

/// Rows with fewer features than the three components that are learned here.
fn narrow(count: usize) -> RecordBatch {
    let column = |name: &str| {
        let values = (0..count).map(|i| i as f32 * 0.5);
        let values: ArrayRef = Arc::new(Float32Array::from_iter_values(values));
        (name.to_owned(), values)
    };
    RecordBatch::try_from_iter(["x0", "x1"].map(column)).expect("a batch")
}

/// State and rows of a run over files in the order of their names.
fn learned(first: Option<&RecordBatch>, extra: &str) -> (Place, crate::feeds::Result) {
    let place = Place::new(extra);
    if let Some(first) = first {
        parquet(&place.feed().join("0.parquet"), first);
    }
    parquet(&place.feed().join("a.parquet"), &rows(500, 1));
    parquet(&place.feed().join("b.parquet"), &rows(300, 2));
    let found = place.learned();
    (place, found)
}

#[test]
fn a_first_file_of_which_no_row_was_taken_fixes_no_features() {
    let (_, calm) = learned(None, "");
    // Refused at its first row, without a row, too narrow for the components.
    for (first, quarantined) in [(foreign(3), 1), (foreign(0), 0), (narrow(50), 1)] {
        let (place, found) = learned(Some(&first), "");
        let features = first.num_columns();
        assert_eq!(found.state, calm.state, "{features} features");
        assert_eq!(found.rows_read, 800, "{features} features");
        assert_eq!(found.quarantined, quarantined, "{features} features");
        // Nor does it after a restart, when more comes.
        parquet(&place.feed().join("c.parquet"), &rows(200, 3));
        assert_eq!(place.learned().rows_read, 1000, "{features} features");
    }
    // All of its rows are left out: they are counted, and that is all.
    let (place, found) = learned(Some(&foreign(3)), "source.on_nan = \"skip\"");
    assert_eq!((found.rows_read, found.quarantined), (803, 0));
    let inspected = place.inspect();
    assert_eq!(inspected["rows_rejected"], 3);
    assert_eq!(inspected["features"], 12);
}

#[test]
fn a_stream_that_has_only_a_schema_yet_fixes_no_features() {
    let place = Place::new("");
    let empty = stream(&foreign(0));
    fs::write(place.feed().join("0.arrows"), &empty[..empty.len() - 8]).expect("a file");
    parquet(&place.feed().join("a.parquet"), &rows(500, 1));
    assert_eq!(place.learned().rows_read, 500);
    // When its rows come, they do not agree.
    let whole = stream(&foreign(30));
    fs::write(place.feed().join("0.arrows"), whole).expect("a file");
    let found = place.learned();
    assert_eq!((found.rows_read, found.quarantined), (500, 1));
}

#[test]
fn fewer_features_than_components_are_told_with_the_same_words_by_all() {
    let words = "components = 3, but there are only 2 features";
    let (place, _) = learned(Some(&narrow(50)), "");
    let listed = place.quarantine().to_string();
    assert!(
        listed.contains(words) && listed.contains("0.parquet"),
        "{listed}"
    );
    let alone = place.feed().join("0.parquet");
    let output = ojad()
        .arg("fit")
        .arg(&alone)
        .args(["-k", "3"])
        .output()
        .expect("the program starts");
    refused(&output, 2, &[words, "0.parquet", "ask for at most 2"]);
}

#[test]
fn a_feed_of_narrow_files_alone_goes_on_and_waits_for_a_better_one() {
    let place = Place::new("");
    parquet(&place.feed().join("0.parquet"), &narrow(50));
    for _ in 0..2 {
        let output = place.learn();
        succeeded(&output);
        assert_eq!(place.inspect()["quarantined"], 1, "{}", stderr(&output));
    }
    parquet(&place.feed().join("a.parquet"), &rows(500, 1));
    assert_eq!(place.learned().rows_read, 500);
}

#[test]
fn a_pushed_body_that_can_fix_no_features_is_answered_422_and_ends_nothing() {
    let place = pushing("");
    let daemon = Daemon::start(&place);
    let answer = daemon.push("", "narrow", &stream(&narrow(50)));
    assert_eq!(answer.status, 422, "{answer:?}");
    let said = answer.body.to_string();
    assert!(
        said.contains("components = 3, but there are only 2 features"),
        "{said}"
    );
    // The body is well formed; only its rows cannot be learned.
    let answer = daemon.push("?ack=durable", "nan", &stream(&foreign(5)));
    assert_eq!(answer.status, 422, "{answer:?}");
    let answer = daemon.push("?ack=durable", "good", &stream(&rows(200, 1)));
    assert_eq!(
        (answer.status, &answer.body["rows"]),
        (200, &200.into()),
        "{answer:?}"
    );
    // From now on the features are fixed, and a body is held against them at once.
    let answer = daemon.push("", "other", &stream(&foreign(5)));
    assert_eq!(answer.status, 422, "{answer:?}");
    drop(daemon);
    let daemon = Daemon::start(&place);
    let answer = daemon.push("", "other", &stream(&foreign(5)));
    assert_eq!(answer.status, 422, "{answer:?}");
    let answer = daemon.push("", "good", &stream(&rows(200, 1)));
    assert_eq!(answer.body["status"], "duplicate", "{answer:?}");
    daemon.end();
    assert_eq!(place.inspect()["rows_read"], 200);
}
