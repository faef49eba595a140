//! Files of the spool: on the disk before a decision names their bytes, gone when two checkpoints have
//! their rows.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tracing::warn;

use super::{Decision, Event, Loop, Spool, shown};
use crate::source::follow::Connections;

/// Silent connections that were closed are told at most so often, together.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// Files that are through, until they go.
#[derive(Debug, Default)]
pub(super) struct Spooled {
    through: Vec<Through>,
    /// Connections that were closed and not told of, and when that was done last.
    made_way: u64,
    told_at: Option<Instant>,
    /// As of before the look whose findings are acted on: the files of all others were seen with all
    /// that they will ever hold.
    pub(super) connections: Connections,
}

/// A file of a connection that has ended, of which everything was taken.
#[derive(Debug)]
struct Through {
    file: u64,
    /// Bytes that were taken.
    bytes: u64,
    /// Events that a checkpoint must contain.
    steps: u64,
    /// True if somebody knows that it cannot be removed.
    is_told: bool,
}

impl Spooled {
    /// Says how many silent connections were closed, now and then.
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
        self.feeder.params.state_dir.join("spool")
    }

    /// True if the file is one that nobody but the daemon can put right.
    pub(super) fn is_spooled(&self, path: &Path) -> bool {
        path.starts_with(self.spool_dir())
    }

    /// Waits until the disk has the bytes that decisions name: after a power cut they could be had from
    /// nowhere else, and the decision would stand.
    pub(super) fn sync_spooled(&self, decisions: &[Decision]) -> io::Result<()> {
        let mut is_named = false;
        for decision in decisions {
            let Decision::Take(reading) = decision else {
                continue;
            };
            let path = &reading.segment.path;
            if !self.is_spooled(path) {
                continue;
            }
            is_named = true;
            if Spool::is_pipe(path) {
                match self.feeder.disk.sync_file(path) {
                    // Its turn will tell.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    synced => synced?,
                }
            }
        }
        if is_named {
            // Syncing the files is not enough: after a power cut their names must be there as
            // well.
            self.feeder.disk.sync_dir(&self.spool_dir())?;
        }
        Ok(())
    }

    /// Removes spool files of which a checkpoint has everything, once the older one has it too.
    pub(super) fn release(&mut self) {
        let Some(spool) = &self.feeder.spool else {
            return;
        };
        for failure in spool.failures() {
            warn!(reason = %failure.escape_debug(), "a stream could not be kept in the spool");
        }
        let made_way = spool.made_way();
        self.spooled.tell(made_way);
        let durable = self.feeder.shared.durable_steps.load(Ordering::Acquire);
        let (state, follower) = (&self.feeder.state, &self.follower);
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

/// Removes a file; whether it is gone. One that stays must stay known, or it would be learned again.
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
