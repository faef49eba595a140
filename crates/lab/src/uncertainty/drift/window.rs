//! What drift detection is compared with: a test of means and covariances over the latest rows against what is known
//! of them before.

use std::collections::VecDeque;

use super::feed::Feed;
use crate::LabError;
use crate::uncertainty::rows::Law;

/// Rows from which means and deviations before the change are known.
const SAMPLE: u32 = 200_000;

/// Seed of those rows.
const SEED: u64 = 7;

/// Means and deviations of every feature and every product of two.
#[derive(Clone, Debug)]
pub(super) struct Known {
    mean: Vec<f64>,
    sd: Vec<f64>,
}

fn products(row: &[f64]) -> Vec<f64> {
    let mut all = row.to_vec();
    for (i, a) in row.iter().enumerate() {
        all.extend(row[i..].iter().map(|b| a * b));
    }
    all
}

impl Known {
    /// Measures Gaussian rows.
    pub(super) fn of(features: usize) -> Result<Self, LabError> {
        let mut feed = Feed::new(Law::Gaussian, features, SEED)?;
        let p = features + features * (features + 1) / 2;
        let (mut sum, mut squares) = (vec![0.0; p], vec![0.0; p]);
        let mut row = Vec::new();
        for _ in 0..SAMPLE {
            row.clear();
            feed.push(&mut row);
            for (i, y) in products(&row).into_iter().enumerate() {
                sum[i] += y;
                squares[i] += y * y;
            }
        }
        let n = f64::from(SAMPLE);
        let mean: Vec<f64> = sum.iter().map(|s| s / n).collect();
        let sd = squares.iter().zip(&mean);
        Ok(Self {
            sd: sd.map(|(s, m)| (s / n - m * m).sqrt()).collect(),
            mean,
        })
    }
}

/// The test over one window.
pub(super) struct Window<'a> {
    known: &'a Known,
    length: usize,
    rows: VecDeque<Vec<f64>>,
    sums: Vec<f64>,
    threshold: f64,
}

impl<'a> Window<'a> {
    /// A window of `length` rows that raises as many false alarms per row as `rate` allows, where a test is made every
    /// `every` rows.
    pub(super) fn new(known: &'a Known, length: usize, rate: f64, every: f64) -> Self {
        let p = known.mean.len();
        Self {
            known,
            length,
            rows: VecDeque::new(),
            sums: vec![0.0; p],
            threshold: normal_quantile(rate * every / (2.0 * p as f64)),
        }
    }

    /// Takes rows in; true if they raise an alarm.
    pub(super) fn take(&mut self, rows: &[f64], features: usize) -> bool {
        for row in rows.chunks(features) {
            let y = products(row);
            self.sums.iter_mut().zip(&y).for_each(|(s, y)| *s += y);
            self.rows.push_back(y);
            if self.rows.len() > self.length
                && let Some(old) = self.rows.pop_front()
            {
                self.sums.iter_mut().zip(&old).for_each(|(s, y)| *s -= y);
            }
        }
        let n = self.rows.len() as f64;
        let known = self.known.mean.iter().zip(&self.known.sd);
        let mut scores = self
            .sums
            .iter()
            .zip(known)
            .map(|(sum, (mean, sd))| (sum / n - mean).abs() / (sd / n.sqrt()));
        self.rows.len() == self.length && scores.any(|score| score > self.threshold)
    }
}

/// u with P(g > u) = tail of a standard normal g, by bisection.
fn normal_quantile(tail: f64) -> f64 {
    let (mut low, mut high) = (0.0, 40.0);
    for _ in 0..100 {
        let u: f64 = 0.5 * (low + high);
        // A continued fraction of Mills' ratio, right to 1e-9 from u = 2 on.
        let mut mills = u;
        for i in (1..60).rev() {
            mills = u + f64::from(i) / mills;
        }
        let p = (-0.5 * u * u).exp() / (std::f64::consts::TAU.sqrt() * mills);
        if p > tail { low = u } else { high = u }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::normal_quantile;

    #[test]
    fn quantiles_are_those_of_the_table() {
        // scipy.stats.norm.isf.
        for (tail, right) in [(1e-3, 3.090_232_306), (1e-7, 5.199_337_582)] {
            assert!((normal_quantile(tail) - right).abs() < 1e-7, "{tail}");
        }
    }
}
