//! How often the number of components above noise is right.
//!
//! Each line draws data sets of noise of one kind, without components and with three in random directions, learns each
//! in one pass, and counts in how many the number is right, cannot be told, or is wrong. Published rules see the same
//! rows. Where one of them is right, without components and with three, ojad is to be right too; elsewhere it is to say
//! that the number cannot be told.

use std::sync::Arc;

use ojad_core::{Pca, Rows};
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;

use super::bema::Null;
use super::chance;
use super::grid::{Cell, Grid, Head, Line, Number, Options, Row, Table};
use super::rows::{Law, Scores, directions};
use super::rules::{self, NAMES};
use crate::LabError;

/// Variances of the components, in mean variances of noise.
const COMPONENTS: [f64; 3] = [20.0, 14.0, 10.0];

/// Numbers of components that are planted.
const TRUTHS: [usize; 2] = [0, COMPONENTS.len()];

/// Features and rows: whole covariances in the first two.
const SHAPES: [(usize, usize); 4] = [(20, 4_000), (100, 500), (320, 400), (400, 100)];

/// A rule is right where it is right in so many data sets; ojad may be wrong in the others.
const RIGHT: f64 = 0.9;

/// Added to the seed of the random signs.
const SIGNS: u64 = 1 << 40;

/// Noise of one kind.
#[derive(Clone, Copy, Debug)]
struct Noise {
    name: &'static str,
    law: Law,
    /// The components' scores.
    components: Law,
    /// Deviations of the features spread over this ratio.
    levels: f64,
    /// The first so many of the shapes.
    shapes: usize,
}

const GAUSSIAN: Noise = Noise {
    name: "Gaussian",
    law: Law::Gaussian,
    components: Law::Gaussian,
    levels: 1.0,
    shapes: SHAPES.len(),
};

fn noises() -> Vec<Noise> {
    let law = |name, law| Noise {
        name,
        law,
        ..GAUSSIAN
    };
    let levels = |name, levels| Noise {
        name,
        levels,
        ..GAUSSIAN
    };
    vec![
        GAUSSIAN,
        law("t(5)", Law::Values(5.0)),
        levels("unequal × 3", 3.0),
        levels("unequal × 10", 10.0),
        law("correlated 0.5", Law::Correlated(0.5)),
        Noise {
            shapes: 2,
            ..law("correlated 0.8", Law::Correlated(0.8))
        },
        Noise {
            components: Law::Autoregressive(0.9),
            ..law("AR 0.9 in time", Law::Autoregressive(0.9))
        },
        law("whole rows t(5)", Law::WholeRows(5.0)),
    ]
}

/// The table of ranks.
pub(super) fn table() -> Box<dyn Table> {
    let nulls = SHAPES.map(|shape| Arc::new(Null::new(shape)));
    let lines = noises().into_iter().flat_map(|noise| {
        let shapes = SHAPES.into_iter().zip(&nulls).take(noise.shapes);
        let case = |(shape, null): (_, &Arc<Null>)| Case {
            noise,
            shape,
            null: Arc::clone(null),
        };
        shapes.map(case).collect::<Vec<_>>()
    });
    Box::new(Grid {
        head: Head {
            title: "ranks: how often the number of components above noise is right / cannot be told / is wrong, % of \
                    data sets without components (none) and with three; of the published rules: right without and \
                    with three",
            claim: "right in 90% or more where a published rule is, without components and with three; elsewhere \
                    wrong in 10% or fewer",
            columns: &[
                ("noise", 15),
                ("m", 3),
                ("n", 4),
                ("none", 11),
                ("3", 11),
                (NAMES[0], 7),
                (NAMES[1], 7),
                (NAMES[2], 7),
                (NAMES[3], 7),
                (NAMES[4], 7),
            ],
        },
        lines: lines.collect(),
    })
}

#[derive(Clone, Debug)]
struct Case {
    noise: Noise,
    /// Features and rows.
    shape: (usize, usize),
    null: Arc<Null>,
}

/// ojad's count and those of the published rules, without components and with three.
type Told = [(Option<usize>, [Option<usize>; NAMES.len()]); 2];

impl Line for Case {
    type Outcome = Told;

    fn name(&self) -> String {
        let (m, n) = self.shape;
        format!("{}, {m} × {n}", self.noise.name)
    }

    fn sets(&self, options: &Options) -> u64 {
        options.sets_of(5, 100)
    }

    fn claims(&self) -> usize {
        TRUTHS.len()
    }

    fn measure(&self, set: u64) -> Result<Told, LabError> {
        let told = |truth| -> Result<_, LabError> {
            let (m, _) = self.shape;
            let values = self.draw(truth, set)?;
            let mut pca = Pca::builder().build(m)?;
            pca.update(&Rows::from_f64(&values, m))?;
            let ours = pca.estimate()?.components_above_noise;
            let mut signs = ChaCha8Rng::seed_from_u64(SIGNS.wrapping_add(set));
            Ok((ours, rules::counts(&values, m, &self.null, &mut signs)?))
        };
        Ok([told(TRUTHS[0])?, told(TRUTHS[1])?])
    }

    fn row(&self, outcomes: &[Told], tail: f64) -> Row {
        let sets = outcomes.len() as u64;
        let share = |is: &dyn Fn(&Told) -> bool| {
            let count = outcomes.iter().filter(|told| is(told)).count();
            count as f64 / outcomes.len() as f64
        };
        let published: Vec<[f64; 2]> = (0..NAMES.len())
            .map(|rule| [0, 1].map(|t| share(&|told| told[t].1[rule] == Some(TRUTHS[t]))))
            .collect();
        let can_be_told = published
            .iter()
            .any(|shares| shares.iter().all(|share| *share >= RIGHT));
        let (m, n) = self.shape;
        let mut cells = vec![
            Cell::name(self.noise.name),
            Cell::name(m.to_string()),
            Cell::name(n.to_string()),
        ];
        cells.extend([0, 1].map(|t| {
            let right = share(&|told| told[t].0 == Some(TRUTHS[t]));
            let untold = share(&|told| told[t].0.is_none());
            let wrong = 1.0 - right - untold;
            let text = [right, untold, wrong].map(|share| format!("{:.0}", 100.0 * share.abs()));
            let judged =
                |share, right| Number::judged(share, right, chance::share(sets, right, tail));
            let numbers = if can_be_told {
                vec![
                    judged(right, [RIGHT, 1.0]),
                    Number::shown(untold),
                    Number::shown(wrong),
                ]
            } else {
                vec![
                    Number::shown(right),
                    Number::shown(untold),
                    judged(wrong, [0.0, 1.0 - RIGHT]),
                ]
            };
            Cell {
                text: text.join(" / "),
                numbers,
            }
        }));
        cells.extend(published.into_iter().map(|shares| {
            Cell {
                text: shares
                    .map(|share| format!("{:.0}", 100.0 * share))
                    .join(" "),
                numbers: shares.map(Number::shown).to_vec(),
            }
        }));
        Row { cells, sets }
    }
}

impl Case {
    /// Rows with `truth` components, row by row.
    fn draw(&self, truth: usize, seed: u64) -> Result<Vec<f64>, LabError> {
        let (m, n) = self.shape;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let level = |j: usize| self.noise.levels.powf(j as f64 / (m - 1) as f64);
        let square = (0..m).map(|j| level(j).powi(2)).sum::<f64>() / m as f64;
        let vectors = directions(m, truth, &mut random);
        let mut noise = Scores::new(self.noise.law, m, &mut random)?;
        let mut components = Scores::new(self.noise.components, truth, &mut random)?;
        let strength = (m as f64 / n as f64).sqrt().max(1.0) * square;
        let mut values = vec![0.0; n * m];
        let mut scores = vec![0.0; truth];
        for row in values.chunks_exact_mut(m) {
            noise.next(&mut random, row);
            for (j, v) in row.iter_mut().enumerate() {
                *v *= level(j);
            }
            components.next(&mut random, &mut scores);
            for ((vector, score), variance) in vectors.iter().zip(&scores).zip(COMPONENTS) {
                let size = score * (variance * strength).sqrt();
                row.iter_mut().zip(vector).for_each(|(v, e)| *v += size * e);
            }
        }
        Ok(values)
    }
}
