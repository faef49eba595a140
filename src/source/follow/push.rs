//! Pushed bodies → files of the spool, each learned exactly once.
//!
//! In: a key and the bytes of an Arrow IPC stream. Out: a file that appears whole or not at all,
//! with the key in its name; from then on the guarantees for files apply. A body with a known key
//! is not stored again, both before and after its rows are in a checkpoint. Refused: an unreadable
//! body, a key already used for another body, and everything while the spool is full.

mod body;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::keys::{Hash, KEYS_MAX, PushName, PushedKey, Settled};
use super::shared::Shared;
use super::state::IngestState;
use crate::disk::Disk;
use crate::source::{FeatureSchema, SourceParams};

use self::body::Expected;

pub use body::Flaw;

/// Most files of pushed bodies in the spool: their decisions fit into one write of the journal, and
/// scanning them takes milliseconds.
const FILES_MAX: usize = 4096;
/// Default and longest wait suggested to a client.
const RETRY_UNKNOWN: Duration = Duration::from_secs(2);
const RETRY_MOST: Duration = Duration::from_mins(1);

/// Stage of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// On its way into a file.
    Writing,
    /// In a file whose name may not be on disk yet: only a checkpoint makes it certain.
    Unsure,
    /// In a file that survives a crash of the process and of the machine.
    Kept,
    /// Taken by the learner; contained in every checkpoint with this many events.
    Taken {
        /// Events of the feed.
        steps: u64,
    },
    /// In a checkpoint on the disk.
    Durable,
    /// Refused after the rows already taken.
    Refused {
        /// The reason, if still known.
        reason: Option<String>,
    },
}

/// State of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Hash of its bytes.
    pub body: Hash,
    /// Its rows; for a refused body, the rows taken.
    pub rows: u64,
    /// Its position.
    pub stage: Stage,
}

/// Outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is kept.
    Accepted(Known),
    /// It was kept before, by a request with the same key and body.
    Duplicate(Known),
    /// The key belongs to another body.
    OtherBody,
    /// The body cannot be taken.
    Flawed(Flaw),
    /// The spool is full: when to retry.
    Full(Duration),
    /// The disk reported an error, or the daemon is stopping; the same request may be retried.
    Failed(String),
}

#[derive(Debug, Default)]
struct Index {
    known: HashMap<Hash, Known>,
    /// Keys whose files are done, in order: the same as in the feed's state.
    settled: VecDeque<Hash>,
    /// Those not yet in a checkpoint, and the number of events that one must contain.
    pending: VecDeque<(u64, Hash)>,
    /// Files in the spool by number, and since when.
    files: BTreeMap<u64, Instant>,
    /// How long the last removed file had stayed.
    stay: Option<Duration>,
}

/// Accepts bodies and tracks their fate.
pub struct Push {
    shared: Arc<Shared>,
    disk: Arc<dyn Disk>,
    index: Mutex<Index>,
    written: Condvar,
    /// The features, once they are fixed; until then, what may fix them.
    feature_schema: Mutex<Option<FeatureSchema>>,
    source: SourceParams,
    /// Called after every change of a stage, so that those waiting check again.
    changed: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl std::fmt::Debug for Push {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Push").finish_non_exhaustive()
    }
}

impl Push {
    /// Resumes from what the previous run left: keys in `state`, files in the spool.
    ///
    /// # Errors
    /// If the spool cannot be listed or synced.
    pub(super) fn open(
        shared: Arc<Shared>,
        disk: Arc<dyn Disk>,
        state: &IngestState,
        source: &SourceParams,
    ) -> io::Result<Self> {
        let directory = shared.directory.clone();
        // A file that was renamed just before the end may be answered for from now on.
        disk.sync_dir(&directory)?;
        if let Some(parent) = directory.parent() {
            disk.sync_dir(parent)?;
        }
        let mut index = Index::default();
        for name in disk.list(&directory)? {
            let Some(name) = PushName::of(&name) else {
                continue;
            };
            let known = Known {
                body: name.body,
                rows: name.rows,
                stage: Stage::Kept,
            };
            index.known.insert(name.key, known);
            index.files.insert(name.number, Instant::now());
        }
        let mut reasons = HashMap::new();
        for refused in &state.quarantine {
            if let Some(name) = PushName::of(&refused.path) {
                reasons.insert(name.key, refused.refusal.reason.clone());
            }
        }
        for (key, pushed) in state.pushed.iter() {
            let stage = if pushed.is_refused {
                Stage::Refused {
                    reason: reasons.remove(key),
                }
            } else {
                Stage::Durable
            };
            index.settle(*key, *pushed, stage);
        }
        Ok(Self {
            shared,
            disk,
            index: Mutex::new(index),
            written: Condvar::new(),
            feature_schema: Mutex::new(state.feature_schema.clone().filter(|_| state.is_fixed())),
            source: source.clone(),
            changed: OnceLock::new(),
        })
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a body and blocks until it is on disk.
    pub fn keep(&self, key: &str, body: &[u8]) -> Kept {
        let key: Hash = Sha256::digest(key.as_bytes()).into();
        let hash: Hash = Sha256::digest(body).into();
        if let Some(known) = self.known(&key) {
            return known.again(hash);
        }
        let feature_schema = self
            .feature_schema
            .lock()
            .ok()
            .and_then(|known| known.clone());
        let expected = match &feature_schema {
            Some(feature_schema) => Expected::Fixed(feature_schema),
            None => Expected::Any(&self.source),
        };
        // Before the key is reserved: a body that is refused at once must not use it up.
        let rows = match body::check(body, expected) {
            Ok(rows) => rows,
            Err(flaw) => return Kept::Flawed(flaw),
        };
        let name = match self.reserve(key, hash, rows, body.len() as u64) {
            Ok(name) => name,
            Err(answer) => return answer,
        };
        let (written, is_there) = self.write(&name, body);
        let mut known = Known {
            body: hash,
            rows,
            stage: Stage::Kept,
        };
        let mut index = self.index();
        if !is_there {
            index.known.remove(&key);
            index.files.remove(&name.number);
            self.shared.unhold(body.len() as u64);
        } else if let Some(there) = index.known.get_mut(&key) {
            // The ingest thread may have been faster.
            if there.stage == Stage::Writing {
                there.stage = match &written {
                    Ok(()) => Stage::Kept,
                    // Only the last fsync failed: the file will be learned, but may not outlive a
                    // power cut.
                    Err(_) => Stage::Unsure,
                };
            }
            known = there.clone();
        }
        drop(index);
        self.written.notify_all();
        self.shared.wake();
        match written {
            Ok(()) => Kept::Accepted(known),
            Err(error) => Kept::Failed(format!(
                "the rows could not be kept: {error}; free up disk space, or make `state.dir` \
                 writable, and send the request again"
            )),
        }
    }

    /// State of a key, once nobody is writing its file.
    fn known(&self, key: &Hash) -> Option<Known> {
        let mut index = self.index();
        loop {
            let known = index.known.get(key)?;
            // Of two requests with one key, the second waits for the outcome of the first.
            if known.stage != Stage::Writing {
                return Some(known.clone());
            }
            index = self
                .written
                .wait(index)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Reserves the key and the room for a body.
    fn reserve(&self, key: Hash, body: Hash, rows: u64, bytes: u64) -> Result<PushName, Kept> {
        if self.shared.is_stopped() {
            let why = "the daemon is shutting down; send the request again when it is back";
            return Err(Kept::Failed(why.to_owned()));
        }
        loop {
            if let Some(known) = self.known(&key) {
                return Err(known.again(body));
            }
            let mut index = self.index();
            if index.known.contains_key(&key) {
                // Somebody came between the two looks.
                continue;
            }
            if self.shared.is_full() || index.files.len() >= FILES_MAX {
                return Err(Kept::Full(index.retry_after()));
            }
            let name = PushName {
                number: self.shared.take_number(),
                rows,
                key,
                body,
            };
            self.shared.hold(bytes);
            index.files.insert(name.number, Instant::now());
            let known = Known {
                body,
                rows,
                stage: Stage::Writing,
            };
            index.known.insert(key, known);
            return Ok(name);
        }
    }

    /// Writes the file; also returns whether it exists, certain or not.
    fn write(&self, name: &PushName, body: &[u8]) -> (io::Result<()>, bool) {
        let directory = &self.shared.directory;
        let temporary = directory.join(format!("_push-{:012}.part", name.number));
        let path = directory.join(name.stem() + ".arrows");
        let disk = &self.disk;
        let written = disk.create(&temporary).and_then(|mut file| {
            file.write(body)?;
            file.sync()
        });
        let (renamed, was_tried) = match written {
            Ok(()) => (disk.rename(&temporary, &path), true),
            Err(error) => (Err(error), false),
        };
        let Err(error) = renamed else {
            return (disk.sync_dir(directory), true);
        };
        // A network file system may have done what it says that it did not: a key that is forgotten
        // while its file is there would be learned twice. Who cannot be asked may have done it too.
        let is_there = |names: Vec<PathBuf>| {
            let name = path.file_name();
            names.iter().any(|there| Some(there.as_os_str()) == name)
        };
        if was_tried && disk.list(directory).map_or(true, is_there) {
            return (Err(error), true);
        }
        // What is left of it is removed at the next start otherwise.
        let _ = disk.remove_file(&temporary);
        (Err(error), false)
    }

    /// True if so much is waiting that a checkpoint, which releases files, is worthwhile now.
    pub fn is_crowded(&self) -> bool {
        self.shared.is_half_full() || self.index().files.len() >= FILES_MAX / 2
    }

    /// The current state of a body.
    pub fn look(&self, key: &str) -> Option<Known> {
        let key: Hash = Sha256::digest(key.as_bytes()).into();
        self.index().known.get(&key).cloned()
    }

    /// Has `tell` called after every change of a stage; only the first call has an effect. `tell`
    /// must not block.
    pub fn on_change(&self, tell: impl Fn() + Send + Sync + 'static) {
        let _ = self.changed.set(Box::new(tell));
    }

    fn tell_change(&self) {
        if let Some(tell) = self.changed.get() {
            tell();
        }
    }

    /// Records that the features were fixed.
    pub fn agreed(&self, feature_schema: &FeatureSchema) {
        if let Ok(mut known) = self.feature_schema.lock() {
            *known = Some(feature_schema.clone());
        }
    }

    /// Records that a body's file is done, by the event of this number.
    pub fn settled(&self, settled: Settled, steps: u64) {
        let Settled {
            key,
            pushed,
            reason,
        } = settled;
        let stage = if pushed.is_refused {
            Stage::Refused { reason }
        } else {
            Stage::Taken { steps }
        };
        self.index().settle(key, pushed, stage);
        self.tell_change();
    }

    /// Records that a checkpoint with this many events is on disk.
    pub fn durable(&self, steps: u64) {
        let mut index = self.index();
        while let Some((taken, key)) = index.pending.pop_front() {
            if taken > steps {
                index.pending.push_front((taken, key));
                break;
            }
            if let Some(known) = index.known.get_mut(&key)
                && matches!(known.stage, Stage::Taken { steps: taken } if taken <= steps)
            {
                known.stage = Stage::Durable;
            }
        }
        // Unlocked first, because those who are notified may ask for the index at once.
        drop(index);
        self.tell_change();
    }

    /// Records that a file was removed.
    pub(super) fn released(&self, path: &Path) {
        if let Some(name) = PushName::of(path) {
            let mut index = self.index();
            let since = index.files.remove(&name.number);
            index.stay = since.map(|since| since.elapsed()).or(index.stay);
        }
    }
}

impl Known {
    /// The answer to another request with the same key.
    fn again(self, body: Hash) -> Kept {
        if self.body == body {
            Kept::Duplicate(self)
        } else {
            Kept::OtherBody
        }
    }
}

impl Index {
    /// Mirrors what the feed's state does with its keys.
    fn settle(&mut self, key: Hash, pushed: PushedKey, stage: Stage) {
        if let Stage::Taken { steps } = stage {
            self.pending.push_back((steps, key));
        }
        let known = Known {
            body: pushed.body,
            rows: pushed.rows,
            stage,
        };
        let before = self.known.insert(key, known).map(|known| known.stage);
        if let Some(Stage::Taken { .. } | Stage::Durable | Stage::Refused { .. }) = before {
            return;
        }
        if self.settled.len() == KEYS_MAX
            && let Some(oldest) = self.settled.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.settled.push_back(key);
    }

    /// When there will be room: how long the last file stayed, less the age of the oldest.
    fn retry_after(&self) -> Duration {
        let Some(stay) = self.stay else {
            return RETRY_UNKNOWN;
        };
        let oldest = self.files.values().next();
        let age = oldest.map_or(Duration::ZERO, Instant::elapsed);
        let left = stay.saturating_sub(age);
        left.clamp(Duration::from_secs(1), RETRY_MOST)
    }
}
