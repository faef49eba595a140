//! Seconds that updates took.

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// Seconds that updates took.
#[derive(Clone, Debug)]
pub struct Updates(Histogram);

impl Default for Updates {
    fn default() -> Self {
        // 10 µs, a small minibatch of few features, to 2.6 s, a large one of very many.
        Self(Histogram::new(exponential_buckets(1e-5, 4.0, 10)))
    }
}

impl Updates {
    /// The histogram so far; it goes on counting.
    pub fn histogram(&self) -> Histogram {
        self.0.clone()
    }

    /// Counts one.
    pub fn observe(&self, seconds: f64) {
        self.0.observe(seconds);
    }
}
