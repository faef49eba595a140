//! The keys of what runs for ever, and their defaults: inputs, state, snapshots, logs.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::auto::AutoOr;
use crate::source::follow::{OnCopy, Order, Symlinks};
use crate::source::{BadValue, Extra};

/// Sources of rows, and policies for bad values and files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourceKeys {
    /// Directories, globs, files, `-`, `fifo:PATH`, `unix:PATH`, `push:`.
    pub inputs: Vec<String>,
    /// In which order new files are taken.
    pub order: Order,
    /// Time between two looks.
    pub rescan_ms: u64,
    /// How long a file may stay without its footer.
    pub incomplete_age_s: u64,
    /// Endings of names that are not looked at.
    pub ignore_suffixes: Vec<String>,
    /// How far symbolic links are followed.
    pub symlinks: Symlinks,
    /// Policy for a consumed file that changes.
    pub on_changed: OnChanged,
    /// Policy for a file with the content of one that was learned and is gone.
    pub on_copy: OnCopy,
    /// How long rows may wait for a full minibatch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_max_ms: Option<u64>,
    /// The process that decodes files.
    pub isolation: IsolationKey,
    /// Address space of the worker process.
    pub worker_memory_mib: u64,
    /// Longest silence of the worker process.
    pub decode_deadline_s: u64,
    /// Policy for refused files.
    pub quarantine: QuarantineKey,
    /// Directory of refused files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine_dir: Option<PathBuf>,
    /// Bytes of streams kept on disk.
    pub spool_mib: u64,
    /// A null.
    pub on_null: BadValue,
    /// A NaN.
    pub on_nan: BadValue,
    /// An infinity, or a value beyond the precision's range.
    pub on_inf: BadValue,
    /// A column that the first file did not have.
    pub extra: Extra,
}

impl Default for SourceKeys {
    fn default() -> Self {
        Self {
            inputs: Vec::new(),
            order: Order::default(),
            rescan_ms: 1000,
            incomplete_age_s: 3600,
            ignore_suffixes: [".tmp", ".part", ".partial", ".crdownload", "~"]
                .map(String::from)
                .to_vec(),
            symlinks: Symlinks::default(),
            on_changed: OnChanged::default(),
            on_copy: OnCopy::default(),
            latency_max_ms: None,
            isolation: IsolationKey::default(),
            worker_memory_mib: 4096,
            decode_deadline_s: 60,
            quarantine: QuarantineKey::default(),
            quarantine_dir: None,
            spool_mib: 1024,
            on_null: BadValue::default(),
            on_nan: BadValue::default(),
            on_inf: BadValue::default(),
            extra: Extra::default(),
        }
    }
}

/// Policy for a consumed file that changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnChanged {
    /// Refuses the file and goes on.
    #[default]
    Quarantine,
    /// Ends the run.
    Stop,
}

/// The process that decodes files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IsolationKey {
    /// In a process of their own.
    #[default]
    Process,
    /// In the daemon.
    None,
}

/// Policy for refused files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuarantineKey {
    /// It is written down.
    #[default]
    Record,
    /// A copy goes to `quarantine_dir`.
    Copy,
    /// It goes to `quarantine_dir`.
    Move,
}

/// The state between two runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StateKeys {
    /// Directory of checkpoints, journal and lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// Rows between two checkpoints; `"auto"`: by time alone.
    pub checkpoint_rows: AutoOr<u64>,
    /// Time between two checkpoints.
    pub checkpoint_s: u64,
}

impl Default for StateKeys {
    fn default() -> Self {
        Self {
            dir: None,
            checkpoint_rows: AutoOr::default(),
            checkpoint_s: 30,
        }
    }
}

/// Directory, times and number of snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutputKeys {
    /// Directory of snapshots; unset: `fit` writes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// Time between two snapshots.
    pub every_s: u64,
    /// Rows between two snapshots; `"auto"`: by time alone.
    pub every_rows: AutoOr<u64>,
    /// Number of newest snapshots kept.
    pub keep: usize,
    /// Days of which the last one is kept.
    pub keep_daily: usize,
}

impl Default for OutputKeys {
    fn default() -> Self {
        Self {
            dir: None,
            every_s: 60,
            every_rows: AutoOr::default(),
            keep: 10,
            keep_daily: 30,
        }
    }
}

/// Threads, room between them, and the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunKeys {
    /// 1: read and learn in turn; 2: read ahead.
    pub threads: usize,
    /// Minibatches that may wait between reader and trainer; `"auto"`: a few megabytes.
    pub channel_minibatches: AutoOr<usize>,
    /// Longest time for draining.
    pub drain_s: u64,
}

impl Default for RunKeys {
    fn default() -> Self {
        Self {
            threads: 2,
            channel_minibatches: AutoOr::default(),
            drain_s: 20,
        }
    }
}

/// Level and format of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogKeys {
    /// How a line looks.
    pub format: LogFormat,
    /// How much is told.
    pub level: LogLevel,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Events that end a run or lose something.
    Error,
    /// Events that need a person.
    Warn,
    /// Every file, checkpoint, snapshot and change of state.
    #[default]
    Info,
    /// The reasons.
    Debug,
    /// Every minibatch.
    Trace,
}
