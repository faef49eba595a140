//! Words to the service manager, where there is one; without it nothing happens.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use tracing::debug;

/// Time without a turn of the feeder after which the service manager is not told that all is well.
/// A worker may be silent for a minute by default, and a listing of a million files takes seconds.
const STALLED_AFTER: Duration = Duration::from_mins(3);

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!(%error, "the service manager could not be notified");
    }
}

/// The daemon works.
pub(super) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("learning")]);
}

/// The configuration is being read again.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => debug!(%error, "no monotonic time"),
    }
}

/// The daemon drains.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

/// One line for `systemctl status`.
pub(super) fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

/// Feeds the watchdog for as long as the learner makes progress, or has nothing to do.
pub(super) struct Pulse {
    every: Option<Duration>,
    told: Instant,
    turns: u64,
    rows: u64,
    moved: Instant,
}

impl Pulse {
    /// Looks whether the service manager wants a pulse.
    pub(super) fn start() -> Self {
        let now = Instant::now();
        Self {
            // Three times within the timeout, so that one late pulse does no harm.
            every: sd_notify::watchdog_enabled().map(|timeout| timeout / 3),
            told: now,
            turns: 0,
            rows: 0,
            moved: now,
        }
    }

    /// True if the feeder or the learner has moved of late.
    pub(super) fn is_alive(&self) -> bool {
        self.moved.elapsed() < STALLED_AFTER
    }

    /// The feeder has made so many turns, the learner has learned so many rows.
    pub(super) fn beat(&mut self, turns: u64, rows: u64) {
        let now = Instant::now();
        if (turns, rows) != (self.turns, self.rows) {
            (self.turns, self.rows, self.moved) = (turns, rows, now);
        }
        let Some(every) = self.every else { return };
        if self.is_alive() && now.duration_since(self.told) >= every {
            self.told = now;
            tell(&[NotifyState::Watchdog]);
        }
    }
}
