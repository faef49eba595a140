//! The daemon's side: a worker process, its jobs, and its fate.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use super::append::append;
use super::limits::{MEMORY_VARIABLE, RESERVE_KIB, RESERVE_VARIABLE, environment};
use super::lost::{Lost, last_words, lost, not_started};
use super::protocol::{Reply, Request, Sent, receive, send};
use super::slot_pool::{Control, SlotPool};
use super::{Decode, Fault, Job, Next, Refusal};
use crate::rows::{Minibatch, Width};
use crate::source::{Decoders, FeatureSchema, Frames, Segment, SourceParams};

/// Bytes of the slots for pieces: enough for the worker to continue while the trainer learns.
const SHARED_BYTES: usize = 32 << 20;
/// Number of pieces in transit: at least one being filled, one being learned, and the previous one,
/// whose memory the learner keeps; more if they are small.
const SLOTS_LEAST: usize = 3;
const SLOTS_MOST: usize = 64;
/// How to start a worker and when to give up on it.
#[derive(Clone, Debug)]
pub struct SubprocessParams {
    /// The program to start.
    pub program: PathBuf,
    /// The argument that makes it a worker.
    pub argument: &'static str,
    /// Limit of its address space, MiB.
    pub memory_mib: u64,
    /// Longest silence while it has work to do.
    pub deadline: Duration,
    /// How it reads.
    pub source: SourceParams,
}

/// A decoder in a separate process.
pub struct Subprocess {
    params: SubprocessParams,
    running: Option<Running>,
    in_use: Option<(FeatureSchema, usize)>,
    jobs: VecDeque<Job>,
    /// Rows of the first job that were taken.
    taken: u64,
    /// Times that a worker died or fell silent over the first job.
    deaths: u32,
    /// Consecutive workers that ended before their first message.
    unstarted: u32,
    with_ids: bool,
}

/// Deaths on one file after which the file is blamed: the first may have been someone's `kill`.
const DEATHS_MOST: u32 = 2;
/// Consecutive workers that may end before their first message before the file has to wait: a
/// single one may have been killed by someone, and a file that waits loses its place in the order.
const STARTS_MOST: u32 = 3;

struct Running {
    child: Child,
    /// Answers of the worker.
    socket: BufReader<UnixStream>,
    /// The same socket, for sending.
    control: Control,
    memory: File,
    last_words: File,
    places: Option<Arc<SlotPool>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have gone already; nothing else can be done about it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Subprocess {
    /// No worker yet: the first request starts it.
    pub fn new(params: SubprocessParams) -> Self {
        Self {
            params,
            running: None,
            in_use: None,
            jobs: VecDeque::new(),
            taken: 0,
            deaths: 0,
            unstarted: 0,
            with_ids: false,
        }
    }

    /// Asks for ids beside the rows.
    #[must_use]
    pub fn with_ids(mut self, with_ids: bool) -> Self {
        self.with_ids = with_ids && !self.params.source.ids.is_empty();
        self
    }

    /// Starts a worker, if none is running, before the first job.
    ///
    /// # Errors
    /// Why the system cannot start it.
    pub fn start_now(&mut self) -> Result<(), Refusal> {
        let started = self.running().map(|_| ());
        started.map_err(|reason| self.reap(reason))
    }

    /// The process id of the current worker.
    pub fn id(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.child.id())
    }

    fn start(&self) -> io::Result<Running> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let memfd = |name| memfd_create(name, flags).map(File::from);
        let memory = memfd("ojad-rows")?;
        let said = memfd("ojad-last-words")?;
        let (socket, theirs) = UnixStream::pair()?;
        socket.set_read_timeout(Some(self.params.deadline))?;
        socket.set_write_timeout(Some(self.params.deadline))?;
        let child = Command::new(&self.params.program)
            .arg(self.params.argument)
            .env_clear()
            .envs(environment())
            .env(MEMORY_VARIABLE, self.params.memory_mib.to_string())
            // The allocator would reserve all address space that the worker may take.
            .env(RESERVE_VARIABLE, RESERVE_KIB)
            .stdin(Stdio::from(memory.try_clone()?))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::from(said.try_clone()?))
            .process_group(0)
            .spawn()?;
        let mut running = Running {
            child,
            control: Arc::new(Mutex::new(socket.try_clone()?)),
            socket: BufReader::new(socket),
            memory,
            last_words: said,
            places: None,
        };
        let start = Request::Start {
            params: self.params.source.clone(),
            is_threaded: self.params.source.decoders == Decoders::Two,
        };
        running.send(&start)?;
        // A worker that dies before its first word has seen no file.
        match receive(&mut running.socket)? {
            Some(bytes) if Reply::is_ready(&bytes) => {}
            _ => {
                let _ = running.child.kill();
                let status = running.child.wait()?;
                let words = last_words(&running.last_words);
                return Err(io::Error::other(format!("it ended with {status} {words}")));
            }
        }
        if let Some((feature_schema, rows)) = &self.in_use {
            running.use_schema(feature_schema, *rows)?;
        }
        Ok(running)
    }

    fn running(&mut self) -> Result<&mut Running, Lost> {
        if self.running.is_none() {
            let started = self.start();
            let failed = |error: io::Error| Lost::NotStarted(error.to_string());
            self.running = Some(started.map_err(failed)?);
        }
        self.running
            .as_mut()
            .ok_or_else(|| Lost::NotStarted("no worker".to_owned()))
    }

    fn ask(&mut self, request: &Request) -> Result<Reply, Refusal> {
        let mut lost = None;
        for _ in 0..DEATHS_MOST {
            let asked = self.send(request).and_then(|()| self.receive());
            match asked {
                Ok(reply) => return Ok(reply),
                Err(reason) => lost = Some(self.reap(reason)),
            }
        }
        Err(lost.unwrap_or_else(|| self.reap(Lost::Silent)))
    }

    fn send(&mut self, request: &Request) -> Result<(), Lost> {
        self.running()?.send(request).map_err(|error| lost(&error))
    }

    fn receive(&mut self) -> Result<Reply, Lost> {
        let params = self.params.source.clone();
        let running = self.running()?;
        match receive(&mut running.socket).map_err(|error| lost(&error))? {
            None => Err(Lost::Died(String::new())),
            Some(bytes) => Reply::decode(&bytes, &params).map_err(|e| Lost::Died(e.to_string())),
        }
    }

    /// Terminates what is left of a worker; returns the reason.
    fn reap(&mut self, lost: Lost) -> Refusal {
        let Some(mut running) = self.running.take() else {
            return not_started(match &lost {
                Lost::Died(reason) | Lost::NotStarted(reason) => reason,
                Lost::Silent => "it does not answer",
            });
        };
        let deadline = self.params.deadline.as_secs();
        match lost {
            Lost::NotStarted(why) => not_started(&why),
            Lost::Silent => Refusal {
                fault: Fault::Silent,
                reason: format!(
                    "the worker reading it was silent for {deadline} s and was killed; \
                     raise `source.decode_deadline_s` if the file is sound"
                ),
            },
            Lost::Died(said) => {
                // A worker that closed its socket is ending: its status says why.
                let _ = if said.is_empty() {
                    Ok(())
                } else {
                    running.child.kill()
                };
                let status = running.child.wait();
                let how = match status {
                    Ok(status) => match (status.signal(), status.code()) {
                        (Some(signal), _) => format!("signal {signal}"),
                        (None, code) => format!("exit code {}", code.unwrap_or(-1)),
                    },
                    Err(error) => error.to_string(),
                };
                let words = last_words(&running.last_words);
                Refusal {
                    fault: Fault::Died,
                    reason: format!(
                        "the worker that read it died ({how}{}{said}{}{words}); write the file \
                         again, or raise `source.worker_memory_mib` if it is sound",
                        if said.is_empty() { "" } else { ": " },
                        if words.is_empty() { "" } else { ": " },
                    ),
                }
            }
        }
    }

    /// Hands the queued jobs to a new worker.
    fn resume(&mut self, want: usize) -> Result<(), Lost> {
        let jobs: Vec<Job> = self.jobs.iter().cloned().collect();
        for (i, mut job) in jobs.into_iter().enumerate() {
            if i == 0 {
                job.read.rows += self.taken;
            }
            let want = (i == 0).then_some(want);
            self.send(&Request::Read {
                job,
                want,
                // It may be the ids that a worker dies of: the file is not refused for them.
                with_ids: self.with_ids && (i > 0 || self.deaths == 0),
            })?;
        }
        Ok(())
    }

    fn finish_job(&mut self) {
        self.jobs.pop_front();
        self.taken = 0;
        (self.deaths, self.unstarted) = (0, 0);
    }

    fn take(&mut self, batch: &mut Minibatch, at: usize, sent: Sent) -> Result<Next, Lost> {
        let wrong = |what: &str| Lost::Died(format!("it sent {what}"));
        let job = self.jobs.front().ok_or_else(|| wrong("unrequested rows"))?;
        let rows = usize::try_from(sent.counts.rows_accepted).unwrap_or(usize::MAX);
        let fits = job.ticket == sent.ticket
            && rows <= sent.capacity
            && sent.capacity <= batch.capacity() - at
            && sent.counts.rows_read == sent.counts.rows_accepted + sent.counts.rows_rejected
            && sent.is_wide == (batch.width() == Width::F64)
            && sent.row_ids.as_ref().is_none_or(|row_ids| {
                let ids = self.params.source.ids.len();
                let all = rows.checked_mul(ids);
                row_ids.width() == ids
                    && (Some(row_ids.values()) == all
                        || (row_ids.is_passed_over() && row_ids.values() == 0))
            });
        let piece = fits.then(|| self.piece(&sent)).flatten();
        let mut piece = piece.ok_or_else(|| wrong("a piece that does not fit"))?;
        piece.set_rows(rows);
        if sent.has_missing {
            batch.set_has_missing(true);
        }
        if at == 0 && piece.capacity() == batch.capacity() {
            piece.set_has_missing(batch.has_missing());
            piece.set_first_row(batch.first_row());
            *batch = piece;
        } else if rows > 0 {
            append(batch, at, &piece);
        }
        let rows_read = sent.counts.rows_read;
        let next = Next::Rows {
            ticket: sent.ticket,
            is_last: sent.is_last,
            counts: sent.counts,
            row_ids: sent.row_ids,
            bytes_read: sent.bytes_read,
        };
        self.taken += rows_read;
        (self.deaths, self.unstarted) = (0, 0);
        if sent.is_last {
            self.finish_job();
        }
        Ok(next)
    }

    /// The slot of a piece as a minibatch; `None` if there is no such slot or it is too short.
    fn piece(&self, sent: &Sent) -> Option<Minibatch> {
        let places = self.running.as_ref()?.places.as_ref()?;
        let (feature_schema, _) = self.in_use.as_ref()?;
        feature_schema
            .minibatch_in(sent.capacity, |bytes| places.lease(sent.slot, bytes))
            .ok()
    }

    fn try_next(&mut self, batch: &mut Minibatch, at: usize) -> Result<Next, Lost> {
        if self.running.is_none() {
            self.resume(batch.capacity() - at)?;
        }
        match self.receive()? {
            Reply::Rows(sent) => self.take(batch, at, sent),
            Reply::Failed(ticket, refusal) => {
                self.finish_job();
                Ok(Next::Failed { ticket, refusal })
            }
            _ => Err(Lost::Died("it sent a wrong reply".to_owned())),
        }
    }
}

impl Running {
    fn send(&mut self, request: &Request) -> io::Result<()> {
        let message = request.encode()?;
        let mut socket = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        send(&mut *socket, message)
    }

    fn use_schema(
        &mut self,
        feature_schema: &FeatureSchema,
        minibatch_rows: usize,
    ) -> io::Result<()> {
        let bytes = feature_schema.bytes(minibatch_rows);
        let bytes =
            bytes.ok_or_else(|| io::Error::other("a minibatch larger than memory can be"))?;
        // Whole pages, so that no two places share one.
        let page = rustix::param::page_size();
        let slot_bytes = bytes.max(1).next_multiple_of(page);
        let slots = (SHARED_BYTES / slot_bytes).clamp(SLOTS_LEAST, SLOTS_MOST);
        let len = (slots * slot_bytes) as u64;
        if self.memory.metadata()?.len() < len {
            self.memory.set_len(len)?;
        }
        // A page that went away under a reader would end the daemon.
        fcntl_add_seals(&self.memory, SealFlags::SHRINK)?;
        let control = Some(Arc::clone(&self.control));
        self.places = Some(SlotPool::of(&self.memory, slots, slot_bytes, control)?);
        let request = Request::UseSchema {
            feature_schema: feature_schema.clone(),
            minibatch_rows,
            slots,
            slot_bytes,
        };
        self.send(&request)
    }
}

impl Decode for Subprocess {
    fn resolve(&mut self, segment: &Segment) -> Result<FeatureSchema, Refusal> {
        // Features of a file before that did not hold; a worker that is started now needs none.
        self.in_use = None;
        match self.ask(&Request::Resolve(segment.clone()))? {
            Reply::Resolved(feature_schema) => Ok(feature_schema),
            Reply::Refused(refusal) => Err(refusal),
            _ => Err(self.reap(Lost::Died("it sent a wrong reply".to_owned()))),
        }
    }

    fn frames(&mut self, path: &Path) -> Result<Frames, Refusal> {
        match self.ask(&Request::Frames(path.to_owned()))? {
            Reply::Framed(frames) => Ok(frames),
            Reply::Refused(refusal) => Err(refusal),
            _ => Err(self.reap(Lost::Died("it sent a wrong reply".to_owned()))),
        }
    }

    fn use_schema(
        &mut self,
        feature_schema: &FeatureSchema,
        minibatch_rows: usize,
    ) -> Result<(), Refusal> {
        if feature_schema.bytes(minibatch_rows).is_none() {
            return Err(Refusal {
                fault: Fault::File,
                reason: "a minibatch of these rows is larger than memory can be".to_owned(),
            });
        }
        self.in_use = Some((feature_schema.clone(), minibatch_rows));
        // Rows that are still leased may not be written over: another worker has memory of its own.
        let is_lent = |places: &Arc<SlotPool>| Arc::strong_count(places) > 1;
        self.running
            .take_if(|running| running.places.as_ref().is_some_and(is_lent));
        if let Some(running) = &mut self.running
            && let Err(error) = running.use_schema(feature_schema, minibatch_rows)
        {
            // Another worker is given the same; if the system has no room for it, the files wait.
            self.reap(lost(&error));
        }
        Ok(())
    }

    fn queue(&mut self, job: Job, want: usize) {
        let is_first = self.jobs.is_empty();
        self.jobs.push_back(job.clone());
        if self.running.is_some() {
            let want = is_first.then_some(want);
            let with_ids = self.with_ids;
            if let Err(reason) = self.send(&Request::Read {
                job,
                want,
                with_ids,
            }) {
                // The next call starts another worker and hands it all jobs.
                self.reap(reason);
            }
        }
    }

    fn queued(&self) -> usize {
        self.jobs.len()
    }

    fn drop_first(&mut self) {
        // What it has sent of the job goes with it; the other jobs are handed to the next one.
        self.running = None;
        self.finish_job();
    }

    fn next(&mut self, batch: &mut Minibatch, at: usize) -> Next {
        loop {
            match self.try_next(batch, at) {
                Ok(next) => return next,
                Err(reason) => {
                    let is_blameless = matches!(reason, Lost::NotStarted(_));
                    let refusal = self.reap(reason);
                    let count = if is_blameless {
                        &mut self.unstarted
                    } else {
                        &mut self.deaths
                    };
                    *count += 1;
                    if self.deaths >= DEATHS_MOST || self.unstarted >= STARTS_MOST {
                        let ticket = self.jobs.front().map_or(0, |job| job.ticket);
                        self.finish_job();
                        return Next::Failed { ticket, refusal };
                    }
                }
            }
        }
    }
}
