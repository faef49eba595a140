//! Error bars of merged states.
//!
//! A merged eigenvalue is the weighted mean of what the parts have along its direction, and the parts are other
//! rows: their variances add up, each by the square of its share. How parts differ from each other is no error of
//! the mean of them all.

use faer::Mat;

use crate::learner::long_run::LongRun;
use crate::learner::row_noise::NoiseRows;
use crate::learner::summary::Summary;

/// States that are merged, by their share of the rows, into units of `scale`.
pub(super) struct Parts<'a> {
    pub(super) states: &'a [&'a Summary],
    pub(super) shares: &'a [f64],
    pub(super) scale: &'a [f64],
}

/// One part as the merged directions see it.
struct Seen<'a> {
    part: &'a LongRun,
    /// Its share of the merged rows.
    share: f64,
    /// Share² ÷ the part's effective rows.
    each: f64,
    /// Its variance along each merged direction, length h.
    along: Vec<f64>,
    /// The direction of its own that is nearest to each, length h.
    nearest: Vec<usize>,
    /// Its variance outside the merged directions.
    outside: f64,
}

impl<'a> Seen<'a> {
    fn new(state: &'a Summary, share: f64, scale: &[f64], vectors: &Mat<f64>) -> Self {
        let (h, own, m) = (vectors.nrows(), state.eigenvalues.len(), scale.len());
        let (mut along, mut nearest) = (vec![0.0; h], vec![0; h]);
        let mut turned = vec![0.0; m];
        for i in 0..h {
            for (j, v) in turned.iter_mut().enumerate() {
                *v = vectors[(i, j)] * state.scale[j] / scale[j];
            }
            let mut rest: f64 = turned.iter().map(|v| v * v).sum();
            let mut largest = 0.0;
            for l in 0..own {
                let cosine: f64 = (0..m).map(|j| turned[j] * state.vectors[(l, j)]).sum();
                let square = cosine * cosine;
                rest -= square;
                along[i] += square * state.eigenvalues[l];
                if square > largest {
                    (largest, nearest[i]) = (square, l);
                }
            }
            along[i] += rest.max(0.0) * state.noise;
        }
        let total: f64 = (0..m)
            .map(|j| {
                let mean = if state.is_centered {
                    0.0
                } else {
                    state.mean[j]
                };
                (state.variance[j] + mean * mean) / (scale[j] * scale[j])
            })
            .sum();
        Self {
            part: &state.long_run,
            share,
            each: share * share / state.effective_sample().max(1.0),
            outside: (total - along.iter().sum::<f64>()).max(0.0),
            along,
            nearest,
        }
    }
}

/// Long-run variances of all parts' rows along `vectors` (h×m).
pub(super) fn merged_bars(parts: &Parts<'_>, vectors: &Mat<f64>, eigenvalues: &[f64]) -> LongRun {
    let h = eigenvalues.len();
    let states = || parts.states.iter().zip(parts.shares);
    let seen: Vec<Seen<'_>> = states()
        .filter(|(state, _)| state.long_run.directions() > 0)
        .map(|(state, share)| Seen::new(state, *share, parts.scale, vectors))
        .collect();
    if seen.is_empty() {
        return LongRun::default();
    }
    let weight: f64 = parts.states.iter().map(|state| state.weight).sum();
    let squares: f64 = parts.states.iter().map(|state| state.squared_weight).sum();
    let rows = weight * weight / squares;
    // What a part without error bars would add counts like the others.
    let known: f64 = seen.iter().map(|part| part.each).sum();
    let all: f64 = states()
        .map(|(state, share)| share * share / state.effective_sample().max(1.0))
        .sum();
    let rows = rows * all / known;
    let sum = |of: &dyn Fn(&Seen<'_>) -> f64| seen.iter().map(of).sum::<f64>();
    let both = |i: usize, j: usize, part: &Seen<'_>| {
        part.each * (part.along[i] / eigenvalues[i]) * (part.along[j] / eigenvalues[j])
    };
    let pair = |i: usize, j: usize, part: &Seen<'_>| {
        let (a, b) = (part.nearest[i], part.nearest[j]);
        let relative = match (i == j, a == b) {
            (true, _) => part.part.square(a),
            // Two directions lean on one: nothing is known of their product.
            (false, true) => 1.0,
            (false, false) => part.part.pair(a, b),
        };
        both(i, j, part) * relative
    };
    let freedom = |i: usize| {
        let inverse =
            |part: &Seen<'_>| pair(i, i, part).powi(2) / part.part.freedom_of(part.nearest[i]);
        sum(&|part| pair(i, i, part)).powi(2) / sum(&inverse)
    };
    let outside = |i: usize| {
        let all = sum(&|part| part.share * part.outside) / sum(&|part| part.share);
        let each = |part: &Seen<'_>| {
            let relative = part.part.outside_of(part.nearest[i]);
            part.each * (part.along[i] / eigenvalues[i]) * (part.outside / all) * relative
        };
        if all > 0.0 { rows * sum(&each) } else { 1.0 }
    };
    LongRun {
        noise: noise_rows(&seen),
        pairs: Mat::from_fn(h, h, |i, j| rows * sum(&|part| pair(i, j, part))),
        outside: (0..h).map(outside).collect(),
        alone: (0..h)
            .map(|i| rows * sum(&|part| both(i, i, part) * part.part.alone_of(part.nearest[i])))
            .collect(),
        freedom: (0..h).map(freedom).collect(),
        heavy: (0..h)
            .map(|i| seen.iter().any(|part| part.part.is_heavy(part.nearest[i])))
            .collect(),
    }
}

/// The mean by rows of what the parts know, for as many directions as all of them know.
fn noise_rows(seen: &[Seen<'_>]) -> Vec<NoiseRows> {
    let known = || seen.iter().filter(|part| !part.part.noise.is_empty());
    let weight: f64 = known().map(|part| part.share).sum();
    let length = known().map(|part| part.part.noise.len()).min().unwrap_or(0);
    (0..length)
        .map(|i| {
            let sum = |of: &dyn Fn(&NoiseRows, f64) -> f64| -> f64 {
                known()
                    .map(|part| of(&part.part.noise[i], part.share / weight))
                    .sum()
            };
            NoiseRows {
                sizes: sum(&|rows, share| share * rows.sizes),
                dependence: sum(&|rows, share| share * rows.dependence),
                squares: sum(&|rows, share| share * rows.squares),
                squares_error: sum(&|rows, share| (share * rows.squares_error).powi(2)).sqrt(),
            }
        })
        .collect()
}
