//! The ingest thread when a file cannot be read now: the system refuses, or the file was moved or
//! replaced.
//!
//! No file is refused for this. The decision is revoked in the journal, the rows already learned
//! stay, and the file is looked for again by its content, under whatever name it then has.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::{Decision, Event, Loop, Quarantined, SegmentRead, Stop, Until, shown};
use crate::source::follow::FileState;
use crate::source::worker::{Fault, Refusal};

/// First and longest pause of all reading after consecutive files that the system refused to read;
/// it starts with the second file and doubles with each further one.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MOST: Duration = Duration::from_secs(5);
/// Number of doublings up to the longest pause.
const DOUBLINGS_MOST: u32 = 10;
/// Consecutive setbacks after which a run that ends when nothing is left stops waiting.
const SETBACKS_PATIENT: u32 = 6;

/// How a segment ended early in the previous run.
pub(super) enum End {
    /// After this many rows, because its file was refused.
    Cut(u64, Quarantined),
    /// After this many rows, because it could not be read.
    PutOff(u64),
}

impl End {
    /// Rows taken of the segment.
    pub(super) fn rows(&self) -> u64 {
        match self {
            Self::Cut(rows, _) | Self::PutOff(rows) => *rows,
        }
    }
}

/// Extracts the decisions about segments that ended early from the planned ones.
pub(super) fn ends_of(planned: &mut VecDeque<(u64, Decision)>) -> HashMap<u64, End> {
    let mut ends = HashMap::new();
    planned.retain(|(_, decision)| {
        match decision {
            Decision::NextSegment(_) | Decision::Flush => return true,
            Decision::Cut {
                ticket,
                rows,
                quarantined,
            } => {
                ends.insert(*ticket, End::Cut(*rows, quarantined.clone()));
            }
            Decision::PutOff(tickets) => {
                let ended = tickets.iter();
                ends.extend(ended.map(|(ticket, rows)| (*ticket, End::PutOff(*rows))));
            }
        }
        false
    });
    ends
}

impl Loop {
    /// True if the previous run put a segment off after exactly the rows taken of it: then it need
    /// not be opened.
    pub(super) fn was_put_off(&mut self, ticket: u64, reading: &SegmentRead) -> bool {
        let end = self.ends.get(&ticket);
        let is_so = matches!(end, Some(End::PutOff(rows)) if *rows == reading.rows);
        if is_so {
            self.ends.remove(&ticket);
        }
        is_so
    }

    /// Revokes the decision about a segment that cannot be read now, and all planned after it:
    /// whatever moved one file may have moved them all, and a scan finds out where.
    pub(super) fn put_off(
        &mut self,
        ticket: u64,
        reading: &SegmentRead,
        refusal: &Refusal,
    ) -> Result<(), Stop> {
        let state = &self.ingest.state;
        let begun = state.reading.as_ref().filter(|_| state.sequence == ticket);
        let is_begun = begun.is_some();
        let mut tickets = vec![(ticket, begun.map_or(reading.rows, |begun| begun.rows))];
        let mut segments = vec![reading.segment.clone()];
        let ends = &self.ends;
        self.ingest.planned.retain(|(ticket, decision)| {
            if let Decision::NextSegment(reading) = decision
                && !ends.contains_key(ticket)
            {
                tickets.push((*ticket, reading.rows));
                segments.push(reading.segment.clone());
                return false;
            }
            true
        });
        let is_elsewhere = refusal.fault != Fault::Unreadable;
        self.follower.look_for(segments, is_elsewhere);
        let many = tickets.len();
        self.passed = self.decide(&[Decision::PutOff(tickets)])?;
        self.ends.remove(&ticket);
        if is_begun {
            self.leave();
        }
        let (path, now) = (&reading.segment.path, Instant::now());
        if self.follower.put_off(path, refusal, now) {
            let reason = refusal.reason.escape_debug();
            if refusal.fault == Fault::Gone {
                info!(file = %shown(path), files = many, "file not found where it was; looking for it elsewhere");
            } else {
                warn!(file = %shown(path), files = many, %reason, "file postponed");
            }
        }
        if refusal.fault == Fault::Unreadable {
            self.setbacks = self.setbacks.saturating_add(1);
            self.is_set_back = true;
        }
        Ok(())
    }

    /// Leaves the current segment after the rows read so far.
    pub(super) fn leave(&mut self) {
        let state = &self.ingest.state;
        let begun = state.reading.as_ref().filter(|begun| begun.rows > 0);
        let left = begun.map(|begun| (begun.file, state.left(begun, FileState::Growing)));
        self.emit(Event::PutOff(left));
    }

    /// Before a scan, when nothing is planned: notes that revoked decisions need not be read from
    /// the journal again. After the second and further setbacks it also waits.
    pub(super) fn pass(&mut self) -> Result<(), Stop> {
        let sequence = self.passed;
        if sequence > self.ingest.state.sequence && self.ingest.planned.is_empty() {
            self.emit(Event::Passed { sequence });
        }
        if !std::mem::take(&mut self.is_set_back) {
            return Ok(());
        }
        // The first setback is most often a single file that moved, which is no reason to pause.
        let Some(doublings) = self.setbacks.checked_sub(2) else {
            return Ok(());
        };
        if self.ingest.params.until == Until::Idle && self.setbacks > SETBACKS_PATIENT {
            warn!(
                "the system does not let any file be read; the remaining files wait for the next run"
            );
            return Err(Stop::Done);
        }
        self.pause();
        let pause = PAUSE_FIRST * 2_u32.pow(doublings.min(DOUBLINGS_MOST));
        self.wait(pause.min(PAUSE_MOST))
    }

    /// True if a run that ends when nothing is left should wait because the problem may soon be
    /// over.
    pub(super) fn is_patient(&mut self) -> bool {
        if (1..=SETBACKS_PATIENT).contains(&self.setbacks) {
            // A look that found nothing to read is one more: it may be the looks that fail.
            self.setbacks += 1;
            self.is_set_back = true;
            return true;
        }
        self.follower.is_patient()
    }
}
