//! Parameters of the daemon: the keys, and what the layers below make of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{Config, ConfigError, Plan, state_text};
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

/// Everything that a run needs to know.
#[derive(Clone, Debug)]
pub struct RunParams {
    /// The keys, checked.
    pub keys: Config,
    /// Parameters of the learner.
    pub learner: LearnerParams,
    /// How rows are judged.
    pub source: SourceParams,
    /// Inputs to follow.
    pub follow: FollowParams,
    /// Streams to follow.
    pub streams: Vec<SpoolInput>,
    /// Directory of checkpoint, journal and lock.
    pub state_dir: PathBuf,
    /// The keys that decide the bits of the state, as text.
    pub state_keys: String,
    /// Directory that snapshots go to.
    pub output_dir: PathBuf,
    /// Parameters of drift detection, if it is on.
    pub drift: Option<DriftParams>,
    /// How to begin.
    pub begin: Begin,
    /// When to end.
    pub until: Until,
}

/// Minibatches between ingest thread and trainer, where nobody says: some megabytes of most shapes.
const CHANNEL_MINIBATCHES: usize = 8;

impl TryFrom<&Config> for RunParams {
    type Error = ConfigError;

    fn try_from(config: &Config) -> Result<Self, ConfigError> {
        let plan = Plan::try_from(config)?;
        if let Some(fraction) = plan.variance {
            return Err(ConfigError::Value {
                key: "learner.components",
                value: fraction.to_string(),
                remedy: "use a whole number of components: a fraction of the variance tells how many only once all rows \
                         have been read, as `ojad fit` does, and a stream has no end",
            });
        }
        let (source, state, output) = (&config.source, &config.state, &config.output);
        let missing = |key, remedy| ConfigError::Missing { key, remedy };
        let (places, streams) = inputs(&source.inputs)?;
        let name_one = "name the directory";
        Ok(Self {
            keys: config.clone(),
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
            state_dir: absolute(state.dir.as_ref().ok_or(missing("state.dir", name_one))?),
            state_keys: state_text(config),
            output_dir: absolute(output.dir.as_ref().ok_or(missing("output.dir", name_one))?),
            drift: plan.drift,
            begin: Begin::Resume,
            until: Until::Stopped,
        })
    }
}

impl RunParams {
    /// Minibatches between ingest thread and trainer.
    pub(super) fn channel_minibatches(&self) -> usize {
        let wanted = self.keys.run.channel_minibatches.value();
        wanted.unwrap_or(CHANNEL_MINIBATCHES)
    }

    /// Time and rows between two checkpoints; without rows: by time alone.
    pub(super) fn checkpoint_interval(&self) -> (Duration, Option<u64>) {
        let keys = &self.keys.state;
        let every = Duration::from_secs(keys.checkpoint_s);
        (every, keys.checkpoint_rows.value())
    }

    /// Time and rows between two snapshots; without rows: by time alone.
    pub(super) fn snapshot_interval(&self) -> (Duration, Option<u64>) {
        let keys = &self.keys.output;
        (Duration::from_secs(keys.every_s), keys.every_rows.value())
    }

    /// Longest time for learning what was read, checkpoint and snapshot, when asked to stop.
    pub(super) fn drain(&self) -> Duration {
        Duration::from_secs(self.keys.run.drain_s)
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
