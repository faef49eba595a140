//! Messages between the two processes: a length, then an encoded message.
//!
//! Both sides check lengths and dimensions: a worker's messages after a hostile file are untrusted
//! too.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::{Fault, Job, Refusal};
use crate::codec::{CodecError, Decoder, Encoder};
use crate::rows::{RowCounts, RowIds};
use crate::source::{FeatureSchema, Frames, Segment, SegmentRead, SourceParams};

/// Bytes of one message: a schema over 2²⁰ named features takes some 40 MB.
const MESSAGE_MAX: usize = 1 << 30;

/// Requests of the daemon.
pub(super) enum Request {
    /// How to read from now on.
    Start {
        /// The keys of the configuration.
        params: SourceParams,
        /// True if two threads decode.
        is_threaded: bool,
    },
    /// What the file fixes.
    Resolve(Segment),
    /// Where the complete messages end.
    Frames(PathBuf),
    /// The features, the rows of a minibatch, and how the shared memory is divided.
    UseSchema {
        /// The features.
        feature_schema: FeatureSchema,
        /// b.
        minibatch_rows: usize,
        /// Places for pieces.
        slots: usize,
        /// Bytes of each.
        slot_bytes: usize,
    },
    /// A job, and the rows that the first minibatch still needs; `None`: continue with the current
    /// boundary.
    Read {
        /// The job.
        job: Job,
        /// Rows to the end of the minibatch.
        want: Option<usize>,
        /// True if ids are wanted.
        with_ids: bool,
    },
    /// A slot for a piece is free again.
    Credit(usize),
}

/// Answers of the worker.
pub(super) enum Reply {
    /// To `Start`.
    Ready,
    /// To `Resolve`.
    Resolved(FeatureSchema),
    /// To `Frames`.
    Framed(Frames),
    /// To `Resolve` and `Frames`.
    Refused(Refusal),
    /// Rows of a job.
    Rows(Sent),
    /// A job that ends early.
    Failed(u64, Refusal),
}

/// Rows of a job in shared memory.
#[derive(Debug)]
pub(super) struct Sent {
    pub ticket: u64,
    pub slot: usize,
    /// Capacity of the minibatch they were written to: the distance between columns.
    pub capacity: usize,
    pub is_wide: bool,
    pub has_missing: bool,
    pub is_last: bool,
    pub counts: RowCounts,
    pub row_ids: Option<RowIds>,
    pub bytes_read: u64,
}

/// Sends a message.
pub(super) fn send(to: &mut impl Write, message: Encoder) -> io::Result<()> {
    let bytes = message.into_bytes();
    let len = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    // One write for both, because each is a system call.
    let mut framed = Vec::with_capacity(bytes.len() + 4);
    framed.extend_from_slice(&len.to_le_bytes());
    framed.extend_from_slice(&bytes);
    to.write_all(&framed)
}

/// Receives a message; `None` at the end.
pub(super) fn receive(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut len = [0; 4];
    match from.read_exact(&mut len) {
        Ok(()) => {}
        // The other side has closed its end, which is how it says that it is done.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let len = u32::from_le_bytes(len) as usize;
    if len > MESSAGE_MAX {
        return Err(io::Error::other(format!("a message of {len} bytes")));
    }
    // What a length says is believed up to a page or some: the rest must come first.
    let mut bytes = Vec::with_capacity(len.min(1 << 16));
    from.take(len as u64).read_to_end(&mut bytes)?;
    if bytes.len() < len {
        return Ok(None);
    }
    Ok(Some(bytes))
}

impl Request {
    pub(super) fn encode(&self) -> io::Result<Encoder> {
        let mut to = Encoder::new();
        match self {
            Self::Start {
                params,
                is_threaded,
            } => {
                to.u8(0);
                to.str(&serde_json::to_string(params)?);
                to.bool(*is_threaded);
            }
            Self::Resolve(segment) => {
                to.u8(1);
                segment.encode(&mut to);
            }
            Self::Frames(path) => {
                to.u8(2);
                encode_path(path, &mut to);
            }
            Self::UseSchema {
                feature_schema,
                minibatch_rows,
                slots,
                slot_bytes,
            } => {
                to.u8(3);
                feature_schema.encode(&mut to);
                to.usize(*minibatch_rows);
                to.usize(*slots);
                to.usize(*slot_bytes);
            }
            Self::Read {
                job,
                want,
                with_ids,
            } => {
                to.u8(4);
                to.u64(job.ticket);
                job.read.encode(&mut to);
                to.u64(job.until.unwrap_or(u64::MAX));
                to.u64(want.map_or(u64::MAX, |want| want as u64));
                to.bool(*with_ids);
            }
            Self::Credit(slot) => {
                to.u8(5);
                to.usize(*slot);
            }
        }
        Ok(to)
    }

    pub(super) fn decode(bytes: &[u8], params: &SourceParams) -> Result<Self, CodecError> {
        let mut from = Decoder::new("a request", bytes);
        let request = match from.u8()? {
            0 => Self::Start {
                params: serde_json::from_str(from.str()?).map_err(|e| from.refuse(e))?,
                is_threaded: from.bool()?,
            },
            1 => Self::Resolve(Segment::decode(&mut from)?),
            2 => Self::Frames(decode_path(&mut from)?),
            3 => Self::UseSchema {
                feature_schema: FeatureSchema::decode(&mut from, params)?,
                minibatch_rows: from.usize()?,
                slots: from.usize()?,
                slot_bytes: from.usize()?,
            },
            4 => Self::Read {
                job: Job {
                    ticket: from.u64()?,
                    read: SegmentRead::decode(&mut from)?,
                    until: Some(from.u64()?).filter(|until| *until != u64::MAX),
                },
                want: Some(from.u64()?)
                    .filter(|want| *want != u64::MAX)
                    .map(|want| want as usize),
                with_ids: from.bool()?,
            },
            5 => Self::Credit(from.usize()?),
            other => return Err(from.refuse(format!("unknown request {other}"))),
        };
        from.finish()?;
        Ok(request)
    }
}

impl Reply {
    pub(super) fn encode(&self) -> Encoder {
        let mut to = Encoder::new();
        match self {
            Self::Resolved(feature_schema) => {
                to.u8(0);
                feature_schema.encode(&mut to);
                let left = &feature_schema.selection().left;
                to.usize(left.len());
                for (name, why) in left {
                    to.str(name);
                    to.str(why);
                }
            }
            Self::Framed(frames) => {
                to.u8(1);
                to.u64(frames.end);
                to.bool(frames.is_ended);
                to.bool(frames.has_schema);
            }
            Self::Refused(refusal) => {
                to.u8(2);
                encode_refusal(refusal, &mut to);
            }
            Self::Rows(sent) => {
                to.u8(3);
                to.u64(sent.ticket);
                to.usize(sent.slot);
                to.usize(sent.capacity);
                to.bool(sent.is_wide);
                to.bool(sent.has_missing);
                to.bool(sent.is_last);
                encode_tally(&sent.counts, &mut to);
                to.bool(sent.row_ids.is_some());
                if let Some(row_ids) = &sent.row_ids {
                    row_ids.encode(&mut to);
                }
                to.u64(sent.bytes_read);
            }
            Self::Failed(ticket, refusal) => {
                to.u8(4);
                to.u64(*ticket);
                encode_refusal(refusal, &mut to);
            }
            Self::Ready => to.u8(5),
        }
        to
    }

    /// True if these bytes are [`Reply::Ready`].
    pub(super) fn is_ready(bytes: &[u8]) -> bool {
        bytes == Self::Ready.encode().into_bytes()
    }

    pub(super) fn decode(bytes: &[u8], params: &SourceParams) -> Result<Self, CodecError> {
        let mut from = Decoder::new("a worker's reply", bytes);
        let reply = match from.u8()? {
            0 => {
                let mut feature_schema = FeatureSchema::decode(&mut from, params)?;
                let mut left = Vec::new();
                for _ in 0..from.count(16)? {
                    left.push((from.str()?.to_owned(), from.str()?.to_owned()));
                }
                feature_schema.set_left(left);
                Self::Resolved(feature_schema)
            }
            1 => Self::Framed(Frames::known(from.u64()?, from.bool()?, from.bool()?)),
            2 => Self::Refused(decode_refusal(&mut from)?),
            3 => Self::Rows(Sent {
                ticket: from.u64()?,
                slot: from.usize()?,
                capacity: from.usize()?,
                is_wide: from.bool()?,
                has_missing: from.bool()?,
                is_last: from.bool()?,
                counts: decode_tally(&mut from)?,
                row_ids: if from.bool()? {
                    Some(RowIds::decode(&mut from)?)
                } else {
                    None
                },
                bytes_read: from.u64()?,
            }),
            4 => Self::Failed(from.u64()?, decode_refusal(&mut from)?),
            5 => Self::Ready,
            other => return Err(from.refuse(format!("unknown reply {other}"))),
        };
        from.finish()?;
        Ok(reply)
    }
}

fn encode_path(path: &Path, to: &mut Encoder) {
    to.bytes(path.as_os_str().as_bytes());
}

fn decode_path(from: &mut Decoder<'_>) -> Result<PathBuf, CodecError> {
    Ok(PathBuf::from(OsStr::from_bytes(from.bytes()?)))
}

fn encode_refusal(refusal: &Refusal, to: &mut Encoder) {
    to.u8(refusal.fault.code());
    to.str(&refusal.reason);
}

fn decode_refusal(from: &mut Decoder<'_>) -> Result<Refusal, CodecError> {
    let code = from.u8()?;
    Ok(Refusal {
        fault: Fault::of_code(code).ok_or_else(|| from.refuse(format!("unknown fault {code}")))?,
        reason: from.str()?.to_owned(),
    })
}

/// Counts of values are mostly zeros, so all-zero lists are stored as empty.
fn encode_tally(counts: &RowCounts, to: &mut Encoder) {
    to.u64(counts.rows_read);
    to.u64(counts.rows_accepted);
    to.u64(counts.rows_rejected);
    counts.rejected_by.iter().for_each(|rows| to.u64(*rows));
    for counts in [&counts.nulls, &counts.nans, &counts.infinities] {
        if counts.iter().all(|count| *count == 0) {
            to.u64s(&[]);
        } else {
            to.u64s(counts);
        }
    }
}

fn decode_tally(from: &mut Decoder<'_>) -> Result<RowCounts, CodecError> {
    Ok(RowCounts {
        rows_read: from.u64()?,
        rows_accepted: from.u64()?,
        rows_rejected: from.u64()?,
        rejected_by: [from.u64()?, from.u64()?, from.u64()?],
        nulls: from.u64s()?,
        nans: from.u64s()?,
        infinities: from.u64s()?,
    })
}
