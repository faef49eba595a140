//! The primitives that a layer's regularization is made of (Kunin 2020, table 1), each with its
//! gradient.
//!
//! In: forward weights W (out×in), backward weights B (in×out), and the layer's activity over a
//! batch of b rows: x (b×in) and what the forward weights make of it, y = x·Wᵀ (b×out), which the
//! paper calls x_{l+1}. Out: the value, meaned over the batch, and gradients that hold y fixed:
//! a layer sees its own activity and does not differentiate through it. Every gradient is *added*
//! to its target, times a scale, so that a rule is a sum of calls.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};

/// The inputs and outputs of a layer over a batch.
#[derive(Clone, Copy, Debug)]
pub struct Activity<'a> {
    /// The inputs x, b×in.
    pub input: MatRef<'a, f64>,
    /// y = x·Wᵀ, b×out, before bias and nonlinearity.
    pub output: MatRef<'a, f64>,
}

impl Activity<'_> {
    /// Returns 1/b, the share of one row.
    fn share(&self) -> f64 {
        1.0 / self.input.nrows().max(1) as f64
    }
}

/// P_decay = ½‖W‖² + ½‖B‖².
pub fn decay(w: MatRef<'_, f64>, b: MatRef<'_, f64>) -> f64 {
    0.5 * (w.squared_norm_l2() + b.squared_norm_l2())
}

/// ∂P_decay of its own weights, W for W and B for B: `weights` is either.
pub fn add_decay_gradient(to: &mut Mat<f64>, scale: f64, weights: MatRef<'_, f64>) {
    add_scaled(to, scale, weights);
}

/// P_amp = −tr(xᵀBy): large where the backward weights send y back onto x.
pub fn amp(activity: Activity<'_>, b: MatRef<'_, f64>) -> f64 {
    -activity.share()
        * dot(
            activity.input,
            product(activity.output, b.transpose()).as_ref(),
        )
}

/// ∂P_amp/∂B = −x yᵀ (in×out).
pub fn add_amp_gradient(to: &mut Mat<f64>, scale: f64, activity: Activity<'_>) {
    let scale = -scale * activity.share();
    let (x, y) = (activity.input, activity.output);
    matmul(to, Accum::Add, x.transpose(), y, scale, Par::Seq);
}

/// P_null = ½‖By‖²: what comes back is small.
///
/// The authors' code also has the half that sends xᵀB on through W; information alignment does
/// not use it, and neither does anything here.
pub fn null(activity: Activity<'_>, b: MatRef<'_, f64>) -> f64 {
    0.5 * activity.share() * product(activity.output, b.transpose()).squared_norm_l2()
}

/// ∂P_null/∂B = B y yᵀ (in×out).
pub fn add_null_gradient(
    to: &mut Mat<f64>,
    scale: f64,
    activity: Activity<'_>,
    b: MatRef<'_, f64>,
) {
    let back = product(activity.output, b.transpose()); // b×in
    let scale = scale * activity.share();
    matmul(
        to,
        Accum::Add,
        back.transpose(),
        activity.output,
        scale,
        Par::Seq,
    );
}

/// P_sparse = ½‖y‖² + ½‖xᵀB‖².
pub fn sparse(activity: Activity<'_>, b: MatRef<'_, f64>) -> f64 {
    let across = product(activity.input, b);
    0.5 * activity.share() * (activity.output.squared_norm_l2() + across.squared_norm_l2())
}

/// ∂P_sparse/∂B = x xᵀB (in×out).
pub fn add_sparse_gradient(
    to: &mut Mat<f64>,
    scale: f64,
    activity: Activity<'_>,
    b: MatRef<'_, f64>,
) {
    let across = product(activity.input, b); // b×out
    let scale = scale * activity.share();
    matmul(
        to,
        Accum::Add,
        activity.input.transpose(),
        &across,
        scale,
        Par::Seq,
    );
}

/// P_self = −tr(BW): no activity, so no local rule can know it.
pub fn self_alignment(w: MatRef<'_, f64>, b: MatRef<'_, f64>) -> f64 {
    -dot(w, b.transpose())
}

/// ∂P_self/∂B = −Wᵀ (and by the same call with the other weights, ∂P_self/∂W = −Bᵀ).
pub fn add_self_gradient(to: &mut Mat<f64>, scale: f64, other: MatRef<'_, f64>) {
    add_scaled(to, -scale, other.transpose());
}

/// a·b on this thread alone: runs go side by side, and products are small.
pub(super) fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    let mut to = Mat::zeros(a.nrows(), b.ncols());
    matmul(&mut to, Accum::Replace, a, b, 1.0, Par::Seq);
    to
}

/// Σ aᵢⱼ·bᵢⱼ of two matrices of one shape.
pub(super) fn dot(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> f64 {
    (0..a.ncols())
        .map(|j| a.col(j).transpose() * b.col(j))
        .sum()
}

/// Adds `scale` times `from` to `to`, of the same shape.
pub(super) fn add_scaled(to: &mut Mat<f64>, scale: f64, from: MatRef<'_, f64>) {
    for j in 0..to.ncols() {
        let from = from.col(j);
        if let Some(from) = from.try_as_col_major() {
            let pairs = to.col_as_slice_mut(j).iter_mut().zip(from.as_slice());
            pairs.for_each(|(to, from)| *to += scale * from);
        } else {
            let pairs = to.col_as_slice_mut(j).iter_mut().zip(from.iter());
            pairs.for_each(|(to, from)| *to += scale * from);
        }
    }
}

#[cfg(test)]
mod tests {
    use faer::{Mat, MatRef};

    use super::*;

    /// Numbers without structure, the same on every machine.
    fn made(rows: usize, columns: usize, phase: f64) -> Mat<f64> {
        Mat::from_fn(rows, columns, |i, j| {
            (phase + 1.7 * i as f64 + 2.9 * j as f64 + (i * j) as f64).sin()
        })
    }

    /// Central differences of `value` at `at`, against `gradient`.
    fn agrees(at: &Mat<f64>, value: impl Fn(MatRef<'_, f64>) -> f64, gradient: &Mat<f64>) {
        let step = 1e-5;
        for i in 0..at.nrows() {
            for j in 0..at.ncols() {
                let moved = |by: f64| {
                    let mut moved = at.clone();
                    moved[(i, j)] += by;
                    value(moved.as_ref())
                };
                let slope = (moved(step) - moved(-step)) / (2.0 * step);
                let found = gradient[(i, j)];
                assert!((slope - found).abs() < 1e-8, "{i},{j}: {slope} {found}");
            }
        }
    }

    #[test]
    fn every_gradient_is_the_slope_of_its_primitive() {
        let (w, b) = (made(3, 4, 0.1), made(4, 3, 0.7));
        let (x, y) = (made(6, 4, 1.3), made(6, 3, 2.1));
        let activity = Activity {
            input: x.as_ref(),
            output: y.as_ref(),
        };
        let gradient = |add: &dyn Fn(&mut Mat<f64>)| {
            let mut to = Mat::zeros(4, 3);
            add(&mut to);
            to
        };
        let b_ref = b.as_ref();

        let found = gradient(&|to| add_decay_gradient(to, 1.0, b_ref));
        agrees(&b, |b| decay(w.as_ref(), b), &found);
        let found = gradient(&|to| add_amp_gradient(to, 1.0, activity));
        agrees(&b, |b| amp(activity, b), &found);
        let found = gradient(&|to| add_null_gradient(to, 1.0, activity, b_ref));
        agrees(&b, |b| null(activity, b), &found);
        let found = gradient(&|to| add_sparse_gradient(to, 1.0, activity, b_ref));
        agrees(&b, |b| sparse(activity, b), &found);
        let found = gradient(&|to| add_self_gradient(to, 1.0, w.as_ref()));
        agrees(&b, |b| self_alignment(w.as_ref(), b), &found);

        // The two that the forward weights have a part in.
        let mut found = Mat::zeros(3, 4);
        add_decay_gradient(&mut found, 1.0, w.as_ref());
        agrees(&w, |w| decay(w, b_ref), &found);
        let mut found = Mat::zeros(3, 4);
        add_self_gradient(&mut found, 1.0, b_ref);
        agrees(&w, |w| self_alignment(w, b_ref), &found);
    }

    #[test]
    fn gradients_are_added_with_their_scale() {
        let b = made(4, 3, 0.7);
        let mut to = b.clone();
        add_decay_gradient(&mut to, -1.0, b.as_ref());
        assert!(to.norm_max() < 1e-15);
    }
}
