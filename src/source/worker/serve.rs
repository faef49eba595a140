//! The worker's side: requests on standard output's socket, rows into the shared memory that is
//! standard input.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::protocol::{Reply, Request, Sent, receive, send};
use super::slot_pool::SlotPool;
use super::{Job, Refusal, limits};
use crate::rows::Width;
use crate::source::{Decoders, FeatureSchema, Frames, RowIdEncoder, SegmentReader, SourceParams};

/// Serves one daemon until it goes away.
///
/// # Errors
/// If the process was not started by a daemon, or the daemon sends an invalid message.
pub fn serve() -> io::Result<()> {
    // The limits must hold before the first byte of any file is read.
    limits::apply()?;
    let memory = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let socket = UnixStream::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut worker = Worker {
        socket: BufReader::new(socket),
        memory,
        params: SourceParams::default(),
        room: None,
        jobs: VecDeque::new(),
        free: Vec::new(),
        want: 0,
        id_encoder: RowIdEncoder::default(),
    };
    while worker.take_request()? {
        while let Some((job, want, with_ids)) = worker.jobs.pop_front() {
            if !worker.work(&job, want, with_ids)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// How rows are handed over.
struct Room {
    feature_schema: FeatureSchema,
    minibatch_rows: usize,
    places: Arc<SlotPool>,
}

struct Worker {
    /// Requests of the daemon; answers bypass the buffer.
    socket: BufReader<UnixStream>,
    memory: File,
    params: SourceParams,
    room: Option<Room>,
    /// Jobs, with the rows to the end of the minibatch and whether ids are wanted.
    jobs: VecDeque<(Job, Option<usize>, bool)>,
    /// Slots that the daemon is not reading; the last one was used most recently and is still in
    /// the cache.
    free: Vec<usize>,
    /// Rows to the end of the minibatch.
    want: usize,
    id_encoder: RowIdEncoder,
}

impl Worker {
    fn reply(&mut self, reply: &Reply) -> io::Result<()> {
        send(self.socket.get_mut(), reply.encode())
    }

    /// Waits for a request; false when the daemon is gone.
    fn take_request(&mut self) -> io::Result<bool> {
        let Some(bytes) = receive(&mut self.socket)? else {
            return Ok(false);
        };
        match Request::decode(&bytes, &self.params).map_err(io::Error::other)? {
            Request::Start {
                params,
                is_threaded,
            } => {
                self.params = params;
                self.params.decoders = if is_threaded {
                    Decoders::Two
                } else {
                    Decoders::One
                };
                self.reply(&Reply::Ready)?;
            }
            Request::Resolve(segment) => {
                let reply = match segment.resolve(&self.params) {
                    Ok(feature_schema) => Reply::Resolved(feature_schema),
                    Err(error) => Reply::Refused(Refusal::of(&error)),
                };
                self.reply(&reply)?;
            }
            Request::Frames(path) => {
                let reply = match Frames::of(&path) {
                    Ok(frames) => Reply::Framed(frames),
                    Err(error) => Reply::Refused(Refusal::of(&error)),
                };
                self.reply(&reply)?;
            }
            Request::UseSchema {
                feature_schema,
                minibatch_rows,
                slots,
                slot_bytes,
            } => {
                self.want = minibatch_rows;
                self.free = (0..slots).collect();
                // The previous slots are forgotten, because the daemon has released all of them.
                self.room = Some(Room {
                    places: SlotPool::of(&self.memory, slots, slot_bytes, None)?,
                    feature_schema,
                    minibatch_rows,
                });
            }
            Request::Read {
                job,
                want,
                with_ids,
            } => self.jobs.push_back((job, want, with_ids)),
            Request::Credit(slot) => self.free.push(slot),
        }
        Ok(true)
    }

    /// Reads a job to its end; false when the daemon is gone.
    fn work(&mut self, job: &Job, want: Option<usize>, with_ids: bool) -> io::Result<bool> {
        let Some(room) = &self.room else {
            return Err(io::Error::other("a job arrived before the features"));
        };
        self.want = want.unwrap_or(self.want);
        let opened = SegmentReader::open(&job.read, &room.feature_schema, with_ids);
        let mut open = match opened {
            Ok(opened) => opened.until(job.until),
            Err(error) => {
                self.reply(&Reply::Failed(job.ticket, Refusal::of(&error)))?;
                return Ok(true);
            }
        };
        loop {
            // The daemon holds every slot, so requests are read until one of them gives a slot
            // back.
            while self.free.is_empty() {
                if !self.take_request()? {
                    return Ok(false);
                }
            }
            match self.piece(job, &mut open, with_ids)? {
                Ok(is_last) if is_last => return Ok(true),
                Ok(_) => {}
                Err(refusal) => {
                    self.reply(&Reply::Failed(job.ticket, refusal))?;
                    return Ok(true);
                }
            }
        }
    }

    /// Delivers rows up to the end of the minibatch; returns whether they are the last of the job.
    fn piece(
        &mut self,
        job: &Job,
        open: &mut SegmentReader,
        with_ids: bool,
    ) -> io::Result<Result<bool, Refusal>> {
        let Some(room) = &mut self.room else {
            return Err(io::Error::other("a job arrived before the features"));
        };
        let Some(slot) = self.free.last().copied() else {
            return Err(io::Error::other("no slot for a piece"));
        };
        let mut batch = room
            .feature_schema
            .minibatch_in(self.want, |bytes| room.places.lease(slot, bytes))?;
        let id_encoder = with_ids.then_some(&mut self.id_encoder);
        let read = open.next(&mut batch, 0, self.want, id_encoder);
        let piece = match read {
            Ok(piece) => piece,
            Err(error) => return Ok(Err(Refusal::of(&error))),
        };
        // The slot is taken only now: after an error it stays free for the next job.
        self.free.pop();
        let sent = Sent {
            ticket: job.ticket,
            slot,
            capacity: batch.capacity(),
            is_wide: batch.width() == Width::F64,
            has_missing: batch.has_missing(),
            is_last: piece.is_last,
            counts: piece.counts,
            row_ids: piece.row_ids,
            bytes_read: piece.bytes_read,
        };
        // The place is the daemon's from here on.
        drop(batch);
        self.want -= sent.counts.rows_accepted as usize;
        if self.want == 0 {
            self.want = room.minibatch_rows;
        }
        let is_last = sent.is_last;
        self.reply(&Reply::Rows(sent))?;
        Ok(Ok(is_last))
    }
}
