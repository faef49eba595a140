//! Errors of a worker, and its last words.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::{Fault, Refusal};

/// Bytes of the last words of a worker that are kept.
const LAST_WORDS: u64 = 512;

/// Faults of a worker, as opposed to a file's.
pub(super) enum Lost {
    Died(String),
    Silent,
    /// The system gave none: no file has anything to do with it.
    NotStarted(String),
}

/// What is said of files when no worker can be had: it is not their fault.
pub(super) fn not_started(why: &str) -> Refusal {
    Refusal {
        fault: Fault::Unreadable,
        reason: format!(
            "the system cannot start the worker that reads files ({why}); raise the limits on \
             open files, processes or memory (`ulimit`, `LimitNOFILE=`)"
        ),
    }
}

/// What an error of the socket says of the worker behind it.
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
