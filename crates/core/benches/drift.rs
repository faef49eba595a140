//! How often drift detection raises a false alarm, and how soon it finds a change: the tables of
//! `docs/statistics.md`.
//!
//! False alarms are counted on feeds that do not change, whose rows depend on each other or have heavy tails. The
//! delay is the median number of rows between a change and the alarm, beside that of a test of every mean and every
//! entry of the covariance matrix over a window of the latest rows, with the same allowed rate: windows of one and of
//! two half-lives, whichever is quicker on the line. That test knows that rows are independent.
//!
//! `cargo bench -p ojad-core --features internals --bench drift [-- WORD]`: only the lines whose name has WORD in it.

#![allow(clippy::expect_used, clippy::print_stdout, missing_docs)]

use ojad_core::learner::drift::{Drift, DriftParams};
use ojad_core::learner::{self, LearnerParams};
use ojad_core::rows::{Layout, Minibatch, Values, Width};
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal, StudentT};

/// Rows of a minibatch.
const MINIBATCH: usize = 100;
/// False alarms per row that are allowed.
const RATE: f64 = 1e-7;
/// Rows of each feed without a change.
const QUIET_ROWS: usize = 20_000_000;
/// Changes of each kind.
const CHANGES: u64 = 11;
/// Components of the feed.
const SPIKES: [f64; 3] = [9.0, 4.0, 2.0];

#[derive(Clone, Copy)]
enum Law {
    Gaussian,
    Student(f64),
    /// Every score follows its last value by φ.
    Autoregressive(f64),
    /// All scores have a variance that follows its last value and the last row: ω, α, β.
    Garch(f64, f64),
    /// A sine of this period, in rows, on the first score.
    Season(f64),
}

#[derive(Clone, Copy, PartialEq)]
enum Change {
    None,
    /// The first component turns out of the subspace by degrees.
    Turn(f64),
    /// The first component turns into the second by degrees.
    Mix(f64),
    /// The variance of a component changes by a factor.
    Component(usize, f64),
    /// The variance of the noise changes by a factor.
    Noise(f64),
    /// Feature 5 moves by so many of its standard deviations.
    Mean(f64),
    /// The variance of feature 5 changes by a factor.
    Feature(f64),
    /// Two features outside the components become correlated.
    Correlation(f64),
}

struct Feed {
    random: ChaCha8Rng,
    law: Law,
    features: usize,
    last: Vec<f64>,
    variance: f64,
    row: f64,
    change: Change,
}

impl Feed {
    fn new(law: Law, features: usize, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let last = (0..features)
            .map(|_| StandardNormal.sample(&mut random))
            .collect();
        Self {
            random,
            law,
            features,
            last,
            variance: 1.0,
            row: 0.0,
            change: Change::None,
        }
    }

    fn draw(&mut self) -> f64 {
        match self.law {
            Law::Student(nu) => {
                let t = StudentT::new(nu).expect("degrees of freedom");
                t.sample(&mut self.random) * ((nu - 2.0) / nu).sqrt()
            }
            _ => StandardNormal.sample(&mut self.random),
        }
    }

    /// Scores of unit variance: first those of the components, then the noise of each feature.
    fn scores(&mut self) -> Vec<f64> {
        let p = SPIKES.len() + self.features;
        self.last.resize(p, 0.0);
        let volatility = self.variance.sqrt();
        let mut scores = vec![0.0; p];
        for i in 0..p {
            let g = self.draw();
            scores[i] = match self.law {
                Law::Autoregressive(phi) => phi * self.last[i] + (1.0 - phi * phi).sqrt() * g,
                Law::Garch(..) => volatility * g,
                Law::Season(period) if i == 0 => {
                    let phase = std::f64::consts::TAU * self.row / period;
                    (1.6_f64).sqrt() * phase.sin() + 0.2_f64.sqrt() * g
                }
                _ => g,
            };
        }
        if let Law::Garch(alpha, beta) = self.law {
            let square = scores[0] * scores[0];
            self.variance = 1.0 - alpha - beta + alpha * square + beta * self.variance;
        }
        self.row += 1.0;
        self.last.clone_from(&scores);
        scores
    }

    fn push(&mut self, rows: &mut Vec<f64>) {
        let m = self.features;
        let mut scores = self.scores();
        let k = SPIKES.len();
        // Component a weighs on the features from a·m/k on: the last quarter has noise alone.
        let block = 3 * m / 4 / k;
        let load = 1.0 / (block as f64).sqrt();
        if let Change::Component(a, factor) = self.change {
            scores[a] *= factor.sqrt();
        }
        if let Change::Noise(factor) = self.change {
            scores[k..].iter_mut().for_each(|s| *s *= factor.sqrt());
        }
        if let Change::Correlation(rho) = self.change {
            let (a, b) = (k + m - 1, k + m - 2);
            scores[a] = rho * scores[b] + (1.0 - rho * rho).sqrt() * scores[a];
        }
        let first = rows.len();
        rows.extend_from_slice(&scores[k..]);
        let row = &mut rows[first..];
        for (a, spike) in SPIKES.iter().enumerate() {
            // The noise has variance 1 along the component too.
            let score = (spike - 1.0).sqrt() * scores[a];
            let (mut cos, mut sin) = (1.0, 0.0);
            let mut to = None;
            if a == 0 {
                match self.change {
                    Change::Turn(degrees) => {
                        (sin, cos) = degrees.to_radians().sin_cos();
                        to = Some(k * block..k * block + m / 4);
                    }
                    Change::Mix(degrees) => {
                        (sin, cos) = degrees.to_radians().sin_cos();
                        to = Some(block..2 * block);
                    }
                    _ => {}
                }
            }
            row[a * block..(a + 1) * block]
                .iter_mut()
                .for_each(|x| *x += cos * load * score);
            if let Some(to) = to {
                let load = 1.0 / (to.len() as f64).sqrt();
                row[to].iter_mut().for_each(|x| *x += sin * load * score);
            }
        }
        let sd = (1.0 + (SPIKES[5 / block] - 1.0) / block as f64).sqrt();
        match self.change {
            Change::Mean(shift) => row[5] += shift * sd,
            Change::Feature(factor) => row[5] *= factor.sqrt(),
            _ => {}
        }
    }

    fn minibatch(&mut self, rows: &mut Vec<f64>) -> Minibatch {
        rows.clear();
        for _ in 0..MINIBATCH {
            self.push(rows);
        }
        Minibatch::from_rows(rows, self.features)
    }
}

struct Watched {
    learner: Box<dyn learner::Learner>,
    drift: Drift,
}

impl Watched {
    fn new(features: usize, half_life: u64) -> Self {
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
        Self {
            learner: learner::new(&params, features).expect("a learner"),
            drift: Drift::new(drift),
        }
    }

    /// Learns a minibatch; true if it raised an alarm.
    fn take(&mut self, batch: Minibatch) -> bool {
        let report = self.drift.update(&batch, &*self.learner).expect("finite");
        self.learner.update(batch).expect("rows");
        report.is_some()
    }
}

/// A test of means and covariances over the last `window` rows against what is known of them.
struct Baseline {
    window: usize,
    rows: std::collections::VecDeque<Vec<f64>>,
    sums: Vec<f64>,
    mean: Vec<f64>,
    sd: Vec<f64>,
    threshold: f64,
}

fn products(row: &[f64]) -> Vec<f64> {
    let mut all = row.to_vec();
    for (i, a) in row.iter().enumerate() {
        all.extend(row[i..].iter().map(|b| a * b));
    }
    all
}

impl Baseline {
    fn new(window: usize, features: usize, half_life: u64, sample: &mut Feed) -> Self {
        let p = features + features * (features + 1) / 2;
        let (mut sum, mut squares) = (vec![0.0; p], vec![0.0; p]);
        let n = 200_000;
        let mut row = Vec::new();
        for _ in 0..n {
            row.clear();
            sample.push(&mut row);
            for (i, y) in products(&row).into_iter().enumerate() {
                sum[i] += y;
                squares[i] += y * y;
            }
        }
        let n = f64::from(n);
        let mean: Vec<f64> = sum.iter().map(|s| s / n).collect();
        let sd = squares
            .iter()
            .zip(&mean)
            .map(|(s, m)| (s / n - m * m).sqrt());
        // As often as the detector: a sixteenth of a half-life.
        let tail = RATE * (half_life as f64 / 16.0) / (2.0 * p as f64);
        Self {
            window,
            rows: std::collections::VecDeque::new(),
            sums: vec![0.0; p],
            sd: sd.collect(),
            mean,
            threshold: normal_quantile(tail),
        }
    }

    fn take(&mut self, rows: &[f64], features: usize) -> bool {
        for row in rows.chunks(features) {
            let y = products(row);
            self.sums.iter_mut().zip(&y).for_each(|(s, y)| *s += y);
            self.rows.push_back(y);
            if self.rows.len() > self.window
                && let Some(old) = self.rows.pop_front()
            {
                self.sums.iter_mut().zip(&old).for_each(|(s, y)| *s -= y);
            }
        }
        let n = self.rows.len() as f64;
        let known = self.mean.iter().zip(&self.sd);
        let mut scores = self
            .sums
            .iter()
            .zip(known)
            .map(|(sum, (mean, sd))| (sum / n - mean).abs() / (sd / n.sqrt()));
        self.rows.len() == self.window && scores.any(|score| score > self.threshold)
    }
}

/// u with P(g > u) = tail of a standard normal g, by bisection of its asymptotic series' sum.
fn normal_quantile(tail: f64) -> f64 {
    let (mut low, mut high) = (0.0, 40.0);
    for _ in 0..100 {
        let u: f64 = 0.5 * (low + high);
        // A continued fraction of Mills' ratio, right to 1e-9 from u = 2 on.
        let mut mills = u;
        for i in (1..60).rev() {
            mills = u + f64::from(i) / mills;
        }
        let p = (-0.5 * u * u).exp() / (std::f64::consts::TAU.sqrt() * mills);
        if p > tail { low = u } else { high = u }
    }
    0.5 * (low + high)
}

fn quiet(name: &str, law: Law, features: usize, half_life: u64) {
    let mut feed = Feed::new(law, features, 5);
    let mut watched = Watched::new(features, half_life);
    let mut rows = Vec::new();
    let mut alarms = 0;
    for _ in 0..QUIET_ROWS / MINIBATCH {
        alarms += u32::from(watched.take(feed.minibatch(&mut rows)));
    }
    let per_million = f64::from(alarms) / (QUIET_ROWS as f64 / 1e6);
    println!("| {name} | {half_life} | {per_million:.1} |");
}

fn median(mut delays: Vec<f64>) -> String {
    delays.sort_by(f64::total_cmp);
    let middle = delays[delays.len() / 2];
    if middle.is_finite() {
        format!("{middle:.0}")
    } else {
        "never".into()
    }
}

fn changed(name: &str, change: Change, features: usize, half_life: u64) {
    let mut delays = [const { Vec::new() }; 3];
    for seed in 0..CHANGES {
        let mut feed = Feed::new(Law::Gaussian, features, 100 + seed);
        let mut watched = Watched::new(features, half_life);
        let windows = [1, 2].map(|lives| {
            let mut sample = Feed::new(Law::Gaussian, features, 7);
            Baseline::new(lives * half_life as usize, features, half_life, &mut sample)
        });
        let mut windows = windows;
        let mut rows = Vec::new();
        for _ in 0..25 * half_life as usize / MINIBATCH {
            watched.take(feed.minibatch(&mut rows));
            windows.iter_mut().for_each(|w| {
                w.take(&rows, features);
            });
        }
        feed.change = change;
        let mut found = [f64::INFINITY; 3];
        for i in 1..=10 * half_life as usize / MINIBATCH {
            let batch = feed.minibatch(&mut rows);
            let at = (i * MINIBATCH) as f64;
            let alarms = [
                watched.take(batch),
                windows[0].take(&rows, features),
                windows[1].take(&rows, features),
            ];
            for (found, alarm) in found.iter_mut().zip(alarms) {
                if alarm {
                    *found = found.min(at);
                }
            }
            if found.iter().all(|f| f.is_finite()) {
                break;
            }
        }
        delays.iter_mut().zip(found).for_each(|(d, f)| d.push(f));
    }
    let [ours, one, two] = delays.map(median);
    println!("| {name} | {features} | {half_life} | {ours} | {one} | {two} |");
}

/// Time of learning with drift detection ÷ without: the median of seven pairs, of 10 components.
fn cost(features: usize) {
    let params = LearnerParams {
        components: 10,
        ..LearnerParams::default()
    };
    let drift = DriftParams {
        short_half_life_rows: 20_000,
        long_half_life_rows: 400_000,
        components: 10,
        false_alarms_per_row: RATE,
        seed: 1,
    };
    let b = params.minibatch_rows(features);
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let values: Vec<f32> = (0..b * features)
        .map(|_| StandardNormal.sample(&mut random))
        .collect();
    let minibatches = 40_000_000 / (b * features).max(1);
    let seconds = |is_watched: bool| {
        let mut learner = learner::new(&params, features).expect("a learner");
        let mut drift = Drift::new(drift.clone());
        let mut batch = Minibatch::new(Width::F32, Layout::ColumnMajor, b, features);
        let began = std::time::Instant::now();
        for _ in 0..minibatches {
            if let Values::F32(into) = batch.values_mut() {
                into.copy_from_slice(&values);
            }
            batch.set_rows(b);
            if is_watched {
                drift.update(&batch, &*learner).expect("finite");
            }
            batch = learner.update(batch).expect("rows");
        }
        began.elapsed().as_secs_f64()
    };
    let mut ratios: Vec<f64> = (0..7).map(|_| seconds(true) / seconds(false)).collect();
    ratios.sort_by(f64::total_cmp);
    println!("| {features} | {:.2} |", ratios[3]);
}

fn main() {
    let only = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let wanted = |name: &str| {
        only.as_ref()
            .is_none_or(|word| name.contains(word.as_str()))
    };
    println!(
        "| feed without a change | half-life | false alarms per 10⁶ rows (0.1 allowed) |\n|---|---|---|"
    );
    for (name, law) in [
        ("Gaussian", Law::Gaussian),
        ("t(3)", Law::Student(3.0)),
        ("AR(0.9)", Law::Autoregressive(0.9)),
        ("AR(0.99)", Law::Autoregressive(0.99)),
        ("AR(0.999)", Law::Autoregressive(0.999)),
        ("GARCH(0.1, 0.88)", Law::Garch(0.1, 0.88)),
        ("GARCH(0.05, 0.94)", Law::Garch(0.05, 0.94)),
        ("season of 1,000 rows", Law::Season(1_000.0)),
        ("season of 20,000 rows", Law::Season(20_000.0)),
    ] {
        for half_life in [2_000, 20_000] {
            if wanted(name) {
                quiet(name, law, 12, half_life);
            }
        }
    }
    println!(
        "\n| change | features | half-life | found after (rows) | window of one half-life | of two |\n|---|---|---|---|---|---|"
    );
    for (name, change) in [
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
    ] {
        for (features, half_life) in [(12, 20_000), (60, 5_000)] {
            if wanted(name) {
                changed(name, change, features, half_life);
            }
        }
    }
    if wanted("cost") {
        println!("\n| features | time with ÷ without |\n|---|---|");
        [12, 60, 784].into_iter().for_each(cost);
    }
}
