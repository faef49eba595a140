//! What dividing each feature by its own deviation does to products of scores: error bars of a correlation matrix.
//!
//! A row y moves the element zᵢzⱼ of a covariance matrix, and by as much the deviations that the features are divided by:
//! to first order an element of the correlation matrix moves by zᵢzⱼ − ½(λᵢ + λⱼ)·Σ uᵢf uⱼf y_f². So the long-run
//! variances of these, in place of those of zᵢzⱼ, are those of the eigenvalues and of the angles.
//!
//! In: rows, their scores and directions. Out: the sums that products of scores are corrected by, exact for every pair
//! from the sums of y_f² over a run (m·h² operations in 16 rows), and the variance that single rows have, from one row in
//! four.
//!
//! Source: Konishi 1979, theorem 1, without the Gaussian assumption.

use std::ops::Range;

use faer::MatRef;

use crate::linalg::Real;

/// One row in so many tells the variance of single rows.
const EVERY: usize = 4;

/// Numbers in a sum that are added side by side.
const LANES: usize = 8;

/// The correction, with the directions of the rows looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Standardized {
    /// True if each feature is divided by its deviation about its mean.
    pub(super) is_on: bool,
    /// E (zᵢ² − λᵢ Σ uᵢf² y_f²)², length h; empty if nothing is divided.
    pub(super) alone: Vec<f64>,
    /// U, h×m, row by row.
    basis: Vec<f64>,
    /// λ as the scores have it so far, length h.
    values: Vec<f64>,
    /// Sums of y² of a run, then one of these times a direction, length m each.
    squares: Vec<f64>,
    product: Vec<f64>,
}

/// Rows y and the roots that undo their weights.
#[derive(Clone, Copy)]
pub(super) struct Weighted<'a, T> {
    pub(super) y: MatRef<'a, T>,
    pub(super) roots: &'a [f64],
}

impl<T: Real> Weighted<'_, T> {
    /// Σ y_f² of these rows, length m.
    fn squares(self, rows: Range<usize>, to: &mut Vec<f64>) {
        to.clear();
        let roots = &self.roots[rows.clone()];
        to.extend((0..self.y.ncols()).map(|f| {
            let column = self.y.col(f).subrows(rows.start, rows.len());
            let each = column.iter().zip(roots);
            each.map(|(v, root)| (v.wide() * root).powi(2)).sum::<f64>()
        }));
    }
}

impl Standardized {
    /// Holds as many directions as are held elsewhere.
    pub(super) fn resize(&mut self, directions: usize) {
        if self.is_on {
            self.alone.resize(directions, 0.0);
        }
    }

    /// Goes over to scores in a unit in which their fourth powers are `factor` times as large.
    pub(super) fn multiply(&mut self, factor: f64) {
        self.alone.iter_mut().for_each(|v| *v *= factor);
    }

    /// Takes rows with these squared scores (count×h) in, seen through `basis` (h×m), of variances `values`.
    pub(super) fn look<T: Real>(
        &mut self,
        rows: Weighted<'_, T>,
        basis: MatRef<'_, T>,
        scores: MatRef<'_, f64>,
        values: &[f64],
        share: f64,
    ) {
        if !self.is_on {
            return;
        }
        let (h, m) = basis.shape();
        self.basis.clear();
        for i in 0..h {
            self.basis.extend(basis.row(i).iter().map(|v| v.wide()));
        }
        self.values.clear();
        self.values.extend_from_slice(values);
        let count = scores.nrows();
        let each = share / count.div_ceil(EVERY) as f64;
        self.alone.iter_mut().for_each(|v| *v *= 1.0 - share);
        for row in (0..count).step_by(EVERY) {
            rows.squares(row..row + 1, &mut self.squares);
            let directions = self.basis.chunks_exact(m).zip(&self.values).enumerate();
            for (i, (direction, value)) in directions {
                multiply(&self.squares, direction, &mut self.product);
                let own = dot(&self.product, direction);
                let apart = scores[(row, i)] - value * own;
                self.alone[i] += each * apart * apart;
            }
        }
    }

    /// Corrects the sums of zᵢzⱼ, j ≤ i, over some of the rows just looked at.
    pub(super) fn correct<T: Real>(
        &mut self,
        rows: Weighted<'_, T>,
        which: Range<usize>,
        sums: &mut [f64],
    ) {
        if !self.is_on {
            return;
        }
        let m = rows.y.ncols();
        rows.squares(which, &mut self.squares);
        let mut sums = sums.iter_mut();
        for (i, direction) in self.basis.chunks_exact(m).enumerate() {
            multiply(&self.squares, direction, &mut self.product);
            let others = self.basis.chunks_exact(m).zip(&self.values).take(i + 1);
            for ((other, value), sum) in others.zip(&mut sums) {
                let both = 0.5 * (self.values[i] + value);
                *sum -= both * dot(&self.product, other);
            }
        }
    }
}

/// Products of the entries of both.
fn multiply(a: &[f64], b: &[f64], to: &mut Vec<f64>) {
    to.clear();
    to.extend(a.iter().zip(b).map(|(a, b)| a * b));
}

/// Σab, in sums side by side.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let (chunks, rest) = a.as_chunks::<LANES>();
    let (others, other_rest) = b.as_chunks::<LANES>();
    for (a, b) in chunks.iter().zip(others) {
        for l in 0..LANES {
            sums[l] += a[l] * b[l];
        }
    }
    let rest: f64 = rest.iter().zip(other_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}
