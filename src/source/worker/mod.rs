//! Decoding where a crash is survivable: segments in, rows out.
//!
//! [`Subprocess`] hands segments to a worker process of the same binary and takes rows back through
//! shared memory; a worker that dies or is silent for too long is replaced, and the error names its
//! current file. [`InProcess`] does the same work in this process, for `isolation = "none"`, for
//! standard input, and for rows whose ids are passed on. Both give the same pieces.

mod append;
mod in_process;
mod limits;
mod lost;
mod protocol;
mod serve;
mod slot_pool;
mod subprocess;

use std::io::ErrorKind;
use std::path::Path;

pub use in_process::InProcess;
pub use serve::serve;
pub use subprocess::{Subprocess, SubprocessParams};

use super::positioned::is_of_the_system;
use super::{FeatureSchema, Frames, Segment, SegmentRead, SourceError};
use crate::rows::{Minibatch, RowCounts, RowIds};
use crate::text::{MESSAGE_BYTES_MAX, bounded};

/// A segment in the queue of a decoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The caller's number for it; comes back with every piece.
    pub ticket: u64,
    /// The rows, after those already taken.
    pub read: SegmentRead,
    /// Rows of the segment to stop after; `None`: its end.
    pub until: Option<u64>,
}

/// Result of reading.
#[derive(Debug)]
pub enum Next {
    /// Rows were appended.
    Rows {
        /// Ticket of the job.
        ticket: u64,
        /// Rows and values counted in it.
        counts: RowCounts,
        /// True if the job ends with it.
        is_last: bool,
        /// Ids of its rows, if requested and available.
        row_ids: Option<RowIds>,
        /// Bytes of the segment that have been read so far, as stored.
        bytes_read: u64,
    },
    /// The job ends here; later ones continue.
    Failed {
        /// Ticket of the job.
        ticket: u64,
        /// Why.
        refusal: Refusal,
    },
}

/// Why a file delivers no more rows, by who is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The file's: it will be refused again.
    File,
    /// It was replaced, or written to while it was read.
    Changed,
    /// It no longer exists.
    Gone,
    /// The system refused to open or read it; this may be temporary.
    Unreadable,
    /// The worker died with it.
    Died,
    /// The worker took too long over it.
    Silent,
}

impl Fault {
    const ALL: [Self; 6] = [
        Self::File,
        Self::Changed,
        Self::Gone,
        Self::Unreadable,
        Self::Died,
        Self::Silent,
    ];

    /// True if the problem may be temporary: the system refused, or the file was moved or replaced.
    /// No file is refused for it.
    pub fn is_passing(self) -> bool {
        matches!(self, Self::Changed | Self::Gone | Self::Unreadable)
    }

    /// Its code in stored data.
    pub fn code(self) -> u8 {
        Self::ALL
            .iter()
            .position(|fault| *fault == self)
            .unwrap_or(0) as u8
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Changed => "changed",
            Self::Gone => "gone",
            Self::Unreadable => "unreadable",
            Self::Died => "died",
            Self::Silent => "silent",
        }
    }

    /// The fault of a stored code.
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// Why a file delivers no more rows: plain data that can be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of fault.
    pub fault: Fault,
    /// Place, value and remedy.
    pub reason: String,
}

impl Refusal {
    fn of(error: &SourceError) -> Self {
        let fault = match error {
            SourceError::ChangedWhileRead { .. } => Fault::Changed,
            SourceError::Unreadable { source, .. } => match source.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory => Fault::Gone,
                _ if is_of_the_system(source) => Fault::Unreadable,
                // A decoder made it up, or the file led it to a place where no file reaches.
                _ => Fault::File,
            },
            _ => Fault::File,
        };
        Self {
            fault,
            // It goes into the journal, every checkpoint and the log.
            reason: bounded(error.to_string(), MESSAGE_BYTES_MAX),
        }
    }
}

impl SourceError {
    /// The error for the file at `path` that a worker process refused, or was lost over.
    pub(super) fn refused(path: &Path, refusal: Refusal) -> Self {
        let Refusal { fault, reason } = refusal;
        match fault {
            Fault::Died | Fault::Silent => Self::Worker {
                path: path.to_owned(),
                reason,
            },
            // It is an error of this type, as text: it names the file.
            Fault::File | Fault::Changed | Fault::Gone | Fault::Unreadable => {
                Self::Refused { reason }
            }
        }
    }
}

/// Reads segments, one after the other.
pub trait Decode: Send {
    /// Determines the features that this file fixes for all that follow. No job may be queued.
    ///
    /// # Errors
    /// If it cannot be read, or has no features.
    fn resolve(&mut self, segment: &Segment) -> Result<FeatureSchema, Refusal>;

    /// Where the complete messages of a growing file end. No job may be queued.
    ///
    /// # Errors
    /// If it cannot be read, or is not a stream.
    fn frames(&mut self, path: &Path) -> Result<Frames, Refusal>;

    /// Fixes the features and the rows of a minibatch; before the first job.
    ///
    /// # Errors
    /// If there is no room for the rows.
    fn use_schema(
        &mut self,
        feature_schema: &FeatureSchema,
        minibatch_rows: usize,
    ) -> Result<(), Refusal>;

    /// Queues a job. If it is the only one, its first minibatch still needs `want` rows.
    fn queue(&mut self, job: Job, want: usize);

    /// Jobs queued or in progress.
    fn queued(&self) -> usize;

    /// Drops the first job: no more of its rows are wanted.
    fn drop_first(&mut self);

    /// Appends rows of the first job to `batch` after its first `at` rows, at most until it is
    /// full.
    fn next(&mut self, batch: &mut Minibatch, at: usize) -> Next;
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustix::io::Errno;

    use super::*;

    fn fault(source: io::Error) -> Fault {
        let path = "a.parquet".into();
        Refusal::of(&SourceError::Unreadable { path, source }).fault
    }

    #[test]
    fn a_reason_is_bounded_and_keeps_its_file_and_its_remedy() {
        let error = SourceError::Corrupt {
            path: "a.parquet".into(),
            reason: "é".repeat(300_000),
        };
        let said = error.to_string();
        let reason = Refusal::of(&error).reason;
        assert!(reason.len() < MESSAGE_BYTES_MAX, "{}", reason.len());
        assert!(reason.starts_with("a.parquet"), "{reason}");
        assert_eq!(reason[reason.len() - 20..], said[said.len() - 20..]);
        let short = SourceError::Corrupt {
            path: "a.parquet".into(),
            reason: "b".to_owned(),
        };
        assert_eq!(Refusal::of(&short).reason, short.to_string());
    }

    #[test]
    fn an_error_of_the_system_is_no_fault_of_the_file() {
        for errno in [
            Errno::NOENT,
            Errno::NOTDIR,
            Errno::ACCESS,
            Errno::PERM,
            Errno::IO,
            Errno::STALE,
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOMEM,
            Errno::NODEV,
            Errno::TIMEDOUT,
        ] {
            let source = io::Error::from_raw_os_error(errno.raw_os_error());
            assert!(fault(source).is_passing(), "{errno}");
        }
        // Too short, or with an offset that no file has: it will be so another time.
        for source in [
            io::Error::from(io::ErrorKind::UnexpectedEof),
            io::Error::from_raw_os_error(Errno::INVAL.raw_os_error()),
        ] {
            assert_eq!(fault(source), Fault::File);
        }
    }
}
