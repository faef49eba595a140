//! Measures how fast the body of a request arrives, and whether that is too slow.
//!
//! Every second of waiting for a client costs credit, and every byte earns some: a client below the
//! minimum rate runs out after a second or two. Honest clients are far above it, and their credit
//! carries them over a pause of a few seconds. Time in which the server itself does not read costs
//! nothing. When room is short, a higher rate applies: see `room.rs`.

use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

/// Initial credit: time for the first byte to arrive, even over slow links.
const CREDIT_FIRST: Duration = Duration::from_millis(1500);
/// Maximum credit: packet loss on a bad link causes no longer pause.
const CREDIT_MOST: Duration = Duration::from_secs(5);
/// Minimum time over which the rate of a body is measured when room is short.
const WINDOW: Duration = Duration::from_secs(1);
/// When room is short, a body that arrives more slowly than this many bytes per second makes way.
const PRESSED_PER_S: f64 = 65_536.0;
/// Longest time that any handler waits for a body.
const BODY_PATIENCE: Duration = Duration::from_mins(1);

/// The pace of a body; pure arithmetic on the instants passed in.
#[derive(Debug)]
pub(super) struct Pace {
    least_per_s: f64,
    begun: Instant,
    arrived: u64,
    /// Total length, if the client announced it.
    announced: Option<u64>,
    credit: Duration,
    /// Since when the server has been waiting for the client.
    waiting_since: Option<Instant>,
    /// When the rate was last measured, the bytes arrived by then, and the previous rate.
    window: (Instant, u64, Option<f64>),
    is_cut: bool,
    waker: Option<Waker>,
}

impl Pace {
    /// A body of which nothing has arrived.
    pub(super) fn new(now: Instant, least_per_s: u64, announced: Option<u64>) -> Self {
        Self {
            least_per_s: least_per_s as f64,
            begun: now,
            arrived: 0,
            announced,
            credit: CREDIT_FIRST,
            waiting_since: None,
            window: (now, 0, None),
            is_cut: false,
            waker: None,
        }
    }

    /// Records the arrival of bytes.
    pub(super) fn came(&mut self, now: Instant, bytes: u64) {
        // Only waiting for the client costs credit; the time in which the server did not read is
        // its own.
        if let Some(since) = self.waiting_since.take() {
            self.credit = self
                .credit
                .saturating_sub(now.saturating_duration_since(since));
        }
        let earned = Duration::try_from_secs_f64(bytes as f64 / self.least_per_s);
        // With a tiny minimum rate this can be more seconds than a `Duration` holds.
        let earned = earned.unwrap_or(CREDIT_MOST);
        self.credit = self.credit.saturating_add(earned).min(CREDIT_MOST);
        self.arrived += bytes;
        let (since, before, _) = self.window;
        let over = now.saturating_duration_since(since);
        if over >= WINDOW {
            let rate = (self.arrived - before) as f64 / over.as_secs_f64();
            self.window = (now, self.arrived, Some(rate));
        }
    }

    /// Notes that the server waits for the client; returns the deadline for its next bytes.
    pub(super) fn wait(&mut self, now: Instant) -> Instant {
        *self.waiting_since.get_or_insert(now) + self.credit
    }

    /// The recent rate in bytes per second, if it is too low while room is short: below 64 KiB/s,
    /// or too low for the rest to arrive in time. `None` in the first second, or while the server
    /// itself does not read.
    pub(super) fn slowness(&self, now: Instant) -> Option<f64> {
        let age = now.saturating_duration_since(self.begun);
        if self.is_cut || self.waiting_since.is_none() || age < WINDOW {
            return None;
        }
        let (since, before, last) = self.window;
        let over = now.saturating_duration_since(since).as_secs_f64();
        let rate = match last {
            // A window that has just begun says too little; the one before is recent enough.
            Some(last) if over < WINDOW.as_secs_f64() / 2.0 => last,
            _ => (self.arrived - before) as f64 / over,
        };
        let left_s = BODY_PATIENCE.saturating_sub(age).as_secs_f64();
        let rest = self.announced.unwrap_or(0).saturating_sub(self.arrived) as f64;
        (rate < PRESSED_PER_S || rate * left_s < rest).then_some(rate)
    }

    /// Sets the task to wake when the body is ended.
    pub(super) fn set_waker(&mut self, waker: Waker) {
        self.waker = Some(waker);
    }

    /// True if the body was ended.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Ends the body: its reader gets the error that it arrived too slowly.
    pub(super) fn cut(&mut self) {
        self.is_cut = true;
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
impl Pace {
    /// Records the arrival of bytes, and waits for more.
    pub(super) fn test(&mut self, now: Instant, bytes: u64) {
        self.came(now, bytes);
        self.wait(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: u64 = 1024;

    /// Seconds, up to a minute, after which a body that delivers `bytes` every `every_s` seconds is
    /// ended.
    fn ends_after(bytes: u64, every_s: f64) -> Option<f64> {
        let begun = Instant::now();
        let mut pace = Pace::new(begun, LEAST, None);
        let mut now = begun;
        while now < begun + BODY_PATIENCE {
            let until = pace.wait(now);
            let next = now + Duration::from_secs_f64(every_s);
            if until < next {
                return Some(until.duration_since(begun).as_secs_f64());
            }
            now = next;
            pace.came(now, bytes);
        }
        None
    }

    #[test]
    fn a_body_below_the_least_rate_ends_within_two_seconds() {
        assert_eq!(ends_after(0, 60.0), Some(1.5));
        // A second earns 12/1024 of one.
        let dribble = ends_after(12, 1.0).expect("an end");
        assert!((1.5..2.0).contains(&dribble), "{dribble}");
        // Half the rate: half the credit that time costs comes back.
        let half = ends_after(51, 0.1).expect("an end");
        assert!((2.5..3.5).contains(&half), "{half}");
    }

    #[test]
    fn a_body_at_the_least_rate_and_one_with_pauses_go_on() {
        assert_eq!(ends_after(1024, 1.0), None);
        assert_eq!(ends_after(103, 0.1), None);
        // 20 KiB/s that stand still for four seconds of five.
        assert_eq!(ends_after(5 * 20_480, 1.4), None);
        let begun = Instant::now();
        let mut pace = Pace::new(begun, LEAST, None);
        pace.came(begun, 20_480);
        assert_eq!(pace.wait(begun), begun + CREDIT_MOST);
    }

    #[test]
    fn what_came_at_first_carries_nobody_far() {
        let begun = Instant::now();
        let mut pace = Pace::new(begun, LEAST, None);
        pace.came(begun, 1 << 30);
        assert_eq!(pace.wait(begun), begun + CREDIT_MOST);
    }

    #[test]
    fn time_in_which_the_server_does_not_read_costs_nothing() {
        let begun = Instant::now();
        let mut pace = Pace::new(begun, LEAST, None);
        let later = begun + Duration::from_secs(30);
        assert_eq!(pace.slowness(later), None);
        assert_eq!(pace.wait(later), later + CREDIT_FIRST);
    }

    #[test]
    fn where_room_is_short_the_rate_of_late_counts() {
        let begun = Instant::now();
        let at = |s: f64| begun + Duration::from_secs_f64(s);
        let mut pace = Pace::new(begun, LEAST, Some(10 << 20));
        // A megabyte at once, then next to nothing.
        pace.came(at(0.1), 1 << 20);
        pace.wait(at(0.1));
        assert_eq!(pace.slowness(at(0.9)), None);
        pace.came(at(1.1), 1);
        pace.wait(at(1.1));
        pace.came(at(2.2), 1);
        pace.wait(at(2.2));
        assert!(pace.slowness(at(2.2)).is_some_and(|rate| rate < 2.0));
        // 100 KiB/s: enough for a megabyte, and not for ten in a minute.
        for (announced, is_slow) in [(1_u64 << 20, false), (10 << 20, true)] {
            let mut pace = Pace::new(begun, LEAST, Some(announced));
            for tenth in 1..50 {
                pace.came(at(f64::from(tenth) / 10.0), 10_240);
            }
            pace.wait(at(4.9));
            let slowness = pace.slowness(at(4.9));
            assert_eq!(slowness.is_some(), is_slow, "{announced}: {slowness:?}");
        }
    }
}
