//! `ojad lab align`: what the rules come to, and what is refused.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use ojad::lab::align::{Rule, Run, Setup, compare, of_rule};
use ojad::lab::{self, Data};
use ojad::source::SourceParams;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::program::{FASHION, refused, run, stderr, succeeded};

fn fashion() -> Data {
    let params = SourceParams {
        ids: vec!["label".into()],
        exclude: vec!["id".into()],
        ..SourceParams::default()
    };
    lab::read(&[FASHION.into()], &params).expect("data")
}

/// The claim of the paper, on five hidden layers and five epochs: with the same start, split and
/// order, information alignment is better than feedback alignment.
#[test]
fn information_alignment_beats_feedback_alignment() {
    let setup = Setup {
        epochs: 5,
        ..Setup::default()
    };
    let rules = [
        Rule::Backprop,
        Rule::Feedback,
        Rule::Information,
        Rule::InformationNoise,
        Rule::Symmetric,
    ];
    let runs = compare(&fashion(), &setup, &rules, &[0, 1], &|_| {}).expect("runs");
    let end = |run: &Run| run.last().expect("an epoch").clone();
    let accuracy = |rule| {
        let of = of_rule(&runs, rule);
        of.iter()
            .map(|run| end(run).test_accuracy)
            .collect::<Vec<f64>>()
    };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    for rule in rules {
        println!("{}: {:.3?}", rule.name(), accuracy(rule));
    }
    let feedback = accuracy(Rule::Feedback);
    for rule in [
        Rule::Information,
        Rule::InformationNoise,
        Rule::Symmetric,
        Rule::Backprop,
    ] {
        for (own, other) in accuracy(rule).iter().zip(&feedback) {
            assert!(own > other, "{}: {own} {other}", rule.name());
        }
    }
    let [backprop, noise] = [Rule::Backprop, Rule::InformationNoise].map(accuracy);
    assert!(mean(&backprop) - mean(&noise) < 0.03);

    // Feedback alignment's B is where it was; the others' have come to Wᵀ.
    let angles = |rule| {
        let of = of_rule(&runs, rule);
        of.iter()
            .flat_map(|run| end(run).angles)
            .collect::<Vec<f64>>()
    };
    assert!(angles(Rule::Backprop).iter().all(|angle| *angle < 1e-5));
    assert!(angles(Rule::Feedback).iter().all(|angle| *angle > 60.0));
    assert!(angles(Rule::Information).iter().all(|angle| *angle < 60.0));
    assert!(
        angles(Rule::InformationNoise)
            .iter()
            .all(|angle| *angle < 30.0)
    );
    assert!(angles(Rule::Symmetric).iter().all(|angle| *angle < 5.0));
}

#[test]
fn the_command_writes_its_table_and_its_picture_the_same_twice() {
    let place = tempfile::tempdir().expect("a directory");
    let mut texts = Vec::new();
    for name in ["one", "two"] {
        let output = place.path().join(name);
        let output = output.to_str().expect("text");
        let done = run(&[
            "lab",
            "align",
            FASHION,
            "--exclude",
            "id",
            "--rules",
            "information,backprop",
            "--epochs",
            "1",
            "--seeds",
            "2",
            "--hidden",
            "12,8",
            "--output",
            output,
            "--json",
        ]);
        succeeded(&done);
        assert_eq!(stderr(&done).matches("test accuracy").count(), 4);
        let picture = std::fs::read_to_string(format!("{output}/align.svg")).expect("a picture");
        assert!(picture.contains("information"));
        assert!(std::fs::metadata(format!("{output}/align.png")).is_ok());
        texts.push((String::from_utf8(done.stdout).expect("text"), picture));
    }
    assert_eq!(texts[0], texts[1]);
    let value: serde_json::Value = serde_json::from_str(&texts[0].0).expect("JSON");
    assert_eq!(value["rules"][0]["rule"], "backprop");
    assert_eq!(value["rules"][1]["angles"][0]["layer"], 2);

    let file = std::fs::File::open(place.path().join("one/align.parquet")).expect("a table");
    let table = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
    let names: Vec<String> = table
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    assert_eq!(
        names.join(" "),
        "rule seed epoch train_loss test_accuracy gradient_angle angle_layer_2 angle_layer_3"
    );
    let batches = table.build().expect("a reader");
    let rows: usize = batches.map(|batch| batch.expect("rows").num_rows()).sum();
    // Two rules, two seeds, the start and one epoch.
    assert_eq!(rows, 8);
}

#[test]
fn what_cannot_be_trained_is_refused_with_a_remedy() {
    let align = |more: &[&str]| {
        let mut args = vec!["lab", "align", FASHION, "--exclude", "id"];
        args.extend(more);
        run(&args)
    };
    refused(&align(&["--hidden", "50,0"]), 2, &["0 units", "use 1"]);
    refused(&align(&["--epochs", "0"]), 2, &["epochs 0", "at least 1"]);
    refused(&align(&["--seeds", "0"]), 2, &["--seeds 0"]);
    refused(&align(&["--learning-rate", "0"]), 2, &["learning rate 0"]);
    refused(
        &align(&["--rules", "hope"]),
        2,
        &["information", "feedback"],
    );
    refused(&align(&["--label", "kind"]), 1, &["`kind`", "--label"]);

    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("rows.parquet");
    let written = |count: usize, label: &dyn Fn(usize) -> String| {
        let values = Float64Array::from_iter_values((0..count).map(|i| i as f64));
        let labels = StringArray::from_iter_values((0..count).map(label));
        let columns: [(&str, ArrayRef); 2] = [("x", Arc::new(values)), ("label", Arc::new(labels))];
        let batch = RecordBatch::try_from_iter(columns).expect("a batch");
        let file = std::fs::File::create(&path).expect("a file");
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
        writer.write(&batch).expect("rows");
        writer.close().expect("a footer");
        run(&["lab", "align", path.to_str().expect("text")])
    };
    refused(&written(100, &|_| "a".into()), 1, &["`a`", "two classes"]);
    let two = |i: usize| (i % 2).to_string();
    refused(&written(9, &two), 1, &["9 rows", "at least 60"]);
    let many = |i: usize| i.to_string();
    refused(&written(100, &many), 1, &["100 distinct labels"]);
}
