//! Features that only number the rows, told by how they move: row numbers, times, meters, sorted ids.
//!
//! In: minibatches that are not learned yet. Out: features whose values rise again and again and hardly
//! ever fall. All of the first rows are looked at, then a few of each minibatch, and a feature that falls
//! too often no more: what it costs is a small part of one pass over the values, and which rows are
//! looked at depends on their positions alone.

use std::collections::HashSet;

use crate::codec::{CodecError, Decoder, Encoder};
use crate::rows::{Minibatch, Values};

/// Rows of a feed that are all looked at: few files have fewer, and of values in any other order hardly
/// a feature is left after ten.
const FIRST_ROWS: u64 = 128;
/// Rows of a minibatch looked at behind those: a minibatch has 64 and more.
const ROWS_A_MINIBATCH: usize = 4;
/// Rises that show something: a feature that moves either way rises 20 times out of 20 once in 10⁶.
const RISES_LEAST: u64 = 20;
/// Rises for one fall that a counter may show: it starts over with a file, a day, a power cut.
const RISES_A_FALL: u64 = 100;
/// Falls beside these after which a feature is looked at no more.
const FALLS_SPARE: u64 = 2;
/// Version of what is written.
const VERSION: u8 = 1;

/// How one feature has moved.
#[derive(Clone, Debug, PartialEq)]
struct Watched {
    feature: usize,
    /// The last value looked at; NaN before the first.
    last: f64,
    rises: u64,
    falls: u64,
}

impl Watched {
    /// Takes the next value; whether the feature may still be one that counts.
    fn take(&mut self, value: f64) -> bool {
        if value > self.last {
            self.rises += 1;
        } else if value < self.last {
            self.falls += 1;
        }
        if !value.is_nan() {
            self.last = value;
        }
        self.falls <= FALLS_SPARE + self.rises / RISES_A_FALL
    }

    fn counts(&self) -> bool {
        self.rises >= RISES_LEAST && self.falls <= self.rises / RISES_A_FALL
    }
}

/// Watches how m features move, in O(m) memory at first and O(1) for those that move either way.
#[derive(Clone, Debug)]
pub struct Monitor {
    features: usize,
    /// Rows seen.
    rows: u64,
    watched: Vec<Watched>,
    /// Features of which a warning was given; a run that goes on gives it again.
    told: HashSet<String>,
}

impl Monitor {
    /// Before the first row of m features.
    pub fn new(features: usize) -> Self {
        let watched = (0..features).map(|feature| Watched {
            feature,
            last: f64::NAN,
            rises: 0,
            falls: 0,
        });
        Self {
            features,
            rows: 0,
            watched: watched.collect(),
            told: HashSet::new(),
        }
    }

    /// Looks at the next minibatch, of as many features.
    pub fn look(&mut self, batch: &Minibatch) {
        if batch.features() != self.features {
            return;
        }
        let rows = batch.rows();
        if !self.watched.is_empty() {
            let left = FIRST_ROWS.saturating_sub(self.rows);
            let all = rows.min(usize::try_from(left).unwrap_or(usize::MAX));
            // The last row of each of as many equal parts: those of the next minibatch go on from there.
            let rest = rows - all;
            let parts = ROWS_A_MINIBATCH.min(rest);
            let some = (1..=parts).map(|part| all + rest * part / parts - 1);
            let looked_at = (0..all).chain(some);
            let (row, col) = (batch.row_stride(), batch.col_stride());
            match batch.values() {
                Values::F32(x) => self.watched.retain_mut(|watched| {
                    let x = &x[watched.feature * col..];
                    looked_at
                        .clone()
                        .all(|i| watched.take(f64::from(x[i * row])))
                }),
                Values::F64(x) => self.watched.retain_mut(|watched| {
                    let x = &x[watched.feature * col..];
                    looked_at.clone().all(|i| watched.take(x[i * row]))
                }),
            }
        }
        self.rows += rows as u64;
    }

    /// Features that only count, in their order, and how often each began anew.
    pub fn counting(&self) -> Vec<(usize, u64)> {
        let counting = self.watched.iter().filter(|watched| watched.counts());
        counting
            .map(|watched| (watched.feature, watched.falls))
            .collect()
    }

    /// Whether this is the first that is told of the feature.
    pub fn tell(&mut self, feature: &str) -> bool {
        self.told.insert(feature.to_owned())
    }

    /// Writes all that later looks depend on.
    pub fn save(&self, to: &mut Encoder) {
        to.u8(VERSION);
        to.u64(self.rows);
        to.usize(self.watched.len());
        for watched in &self.watched {
            to.usize(watched.feature);
            to.f64(watched.last);
            to.u64(watched.rises);
            to.u64(watched.falls);
        }
    }

    /// Reads what a monitor of as many features wrote.
    ///
    /// # Errors
    /// If the bytes are not what was written.
    pub fn restore(from: &mut Decoder<'_>, features: usize) -> Result<Self, CodecError> {
        let version = from.u8()?;
        if version != VERSION {
            return Err(from.refuse(format!("version {version}")));
        }
        let rows = from.u64()?;
        let mut watched = Vec::new();
        for _ in 0..from.count(32)? {
            let one = Watched {
                feature: from.usize()?,
                last: from.f64()?,
                rises: from.u64()?,
                falls: from.u64()?,
            };
            if one.feature >= features {
                return Err(from.refuse(format!("feature {} of {features}", one.feature)));
            }
            watched.push(one);
        }
        Ok(Self {
            features,
            rows,
            watched,
            told: HashSet::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    /// Features that count: a row number, a time in steps of seven rows, a meter, a row number that
    /// starts over with a second file. Then those that do not: noise, a sine, a column that is
    /// nearly always zero, a constant, a sawtooth of 24.
    fn row(i: usize, random: &mut ChaCha8Rng, meter: &mut f64) -> Vec<f64> {
        *meter += random.random::<f64>();
        let t = i as f64;
        let rare = if i.is_multiple_of(37) { 5.0 } else { 0.0 };
        let noise = random.random::<f64>();
        let (day, sine) = ((i % 24) as f64, (t / 30.0).sin());
        vec![
            t,
            (i / 7) as f64,
            *meter,
            (i % 10_000) as f64,
            noise,
            sine,
            rare,
            3.0,
            day,
        ]
    }

    fn counting(rows: usize, b: usize) -> Vec<usize> {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut meter = 0.0;
        let mut monitor = Monitor::new(9);
        let mut left = rows;
        let mut at = 0;
        while left > 0 {
            let n = left.min(b);
            let values: Vec<f64> = (at..at + n)
                .flat_map(|i| row(i, &mut random, &mut meter))
                .collect();
            monitor.look(&Minibatch::from_rows(&values, 9));
            (at, left) = (at + n, left - n);
        }
        monitor.counting().into_iter().map(|(j, _)| j).collect()
    }

    #[test]
    fn what_only_numbers_the_rows_is_told_from_what_moves_either_way() {
        for b in [64, 240, 5_000] {
            assert_eq!(counting(20_000, b), [0, 1, 2, 3], "minibatches of {b}");
            assert_eq!(
                counting(200, b),
                [0, 1, 2, 3],
                "200 rows, minibatches of {b}"
            );
        }
        assert!(counting(20, 64).is_empty(), "20 rows show nothing");
    }

    #[test]
    fn a_monitor_that_was_stored_goes_on_as_if_it_had_not_been() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut meter = 0.0;
        let values: Vec<f64> = (0..300)
            .flat_map(|i| row(i, &mut random, &mut meter))
            .collect();
        let (first, second) = values.split_at(9 * 100);
        let mut whole = Monitor::new(9);
        whole.look(&Minibatch::from_rows(first, 9));
        let mut bytes = Encoder::new();
        whole.save(&mut bytes);
        let bytes = bytes.into_bytes();
        let mut from = Decoder::new("monitor", &bytes);
        let mut resumed = Monitor::restore(&mut from, 9).unwrap();
        from.finish().unwrap();
        for monitor in [&mut whole, &mut resumed] {
            monitor.look(&Minibatch::from_rows(second, 9));
        }
        assert_eq!(whole.watched, resumed.watched);
        assert_eq!(whole.counting(), resumed.counting());
        for len in 0..bytes.len() {
            let mut from = Decoder::new("monitor", &bytes[..len]);
            assert!(Monitor::restore(&mut from, 9).is_err(), "{len} bytes");
        }
        assert!(Monitor::restore(&mut Decoder::new("monitor", &bytes), 2).is_err());
    }
}
