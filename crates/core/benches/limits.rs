//! How often fresh rows exceed a limit: the second table of `docs/statistics.md`.
//!
//! Each line draws data sets from a law, learns each in one pass, and scores 20,000 fresh rows of the same law by the
//! components. Printed is the share of fresh rows, in percent, with a p-value below 1% and below 0.1%: of the residual
//! by the χ² law of an isotropic rest, by Box's law and by what ojad reports; of T² and of `p_value` by χ² and by what
//! ojad reports. Right are 1 and 0.1.
//!
//! `cargo bench -p ojad-core --bench limits [-- WORD] [NUMBER]`: only the lines whose name has WORD in it, of NUMBER
//! data sets.

#![allow(clippy::expect_used, clippy::print_stdout, missing_docs)]

use ojad_core::{
    Estimate, Forgetting, Limits, Missing, Pca, Projection, ReferenceDistribution, Rows,
    ScoreBuffers,
};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{ChiSquared, Distribution as _, StandardNormal};

/// Components.
const K: usize = 5;

/// Their eigenvalues.
const SPIKES: [f64; K] = [20.0, 14.0, 10.0, 7.0, 5.0];

/// Fresh rows a data set.
const FRESH: usize = 20_000;

/// Rows drawn at a time.
const PIECE: usize = 2_000;

/// What a row is multiplied by, and what its values know of the row before.
#[derive(Clone, Copy, PartialEq)]
enum Law {
    Gaussian,
    /// Every value of its own: Student's t with so many degrees of freedom.
    Values(f64),
    /// A Gaussian row divided by a common √(χ²/ν).
    Rows(f64),
    /// A Gaussian row times e^(σg).
    LogNormalMixture(f64),
    /// Each score follows its last value by ρ.
    Autoregressive(f64),
}

/// Variances of the features beyond the components.
#[derive(Clone, Copy, PartialEq)]
enum Rest {
    Isotropic,
    /// By this factor from one to the next.
    Decaying(f64),
    /// From 1 to this, spread evenly on a logarithmic scale, each of one feature.
    Unequal(f64),
}

#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    law: Law,
    rest: Rest,
    features: usize,
    missing: f64,
    half_life: Option<f64>,
    shards: usize,
    rows: &'static [usize],
}

const PLAIN: Case = Case {
    name: "Gaussian",
    law: Law::Gaussian,
    rest: Rest::Isotropic,
    features: 30,
    missing: 0.0,
    half_life: None,
    shards: 1,
    rows: &[2_000, 20_000, 200_000],
};

fn cases() -> Vec<Case> {
    let law = |name, law| Case { name, law, ..PLAIN };
    vec![
        PLAIN,
        Case {
            name: "decaying rest",
            rest: Rest::Decaying(0.7),
            ..PLAIN
        },
        Case {
            name: "unequal noise × 10",
            rest: Rest::Unequal(10.0),
            ..PLAIN
        },
        law("t(5) values", Law::Values(5.0)),
        law("t(5) rows", Law::Rows(5.0)),
        law("t(3) values", Law::Values(3.0)),
        law("log-normal mixture", Law::LogNormalMixture(0.4)),
        law("AR 0.9", Law::Autoregressive(0.9)),
        Case {
            name: "small rest (m = 7)",
            features: 7,
            ..PLAIN
        },
        Case {
            name: "small decaying rest (m = 8)",
            features: 8,
            rest: Rest::Decaying(0.3),
            ..PLAIN
        },
        Case {
            name: "10% missing, mean",
            missing: 0.1,
            ..PLAIN
        },
        Case {
            name: "half-life 20,000",
            half_life: Some(20_000.0),
            rows: &[200_000],
            ..PLAIN
        },
        Case {
            name: "merged, 4 shards",
            shards: 4,
            rows: &[20_000],
            ..PLAIN
        },
        Case {
            name: "m = 784",
            features: 784,
            rows: &[2_000, 20_000],
            ..PLAIN
        },
    ]
}

/// Draws rows of a case.
struct Source {
    case: Case,
    deviations: Vec<f64>,
    /// Unit vector of the reflection that makes components and noise dense; none where each feature has its noise.
    mirror: Vec<f64>,
    last: Vec<f64>,
    random: ChaCha8Rng,
}

impl Source {
    fn new(case: Case, seed: u64) -> Self {
        let m = case.features;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let rest = |j: usize| match case.rest {
            Rest::Isotropic => 1.0,
            Rest::Decaying(factor) => 3.0 * factor.powf(j as f64),
            Rest::Unequal(most) => f64::powf(most, j as f64 / (m - K - 1) as f64),
        };
        let variances = (0..m).map(|j| if j < K { SPIKES[j] } else { rest(j - K) });
        let mirror: Vec<f64> = (0..m).map(|_| StandardNormal.sample(&mut random)).collect();
        let length = mirror.iter().map(|v: &f64| v * v).sum::<f64>().sqrt();
        Self {
            case,
            deviations: variances.map(f64::sqrt).collect(),
            mirror: mirror.iter().map(|v| v / length).collect(),
            last: (0..m).map(|_| StandardNormal.sample(&mut random)).collect(),
            random,
        }
    }

    fn rows(&mut self, count: usize) -> Vec<f64> {
        let m = self.case.features;
        let mut values = vec![0.0; count * m];
        for row in values.chunks_exact_mut(m) {
            self.row(row);
        }
        values
    }

    fn row(&mut self, row: &mut [f64]) {
        let random = &mut self.random;
        let common = match self.case.law {
            Law::Rows(freedom) => {
                let square = ChiSquared::new(freedom).expect("positive").sample(random);
                (freedom / square).sqrt()
            }
            Law::LogNormalMixture(sigma) => {
                let normal: f64 = StandardNormal.sample(random);
                (sigma * normal).exp()
            }
            _ => 1.0,
        };
        for (j, v) in row.iter_mut().enumerate() {
            let normal: f64 = StandardNormal.sample(random);
            let z = match self.case.law {
                Law::Values(freedom) => {
                    let square = ChiSquared::new(freedom).expect("positive").sample(random);
                    normal * (freedom / square).sqrt()
                }
                Law::Autoregressive(rho) => {
                    self.last[j] = rho * self.last[j] + (1.0 - rho * rho).sqrt() * normal;
                    self.last[j]
                }
                _ => normal * common,
            };
            *v = z * self.deviations[j];
        }
        if !matches!(self.case.rest, Rest::Unequal(_)) {
            let along: f64 = row.iter().zip(&self.mirror).map(|(v, w)| v * w).sum();
            let both = row.iter_mut().zip(&self.mirror);
            both.for_each(|(v, w)| *v -= 2.0 * along * w);
        }
        for v in row.iter_mut() {
            *v += 3.0;
            if self.case.missing > 0.0 && random.random::<f64>() < self.case.missing {
                *v = f64::NAN;
            }
        }
    }
}

fn learn(source: &mut Source, rows: usize) -> Estimate {
    let case = source.case;
    let build = || {
        let mut builder = Pca::builder().components(K).missing(Missing::Mean);
        if let Some(half_life) = case.half_life {
            builder = builder.forgetting(Forgetting::HalfLifeRows(half_life));
        }
        builder.build(case.features).expect("k <= m")
    };
    let mut parts = Vec::new();
    for _ in 0..case.shards {
        let mut pca = build();
        let mut left = rows / case.shards;
        while left > 0 {
            let values = source.rows(left.min(PIECE));
            left -= left.min(PIECE);
            pca.update(&Rows::from_f64(&values, case.features))
                .expect("finite");
        }
        parts.push(pca);
    }
    if parts.len() == 1 {
        return parts[0].estimate().expect("finite");
    }
    let merged = Pca::merge(&parts).expect("alike");
    merged.estimate(K, parts[0].params().penalty)
}

/// Shares below 1% and 0.1% of a column of p-values.
#[derive(Clone, Copy, Default)]
struct Flagged([f64; 2]);

impl Flagged {
    fn add(&mut self, p_values: impl Iterator<Item = f64>, share: f64) {
        for p in p_values {
            self.0[0] += share * f64::from(u8::from(p < 0.01));
            self.0[1] += share * f64::from(u8::from(p < 0.001));
        }
    }
}

impl std::fmt::Display for Flagged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [one, thousandth] = self.0.map(|share| 100.0 * share);
        f.pad(&format!("{one:.2} {thousandth:.3}"))
    }
}

fn measure(case: Case, rows: usize, runs: u64) {
    let mut columns = [Flagged::default(); 7];
    let mut method = String::new();
    for seed in 0..runs {
        let mut source = Source::new(case, 1000 + seed);
        let estimate = learn(&mut source, rows);
        let plain = Estimate {
            limits: None,
            ..estimate.clone()
        }
        .limits_in_force();
        let in_force = estimate.limits_in_force();
        method = in_force
            .residual
            .as_ref()
            .map_or(String::new(), ojad_core::ReferenceDistribution::in_words);
        let projection = Projection::of(&estimate);
        let mut buffers = ScoreBuffers::default();
        let share = 1.0 / (FRESH as f64 * runs as f64);
        for _ in 0..FRESH / PIECE {
            let values = source.rows(PIECE);
            let scores =
                projection.score_rows(&Rows::from_f64(&values, case.features), &mut buffers);
            let by = |law: Option<&ReferenceDistribution>, values: &[f64]| -> Vec<f64> {
                let law = law.expect("there is a rest");
                values.iter().map(|v| law.p_value(*v)).collect()
            };
            let boxed = |all: &Limits| {
                all.residual
                    .clone()
                    .map(|law| ReferenceDistribution { tail: None, ..law })
            };
            let all = [
                by(plain.residual.as_ref(), &scores.residual),
                by(boxed(&in_force).as_ref(), &scores.residual),
                scores.residual_p_value.clone(),
                by(plain.t2.as_ref(), &scores.t2),
                scores.t2_p_value.clone(),
                by(plain.distance.as_ref(), &scores.distance),
                scores.p_value.clone(),
            ];
            for (column, p_values) in columns.iter_mut().zip(all) {
                column.add(p_values.into_iter(), share);
            }
        }
    }
    print!("{:<28} {rows:>7}", case.name);
    for column in columns {
        print!("  {column:>12}");
    }
    println!("  {method}");
}

fn main() {
    let arguments = || std::env::args().skip(1).filter(|a| !a.starts_with('-'));
    let number: Option<u64> = arguments().find_map(|a| a.parse().ok());
    let only = arguments().find(|a| a.parse::<u64>().is_err());
    println!(
        "{:<28} {:>7}  {:>12}  {:>12}  {:>12}  {:>12}  {:>12}  {:>12}  {:>12}",
        "", "n", "Q, χ²", "Q, Box", "Q, ojad", "T², χ²", "T², ojad", "p, χ²", "p, ojad"
    );
    for case in cases() {
        if only
            .as_ref()
            .is_some_and(|word| !case.name.contains(word.as_str()))
        {
            continue;
        }
        for rows in case.rows {
            let runs = match rows * case.features {
                0..1_000_000 => 40,
                1_000_000..3_000_000 => 20,
                _ => 6,
            };
            measure(case, *rows, number.unwrap_or(runs));
        }
    }
}
