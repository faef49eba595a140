//! What is scored over HTTP is what `ojad transform` says, and nobody can make it do more than that.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, FixedSizeListArray, Float16Array, Float32Array,
    Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Field, Float64Type, Schema};
use arrow::ipc::reader::StreamReader;
use ojad::config::HttpKeys;
use ojad::http::{HttpParams, Server, start};
use ojad::learner::{Certainty, Estimate, LearnerParams};
use ojad::published::{LogTail, PublishParams, Published};
use ojad::rows::{Features, Minibatch, RowCounts, Watermark};
use ojad::snapshot::{Projection, Provenance, Snapshot, write};
use rand_distr::StandardNormal;
use serde_json::{Value, json};

use crate::feeds::{Place, parquet, rows, stream};
use crate::program::{run, succeeded};
use crate::reference::{learned, planted, spikes};

const ARROW: &str = "application/vnd.apache.arrow.stream";
const JSON: &str = "application/json";
const PATIENCE: Duration = Duration::from_mins(1);
const M: usize = 12;

/// A model of [`M`] features and three components.
fn snapshot(names: impl Fn(usize) -> String) -> Snapshot {
    let (rows, _) = planted(500, &spikes(M, 3, 9.0, 4.0), 1.0, 1, &StandardNormal);
    let params = LearnerParams {
        components: 4,
        ..LearnerParams::default()
    };
    let summary = learned(&rows, &params).summary().expect("finite");
    Snapshot {
        estimate: summary.estimate(4, params.penalty),
        features: Features::new((0..M).map(names).collect()),
        counts: RowCounts::default(),
        watermark: Watermark::default(),
        provenance: Provenance::new(&params, M, summary.squared_weight),
    }
}

struct Scorer {
    server: Server,
    live: Arc<Published>,
}

impl Scorer {
    fn new(snapshot: Option<Snapshot>, body_mib: u64, score_rows: u64) -> Self {
        let keys = HttpKeys {
            requests_per_s: 1_000_000,
            body_mib,
            score_rows,
            ..HttpKeys::default()
        };
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let params = HttpParams::new(&keys, listen, None, Path::new(""));
        let live = Arc::new(Published::new(PublishParams::default(), LogTail::default()));
        live.snapshot.set(snapshot.map(Arc::new));
        Self {
            server: start(&params, Arc::clone(&live)).expect("a server"),
            live,
        }
    }

    fn post(&self, path: &str, kind: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = self.begin(path, kind, body.len());
        stream.write_all(body).expect("a body");
        answer(&mut stream)
    }

    /// Sends a head.
    fn begin(&self, path: &str, kind: &str, len: usize) -> TcpStream {
        let mut stream = TcpStream::connect(self.server.address()).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let head = format!(
            "POST /api/v1/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: {kind}\r\nContent-Length: {len}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("a head");
        stream
    }

    fn refused(&self, path: &str, kind: &str, body: &[u8], status: u16, words: &[&str]) {
        let (found, text) = self.post(path, kind, body);
        let text = String::from_utf8_lossy(&text);
        assert_eq!(found, status, "{text}");
        let problem: Value = serde_json::from_str(&text).expect("a problem");
        for word in words {
            assert!(
                problem["detail"].as_str().is_some_and(|d| d.contains(word)),
                "{word}: {text}"
            );
        }
    }
}

/// Status and body, chunks put together; a body that breaks off has no last chunk: panics.
fn answer(stream: &mut TcpStream) -> (u16, Vec<u8>) {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an answer");
    let at = bytes
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .expect("a head");
    let head = String::from_utf8_lossy(&bytes[..at]).to_lowercase();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .expect("a status");
    let mut rest = &bytes[at + 4..];
    if !head.contains("transfer-encoding: chunked") {
        return (status, rest.to_vec());
    }
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|w| w == b"\r\n").expect("a chunk");
        let text = std::str::from_utf8(&rest[..line]).expect("text");
        let len = usize::from_str_radix(text, 16).expect("a length");
        if len == 0 {
            return (status, body);
        }
        body.extend_from_slice(&rest[line + 2..][..len]);
        rest = &rest[line + 2 + len + 2..];
    }
}

/// Columns of an answer in Arrow, batches put together.
fn columns(body: &[u8]) -> Vec<(String, Vec<f64>)> {
    let reader = StreamReader::try_new(body, None).expect("a stream");
    let names = reader
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect::<Vec<_>>();
    let mut all: Vec<(String, Vec<f64>)> = names.into_iter().map(|n| (n, Vec::new())).collect();
    for batch in reader {
        let batch = batch.expect("a batch");
        for (column, (_, to)) in batch.columns().iter().zip(&mut all) {
            if let Some(values) = column.as_primitive_opt::<Float64Type>() {
                to.extend(values.values());
            }
        }
    }
    all
}

fn same(found: &[(String, Vec<f64>)], expected: &[(String, Vec<f64>)]) {
    assert_eq!(found.len(), expected.len());
    for ((name, found), (expected_name, expected)) in found.iter().zip(expected) {
        assert_eq!((name, found.len()), (expected_name, expected.len()));
        let norm = expected.iter().map(|v| v.abs()).fold(0.0, f64::max);
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() <= 1e-12 * norm,
                "{name}: {found} {expected}"
            );
        }
    }
}

/// Three features, two components, one of them active.
fn small() -> Estimate {
    let third = 1.0 / 3.0;
    Estimate {
        features: 3,
        rows: 100,
        effective_rows: 100.0,
        mean: vec![1.0, -2.0, 10.0],
        scale: vec![1.0, 2.0, 0.5],
        variance: vec![1.0; 3],
        observed: vec![100.0; 3],
        constant: vec![false; 3],
        vectors: [2.0, 2.0, 1.0, -2.0, 1.0, 2.0].map(|v| v * third).to_vec(),
        eigenvalues: vec![5.0, 2.0],
        eigenvalue_stderr: vec![f64::NAN; 2],
        angle_stderr_rad: vec![f64::NAN; 2],
        certainty: vec![Certainty::default(); 2],
        weight_singular_values: vec![0.0; 2],
        active: vec![true, false],
        penalty: 3.0,
        noise_variance: 1.25,
        total_variance: 7.5,
        components_above_noise: Some(1),
        above_noise_is_lower_bound: false,
        above_noise_rule: None,
        determined: 2,
        unresolved: None,
        is_widened: false,
        limits: None,
    }
}

#[test]
fn scores_are_those_of_the_textbook() {
    let estimate = small();
    let values = [
        1.0,
        -2.0,
        10.0,
        3.5,
        1.0,
        9.0,
        100.0,
        -50.0,
        0.5,
        1.25,
        f64::NAN,
        11.0,
    ];
    let batch = Minibatch::from_rows(&values, 3);
    let scores = Projection::new(&estimate, &[0, 1, 2]).score(&batch);
    // pc1, pc2, residual, t2, log-likelihood, p: printed by benches/peers/make_scores.py (scipy).
    let expected = [
        [0.0, 0.0, 0.0, 0.0, -3.784_678_107_145_278, 1.0],
        [
            2.0,
            -2.5,
            2.25,
            3.925,
            -7.584_678_107_145_278,
            0.055_043_936_378_878_04,
        ],
        [
            43.666_666_666_666_66,
            -86.666_666_666_666_67,
            1_320.111_111_111_111,
            4_136.911_111_111_112,
            -3_726.951_344_773_809,
            0.0,
        ],
        [
            0.833_333_333_333_333_3,
            1.166_666_666_666_666_5,
            2.006_944_444_444_444_6,
            0.819_444_444_444_444_2,
            -5.201_344_773_811_945,
            0.418_042_012_123_729_7,
        ],
    ];
    for (i, expected) in expected.iter().enumerate() {
        let found = [
            scores.components[0][i],
            scores.components[1][i],
            scores.residual[i],
            scores.t2[i],
            scores.log_likelihood[i],
            scores.p_value[i],
        ];
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() <= 1e-12 * expected.abs().max(1e-3),
                "{i}: {found} {expected}"
            );
        }
    }
}

#[test]
fn edges_of_the_model_have_an_answer() {
    let estimate = small();
    let batch = Minibatch::from_rows(&[1.0, -2.0, 10.0, 3.5, 1.0, 9.0], 3);
    // No density: nothing beside the active component, and nothing that varies.
    let flat = Estimate {
        total_variance: 5.0,
        ..estimate.clone()
    };
    let still = Estimate {
        constant: vec![true; 3],
        active: vec![false; 2],
        total_variance: 0.0,
        ..estimate.clone()
    };
    for estimate in [flat, still] {
        let scores = Projection::new(&estimate, &[0, 1, 2]).score(&batch);
        assert!(scores.p_value[1].is_nan() && scores.log_likelihood[1].is_nan());
    }
    // Noise alone (q = 0): ‖z‖²/σ² of three directions.
    let noise = Estimate {
        active: vec![false; 2],
        ..estimate
    };
    let scores = Projection::new(&noise, &[0, 1, 2]).score(&batch);
    let expected = -0.5 * (3.0 * (2.0 * std::f64::consts::PI * 2.5).ln() + 12.5 / 2.5);
    assert!((scores.log_likelihood[1] - expected).abs() < 1e-12);
}

/// A row in the plane of the components has a residual of rounding: its digits are those of the row
/// itself, not of a difference of large numbers.
#[test]
fn a_small_residual_keeps_its_digits() {
    let estimate = snapshot(|j| format!("x{j}")).estimate;
    let order: Vec<usize> = (0..M).collect();
    let mut row: Vec<f64> = (0..M)
        .map(|j| estimate.mean[j] + 1e6 * estimate.scale[j] * estimate.vector(0)[j])
        .collect();
    let (mut out, last) = (vec![0.0; M], 1e-3);
    out[0] = last;
    let inside: Vec<f64> = (0..4).map(|i| last * estimate.vector(i)[0]).collect();
    row[0] += last * estimate.scale[0];
    let expected: f64 = (0..M)
        .map(|j| {
            out[j]
                - (0..4)
                    .map(|i| inside[i] * estimate.vector(i)[j])
                    .sum::<f64>()
        })
        .map(|v| v * v)
        .sum();
    let scores = Projection::new(&estimate, &order).score(&Minibatch::from_rows(&row, M));
    let found = scores.residual[0];
    assert!((found / expected - 1.0).abs() < 1e-4, "{found} {expected}");
}

/// The columns of an Arrow IPC file.
fn scores_in(out: &std::path::Path) -> Vec<(String, Vec<f64>)> {
    let file = std::fs::File::open(out).expect("scores");
    let mut expected: Vec<(String, Vec<f64>)> = Vec::new();
    for batch in arrow::ipc::reader::FileReader::try_new(file, None).expect("a file") {
        let batch = batch.expect("a batch");
        for (i, field) in batch.schema().fields().iter().enumerate() {
            if expected.len() == i {
                expected.push((field.name().clone(), Vec::new()));
            }
            expected[i]
                .1
                .extend(batch.column(i).as_primitive::<Float64Type>().values());
        }
    }
    expected
}

/// Both kinds of JSON say the same.
fn in_json(scorer: &Scorer, batch: &RecordBatch, expected: &[(String, Vec<f64>)]) {
    let names: Vec<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
    let cells = |j: usize| {
        batch
            .column(j)
            .as_primitive::<arrow::datatypes::Float32Type>()
    };
    let some = 3000;
    let by_columns: serde_json::Map<String, Value> = (0..M)
        .map(|j| {
            (
                format!("x{j}"),
                cells(j).values()[..some]
                    .iter()
                    .map(|v| f64::from(*v))
                    .collect(),
            )
        })
        .collect();
    let by_rows: Vec<Value> = (0..some)
        .map(|i| {
            (0..M)
                .map(|j| (format!("x{j}"), json!(f64::from(cells(j).value(i)))))
                .collect::<serde_json::Map<_, _>>()
                .into()
        })
        .collect();
    for body in [json!({ "columns": by_columns }), json!({ "rows": by_rows })] {
        let (status, body) = scorer.post("transform", JSON, body.to_string().as_bytes());
        assert_eq!(status, 200);
        let found: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(found["rows"], 500);
        let list = |name: &str| {
            found["columns"][name]
                .as_array()
                .expect("a column")
                .iter()
                .map(|v| v.as_f64().expect("a number"))
                .collect()
        };
        let found: Vec<(String, Vec<f64>)> = names
            .iter()
            .map(|name| ((*name).to_owned(), list(name)))
            .collect();
        let expected: Vec<(String, Vec<f64>)> = expected
            .iter()
            .map(|(name, values)| (name.clone(), values[..some].to_vec()))
            .collect();
        same(&found, &expected);
    }
}

#[test]
fn http_says_what_transform_says() {
    let place = tempfile::tempdir().expect("a directory");
    let model = snapshot(|j| format!("x{j}"));
    write(&model, place.path()).expect("written");
    let batch = rows(20_000, 7);
    parquet(&place.path().join("rows.parquet"), &batch);
    let out = place.path().join("scores.arrow");
    let path = |name: &str| place.path().join(name).display().to_string();
    succeeded(&run(&[
        "transform",
        "--model",
        &path(""),
        &path("rows.parquet"),
        "--output",
        &path("scores.arrow"),
    ]));
    let expected = scores_in(&out);
    let names: Vec<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "pc1",
            "pc2",
            "pc3",
            "pc4",
            "residual",
            "t2",
            "log_likelihood",
            "p_value",
            "residual_p_value",
            "t2_p_value"
        ]
    );
    let scorer = Scorer::new(Some(model.clone()), 1 << 26, 1_000_000);
    // Many batches; then one, its columns the other way round.
    let (status, body) = scorer.post("transform", ARROW, &stream(&batch));
    assert_eq!(status, 200);
    same(&columns(&body), &expected);
    let order: Vec<usize> = (0..M).rev().collect();
    let turned = batch.project(&order).expect("columns");
    let (_, body) = scorer.post("transform", ARROW, &stream(&turned));
    same(&columns(&body), &expected);
    let (_, body) = scorer.post("score", ARROW, &stream(&turned));
    same(&columns(&body), &expected[4..]);
    in_json(&scorer, &batch, &expected);
    // A missing value is the mean.
    let mut mean = serde_json::Map::new();
    for j in 0..M {
        mean.insert(format!("x{j}"), Value::Null);
    }
    let (_, body) = scorer.post(
        "score",
        JSON,
        json!({ "rows": [mean] }).to_string().as_bytes(),
    );
    let found: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(found["columns"]["residual"][0].as_f64(), Some(0.0));
    assert_eq!(found["columns"]["p_value"][0].as_f64(), Some(1.0));
}

#[test]
fn lists_other_types_and_columns_beside_are_taken() {
    let scorer = Scorer::new(Some(snapshot(|j| format!("v.{j}"))), 1, 1000);
    let values: Vec<f32> = (0..2 * M).map(|i| i as f32).collect();
    let item = Arc::new(Field::new("item", DataType::Float32, false));
    let list =
        FixedSizeListArray::new(item, 12, Arc::new(Float32Array::from(values.clone())), None);
    let one = |name: &str, array: ArrayRef| {
        let schema = Schema::new(vec![
            Field::new("id", DataType::Utf8, true),
            Field::new(name, array.data_type().clone(), true),
        ]);
        let ids = Arc::new(StringArray::from(vec![Some("a"), None]));
        RecordBatch::try_new(Arc::new(schema), vec![ids, array]).expect("a batch")
    };
    let whole = stream(&one("v", Arc::new(list)));
    let (_, listed) = scorer.post("transform?extra=ignore", ARROW, &whole);
    let (_, kept) = scorer.post("transform?extra=keep", ARROW, &whole);
    let kept_batch = StreamReader::try_new(&kept[..], None)
        .expect("a stream")
        .next()
        .expect("one")
        .expect("a batch");
    let ids = kept_batch.column(0).as_string::<i32>();
    assert_eq!((ids.value(0), ids.is_null(1)), ("a", true));
    same(&columns(&kept)[1..], &columns(&listed));
    scorer.refused("transform", ARROW, &whole, 422, &["`id`", "extra=keep"]);
    // A column a feature, of three types.
    let column = |j: usize| -> ArrayRef {
        let two = [values[j], values[M + j]];
        match j % 3 {
            0 => Arc::new(Float64Array::from_iter_values(two.map(f64::from))),
            1 => Arc::new(Int64Array::from_iter_values(two.map(|v| v as i64))),
            _ => Arc::new(Float16Array::from_iter_values(two.map(half::f16::from_f32))),
        }
    };
    let typed =
        RecordBatch::try_from_iter((0..M).map(|j| (format!("v.{j}"), column(j)))).expect("a batch");
    let (status, body) = scorer.post("transform", ARROW, &stream(&typed));
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    same(&columns(&body), &columns(&listed));
    let cells: serde_json::Map<String, Value> = (0..M)
        .map(|j| (format!("v.{j}"), json!([1, true])))
        .chain([("id".to_owned(), json!(["a\"", null]))])
        .collect();
    let (_, body) = scorer.post(
        "score?extra=keep",
        JSON,
        json!({ "columns": cells }).to_string().as_bytes(),
    );
    let found: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(found["columns"]["id"], json!(["a\"", null]));
}

#[test]
fn nulls_durations_and_indexes_are_scored_as_they_are_learned() {
    let scorer = Scorer::new(Some(snapshot(|j| format!("x{j}"))), 1, 1000);
    let batch = rows(100, 3);
    let scored = |batch: &RecordBatch| {
        let (status, body) = scorer.post("transform", ARROW, &stream(batch));
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        columns(&body)
    };
    let with = |place: usize, array: ArrayRef| {
        let mut columns: Vec<(String, ArrayRef)> = Vec::new();
        for (j, column) in batch.columns().iter().enumerate() {
            let column = if j == place { &array } else { column };
            columns.push((format!("x{j}"), Arc::clone(column)));
        }
        if place == M {
            columns.push(("__index_level_0__".to_owned(), array));
        }
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
            .expect("a batch")
    };
    // A column of type null is one of nulls, which are scored as the mean.
    let missing: Float32Array = (0..100).map(|_| None).collect();
    let void = with(4, Arc::new(arrow::array::NullArray::new(100)));
    same(&scored(&void), &scored(&with(4, Arc::new(missing))));
    // A duration is its seconds.
    let halves = (0..100).map(|i| 500 * i);
    let durations = arrow::array::DurationMillisecondArray::from_iter_values(halves);
    let seconds = Float64Array::from_iter_values((0..100).map(|i| 0.5 * f64::from(i)));
    let durations = with(2, Arc::new(durations));
    same(&scored(&durations), &scored(&with(2, Arc::new(seconds))));
    // An index of pandas is no column that the model lacks.
    let index = Int64Array::from_iter_values(0..100);
    same(&scored(&with(M, Arc::new(index))), &scored(&batch));
    // Names that would be written twice.
    let id = || ("id", Arc::new(Int64Array::from(vec![1])) as ArrayRef);
    let one = (0..M).map(|j| (format!("x{j}"), batch.column(j).slice(0, 1)));
    let ids = [id(), id()].map(|(name, array)| (name.to_owned(), array));
    let twice = RecordBatch::try_from_iter(one.chain(ids)).expect("a batch");
    let words = ["two columns", "`id`"];
    scorer.refused("transform?extra=keep", ARROW, &stream(&twice), 422, &words);
}

#[test]
fn what_cannot_be_scored_is_refused() {
    let batch = rows(100, 1);
    let empty = Scorer::new(None, 1, 1000);
    empty.refused("transform", ARROW, &stream(&batch), 503, &["no row"]);
    let scorer = Scorer::new(Some(snapshot(|j| format!("x{j}"))), 1, 1000);
    let good = stream(&batch);
    scorer.refused("transform", "text/csv", b"1,2", 415, &["text/csv"]);
    scorer.refused("transform?extra=all", ARROW, &good, 400, &["extra=keep"]);
    scorer.refused("transform", ARROW, b"", 400, &["before its schema"]);
    scorer.refused(
        "transform",
        ARROW,
        b"these are no rows",
        400,
        &["not an Arrow IPC stream"],
    );
    scorer.refused(
        "transform",
        ARROW,
        &good[..good.len() - 300],
        400,
        &["inside a message"],
    );
    for text in [
        "",
        "[]",
        "{}",
        "{\"rows\":1}",
        "{\"rows\":[{\"x0\":NaN}]}",
        "{\"rows\":[]}}",
        "{\"columns\":[]}",
    ] {
        scorer.refused("score", JSON, text.as_bytes(), 400, &["JSON"]);
    }
    let fewer = batch.project(&[0, 1, 2]).expect("columns");
    scorer.refused(
        "transform",
        ARROW,
        &stream(&fewer),
        422,
        &["missing: `x3`, `x4`", "`x11`"],
    );
    scorer.refused(
        "score",
        JSON,
        b"{\"rows\":[{\"x0\":1,\"y\":2}]}",
        422,
        &["row 0", "`x10` and 1 more", "not in the model: `y`"],
    );
    scorer.refused(
        "score",
        JSON,
        b"{\"rows\":[{\"x0\":\"1\"}]}",
        422,
        &["row 0", "`x0`", "text"],
    );
}

#[test]
fn infinite_values_and_too_many_are_refused() {
    let batch = rows(100, 1);
    let scorer = Scorer::new(Some(snapshot(|j| format!("x{j}"))), 1, 1000);
    let good = stream(&batch);
    let mut odd = rows(100, 1).columns().to_vec();
    let mut values = odd[3]
        .as_primitive::<arrow::datatypes::Float32Type>()
        .values()
        .to_vec();
    values[77] = f32::NEG_INFINITY;
    odd[3] = Arc::new(Float32Array::from(values));
    let odd = RecordBatch::try_new(batch.schema(), odd).expect("a batch");
    scorer.refused(
        "transform",
        ARROW,
        &stream(&odd),
        422,
        &["row 77", "`x3`", "infinite"],
    );
    scorer.refused(
        "transform",
        ARROW,
        &stream(&rows(1001, 1)),
        413,
        &["1000 rows"],
    );
    let many: Vec<f64> = vec![1.0; 1001];
    let many: serde_json::Map<String, Value> =
        (0..M).map(|j| (format!("x{j}"), json!(many))).collect();
    scorer.refused(
        "score",
        JSON,
        json!({ "columns": many }).to_string().as_bytes(),
        413,
        &["1000 rows"],
    );
    scorer.refused(
        "transform",
        ARROW,
        &vec![0; (1 << 20) + 1],
        413,
        &["1048576 bytes"],
    );
    // Without a length the body is cut off where it grows too long.
    let mut chunked = TcpStream::connect(scorer.server.address()).expect("a connection");
    chunked.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let head = format!(
        "POST /api/v1/score HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {JSON}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    chunked.write_all(head.as_bytes()).expect("a head");
    for _ in 0..20 {
        let piece = format!("{:x}\r\n{}\r\n", 1 << 16, " ".repeat(1 << 16));
        chunked.write_all(piece.as_bytes()).expect("a chunk");
    }
    chunked.write_all(b"0\r\n\r\n").expect("an end");
    assert_eq!(answer(&mut chunked).0, 413);
    // None of that did harm.
    assert_eq!(scorer.post("transform", ARROW, &good).0, 200);
}

/// Bytes turned round at places that a formula gives: an answer each, and the server lives on.
#[test]
fn damaged_streams_are_answered() {
    let scorer = Scorer::new(Some(snapshot(|j| format!("x{j}"))), 1, 1000);
    let good = stream(&rows(400, 1));
    for i in 0..1500 {
        let mut bad = good.clone();
        // Most in the headers, where it matters.
        let at = if i % 3 == 0 {
            i * 7919 % bad.len()
        } else {
            i % 1400
        };
        bad[at] ^= 1 << (i % 8);
        let (status, _) = scorer.post("transform", ARROW, &bad);
        assert!(
            [200, 400, 413, 422].contains(&status),
            "byte {at}: {status}"
        );
    }
    assert_eq!(scorer.post("transform", ARROW, &good).0, 200);
}

#[test]
fn requests_whose_bodies_do_not_come_make_way() {
    let scorer = Scorer::new(Some(snapshot(|j| format!("x{j}"))), 1, 1000);
    let good = stream(&rows(100, 1));
    // As many as are held at a time, twice.
    let held: Vec<TcpStream> = (0..128)
        .map(|_| scorer.begin("transform", ARROW, good.len()))
        .collect();
    let until = Instant::now() + PATIENCE;
    loop {
        match scorer.post("transform", ARROW, &good).0 {
            200 => break,
            other => assert_eq!(other, 429),
        }
        assert!(Instant::now() < until, "nobody made way");
    }
    for mut stream in held {
        // Held, and too slow; or never let in.
        let (status, text) = answer(&mut stream);
        let text = String::from_utf8_lossy(&text);
        assert!([408, 429].contains(&status), "{status}: {text}");
    }
    assert_eq!(scorer.post("transform", ARROW, &good).0, 200);
}

#[test]
fn a_request_is_scored_by_what_was_known_then_and_the_next_by_what_is_now() {
    let model = snapshot(|j| format!("x{j}"));
    let scorer = Scorer::new(Some(model.clone()), 1, 1000);
    let good = stream(&rows(10, 1));
    let before = columns(&scorer.post("score", ARROW, &good).1);
    let mut other = model;
    other
        .estimate
        .eigenvalues
        .iter_mut()
        .for_each(|value| *value *= 2.0);
    scorer.live.snapshot.set(Some(Arc::new(other)));
    let after = columns(&scorer.post("score", ARROW, &good).1);
    for (before, after) in before[1].1.iter().zip(&after[1].1) {
        assert!((before - 2.0 * after).abs() <= 1e-12 * before.abs());
    }
}

#[test]
fn rows_are_learned_while_others_are_scored() {
    let place = Place::new("http.listen = \"127.0.0.1:0\"");
    let log = place.path("log");
    let mut child = place
        .daemon()
        .stderr(std::fs::File::create(&log).expect("a log"))
        .spawn()
        .expect("the program starts");
    parquet(&place.feed().join("a.parquet"), &rows(3000, 1));
    let until = Instant::now() + PATIENCE;
    let mut address = String::new();
    let mut asked = |head: &str, body: &[u8]| -> Option<(u16, Vec<u8>)> {
        if address.is_empty() {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let said = text.split_once("address=")?.1.split_whitespace().next()?;
            said.clone_into(&mut address);
        }
        let mut stream = TcpStream::connect(&address).ok()?;
        let head = format!(
            "{head} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {ARROW}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body).ok()?;
        Some(answer(&mut stream))
    };
    let body = stream(&rows(2000, 5));
    let (mut scored, mut sent) = (0, false);
    loop {
        if let Some((200, _)) = asked("POST /api/v1/transform", &body) {
            scored += 1;
        }
        if scored == 3 && !sent {
            parquet(&place.feed().join("b.parquet"), &rows(3000, 2));
            sent = true;
        }
        let status = asked("GET /api/v1/status", b"").map(|(_, body)| body);
        let status: Value = serde_json::from_slice(&status.unwrap_or_default()).unwrap_or_default();
        if status["rows_read"] == 6000 && scored > 5 {
            break;
        }
        assert!(Instant::now() < until, "{scored} {status}");
    }
    child.kill().expect("it ran");
    child.wait().expect("it ended");
}
