//! Durations of updates in seconds.

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// Durations of updates in seconds.
#[derive(Clone, Debug)]
pub struct Updates(Histogram);

impl Default for Updates {
    fn default() -> Self {
        // 10 µs, a small minibatch of few features, to 2.6 s, a large one of very many.
        Self(Histogram::new(exponential_buckets(1e-5, 4.0, 10)))
    }
}

impl Updates {
    /// The histogram so far; it keeps counting.
    pub fn histogram(&self) -> Histogram {
        self.0.clone()
    }

    /// Records one update.
    pub fn observe(&self, seconds: f64) {
        self.0.observe(seconds);
    }
}
