//! The ingest thread between files: it looks for new ones and waits.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tracing::{error, info, warn};

use super::refuse::told;
use super::{
    Decision, Event, FileEntry, LISTING_SHARE, Loop, Quarantined, RunError, ScanResult,
    SegmentRead, Spool, Stop, Until, shown,
};
use crate::config::OnChanged;
use crate::rows::unix_s;
use crate::source::follow::FileState;
use crate::source::worker::{Fault, Refusal};

/// Number of vanished files that are remembered, so that a file that comes back is recognized. It
/// equals the most files in a listing, so that a whole directory may disappear and come back.
const GONE_MAX: usize = 1_000_000;

/// Pause after a scan that found nothing to take.
const LOOK_PAUSE: Duration = Duration::from_millis(4);

impl Loop {
    /// Scans the places; returns whether there is something to take.
    pub(super) fn look(&mut self) -> Result<bool, Stop> {
        while let Ok(params) = self.ingest.reload.try_recv() {
            self.follower.set_params(params.follow.clone());
            self.ingest.params = params;
        }
        self.pass()?;
        self.retries();
        // A feed that never rests has a journal that ends, too.
        let durable = self.ingest.shared.durable.load(Ordering::Acquire);
        self.ingest.journal.compact(durable);
        let now = Instant::now();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        let wall_ns = wall.map_or(0, |since| since.as_nanos() as i64);
        if let Some(spool) = &self.ingest.spool {
            self.spooled.connections = spool.connections();
            let directory = self.ingest.params.state_dir.join("spool");
            self.follower
                .set_connections(directory, self.spooled.connections.clone());
        }
        let (state, decode) = (&self.ingest.state, self.ingest.decode.as_mut());
        let found = self.follower.scan(state, decode, now, wall_ns);
        if let Ok(mut trouble) = self.ingest.shared.trouble.lock() {
            *trouble = self.follower.trouble().map(|(count, one)| match count {
                1 => format!("a source cannot be read: {one}"),
                _ => format!("{count} sources cannot be read, among them {one}"),
            });
        }
        self.listed = Instant::now();
        let cost = self.listed.duration_since(now);
        // One look that lists everything is followed by others that do not.
        self.listing = cost.min(std::mem::replace(&mut self.look_before, cost));
        self.handle(found)
    }

    /// Acts on the result of a scan.
    fn handle(&mut self, found: ScanResult) -> Result<bool, Stop> {
        for trouble in &found.troubles {
            warn!(place = %shown(&trouble.path), reason = %trouble.reason.escape_debug(), "skipping a path for now");
        }
        if let Some((path, before)) = found.copies.first() {
            info!(
                file = %shown(path), before = %shown(before), files = found.copies.len(),
                "a copy of a file that is already known: not learned again (`source.on_copy`)"
            );
        }
        if let Some((files, example)) = &found.left_out {
            let example = shown(example);
            info!(files, %example, "left out: neither Parquet nor Arrow IPC");
        }
        for (file, entry) in found.refreshed {
            self.emit(Event::Refreshed(file, entry));
        }
        for (file, entry) in found.changed {
            self.changed(file, entry)?;
        }
        for (entry, refusal) in found.refused {
            self.refuse(None, entry, refusal);
        }
        for path in &found.lost {
            warn!(
                file = %shown(path),
                "replaced, changed or removed before it was read, so its former rows are gone; \
                 write new rows to a new file name"
            );
        }
        for file in self.follower.gone_beyond(GONE_MAX) {
            self.emit(Event::Forgot(file));
        }
        self.release();
        if found.next_segments.is_empty() {
            return Ok(false);
        }
        let mut next_file = self.ingest.state.next_file;
        let readings = found.next_segments.into_iter().map(|next| {
            let file = next.file.unwrap_or_else(|| {
                next_file += 1;
                next_file - 1
            });
            Decision::NextSegment(SegmentRead {
                file,
                segment: next.segment,
                rows: next.skip,
                is_final: next.is_final,
            })
        });
        let decisions: Vec<Decision> = readings.collect();
        // Written to the journal before anything is read, so that a resumed run reads the same
        // files in the same order.
        let last = self.decide(&decisions)?;
        // The journal numbers decisions consecutively and returns only the last number.
        let first = last + 1 - decisions.len() as u64;
        self.ingest.planned.extend((first..).zip(decisions));
        Ok(true)
    }

    /// The consumed part of a file changed.
    fn changed(&mut self, file: u64, entry: FileEntry) -> Result<(), Stop> {
        let reason = "the part of it that was learned has changed".to_owned();
        error!(file = %shown(&entry.path), rows = entry.rows, "{reason}");
        // Nobody can put a file of the spool back.
        if self.ingest.params.keys.source.on_changed == OnChanged::Stop
            && !self.is_spooled(&entry.path)
        {
            return Err(Stop::Failed(RunError::Changed {
                path: entry.path,
                reason,
            }));
        }
        let reason = format!(
            "{}: {reason}; write new rows to a new file",
            shown(&entry.path)
        );
        let refusal = Refusal {
            fault: Fault::Changed,
            reason,
        };
        self.refuse(Some(file), entry, refusal);
        Ok(())
    }

    fn refuse(&mut self, file: Option<u64>, mut entry: FileEntry, refusal: Refusal) {
        entry.state = FileState::Quarantined;
        let quarantined = Quarantined {
            file: file.unwrap_or(self.ingest.state.next_file),
            path: entry.path.clone(),
            rows: entry.rows,
            refusal,
            at_unix_s: unix_s(),
        };
        told(&quarantined);
        self.set_aside(&entry.path, quarantined.file);
        self.emit(Event::Refused(entry, quarantined));
    }

    /// Retries refused files on request: `ojad quarantine retry` leaves their numbers.
    fn retries(&mut self) {
        let directory = self.ingest.params.state_dir.join("retry");
        let Ok(entries) = std::fs::read_dir(&directory) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let file = name.to_str().and_then(|name| name.parse::<u64>().ok());
            if let Some(file) = file {
                info!(file, "retrying a refused file");
                let entry = self.ingest.state.files.get(file);
                let refused = self.ingest.state.quarantine.iter();
                let is_changed = refused
                    .filter(|refused| refused.file == file)
                    .any(|refused| refused.refusal.fault == Fault::Changed);
                self.emit(Event::Retried(file));
                match entry {
                    // One of which nothing was taken is as good as new, and one that became another is
                    // learned as it is now: somebody wants it so.
                    Some(entry) if is_changed || entry.rows == 0 => self.emit(Event::Forgot(file)),
                    Some(mut entry) => {
                        entry.state = FileState::Growing;
                        self.emit(Event::Refreshed(file, entry));
                    }
                    None => {}
                }
                self.follower.set_params(self.ingest.params.follow.clone());
            }
            // Even if the number was unknown. If it stays, the request is repeated, which does no
            // harm.
            let _ = std::fs::remove_file(entry.path());
        }
    }

    /// With nothing to take, tells the trainer and waits for news. `is_ended`: no stream had more
    /// data before the scan; one that ended since may have left some.
    pub(super) fn rest(&mut self, is_ended: bool) -> Result<(), Stop> {
        self.marker.clear();
        self.note_lag();
        self.pause();
        let only_streams = self.ingest.params.follow.places.len()
            == usize::from(self.ingest.spool.is_some())
            && self.ingest.spool.is_some();
        // Clients may push at any time: only a run until all is learned ends without being asked to.
        let takes_pushed = self.ingest.spool.as_ref().is_some_and(Spool::takes_pushed);
        let is_over = only_streams && !takes_pushed;
        let is_idle = is_over || self.ingest.params.until == Until::Idle;
        if is_ended && is_idle && !self.is_patient() {
            if let Some((files, path, reason)) = self.follower.unfinished() {
                let file = shown(path);
                warn!(%file, reason, files, "incomplete: left for a later run; write it again or leave it out");
            }
            return Err(Stop::Done);
        }
        let keys = &self.ingest.params.keys.source;
        let mut patience = Duration::from_millis(keys.rescan_ms);
        let latency = keys.latency_max_ms.map(Duration::from_millis);
        if let (Some(latency), true) = (latency, self.at > 0) {
            let waited = self.since.elapsed();
            if waited >= latency {
                // The clock decides when rows have waited long enough, so the decision is recorded
                // and a resumed run flushes at the same row.
                let last = self.decide(&[Decision::Flush])?;
                self.ingest.planned.push_back((last, Decision::Flush));
                return Ok(());
            }
            patience = patience.min(latency.saturating_sub(waited));
        }
        // Neither a listing of many files nor news of one that is being written, again and again, must be
        // all that the ingest thread does.
        let pause = LOOK_PAUSE.max(LISTING_SHARE * self.listing);
        let pause = pause.saturating_sub(self.listed.elapsed());
        if pause > Duration::from_millis(1) {
            std::thread::sleep(pause.min(patience));
        }
        let _ = self.ingest.wake.recv_timeout(patience);
        Ok(())
    }
}
