//! The trainer: owns the state, learns, and decides when checkpoints and snapshots are written.

mod apply;
mod begin;
mod checkpoint;
mod close;
mod drift;
mod publish;
mod read_out;
mod streams;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, never, select};
use tracing::{error, info, warn};

use crate::checkpoint::StateLock;
use crate::daemon::run::history;
use crate::daemon::run::ingest::{Ingest, Shared};
use crate::daemon::run::messages::{Command, IngestMessage, Outcome, RunError};
use crate::daemon::run::params::RunParams;
use crate::daemon::run::publisher::{Done, Job};
use crate::daemon::run::restore::Learned;
use crate::daemon::run::schedule::Schedule;
use crate::daemon::run::surroundings::Surroundings;
use crate::daemon::run::systemd;
use crate::learner::drift::DriftReport;
use crate::published::{self, ControlRequest, Published};
use crate::rows::{Minibatch, RowIds, RunId, unix_s};
use crate::snapshot::Retention;
use crate::source::follow::{Event, IngestState, Push};

use self::begin::begin;
use self::publish::Shown;
use self::streams::start_spool;

/// How often the clock is checked while nothing arrives.
const TICK: Duration = Duration::from_millis(100);

struct Trainer<'a> {
    params: RunParams,
    learned: Learned,
    lock: StateLock,
    run_id: RunId,
    shared: Arc<Shared>,
    jobs: Option<Sender<Job>>,
    to_ingest: Sender<Minibatch>,
    reload: Sender<RunParams>,
    wake: Sender<()>,
    read_config: &'a mut dyn FnMut() -> Result<RunParams, String>,
    checkpoints: Schedule,
    snapshots: Schedule,
    /// Events in the last two written checkpoints.
    durable_steps: [u64; 2],
    last_checkpoint_steps: u64,
    snapshot_steps: u64,
    is_ready: bool,
    /// Warnings already logged, which are not repeated; a resumed run logs them again.
    told: HashSet<String>,
    /// A drift to be reported in the next snapshot.
    drifted: Option<DriftReport>,
    shown: Option<Shown>,
    /// Where the outcome of pushed bodies is reported.
    push: Option<Arc<Push>>,
    pulse: systemd::Pulse,
}

/// Runs until a stop command, or as long as the parameters say.
///
/// What it learns depends on the rows alone: time affects only decisions recorded in the journal.
///
/// # Errors
/// If the state cannot be restored, a consumed file changed, or the last checkpoint could not be
/// written; earlier checkpoints remain valid.
pub fn run(params: RunParams, around: Surroundings<'_>) -> Result<Outcome, RunError> {
    let shared = Arc::new(Shared::default());
    let (begun, found) = begin(&params, around.disk, &shared)?;
    let (lock, disk) = (begun.lock, begun.disk);
    let (wake, woken) = bounded(1);
    let mut params = params;
    let owner = (&lock, &found.belonging);
    let (spool, push) = start_spool(&mut params, &wake, &disk, owner, &found.learned.state)?;
    let (to_trainer, messages) = bounded(params.channel_minibatches());
    // Room for every minibatch that the ingest thread can have made: none is dropped when it is given
    // back.
    let (to_ingest, empty) = bounded(params.channel_minibatches() + 8);
    let (reload, reloaded) = bounded(1);
    let ingest = Ingest {
        params: params.clone(),
        state: IngestState {
            files: found.files,
            ..found.learned.state.clone()
        },
        decode: around.decode,
        journal: found.journal,
        planned: found.planned,
        waiting: found.learned.waiting.clone(),
        shared: Arc::clone(&shared),
        to_trainer,
        empty,
        wake: woken,
        waker: wake.clone(),
        reload: reloaded,
        spool,
        disk,
        lock: lock.clone(),
        with_ids: around.published.is_some(),
    };
    let published = around.published.as_ref();
    let requested = published.map_or_else(never, |published| published.requested());
    let shown = published.map(|published| show_in(published, &params, push.as_ref()));
    let shown = shown.transpose()?;
    if let Some(begun) = around.begun {
        begun().map_err(RunError::Begun)?;
    }
    // One of each kind: none is put off because another is on its way.
    let (jobs, todo) = bounded(3);
    let (to_done, done) = bounded(4);
    let publishing = begun.publisher.spawn(todo, to_done);
    let publishing = publishing.map_err(unstarted("publisher"))?;
    let feeding = ingest.spawn().map_err(unstarted("ingest"))?;
    let rows = found.learned.state.counts.rows_accepted;
    let steps = found.learned.state.steps;
    let [checkpoints, snapshots] = schedules(&params, rows);
    let mut trainer = Trainer {
        checkpoints,
        snapshots,
        learned: found.learned,
        lock,
        run_id: found.belonging.run_id,
        shared,
        jobs: Some(jobs),
        to_ingest,
        reload,
        wake,
        read_config: around.read_config,
        durable_steps: [0, 0],
        last_checkpoint_steps: steps,
        snapshot_steps: steps,
        is_ready: true,
        told: HashSet::new(),
        drifted: None,
        shown,
        push,
        pulse: systemd::Pulse::start(),
        params,
    };
    trainer.watch_as_configured();
    // Only now, because clients that wait for the service may send rows at once.
    systemd::ready();
    let ended = trainer.serve(&messages, around.commands, &requested, &done);
    systemd::stopping();
    trainer.shared.stop.store(true, Ordering::Relaxed);
    // Dropping the receiver wakes an ingest thread that is blocked on sending, so that it ends.
    drop(messages);
    let closed = trainer.close(&done);
    trainer.jobs = None;
    // An ingest thread that is blocked by a silent file, or a publisher by its disk, is left behind.
    join_within(feeding, Duration::from_millis(500));
    join_within(publishing, Duration::from_secs(1));
    ended.and(closed)
}

fn unstarted(thread: &'static str) -> impl FnOnce(std::io::Error) -> RunError {
    move |error| RunError::Thread {
        thread,
        cause: format!("could not be started: {error}"),
    }
}

/// When checkpoints and snapshots are due.
fn schedules(params: &RunParams, rows: u64) -> [Schedule; 2] {
    let (every, by_rows) = params.checkpoint_interval();
    let checkpoints = Schedule::new("checkpoint", every, by_rows, rows);
    let (every, by_rows) = params.snapshot_interval();
    [checkpoints, Schedule::new("snapshot", every, by_rows, rows)]
}

fn join_within(thread: thread::JoinHandle<()>, patience: Duration) {
    let until = Instant::now() + patience;
    while !thread.is_finished() && Instant::now() < until {
        thread::sleep(Duration::from_millis(1));
    }
    if thread.is_finished() && thread.join().is_err() {
        error!("a thread died");
    }
}

/// Starts publishing; the history continues where the previous run left it.
fn show_in(
    published: &Arc<Published>,
    params: &RunParams,
    push: Option<&Arc<Push>>,
) -> Result<Shown, RunError> {
    if let Some(push) = push {
        published.set_push(Arc::clone(push));
    }
    let history = history::find(&params.state_dir);
    let label = published.params().label.clone();
    let sampler = published::sample(Arc::clone(published), &params.source.ids, label.as_deref());
    let sampler = sampler.map_err(unstarted("row"))?;
    Ok(Shown::new(Arc::clone(published), history, sampler))
}

impl Trainer<'_> {
    fn rows(&self) -> u64 {
        self.learned.rows()
    }

    /// Checks that the state directory is still in place.
    fn check_place(&self) -> Result<(), RunError> {
        let Some(first) = self.lock.displaced() else {
            return Ok(());
        };
        // Whoever removes a directory removes its files one by one, and may make another one: what is said
        // is what it came to. Nothing is written meanwhile.
        thread::sleep(begin::SETTLED_AFTER);
        let how = self.lock.displaced().unwrap_or(first);
        let rows = self.shared.checkpoint_rows.load(Ordering::Relaxed);
        Err(begin::displaced(self.lock.directory(), &how, rows))
    }

    /// Learns until told to stop or nothing is left.
    fn serve(
        &mut self,
        messages: &Receiver<IngestMessage>,
        commands: &Receiver<Command>,
        requested: &Receiver<ControlRequest>,
        done: &Receiver<Done>,
    ) -> Result<(), RunError> {
        let mut deadline: Option<Instant> = None;
        loop {
            if deadline.is_some_and(|at| Instant::now() >= at) {
                warn!("the time for draining has run out; rows in flight will be read again");
                return Ok(());
            }
            self.check_place()?;
            self.show();
            self.pulse
                .beat(self.shared.turns.load(Ordering::Relaxed), self.rows());
            select! {
                recv(messages) -> message => match message {
                    Ok(IngestMessage::Batch { batch, row_ids, events, since }) => {
                        self.learn(batch, row_ids, (&events, since))?;
                    }
                    Ok(IngestMessage::Pause { waiting, events }) => self.pause(waiting, &events)?,
                    Ok(IngestMessage::Ended(None)) => return Ok(()),
                    Ok(IngestMessage::Ended(Some(error))) => return Err(error),
                    Err(_) => {
                        let cause = "died".to_owned();
                        return Err(RunError::Thread { thread: "ingest", cause });
                    }
                },
                recv(commands) -> command => match command {
                    Ok(Command::Stop) => {
                        info!("stopping: writing the last checkpoint and snapshot with every row read");
                        self.shared.stop.store(true, Ordering::Relaxed);
                        // One that is on its way is enough.
                        let _ = self.wake.try_send(());
                        // A second request does not extend the deadline that the first one set.
                        deadline.get_or_insert(Instant::now() + self.params.drain());
                    }
                    Ok(Command::Reload) => self.reload(),
                    Ok(Command::Snapshot) => self.snapshots.is_wanted = true,
                    // Whoever could say something has gone: that is no reason to stop.
                    Err(_) => thread::sleep(TICK),
                },
                recv(requested) -> what => match what {
                    Ok(ControlRequest::Snapshot) => self.snapshots.is_wanted = true,
                    Ok(ControlRequest::Checkpoint) => self.checkpoints.is_wanted = true,
                    Ok(ControlRequest::Reload) => self.reload(),
                    Err(_) => {}
                },
                recv(done) -> answer => {
                    if let Ok(answer) = answer {
                        self.note(answer);
                    }
                }
                default(TICK) => {}
            }
            let (rows, steps) = (self.rows(), self.learned.state.steps);
            if self
                .checkpoints
                .is_due(rows, steps != self.last_checkpoint_steps)
            {
                self.checkpoint();
            }
            if self.snapshots.is_due(rows, steps != self.snapshot_steps) {
                self.snapshot();
            }
        }
    }

    fn learn(
        &mut self,
        mut batch: Minibatch,
        row_ids: Option<RowIds>,
        (events, since): (&[Event], Instant),
    ) -> Result<(), RunError> {
        self.apply(events)?;
        self.learned.waiting = None;
        // Before the update, because the rows must be compared with what was known without them,
        // and the update centres them in place.
        let is_drift = self.watch(&batch)?;
        if let Some(shown) = &mut self.shown {
            shown.sampler.offer(&batch, row_ids);
        }
        let rows = batch.rows();
        if let Some(learner) = &mut self.learned.learner {
            let began = Instant::now();
            let learned = learner.update(batch);
            let agreement = self.learned.state.feature_schema.as_ref();
            batch = learned.map_err(|error| match agreement {
                Some(agreement) => error.of(agreement.features().names()),
                None => error,
            })?;
            if let Some(shown) = &self.shown {
                shown
                    .published
                    .updates
                    .observe(began.elapsed().as_secs_f64());
            }
        }
        let latency_us = since.elapsed().as_micros() as u64;
        tracing::trace!(rows, latency_us, "minibatch learned");
        if is_drift {
            self.snapshots.is_wanted = true;
        }
        batch.give_back();
        // An ingest thread that has ended needs no more minibatches.
        let _ = self.to_ingest.try_send(batch);
        Ok(())
    }

    fn pause(&mut self, waiting: Option<Minibatch>, events: &[Event]) -> Result<(), RunError> {
        self.apply(events)?;
        self.learned.waiting = waiting;
        Ok(())
    }

    fn snapshot(&mut self) {
        let (rows, steps) = (self.rows(), self.learned.state.steps);
        let snapshot = match self.read_out() {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) => return,
            Err(error) => {
                warn!(%error, "this state does not give a snapshot");
                self.snapshots.begin(rows);
                self.snapshots.is_under_way = false;
                return;
            }
        };
        self.warn(&snapshot);
        let job = Job::Snapshot {
            snapshot: Box::new(snapshot),
            directory: self.params.output_dir.clone(),
            retention: Retention {
                keep: self.params.keys.output.keep,
                keep_daily: self.params.keys.output.keep_daily,
            },
        };
        if let Some(jobs) = &self.jobs
            && jobs.try_send(job).is_ok()
        {
            self.drifted = None;
            self.snapshots.begin(rows);
            self.snapshot_steps = steps;
        }
    }

    fn note(&mut self, answer: Done) {
        match answer {
            Done::Checkpoint {
                result,
                steps,
                contained,
            } => {
                if result.is_ok() {
                    if let Some(shown) = &mut self.shown {
                        shown.checkpoint_unix_s = Some(unix_s());
                    }
                    self.keep_history();
                    if let Some(push) = &self.push {
                        push.durable(steps);
                    }
                    self.durable_steps = [self.durable_steps[1], steps];
                    let shared = &self.shared;
                    shared
                        .durable_steps
                        // The older of the two counts, because a fallback to it would need the
                        // files of rows that it lacks.
                        .store(self.durable_steps[0], Ordering::Release);
                    shared.durable.store(contained, Ordering::Release);
                } else {
                    // Its events are not on disk, so the next checkpoint is due again.
                    self.last_checkpoint_steps = self.durable_steps[1];
                }
                self.checkpoints.end(&result);
            }
            Done::Snapshot(result) => {
                if let (Ok(path), Some(shown)) = (&result, &mut self.shown) {
                    shown.snapshot_unix_s = Some(unix_s());
                    let id = path
                        .file_name()
                        .map(|name| name.to_string_lossy().into_owned());
                    shown.snapshot = id;
                }
                self.snapshots.end(&result.map(drop));
            }
        }
        let is_ready = self.checkpoints.failures == 0
            && self.snapshots.failures == 0
            && !self.shared.is_journal_down.load(Ordering::Relaxed);
        if is_ready != self.is_ready {
            self.is_ready = is_ready;
            info!(is_ready, "readiness changed");
            systemd::status(if is_ready {
                "learning"
            } else {
                "learning, but the disk refuses writes: free up disk space, or make it writable"
            });
        }
    }

    /// Reloads the configuration; an unsuitable one is refused and the old one stays in force.
    fn reload(&mut self) {
        systemd::reloading();
        match (self.read_config)() {
            Ok(mut params) => {
                if params.state_keys != self.params.state_keys {
                    let changes = crate::config::describe_state_changes(
                        &self.params.state_keys,
                        &params.state_keys,
                    );
                    error!(%changes, "the new configuration is refused: it changes keys that the \
                      state depends on; start over with another `state.dir`");
                } else if params.state_dir != self.params.state_dir
                    || params.streams != self.params.streams
                {
                    error!(
                        "the new configuration is refused: changes to `state.dir` and to streams need a restart"
                    );
                } else {
                    let spool = self.params.state_dir.join("spool");
                    // The spool directory is not in the configuration; it was added at the start
                    // and must be added again.
                    if self.params.follow.places.contains(&spool) {
                        params.follow.places.push(spool);
                    }
                    (self.checkpoints.every, self.checkpoints.rows) = params.checkpoint_interval();
                    (self.snapshots.every, self.snapshots.rows) = params.snapshot_interval();
                    self.params = params.clone();
                    self.watch_as_configured();
                    // The ingest thread takes it when it looks for files again.
                    let _ = self.reload.try_send(params);
                    let _ = self.wake.try_send(());
                    info!("configuration reloaded");
                }
            }
            Err(reason) => {
                error!(%reason, "the new configuration is refused; the old one stays in force");
            }
        }
        systemd::ready();
    }
}
