//! One network, one rule, one seed: epochs of minibatches, and the measurements after each.

use faer::{Mat, MatRef};
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;

use super::network::{Gradient, Network, Nonlinearity, accuracy, cross_entropy};
use super::primitives::dot;
use super::rules::{Regularization, Rule};
use super::task::{Part, Task, shuffle};

/// Training rows on which the pseudogradient is compared with the gradient.
const COMPARED: usize = 500;

/// The settings that all rules share.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// Units of each hidden layer, from the input up.
    pub hidden: Vec<usize>,
    /// Of the hidden layers.
    pub nonlinearity: Nonlinearity,
    /// η of the forward weights.
    pub learning_rate: f64,
    /// μ of the forward weights: V ← μV + gradient, W ← W − ηV.
    pub momentum: f64,
    /// The number of rows in a step, b.
    pub batch: usize,
    /// Passes over the training rows.
    pub epochs: usize,
    /// Standard deviations beyond which a feature is cut off.
    pub clip: f64,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            hidden: vec![50; 5],
            nonlinearity: Nonlinearity::Tanh,
            learning_rate: 0.003,
            momentum: 0.9,
            batch: 50,
            epochs: 20,
            clip: 5.0,
        }
    }
}

/// A setting with which no network can be trained.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// There is no hidden layer.
    #[error("no hidden layer: without one no error is passed down; use at least one, such as 100")]
    NoLayer,
    /// A layer of no units, or too many.
    #[error("a hidden layer of {units} units; use 1 to {UNITS_MAX}")]
    Units {
        /// The number of units that was given.
        units: usize,
    },
    /// A number below one.
    #[error("{what} 0: use at least 1")]
    Zero {
        /// The name of the setting.
        what: &'static str,
    },
    /// An invalid rate.
    #[error("learning rate {value}: use a number above 0, such as 0.003")]
    Rate {
        /// The value that was given.
        value: f64,
    },
}

/// Units of a hidden layer at most: a matrix of that many squared is half a gigabyte.
pub const UNITS_MAX: usize = 8_192;

impl Setup {
    /// Checks that a network can be trained with these settings.
    ///
    /// # Errors
    /// If it cannot.
    pub fn check(&self) -> Result<(), SetupError> {
        if self.hidden.is_empty() {
            return Err(SetupError::NoLayer);
        }
        let fits = |units: &usize| (1..=UNITS_MAX).contains(units);
        if let Some(units) = self.hidden.iter().find(|units| !fits(units)) {
            return Err(SetupError::Units { units: *units });
        }
        for (what, number) in [("epochs", self.epochs), ("rows a batch", self.batch)] {
            if number == 0 {
                return Err(SetupError::Zero { what });
            }
        }
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            let value = self.learning_rate;
            return Err(SetupError::Rate { value });
        }
        Ok(())
    }
}

/// The state of a network after an epoch; epoch 0 is the start.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    /// The number of passes so far.
    pub epoch: usize,
    /// Mean cross entropy over all training rows.
    pub train_loss: f64,
    /// Share of test rows whose class was found.
    pub test_accuracy: f64,
    /// Angle between B and Wᵀ in degrees, for the layers 2, 3, … : the first layer's B is never
    /// used, because there is no layer below it.
    pub angles: Vec<f64>,
    /// Angle in degrees between pseudogradient and gradient, over the weights of all layers but
    /// the last, where they are the same.
    pub gradient_angle: f64,
}

/// Sources of randomness of one seed, apart so that rules with one seed are paired: the same
/// start, the same order, whatever else a rule draws.
#[derive(Clone, Copy, Debug)]
enum Stream {
    Forward = 1,
    Backward = 2,
    Order = 3,
    Noise = 4,
}

fn source(seed: u64, stream: Stream) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    // Each purpose has its own stream, so that a rule that draws more noise does not shift the
    // other numbers.
    random.set_stream(stream as u64);
    random
}

/// A network in training.
pub struct Trainer {
    /// The network that learns.
    pub network: Network,
    rule: Rule,
    regularization: Regularization,
    learning_rate: f64,
    momentum: f64,
    velocity: Vec<Gradient>,
    noise: ChaCha8Rng,
}

impl Trainer {
    /// Starts with `network`; `seed` is the seed of the noise.
    pub fn new(network: Network, rule: Rule, setup: &Setup, seed: u64) -> Self {
        let still = |layer: &super::network::Layer| Gradient {
            forward: Mat::zeros(layer.forward.nrows(), layer.forward.ncols()),
            bias: vec![0.0; layer.bias.len()],
        };
        let mut trainer = Self {
            velocity: network.layers.iter().map(still).collect(),
            network,
            rule,
            regularization: rule.regularization(),
            learning_rate: setup.learning_rate,
            momentum: setup.momentum,
            noise: source(seed, Stream::Noise),
        };
        if rule == Rule::Backprop {
            trainer.network.transport();
        }
        trainer
    }

    /// Sets other strengths than the rule's defaults.
    #[must_use]
    pub fn with(mut self, regularization: Regularization) -> Self {
        self.regularization = regularization;
        self
    }

    /// One minibatch: W by the pseudogradient, B by its regularization, both from what they were.
    /// Returns the mean loss of the minibatch before the step.
    pub fn step(&mut self, rows: MatRef<'_, f64>, classes: &[usize]) -> f64 {
        let pass = self.network.pass(rows);
        let (loss, error) = cross_entropy(pass.logits.as_ref(), classes);
        let gradients = self.network.pseudogradient(&pass, error);
        for (velocity, gradient) in self.velocity.iter_mut().zip(&gradients) {
            velocity.accumulate(self.momentum, gradient);
        }
        let by = self.regularization;
        if self.rule.learns_backward() {
            // The first layer's B has nothing to tell.
            for (layer, input) in self.network.layers.iter_mut().zip(&pass.inputs).skip(1) {
                layer.backward -= by.gradient(layer, input.as_ref(), &mut self.noise);
            }
        }
        self.network.add(-self.learning_rate, &self.velocity);
        // Only after the forward weights have moved, because B = Wᵀ must hold at the next pass.
        if self.rule == Rule::Backprop {
            self.network.transport();
        }
        loss
    }

    /// Measures loss, accuracy and angles as they are now.
    fn look(&self, epoch: usize, task: &Task) -> Epoch {
        let network = &self.network;
        let train = network.pass(task.train.rows.as_ref());
        let (train_loss, _) = cross_entropy(train.logits.as_ref(), &task.train.classes);
        let test = network.pass(task.test.rows.as_ref());
        Epoch {
            epoch,
            train_loss,
            test_accuracy: accuracy(test.logits.as_ref(), &task.test.classes),
            angles: network
                .layers
                .iter()
                .skip(1)
                .map(|layer| {
                    let (b, w) = (layer.backward.as_ref(), layer.forward.transpose());
                    degrees(dot(b, w), b.squared_norm_l2(), w.squared_norm_l2())
                })
                .collect(),
            gradient_angle: gradient_angle(network, &task.train),
        }
    }
}

/// The angle whose cosine is inner/√(a·b), a and b squared lengths.
fn degrees(inner: f64, a: f64, b: f64) -> f64 {
    (inner / (a * b).sqrt())
        // Rounding may take a cosine just beyond 1.
        .clamp(-1.0, 1.0)
        .acos()
        .to_degrees()
}

fn gradient_angle(network: &Network, part: &Part) -> f64 {
    let count = part.classes.len().min(COMPARED);
    let rows = part.rows.as_ref().subrows(0, count);
    let pass = network.pass(rows);
    let (_, error) = cross_entropy(pass.logits.as_ref(), &part.classes[..count]);
    let pseudo = network.pseudogradient(&pass, error.clone());
    let mut symmetric = network.clone();
    symmetric.transport();
    let gradient = symmetric.pseudogradient(&pass, error);
    let mut sums = [0.0; 3];
    let hidden = network.layers.len().saturating_sub(1);
    for (a, b) in pseudo.iter().zip(&gradient).take(hidden) {
        sums[0] += dot(a.forward.as_ref(), b.forward.as_ref());
        sums[1] += a.forward.squared_norm_l2();
        sums[2] += b.forward.squared_norm_l2();
    }
    degrees(sums[0], sums[1], sums[2])
}

/// The network that every rule starts with by this seed.
pub fn start(task: &Task, setup: &Setup, seed: u64) -> Network {
    let mut widths = vec![task.train.rows.ncols()];
    widths.extend(&setup.hidden);
    widths.push(task.labels.len());
    Network::random(
        &widths,
        setup.nonlinearity,
        &mut source(seed, Stream::Forward),
        &mut source(seed, Stream::Backward),
    )
}

/// Trains by `rule` with its own strengths, or with `other` ones; an [`Epoch`] for the start and
/// for each pass.
pub fn train(
    task: &Task,
    setup: &Setup,
    rule: Rule,
    other: Option<Regularization>,
    seed: u64,
) -> Vec<Epoch> {
    let mut trainer = Trainer::new(start(task, setup, seed), rule, setup, seed);
    if let Some(other) = other {
        trainer = trainer.with(other);
    }
    let mut order: Vec<usize> = (0..task.train.classes.len()).collect();
    let mut random = source(seed, Stream::Order);
    let mut seen = vec![trainer.look(0, task)];
    for epoch in 1..=setup.epochs {
        shuffle(&mut order, &mut random);
        for batch in order.chunks(setup.batch.max(1)) {
            let rows = gather(task.train.rows.as_ref(), batch);
            let classes: Vec<usize> = batch.iter().map(|i| task.train.classes[*i]).collect();
            trainer.step(rows.as_ref(), &classes);
        }
        seen.push(trainer.look(epoch, task));
    }
    seen
}

/// The rows of these places.
fn gather(rows: MatRef<'_, f64>, places: &[usize]) -> Mat<f64> {
    Mat::from_fn(places.len(), rows.ncols(), |i, j| rows[(places[i], j)])
}

#[cfg(test)]
mod tests {
    use faer::Mat;

    use super::super::network::{Layer, Network, Nonlinearity};
    use super::{Rule, Setup, SetupError, Trainer};

    /// Numbers without structure that a reference can make as well.
    fn made(rows: usize, columns: usize, phase: f64) -> Mat<f64> {
        Mat::from_fn(rows, columns, |i, j| {
            (phase + 1.7 * i as f64 + 2.9 * j as f64 + (i * j) as f64).sin()
        })
    }

    /// One number that every value of a matrix has a part in.
    fn trace(of: &Mat<f64>) -> f64 {
        let value = |i: usize, j: usize| of[(i, j)] * (i as f64 + 2.0 * j as f64).cos();
        (0..of.ncols())
            .flat_map(|j| (0..of.nrows()).map(move |i| (i, j)))
            .map(|(i, j)| value(i, j))
            .sum()
    }

    /// W, B and bias of the three layers after four steps of information alignment with momentum,
    /// by a numpy program that shares nothing with this one.
    const REFERENCE: [[f64; 3]; 3] = [
        [
            1.683_771_855_415_033_6,
            2.495_957_281_348_029,
            0.020_118_255_808_168_003,
        ],
        [
            1.905_054_711_057_817_3,
            0.817_466_914_338_149_9,
            0.025_273_954_009_277_62,
        ],
        [
            -0.169_040_528_218_269_3,
            -0.038_237_190_064_052_74,
            0.010_952_692_669_880_913,
        ],
    ];

    #[test]
    fn steps_of_information_alignment_are_those_of_a_reference() {
        let widths = [4, 5, 4, 3];
        let layers = widths.windows(2).enumerate().map(|(l, pair)| Layer {
            forward: faer::Scale(0.5) * made(pair[1], pair[0], l as f64),
            backward: faer::Scale(0.5) * made(pair[0], pair[1], l as f64 + 0.5),
            bias: vec![0.0; pair[1]],
        });
        let network = Network {
            layers: layers.collect(),
            nonlinearity: Nonlinearity::Tanh,
        };
        let setup = Setup {
            learning_rate: 0.05,
            ..Setup::default()
        };
        let mut trainer = Trainer::new(network, Rule::Information, &setup, 0);
        let rows = made(6, 4, 0.3);
        for _ in 0..4 {
            trainer.step(rows.as_ref(), &[0, 2, 1, 1, 0, 2]);
        }
        for (layer, reference) in trainer.network.layers.iter().zip(REFERENCE) {
            let bias = Mat::from_fn(1, layer.bias.len(), |_, j| layer.bias[j]);
            let found = [&layer.forward, &layer.backward, &bias].map(trace);
            for (found, reference) in found.iter().zip(reference) {
                assert!((found - reference).abs() < 1e-12, "{found} {reference}");
            }
        }
    }

    #[test]
    fn a_setup_without_layers_is_refused() {
        let setup = Setup {
            hidden: Vec::new(),
            ..Setup::default()
        };
        assert_eq!(setup.check(), Err(SetupError::NoLayer));
        assert_eq!(Setup::default().check(), Ok(()));
    }
}
