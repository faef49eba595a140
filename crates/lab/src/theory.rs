//! The theorems as functions: minima, critical points, their losses and Morse indices.
//!
//! C = UΣ²Uᵀ, σ₁² > … > σₘ² > 0. A critical point of a loss is given, up to the symmetry that the loss
//! leaves, by a set I of at most k principal directions (Kunin 2019, the landscape
//! theorem): W₂ = U_I·diag(s), W₁ = diag(s)U_Iᵀ, with
//!
//! | loss | symmetry | W₂W₁ on direction i ∈ I | I may hold |
//! |---|---|---|---|
//! | none | GLₖ | 1 | any i |
//! | product | GLₖ | σᵢ²/(σᵢ² + λ) | any i |
//! | sum | Oₖ | 1 − λ/σᵢ² | σᵢ² > λ |
//!
//! and the remaining k − |I| latent dimensions at zero.

use faer::Mat;

use crate::LabError;
use crate::loss::Loss;
use crate::problem::{Problem, spectrum_of};
use crate::weights::Weights;

/// A singular value of the decoder at the minimum, for latent dimension `i` and eigenvalue σ² of C:
/// its square is the singular value of W₂W₁.
///
/// None: 1. Product: 1/(1 + λ/σ²). Sum: (1 − λ/σ²)₊. Source: Kunin 2019, the landscape
/// theorem; for the non-uniform sum Bao 2020, its theorem on the non-uniform penalty.
pub fn shrunk(loss: &Loss, i: usize, eigenvalue: f64) -> f64 {
    let lambda = loss.lambda(i);
    let square = match loss {
        Loss::None => 1.0,
        Loss::Product(_) => {
            if lambda > 0.0 {
                eigenvalue / (eigenvalue + lambda)
            } else {
                1.0
            }
        }
        Loss::Sum(_) | Loss::NonUniform(_) => {
            if eigenvalue > lambda {
                1.0 - lambda / eigenvalue
            } else {
                0.0
            }
        }
    };
    square.sqrt()
}

/// A critical point of a loss.
#[derive(Clone, Debug)]
pub struct Critical {
    /// Principal directions that are in use, ascending, 0-based.
    pub directions: Vec<usize>,
    /// Weights in its orbit under the symmetry of the loss.
    pub weights: Weights,
    /// The loss there, by formula.
    pub loss: f64,
    /// Directions of negative curvature, by formula.
    pub index: usize,
}

/// The loss at the critical point of the set `directions`, by formula: what the directions in use
/// leave, and all of the others.
///
/// A direction in use leaves 0 (none), σ²λ/(σ² + λ) (product), or 2λ − λ²/σ² (sum), one that is not
/// leaves σ². Source: the critical points of Kunin 2019, put into the losses.
pub fn critical_loss(loss: &Loss, directions: &[usize], eigenvalues: &[f64]) -> f64 {
    let left = |(j, sigma2): (usize, &f64)| {
        let place = directions.iter().position(|i| *i == j);
        let lambda = place.map_or(0.0, |place| loss.lambda(place));
        match (place, loss) {
            (None, _) => *sigma2,
            (Some(_), Loss::None) => 0.0,
            (Some(_), Loss::Product(_)) => sigma2 * lambda / (sigma2 + lambda),
            (Some(_), Loss::Sum(_) | Loss::NonUniform(_)) => {
                2.0 * lambda - lambda * lambda / sigma2
            }
        }
    };
    eigenvalues.iter().enumerate().map(left).sum()
}

/// The number of directions of negative curvature at the critical point of the set `directions`
/// with k latent dimensions, by formula, for the losses with a uniform penalty.
///
/// Two kinds of directions lead down. Each i ∈ I can turn toward a stronger j ∉ I (σⱼ > σᵢ): along
/// (a, b) in W₁ += a·eᵢuⱼᵀ, W₂ += b·uⱼeᵢᵀ the sum loss has the Hessian
/// 2[[s²σⱼ² + λ, −σⱼ²], [−σⱼ², σᵢ²]], whose determinant is 4(σᵢ² − σⱼ²)(σⱼ² + λ). Each of the
/// k − |I| free latent dimensions can take up a j ∉ I that stands above λ: there the eigenvalues
/// are 2(λ ± σⱼ²). With λ = 0 in the second kind both hold for the other losses.
/// Source: Kunin 2019, appendix B, which counts them for the minimum's neighbours.
pub fn morse_index(
    loss: &Loss,
    directions: &[usize],
    eigenvalues: &[f64],
    components: usize,
) -> usize {
    let is_out = |j: &usize| !directions.contains(j);
    let outside: Vec<usize> = (0..eigenvalues.len()).filter(is_out).collect();
    let turns: usize = directions
        .iter()
        .map(|i| outside.iter().filter(|j| *j < i).count())
        .sum();
    let edge = match loss {
        Loss::Sum(lambda) => *lambda,
        _ => 0.0,
    };
    let open = outside.iter().filter(|j| eigenvalues[**j] > edge).count();
    turns + components.saturating_sub(directions.len()) * open
}

/// Every critical point, one of each orbit: all sets of at most k of the directions that may be in
/// use.
///
/// # Errors
/// If a value is not finite.
pub fn critical_points(
    problem: &Problem<'_>,
    loss: &Loss,
    components: usize,
) -> Result<Vec<Critical>, LabError> {
    let spectrum = problem.spectrum()?;
    let usable = spectrum
        .values
        .iter()
        .take_while(|value| shrunk(loss, 0, **value) > 0.0)
        .count();
    // All subsets of at most k usable directions, built up one direction at a time.
    let mut sets = vec![Vec::new()];
    for i in 0..usable {
        let with: Vec<Vec<usize>> = sets
            .iter()
            .filter(|set: &&Vec<usize>| set.len() < components)
            .map(|set| [set.as_slice(), &[i]].concat())
            .collect();
        sets.extend(with);
    }
    sets.sort_by(|a, b| a.len().cmp(&b.len()).then(a.cmp(b)));
    let point = |directions: Vec<usize>| {
        let decoder = Mat::from_fn(problem.features(), components, |row, column| {
            directions.get(column).map_or(0.0, |i| {
                spectrum.vectors[(row, *i)] * shrunk(loss, column, spectrum.values[*i])
            })
        });
        Critical {
            weights: Weights::tied(decoder),
            loss: critical_loss(loss, &directions, &spectrum.values),
            index: morse_index(loss, &directions, &spectrum.values, components),
            directions,
        }
    };
    Ok(sets.into_iter().map(point).collect())
}

/// The minimum of the loss over all weights, by formula: the k strongest directions that may be in
/// use.
pub fn least_loss(loss: &Loss, eigenvalues: &[f64], components: usize) -> f64 {
    let best: Vec<usize> = (0..components.min(eigenvalues.len()))
        .filter(|i| shrunk(loss, *i, eigenvalues[*i]) > 0.0)
        .collect();
    critical_loss(loss, &best, eigenvalues)
}

/// The Hessian of the loss in all 2mk weights (W₁ by columns, then W₂ by columns), by central
/// differences of the gradient.
///
/// # Errors
/// If an entry is not finite.
pub fn numerical_hessian(
    problem: &Problem<'_>,
    loss: &Loss,
    at: &Weights,
) -> Result<Mat<f64>, LabError> {
    let (m, k) = (at.features(), at.components());
    let size = 2 * m * k;
    // Entries of the weights are of order 1; the cube root of the machine epsilon balances
    // truncation and rounding of a central difference.
    let reach = f64::EPSILON.cbrt();
    let batch = problem.whole();
    let gradient = |number: usize, by: f64| {
        let mut weights = at.clone();
        *entry(&mut weights, number) += by;
        let mut half = loss.gradient(&weights, &batch);
        let whole = (0..size).map(|number| 2.0 * *entry(&mut half, number));
        whole.collect::<Vec<f64>>()
    };
    let columns: Vec<Vec<f64>> = (0..size)
        .map(|j| {
            let (up, down) = (gradient(j, reach), gradient(j, -reach));
            up.iter()
                .zip(down)
                .map(|(up, down)| (up - down) / (2.0 * reach))
                .collect()
        })
        .collect();
    // Symmetric but for the error of the differences.
    let hessian = Mat::from_fn(size, size, |i, j| 0.5 * (columns[j][i] + columns[i][j]));
    if hessian.is_all_finite() {
        Ok(hessian)
    } else {
        Err(LabError::NotFinite)
    }
}

/// Entry `number` of the weights in the order of the Hessian.
fn entry(weights: &mut Weights, number: usize) -> &mut f64 {
    let (m, k) = (weights.features(), weights.components());
    if number < m * k {
        &mut weights.encoder[(number % k, number / k)]
    } else {
        let number = number - m * k;
        &mut weights.decoder[(number % m, number / m)]
    }
}

/// The inverse of a small square matrix.
pub fn inverse(matrix: faer::MatRef<'_, f64>) -> Mat<f64> {
    use faer::linalg::solvers::DenseSolveCore as _;
    matrix.partial_piv_lu().inverse()
}

/// Numbers of negative, zero and positive eigenvalues of a Hessian; zero is what differences of
/// gradients cannot tell from it.
///
/// # Errors
/// If an entry is not finite.
pub fn inertia(hessian: &Mat<f64>) -> Result<(usize, usize, usize), LabError> {
    let values = spectrum_of(hessian.as_ref())?.values;
    let largest = values
        .iter()
        .fold(0.0_f64, |most, value| most.max(value.abs()));
    // The zero eigenvalues of the symmetry come out as large as the error of the differences.
    let edge = 1e-6 * largest;
    let negative = values.iter().filter(|value| **value < -edge).count();
    let positive = values.iter().filter(|value| **value > edge).count();
    Ok((negative, values.len() - negative - positive, positive))
}
