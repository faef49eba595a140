//! The drift detector: silent on what stays the same, quick on what changes.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, RecordBatch};
use ojad::codec::{Decoder, Encoder};
use ojad::learner::drift::{Drift, DriftKind, DriftParams, DriftReport};
use ojad::learner::{Learner, LearnerParams, new};
use ojad::rows::{Layout, Minibatch, Values, Width};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Distribution as _, StandardNormal, StudentT};

use crate::feeds::{Place, parquet, rows};
use crate::program::stderr;

const M: usize = 12;
const B: usize = 500;

/// Rows with variances 9, 4, 2.25 along three directions and 1 along all others.
struct Feed {
    random: ChaCha8Rng,
    /// Standard deviation of each feature.
    deviations: [f64; M],
    /// Angle by which the first feature turns into the last.
    angle: f64,
    mean: f64,
    /// Correlation of two features outside the components.
    outside: f64,
    /// Student's law with three degrees of freedom, and not the normal one.
    is_heavy: bool,
    /// Correlation of a row with the one before.
    memory: f64,
    before: [f64; M],
}

impl Feed {
    fn new(seed: u64) -> Self {
        let mut deviations = [1.0; M];
        deviations[..3].copy_from_slice(&[3.0, 2.0, 1.5]);
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            deviations,
            angle: 0.0,
            mean: 0.0,
            outside: 0.0,
            is_heavy: false,
            memory: 0.0,
            before: [0.0; M],
        }
    }

    fn fill(&mut self, batch: &mut Minibatch) {
        let heavy = StudentT::new(3.0).unwrap();
        let (sin, cos) = self.angle.sin_cos();
        let fresh = (1.0 - self.memory * self.memory).sqrt();
        let (row, col) = (batch.row_stride(), batch.col_stride());
        let Values::F32(values) = batch.values_mut() else {
            unreachable!("made so")
        };
        for i in 0..B {
            for (before, deviation) in self.before.iter_mut().zip(self.deviations) {
                let z: f64 = if self.is_heavy {
                    heavy.sample(&mut self.random)
                } else {
                    f64::from(<StandardNormal as rand_distr::Distribution<f32>>::sample(
                        &StandardNormal,
                        &mut self.random,
                    ))
                };
                *before = self.memory * *before + fresh * z * deviation;
            }
            let mut x = self.before;
            x[8] = self.outside * x[7] + (1.0 - self.outside * self.outside).sqrt() * x[8];
            let last = M - 1;
            (x[0], x[last]) = (cos * x[0] - sin * x[last], sin * x[0] + cos * x[last]);
            for (j, x) in x.iter().enumerate() {
                values[i * row + j * col] = (x + self.mean) as f32;
            }
        }
        batch.set_rows(B);
    }
}

struct Watched {
    feed: Feed,
    learner: Box<dyn Learner>,
    drift: Drift,
    batch: Minibatch,
}

impl Watched {
    fn new(feed: Feed, params: DriftParams) -> Self {
        let learner = LearnerParams {
            components: 3,
            minibatch: Some(B),
            ..LearnerParams::default()
        };
        Self {
            feed,
            learner: new(&learner, M).unwrap(),
            drift: Drift::new(params),
            batch: Minibatch::new(Width::F32, Layout::ColumnMajor, B, M),
        }
    }

    fn step(&mut self) -> Option<DriftReport> {
        self.batch = Minibatch::new(Width::F32, Layout::ColumnMajor, B, M);
        self.feed.fill(&mut self.batch);
        let event = self
            .drift
            .update(&self.batch, self.learner.as_ref())
            .unwrap();
        self.learner.update(self.batch.clone()).unwrap();
        event
    }

    /// Rows until the first event, or nothing within `rows`.
    fn until_event(&mut self, rows: u64) -> Option<(u64, DriftReport)> {
        (1..=rows / B as u64).find_map(|i| self.step().map(|report| (i * B as u64, report)))
    }
}

fn params(short: u64, false_alarms_per_million_rows: f64) -> DriftParams {
    DriftParams {
        short_half_life_rows: short,
        long_half_life_rows: 20 * short,
        components: 3,
        false_alarms_per_row: false_alarms_per_million_rows * 1e-6,
        seed: 0,
    }
}

#[test]
fn ten_million_rows_that_stay_the_same_are_no_drift() {
    let rows = 10_000_000;
    // The default rate allows one, and a rate at which the bound can be seen to hold fifty.
    for (rate, seed) in [(0.1, 1), (5.0, 2)] {
        let mut watched = Watched::new(Feed::new(seed), params(20_000, rate));
        for _ in 0..rows / B as u64 {
            watched.step();
        }
        let events = watched.drift.events();
        println!("stationary: {rows} rows, {rate} a million rows allowed, {events} events");
        assert!(
            events as f64 <= rate * rows as f64 * 1e-6,
            "{events} events"
        );
    }
}

#[test]
fn heavy_tails_and_memory_are_no_drift() {
    let rows = 2_000_000_u64;
    for (is_heavy, memory) in [(true, 0.0), (false, 0.98), (true, 0.9)] {
        let feed = Feed {
            is_heavy,
            memory,
            ..Feed::new(3)
        };
        let mut watched = Watched::new(feed, params(20_000, 0.1));
        let found = watched.until_event(rows);
        println!("heavy {is_heavy}, memory {memory}: {rows} rows, {found:?}");
        assert_eq!(found, None, "heavy {is_heavy}, memory {memory}");
    }
}

/// What changes, and what it is called.
type Change = (&'static str, fn(&mut Feed), DriftKind);

const CHANGES: [Change; 7] = [
    (
        "rotation by 10°",
        |feed| feed.angle = 10_f64.to_radians(),
        DriftKind::Rotation,
    ),
    (
        "variance of a component × 1.1",
        |feed| feed.deviations[1] *= 1.1_f64.sqrt(),
        DriftKind::Variance,
    ),
    (
        "variance of everything × 1.1",
        |feed| {
            feed.deviations
                .iter_mut()
                .for_each(|d| *d *= 1.1_f64.sqrt());
        },
        DriftKind::Variance,
    ),
    (
        "noise × 1.1",
        |feed| {
            feed.deviations[3..]
                .iter_mut()
                .for_each(|d| *d *= 1.1_f64.sqrt());
        },
        DriftKind::Variance,
    ),
    ("mean + 0.2", |feed| feed.mean = 0.2, DriftKind::Mean),
    (
        "variance of a feature outside the components × 1.2",
        |feed| feed.deviations[6] *= 1.2_f64.sqrt(),
        DriftKind::Variance,
    ),
    (
        "correlation of two features outside the components",
        |feed| feed.outside = 0.2,
        DriftKind::Rotation,
    ),
];

#[test]
fn rows_that_depend_on_each_other_for_long_are_no_drift_and_that_is_told() {
    // A block of an eighth of the time that rows depend on each other, and of a hundredth.
    let feed = |seed| Feed {
        memory: 0.999,
        ..Feed::new(seed)
    };
    let short = 16 * B as u64;
    let mut watched = Watched::new(feed(31), params(short, 0.1));
    assert_eq!(watched.until_event(2_000_000), None);
    let unjudged = watched.drift.news().expect("it cannot be judged");
    // The means of all features, at least; products forget twice as fast.
    assert!(unjudged.statistics >= M, "{unjudged:?}");
    assert_eq!(watched.drift.news(), None, "said once");
    let report = watched.drift.report().unwrap();
    assert_eq!(report.unjudged, unjudged.statistics);
    let short = unjudged.needed_half_life_rows;
    println!("{unjudged:?}");
    assert!((20_000..=100_000).contains(&short), "{short}");
    // With the half-life that it proposes everything can be judged.
    let mut watched = Watched::new(feed(32), params(short, 0.1));
    assert_eq!(watched.until_event(15 * short), None);
    assert!(watched.drift.report().is_some());
    assert_eq!(watched.drift.news(), None);
}

#[test]
fn a_state_of_version_1_starts_over_and_keeps_its_count() {
    let of = params(4_000, 0.1);
    let (k, c, statistics) = (3_usize, 12_usize, 46_usize);
    let mut to = Encoder::new();
    to.u8(1);
    to.u64(of.short_half_life_rows);
    to.u64(of.long_half_life_rows);
    to.usize(of.components);
    to.f64(of.false_alarms_per_row);
    to.u64(of.seed);
    to.u64(7);
    to.u64(0);
    to.bool(true);
    // The frame.
    to.usize(k);
    to.usize(c);
    to.f64s(&[0.0; M]);
    to.f64s(&[1.0; M]);
    to.f64s(&[9.0, 4.0, 2.25]);
    to.f64(9.0);
    (0..c).for_each(|_| to.f32s(&[0.1; M]));
    // Its states.
    let zeros = vec![0.0; statistics];
    to.f64s(&zeros);
    to.u64(100);
    to.usize(2);
    (0..2).for_each(|_| to.f64s(&zeros));
    to.u64(5);
    to.f64(5.0);
    to.f64(5.0);
    (0..4).for_each(|_| to.f64s(&zeros));
    let saved = to.into_bytes();
    let mut from = Decoder::new("drift", &saved);
    let drift = Drift::restore(&mut from, M).unwrap();
    from.finish().unwrap();
    assert_eq!((drift.events(), drift.params()), (7, &of));
    assert_eq!(drift.report(), None);
}

#[test]
fn a_change_is_found_within_one_short_half_life() {
    let short = 20_000;
    for (what, change, kind) in CHANGES {
        for seed in 0..3 {
            let mut watched = Watched::new(Feed::new(10 + seed), params(short, 0.1));
            assert_eq!(watched.until_event(20 * short), None, "{what}: before");
            change(&mut watched.feed);
            let found = watched.until_event(short);
            let (rows, report) = found.unwrap_or_else(|| panic!("{what}: not found"));
            println!(
                "{what}: found after {rows} rows of {short}, {:?}",
                report.scores
            );
            assert_eq!(report.kind, kind, "{what}: {report:?}");
            assert_eq!(watched.drift.events(), 1);
            // What comes after it is the new state of things.
            assert_eq!(watched.until_event(20 * short), None, "{what}: after");
        }
    }
}

#[test]
fn after_a_drift_nothing_is_reported_before_both_states_are_new() {
    // A block is a minibatch.
    let short = 16 * B as u64;
    let mut watched = Watched::new(Feed::new(21), params(short, 0.1));
    assert_eq!(watched.until_event(20 * short), None, "before");
    watched.feed.angle = 30_f64.to_radians();
    watched.until_event(2 * short).expect("a drift");
    // A frame after one short half-life; then 32 blocks of the short-term state and 64 of the long-term one.
    let first = (1..1_000).find(|_| {
        watched.step();
        watched.drift.report().is_some()
    });
    assert!(
        first.is_some_and(|minibatches| minibatches >= 16 + 96),
        "{first:?}"
    );
}

#[test]
fn the_report_says_how_far_it_turned() {
    let short = 20_000;
    let mut watched = Watched::new(Feed::new(5), params(short, 0.0));
    assert_eq!(watched.until_event(40 * short), None);
    let quiet = watched.drift.report().unwrap();
    let (along, all) = (9.0 + 4.0 + 2.25, 9.0 + 4.0 + 2.25 + 9.0);
    assert!(
        (quiet.explained_variance_long - along / all).abs() < 0.005,
        "{quiet:?}"
    );
    assert!(
        (quiet.explained_variance_short - along / all).abs() < 0.005,
        "{quiet:?}"
    );
    assert!(quiet.subspace_distance < 0.03, "{quiet:?}");
    // All angles but the first stay 0; the subspace of the new covariance is turned by it.
    let angle = 20_f64.to_radians();
    watched.feed.angle = angle;
    // Two half-lives: the short-term state holds nothing older.
    assert_eq!(watched.until_event(2 * short + 2 * B as u64), None);
    let turned = watched.drift.report().unwrap();
    // One step of the power method from the old components e₁: (C e₁) of the turned covariance.
    let (sin, cos) = angle.sin_cos();
    let image = (9.0 * cos * cos + sin * sin, (9.0 - 1.0) * sin * cos);
    let expected = image.1 / image.0.hypot(image.1);
    println!(
        "turned: distance {} of {expected}",
        turned.subspace_distance
    );
    assert!(
        (turned.subspace_distance - expected).abs() < 0.03,
        "{turned:?}"
    );
    assert!(turned.explained_variance_short < turned.explained_variance_long - 0.02);
}

#[test]
fn a_restored_detector_goes_on_with_its_bits() {
    let short = 4_000;
    let mut watched = Watched::new(Feed::new(6), params(short, 0.1));
    // Before there is a frame, while it calibrates, while it judges.
    for rows in [1_000, 7_000, 20_000, 60_000] {
        for _ in 0..rows / B {
            watched.step();
        }
        let saved = bytes(&watched.drift);
        let mut from = Decoder::new("drift", &saved);
        let restored = Drift::restore(&mut from, M).unwrap();
        from.finish().unwrap();
        assert_eq!(bytes(&restored), saved);
        assert_eq!(restored.report(), watched.drift.report());
        watched.drift = restored;
    }
    let mut unbroken = Watched::new(Feed::new(6), params(short, 0.1));
    for _ in 0..88_000 / B {
        unbroken.step();
    }
    assert!(unbroken.drift.report().is_some());
    assert_eq!(bytes(&unbroken.drift), bytes(&watched.drift));
}

#[test]
fn bytes_that_were_not_written_are_refused() {
    let mut watched = Watched::new(Feed::new(7), params(4_000, 0.1));
    assert_eq!(watched.until_event(60_000), None);
    let saved = bytes(&watched.drift);
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut refused = 0;
    for _ in 0..2_000 {
        let mut mutant = saved.clone();
        let at = random.random_range(0..mutant.len());
        mutant[at] ^= 1 << random.random_range(0..8);
        mutant.truncate(random.random_range(at..=mutant.len()));
        let mut from = Decoder::new("drift", &mutant);
        match Drift::restore(&mut from, M) {
            Ok(mut drift) => drop(drift.update(&watched.batch, watched.learner.as_ref())),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 1_000, "{refused}");
}

fn bytes(drift: &Drift) -> Vec<u8> {
    let mut to = Encoder::new();
    drift.save(&mut to);
    to.into_bytes()
}

/// The rows of `feeds` with every feature `factor` times as large.
fn scaled(count: usize, seed: u64, factor: f32) -> RecordBatch {
    let batch = rows(count, seed);
    let columns = batch.columns().iter().map(|column| {
        let values = column.as_any().downcast_ref::<Float32Array>().unwrap();
        Arc::new(
            values
                .iter()
                .map(|v| v.map(|v| factor * v))
                .collect::<Float32Array>(),
        ) as ArrayRef
    });
    RecordBatch::try_new(batch.schema(), columns.collect()).unwrap()
}

#[test]
fn a_run_tells_a_drift_counts_it_and_publishes() {
    let keys = "output.every_rows = \"auto\"\ndrift.short_half_life_rows = 2000\n\
                drift.on_event = \"snapshot\"";
    let place = Place::new("");
    let text = std::fs::read_to_string(place.config()).unwrap();
    let text = text.replace("output.every_rows = 2000\n", "");
    std::fs::write(place.config(), format!("{text}{keys}\n")).unwrap();
    for seed in 0..10 {
        let name = format!("{seed:03}.parquet");
        parquet(&place.feed().join(name), &rows(3000, seed));
    }
    let calm = stderr(&place.learn());
    assert!(!calm.contains("drift:"), "{calm}");
    let before = place.inspect();
    assert_eq!(before["drifts"], 0);
    let report: DriftReport = serde_json::from_value(before["drift"].clone()).unwrap();
    assert!(!report.is_drift(), "{report:?}");
    // The second run goes on with the first one's states.
    parquet(&place.feed().join("100.parquet"), &scaled(3000, 100, 1.2));
    let told = stderr(&place.learn());
    assert_eq!(told.matches("drift:").count(), 1, "{told}");
    assert_eq!(told.matches("snapshot published").count(), 2, "{told}");
    assert_eq!(place.inspect()["drifts"], 1);
    let published = std::fs::read_dir(place.path("model")).unwrap().flatten();
    let reports: Vec<DriftReport> = published
        .filter(|entry| entry.file_name() != "latest")
        .filter_map(|entry| std::fs::read(entry.path().join("snapshot.json")).ok())
        .map(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).unwrap())
        .filter_map(|all| serde_json::from_value(all["learner"]["drift"].clone()).ok())
        .collect();
    println!("{reports:?}");
    assert!(
        reports
            .iter()
            .any(|report| report.is_drift() && report.events == 1)
    );
    assert!(reports.iter().any(|report| !report.is_drift()));
    // Other keys do not touch the learner: they are applied, and watching starts over.
    let text = std::fs::read_to_string(place.config()).unwrap();
    std::fs::write(
        place.config(),
        text.replace("rows = 2000\n", "rows = 1500\n"),
    )
    .unwrap();
    parquet(&place.feed().join("101.parquet"), &scaled(100, 101, 1.2));
    let told = stderr(&place.learn());
    assert!(told.contains("its keys have changed"), "{told}");
}
