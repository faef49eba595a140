//! Every rule with every seed, and the spread over the seeds.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::rules::Rule;
use super::task::{Task, TaskError};
use super::train::{Epoch, Setup, train};
use crate::data::Data;

/// The training of one network by one rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The rule by which its backward weights learned.
    pub rule: Rule,
    /// Of its split, its start and its order: the same for every rule.
    pub seed: u64,
    /// The start and every epoch.
    pub epochs: Vec<Epoch>,
}

impl Run {
    /// Returns the state after the last epoch.
    pub fn last(&self) -> Option<&Epoch> {
        self.epochs.last()
    }

    /// Returns true if the loss has become NaN or infinite.
    pub fn is_diverged(&self) -> bool {
        self.last().is_none_or(|last| !last.train_loss.is_finite())
    }
}

/// Trains by every rule with every seed, as many at a time as there are processors. The runs come
/// back by rule and then by seed, as they were named; their numbers do not depend on how many ran
/// at a time. `finished` hears of each as it ends.
///
/// # Errors
/// If the data cannot be learned.
pub fn compare(
    data: &Data,
    setup: &Setup,
    rules: &[Rule],
    seeds: &[u64],
    finished: &(dyn Fn(&Run) + Sync),
) -> Result<Vec<Run>, TaskError> {
    // Seed by seed, so that what is heard first can already be compared.
    let jobs: Vec<(u64, Rule)> = seeds
        .iter()
        .flat_map(|seed| rules.iter().map(|rule| (*seed, *rule)))
        .collect();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(jobs.len()));
    let work = || {
        while let Some((seed, rule)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
            let run = Task::split(data, seed, setup.clip).map(|task| Run {
                rule,
                seed,
                epochs: train(&task, setup, rule, None, seed),
            });
            if let Ok(run) = &run {
                finished(run);
            } else {
                // The others would fail alike.
                next.store(jobs.len(), Ordering::Relaxed);
            }
            done.lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .push(run);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(jobs.len()) {
            scope.spawn(work);
        }
    });
    let done = done
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut runs = done.into_iter().collect::<Result<Vec<Run>, TaskError>>()?;
    let place = |run: &Run| rules.iter().position(|rule| *rule == run.rule);
    runs.sort_by_key(|run| (place(run), run.seed));
    Ok(runs)
}

/// A quantity over the networks of several seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// The values, one for each seed.
    pub values: Vec<f64>,
}

impl Spread {
    /// Returns the mean over the seeds.
    pub fn mean(&self) -> f64 {
        self.values.iter().sum::<f64>() / self.values.len() as f64
    }

    /// Their standard deviation, divisor n − 1: NaN of one value.
    pub fn deviation(&self) -> f64 {
        let mean = self.mean();
        let squares: f64 = self.values.iter().map(|value| (value - mean).powi(2)).sum();
        (squares / (self.values.len() as f64 - 1.0)).sqrt()
    }

    /// Of one value of every run's epoch at `place`; runs that have none are left out.
    pub fn of(runs: &[&Run], place: usize, value: impl Fn(&Epoch) -> f64) -> Self {
        let epochs = runs.iter().filter_map(|run| run.epochs.get(place));
        Self {
            values: epochs.map(value).collect(),
        }
    }
}

/// The runs of one rule.
pub fn of_rule(runs: &[Run], rule: Rule) -> Vec<&Run> {
    runs.iter().filter(|run| run.rule == rule).collect()
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn the_spread_is_of_a_sample() {
        let spread = Spread {
            values: vec![1.0, 2.0, 3.0],
        };
        assert!((spread.mean() - 2.0).abs() < 1e-15);
        assert!((spread.deviation() - 1.0).abs() < 1e-15);
        assert!(Spread { values: vec![1.0] }.deviation().is_nan());
    }
}
