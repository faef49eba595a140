//! Recent rows over HTTP are rows of the feed, with their ids, scored as `ojad transform` scores them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, AsArray as _, Float32Array, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::feeds::{FEATURES, Place, parquet, rows};
use crate::http::{Daemon, LISTEN, PATIENCE};
use crate::program::{ojad, succeeded};

const IDS: &str = "features.ids = [\"name\", \"kind\"]\nhttp.label = \"kind\"";

/// The rows with a name and a kind each; row `at` stands out in its third feature.
fn named(batch: &RecordBatch, strange: usize, bad: &[usize]) -> RecordBatch {
    let n = batch.num_rows();
    let mut fields: Vec<Field> = batch
        .schema()
        .fields()
        .iter()
        .map(|field| Field::new(field.name(), DataType::Float32, true))
        .collect();
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    let third = columns[2].as_primitive::<Float32Type>();
    let third: Float32Array = (0..n)
        .map(|i| match i {
            i if i == strange => Some(500.0),
            i if bad.contains(&i) => None,
            i => Some(third.value(i)),
        })
        .collect();
    columns[2] = Arc::new(third);
    fields.push(Field::new("name", DataType::Utf8, false));
    columns.push(Arc::new(StringArray::from_iter_values(
        (0..n).map(|i| format!("row-{i}")),
    )));
    fields.push(Field::new("kind", DataType::Int32, false));
    columns.push(Arc::new((0..7).cycle().take(n).collect::<Int32Array>()));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch")
}

/// Waits until the rows that are shown are scored by components of `rows` rows.
fn shown(daemon: &Daemon, rows: u64) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = daemon.get("/api/v1/recent", "");
        let tag = answer.header("etag").unwrap_or_default().to_owned();
        let found = answer.json();
        if tag.split('-').nth(1) == Some(&rows.to_string()) && found["rows_examined"] == rows {
            return found;
        }
        assert!(Instant::now() < until, "{tag} {found}");
        std::thread::sleep(std::time::Duration::from_millis(30));
    }
}

/// Scores, residual and T² by name, as `ojad transform` has them.
fn expected(place: &Place, inputs: &str) -> HashMap<String, Vec<f64>> {
    let output = place.path("scores.parquet");
    let done = ojad()
        .args([
            "transform",
            "--on-null",
            "skip",
            "--id",
            "name",
            "--id",
            "kind",
            "--model",
        ])
        .arg(place.path("model"))
        .arg(place.feed().join(inputs))
        .arg("--output")
        .arg(&output)
        .output();
    succeeded(&done.expect("the program starts"));
    let file = std::fs::File::open(output).expect("a file");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a file");
    let mut scores = HashMap::new();
    for batch in reader.build().expect("a reader") {
        let batch = batch.expect("rows");
        let names = batch
            .column_by_name("name")
            .expect("names")
            .as_string::<i32>();
        let columns = ["pc1", "pc2", "pc3", "residual", "t2"].map(|name| {
            let column = batch.column_by_name(name).expect("a column");
            column.as_primitive::<Float64Type>().clone()
        });
        for i in 0..batch.num_rows() {
            let values = columns.iter().map(|column| column.value(i)).collect();
            scores.insert(names.value(i).to_owned(), values);
        }
    }
    scores
}

/// The rows shown are those of the feed, by their names.
fn check(isolation: &str) {
    let place = Place::new(&format!(
        "{LISTEN}\n{IDS}\nsource.on_null = \"skip\"\nsource.isolation = \"{isolation}\""
    ));
    let daemon = Daemon::start(&place);
    assert_eq!(
        daemon.get("/api/v1/recent", "").json()["rows"],
        Value::Array(Vec::new())
    );
    // 3,202 rows of which two are left out: 50 whole minibatches.
    let bad = [100, 1500];
    let batch = named(&rows(3202, 1), 2000, &bad);
    parquet(&place.feed().join("a.parquet"), &batch);
    daemon.wait_for(3202);
    let found = shown(&daemon, 3200);
    assert_eq!(
        (&found["label"], &found["components"]),
        (&"kind".into(), &3.into())
    );
    assert_eq!(found["ids"], serde_json::json!(["name", "kind"]));
    drop(daemon);
    succeeded(&place.learn());
    let scores = expected(&place, "a.parquet");
    let list = |name: &str| found[name].as_array().expect("rows").clone();
    let (ring, residual, t2) = (list("rows"), list("largest_residual"), list("largest_t2"));
    assert!(ring.len() > 1000 && residual.len() == 20 && t2.len() == 20);
    for row in ring.iter().chain(&residual).chain(&t2) {
        let name = row["ids"][0].as_str().expect("a name");
        let i: usize = name
            .strip_prefix("row-")
            .and_then(|i| i.parse().ok())
            .expect("a row");
        let before = bad.iter().filter(|bad| **bad < i).count();
        assert_eq!(row["row"], i - before);
        assert_eq!(row["ids"][1], (i % 7).to_string().as_str());
        assert_eq!(row["label"], row["ids"][1]);
        let expected = &scores[name];
        let found = row["scores"].as_array().expect("scores").iter();
        let found = found.chain([&row["residual"], &row["t2"]]);
        for (found, expected) in found.zip(expected) {
            let found = found.as_f64().expect("a number");
            // The bits of a daemon that ended and began again are the same; JSON rounds.
            assert!(
                (found - expected).abs() <= 1e-9 * expected.abs().max(1.0),
                "{row}"
            );
        }
    }
    // Among so few rows it makes a component of its own: it is far out along that.
    assert_eq!(t2[0]["ids"][0], "row-2000");
}

#[test]
fn rows_are_named_and_scored_in_a_process_of_their_own() {
    check("process");
}

#[test]
fn rows_are_named_and_scored_in_the_daemon() {
    check("none");
}

#[test]
fn who_looks_on_changes_no_bit() {
    let batch = named(&rows(5000, 3), 2000, &[]);
    let results = [LISTEN, ""].map(|listen| {
        let keys = format!("{listen}\n{IDS}");
        let keys = if listen.is_empty() {
            keys.replace("http.label = \"kind\"", "")
        } else {
            keys
        };
        let place = Place::new(&keys);
        parquet(&place.feed().join("a.parquet"), &batch);
        place.learned()
    });
    assert_eq!(results[0], results[1]);
    assert_eq!(batch.num_columns(), FEATURES + 2);
}
