//! The scalar case m = k = 1: losses with two weights, their critical points, four algorithms on them.
//!
//! A row x becomes w₂w₁x. With x² = Σxᵢ² (the scatter of n centred rows) the three losses of Kunin
//! 2019, section 2, are
//!
//! - none: L = x²(1 − w₁w₂)²,
//! - product: L + λ(w₁w₂)²,
//! - sum: L + λ(w₁² + w₂²).
//!
//! In: a loss, x², λ, a start. Out: what is critical, and the iterates of each algorithm. Scatter,
//! penalty and loss have the unit of x²; weights have none.

mod walk;

pub use walk::{
    Algorithm, ITERATIONS_MAX, Outcome, ROWS, Trajectory, UPDATE_MIN, Walk, minibatch_scatters, run,
};

use serde::Serialize;

/// An end is named after a critical point that is not farther.
const NEAR: f64 = 0.05;
/// Eigenvalues of a Hessian below this part of its entries are zero.
const FLAT: f64 = 1e-9;

/// The penalty that is added to the squared error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Loss {
    /// No penalty: the squared error alone.
    None,
    /// The penalty λ(w₁w₂)² on the product.
    Product,
    /// The penalty λ(w₁² + w₂²) on both weights.
    Sum,
}

impl Loss {
    /// The three losses, in the order of the page.
    pub const ALL: [Self; 3] = [Self::None, Self::Product, Self::Sum];

    /// Returns the name in queries and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Product => "product",
            Self::Sum => "sum",
        }
    }
}

/// The kind of a critical point, by the Hessian.
///
/// None is a maximum: the trace of the Hessian is at least 2x²(w₁² + w₂²), which is not negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Both eigenvalues are positive.
    Minimum,
    /// One eigenvalue of the Hessian is negative.
    Saddle,
    /// One is zero and none negative: a minimum here, of a curve of them or flat to the second order.
    Degenerate,
}

/// A point where the gradient is zero.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CriticalPoint {
    /// The encoder's weight, w₁.
    pub w1: f64,
    /// The decoder's weight, w₂.
    pub w2: f64,
    /// The loss L at this point.
    pub loss: f64,
    /// The kind of the point, by the Hessian.
    pub kind: Kind,
    /// Morse index: negative eigenvalues of the Hessian.
    pub index: usize,
    /// Eigenvalues of the Hessian, ascending.
    pub eigenvalues: [f64; 2],
}

/// A loss with its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Landscape {
    loss: Loss,
    scatter: f64,
    lambda: f64,
}

impl Landscape {
    /// `scatter` > 0; `lambda` ≥ 0, taken for 0 where the loss has no penalty.
    pub fn new(loss: Loss, scatter: f64, lambda: f64) -> Self {
        let lambda = if loss == Loss::None { 0.0 } else { lambda };
        Self {
            loss,
            scatter,
            lambda,
        }
    }

    /// Returns the loss of this landscape.
    pub fn loss(&self) -> Loss {
        self.loss
    }

    /// Returns the scatter of the rows, x².
    pub fn scatter(&self) -> f64 {
        self.scatter
    }

    /// Returns the strength of the penalty, λ.
    pub fn lambda(&self) -> f64 {
        self.lambda
    }

    /// The same loss on rows of another scatter: those of a minibatch.
    fn on(self, scatter: f64) -> Self {
        Self { scatter, ..self }
    }

    /// Returns the loss at these weights, L(w₁, w₂).
    pub fn value(&self, [w1, w2]: [f64; 2]) -> f64 {
        let product = w1 * w2;
        let penalty = match self.loss {
            Loss::None => 0.0,
            Loss::Product => product * product,
            Loss::Sum => w1 * w1 + w2 * w2,
        };
        self.scatter * (1.0 - product).powi(2) + self.lambda * penalty
    }

    /// ½∇L, by which the algorithms step: Kunin 2019's program leaves the 2 to the step size.
    pub fn half_gradient(&self, [w1, w2]: [f64; 2]) -> [f64; 2] {
        let product = w1 * w2;
        let error = (product - 1.0) * self.scatter;
        match self.loss {
            Loss::None => [w2 * error, w1 * error],
            Loss::Product => {
                let pull = error + self.lambda * product;
                [w2 * pull, w1 * pull]
            }
            Loss::Sum => [w2 * error + self.lambda * w1, w1 * error + self.lambda * w2],
        }
    }

    /// Second derivatives of L, 2×2.
    pub fn hessian(&self, [w1, w2]: [f64; 2]) -> [[f64; 2]; 2] {
        let product = w1 * w2;
        // The squared error and a penalty on the product are curved alike in w₁ and in w₂.
        let curved = match self.loss {
            Loss::Product => self.scatter + self.lambda,
            Loss::None | Loss::Sum => self.scatter,
        };
        let ridge = match self.loss {
            Loss::Sum => 2.0 * self.lambda,
            Loss::None | Loss::Product => 0.0,
        };
        let mixed = 4.0 * curved * product - 2.0 * self.scatter;
        [
            [2.0 * curved * w2 * w2 + ridge, mixed],
            [mixed, 2.0 * curved * w1 * w1 + ridge],
        ]
    }

    /// w₁w₂ on the hyperbola of minima, where there is one: x²/(x² + λ) for a penalty on the product
    /// or none. Without λ the sum has the curve too.
    pub fn curve(&self) -> Option<f64> {
        let is_curve = self.loss != Loss::Sum || self.lambda <= 0.0;
        is_curve.then(|| self.scatter / (self.scatter + self.lambda))
    }

    /// Every critical point; of a curve of minima the two with w₁ = w₂. The origin is the last one.
    ///
    /// Those of the sum have w₁ = w₂ (the Transpose Theorem of Kunin 2019): ±√(1 − λ/x²), as long
    /// as λ < x².
    pub fn critical_points(&self) -> Vec<CriticalPoint> {
        let square = match self.curve() {
            Some(product) => product,
            None => 1.0 - self.lambda / self.scatter,
        };
        let mut points = Vec::new();
        if square > 0.0 {
            let weight = square.sqrt();
            points.extend([
                self.judged([weight, weight]),
                self.judged([-weight, -weight]),
            ]);
        }
        points.push(self.judged([0.0, 0.0]));
        points
    }

    fn judged(&self, w: [f64; 2]) -> CriticalPoint {
        let [[a, b], [_, d]] = self.hessian(w);
        let (middle, half) = (0.5 * (a + d), (0.5 * (a - d)).hypot(b));
        let eigenvalues = [middle - half, middle + half];
        let zero = FLAT * (a.abs() + b.abs() + d.abs());
        let index = eigenvalues.iter().filter(|value| **value < -zero).count();
        let flat = eigenvalues.iter().any(|value| value.abs() <= zero);
        let kind = match (index, flat) {
            (0, false) => Kind::Minimum,
            (0, true) => Kind::Degenerate,
            _ => Kind::Saddle,
        };
        CriticalPoint {
            w1: w[0],
            w2: w[1],
            loss: self.value(w),
            kind,
            index,
            eigenvalues,
        }
    }

    /// The kind of the critical point that is near, if there is one.
    fn near(&self, [w1, w2]: [f64; 2]) -> Option<Kind> {
        let points = self.critical_points();
        let near = points
            .iter()
            .find(|point| (point.w1 - w1).hypot(point.w2 - w2) <= NEAR);
        let on_curve = || {
            let product = self.curve()?;
            ((w1 * w2 - product).abs() <= NEAR * w1.hypot(w2)).then_some(Kind::Degenerate)
        };
        near.map(|point| point.kind).or_else(on_curve)
    }

    /// Returns the statement of the theory on these numbers, in a sentence.
    pub fn theory(&self) -> String {
        let (loss, x2, lambda) = (self.loss.name(), short(self.scatter), short(self.lambda));
        let place = format!("At λ = {lambda} and x² = {x2} the {loss} loss");
        if self.lambda <= 0.0 {
            return format!(
                "Without a penalty every point of the hyperbola w₁w₂ = 1 is a minimum, with loss 0; the \
                 origin is a saddle, with loss x² = {x2}."
            );
        }
        if let Some(product) = self.curve() {
            return format!(
                "{place} has its minima on the hyperbola w₁w₂ = 1/(1 + λ/x²) = {}: the penalty shrinks \
                 the product and leaves a curve of minima. The origin is a saddle.",
                short(product)
            );
        }
        let square = 1.0 - self.lambda / self.scatter;
        if square > 0.0 {
            let weight = short(square.sqrt());
            return format!(
                "{place} has two minima, at ±({weight}, {weight}): w₁ = w₂ = ±√(1 − λ/x²), as the \
                 Transpose Theorem says. The origin is a saddle."
            );
        }
        format!(
            "{place} has one critical point, a minimum at the origin: λ ≥ x², and the penalty outweighs \
             what the data would give."
        )
    }
}

/// Four digits at most after the point, where the size allows it.
fn short(x: f64) -> String {
    if x > 0.0 && !(1e-3..1e6).contains(&x) {
        return format!("{x:.3e}");
    }
    let text = format!("{x:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const WEIGHTS: [f64; 7] = [-1.7, -1.0, -0.3, 0.0, 0.4, 1.0, 2.1];

    pub(super) fn landscapes() -> impl Iterator<Item = Landscape> {
        let numbers = [(1.0, 0.25), (3.0, 0.5), (0.4, 0.4), (0.7, 2.0), (2.0, 0.0)];
        Loss::ALL
            .into_iter()
            .flat_map(move |loss| numbers.map(|(x2, lambda)| Landscape::new(loss, x2, lambda)))
    }

    #[test]
    fn derivatives_are_those_of_finite_differences() {
        let h = 1e-5;
        for landscape in landscapes() {
            for (w1, w2) in WEIGHTS.iter().flat_map(|a| WEIGHTS.map(|b| (*a, b))) {
                let half = landscape.half_gradient([w1, w2]);
                let hessian = landscape.hessian([w1, w2]);
                for (i, [a, b]) in [[h, 0.0], [0.0, h]].into_iter().enumerate() {
                    let (more, less) = ([w1 + a, w2 + b], [w1 - a, w2 - b]);
                    let slope = (landscape.value(more) - landscape.value(less)) / (2.0 * h);
                    let size = 1.0 + slope.abs();
                    assert!((2.0 * half[i] - slope).abs() < 1e-7 * size, "{landscape:?}");
                    let (more, less) =
                        (landscape.half_gradient(more), landscape.half_gradient(less));
                    for j in 0..2 {
                        let bend = (more[j] - less[j]) / h;
                        let size = 1.0 + bend.abs();
                        assert!((hessian[j][i] - bend).abs() < 1e-7 * size, "{landscape:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_hessian_says_what_the_theory_says() {
        for landscape in landscapes() {
            let points = landscape.critical_points();
            for point in &points {
                let slope = landscape.half_gradient([point.w1, point.w2]);
                assert!(slope.iter().all(|part| part.abs() < 1e-14), "{point:?}");
            }
            let (x2, lambda) = (landscape.scatter(), landscape.lambda());
            let origin = points.last().expect("the origin");
            let ridge = if landscape.loss() == Loss::Sum {
                2.0 * lambda
            } else {
                0.0
            };
            let expected = [ridge - 2.0 * x2, ridge + 2.0 * x2];
            for (found, expected) in origin.eigenvalues.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-14, "{landscape:?}");
            }
            let is_curve = landscape.loss() != Loss::Sum || lambda <= 0.0;
            assert_eq!(landscape.curve().is_some(), is_curve);
            let kinds: Vec<_> = points
                .iter()
                .map(|point| (point.kind, point.index))
                .collect();
            let minimum = (Kind::Minimum, 0);
            let flat = (Kind::Degenerate, 0);
            let saddle = (Kind::Saddle, 1);
            let told: &[_] = match (is_curve, lambda.total_cmp(&x2)) {
                (true, _) => &[flat, flat, saddle],
                (_, std::cmp::Ordering::Less) => &[minimum, minimum, saddle],
                (_, std::cmp::Ordering::Equal) => &[flat],
                (_, std::cmp::Ordering::Greater) => &[minimum],
            };
            assert_eq!(kinds, told, "{landscape:?}");
        }
    }

    #[test]
    fn minima_lie_where_the_formula_says() {
        let sum = Landscape::new(Loss::Sum, 1.0, 0.25).critical_points();
        assert!((sum[0].w1 - 0.75_f64.sqrt()).abs() < 1e-15);
        // 2λ − λ²/x².
        assert!((sum[0].loss - 0.4375).abs() < 1e-15);
        let product = Landscape::new(Loss::Product, 1.0, 0.25);
        assert!((product.curve().expect("a curve") - 0.8).abs() < 1e-15);
        let said = Landscape::new(Loss::Sum, 1.0, 0.25).theory();
        assert!(
            said.starts_with(
                "At λ = 0.25 and x² = 1 the sum loss has two minima, at ±(0.866, 0.866)"
            )
        );
        let said = Landscape::new(Loss::Sum, 1.0, 2.0).theory();
        assert!(said.contains("one critical point, a minimum at the origin"));
        assert!(product.theory().contains("w₁w₂ = 1/(1 + λ/x²) = 0.8:"));
    }
}
