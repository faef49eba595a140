//! Notifications to the service manager; without one, these do nothing.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use tracing::debug;

/// Time without progress of the ingest thread after which the watchdog is no longer fed. A worker may be
/// silent for a minute by default, and listing a million files takes seconds.
const STALLED_AFTER: Duration = Duration::from_mins(3);

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!(%error, "the service manager could not be notified");
    }
}

/// Reports that the daemon is ready.
pub(super) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("learning")]);
}

/// Reports that the configuration is being reloaded.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => debug!(%error, "no monotonic time"),
    }
}

/// Reports that the daemon is stopping.
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
    /// Checks whether the service manager expects watchdog messages.
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

    /// True if the ingest thread or the learner has made progress recently.
    pub(super) fn is_alive(&self) -> bool {
        self.moved.elapsed() < STALLED_AFTER
    }

    /// Records the ingest thread's iterations and the rows learned, and feeds the watchdog.
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
