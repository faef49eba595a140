//! Errors of a worker, and its last words.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::{Fault, Refusal};

/// Bytes of the last words of a worker that are kept.
const LAST_WORDS: u64 = 512;

/// Faults of a worker, as opposed to those of a file.
pub(super) enum Lost {
    Died(String),
    Silent,
    /// The system provided no worker: no file is to blame.
    NotStarted(String),
}

/// The reason given for files when no worker can be started: it is not their fault.
pub(super) fn not_started(why: &str) -> Refusal {
    Refusal {
        fault: Fault::Unreadable,
        reason: format!(
            "the system cannot start the worker that reads files ({why}); raise the limits on \
             open files, processes or memory (`ulimit`, `LimitNOFILE=`)"
        ),
    }
}

/// Interprets an error of the socket as a fault of the worker.
pub(super) fn lost(error: &io::Error) -> Lost {
    match error.kind() {
        // A read timeout of a socket is reported as either, depending on the system.
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Lost::Silent,
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Lost::Died(String::new()),
        _ => Lost::Died(error.to_string()),
    }
}

/// The end of what a worker wrote to stderr, escaped: it may quote the file.
pub(super) fn last_words(file: &File) -> String {
    let len = file.metadata().map_or(0, |meta| meta.len());
    let from = len.saturating_sub(LAST_WORDS);
    let mut bytes = vec![0; (len - from) as usize];
    if file.read_exact_at(&mut bytes, from).is_err() {
        return String::new();
    }
    bytes.trim_ascii().escape_ascii().to_string()
}
