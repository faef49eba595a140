//! Decides when a checkpoint or snapshot is due: by rows, by time, and after a failure.

use std::time::{Duration, Instant};

use tracing::{info, warn};

/// First and longest pause after a failed write.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MOST: Duration = Duration::from_mins(1);

/// When something is next to be written, and whether it is being written now.
pub(super) struct Schedule {
    pub(super) what: &'static str,
    pub(super) every: Duration,
    pub(super) rows: Option<u64>,
    pub(super) last: Instant,
    pub(super) last_rows: u64,
    pub(super) is_under_way: bool,
    /// It was requested: it is due until it is begun.
    pub(super) is_wanted: bool,
    pub(super) failures: u32,
    pub(super) not_before: Instant,
}

impl Schedule {
    pub(super) fn new(
        what: &'static str,
        every: Duration,
        rows: Option<u64>,
        last_rows: u64,
    ) -> Self {
        let now = Instant::now();
        Self {
            what,
            every,
            rows,
            last: now,
            last_rows,
            is_under_way: false,
            is_wanted: false,
            failures: 0,
            not_before: now,
        }
    }

    pub(super) fn is_due(&self, rows: u64, is_changed: bool) -> bool {
        let now = Instant::now();
        let by_rows = self
            .rows
            .is_some_and(|every| rows / every > self.last_rows / every);
        let by_time = is_changed && now.duration_since(self.last) >= self.every;
        let is_owed = self.is_wanted || self.failures > 0;
        !self.is_under_way && now >= self.not_before && (by_rows || by_time || is_owed)
    }

    pub(super) fn begin(&mut self, rows: u64) {
        self.is_under_way = true;
        self.is_wanted = false;
        self.last = Instant::now();
        self.last_rows = rows;
    }

    /// Records the result; a failure is retried after increasing pauses.
    pub(super) fn end(&mut self, result: &Result<(), String>) {
        self.is_under_way = false;
        match result {
            Ok(()) => {
                if self.failures > 0 {
                    info!(
                        after_failures = self.failures,
                        "{} written again", self.what
                    );
                }
                self.failures = 0;
            }
            Err(reason) => {
                let pause = RETRY_FIRST.saturating_mul(1 << self.failures.min(6));
                let pause = pause.min(RETRY_MOST);
                self.failures += 1;
                self.not_before = Instant::now() + pause;
                warn!(
                    %reason,
                    retry_s = pause.as_secs(),
                    "{} could not be written; the previous one is intact, learning continues", self.what
                );
            }
        }
    }
}
