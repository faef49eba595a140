//! Directories that a daemon follows, and runs over them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

use crate::program::{ojad, stderr, succeeded};

/// Features of the rows made here.
pub const FEATURES: usize = 12;

/// Rows with a strong and a weak direction beside noise.
pub fn rows(count: usize, seed: u64) -> RecordBatch {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut columns = vec![Vec::new(); FEATURES];
    for _ in 0..count {
        let (a, b) = (
            random.random_range(-3.0..3.0),
            random.random_range(-1.0..1.0),
        );
        for (j, column) in columns.iter_mut().enumerate() {
            let noise = random.random_range(-0.3..0.3_f32);
            let sign = if j % 2 == 0 { 1.0 } else { -1.0 };
            column.push(a + sign * b * (1.0 + j as f32) + noise + 5.0);
        }
    }
    let fields: Vec<Field> = (0..FEATURES)
        .map(|j| Field::new(format!("x{j}"), DataType::Float32, false))
        .collect();
    let arrays = columns
        .into_iter()
        .map(|column| Arc::new(Float32Array::from(column)) as ArrayRef);
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays.collect()).expect("a batch")
}

/// Rows of another feed, none of which can be learned: NaN throughout.
pub fn foreign(count: usize) -> RecordBatch {
    let column = |name: &str| {
        let values: ArrayRef = Arc::new(Float32Array::from(vec![f32::NAN; count]));
        (name.to_owned(), values)
    };
    let columns = ["temperature", "pressure", "speed", "load"].map(column);
    RecordBatch::try_from_iter(columns).expect("a batch")
}

/// Writes a Parquet file of several row groups under another name, then renames it.
pub fn parquet(path: &Path, batch: &RecordBatch) {
    let temporary = path.with_extension("tmp");
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(700))
        .build();
    let file = File::create(&temporary).expect("a file");
    let mut writer =
        ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("a writer");
    writer.write(batch).expect("rows");
    writer.close().expect("a footer");
    std::fs::rename(&temporary, path).expect("a name");
}

/// Writes an Arrow IPC file of record batches of 300 rows.
pub fn ipc(path: &Path, batch: &RecordBatch) {
    let temporary = path.with_extension("tmp");
    let file = File::create(&temporary).expect("a file");
    let mut writer = FileWriter::try_new(file, &batch.schema()).expect("a writer");
    for part in parts(batch, 300) {
        writer.write(&part).expect("rows");
    }
    writer.finish().expect("a footer");
    std::fs::rename(&temporary, path).expect("a name");
}

/// An Arrow IPC stream of record batches of 300 rows, in memory.
pub fn stream(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, &batch.schema()).expect("a writer");
    for part in parts(batch, 300) {
        writer.write(&part).expect("rows");
    }
    writer.finish().expect("an end");
    bytes
}

fn parts(batch: &RecordBatch, rows: usize) -> Vec<RecordBatch> {
    (0..batch.num_rows())
        .step_by(rows)
        .map(|at| batch.slice(at, rows.min(batch.num_rows() - at)))
        .collect()
}

/// A configuration, a feed, a state and snapshots in a directory of their own.
pub struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    /// Small minibatches, many checkpoints; `extra` is TOML behind the tables.
    pub fn new(extra: &str) -> Self {
        let place = Self {
            directory: tempfile::tempdir().expect("a directory"),
        };
        std::fs::create_dir(place.feed()).expect("a directory");
        place.configure(extra);
        place
    }

    pub fn configure(&self, extra: &str) {
        let root = self.directory.path().display();
        let text = format!(
            "source.inputs = [\"{root}/feed\"]\nsource.rescan_ms = 20\n\
             learner.components = 3\nlearner.oversampling = 1\nlearner.minibatch = 64\n\
             state.dir = \"{root}/state\"\nstate.checkpoint_rows = 640\n\
             output.dir = \"{root}/model\"\noutput.every_rows = 2000\n{extra}\n"
        );
        std::fs::write(self.config(), text).expect("a file");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn feed(&self) -> PathBuf {
        self.path("feed")
    }

    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub fn config(&self) -> PathBuf {
        self.path("ojad.toml")
    }

    /// `ojad run` with this configuration.
    pub fn daemon(&self) -> Command {
        let mut command = ojad();
        command.arg("run").arg("--config").arg(self.config());
        command
    }

    /// Starts `ojad run` with its log in a file.
    pub fn spawn(&self) -> Child {
        self.spawn_with(self.daemon())
    }

    /// The same of a command that was made from [`Place::daemon`].
    pub fn spawn_with(&self, mut daemon: Command) -> Child {
        let log = File::create(self.path("log")).expect("a log");
        let daemon = daemon.stderr(log).stdout(Stdio::null());
        daemon.spawn().expect("the program starts")
    }

    /// The log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Address of the HTTP server, once the log tells it. Half of it may have been written.
    pub fn address(&self) -> Option<String> {
        let log = self.log();
        let (_, rest) = log.split_once("address=")?;
        let (address, _) = rest.split_once(char::is_whitespace)?;
        Some(address.to_owned())
    }

    /// Learns what is there, and ends.
    pub fn learn(&self) -> Output {
        self.daemon()
            .arg("--until-idle")
            .output()
            .expect("the program starts")
    }

    /// What the newest checkpoint says.
    pub fn inspect(&self) -> serde_json::Value {
        let output = ojad()
            .args(["state", "inspect", "--json"])
            .arg(self.state())
            .output()
            .expect("the program starts");
        succeeded(&output);
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// The files that were refused, as `ojad quarantine list` prints them.
    pub fn quarantine(&self) -> serde_json::Value {
        let output = ojad()
            .args(["quarantine", "list", "--json", "--state"])
            .arg(self.state())
            .output()
            .expect("the program starts");
        succeeded(&output);
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Everything that two runs over the same rows must agree on.
    pub fn result(&self) -> Result {
        let found = self.inspect();
        let latest = self.path("model/latest");
        let table = |name: &str| std::fs::read(latest.join(name)).expect("a table");
        Result {
            state: found["state_sha256"].as_str().expect("text").to_owned(),
            rows_read: found["rows_read"].as_u64().expect("a number"),
            quarantined: found["quarantined"].as_u64().expect("a number"),
            components: table("components.parquet"),
            features: table("features.parquet"),
        }
    }

    /// Learns what is there, and says what came of it.
    pub fn learned(&self) -> Result {
        let output = self.learn();
        assert!(output.status.success(), "{}", stderr(&output));
        self.result()
    }
}

/// What two runs over the same rows must agree on.
#[derive(Debug, PartialEq, Eq)]
pub struct Result {
    pub state: String,
    pub rows_read: u64,
    pub quarantined: u64,
    components: Vec<u8>,
    features: Vec<u8>,
}
