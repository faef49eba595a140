//! Finds features that only number the rows, by how they move: row numbers, times, meters, sorted
//! ids.
//!
//! In: minibatches not yet learned. Out: features whose values rise again and again and hardly ever
//! fall, and features that count in equal steps and fall only to where they began, however often.
//! All of the first rows are examined, then the last few of each minibatch; a feature that falls in
//! any other way is no longer examined. The cost is a small part of one pass over the values, and
//! which rows are examined depends only on their positions.

use crate::codec::{CodecError, Decoder, Encoder};
use crate::linalg::Real;
use crate::rows::{Minibatch, Values};

/// Rows at the start of a feed that are all examined: few files have fewer, and if values are in
/// any other order hardly a feature is left after ten.
const FIRST_ROWS: u64 = 128;
/// Rows examined at the end of each later minibatch, which has 64 or more.
const ROWS_A_MINIBATCH: usize = 4;
/// Rises needed as evidence: a feature that moves either way rises 20 times out of 20 once in 10⁶.
const RISES_LEAST: u64 = 20;
/// Rises required per fall of a counter, which may start over with a file, a day or a power cut.
const RISES_A_FALL: u64 = 100;
/// Steps that a counter which keeps starting over must reach to be reported. Hours, minutes and
/// seconds of a clock have fewer, and may be wanted as features.
const STEPS_LEAST: f64 = 64.0;
/// Further falls after which a feature is no longer examined.
const FALLS_SPARE: u64 = 2;
/// Rounding errors by which two equal steps may differ: those of the two values and of their
/// decoding.
const ROUNDINGS: f64 = 4.0;
/// Version of what is written.
const VERSION: u8 = 2;
/// The previous version, without steps: these are counted from then on.
const WITHOUT_STEPS: u8 = 1;

/// Moves of one feature so far.
#[derive(Clone, Debug)]
struct Watched {
    feature: usize,
    /// The last value examined; NaN before the first, and where it was missing.
    last: f64,
    rises: u64,
    falls: u64,
    steps: Steps,
}

/// Moves of a feature from a row to the very next one.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Steps {
    /// The smallest value examined: where counting starts.
    start: f64,
    /// The largest value examined.
    end: f64,
    /// The step of every rise so far; 0 before the first.
    size: f64,
    rises: u64,
    /// True once it has moved by another step, or fallen elsewhere.
    is_uneven: bool,
}

impl Steps {
    const NONE: Self = Self {
        start: f64::INFINITY,
        end: f64::NEG_INFINITY,
        size: 0.0,
        rises: 0,
        is_uneven: false,
    };

    /// Takes a move; `rounding` is that of the larger of both values.
    fn update(&mut self, from: f64, to: f64, rounding: f64) {
        if to > from {
            let (step, room) = (to - from, ROUNDINGS * rounding);
            if self.rises == 0 {
                self.size = step;
            }
            self.rises += 1;
            // Steps that are all but rounding are equal to anything.
            let is_even = (step - self.size).abs() <= room && 4.0 * room < self.size;
            self.is_uneven |= !is_even;
        } else if to < from {
            self.is_uneven |= to > self.start;
        }
    }

    /// Takes any examined value: whole steps from the start, as far as rounding tells.
    fn visit(&mut self, value: f64, rounding: f64) {
        if self.rises > 0 && !self.is_uneven {
            let steps = (value - self.start) / self.size;
            // The size of a step is known to the rounding of two values, and taken so many times.
            let room = ROUNDINGS * rounding / self.size * (1.0 + steps.abs());
            self.is_uneven |= room < 0.1 && (steps - steps.round()).abs() > room;
        }
        self.start = self.start.min(value);
        self.end = self.end.max(value);
    }

    fn counts(&self) -> bool {
        let is_far = self.end - self.start >= STEPS_LEAST * self.size;
        !self.is_uneven && self.rises >= RISES_LEAST && is_far
    }
}

impl Watched {
    /// Takes the next value, that of the row behind the last one if `is_next`; returns whether the
    /// feature may still be one that counts.
    fn update<X: Real>(&mut self, value: X, is_next: bool) -> bool {
        let value = value.wide();
        if value > self.last {
            self.rises += 1;
        } else if value < self.last {
            self.falls += 1;
        // A comparison with NaN is false both ways: a missing value is neither a rise nor a fall.
        } else if !value.is_nan() && !self.last.is_nan() {
            // It has not moved: pixels at the border of a picture never do.
            return true;
        }
        if !self.steps.is_uneven {
            let rounding = X::ROUNDING * value.abs().max(self.last.abs());
            if is_next {
                self.steps.update(self.last, value, rounding);
            }
            self.steps.visit(value, rounding);
        }
        self.last = value;
        self.falls <= FALLS_SPARE + self.rises / RISES_A_FALL || !self.steps.is_uneven
    }

    fn counts(&self) -> bool {
        let hardly_falls = self.rises >= RISES_LEAST && self.falls <= self.rises / RISES_A_FALL;
        hardly_falls || self.steps.counts()
    }
}

/// Watches how m features move, in O(m) memory at first and O(1) for those that move either way.
#[derive(Clone, Debug)]
pub struct Monitor {
    features: usize,
    /// Number of rows seen.
    rows: u64,
    watched: Vec<Watched>,
}

impl Monitor {
    /// A monitor of m features that has seen no rows.
    pub fn new(features: usize) -> Self {
        let watched = (0..features).map(|feature| Watched {
            feature,
            last: f64::NAN,
            rises: 0,
            falls: 0,
            steps: Steps::NONE,
        });
        Self {
            features,
            rows: 0,
            watched: watched.collect(),
        }
    }

    /// Examines the next minibatch, which must have as many features.
    pub fn update(&mut self, batch: &Minibatch) {
        if batch.features() != self.features {
            return;
        }
        let rows = batch.rows();
        if !self.watched.is_empty() {
            match batch.values() {
                Values::F32(x) => self.update_from(x, batch),
                Values::F64(x) => self.update_from(x, batch),
            }
        }
        self.rows += rows as u64;
    }

    fn update_from<X: Real>(&mut self, x: &[X], batch: &Minibatch) {
        let rows = batch.rows();
        let left = FIRST_ROWS.saturating_sub(self.rows);
        let all = rows.min(usize::try_from(left).unwrap_or(usize::MAX));
        let last = rows - ROWS_A_MINIBATCH.min(rows - all);
        let (row, col) = (batch.row_stride(), batch.col_stride());
        // A feature that moves both ways is dropped for good, so that after a few minibatches
        // hardly any is left to check.
        self.watched.retain_mut(|watched| {
            let x = &x[watched.feature * col..];
            // The last row of a minibatch is always looked at, so that the first one follows it.
            let is_next = |i| i <= all || i > last;
            (0..all)
                .chain(last..rows)
                .all(|i| watched.update(x[i * row], is_next(i)))
        });
    }

    /// Features that only count, in order, and how often each was seen to start over.
    pub fn counting(&self) -> Vec<(usize, u64)> {
        let counting = self.watched.iter().filter(|watched| watched.counts());
        counting
            .map(|watched| (watched.feature, watched.falls))
            .collect()
    }

    /// Writes everything that later minibatches depend on.
    pub fn save(&self, to: &mut Encoder) {
        to.u8(VERSION);
        to.u64(self.rows);
        to.usize(self.watched.len());
        for watched in &self.watched {
            to.usize(watched.feature);
            to.f64(watched.last);
            to.u64(watched.rises);
            to.u64(watched.falls);
            let steps = &watched.steps;
            to.f64(steps.start);
            to.f64(steps.end);
            to.f64(steps.size);
            to.u64(steps.rises);
            to.bool(steps.is_uneven);
        }
    }

    /// Reads what a monitor with as many features wrote.
    ///
    /// # Errors
    /// If the bytes are not what was written.
    pub fn restore(from: &mut Decoder<'_>, features: usize) -> Result<Self, CodecError> {
        let version = from.u8()?;
        if version != VERSION && version != WITHOUT_STEPS {
            return Err(from.refuse(format!("version {version}")));
        }
        let rows = from.u64()?;
        let mut watched = Vec::new();
        for _ in 0..from.count(32)? {
            let mut one = Watched {
                feature: from.usize()?,
                last: from.f64()?,
                rises: from.u64()?,
                falls: from.u64()?,
                steps: Steps::NONE,
            };
            if version == VERSION {
                one.steps = Steps {
                    start: from.f64()?,
                    end: from.f64()?,
                    size: from.f64()?,
                    rises: from.u64()?,
                    is_uneven: from.bool()?,
                };
            }
            if one.feature >= features {
                return Err(from.refuse(format!("feature {} of {features}", one.feature)));
            }
            watched.push(one);
        }
        Ok(Self {
            features,
            rows,
            watched,
        })
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt as _, SeedableRng as _};
    use rand_distr::{Distribution as _, StandardNormal};

    use super::*;

    /// Features that count: a row number, a time in steps of seven rows, a meter, a row number that
    /// starts over with a second file, one that does so every 1,000 rows and one that does with files
    /// of other lengths. Then those that do not: noise, a sine, a column that is nearly always zero,
    /// a constant, the hour of a day, the minute of an hour, a tank that fills evenly and is emptied,
    /// but not to the same level.
    fn row(i: usize, random: &mut ChaCha8Rng, meter: &mut f64) -> Vec<f64> {
        *meter += random.random::<f64>();
        let t = i as f64;
        let rare = if i.is_multiple_of(37) { 5.0 } else { 0.0 };
        let noise = random.random::<f64>();
        let sine = (t / 30.0).sin();
        let of_file = (0..).map(|file| 100 + file * 37 % 90);
        let mut in_file = i;
        for rows in of_file {
            if in_file < rows {
                break;
            }
            in_file -= rows;
        }
        let level = 0.3 * (i / 150 * 7919 % 13) as f64 + (i % 150) as f64;
        vec![
            t,
            (i / 7) as f64,
            *meter,
            (i % 10_000) as f64,
            (i % 1_000) as f64,
            in_file as f64 + 1.0,
            noise,
            sine,
            rare,
            3.0,
            (i % 24) as f64,
            (i % 60) as f64,
            level,
        ]
    }

    /// Features in a row.
    const M: usize = 13;
    const COUNTING: [usize; 6] = [0, 1, 2, 3, 4, 5];

    fn counting(rows: usize, b: usize) -> Vec<usize> {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut meter = 0.0;
        let mut monitor = Monitor::new(M);
        let mut left = rows;
        let mut at = 0;
        while left > 0 {
            let n = left.min(b);
            let values: Vec<f64> = (at..at + n)
                .flat_map(|i| row(i, &mut random, &mut meter))
                .collect();
            monitor.update(&Minibatch::from_rows(&values, M));
            (at, left) = (at + n, left - n);
        }
        monitor.counting().into_iter().map(|(j, _)| j).collect()
    }

    #[test]
    fn what_only_numbers_the_rows_is_told_from_what_moves_either_way() {
        for b in [64, 240, 5_000] {
            assert_eq!(counting(20_000, b), COUNTING, "minibatches of {b}");
        }
        assert!(counting(20, 64).is_empty(), "20 rows show nothing");
    }

    #[test]
    fn hardly_a_walk_or_a_process_passes_for_a_counter() {
        const WALKS: usize = 4_000;
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
        // A walk, one with a drift of a tenth of its steps, slow noise, and a sawtooth of 300 rows with
        // noise of a tenth of its steps: none of them rises from row to row for long.
        let (mut walks, mut slow) = (vec![0.0; 2 * WALKS], vec![0.0; WALKS]);
        let mut monitor = Monitor::new(4 * WALKS);
        for i in 0..640 {
            let saw = f64::from(i % 300);
            for (j, walk) in walks.iter_mut().enumerate() {
                *walk += normal() + if j < WALKS { 0.0 } else { 0.1 };
            }
            for value in &mut slow {
                *value = 0.99 * *value + 0.1 * normal();
            }
            let saws: Vec<f64> = (0..WALKS).map(|_| saw + 0.5 * normal()).collect();
            let values = [walks.clone(), slow.clone(), saws].concat();
            monitor.update(&Minibatch::from_rows(&values, 4 * WALKS));
        }
        assert_eq!(monitor.counting(), []);
    }

    #[test]
    fn a_monitor_that_was_stored_goes_on_as_if_it_had_not_been() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut meter = 0.0;
        let values: Vec<f64> = (0..300)
            .flat_map(|i| row(i, &mut random, &mut meter))
            .collect();
        let (first, second) = values.split_at(M * 100);
        let mut whole = Monitor::new(M);
        whole.update(&Minibatch::from_rows(first, M));
        let mut bytes = Encoder::new();
        whole.save(&mut bytes);
        let bytes = bytes.into_bytes();
        let mut from = Decoder::new("monitor", &bytes);
        let mut resumed = Monitor::restore(&mut from, M).unwrap();
        from.finish().unwrap();
        for monitor in [&mut whole, &mut resumed] {
            monitor.update(&Minibatch::from_rows(second, M));
        }
        let state = |monitor: &Monitor| {
            let mut bytes = Encoder::new();
            monitor.save(&mut bytes);
            bytes.into_bytes()
        };
        // The bits: a value that was missing is a NaN.
        assert_eq!(state(&whole), state(&resumed));
        assert_eq!(whole.counting(), resumed.counting());
        for len in 0..bytes.len() {
            let mut from = Decoder::new("monitor", &bytes[..len]);
            assert!(Monitor::restore(&mut from, M).is_err(), "{len} bytes");
        }
        assert!(Monitor::restore(&mut Decoder::new("monitor", &bytes), 2).is_err());
    }
}
