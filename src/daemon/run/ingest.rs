//! The ingest thread: decides which file is next, and delivers its rows.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use tracing::{debug, info};

use self::put_off::End;
use crate::checkpoint::{Journal, StateLock};
use crate::daemon::run::crash_marker::CrashMarker;
use crate::daemon::run::decision::Decision;
use crate::daemon::run::messages::{IngestMessage, RunError};
use crate::daemon::run::params::{RunParams, Until};
use crate::disk::Disk;
use crate::rows::{Minibatch, RowIds};
use crate::source::SegmentRead;
use crate::source::follow::{
    Event, FileEntry, Follower, IngestState, Quarantined, ScanResult, Spool,
};
use crate::source::worker::{Decode, Job, Next};

use self::spooled::Spooled;

/// First and longest pause before a failed write to the journal is retried.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MOST: Duration = Duration::from_secs(30);

/// How often directory events are collected while files are read: the kernel's queue is limited.
const HEAR_EVERY: Duration = Duration::from_millis(50);

/// Listing may take at most 1/this of the time.
const LISTING_SHARE: u32 = 4;

/// State shared by the threads besides their channels.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// True if the ingest thread should stop reading.
    pub(super) stop: AtomicBool,
    /// Number of the last decision in the older checkpoint on disk.
    pub(super) durable: AtomicU64,
    /// Number of events in the older checkpoint on disk.
    pub(super) durable_steps: AtomicU64,
    /// Rows learned in the latest checkpoint on disk.
    pub(super) checkpoint_rows: AtomicU64,
    /// Counts the iterations of the ingest thread's loop, for the watchdog.
    pub(super) turns: AtomicU64,
    /// True if the journal cannot be written.
    pub(super) is_journal_down: AtomicBool,
    /// Number of files seen but not fully read, and their bytes.
    pub(super) lag_files: AtomicU64,
    pub(super) lag_bytes: AtomicU64,
    /// Errors of the last scan.
    pub(super) trouble: Mutex<Option<String>>,
}

/// The ingest thread, before it starts.
pub(super) struct Ingest {
    pub(super) params: RunParams,
    pub(super) state: IngestState,
    pub(super) decode: Box<dyn Decode>,
    pub(super) journal: Journal,
    /// Decisions of the previous run that are in no checkpoint.
    pub(super) planned: VecDeque<(u64, Decision)>,
    /// Rows that were waiting for a full minibatch.
    pub(super) waiting: Option<Minibatch>,
    pub(super) shared: Arc<Shared>,
    pub(super) to_trainer: Sender<IngestMessage>,
    pub(super) empty: Receiver<Minibatch>,
    pub(super) wake: Receiver<()>,
    /// Wakes the ingest thread.
    pub(super) waker: Sender<()>,
    pub(super) reload: Receiver<RunParams>,
    pub(super) spool: Option<Spool>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) lock: StateLock,
    /// True if the ids of rows are wanted for display.
    pub(super) with_ids: bool,
}

/// The end of the loop.
enum Stop {
    /// It was asked to stop, or nothing is left.
    Done,
    /// An error that needs a person's attention.
    Failed(RunError),
}

impl From<RunError> for Stop {
    fn from(error: RunError) -> Self {
        Self::Failed(error)
    }
}

struct Loop {
    ingest: Ingest,
    follower: Follower,
    marker: CrashMarker,
    /// Segments queued with the decoder, in order, by number of the decision.
    queued: VecDeque<(u64, SegmentRead)>,
    /// Segments that the previous run abandoned midway, by number of the decision that took them.
    ends: HashMap<u64, End>,
    /// The last decision that revoked others.
    passed: u64,
    /// Consecutive files that the system refused to read.
    setbacks: u32,
    is_set_back: bool,
    batch: Option<Minibatch>,
    /// Ids of its rows, if wanted for display. Ids of rows that waited across a restart are
    /// unknown: checkpoints do not hold them.
    row_ids: Option<RowIds>,
    /// Minibatches made so far.
    made: usize,
    minibatch_rows: usize,
    at: usize,
    events: Vec<Event>,
    /// When the oldest waiting row arrived.
    since: Instant,
    is_paused: bool,
    listed: Instant,
    /// The shorter duration of the last two scans.
    listing: Duration,
    look_before: Duration,
    /// When directory events were last collected and the lag last reported.
    heard: Instant,
    spooled: Spooled,
}

impl Ingest {
    /// Starts the thread.
    pub(super) fn spawn(self) -> io::Result<JoinHandle<()>> {
        thread::Builder::new()
            .name("ojad-ingest".into())
            .spawn(move || {
                // Cloned for the last message, because the loop takes everything else with it.
                let to_trainer = self.to_trainer.clone();
                let mut running = Loop::new(self);
                let ended = match running.run() {
                    Stop::Done => None,
                    Stop::Failed(error) => Some(error),
                };
                running.pause();
                running.clear_note();
                // The trainer may have gone: nobody is left to tell.
                let _ = to_trainer.send(IngestMessage::Ended(ended));
            })
    }
}

impl Loop {
    fn new(mut ingest: Ingest) -> Self {
        let ends = put_off::ends_of(&mut ingest.planned);
        let now = Instant::now();
        let params = &ingest.params;
        let row_ids = ingest
            .with_ids
            .then(|| RowIds::new(params.source.ids.len()));
        let mut follower = Follower::new(ingest.params.follow.clone());
        let waker = ingest.waker.clone();
        let wake = Box::new(move || {
            // A wake that is on its way is enough.
            let _ = waker.try_send(());
        });
        if let Err(error) = follower.listen(wake) {
            debug!(%error, "directory notification is not available");
        }
        Self {
            row_ids,
            follower,
            marker: CrashMarker::open(&ingest.params.state_dir),
            queued: VecDeque::new(),
            ends,
            passed: 0,
            setbacks: 0,
            is_set_back: false,
            batch: None,
            made: 0,
            minibatch_rows: 0,
            at: 0,
            events: Vec::new(),
            since: now,
            is_paused: false,
            listed: now,
            heard: now,
            listing: Duration::ZERO,
            look_before: Duration::ZERO,
            spooled: Spooled::default(),
            ingest,
        }
    }

    fn run(&mut self) -> Stop {
        if let Err(stop) = self.resume() {
            return stop;
        }
        loop {
            self.ingest.shared.turns.fetch_add(1, Ordering::Relaxed);
            // The trainer says why it ends.
            if self.is_stopped() || self.ingest.lock.displaced().is_some() {
                return Stop::Done;
            }
            if let Err(stop) = self.turn() {
                return stop;
            }
        }
    }

    /// Reports how much of what was seen has not been read yet.
    fn note_lag(&self) {
        let planned = self.ingest.planned.iter();
        let planned = planned.filter_map(|(_, decision)| match decision {
            Decision::NextSegment(reading) => Some(reading),
            _ => None,
        });
        let queued = self.queued.iter().map(|(_, reading)| reading);
        let (mut files, mut bytes) = (0, 0);
        for reading in planned.chain(queued) {
            let segment = &reading.segment;
            files += 1;
            bytes += segment.fingerprint.bytes.saturating_sub(segment.start);
        }
        let shared = &self.ingest.shared;
        shared.lag_files.store(files, Ordering::Relaxed);
        shared.lag_bytes.store(bytes, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.ingest.shared.stop.load(Ordering::Relaxed)
    }

    fn emit(&mut self, event: Event) {
        self.ingest.state.apply(&event);
        self.events.push(event);
        if self.ingest.state.feature_schema.is_none() {
            self.free_features();
        }
    }

    /// Resumes where the previous run stopped.
    fn resume(&mut self) -> Result<(), Stop> {
        let Some(feature_schema) = self.ingest.state.feature_schema.clone() else {
            return Ok(());
        };
        self.use_schema(&feature_schema).map_err(|refusal| {
            Stop::Failed(RunError::Thread {
                thread: "decoder",
                cause: refusal.reason,
            })
        })?;
        if let Some(waiting) = self.ingest.waiting.take() {
            self.at = waiting.rows();
            if let Some(row_ids) = &mut self.row_ids {
                row_ids.pad(self.at);
            }
            self.batch = Some(waiting);
            self.made += 1;
        }
        if let Some(reading) = self.ingest.state.reading.clone() {
            let ticket = self.ingest.state.sequence;
            if self.was_put_off(ticket, &reading) {
                self.leave();
            } else {
                self.queue(ticket, reading);
            }
        }
        Ok(())
    }

    /// One iteration: queue what is planned, read, or look for more.
    fn turn(&mut self) -> Result<(), Stop> {
        if self.heard.elapsed() >= HEAR_EVERY {
            self.follower.hear();
            self.note_lag();
            self.heard = Instant::now();
        }
        while self.may_queue() {
            match self.ingest.planned.front() {
                Some((_, Decision::NextSegment(_))) => {
                    if let Some((ticket, Decision::NextSegment(reading))) =
                        self.ingest.planned.pop_front()
                    {
                        self.take(ticket, reading)?;
                    }
                }
                Some((_, Decision::Flush)) if self.ingest.decode.queued() == 0 => {
                    if let Some((sequence, _)) = self.ingest.planned.pop_front() {
                        self.flush(sequence)?;
                    }
                }
                _ => break,
            }
        }
        if self.ingest.decode.queued() > 0 {
            return self.read();
        }
        // Asked before the scan, because a stream that ends during it may leave something that the
        // scan missed.
        let is_ended = self.ingest.spool.as_ref().is_none_or(Spool::is_ended);
        if self.look()? {
            return Ok(());
        }
        self.rest(is_ended)
    }

    fn queue(&mut self, ticket: u64, reading: SegmentRead) {
        let until = self.ends.get(&ticket).map(End::rows);
        let job = Job {
            ticket,
            read: reading.clone(),
            until,
        };
        let want = self.minibatch_rows - self.at;
        self.queued.push_back((ticket, reading));
        self.ingest.decode.queue(job, want);
    }

    /// Takes the next rows of the first segment.
    fn read(&mut self) -> Result<(), Stop> {
        let Some((ticket, reading)) = self.queued.front().cloned() else {
            return Ok(());
        };
        let is_new = self
            .ingest
            .state
            .reading
            .as_ref()
            .is_none_or(|_| self.ingest.state.sequence != ticket);
        if is_new {
            self.begin(ticket, &reading);
        }
        let is_isolated = self.ingest.params.keys.source.isolation.is_isolated();
        if !is_isolated && (is_new || !self.is_noted(ticket)) {
            let rows = self.ingest.state.reading.as_ref().map_or(0, |r| r.rows);
            if self.marker.begin(ticket, rows) {
                return self.poison(ticket, &reading);
            }
        }
        self.is_paused = false;
        let Some(mut batch) = self.buffer() else {
            return Err(Stop::Done);
        };
        if self.at == 0 {
            self.since = Instant::now();
        }
        let next = self.ingest.decode.next(&mut batch, self.at);
        self.at = batch.rows().max(self.at);
        self.batch = Some(batch);
        match next {
            Next::Rows {
                counts,
                is_last,
                row_ids,
                ..
            } => {
                if !is_isolated {
                    self.marker.survived();
                }
                if let Some(all) = &mut self.row_ids {
                    all.append(row_ids.as_ref(), counts.rows_accepted as usize);
                }
                let is_full = self.at == self.minibatch_rows;
                if counts.rows_read > 0 {
                    self.emit(Event::Rows(counts));
                }
                if is_last {
                    self.end(ticket);
                }
                if is_full {
                    self.send_batch()?;
                }
                Ok(())
            }
            Next::Failed { ticket, refusal } => {
                self.queued.pop_front();
                if refusal.fault.is_passing() {
                    return self.put_off(ticket, &reading, &refusal);
                }
                self.cut(ticket, &reading, refusal)
            }
        }
    }

    fn begin(&mut self, ticket: u64, reading: &SegmentRead) {
        self.emit(Event::Began {
            sequence: ticket,
            reading: reading.clone(),
            rows_before: self.ingest.state.rows_before(reading.file),
        });
    }

    fn is_noted(&self, ticket: u64) -> bool {
        self.marker.is_about(ticket)
    }

    /// Ends a segment whose last row was taken.
    fn end(&mut self, ticket: u64) {
        self.queued.pop_front();
        self.setbacks = 0;
        match self.ends.remove(&ticket) {
            Some(End::Cut(_, quarantined)) => {
                refuse::told(&quarantined);
                return self.emit(Event::Cut(quarantined));
            }
            Some(End::PutOff(_)) => return self.leave(),
            None => {}
        }
        if let Some(reading) = &self.ingest.state.reading {
            let (file, rows) = (shown(&reading.segment.path), reading.rows);
            if reading.is_final {
                info!(%file, rows, "file taken");
            } else {
                debug!(%file, rows, "messages taken");
            }
        }
        self.emit(Event::Ended);
    }

    /// A minibatch to fill: the current one, a recycled one, or a new one while there are few.
    fn buffer(&mut self) -> Option<Minibatch> {
        if let Some(batch) = self.batch.take() {
            return Some(batch);
        }
        // As many as the channel holds, plus one being filled and one being learned.
        let may_make = self.made < self.ingest.params.channel_minibatches() + 2;
        let mut batch = match self.ingest.empty.try_recv() {
            Ok(batch) => batch,
            Err(_) if may_make => {
                self.made += 1;
                let feature_schema = self.ingest.state.feature_schema.as_ref()?;
                feature_schema.new_minibatch(self.minibatch_rows)
            }
            // The trainer is behind: reading waits for it.
            Err(_) => self.ingest.empty.recv().ok()?,
        };
        batch.set_rows(0);
        batch.set_has_missing(false);
        batch.set_first_row(self.ingest.state.counts.rows_accepted);
        Some(batch)
    }

    fn send_batch(&mut self) -> Result<(), Stop> {
        let Some(batch) = self.batch.take() else {
            return Ok(());
        };
        self.at = 0;
        let ids = self.ingest.params.source.ids.len();
        let row_ids = self.row_ids.as_mut();
        let message = IngestMessage::Batch {
            batch,
            row_ids: row_ids.map(|row_ids| std::mem::replace(row_ids, RowIds::new(ids))),
            events: std::mem::take(&mut self.events),
            since: self.since,
        };
        self.ingest.to_trainer.send(message).map_err(|_| Stop::Done)
    }

    /// Has the waiting rows learned as a short minibatch.
    fn flush(&mut self, sequence: u64) -> Result<(), Stop> {
        self.emit(Event::Flushed { sequence });
        if self.at == 0 {
            return Ok(());
        }
        info!(
            rows = self.at,
            "learning a short minibatch: its rows reached `source.latency_max_ms`"
        );
        self.send_batch()
    }

    /// Tells the trainer which rows are waiting.
    fn pause(&mut self) {
        if self.is_paused && self.events.is_empty() {
            return;
        }
        self.is_paused = true;
        let waiting = self.batch.as_ref().filter(|_| self.at > 0).cloned();
        let message = IngestMessage::Pause {
            waiting,
            events: std::mem::take(&mut self.events),
        };
        let _ = self.ingest.to_trainer.send(message);
    }
}

/// A path on one line, control characters escaped.
pub(super) fn shown(path: &Path) -> String {
    path.to_string_lossy().escape_debug().to_string()
}

mod features;
mod look;
mod put_off;
mod refuse;
mod spooled;
