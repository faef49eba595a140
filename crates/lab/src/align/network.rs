//! A fully connected network whose error is propagated by separate weights.
//!
//! In: rows (b×in), classes. Out: activity, softmax cross entropy, and the pseudogradient: the
//! chain rule with B in the place of Wᵀ (Lillicrap et al. 2016). With B = Wᵀ it is the gradient.

use faer::{Mat, MatRef};
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};

use super::primitives::{add_scaled, product};

/// The function that a hidden unit applies to its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nonlinearity {
    /// The positive part: max(0, z).
    Relu,
    /// The hyperbolic tangent: tanh z.
    Tanh,
}

impl Nonlinearity {
    fn of(self, z: f64) -> f64 {
        match self {
            Self::Relu => z.max(0.0),
            Self::Tanh => z.tanh(),
        }
    }

    /// The slope, from the value `a` that it made.
    fn slope(self, a: f64) -> f64 {
        match self {
            Self::Relu => f64::from(u8::from(a > 0.0)),
            Self::Tanh => 1.0 - a * a,
        }
    }

    /// Variance of a weight times its fan-in, so that activity keeps its size over layers
    /// (He et al. 2015 for max(0, z); 1 for tanh).
    fn gain(self) -> f64 {
        match self {
            Self::Relu => 2.0,
            Self::Tanh => 1.0,
        }
    }
}

/// A layer with its forward and backward weights.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The forward weights W, out×in.
    pub forward: Mat<f64>,
    /// The backward weights B, in×out.
    pub backward: Mat<f64>,
    /// The bias of each unit, length out.
    pub bias: Vec<f64>,
}

/// Layers from the rows up to the classes.
#[derive(Clone, Debug)]
pub struct Network {
    /// At least one; the last has no nonlinearity.
    pub layers: Vec<Layer>,
    /// Of all layers but the last.
    pub nonlinearity: Nonlinearity,
}

/// The activity of every layer on a batch.
#[derive(Clone, Debug)]
pub struct Pass {
    /// x_l, b×in of layer l; the first are the rows themselves.
    pub inputs: Vec<Mat<f64>>,
    /// The logits of the last layer, b×classes.
    pub logits: Mat<f64>,
}

/// The gradient of the loss in the weights of one layer.
#[derive(Clone, Debug)]
pub struct Gradient {
    /// The gradient in W, out×in.
    pub forward: Mat<f64>,
    /// The bias of each unit, length out.
    pub bias: Vec<f64>,
}

impl Gradient {
    /// V ← momentum·V + gradient.
    pub fn accumulate(&mut self, momentum: f64, gradient: &Self) {
        for j in 0..self.forward.ncols() {
            let slopes = gradient.forward.col_as_slice(j);
            for (own, slope) in self.forward.col_as_slice_mut(j).iter_mut().zip(slopes) {
                *own = momentum * *own + slope;
            }
        }
        for (own, slope) in self.bias.iter_mut().zip(&gradient.bias) {
            *own = momentum * *own + slope;
        }
    }
}

impl Network {
    /// Gaussian weights of variance gain/in for W, and for B independently the same law.
    ///
    /// `widths` are the features, the hidden units of each layer, the classes. The two sources are
    /// apart so that every rule starts at the same W, whether it draws a B or not.
    pub fn random(
        widths: &[usize],
        nonlinearity: Nonlinearity,
        forward: &mut ChaCha8Rng,
        backward: &mut ChaCha8Rng,
    ) -> Self {
        let layers = widths
            .windows(2)
            .map(|pair| {
                let (input, output) = (pair[0], pair[1]);
                let deviation = (nonlinearity.gain() / input.max(1) as f64).sqrt();
                let draw = |random: &mut ChaCha8Rng| {
                    let value: f64 = StandardNormal.sample(random);
                    deviation * value
                };
                Layer {
                    // Two sources: forward weights are the same whatever is drawn for the backward
                    // ones.
                    forward: Mat::from_fn(output, input, |_, _| draw(forward)),
                    backward: Mat::from_fn(input, output, |_, _| draw(backward)),
                    bias: vec![0.0; output],
                }
            })
            .collect();
        Self {
            layers,
            nonlinearity,
        }
    }

    /// Sets every B to Wᵀ: the transport of weights that backpropagation needs.
    pub fn transport(&mut self) {
        for layer in &mut self.layers {
            layer.backward.copy_from(layer.forward.transpose());
        }
    }

    /// Passes rows (b×features) upwards.
    pub fn pass(&self, rows: MatRef<'_, f64>) -> Pass {
        let mut inputs = Vec::with_capacity(self.layers.len());
        let mut x = rows.to_owned();
        for (l, layer) in self.layers.iter().enumerate() {
            let mut z = product(x.as_ref(), layer.forward.transpose());
            let is_hidden = l + 1 < self.layers.len();
            for (j, bias) in layer.bias.iter().enumerate() {
                for value in z.col_as_slice_mut(j) {
                    *value += bias;
                    if is_hidden {
                        *value = self.nonlinearity.of(*value);
                    }
                }
            }
            inputs.push(std::mem::replace(&mut x, z));
        }
        Pass { inputs, logits: x }
    }

    /// The pseudogradient of the mean loss, a layer each; `error` is ∂loss/∂logits (b×classes).
    pub fn pseudogradient(&self, pass: &Pass, error: Mat<f64>) -> Vec<Gradient> {
        let mut delta = error;
        let mut gradients = Vec::with_capacity(self.layers.len());
        for (l, layer) in self.layers.iter().enumerate().rev() {
            let x = &pass.inputs[l];
            gradients.push(Gradient {
                forward: product(delta.transpose(), x.as_ref()),
                bias: (0..delta.ncols()).map(|j| delta.col(j).sum()).collect(),
            });
            // Below the first layer there is nobody to tell.
            if l > 0 {
                let mut below = product(delta.as_ref(), layer.backward.transpose());
                for j in 0..below.ncols() {
                    let made = x.col_as_slice(j);
                    for (value, made) in below.col_as_slice_mut(j).iter_mut().zip(made) {
                        *value *= self.nonlinearity.slope(*made);
                    }
                }
                delta = below;
            }
        }
        gradients.reverse();
        gradients
    }

    /// W += scale·gradient, and the same for the biases.
    pub fn add(&mut self, scale: f64, gradients: &[Gradient]) {
        for (layer, gradient) in self.layers.iter_mut().zip(gradients) {
            add_scaled(&mut layer.forward, scale, gradient.forward.as_ref());
            for (bias, slope) in layer.bias.iter_mut().zip(&gradient.bias) {
                *bias += scale * slope;
            }
        }
    }
}

/// Mean softmax cross entropy of `logits` (b×classes) and its gradient, b×classes.
pub fn cross_entropy(logits: MatRef<'_, f64>, classes: &[usize]) -> (f64, Mat<f64>) {
    let share = 1.0 / classes.len().max(1) as f64;
    let mut gradient = Mat::zeros(logits.nrows(), logits.ncols());
    let mut loss = 0.0;
    for (i, class) in classes.iter().enumerate() {
        let row = logits.row(i);
        // The largest is taken off: exp overflows, the ratio does not.
        let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|z| (z - top).exp()).sum();
        loss += share * (sum.ln() + top - row[*class]);
        for j in 0..logits.ncols() {
            let hit = f64::from(u8::from(j == *class));
            gradient[(i, j)] = share * ((row[j] - top).exp() / sum - hit);
        }
    }
    (loss, gradient)
}

/// Share of rows whose largest logit is their class; a row with a NaN is a miss.
pub fn accuracy(logits: MatRef<'_, f64>, classes: &[usize]) -> f64 {
    let hits = classes.iter().enumerate().filter(|(i, class)| {
        let row = logits.row(*i);
        let own = row[**class];
        row.iter()
            .enumerate()
            // A tie is not a hit, for example if all logits are equal or NaN.
            .all(|(j, z)| j == **class || own > *z)
    });
    hits.count() as f64 / classes.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use faer::Mat;
    use rand::SeedableRng as _;
    use rand::rngs::ChaCha8Rng;

    use super::{Network, Nonlinearity, accuracy, cross_entropy};

    fn small(nonlinearity: Nonlinearity) -> (Network, Mat<f64>, Vec<usize>) {
        let (mut w, mut b) = (ChaCha8Rng::seed_from_u64(3), ChaCha8Rng::seed_from_u64(4));
        let mut network = Network::random(&[5, 6, 4, 3], nonlinearity, &mut w, &mut b);
        // Biases away from zero, so that they have a part.
        for (l, layer) in network.layers.iter_mut().enumerate() {
            for (j, bias) in layer.bias.iter_mut().enumerate() {
                *bias = 0.1 * (l as f64 + j as f64).cos();
            }
        }
        let rows = Mat::from_fn(7, 5, |i, j| (1.3 * i as f64 + 2.1 * j as f64).sin());
        (network, rows, vec![0, 2, 1, 1, 0, 2, 2])
    }

    #[test]
    fn with_transported_weights_the_pseudogradient_is_the_gradient() {
        for nonlinearity in [Nonlinearity::Tanh, Nonlinearity::Relu] {
            let (mut network, rows, classes) = small(nonlinearity);
            network.transport();
            let loss = |network: &Network| {
                let pass = network.pass(rows.as_ref());
                cross_entropy(pass.logits.as_ref(), &classes).0
            };
            let pass = network.pass(rows.as_ref());
            let (_, error) = cross_entropy(pass.logits.as_ref(), &classes);
            let gradients = network.pseudogradient(&pass, error);
            let step = 1e-5;
            for l in 0..3 {
                let (out, within) = network.layers[l].forward.shape();
                for i in 0..out {
                    let mut up = network.clone();
                    up.layers[l].bias[i] += step;
                    let mut down = network.clone();
                    down.layers[l].bias[i] -= step;
                    let slope = (loss(&up) - loss(&down)) / (2.0 * step);
                    assert!((slope - gradients[l].bias[i]).abs() < 1e-6);
                    for j in 0..within {
                        let mut up = network.clone();
                        up.layers[l].forward[(i, j)] += step;
                        let mut down = network.clone();
                        down.layers[l].forward[(i, j)] -= step;
                        let slope = (loss(&up) - loss(&down)) / (2.0 * step);
                        let found = gradients[l].forward[(i, j)];
                        assert!((slope - found).abs() < 1e-6, "{l} {i} {j}: {slope} {found}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_of_nans_is_a_miss() {
        let logits = faer::mat![[f64::NAN, f64::NAN], [2.0, 1.0], [1.0, 1.0]];
        let found = accuracy(logits.as_ref(), &[0, 0, 0]);
        assert!((found - 1.0 / 3.0).abs() < 1e-15, "{found}");
    }
}
