//! Which rows are scored, by which components, and for how long they count.
//!
//! The components that score are copies of the learner's, made anew whenever the weight of all rows has grown by a
//! quarter. Scores are gathered in periods: one ends when it has as many rows as there was weight when it began (half as
//! many at first), so that periods double, or, under forgetting, are as long as the memory. The distributions are those of the period
//! under way and of the one before. So they are never of components much poorer than the present ones, and follow the
//! half-life. If the components have become others, so that what was scored is far from what they leave of rows, all
//! that was scored before is dropped.
//!
//! Of the rows, one in (weight/1024)^¾ is scored, at least one in 64: scoring a row in f64 costs about as much as
//! learning it. They are chosen by a hash of their position: rows of many sources often take turns, and every 64th might
//! be of the same source.

use crate::codec::{CodecError, Decoder, Encoder};
use crate::learner::{Estimate, Forgetting, Limits, Rest};
use crate::linalg::Real;
use crate::prequential::sketch::Sketch;
use crate::rows::{Layout, Minibatch, Values};
use crate::score::{Projection, Rows, ScoreBuffers};

/// Growth of the weight after which the components that score are renewed.
const GROWTH: f64 = 1.25;

/// Minibatches between two renewals at least, once there were eight times as many.
const MINIBATCHES_APART: u64 = 16;

/// Twice as many rows are all scored.
const ALL_ROWS: f64 = 1024.0;

/// Then one row in (weight/1024)^this is.
const GROWTH_APART: f64 = 0.75;

/// Up to this weight periods are half as long: the components still improve a lot from one to the next.
const EARLY: f64 = 10_000.0;

/// One row in so many is scored at least.
const ROWS_APART: f64 = 64.0;

/// One row in so many of a minibatch is scored at least, if any is: one product with many rows costs less than many
/// products with a few.
const ROWS_TOGETHER: u64 = 4;

/// Residuals whose mean is beyond this multiple of what the components leave are of other rows than the present ones. Rows
/// that were learned have smaller ones than those that were not, but not by so much.
const BEYOND_MEAN: f64 = 2.0;

/// Shares of residuals by which that is told.
const SHARES: [f64; 4] = [0.5, 0.2, 0.1, 0.05];

/// Scores of a period.
#[derive(Clone, Debug, Default)]
struct Period {
    /// Rows learned in it.
    rows: f64,
    /// Rows after which it ends.
    length: f64,
    residual: Sketch,
    t2: Sketch,
    distance: Sketch,
}

/// Components that score.
#[derive(Debug)]
struct Frame {
    estimate: Estimate,
    projection: Projection,
    /// Weight of all rows when they were copied, as far as it is remembered.
    weight: f64,
    /// Minibatches learned then.
    minibatches: u64,
}

/// Chooses rows, scores them, and gathers the scores.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    forgetting: Forgetting,
    weight: f64,
    minibatches: u64,
    frame: Option<Frame>,
    period: Period,
    before: Option<Period>,
    chosen: Vec<usize>,
    values: Vec<f64>,
    buffers: ScoreBuffers,
}

impl Tracker {
    pub fn new(forgetting: Forgetting) -> Self {
        Self {
            forgetting,
            ..Self::default()
        }
    }

    /// Begins where `rows` rows were learned already.
    pub fn begin(&mut self, rows: u64) {
        let kept = 1.0 - self.forgetting.factor_per_row();
        *self = Self {
            weight: (rows as f64).min(1.0 / kept),
            ..Self::new(self.forgetting)
        };
    }

    /// Scores some rows of a minibatch that is about to be learned; `first` rows were before it.
    pub fn score(&mut self, batch: &Minibatch, first: u64) {
        let Some(frame) = &self.frame else { return };
        let apart = (self.weight / ALL_ROWS).powf(GROWTH_APART);
        let apart = apart.floor().clamp(1.0, ROWS_APART) as u64;
        let (of_minibatch, minibatches) = (apart.min(ROWS_TOGETHER), apart.div_ceil(ROWS_TOGETHER));
        if !hash(self.minibatches).is_multiple_of(minibatches) {
            return;
        }
        let chosen =
            (0..batch.rows() as u64).filter(|i| hash(first + i).is_multiple_of(of_minibatch));
        self.chosen.clear();
        self.chosen.extend(chosen.map(|i| i as usize));
        gather(batch, &self.chosen, &mut self.values);
        let rows = Rows::from_f64(&self.values, batch.features());
        let scores = frame.projection.statistics(&rows, &mut self.buffers);
        for (to, values) in [
            (&mut self.period.residual, &scores.residual),
            (&mut self.period.t2, &scores.t2),
            (&mut self.period.distance, &scores.distance),
        ] {
            values.iter().for_each(|value| to.add(*value));
        }
    }

    /// Counts `rows` rows that were learned.
    pub fn advance(&mut self, rows: usize) {
        let gamma = self.forgetting.factor_per_row();
        let b = rows as f64;
        self.minibatches += 1;
        if gamma < 1.0 {
            let decay = gamma.powf(b);
            self.weight = self.weight * decay + (1.0 - decay) / (1.0 - gamma);
            if let Some(frame) = &mut self.frame {
                frame.weight *= decay;
            }
        } else {
            self.weight += b;
        }
        if self.frame.is_none() {
            return;
        }
        self.period.rows += b;
        if self.period.rows >= self.period.length {
            let next = Period {
                length: length(self.weight),
                ..Period::default()
            };
            self.before = Some(std::mem::replace(&mut self.period, next));
        }
    }

    /// True if the components that score are to be renewed.
    pub fn is_due(&self) -> bool {
        self.frame.as_ref().is_none_or(|frame| {
            let apart = MINIBATCHES_APART.min(self.minibatches / 8);
            self.weight >= GROWTH * frame.weight && self.minibatches - frame.minibatches >= apart
        })
    }

    /// Scores by these components from now on.
    pub fn renew(&mut self, estimate: Estimate) {
        if self.frame.is_none() || self.is_outdated(&estimate) {
            self.before = None;
            self.period = Period {
                length: length(self.weight),
                ..Period::default()
            };
        }
        self.frame = Some(Frame {
            projection: Projection::with_equal_noise(&estimate),
            estimate,
            weight: self.weight,
            minibatches: self.minibatches,
        });
    }

    /// True if the rows that were scored lie farther out than `estimate` says that rows are: something has changed (a unit, a
    /// level, the components), and was scored by what had been before. Its residuals would be the limits for long.
    fn is_outdated(&self, estimate: &Estimate) -> bool {
        let Rest::Noise {
            variance,
            directions,
        } = estimate.rest(estimate.components().min(estimate.determined))
        else {
            return false;
        };
        let most = BEYOND_MEAN * variance * directions as f64;
        let mut periods = std::iter::once(&self.period).chain(&self.before);
        periods.any(|period| period.residual.exceeds(most, &SHARES))
    }

    /// The distributions of what was scored.
    pub fn limits(&self) -> Option<Limits> {
        let frame = self.frame.as_ref()?;
        let law = |of: &dyn Fn(&Period) -> &Sketch| {
            let law = of(&self.period).distribution(self.before.as_ref().map(of));
            law.is_known().then_some(law)
        };
        let limits = Limits {
            components: frame.estimate.components(),
            residual: law(&|period| &period.residual),
            t2: law(&|period| &period.t2),
            distance: law(&|period| &period.distance),
        };
        let is_any = limits.named().iter().any(|(_, law)| law.is_some());
        is_any.then_some(limits)
    }

    /// Writes everything that later rows depend on.
    pub fn save(&self, to: &mut Encoder) {
        to.f64(self.weight);
        to.u64(self.minibatches);
        to.bool(self.frame.is_some());
        if let Some(frame) = &self.frame {
            to.f64(frame.weight);
            to.u64(frame.minibatches);
            frame.save(to);
        }
        self.period.save(to);
        to.bool(self.before.is_some());
        if let Some(before) = &self.before {
            before.save(to);
        }
    }

    /// Reads what was written, of as many features.
    pub fn restore(&mut self, from: &mut Decoder<'_>, features: usize) -> Result<(), CodecError> {
        *self = Self::new(self.forgetting);
        self.weight = finite(from)?;
        self.minibatches = from.u64()?;
        if from.bool()? {
            let (weight, minibatches) = (finite(from)?, from.u64()?);
            let estimate = restore_frame(from, features)?;
            if minibatches > self.minibatches {
                return Err(from.refuse("components copied after the last minibatch"));
            }
            self.frame = Some(Frame {
                projection: Projection::with_equal_noise(&estimate),
                estimate,
                weight,
                minibatches,
            });
        }
        self.period = Period::restore(from)?;
        if from.bool()? {
            self.before = Some(Period::restore(from)?);
        }
        Ok(())
    }
}

impl Period {
    fn save(&self, to: &mut Encoder) {
        to.f64(self.rows);
        to.f64(self.length);
        for sketch in [&self.residual, &self.t2, &self.distance] {
            sketch.save(to);
        }
    }

    fn restore(from: &mut Decoder<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            rows: finite(from)?,
            length: finite(from)?,
            residual: Sketch::restore(from)?,
            t2: Sketch::restore(from)?,
            distance: Sketch::restore(from)?,
        })
    }
}

impl Frame {
    /// What scoring needs of the estimate.
    fn save(&self, to: &mut Encoder) {
        let estimate = &self.estimate;
        to.usize(estimate.components());
        to.usize(estimate.determined);
        to.f64(estimate.total_variance);
        for numbers in [
            &estimate.mean,
            &estimate.scale,
            &estimate.variance,
            &estimate.observed,
            &estimate.eigenvalues,
            &estimate.vectors,
        ] {
            to.f64s(numbers);
        }
        for flags in [&estimate.constant, &estimate.active] {
            flags.iter().for_each(|flag| to.bool(*flag));
        }
    }
}

fn restore_frame(from: &mut Decoder<'_>, m: usize) -> Result<Estimate, CodecError> {
    let (k, determined) = (from.usize()?, from.usize()?);
    if k > m || determined > k {
        return Err(from.refuse(format!("{k} components of {m} features")));
    }
    let total_variance = finite(from)?;
    let mut numbers = |len: usize| {
        let numbers = from.f64s_of(len)?;
        if numbers.iter().all(|v| v.is_finite()) {
            Ok(numbers)
        } else {
            Err(from.refuse("a value is not a finite number"))
        }
    };
    let (mean, scale) = (numbers(m)?, numbers(m)?);
    let (variance, observed) = (numbers(m)?, numbers(m)?);
    let (eigenvalues, vectors) = (numbers(k)?, numbers(k * m)?);
    let mut flags = |len: usize| (0..len).map(|_| from.bool()).collect::<Result<Vec<_>, _>>();
    let (constant, active) = (flags(m)?, flags(k)?);
    Ok(Estimate {
        features: m,
        determined,
        total_variance,
        mean,
        scale,
        variance,
        observed,
        eigenvalues,
        vectors,
        constant,
        active,
        ..Estimate::default()
    })
}

fn finite(from: &mut Decoder<'_>) -> Result<f64, CodecError> {
    let value = from.f64()?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(from.refuse(format!("{value} is not a finite number")))
    }
}

/// Copies the `chosen` rows of a minibatch, row by row.
fn gather(batch: &Minibatch, chosen: &[usize], to: &mut Vec<f64>) {
    match batch.values() {
        Values::F32(values) => gather_of(&values[..], batch, chosen, to),
        Values::F64(values) => gather_of(&values[..], batch, chosen, to),
    }
}

fn gather_of<T: Real>(values: &[T], batch: &Minibatch, chosen: &[usize], to: &mut Vec<f64>) {
    let (m, row) = (batch.features(), batch.row_stride());
    if batch.layout() == Layout::RowMajor {
        to.clear();
        let rows = chosen.iter().map(|i| &values[i * row..][..m]);
        to.extend(rows.flatten().map(|v| v.wide()));
        return;
    }
    to.resize(chosen.len() * m, 0.0);
    for j in 0..m {
        let column = &values[j * batch.col_stride()..];
        for (at, i) in chosen.iter().enumerate() {
            to[at * m + j] = column[*i].wide();
        }
    }
}

/// Rows of a period that begins at this weight.
fn length(weight: f64) -> f64 {
    if weight < EARLY { 0.5 * weight } else { weight }
}

/// Mixes the bits of a position. Source: Steele, Lea, Flood 2014 (SplitMix64).
fn hash(position: u64) -> u64 {
    let mut z = position.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
