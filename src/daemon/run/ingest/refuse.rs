//! The ingest thread when something is wrong: a file is refused, or the journal cannot be written.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::{
    Decision, End, Event, Loop, Quarantined, RETRY_FIRST, RETRY_MOST, SegmentRead, Stop, shown,
};
use crate::config::QuarantineKey;
use crate::rows::unix_s;
use crate::source::worker::{Fault, Refusal};

impl Loop {
    pub(super) fn poison(&mut self, ticket: u64, reading: &SegmentRead) -> Result<(), Stop> {
        let refusal = Refusal {
            fault: Fault::Died,
            reason: format!(
                "{}: the daemon died repeatedly while reading it; write it again, or set \
                 `source.isolation` = \"process\" and retry it",
                shown(&reading.segment.path)
            ),
        };
        self.ingest.decode.drop_first();
        self.queued.pop_front();
        self.cut(ticket, reading, refusal)
    }

    /// Refuses the segment's file from its current position on.
    pub(super) fn cut(
        &mut self,
        ticket: u64,
        reading: &SegmentRead,
        refusal: Refusal,
    ) -> Result<(), Stop> {
        let path = &reading.segment.path;
        let rows = self
            .ingest
            .state
            .reading
            .as_ref()
            .map_or(reading.rows, |reading| reading.rows);
        let quarantined = Quarantined {
            file: reading.file,
            path: path.clone(),
            rows,
            refusal,
            at_unix_s: unix_s(),
        };
        // The run before may have found the same.
        let found = self.ends.remove(&ticket);
        if !matches!(found, Some(End::Cut(at, _)) if at == rows) {
            self.decide(&[Decision::Cut {
                ticket,
                rows,
                quarantined: quarantined.clone(),
            }])?;
        }
        told(&quarantined);
        self.set_aside(path, reading.file);
        self.emit(Event::Cut(quarantined));
        Ok(())
    }

    /// Copies or moves a refused file, as the configuration says.
    pub(super) fn set_aside(&self, path: &Path, file: u64) {
        let keys = &self.ingest.params.keys.source;
        let is_move = match keys.quarantine {
            QuarantineKey::Record => return,
            QuarantineKey::Copy => false,
            QuarantineKey::Move => true,
        };
        // A plan that copies or moves names the directory.
        let Some(to) = &keys.quarantine_dir else {
            return;
        };
        // The spool removes its files itself, when no checkpoint needs them.
        let is_move = is_move && !path.starts_with(self.ingest.params.state_dir.join("spool"));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let place = to.join(format!("{file:06}-{name}"));
        let done = std::fs::create_dir_all(to).and_then(|()| {
            let meta = std::fs::symlink_metadata(path)?;
            // Copying a FIFO or a device would never end.
            if !meta.is_file() {
                return Ok(());
            }
            // A rename fails between file systems; then it is copied and removed.
            if is_move && std::fs::rename(path, &place).is_ok() {
                return Ok(());
            }
            std::fs::copy(path, &place)?;
            if is_move {
                std::fs::remove_file(path)?;
            }
            Ok(())
        });
        if let Err(error) = done {
            warn!(file = %shown(path), to = %shown(to), %error, "a refused file could not be \
              moved or copied to `source.quarantine_dir`");
        }
    }

    /// Clears the note: nothing is being read any more. If the state directory has been replaced,
    /// the note is left alone.
    pub(super) fn clear_note(&mut self) {
        if self.ingest.lock.displaced().is_none() {
            self.marker.clear();
        }
    }

    /// Pauses, unless stopped.
    pub(super) fn wait(&self, pause: Duration) -> Result<(), Stop> {
        let until = Instant::now() + pause;
        while Instant::now() < until {
            if self.is_stopped() {
                return Err(Stop::Done);
            }
            // Waiting on purpose must not look like a hang to the watchdog.
            self.ingest.shared.turns.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Writes decisions to the journal; waits as long as the disk refuses them.
    pub(super) fn decide(&mut self, decisions: &[Decision]) -> Result<u64, Stop> {
        let payloads: Vec<Vec<u8>> = decisions.iter().map(Decision::encode).collect();
        let mut pause = RETRY_FIRST;
        loop {
            let synced = self
                .sync_spooled(decisions)
                .map_err(|error| error.to_string());
            let journal = &mut self.ingest.journal;
            let written =
                synced.and_then(|()| journal.append(&payloads).map_err(|e| e.to_string()));
            match written {
                Ok(last) => {
                    let shared = &self.ingest.shared;
                    if shared.is_journal_down.swap(false, Ordering::Relaxed) {
                        info!("the journal is writable again");
                    }
                    return Ok(last);
                }
                Err(error) => {
                    let shared = &self.ingest.shared;
                    if !shared.is_journal_down.swap(true, Ordering::Relaxed) {
                        error!(%error, "the journal cannot be written; reading is paused");
                    }
                    self.wait(pause)?;
                    pause = (2 * pause).min(RETRY_MOST);
                }
            }
        }
    }
}

/// Logs one line about a refused file.
pub(super) fn told(quarantined: &Quarantined) {
    warn!(
        file = %shown(&quarantined.path),
        rows_taken = quarantined.rows,
        reason = %quarantined.refusal.reason.escape_debug(),
        "file quarantined"
    );
}
