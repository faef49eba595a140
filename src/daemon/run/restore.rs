//! State ↔ checkpoint: what a run leaves behind and how the next one resumes from it.

mod waiting;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tracing::{info, warn};

use self::waiting::{decode_waiting, encode_waiting, waiting_rows};
use crate::checkpoint::{
    Checkpoint, CheckpointError, Journal, Recorded, Section, Store, read_entries,
};
use crate::codec::{CodecError, Decoder, Encoder};
use crate::daemon::run::belonging::{Belonging, Parts};
use crate::daemon::run::decision::Decision;
use crate::daemon::run::messages::RunError;
use crate::daemon::run::params::RunParams;
use crate::disk::Disk;
use crate::learner::drift::{Drift, DriftReport};
use crate::learner::{Learner, Monitor};
use crate::prequential;
use crate::rows::{Minibatch, RunId, hex, unix_s};
use crate::source::SourceParams;
use crate::source::follow::{FileLoader, FileTable, IngestState, Spool};

/// Number of files that the trainer remembers in addition to changes: more than a snapshot or the
/// page lists.
const LATEST_FILES: usize = 4096;

/// The section `meta`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Meta {
    /// Version of the program that wrote it.
    pub ojad_version: String,
    /// Time in seconds since 1970.
    pub written_unix_s: u64,
    /// Configuration keys that determine the bits of the state.
    pub state_keys: String,
    /// SHA-256 of these keys.
    pub state_keys_sha256: String,
    /// The run; none in checkpoints from before runs had ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
}

/// State of the learning side of a run.
#[derive(Default)]
pub(super) struct Learned {
    pub(super) state: IngestState,
    pub(super) learner: Option<Box<dyn Learner>>,
    /// Rows waiting for a full minibatch.
    pub(super) waiting: Option<Minibatch>,
    pub(super) drift: Option<Drift>,
    /// How the features moved; `None` before they are fixed.
    pub(super) monitor: Option<Monitor>,
}

/// Everything a run resumes with.
pub(super) struct Found {
    pub(super) learned: Learned,
    /// All known files, for the ingest thread.
    pub(super) files: FileTable,
    /// The run that continues or starts.
    pub(super) belonging: Belonging,
    pub(super) journal: Journal,
    pub(super) planned: VecDeque<(u64, Decision)>,
}

/// A description of a checkpoint for people.
#[derive(Clone, Debug, Serialize)]
pub struct Restored {
    /// The section `meta`.
    pub meta: Meta,
    /// Number of the last decision contained.
    pub sequence: u64,
    /// Features.
    pub features: usize,
    /// Number of rows learned.
    pub rows_learned: u64,
    /// Rows waiting for a full minibatch.
    pub rows_waiting: usize,
    /// Rows read, accepted or rejected.
    pub rows_read: u64,
    /// Rows left out by a policy.
    pub rows_rejected: u64,
    /// Short minibatches learned.
    pub flushes: u64,
    /// Number of remembered files.
    pub files: u64,
    /// Number of drifts so far.
    pub drifts: u64,
    /// How far the latest rows are from the earlier ones, if drift is watched.
    pub drift: Option<DriftReport>,
    /// Files refused so far.
    pub quarantined: u64,
    /// Number of remembered keys of pushed bodies.
    pub pushed: usize,
    /// The file being read, and the rows taken of its segment.
    pub reading: Option<(String, u64)>,
    /// SHA-256 over everything that two runs over the same rows must agree on: the learner, the
    /// waiting rows, the counters, the drift detector.
    pub state_sha256: String,
    /// Sections and their bytes.
    pub sections: Vec<(String, usize)>,
}

pub(super) fn meta_of(checkpoint: &Checkpoint) -> Result<Meta, String> {
    serde_json::from_slice(checkpoint.section(Section::Meta))
        .map_err(|error| format!("its section `meta` cannot be read: {error}"))
}

fn ingest_state_of(
    checkpoint: &Checkpoint,
    source: &SourceParams,
) -> Result<IngestState, CodecError> {
    let sections = [
        Section::Feed,
        Section::RowCounts,
        Section::Quarantine,
        Section::Pushed,
    ];
    IngestState::decode(sections.map(|section| checkpoint.section(section)), source)
}

fn drift_of(checkpoint: &Checkpoint, features: usize) -> Result<Option<Drift>, CodecError> {
    let bytes = checkpoint.section(Section::Drift);
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut from = Decoder::new("drift", bytes);
    let drift = Drift::restore(&mut from, features)?;
    from.finish()?;
    Ok(Some(drift))
}

/// Known files that the checkpoint in `directory` refers to; empty for one that contains them
/// itself.
///
/// # Errors
/// If it cannot be read or is damaged.
pub fn files_of(
    checkpoint: &Checkpoint,
    directory: &Path,
    disk: &dyn Disk,
) -> Result<FileTable, CheckpointError> {
    let Some(mark) = checkpoint.mark(directory)? else {
        return Ok(FileTable::default());
    };
    let mut files = room_for(mark.live);
    read_entries(disk, directory, &mark, |file, entry| {
        take_up(&mut files, file, entry, directory)
    })?;
    Ok(files.finish())
}

fn room_for(files: u64) -> FileLoader {
    FileLoader::with_room_for(usize::try_from(files).unwrap_or(0))
}

fn take_up(
    files: &mut FileLoader,
    file: u64,
    entry: Option<&[u8]>,
    directory: &Path,
) -> Result<(), CheckpointError> {
    let taken = files.take_up(file, entry);
    taken.map_err(|error| CheckpointError::Damaged {
        path: directory.to_owned(),
        reason: error.to_string(),
    })
}

/// A checkpoint from before features were watched has no monitor: a new one starts with the next
/// rows.
fn monitor_of(checkpoint: &Checkpoint, features: usize) -> Result<Monitor, CodecError> {
    let bytes = checkpoint.section(Section::Monitor);
    if bytes.is_empty() {
        return Ok(Monitor::new(features));
    }
    let mut from = Decoder::new("monitor", bytes);
    let monitor = Monitor::restore(&mut from, features)?;
    from.finish()?;
    Ok(monitor)
}

/// Content of a checkpoint, for people; for the files it refers to see [`files_of`].
///
/// # Errors
/// If a section is damaged.
pub fn inspect(checkpoint: &Checkpoint) -> Result<(Restored, IngestState), String> {
    let meta = meta_of(checkpoint)?;
    let state = ingest_state_of(checkpoint, &SourceParams::default()).map_err(|e| e.to_string())?;
    let waiting = checkpoint.section(Section::Waiting);
    let rows_waiting = match waiting {
        [] => 0,
        bytes => waiting_rows(bytes).map_err(|e| e.to_string())?,
    };
    let names = Section::ALL.iter().filter_map(|section| {
        let bytes = checkpoint.section(*section).len();
        (bytes > 0).then(|| (section.name().to_owned(), bytes))
    });
    let features = state
        .feature_schema
        .as_ref()
        .map_or(0, |a| a.features().len());
    let drift = drift_of(checkpoint, features).map_err(|e| e.to_string())?;
    let mark = checkpoint.mark(Path::new(""));
    let files = match mark.map_err(|e| e.to_string())? {
        Some(mark) => mark.live,
        None => state.files.len() as u64,
    };
    let reading = state.reading.as_ref().map(|reading| {
        let path = reading.segment.path.to_string_lossy().into_owned();
        (path, reading.rows)
    });
    Ok((
        Restored {
            meta,
            sequence: checkpoint.sequence,
            features,
            rows_learned: state.counts.rows_accepted - rows_waiting as u64,
            rows_waiting,
            rows_read: state.counts.rows_read,
            rows_rejected: state.counts.rows_rejected,
            flushes: state.flushes,
            files,
            drifts: drift.as_ref().map_or(0, Drift::events),
            drift: drift.and_then(|drift| drift.report()),
            quarantined: state.quarantined,
            pushed: state.pushed.len(),
            reading,
            state_sha256: state_hash(checkpoint),
            sections: names.collect(),
        },
        state,
    ))
}

/// Hash over everything that two runs over the same rows must agree on, wherever their files are.
fn state_hash(checkpoint: &Checkpoint) -> String {
    let mut hasher = Sha256::new();
    for section in [
        Section::Learner,
        Section::Waiting,
        Section::RowCounts,
        Section::Drift,
    ] {
        let bytes = checkpoint.section(section);
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    }
    hex(&hasher.finalize())
}

impl Learned {
    /// Number of rows learned.
    pub(super) fn rows(&self) -> u64 {
        self.learner.as_ref().map_or(0, |learner| learner.rows())
    }

    /// A copy of everything, as bytes.
    pub(super) fn checkpoint(&self, params: &RunParams, run_id: RunId) -> Checkpoint {
        let mut checkpoint = Checkpoint {
            sequence: self.state.sequence,
            sections: Vec::new(),
        };
        let meta = Meta {
            ojad_version: env!("CARGO_PKG_VERSION").to_owned(),
            written_unix_s: unix_s(),
            state_keys: params.state_keys.clone(),
            state_keys_sha256: hex(&Sha256::digest(params.state_keys.as_bytes())),
            run_id: Some(run_id),
        };
        // Strings and numbers: they can always be written.
        let meta = serde_json::to_vec(&meta).unwrap_or_default();
        checkpoint.put(Section::Meta, meta);
        if let Some(learner) = &self.learner {
            let mut to = Encoder::new();
            learner.save(&mut to);
            checkpoint.put(Section::Learner, to.into_bytes());
        }
        let section = |write: &dyn Fn(&mut Encoder)| {
            let mut to = Encoder::new();
            write(&mut to);
            to.into_bytes()
        };
        let state = &self.state;
        checkpoint.put(Section::Feed, section(&|to| state.encode(to)));
        checkpoint.put(Section::RowCounts, section(&|to| state.encode_tally(to)));
        let quarantine = section(&|to| state.encode_quarantine(to));
        checkpoint.put(Section::Quarantine, quarantine);
        if !state.pushed.is_empty() {
            let pushed = section(&|to| state.pushed.encode(to));
            checkpoint.put(Section::Pushed, pushed);
        }
        if let Some(drift) = &self.drift {
            checkpoint.put(Section::Drift, section(&|to| drift.save(to)));
        }
        if let Some(monitor) = &self.monitor {
            checkpoint.put(Section::Monitor, section(&|to| monitor.save(to)));
        }
        if let Some(waiting) = &self.waiting {
            checkpoint.put(Section::Waiting, encode_waiting(waiting));
        }
        checkpoint
    }

    fn of(checkpoint: &Checkpoint, params: &RunParams) -> Result<Self, String> {
        let wrong = |error: CodecError| error.to_string();
        let state = ingest_state_of(checkpoint, &params.source).map_err(wrong)?;
        let Some(feature_schema) = state.feature_schema.clone() else {
            return Ok(Self {
                state,
                ..Self::default()
            });
        };
        let m = feature_schema.features().len();
        let mut learner = prequential::new(&params.learner, m).map_err(|e| e.to_string())?;
        let mut from = Decoder::new("learner", checkpoint.section(Section::Learner));
        learner.restore(&mut from).map_err(wrong)?;
        from.finish().map_err(wrong)?;
        let waiting = match checkpoint.section(Section::Waiting) {
            [] => None,
            bytes => {
                let rows = params.learner.minibatch_rows(m);
                Some(decode_waiting(bytes, &feature_schema, rows).map_err(wrong)?)
            }
        };
        let drift = drift_of(checkpoint, m).map_err(wrong)?;
        let monitor = monitor_of(checkpoint, m).map_err(wrong)?;
        let rows_waiting = waiting.as_ref().map_or(0, Minibatch::rows) as u64;
        // The checksum proves that the bytes are intact; this check proves that the sections
        // belong together.
        if learner.rows() + rows_waiting != state.counts.rows_accepted {
            return Err(format!(
                "{} rows learned and {rows_waiting} waiting, but {} accepted",
                learner.rows(),
                state.counts.rows_accepted
            ));
        }
        Ok(Self {
            state,
            learner: Some(learner),
            waiting,
            drift,
            monitor: Some(monitor),
        })
    }
}

/// Finds the state of the previous run, or starts a new one.
pub(super) fn find(params: &RunParams, disk: Arc<dyn Disk>) -> Result<(Found, Store), RunError> {
    let directory = params.state_dir.as_path();
    let mut store = Store::open(directory, Arc::clone(&disk))?;
    let loaded = store.load_into(room_for, |files, file, entry| {
        take_up(files, file, entry, directory)
    })?;
    let spool = directory.join("spool");
    let wrong = |reason: String| RunError::State {
        path: directory.to_owned(),
        reason,
    };
    // A checkpoint of the first version holds its files itself: the next one writes all of them.
    let mut is_old = false;
    let mut of = None;
    let is_found = loaded.is_some();
    let mut learned = match loaded {
        None => Learned::default(),
        Some((loaded, files)) => {
            if let Some(reason) = &loaded.fell_back {
                warn!(%reason, "the newest checkpoint cannot be read; using the one before");
            }
            let meta = meta_of(&loaded.checkpoint).map_err(wrong)?;
            // Compared before the state is decoded: with other keys decoding may fail, and that
            // error would not help anybody.
            if meta.state_keys != params.state_keys {
                return Err(RunError::OtherConfig {
                    path: directory.to_owned(),
                    changes: crate::config::describe_state_changes(
                        &meta.state_keys,
                        &params.state_keys,
                    ),
                });
            }
            of = meta.run_id;
            let mut learned = Learned::of(&loaded.checkpoint, params).map_err(wrong)?;
            is_old = !learned.state.files.is_empty();
            if !is_old {
                learned.state.files = files.finish();
            }
            learned
                .state
                .rename("spool".as_ref(), |path| Spool::name_now(&spool, path));
            let rows = learned.state.counts.rows_accepted;
            info!(rows, files = learned.state.files.len(), from = %loaded.path.display(), "state resumed");
            learned
        }
    };
    let after = learned.state.sequence;
    let recorded = Recorded::read(directory, disk.as_ref())?;
    let planned = planned_in(&recorded, after, &spool).map_err(wrong)?;
    let is_begun = is_found || !recorded.entries.is_empty();
    let parts = Parts {
        checkpoint: of,
        journal: recorded.run,
        rows: is_begun.then_some(learned.state.counts.rows_accepted),
    };
    let belonging = Belonging::settle(params, &parts, disk.as_ref())?;
    let mut journal = Journal::resume(directory, disk, belonging.run_id, recorded, after);
    // What both generations contain need not be written again.
    journal.compact(store.contained());
    if let Some(reading) = &learned.state.reading {
        learned.state.rows_before = learned.state.rows_before(reading.file);
    }
    // The ingest thread gets the whole table; the trainer, which only names files to people, keeps few of
    // them.
    let latest = learned.state.files.latest(LATEST_FILES);
    let files = std::mem::replace(&mut learned.state.files, latest);
    if is_old {
        learned.state.files.owe(&files);
    }
    let found = Found {
        learned,
        files,
        belonging,
        journal,
        planned,
    };
    Ok((found, store))
}

/// The decisions after the checkpoint, with the current names of spool files.
fn planned_in(
    recorded: &Recorded,
    after: u64,
    spool: &Path,
) -> Result<VecDeque<(u64, Decision)>, String> {
    let mut planned = VecDeque::new();
    let behind = recorded.entries.iter();
    for entry in behind.filter(|entry| entry.sequence > after) {
        let decision = Decision::decode(&entry.bytes);
        let mut decision = decision.map_err(|error| format!("journal: {error}"))?;
        if let Decision::NextSegment(reading) = &mut decision
            && let Some(path) = Spool::name_now(spool, &reading.segment.path)
        {
            reading.segment.path = path;
        }
        planned.push_back((entry.sequence, decision));
    }
    check_gap(&planned, after)?;
    Ok(planned)
}

/// If there are any entries after the checkpoint, the very next one must be among them: otherwise
/// decisions are missing.
fn check_gap(planned: &VecDeque<(u64, Decision)>, after: u64) -> Result<(), String> {
    match planned.front() {
        Some((first, _)) if *first != after + 1 => Err(format!(
            "the journal begins with decision {first}, but the checkpoint ends with {after}: the \
             decisions between are lost"
        )),
        _ => Ok(()),
    }
}
