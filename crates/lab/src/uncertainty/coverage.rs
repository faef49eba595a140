//! How often the error bars hold the truth.
//!
//! Each line draws data sets from a law whose components are known, learns each in one pass, and counts in how many
//! the 95% interval of an eigenvalue, and the 95% bound of a direction's angle, holds the truth. The shares are those
//! of the data sets that have an interval.

use ojad_core::{Estimate, Forgetting, Missing, Pca, PcaBuilder, Scale};
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;

use super::chance;
use super::grid::{Cell, Grid, Head, Line, Number, Options, Row, Table};
use super::rows::{Law, Mirror, Scores, learn, leave_out};
use crate::LabError;

/// Components looked at.
const K: usize = 5;

/// Standard normal quantile of a two-sided 95%.
const NORMAL_975: f64 = 1.96;

/// Coverages of a nominal 95% that are right, of intervals and of an upper bound.
const RIGHT: [[f64; 2]; STATEMENTS] = [[0.92, 0.98], [0.92, 0.98], [0.92, 1.0]];

/// Statements about each component: ± 1.96 standard errors, the interval of the law's eigenvalue, the angle's bound.
const STATEMENTS: usize = 3;

/// Added to the number of a data set: its seed.
const FIRST_SEED: u64 = 1_000;

/// Seed of the reflection that all data sets of a line share.
const AXIS_SEED: u64 = 77;

#[derive(Clone, Debug)]
struct Case {
    name: &'static str,
    law: Law,
    rows: usize,
    features: usize,
    /// Leading eigenvalues; the others are 1.
    spikes: [f64; K],
    missing: f64,
    scale: Scale,
    half_life: Option<f64>,
    /// Directions held beside the components; the default where there is none.
    oversampling: Option<usize>,
    /// Scale of each shard's rows; one pass where there is one.
    shards: &'static [f64],
    /// For how many leading components each statement is claimed.
    claimed: [usize; STATEMENTS],
}

const PLAIN: Case = Case {
    name: "Gaussian",
    law: Law::Gaussian,
    rows: 4_000,
    features: 30,
    spikes: [20.0, 14.0, 10.0, 7.0, 5.0],
    missing: 0.0,
    scale: Scale::None,
    half_life: None,
    oversampling: None,
    shards: &[1.0],
    claimed: [K, K, K],
};

/// Laws of rows, missing values, and few rows of many features.
fn laws() -> Vec<Case> {
    let law = |name, law| Case { name, law, ..PLAIN };
    let long = |name, law| Case {
        name,
        law,
        rows: 40_000,
        ..PLAIN
    };
    // The eigenvalues of the rows are biased, which the interval of the law's accounts for.
    let missing = |name, missing| Case {
        name,
        missing,
        claimed: [0, K, K],
        ..PLAIN
    };
    // Neither are weak components claimed, of which one pass finds less than batch PCA.
    let wide = |name, rows, oversampling, interval, angle| Case {
        name,
        rows,
        features: 784,
        oversampling,
        claimed: [0, interval, angle],
        ..PLAIN
    };
    let ar = Law::Autoregressive;
    vec![
        PLAIN,
        law("t(5)", Law::Values(5.0)),
        law("log-normal mixture", Law::LogNormalMixture(0.4)),
        law("AR 0.5", ar(0.5)),
        law("AR 0.9", ar(0.9)),
        law("t(3)", Law::Values(3.0)),
        long("Gaussian", Law::Gaussian),
        long("t(5)", Law::Values(5.0)),
        long("AR 0.9", ar(0.9)),
        long("t(3)", Law::Values(3.0)),
        missing("10% missing, mean", 0.1),
        missing("30% missing, mean", 0.3),
        wide("m = 784", 5_000, None, K, 3),
        wide("m = 784", 500, None, 4, 2),
        wide("m = 784, `oversampling` 60", 5_000, Some(60), K, 4),
        wide("m = 784, `oversampling` 60", 500, Some(60), 4, 3),
    ]
}

/// Forgetting, scale, merging, and two components alike.
fn settings() -> Vec<Case> {
    let law = |name, law| Case { name, law, ..PLAIN };
    let ar = Law::Autoregressive;
    vec![
        Case {
            half_life: Some(2_000.0),
            rows: 16_000,
            ..law("half-life 2,000", Law::Gaussian)
        },
        Case {
            half_life: Some(2_000.0),
            rows: 16_000,
            ..law("half-life 2,000, AR 0.5", ar(0.5))
        },
        Case {
            scale: Scale::Standard,
            features: 32,
            ..law("standard scale", Law::Gaussian)
        },
        Case {
            scale: Scale::Standard,
            features: 32,
            ..law("standard scale, AR 0.5", ar(0.5))
        },
        Case {
            scale: Scale::Standard,
            features: 8,
            ..law("standard scale, m = 8", Law::Gaussian)
        },
        Case {
            shards: &[1.0, 1.0, 1.0, 1.0],
            ..law("merged, 4 shards", Law::Gaussian)
        },
        Case {
            shards: &[1.0, 1.0, 1.0, 1.0],
            rows: 8_000,
            ..law("merged, 4 shards, AR 0.5", ar(0.5))
        },
        Case {
            shards: &[0.5, 1.0, 1.5, 2.0],
            ..law("merged, shards × 0.5 to 2", Law::Gaussian)
        },
        Case {
            spikes: [20.0, 14.0, 10.0, 9.8, 5.0],
            ..law("pair 10 and 9.8", Law::Gaussian)
        },
    ]
}

/// The table of coverage.
pub(super) fn table() -> Box<dyn Table> {
    Box::new(Grid {
        head: Head {
            title: "coverage: how often 95% statements about components 1 to 5 hold, % of data sets",
            claim: "an interval holds the truth in 92 to 98%, a bound of an angle in 92% or more; in parentheses: not \
                    claimed",
            columns: &[
                ("rows", 26),
                ("n", 6),
                ("eigenvalue ± 1.96 stderr", 24),
                ("interval of the law", 19),
                ("angle below the bound", 21),
            ],
        },
        lines: laws().into_iter().chain(settings()).collect(),
    })
}

/// Which statements hold, in one data set; `None` where one is withheld.
type Held = [[Option<bool>; K]; STATEMENTS];

impl Line for Case {
    type Outcome = Held;

    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn sets(&self, options: &Options) -> u64 {
        options.sets_of(10, 200)
    }

    fn claims(&self) -> usize {
        self.claimed.iter().sum()
    }

    fn measure(&self, set: u64) -> Result<Held, LabError> {
        let truth = Truth::of(self);
        let seed = FIRST_SEED.wrapping_add(set);
        Ok(held(&truth, &self.estimate(&truth, seed)?))
    }

    fn row(&self, outcomes: &[Held], tail: f64) -> Row {
        let mut cells = vec![Cell::name(self.name), Cell::name(thousands(self.rows))];
        cells.extend((0..STATEMENTS).map(|s| {
            let all: Vec<[Option<bool>; K]> = outcomes.iter().map(|held| held[s]).collect();
            cell(&all, RIGHT[s], self.claimed[s], tail)
        }));
        Row {
            cells,
            sets: outcomes.len() as u64,
        }
    }
}

/// 40,000.
pub(super) fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Shares of the data sets in which a statement holds, where it is made; withheld if it mostly is.
fn cell(outcomes: &[[Option<bool>; K]], right: [f64; 2], claimed: usize, tail: f64) -> Cell {
    let made = |i: usize| outcomes.iter().filter_map(move |held| held[i]);
    let total = (outcomes.len() * K) as f64;
    let withheld = 1.0 - (0..K).map(|i| made(i).count()).sum::<usize>() as f64 / total;
    if withheld > 0.5 {
        let text = if withheld < 1.0 {
            format!("withheld in {:.0}%", 100.0 * withheld)
        } else {
            "withheld".to_owned()
        };
        return Cell {
            text,
            numbers: vec![
                Number {
                    measured: None,
                    right: None,
                    by_chance: None,
                };
                K
            ],
        };
    }
    let numbers: Vec<Number> = (0..K)
        .map(|i| {
            let (of, holds) = (made(i).count() as u64, made(i).filter(|h| *h).count());
            let share = holds as f64 / of.max(1) as f64;
            if i < claimed && of > 0 {
                Number::judged(share, right, chance::share(of, right, tail))
            } else {
                Number::shown(share)
            }
        })
        .collect();
    let words = numbers.iter().map(|n| match n.measured {
        Some(share) => format!("{:.0}", 100.0 * share),
        None => "-".to_owned(),
    });
    let mut words: Vec<String> = words.collect();
    if let (Some(_), true) = (words.get(claimed), claimed < K) {
        words[claimed].insert(0, '(');
        words[K - 1].push(')');
    }
    Cell {
        text: words.join(" "),
        numbers,
    }
}

fn held(truth: &Truth, estimate: &Estimate) -> Held {
    let mut held: Held = [[None; K]; STATEMENTS];
    for i in 0..K {
        let (value, right) = (estimate.eigenvalues[i], truth.eigenvalues[i]);
        let bar = NORMAL_975 * estimate.eigenvalue_stderr[i];
        if bar.is_finite() {
            held[0][i] = Some((value - right).abs() <= bar);
        }
        let certainty = &estimate.certainty[i];
        held[1][i] = certainty
            .interval
            .map(|[low, high]| (low..=high).contains(&right));
        held[2][i] = certainty.angle_bound_rad.map(|bound| {
            let (first, last) = certainty.mixes;
            truth.angle(estimate, i, first..(last + 1).min(K)) <= bound
        });
    }
    held
}

/// Components of the covariance (or correlation) matrix that rows are drawn from.
struct Truth {
    basis: Basis,
    eigenvalues: Vec<f64>,
    /// K leading eigenvectors, K×m.
    vectors: Vec<Vec<f64>>,
}

/// How scores become rows.
enum Basis {
    Reflection(Mirror),
    /// Walsh functions, then feature j times j + 1: all features have the same variance but for the
    /// units, so that the correlation matrix has the components that were planted.
    Walsh,
}

impl Basis {
    fn apply(&self, row: &mut [f64]) {
        match self {
            Self::Reflection(mirror) => mirror.reflect(row),
            Self::Walsh => {
                let m = row.len();
                let mut half = 1;
                while half < m {
                    for first in (0..m).step_by(2 * half) {
                        for j in first..first + half {
                            let (a, b) = (row[j], row[j + half]);
                            (row[j], row[j + half]) = (a + b, a - b);
                        }
                    }
                    half *= 2;
                }
                for (j, v) in row.iter_mut().enumerate() {
                    *v *= (j + 1) as f64 / (m as f64).sqrt();
                }
            }
        }
    }
}

impl Truth {
    fn of(case: &Case) -> Self {
        let m = case.features;
        let shards = case.shards.len() as f64;
        let square = case.shards.iter().map(|s| s * s).sum::<f64>() / shards;
        let is_standard = case.scale == Scale::Standard;
        let basis = if is_standard {
            Basis::Walsh
        } else {
            let mut random = ChaCha8Rng::seed_from_u64(AXIS_SEED);
            Basis::Reflection(Mirror::new(m, &mut random))
        };
        let vectors = (0..K).map(|i| {
            let mut vector: Vec<f64> = (0..m).map(|j| f64::from(u8::from(i == j))).collect();
            basis.apply(&mut vector);
            if is_standard {
                let units = vector.iter_mut().enumerate();
                units.for_each(|(j, v)| *v /= (j + 1) as f64);
            }
            vector
        });
        let vectors = vectors.collect();
        let mean = (case.spikes.iter().sum::<f64>() + (m - K) as f64) / m as f64;
        let unit = if is_standard { 1.0 / mean } else { square };
        Self {
            eigenvalues: case.spikes.iter().map(|v| unit * v).collect(),
            vectors,
            basis,
        }
    }

    /// Angle of component `i` to the span of the true components `span`, radians.
    fn angle(&self, estimate: &Estimate, i: usize, span: std::ops::Range<usize>) -> f64 {
        let found = estimate.vector(i);
        let square: f64 = span
            .map(|l| {
                let dot: f64 = found.iter().zip(&self.vectors[l]).map(|(a, b)| a * b).sum();
                dot * dot
            })
            .sum();
        (1.0 - square).max(0.0).sqrt().asin()
    }
}

impl Case {
    fn builder(&self) -> PcaBuilder {
        let mut builder = Pca::builder()
            .components(K)
            .scale(self.scale)
            .missing(Missing::Mean);
        if let Some(directions) = self.oversampling {
            builder = builder.oversampling(directions);
        }
        if let Some(rows) = self.half_life {
            builder = builder.forgetting(Forgetting::HalfLifeRows(rows));
        }
        builder
    }

    fn estimate(&self, truth: &Truth, seed: u64) -> Result<Estimate, LabError> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut scores = Scores::new(self.law, self.features, &mut random)?;
        let shape = (self.rows, self.features);
        learn(&self.builder(), shape, self.shards.len(), |shard, row| {
            scores.next(&mut random, row);
            for (j, v) in row.iter_mut().enumerate() {
                let variance = self.spikes.get(j).copied().unwrap_or(1.0);
                *v *= self.shards[shard] * variance.sqrt();
            }
            truth.basis.apply(row);
            leave_out(row, self.missing, &mut random);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict of 100 Gaussian data sets whose bars are `factor` times as long.
    fn verdict(factor: f64) -> Vec<usize> {
        let truth = Truth::of(&PLAIN);
        let outcomes: Vec<Held> = (0..100)
            .map(|set| {
                let mut estimate = PLAIN.estimate(&truth, FIRST_SEED + set).unwrap();
                estimate
                    .eigenvalue_stderr
                    .iter_mut()
                    .for_each(|bar| *bar *= factor);
                held(&truth, &estimate)
            })
            .collect();
        PLAIN
            .row(&outcomes, 0.01 / PLAIN.claims() as f64)
            .disagreeing()
    }

    #[test]
    fn bars_of_another_length_do_not_agree() {
        assert_eq!(verdict(1.0), [0; 0]);
        // ± 0.6 · 1.96 hold in 76% of data sets: column 2 is that of the bars.
        assert_eq!(verdict(0.6), [2]);
    }
}
