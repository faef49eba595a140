//! Values of a statistic, one by one → their quantiles, mean and variance, in memory of a fixed size.
//!
//! Quantiles come from a t-digest (Dunning 2021), whose error in probability falls towards the ends. Values wait until
//! there are enough of them, so that the digest is compressed at positions that are a function of the values alone, and
//! never because it was saved.

use datasketches::tdigest::TDigestMut;

use crate::codec::{CodecError, Decoder, Encoder};
use crate::learner::{ReferenceDistribution, fit};

/// Values that wait; the digest compresses itself only beyond four times as many.
const WAITING_AT_MOST: usize = 512;

/// Values that make a share of all.
const ROWS_TO_TELL: f64 = 4.0;

/// Quantiles and moments of the values so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Sketch {
    digest: TDigestMut,
    waiting: Vec<f64>,
    count: f64,
    mean: f64,
    /// Σ(value − mean)².
    squares: f64,
}

impl Sketch {
    /// Takes a value in; one that is not finite is left out.
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.count += 1.0;
        let difference = value - self.mean;
        self.mean += difference / self.count;
        self.squares += difference * (value - self.mean);
        self.waiting
            .reserve_exact(WAITING_AT_MOST - self.waiting.len());
        self.waiting.push(value);
        if self.waiting.len() == WAITING_AT_MOST {
            self.flush();
        }
    }

    /// True if the values, which are not negative, show by a share of `shares` that their mean is more than `most`: x is
    /// exceeded by at most mean/x of all (Markov's inequality), whatever their law. A few huge values show nothing.
    pub fn exceeds(&self, most: f64, shares: &[f64]) -> bool {
        let mut all = self.clone();
        all.flush();
        let told = |share: &&f64| **share * self.count >= ROWS_TO_TELL;
        shares.iter().filter(told).any(|share| {
            let quantile = all.digest.quantile(1.0 - share).ok().flatten();
            quantile.is_some_and(|quantile| share * quantile > most)
        })
    }

    fn flush(&mut self) {
        for value in self.waiting.drain(..) {
            self.digest.update(value);
        }
        // Reading compresses it. A rank between 0 and 1 is never refused.
        let _ = self.digest.quantile(0.5);
    }

    /// The distribution of these values and of an earlier sketch's.
    pub fn distribution(&self, earlier: Option<&Self>) -> ReferenceDistribution {
        let mut all = self.clone();
        all.flush();
        if let Some(earlier) = earlier.filter(|earlier| earlier.count > 0.0) {
            let mut earlier = earlier.clone();
            earlier.flush();
            all.digest.merge(&earlier.digest);
            // Chan, Golub, LeVeque 1983.
            let (count, difference) = (all.count + earlier.count, earlier.mean - all.mean);
            let between = difference * difference * all.count * earlier.count / count;
            all.squares += earlier.squares + between;
            all.mean += difference * earlier.count / count;
            all.count = count;
        }
        let moments = ReferenceDistribution {
            rows: all.count,
            mean: all.mean,
            variance: all.squares / all.count.max(1.0),
            ..ReferenceDistribution::default()
        };
        fit(moments, |exceeded| {
            let mut value = |p: &f64| all.digest.quantile(1.0 - p).ok().flatten();
            let values = exceeded.iter().map(|p| value(p).unwrap_or(f64::NAN));
            values.collect()
        })
    }

    /// Writes everything that later values depend on.
    pub fn save(&self, to: &mut Encoder) {
        // Compressed already, so that nothing of it changes.
        to.bytes(&self.digest.clone().serialize());
        to.f64s(&self.waiting);
        to.f64(self.count);
        to.f64(self.mean);
        to.f64(self.squares);
    }

    /// Reads what was written.
    pub fn restore(from: &mut Decoder<'_>) -> Result<Self, CodecError> {
        let digest = TDigestMut::deserialize(from.bytes()?);
        let digest = digest.map_err(|error| from.refuse(error))?;
        let sketch = Self {
            digest,
            waiting: from.f64s()?,
            count: from.f64()?,
            mean: from.f64()?,
            squares: from.f64()?,
        };
        let numbers = [sketch.count, sketch.mean, sketch.squares];
        let mut all = sketch.waiting.iter().chain(&numbers);
        if all.any(|v| !v.is_finite()) || sketch.waiting.len() >= WAITING_AT_MOST {
            return Err(from.refuse("a sketch of quantiles holds what it cannot hold"));
        }
        Ok(sketch)
    }
}
