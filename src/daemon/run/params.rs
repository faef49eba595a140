//! Parameters of the daemon: the checked plan in the terms of the layers below.

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use crate::config::OnChanged;
use crate::config::{
    Config, ConfigError, IsolationKey, OnEventKey, Plan, QuarantineKey, state_text,
};
use crate::learner::LearnerParams;
use crate::learner::drift::DriftParams;
use crate::source::SourceParams;
use crate::source::follow::{FollowParams, SpoolInput};

/// When a run ends by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Until {
    /// Never.
    #[default]
    Stopped,
    /// When every available row has been learned.
    Idle,
}

/// How a run begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Begin {
    /// It goes on with the state that is there.
    #[default]
    Resume,
    /// The state is moved aside, and a new run begins, over whatever was published.
    Anew,
}

/// Policy for refused files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Quarantine {
    /// It is written down and stays where it is.
    #[default]
    Record,
    /// A copy is put there.
    Copy(PathBuf),
    /// It is moved there.
    Move(PathBuf),
}

/// Everything that a run needs to know.
#[derive(Clone, Debug)]
pub struct RunParams {
    /// Parameters of the learner.
    pub learner: LearnerParams,
    /// How rows are judged.
    pub source: SourceParams,
    /// Inputs to follow.
    pub follow: FollowParams,
    /// Streams to follow.
    pub streams: Vec<SpoolInput>,
    /// Bytes of streams kept until a checkpoint holds their rows.
    pub spool_bytes: u64,
    /// Time between two looks at the places.
    pub rescan: Duration,
    /// How long rows may wait for a full minibatch; `None`: for ever.
    pub latency_max: Option<Duration>,
    /// Policy for a consumed file that changes.
    pub on_changed: OnChanged,
    /// Policy for refused files.
    pub quarantine: Quarantine,
    /// True if files are decoded in a process of their own.
    pub is_isolated: bool,
    /// Address space of that process, MiB.
    pub worker_memory_mib: u64,
    /// Longest silence of that process.
    pub decode_deadline: Duration,
    /// Directory of checkpoint, journal and lock.
    pub state_dir: PathBuf,
    /// The keys that decide the bits of the state, as text.
    pub state_keys: String,
    /// Rows between two checkpoints; `None`: by time alone.
    pub checkpoint_rows: Option<u64>,
    /// Time between two checkpoints.
    pub checkpoint_every: Duration,
    /// Directory that snapshots go to.
    pub output_dir: PathBuf,
    /// Rows between two snapshots; `None`: by time alone.
    pub snapshot_rows: Option<u64>,
    /// Time between two snapshots.
    pub snapshot_every: Duration,
    /// Number of newest snapshots kept.
    pub keep: usize,
    /// Days of which the last snapshot is kept.
    pub keep_daily: usize,
    /// Longest time for learning what was read, checkpoint and snapshot, when asked to stop.
    pub drain: Duration,
    /// Minibatches between feeder and trainer.
    pub channel_minibatches: usize,
    /// Parameters of drift detection, if it is on.
    pub drift: Option<DriftParams>,
    /// True if a drift makes a snapshot.
    pub snapshot_on_drift: bool,
    /// How to begin.
    pub begin: Begin,
    /// When to end.
    pub until: Until,
}

/// Minibatches between feeder and trainer, where nobody says: some megabytes of most shapes.
const CHANNEL_MINIBATCHES: usize = 8;

/// Bytes of a mebibyte.
const MIB: u64 = 1 << 20;

impl TryFrom<&Config> for RunParams {
    type Error = ConfigError;

    fn try_from(config: &Config) -> Result<Self, ConfigError> {
        let plan = Plan::try_from(config)?;
        let (source, state, output) = (&config.source, &config.state, &config.output);
        let missing = |key, remedy| ConfigError::Missing { key, remedy };
        let (places, streams) = inputs(&source.inputs)?;
        let name_one = "name the directory";
        let quarantine_dir = source.quarantine_dir.clone().unwrap_or_default();
        Ok(Self {
            learner: plan.learner,
            source: plan.source,
            follow: FollowParams {
                places,
                order: source.order,
                ignore_suffixes: source.ignore_suffixes.clone(),
                symlinks: source.symlinks,
                on_copy: source.on_copy,
                spool: state.dir.as_ref().map(|dir| absolute(dir).join("spool")),
                incomplete_age: Duration::from_secs(source.incomplete_age_s),
            },
            streams,
            spool_bytes: source.spool_mib * MIB,
            rescan: Duration::from_millis(source.rescan_ms),
            latency_max: source.latency_max_ms.map(Duration::from_millis),
            on_changed: source.on_changed,
            quarantine: match source.quarantine {
                QuarantineKey::Record => Quarantine::Record,
                QuarantineKey::Copy => Quarantine::Copy(quarantine_dir),
                QuarantineKey::Move => Quarantine::Move(quarantine_dir),
            },
            is_isolated: source.isolation == IsolationKey::Process,
            worker_memory_mib: source.worker_memory_mib,
            decode_deadline: Duration::from_secs(source.decode_deadline_s),
            state_dir: absolute(state.dir.as_ref().ok_or(missing("state.dir", name_one))?),
            state_keys: state_text(config),
            checkpoint_rows: state.checkpoint_rows.value(),
            checkpoint_every: Duration::from_secs(state.checkpoint_s),
            output_dir: absolute(output.dir.as_ref().ok_or(missing("output.dir", name_one))?),
            snapshot_rows: output.every_rows.value(),
            snapshot_every: Duration::from_secs(output.every_s),
            keep: output.keep,
            keep_daily: output.keep_daily,
            drain: Duration::from_secs(config.run.drain_s),
            channel_minibatches: plan
                .run
                .channel_minibatches
                .value()
                .unwrap_or(CHANNEL_MINIBATCHES),
            drift: plan.drift,
            snapshot_on_drift: config.drift.on_event == OnEventKey::Snapshot,
            begin: Begin::Resume,
            until: Until::Stopped,
        })
    }
}

/// A daemon changes no directory, but the service manager may have started it in any.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Inputs by their kinds.
fn inputs(inputs: &[String]) -> Result<(Vec<PathBuf>, Vec<SpoolInput>), ConfigError> {
    let (mut places, mut streams) = (Vec::new(), Vec::new());
    for input in inputs {
        if input == "-" {
            streams.push(SpoolInput::Stdin);
        } else if input == "push:" {
            streams.push(SpoolInput::Push);
        } else if let Some(path) = input.strip_prefix("fifo:") {
            streams.push(SpoolInput::Fifo(absolute(Path::new(path))));
        } else if let Some(path) = input.strip_prefix("unix:") {
            streams.push(SpoolInput::Socket(absolute(Path::new(path))));
        } else {
            places.push(absolute(Path::new(input)));
        }
    }
    if inputs.is_empty() {
        return Err(ConfigError::Missing {
            key: "source.inputs",
            remedy: "name directories, globs or files, \"-\", \"fifo:PATH\", \"unix:PATH\" or \"push:\"",
        });
    }
    Ok((places, streams))
}
