//! Which columns are features, and what the others are taken for.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{DataType, Field, Float64Type, Schema};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use ojad::source::{BadValue, SourceParams, open};

use crate::feeds::{Place, parquet, stream};
use crate::program::{ojad, refused, run, stderr, succeeded};
use crate::pusher::{Daemon, pushing};
use crate::source_values::{batch, drain, write};

const ROWS: usize = 3;

fn floats(values: impl IntoIterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}

fn nulls(rows: usize) -> ArrayRef {
    Arc::new(NullArray::new(rows))
}

fn lists(rows: Vec<Option<Vec<Option<f64>>>>) -> ArrayRef {
    Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(rows))
}

/// The three formats.
type Write = fn(&Path, &RecordBatch);

fn formats() -> [Write; 3] {
    let ipc: Write = |path, data| {
        let mut file = FileWriter::try_new(File::create(path).unwrap(), &data.schema()).unwrap();
        file.write(data).unwrap();
        file.finish().unwrap();
    };
    let stream: Write = |path, data| {
        let mut file = StreamWriter::try_new(File::create(path).unwrap(), &data.schema()).unwrap();
        file.write(data).unwrap();
        file.finish().unwrap();
    };
    let parquet: Write = |path, data| {
        write(path, data, None);
    };
    [parquet, ipc, stream]
}

fn on_null(policy: BadValue) -> SourceParams {
    SourceParams {
        on_null: policy,
        ..SourceParams::default()
    }
}

fn words(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// The message with which reading ends.
fn fault(path: &Path, params: &SourceParams) -> String {
    match open(&[path.into()], params) {
        Err(error) => error.to_string(),
        Ok(mut reader) => {
            let mut rows = reader.new_minibatch(64);
            loop {
                match reader.fill(&mut rows) {
                    Err(error) => break error.to_string(),
                    Ok(n) => assert!(n > 0, "the end without an error"),
                }
            }
        }
    }
}

fn names(path: &Path, params: &SourceParams) -> Vec<String> {
    let reader = open(&[path.into()], params).unwrap();
    reader.features().names().to_vec()
}

#[test]
fn a_column_of_type_null_follows_on_null_whichever_file_comes_first() {
    let some = |x: f64| Some(vec![Some(x), Some(-x)]);
    let fields = ["a", "b"].map(|name| Arc::new(Field::new(name, DataType::Float64, true)));
    let inner = fields
        .into_iter()
        .zip([floats([7.0; ROWS]), floats([8.0; ROWS])]);
    let structs: ArrayRef = Arc::new(StructArray::from(inner.collect::<Vec<_>>()));
    let kinds: [(ArrayRef, &[&str], &[f64]); 3] = [
        (floats([7.0; ROWS]), &["v"], &[7.0]),
        (lists(vec![some(7.0); ROWS]), &["v.0", "v.1"], &[7.0, -7.0]),
        (structs, &["v.a", "v.b"], &[7.0, 8.0]),
    ];
    for (numbers, features, values) in kinds {
        for is_first in [true, false] {
            for write in formats() {
                let folder = tempfile::tempdir().unwrap();
                let (void, full) = if is_first { ("1", "2") } else { ("2", "1") };
                let w = floats([1.0; ROWS]);
                let void = folder.path().join(void);
                write(&void, &batch(vec![("v", nulls(ROWS)), ("w", w.clone())]));
                let full = folder.path().join(full);
                write(&full, &batch(vec![("v", numbers.clone()), ("w", w)]));

                let mean = on_null(BadValue::Mean);
                let mut reader = open(&[folder.path().into()], &mean).unwrap();
                let expected = [features, &["w"]].concat();
                assert_eq!(reader.features().names(), expected);
                let rows = drain(&mut reader, 4);
                assert_eq!(rows.len(), 2 * ROWS);
                let (empty, whole) = rows.split_at(ROWS);
                let (empty, whole) = if is_first {
                    (empty, whole)
                } else {
                    (whole, empty)
                };
                for (empty, whole) in empty.iter().zip(whole) {
                    assert!(
                        empty[..values.len()].iter().all(|v| v.is_nan()),
                        "{empty:?}"
                    );
                    assert_eq!(whole[..], [values, &[1.0]].concat());
                }
                let counted = &reader.counts().nulls;
                assert_eq!(counted[..values.len()], vec![ROWS as u64; values.len()]);

                let skip = on_null(BadValue::Skip);
                let mut reader = open(&[folder.path().into()], &skip).unwrap();
                assert_eq!(drain(&mut reader, 4).len(), ROWS);
                assert_eq!(reader.counts().rows_rejected, ROWS as u64);
                let message = fault(folder.path(), &on_null(BadValue::Error));
                let place = format!("{}: row 0 ", void.display());
                for part in [place.as_str(), "null", "source.on_null"] {
                    assert!(message.contains(part), "{message}");
                }
            }
        }
    }
}

#[test]
fn a_list_of_which_only_nulls_were_seen_is_left_out_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("1");
    let x = floats([1.0, 2.0, 4.0]);
    let empty = lists(vec![Some(Vec::new()); ROWS]);
    let mut voids = ListBuilder::new(NullBuilder::new());
    for _ in 0..ROWS {
        voids.values().append_null();
        voids.append(true);
    }
    let voids: ArrayRef = Arc::new(voids.finish());
    let data = |l: ArrayRef| {
        let columns = vec![("x", x.clone()), ("l", l), ("e", empty.clone())];
        batch([columns, vec![("n", nulls(ROWS))]].concat())
    };
    for write in formats() {
        write(&path, &data(lists(vec![None; ROWS])));
        let params = SourceParams::default();
        let mut reader = open(&[path.clone().into()], &params).unwrap();
        assert_eq!(reader.features().names(), ["x"]);
        let left = &reader.selection().left;
        for name in ["l", "e", "n"] {
            let why = left.iter().find(|(left, _)| left == name).map(|(_, w)| w);
            assert!(why.is_some_and(|why| why.contains("no value")), "{left:?}");
        }
        assert_eq!(drain(&mut reader, 2), [[1.0], [2.0], [4.0]]);
    }
    let [_, ipc, _] = formats();
    ipc(&path, &data(voids));
    assert_eq!(names(&path, &SourceParams::default()), ["x"]);
    // Another file has values: then it is a feature, and its nulls follow the policy.
    let full = lists(vec![Some(vec![Some(1.0), Some(2.0)]); ROWS]);
    for (void, other) in [("1", "2"), ("2", "1")] {
        for write in formats() {
            write(&folder.path().join(void), &data(lists(vec![None; ROWS])));
            write(&folder.path().join(other), &data(full.clone()));
            let mean = on_null(BadValue::Mean);
            let mut reader = open(&[folder.path().into()], &mean).unwrap();
            assert_eq!(reader.features().names(), ["x", "l.0", "l.1"]);
            assert_eq!(drain(&mut reader, 4).len(), 2 * ROWS);
            assert_eq!(reader.counts().nulls, [0, 3, 3]);
        }
    }
}

fn fit(path: &Path, flags: &[&str]) -> std::process::Output {
    let mut command = ojad();
    command.arg("fit").arg(path).args(["-k", "1"]).args(flags);
    command.output().expect("the program starts")
}

#[test]
fn a_name_means_its_column_and_a_pattern_that_means_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.parquet");
    let column = |i: usize| floats([1.0, 2.0, 4.0].map(|x| x * i as f64));
    let columns = ["timestamp", "temp [°C]", "temp °", "a*", "ab"];
    let columns: Vec<_> = columns.into_iter().zip(1..).collect();
    let data = batch(columns.iter().map(|(n, i)| (*n, column(*i))).collect());
    write(&path, &data, None);
    for (name, _) in &columns {
        let mut params = SourceParams {
            exclude: words(&[name]),
            ..SourceParams::default()
        };
        let mut others = words(&columns.iter().map(|(n, _)| *n).collect::<Vec<_>>());
        others.retain(|other| other != name);
        assert_eq!(names(&path, &params), others, "without {name}");
        params.include = std::mem::take(&mut params.exclude);
        assert_eq!(names(&path, &params), [*name]);
    }
    for flag in ["--exclude", "--include"] {
        for pattern in ["timestmap", "Timestamp", "timestam[xyz]", "*stump"] {
            let output = fit(&path, &[flag, "temp*", flag, pattern]);
            let shown = format!("`{pattern}`");
            refused(&output, 1, &["in.parquet", flag, &shown, "nearest"]);
        }
        let output = fit(&path, &[flag, "timestmap"]);
        refused(&output, 1, &["`timestamp`"]);
    }
    let output = fit(&path, &["--id", "timestmap"]);
    refused(&output, 1, &["`timestmap`", "`timestamp`"]);
    // So it is where files come for ever: nothing is learned of other columns than were meant.
    let place = Place::new("features.exclude = [\"timestmap\"]");
    fs::copy(&path, place.feed().join("in.parquet")).expect("a copy");
    let output = place.learn();
    assert!(output.status.success(), "{}", stderr(&output));
    let refused = place.quarantine().to_string();
    assert!(
        refused.contains("`timestmap`") && refused.contains("`timestamp`"),
        "{refused}"
    );
    // What only the second file has is a column all the same.
    let second = folder.path().join("z.parquet");
    let more = columns.iter().map(|(n, i)| (*n, column(*i)));
    write(
        &second,
        &batch(more.chain([("extra", column(9))]).collect()),
        None,
    );
    let output = fit(folder.path(), &["--exclude", "extra", "--exclude", "a?"]);
    succeeded(&output);
}

#[test]
fn the_names_of_features_are_unique_or_the_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.parquet");
    let list = lists(vec![Some(vec![Some(1.0), Some(2.0)]); ROWS]);
    let x = floats([1.0, 2.0, 4.0]);
    for columns in [
        vec![("v", list.clone()), ("v.0", x.clone())],
        vec![("v.1", x.clone()), ("v", list.clone())],
    ] {
        write(&path, &batch(columns), None);
        let output = fit(&path, &[]);
        refused(&output, 1, &["in.parquet", "`v.", "list `v`", "--exclude"]);
    }
    // Each remedy helps, and a number that the list does not have is no value of it.
    write(
        &path,
        &batch(vec![("v", list.clone()), ("v.0", x.clone())]),
        None,
    );
    for (exclude, left) in [("v", &["v.0"][..]), ("v.0", &["v.0", "v.1"])] {
        let params = SourceParams {
            exclude: words(&[exclude]),
            ..SourceParams::default()
        };
        assert_eq!(names(&path, &params), left, "without {exclude}");
    }
    let beside = vec![("v.2", x.clone()), ("v.00", x.clone()), ("v", list)];
    write(&path, &batch(beside), None);
    let all = names(&path, &SourceParams::default());
    assert_eq!(all, ["v.2", "v.00", "v.0", "v.1"]);
    // Scores are columns too.
    write(&path, &batch(vec![("x", x.clone()), ("pc1", x)]), None);
    let model = folder.path().join("model");
    let path = path.to_str().expect("UTF-8");
    let model = model.to_str().expect("UTF-8");
    let flags = ["--id", "pc1", "-k", "1", "--output", model];
    succeeded(&run(&[&["fit", path][..], &flags].concat()));
    let scores = folder.path().join("s.parquet").display().to_string();
    let flags = ["--id", "pc1", "--output", &scores];
    let output = run(&[&["transform", "--model", model, path][..], &flags].concat());
    refused(&output, 1, &["`pc1`", "score"]);
}

/// One and a half seconds, two days and nothing, in each unit.
fn durations() -> [ArrayRef; 4] {
    let of = |each: i64| [Some(3 * each / 2), Some(172_800 * each), None];
    [
        Arc::new(DurationSecondArray::from(vec![
            Some(2),
            Some(172_800),
            None,
        ])),
        Arc::new(DurationMillisecondArray::from(of(1_000).to_vec())),
        Arc::new(DurationMicrosecondArray::from(of(1_000_000).to_vec())),
        Arc::new(DurationNanosecondArray::from(of(1_000_000_000).to_vec())),
    ]
}

#[test]
fn durations_are_seconds_and_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("1.parquet");
    let x = floats([1.0, 2.0, 4.0]);
    for (i, array) in durations().into_iter().enumerate() {
        for write in formats() {
            write(&path, &batch(vec![("d", array.clone()), ("x", x.clone())]));
            let params = SourceParams {
                include: words(&["d"]),
                ..on_null(BadValue::Skip)
            };
            let mut reader = open(&[path.clone().into()], &params).unwrap();
            assert_eq!(reader.selection().in_seconds, ["d"]);
            let first = if i == 0 { 2.0 } else { 1.5 };
            assert_eq!(drain(&mut reader, 2), [[first], [172_800.0]]);
        }
        write(&path, &batch(vec![("d", array), ("x", x.clone())]), None);
        let output = fit(&path, &["--include", "d", "--on-null", "skip"]);
        succeeded(&output);
        let said = stderr(&output);
        assert!(said.contains("d (a duration, in seconds)"), "{said}");
    }
    // Units may differ from file to file; a number without a unit is no duration.
    let [_, thousandths, _, billionths] = durations();
    write(&path, &batch(vec![("d", thousandths)]), None);
    let other = folder.path().join("2.parquet");
    write(&other, &batch(vec![("d", billionths)]), None);
    let skip = on_null(BadValue::Skip);
    let mut reader = open(&[folder.path().into()], &skip).unwrap();
    let rows = drain(&mut reader, 9);
    assert_eq!(rows, [[1.5], [172_800.0], [1.5], [172_800.0]]);
    write(&other, &batch(vec![("d", x)]), None);
    let message = fault(folder.path(), &skip);
    assert!(
        message.contains("2.parquet") && message.contains("a duration"),
        "{message}"
    );
}

/// A frame as pandas writes it: features `a` and `b`, and what `index` says.
fn frame(index: &[&str], metadata: &str) -> RecordBatch {
    let mut columns = vec![
        ("a", floats([1.0, 2.0, 4.0])),
        ("b", floats([3.0, 1.0, 2.0])),
    ];
    let numbers = || Arc::new(Int64Array::from(vec![1_000, 2_000, 9_000])) as ArrayRef;
    columns.extend(index.iter().map(|name| (*name, numbers())));
    let plain = batch(columns);
    let metadata = [("pandas".to_owned(), metadata.to_owned())];
    let schema = plain
        .schema()
        .as_ref()
        .clone()
        .with_metadata(std::collections::HashMap::from(metadata));
    RecordBatch::try_new(Arc::new(schema), plain.columns().to_vec()).unwrap()
}

#[test]
fn an_index_of_pandas_is_no_feature() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("1");
    let level = "__index_level_0__";
    let named = r#"{"index_columns": ["day"], "columns": []}"#;
    let nameless = r#"{"index_columns": ["__index_level_0__"], "columns": []}"#;
    let range = r#"{"index_columns": [{"kind": "range", "start": 0, "stop": 3}]}"#;
    for write in formats() {
        for (index, metadata) in [(level, nameless), ("day", named), (level, "{}")] {
            write(&path, &frame(&[index], metadata));
            let reader = open(&[path.clone().into()], &SourceParams::default()).unwrap();
            assert_eq!(reader.features().names(), ["a", "b"]);
            let left = &reader.selection().left;
            let is_told = |(name, why): &(String, String)| name == index && why.contains("pandas");
            assert!(left.iter().any(is_told), "{left:?}");
            let wanted = SourceParams {
                include: words(&["a", index]),
                ..SourceParams::default()
            };
            assert_eq!(names(&path, &wanted), ["a", index], "by its own name");
        }
        // A column that the index is not called by is a feature whatever it holds.
        write(&path, &frame(&["day"], range));
        assert_eq!(names(&path, &SourceParams::default()), ["a", "b", "day"]);
        // A filtered frame and a whole one go together, and each is scored by the other's model.
        let other = folder.path().join("2");
        for (first, second) in [(&[level][..], &[][..]), (&[], &[level])] {
            write(&path, &frame(first, nameless));
            write(&other, &frame(second, range));
            let mut reader = open(&[folder.path().into()], &SourceParams::default()).unwrap();
            assert_eq!(drain(&mut reader, 4).len(), 2 * ROWS);
            let path = |name: &str| folder.path().join(name).display().to_string();
            let fit = ["fit", &path("1"), "-k", "1", "--output", &path("model")];
            succeeded(&run(&fit));
            succeeded(&run(&[
                "transform",
                "--model",
                &path("model"),
                &path("2"),
                "--output",
                &path("s.parquet"),
            ]));
            fs::remove_dir_all(path("model")).unwrap();
            fs::remove_file(path("s.parquet")).unwrap();
        }
        fs::remove_file(other).unwrap();
    }
}

#[test]
fn epochs_are_told_for_what_they_are_whatever_the_policy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.parquet");
    let x = floats((0..100).map(|i| f64::from(i % 7)));
    for (unit, each) in [("microseconds", 1_000_000), ("nanoseconds", 1_000_000_000)] {
        let time = |i: i64| (1_700_000_000 + 60 * i) * each;
        // One in ten is a zero that stands for none.
        let plain: ArrayRef = Arc::new(Int64Array::from_iter_values((0..100).map(time)));
        let holed = (0..100).map(|i| if i % 10 == 9 { 0 } else { time(i) });
        let holed: ArrayRef = Arc::new(Int64Array::from_iter_values(holed));
        for array in [plain, holed] {
            for write in formats() {
                write(&path, &batch(vec![("t", array.clone()), ("x", x.clone())]));
                for policy in [BadValue::Error, BadValue::Skip, BadValue::Mean] {
                    let params = SourceParams {
                        on_inf: policy,
                        ..SourceParams::default()
                    };
                    let message = fault(&path, &params);
                    let meaning = format!("{unit} since 1970 (2023-11-14)");
                    for part in ["in.parquet: row 0 ", "`t`", &meaning, "--exclude", "--id"] {
                        assert!(message.contains(part), "{message}");
                    }
                }
            }
        }
    }
    // Numbers of any size are no times, and the advice is to leave the column out all the same.
    let ids = (0..100_i64).map(|i| i * 92_233_720_368_547_758);
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(ids));
    write(&path, &batch(vec![("t", ids), ("x", x)]), None);
    let message = fault(&path, &SourceParams::default());
    assert!(!message.contains("1970"), "{message}");
    for part in ["row 1 ", "`t`", "--exclude", "--id", "1e15"] {
        assert!(message.contains(part), "{message}");
    }
    succeeded(&fit(&path, &["--exclude", "t"]));
}

/// Rows of two files as a daemon gets them: the second is the first one in full.
fn void_and_full() -> [RecordBatch; 2] {
    let rows = 80;
    let noise = |seed: usize| floats((0..rows).map(|i| ((i * seed) % 17) as f64));
    let seconds = (0..80).map(|i| i * 31 % 13);
    let d: ArrayRef = Arc::new(DurationSecondArray::from_iter_values(seconds));
    let index: ArrayRef = Arc::new(Int64Array::from_iter_values(0..80));
    let void = vec![
        ("v", nulls(rows)),
        ("w", noise(3)),
        ("x", noise(5)),
        ("d", d.clone()),
        ("l", lists(vec![None; rows])),
        ("__index_level_0__", index),
    ];
    let full = vec![
        ("x", noise(7)),
        ("d", d),
        ("v", noise(11)),
        ("w", noise(2)),
        ("l", lists(vec![None; rows])),
    ];
    [batch(void), batch(full)]
}

fn features(place: &Place) -> Vec<String> {
    let file = File::open(place.path("model/latest/features.parquet")).expect("features");
    let builder = parquet_reader(file);
    let column = builder.column_by_name("feature").expect("names").clone();
    let names = column.as_string::<i32>();
    names.iter().flatten().map(str::to_owned).collect()
}

fn parquet_reader(file: File) -> RecordBatch {
    use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder as Builder;
    let mut reader = Builder::try_new(file)
        .expect("Parquet")
        .build()
        .expect("a reader");
    reader.next().expect("one").expect("rows")
}

#[test]
fn files_and_pushed_rows_give_the_features_that_fit_takes() {
    let batches = void_and_full();
    let place = Place::new("source.on_null = \"mean\"");
    for (name, data) in ["1.parquet", "2.parquet"].into_iter().zip(&batches) {
        parquet(&place.feed().join(name), data);
    }
    let output = place.learn();
    succeeded(&output);
    let log = stderr(&output);
    for said in [
        "d (a duration, in seconds)",
        "a pandas index",
        "l (no value",
    ] {
        assert!(log.contains(said), "{log}");
    }
    let found = place.inspect();
    assert_eq!(
        (&found["rows_read"], &found["quarantined"]),
        (&160.into(), &0.into())
    );
    assert_eq!(features(&place), ["v", "w", "x", "d"]);

    let pushed = pushing("source.on_null = \"mean\"");
    let daemon = Daemon::start(&pushed);
    for (i, data) in batches.iter().enumerate() {
        let answer = daemon.push("?ack=durable", &format!("key-{i}"), &stream(data));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    // What a file is refused for a body is refused for, and says why.
    let time = Int64Array::from_iter_values((0..80).map(|i| 1_700_000_000_000_000 + i));
    let mut columns = batches[1].columns().to_vec();
    columns[0] = Arc::new(time);
    let schema = batches[1].schema();
    let types = schema.fields().iter().zip(&columns);
    let typed = types.map(|(field, a)| Field::new(field.name(), a.data_type().clone(), true));
    let schema = Schema::new(typed.collect::<Vec<_>>());
    let epochs = RecordBatch::try_new(Arc::new(schema), columns).expect("a batch");
    let answer = daemon.push("?ack=durable", "epochs", &stream(&epochs));
    assert_eq!(answer.status, 422, "{answer:?}");
    let detail = answer.body["detail"].as_str().expect("text");
    assert!(
        detail.contains("microseconds since 1970 (2023-11-14)"),
        "{detail}"
    );
    daemon.end();
    assert_eq!(features(&pushed), ["v", "w", "x", "d"]);
}

/// Rows in which `t` counts minutes and the others move either way.
fn counting(from: i64, rows: i64) -> RecordBatch {
    let noise = |seed: i64| floats((from..from + rows).map(|i| (i * seed % 17) as f64));
    let times = (from..from + rows).map(|i| 1_700_000_000 + 60 * i);
    let t: ArrayRef = Arc::new(Int64Array::from_iter_values(times));
    batch(vec![
        ("a", noise(3)),
        ("t", t),
        ("b", noise(5)),
        ("c", noise(7)),
    ])
}

fn warnings(model: &Path) -> Vec<serde_json::Value> {
    let text = fs::read(model.join("latest/snapshot.json")).expect("a snapshot");
    let found: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    let warnings = found["learner"]["warnings"].as_array();
    warnings.cloned().unwrap_or_default()
}

#[test]
fn a_feature_that_only_numbers_the_rows_is_warned_about_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("in.parquet");
    write(&path, &counting(0, 500), None);
    let model = folder.path().join("model");
    let fitted = |flags: &[&str]| {
        let output: OsString = model.clone().into();
        let mut command = ojad();
        command.arg("fit").arg(&path).args(["-k", "2", "--output"]);
        let output = command.arg(output).args(flags).output().expect("it starts");
        succeeded(&output);
        let said = stderr(&output);
        let lines = said.lines().filter(|line| line.contains("warning:"));
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        let written = warnings(&model);
        fs::remove_dir_all(&model).unwrap();
        (lines, written)
    };
    let (said, written) = fitted(&[]);
    assert_eq!((said.len(), written.len()), (1, 1), "{said:?}");
    for part in [
        "`t`",
        "% of the variance",
        "only ever grows",
        "seconds since 1970 (2023-11-15)",
        "--exclude",
        "--id",
        "standard",
    ] {
        assert!(said[0].contains(part), "{part}: {said:?}");
    }
    assert_eq!(written[0]["feature"], "t");
    // By numpy: var(60 i) = 60² (500² − 1) ÷ 12 beside 72 or a little more for the others.
    let share = written[0]["variance_share"].as_f64().expect("a share");
    assert!(share > 1.0 - 73.0 / 7.49e7 && share < 1.0, "{share}");
    // In units of its deviation it holds no more than others, and still only numbers the rows.
    let (said, written) = fitted(&["--scale", "standard"]);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("only ever grows") && written[0]["variance_share"].is_null());
    let (said, written) = fitted(&["--exclude", "t"]);
    assert!(
        said.is_empty() && written.is_empty(),
        "{said:?} {written:?}"
    );
}

#[test]
fn a_run_warns_once_and_knows_after_a_restart_what_it_saw_before() {
    let place = Place::new("learner.scale = \"standard\"");
    parquet(&place.feed().join("1.parquet"), &counting(0, 6_400));
    let output = place.learn();
    succeeded(&output);
    let log = stderr(&output);
    let written = log
        .lines()
        .filter(|line| line.contains("snapshot published"));
    assert!(written.count() > 1, "several snapshots: {log}");
    let told = log.lines().filter(|line| line.contains("only ever grows"));
    assert_eq!(told.count(), 1, "{log}");
    // Ten rows show nothing by themselves.
    parquet(&place.feed().join("2.parquet"), &counting(6_400, 10));
    succeeded(&place.learn());
    assert_eq!(place.inspect()["rows_read"], 6_410);
    let written = warnings(&place.path("model"));
    assert_eq!(written.len(), 1);
    assert_eq!(
        (&written[0]["feature"], &written[0]["only_grows"]),
        (&"t".into(), &true.into())
    );
}
