//! Files that are left alone for a while, because they could not be read when their turn came.

use std::path::Path;
use std::time::{Duration, Instant};

use super::Follower;
use crate::source::follow::scan::ScannedFile;
use crate::source::worker::{Fault, Refusal};

/// First and longest pause before a file is retried; it doubles with each attempt.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MOST: Duration = Duration::from_secs(30);
/// A run that ends when nothing is left to do waits for pauses up to this.
const PAUSE_PATIENT: Duration = Duration::from_secs(1);
/// Total scans that such a run waits for files to settle.
const LOOKS_PATIENT: u32 = 3 * super::LOOKS_AT_REST;

/// How long a file is left alone.
#[derive(Debug)]
pub(super) struct Rest {
    until: Instant,
    pause: Duration,
    reason: String,
}

impl Follower {
    /// Leaves alone a file that could not be read, for longer each time; returns whether the reason
    /// is new.
    pub fn put_off(&mut self, path: &Path, refusal: &Refusal, now: Instant) -> bool {
        let rest = self.resting.entry(path.to_owned()).or_insert_with(|| Rest {
            until: now,
            // Doubled at once, below.
            pause: PAUSE_FIRST / 2,
            reason: String::new(),
        });
        rest.pause = (2 * rest.pause).min(PAUSE_MOST);
        rest.until = now + rest.pause;
        let is_news = rest.reason != refusal.reason;
        rest.reason.clone_from(&refusal.reason);
        if refusal.fault == Fault::Unreadable {
            let reason = refusal.reason.clone();
            self.unreadable.insert(path.to_owned(), reason);
        }
        is_news
    }

    pub(super) fn is_resting(&self, path: &Path, now: Instant) -> bool {
        self.resting.get(path).is_some_and(|rest| now < rest.until)
    }

    /// True if a run that ends when nothing is left should scan again because a problem may soon be
    /// over.
    pub fn is_patient(&mut self) -> bool {
        // As of the last look: a file whose rest has ended since has not been looked at yet.
        let is_short = |rest: &Rest| {
            let is_resting = self.looked.is_none_or(|at| at < rest.until);
            is_resting && rest.pause <= PAUSE_PATIENT
        };
        if self.resting.values().any(is_short) {
            return true;
        }
        let is_unsettled = self.is_unsettled || !self.twins.is_empty();
        self.patience += u32::from(is_unsettled);
        is_unsettled && self.patience <= LOOKS_PATIENT
    }

    /// True if a file that differs from what was taken of it has been stable for some scans:
    /// nothing is writing to it.
    pub(super) fn is_settled(&mut self, seen: &ScannedFile, now: Instant) -> bool {
        let is_settled = self.looks_at(seen, now) > super::LOOKS_AT_REST;
        self.is_unsettled |= !is_settled;
        is_settled
    }
}
