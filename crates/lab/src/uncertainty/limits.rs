//! How often fresh rows exceed a limit.
//!
//! Each line draws data sets from a law, learns each in one pass, and scores fresh rows of the same law by the
//! components. Counted is the share of fresh rows with a p-value below 1% and below 0.1%: of the residual by the χ² law
//! of an isotropic rest, by Box's law and by what ojad reports; of T² and of D² by χ² and by what ojad reports.

use ojad_core::{
    Estimate, Forgetting, Limits, Missing, Pca, Projection, ReferenceDistribution, Rows,
    ScoreBuffers,
};
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;

use super::chance;
use super::coverage::thousands;
use super::grid::{Cell, Grid, Head, Line, Number, Options, Row, Table};
use super::rows::{Law, Mirror, Scores, learn, leave_out};
use crate::LabError;

/// Components.
const K: usize = 5;

/// Their eigenvalues.
const SPIKES: [f64; K] = [20.0, 14.0, 10.0, 7.0, 5.0];

/// Fresh rows a data set.
const FRESH: usize = 20_000;

/// Fresh rows drawn at a time.
const PIECE: usize = 2_000;

/// Mean of every feature: nothing may depend on it.
const MEAN: f64 = 3.0;

/// Added to the number of a data set: its seed.
const FIRST_SEED: u64 = 1_000;

/// Probabilities that rows are counted below.
const LEVELS: [f64; 2] = [0.01, 0.001];

/// Shares that are right at these levels.
const RIGHT: [[f64; 2]; 2] = [[0.008, 0.0125], [0.0007, 0.0014]];

/// Columns of p-values: residual by χ², Box and ojad, T² by χ² and ojad, D² by χ² and ojad.
const COLUMNS: usize = 7;

/// Those that ojad reports.
const OURS: [usize; 3] = [2, 4, 6];

/// Variances of the features beyond the components.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rest {
    Isotropic,
    /// By this factor from one to the next.
    Decaying(f64),
    /// From 1 to this, spread evenly on a logarithmic scale, each of one feature.
    Unequal(f64),
}

#[derive(Clone, Copy, Debug)]
struct Case {
    name: &'static str,
    law: Law,
    rest: Rest,
    features: usize,
    missing: f64,
    half_life: Option<f64>,
    shards: usize,
    rows: usize,
    /// Whether Q, T² and D² are claimed.
    claimed: [bool; 3],
}

const PLAIN: Case = Case {
    name: "Gaussian",
    law: Law::Gaussian,
    rest: Rest::Isotropic,
    features: 30,
    missing: 0.0,
    half_life: None,
    shards: 1,
    rows: 2_000,
    claimed: [true; 3],
};

fn cases() -> Vec<Case> {
    let law = |name, law| Case { name, law, ..PLAIN };
    let rest = |name, features, rest| Case {
        name,
        rest,
        features,
        ..PLAIN
    };
    let long = [2_000, 20_000, 200_000];
    let grid: [(Case, &[usize]); 14] = [
        (PLAIN, &long),
        (rest("decaying rest", 30, Rest::Decaying(0.7)), &long),
        (rest("unequal noise × 10", 30, Rest::Unequal(10.0)), &long),
        (law("t(5) values", Law::Values(5.0)), &long),
        (law("t(5) rows", Law::WholeRows(5.0)), &long),
        (law("t(3) values", Law::Values(3.0)), &long),
        (law("log-normal mixture", Law::LogNormalMixture(0.4)), &long),
        (law("AR 0.9", Law::Autoregressive(0.9)), &long),
        (rest("small rest (m = 7)", 7, Rest::Isotropic), &long),
        (
            rest("small decaying rest (m = 8)", 8, Rest::Decaying(0.3)),
            &long,
        ),
        (
            Case {
                missing: 0.1,
                ..law("10% missing, mean", Law::Gaussian)
            },
            &long,
        ),
        (
            Case {
                half_life: Some(20_000.0),
                ..law("half-life 20,000", Law::Gaussian)
            },
            &[200_000],
        ),
        (
            Case {
                shards: 4,
                ..law("merged, 4 shards", Law::Gaussian)
            },
            &[20_000],
        ),
        (rest("m = 784", 784, Rest::Isotropic), &[2_000, 20_000]),
    ];
    grid.into_iter()
        .flat_map(|(case, rows)| rows.iter().map(move |rows| case.of(*rows)))
        .collect()
}

impl Case {
    fn of(self, rows: usize) -> Self {
        // So few independent rows determine the components badly, and the first of the rows that were scored were
        // scored by worse components than the last.
        let is_claimed = rows > 2_000 || !matches!(self.name, "m = 784" | "AR 0.9");
        Self {
            rows,
            claimed: [true, is_claimed, is_claimed],
            ..self
        }
    }
}

/// The table of limits.
pub(super) fn table() -> Box<dyn Table> {
    Box::new(Grid {
        head: Head {
            title: "limits: share of fresh rows below p = 1% and 0.1%, %",
            claim: "0.8 to 1.25 and 0.07 to 0.14 (± is the standard error of the number before it); in parentheses: \
                    not claimed",
            columns: &[
                ("rows", 27),
                ("n", 7),
                ("Q, χ²", 12),
                ("Q, Box", 11),
                ("Q", 27),
                ("T², χ²", 11),
                ("T²", 27),
                ("D², χ²", 12),
                ("D²", 27),
            ],
        },
        lines: cases(),
    })
}

/// Draws rows of a case.
struct Source {
    case: Case,
    deviations: Vec<f64>,
    /// Makes components and noise dense; none where each feature has its noise.
    mirror: Option<Mirror>,
    scores: Scores,
    random: ChaCha8Rng,
}

impl Source {
    fn new(case: Case, seed: u64) -> Result<Self, LabError> {
        let m = case.features;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let rest = |j: usize| match case.rest {
            Rest::Isotropic => 1.0,
            Rest::Decaying(factor) => 3.0 * factor.powf(j as f64),
            Rest::Unequal(most) => f64::powf(most, j as f64 / (m - K - 1) as f64),
        };
        let variances = (0..m).map(|j| if j < K { SPIKES[j] } else { rest(j - K) });
        let mirror = Mirror::new(m, &mut random);
        Ok(Self {
            case,
            deviations: variances.map(f64::sqrt).collect(),
            mirror: (!matches!(case.rest, Rest::Unequal(_))).then_some(mirror),
            scores: Scores::new(case.law, m, &mut random)?,
            random,
        })
    }

    fn row(&mut self, row: &mut [f64]) {
        self.scores.next(&mut self.random, row);
        for (v, deviation) in row.iter_mut().zip(&self.deviations) {
            *v *= deviation;
        }
        if let Some(mirror) = &self.mirror {
            mirror.reflect(row);
        }
        row.iter_mut().for_each(|v| *v += MEAN);
        leave_out(row, self.case.missing, &mut self.random);
    }
}

/// Shares of fresh rows below the two levels, of each column.
type Shares = [[f64; 2]; COLUMNS];

impl Line for Case {
    type Outcome = Shares;

    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn sets(&self, options: &Options) -> u64 {
        let published = match self.rows * self.features {
            0..1_000_000 => 200,
            1_000_000..3_000_000 => 40,
            _ => 20,
        };
        options.sets_of((published / 10).max(3), published)
    }

    fn claims(&self) -> usize {
        LEVELS.len() * self.claimed.iter().filter(|claimed| **claimed).count()
    }

    fn measure(&self, set: u64) -> Result<Shares, LabError> {
        let mut source = Source::new(*self, FIRST_SEED.wrapping_add(set))?;
        let mut builder = Pca::builder().components(K).missing(Missing::Mean);
        if let Some(half_life) = self.half_life {
            builder = builder.forgetting(Forgetting::HalfLifeRows(half_life));
        }
        let shape = (self.rows, self.features);
        let estimate = learn(&builder, shape, self.shards, |_, row| source.row(row))?;
        Ok(shares(&estimate, &mut source))
    }

    fn row(&self, outcomes: &[Shares], tail: f64) -> Row {
        let mut cells = vec![Cell::name(self.name), Cell::name(thousands(self.rows))];
        cells.extend((0..COLUMNS).map(|column| {
            let of = |level: usize| -> Vec<f64> {
                outcomes
                    .iter()
                    .map(|shares| shares[column][level])
                    .collect()
            };
            let ours = OURS.iter().position(|ours| *ours == column);
            cell(&[of(0), of(1)], ours.map(|i| self.claimed[i]), tail)
        }));
        Row {
            cells,
            sets: outcomes.len() as u64,
        }
    }
}

/// Mean shares of one column at both levels. Those of ojad, claimed or not, come with their standard errors.
fn cell(shares: &[Vec<f64>; 2], claimed: Option<bool>, tail: f64) -> Cell {
    let mut words = Vec::new();
    let mut numbers = Vec::new();
    for (level, shares) in shares.iter().enumerate() {
        let (mean, error) = chance::mean(shares);
        // Of few data sets it may be small by chance; that of the fresh rows alone is known.
        let fresh = (FRESH * shares.len()) as f64;
        let error = error.max((RIGHT[level][0] / fresh).sqrt());
        let digits = 2 + level;
        words.push(match claimed {
            Some(_) if error.is_finite() => {
                format!("{:.digits$} ± {:.digits$}", 100.0 * mean, 100.0 * error)
            }
            _ => format!("{:.digits$}", 100.0 * mean),
        });
        numbers.push(if claimed == Some(true) {
            let bounds = chance::of_mean(shares.len(), error, RIGHT[level], tail);
            Number::judged(mean, RIGHT[level], bounds)
        } else {
            Number::shown(mean)
        });
    }
    let text = words.join(if claimed.is_some() { ", " } else { " " });
    Cell {
        text: if claimed == Some(false) {
            format!("({text})")
        } else {
            text
        },
        numbers,
    }
}

/// Scores fresh rows by the components of an estimate.
fn shares(estimate: &Estimate, source: &mut Source) -> Shares {
    let m = source.case.features;
    let plain = Estimate {
        limits: None,
        ..estimate.clone()
    }
    .limits_in_force();
    let in_force = estimate.limits_in_force();
    let boxed = in_force
        .residual
        .clone()
        .map(|law| ReferenceDistribution { tail: None, ..law });
    let by = |law: &Option<ReferenceDistribution>, values: &[f64]| -> Vec<f64> {
        law.iter()
            .flat_map(|law| values.iter().map(|v| law.p_value(*v)))
            .collect()
    };
    let Limits {
        residual,
        t2,
        distance,
        ..
    } = &plain;
    let projection = Projection::of(estimate);
    let mut buffers = ScoreBuffers::default();
    let mut counts: Shares = [[0.0; 2]; COLUMNS];
    let mut values = vec![0.0; PIECE * m];
    for _ in 0..FRESH / PIECE {
        values.chunks_exact_mut(m).for_each(|row| source.row(row));
        let scores = projection.score_rows(&Rows::from_f64(&values, m), &mut buffers);
        let all = [
            by(residual, &scores.residual),
            by(&boxed, &scores.residual),
            scores.residual_p_value.clone(),
            by(t2, &scores.t2),
            scores.t2_p_value.clone(),
            by(distance, &scores.distance),
            scores.p_value.clone(),
        ];
        for (count, p_values) in counts.iter_mut().zip(&all) {
            for (count, level) in count.iter_mut().zip(LEVELS) {
                *count += p_values.iter().filter(|p| **p < level).count() as f64 / FRESH as f64;
            }
        }
    }
    counts
}
