//! Files of the spool: they are on disk before a decision names their bytes, and are removed once
//! two checkpoints contain their rows.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tracing::warn;

use super::{Decision, Event, Loop, Spool, shown};
use crate::source::follow::Connections;

/// Shortest interval between reports of closed silent connections.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// Files that are finished, until they are removed.
#[derive(Debug, Default)]
pub(super) struct Spooled {
    through: Vec<Through>,
    /// Closed connections not yet reported, and when the last report was.
    made_way: u64,
    told_at: Option<Instant>,
    /// The connections as of just before the scan being acted on: the files of all others were seen
    /// in their final form.
    pub(super) connections: Connections,
}

/// A file of an ended connection from which everything was taken.
#[derive(Debug)]
struct Through {
    file: u64,
    /// Bytes taken.
    bytes: u64,
    /// Events that a checkpoint must contain.
    steps: u64,
    /// True if it was reported that it cannot be removed.
    is_told: bool,
}

impl Spooled {
    /// Occasionally reports how many silent connections were closed.
    fn tell(&mut self, made_way: u64) {
        self.made_way += made_way;
        let was_told = self.told_at.is_some_and(|at| at.elapsed() < TELL_EVERY);
        if self.made_way == 0 || was_told {
            return;
        }
        warn!(
            connections = self.made_way,
            "closed silent connections to a socket that was full, to admit others"
        );
        self.made_way = 0;
        self.told_at = Some(Instant::now());
    }
}

impl Loop {
    /// The directory of the spool.
    fn spool_dir(&self) -> PathBuf {
        self.ingest.params.state_dir.join("spool")
    }

    /// True if it is a spool file, which only the daemon itself can repair.
    pub(super) fn is_spooled(&self, path: &Path) -> bool {
        path.starts_with(self.spool_dir())
    }

    /// Waits until the bytes that decisions name are on disk: after a power failure they would be
    /// lost for good, while the decision would remain.
    pub(super) fn sync_spooled(&self, decisions: &[Decision]) -> io::Result<()> {
        let mut is_named = false;
        for decision in decisions {
            let Decision::NextSegment(reading) = decision else {
                continue;
            };
            let path = &reading.segment.path;
            if !self.is_spooled(path) {
                continue;
            }
            is_named = true;
            if Spool::is_pipe(path) {
                match self.ingest.disk.sync_file(path) {
                    // Its turn will tell.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    synced => synced?,
                }
            }
        }
        if is_named {
            // Syncing the files is not enough: after a power cut their names must be there as
            // well.
            self.ingest.disk.sync_dir(&self.spool_dir())?;
        }
        Ok(())
    }

    /// Removes spool files whose rows are all in both checkpoints, the older one included.
    pub(super) fn release(&mut self) {
        let Some(spool) = &self.ingest.spool else {
            return;
        };
        for failure in spool.failures() {
            warn!(reason = %failure.escape_debug(), "a stream could not be kept in the spool");
        }
        let made_way = spool.made_way();
        self.spooled.tell(made_way);
        let durable = self.ingest.shared.durable_steps.load(Ordering::Acquire);
        let (state, follower) = (&self.ingest.state, &self.follower);
        let mut forgotten = Vec::new();
        self.spooled.through.retain_mut(|through| {
            let Some(entry) = state.files.get(through.file) else {
                return false;
            };
            // More of it was taken since: it is looked at anew.
            if entry.fingerprint.bytes != through.bytes {
                return false;
            }
            if through.steps > durable {
                return true;
            }
            let is_gone = remove(spool, &entry.path, through);
            if is_gone {
                forgotten.push(through.file);
            }
            !is_gone
        });
        // Goes by the names in the directory, because `connections` can only say of a given path
        // whether it has ended.
        let there = std::fs::read_dir(self.spool_dir()).into_iter().flatten();
        let there = there.flatten().map(|entry| entry.path());
        let Spooled {
            through,
            connections,
            ..
        } = &mut self.spooled;
        let ended = there.filter(|path| connections.has_ended(path));
        let known = ended.filter_map(|path| state.files.by_path(&path));
        let closed = known.filter(|(file, _)| {
            !through.iter().any(|known| known.file == *file)
                && !follower.is_missing(*file)
                && !forgotten.contains(file)
                && state.reading.as_ref().is_none_or(|r| r.file != *file)
        });
        let closed: Vec<Through> = closed
            .map(|(file, entry)| Through {
                file,
                bytes: entry.fingerprint.bytes,
                steps: state.steps,
                is_told: false,
            })
            .collect();
        through.extend(closed);
        for file in forgotten {
            self.emit(Event::Forgot(file));
        }
    }
}

/// Removes a file; returns whether it is gone. One that stays must be remembered, or it would be
/// learned again.
fn remove(spool: &Spool, path: &Path, through: &mut Through) -> bool {
    match spool.release(path) {
        // What is beyond the last complete message can never be completed: its connection has
        // ended.
        Ok(bytes) if bytes > through.bytes => {
            let bytes = bytes - through.bytes;
            warn!(file = %shown(path), bytes, "a stream ended in the middle of a message");
            true
        }
        Ok(_) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => {
            if !std::mem::replace(&mut through.is_told, true) {
                warn!(file = %shown(path), %error, "cannot be removed; make it writable");
            }
            false
        }
    }
}
