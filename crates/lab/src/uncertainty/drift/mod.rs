//! How often drift detection raises a false alarm, and how soon it finds a change.
//!
//! False alarms are counted on feeds that do not change, whose rows depend on each other or have heavy tails. The delay
//! is the median number of rows between a change and the alarm, beside that of a test of every mean and every entry of
//! the covariance matrix over a window of the latest rows, with the same allowed rate: windows of one and of two
//! half-lives, whichever is quicker. That test knows the distribution before, and that rows are independent.

mod feed;
mod window;

use std::sync::{Arc, OnceLock};

use ojad_core::learner::drift::{Drift, DriftParams};
use ojad_core::learner::{self, Learner, LearnerParams};
use ojad_core::rows::Minibatch;

use super::chance;
use super::coverage::thousands;
use super::grid::{Cell, Grid, Head, Line, Number, Options, Row, Table};
use super::rows::Law;
use crate::LabError;
use feed::{Change, Feed, MINIBATCH, SPIKES};
use window::{Known, Window};

/// False alarms per row that are allowed.
const RATE: f64 = 1e-7;

/// Rows of a feed that does not change.
const QUIET_ROWS: u64 = 2_000_000;

/// Features of such a feed.
const QUIET_FEATURES: usize = 12;

/// Added to the number of a feed: its seed.
const FIRST_SEED: u64 = 100;

/// Half-lives before a change, and after which it counts as not found.
const BEFORE: usize = 25;
const AFTER: usize = 10;

/// The delay that is right, in delays of the quicker window.
const SLOWER: f64 = 1.5;

/// The learner and what watches it.
struct Watched {
    learner: Box<dyn Learner>,
    drift: Drift,
}

impl Watched {
    fn new(features: usize, half_life: u64) -> Result<Self, LabError> {
        let params = LearnerParams {
            components: SPIKES.len(),
            minibatch: Some(MINIBATCH),
            ..LearnerParams::default()
        };
        let drift = DriftParams {
            short_half_life_rows: half_life,
            long_half_life_rows: 20 * half_life,
            components: SPIKES.len(),
            false_alarms_per_row: RATE,
            seed: 1,
        };
        Ok(Self {
            learner: learner::new(&params, features)?,
            drift: Drift::new(drift),
        })
    }

    /// Learns a minibatch; true if it raised an alarm.
    fn take(&mut self, batch: Minibatch) -> Result<bool, LabError> {
        let report = self.drift.update(&batch, &*self.learner)?;
        self.learner.update(batch)?;
        Ok(report.is_some())
    }
}

/// A feed that does not change.
#[derive(Clone, Debug)]
struct Quiet {
    name: &'static str,
    law: Law,
    half_life: u64,
}

/// The table of false alarms.
pub(super) fn quiet() -> Box<dyn Table> {
    let laws = [
        ("Gaussian", Law::Gaussian),
        ("t(3)", Law::Values(3.0)),
        ("AR(0.9)", Law::Autoregressive(0.9)),
        ("AR(0.99)", Law::Autoregressive(0.99)),
        ("AR(0.999)", Law::Autoregressive(0.999)),
        ("GARCH(0.1, 0.88)", Law::Garch(0.1, 0.88)),
        ("GARCH(0.05, 0.94)", Law::Garch(0.05, 0.94)),
        ("a season of 1,000 rows", Law::Season(1_000.0)),
        ("a season of 20,000 rows", Law::Season(20_000.0)),
    ];
    let lines = laws.into_iter().flat_map(|(name, law)| {
        [2_000, 20_000].map(|half_life| Quiet {
            name,
            law,
            half_life,
        })
    });
    Box::new(Grid {
        head: Head {
            title: "drift: false alarms in feeds of 2·10⁶ rows of 12 features that do not change",
            claim: "0.1 per 10⁶ rows at most",
            columns: &[
                ("rows", 23),
                ("half-life", 9),
                ("feeds", 5),
                ("false alarms", 12),
                ("per 10⁶ rows", 12),
            ],
        },
        lines: lines.collect(),
    })
}

impl Line for Quiet {
    /// Alarms.
    type Outcome = u64;

    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn sets(&self, options: &Options) -> u64 {
        options.sets_of(1, 10)
    }

    fn claims(&self) -> usize {
        1
    }

    fn measure(&self, set: u64) -> Result<u64, LabError> {
        let mut feed = Feed::new(self.law, QUIET_FEATURES, FIRST_SEED.wrapping_add(set))?;
        let mut watched = Watched::new(QUIET_FEATURES, self.half_life)?;
        let mut rows = Vec::new();
        let mut alarms = 0;
        for _ in 0..QUIET_ROWS / MINIBATCH as u64 {
            alarms += u64::from(watched.take(feed.minibatch(&mut rows))?);
        }
        Ok(alarms)
    }

    fn row(&self, outcomes: &[u64], tail: f64) -> Row {
        let sets = outcomes.len() as u64;
        let rows = (sets * QUIET_ROWS) as f64;
        let alarms: u64 = outcomes.iter().sum();
        let most = chance::most_events(RATE * rows, tail) as f64;
        let rate = alarms as f64 / rows;
        let number = Number::judged(rate * 1e6, [0.0, RATE * 1e6], [0.0, most / rows * 1e6]);
        Row {
            cells: vec![
                Cell::name(self.name),
                Cell::name(thousands(self.half_life as usize)),
                Cell::name(sets.to_string()),
                Cell::name(alarms.to_string()),
                Cell {
                    text: format!("{:.2}", rate * 1e6),
                    numbers: vec![number],
                },
            ],
            sets,
        }
    }
}

/// A feed that changes.
#[derive(Clone, Debug)]
struct Changed {
    name: &'static str,
    change: Change,
    features: usize,
    half_life: usize,
    known: Arc<OnceLock<Option<Known>>>,
}

/// The table of delays.
pub(super) fn changed() -> Box<dyn Table> {
    let changes = [
        ("a component turns out by 10°", Change::Turn(10.0)),
        ("a component turns out by 3°", Change::Turn(3.0)),
        ("two components turn by 10°", Change::Mix(10.0)),
        ("variance of a component × 1.1", Change::Component(0, 1.1)),
        ("variance of a component × 1.5", Change::Component(0, 1.5)),
        ("variance of the noise × 1.1", Change::Noise(1.1)),
        ("mean of a feature + 0.2 sd", Change::Mean(0.2)),
        ("mean of a feature + 1 sd", Change::Mean(1.0)),
        ("variance of a feature × 1.2", Change::Feature(1.2)),
        ("variance of a feature × 2", Change::Feature(2.0)),
        (
            "correlation 0.1 outside the components",
            Change::Correlation(0.1),
        ),
        (
            "correlation 0.3 outside the components",
            Change::Correlation(0.3),
        ),
    ];
    let shapes = [(12, 20_000), (60, 5_000)].map(|shape| (shape, Arc::new(OnceLock::new())));
    let lines = changes.into_iter().flat_map(|(name, change)| {
        let line = |((features, half_life), known): &((usize, usize), Arc<_>)| Changed {
            name,
            change,
            features: *features,
            half_life: *half_life,
            known: Arc::clone(known),
        };
        shapes.iter().map(line).collect::<Vec<_>>()
    });
    Box::new(Grid {
        head: Head {
            title: "drift: rows between a change and the alarm, medians",
            claim: "at most 1.5 times that of the quicker window, in half of all changes or more; in parentheses: not \
                    claimed",
            columns: &[
                ("change", 38),
                ("features", 8),
                ("half-life", 9),
                ("found after (rows)", 18),
                ("window of one half-life", 23),
                ("of two", 6),
                ("later than claimed, %", 21),
            ],
        },
        lines: lines.collect(),
    })
}

impl Changed {
    /// Among so many features, a slight turn becomes the state of things before it is found.
    fn is_claimed(&self) -> bool {
        self.change != Change::Turn(3.0) || self.features == 12
    }

    fn known(&self) -> Result<&Known, LabError> {
        let known = self.known.get_or_init(|| Known::of(self.features).ok());
        known.as_ref().ok_or(LabError::NotFinite)
    }
}

impl Line for Changed {
    /// Delays of ojad and of the two windows, in rows; infinite where the change was not found.
    type Outcome = [f64; 3];

    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn sets(&self, options: &Options) -> u64 {
        options.sets_of(1, 15)
    }

    fn claims(&self) -> usize {
        usize::from(self.is_claimed())
    }

    fn measure(&self, set: u64) -> Result<[f64; 3], LabError> {
        let (m, half_life) = (self.features, self.half_life);
        let mut feed = Feed::new(Law::Gaussian, m, FIRST_SEED.wrapping_add(set))?;
        let mut watched = Watched::new(m, half_life as u64)?;
        // As often as the detector: a sixteenth of a half-life.
        let every = half_life as f64 / 16.0;
        let known = self.known()?;
        let mut windows = [1, 2].map(|lives| Window::new(known, lives * half_life, RATE, every));
        let mut rows = Vec::new();
        for _ in 0..BEFORE * half_life / MINIBATCH {
            watched.take(feed.minibatch(&mut rows))?;
            windows.iter_mut().for_each(|window| {
                window.take(&rows, m);
            });
        }
        feed.change = self.change;
        let mut found = [f64::INFINITY; 3];
        for i in 1..=AFTER * half_life / MINIBATCH {
            let batch = feed.minibatch(&mut rows);
            let [one, two] = &mut windows;
            let alarms = [watched.take(batch)?, one.take(&rows, m), two.take(&rows, m)];
            for (found, _) in found.iter_mut().zip(alarms).filter(|(_, alarm)| *alarm) {
                *found = found.min((i * MINIBATCH) as f64);
            }
            if found.iter().all(|f| f.is_finite()) {
                break;
            }
        }
        Ok(found)
    }

    fn row(&self, outcomes: &[[f64; 3]], tail: f64) -> Row {
        let sets = outcomes.len() as u64;
        let medians = [0, 1, 2].map(|i| {
            let mut delays: Vec<f64> = outcomes.iter().map(|delays| delays[i]).collect();
            delays.sort_by(f64::total_cmp);
            delays[delays.len() / 2]
        });
        // Delays are whole minibatches, so that an alarm in the next one is no later.
        let late = |[ours, one, two]: &&[f64; 3]| *ours > SLOWER * one.min(*two) + MINIBATCH as f64;
        let late = outcomes.iter().filter(late).count() as f64 / sets as f64;
        let right = [0.0, 0.5];
        let (text, number) = if self.is_claimed() {
            let by_chance = chance::share(sets, right, tail);
            let number = Number::judged(late, right, by_chance);
            (format!("{:.0}", 100.0 * late), number)
        } else {
            (format!("({:.0})", 100.0 * late), Number::shown(late))
        };
        let delay = |delay: f64| Cell {
            text: if delay.is_finite() {
                thousands(delay as usize)
            } else {
                "never".to_owned()
            },
            numbers: vec![Number::shown(delay)],
        };
        let mut cells = vec![
            Cell::name(self.name),
            Cell::name(self.features.to_string()),
            Cell::name(thousands(self.half_life)),
        ];
        cells.extend(medians.map(delay));
        cells.push(Cell {
            text,
            numbers: vec![number],
        });
        Row { cells, sets }
    }
}
