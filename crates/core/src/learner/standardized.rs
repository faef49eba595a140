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

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};

use crate::linalg::Real;

/// One row in so many tells the variance of single rows.
const EVERY: usize = 4;

/// The correction, with the directions of the rows looked at.
#[derive(Clone, Debug)]
pub(super) struct Standardized {
    /// True if each feature is divided by its deviation about its mean.
    pub(super) is_on: bool,
    /// E (zᵢ² − λᵢ Σ uᵢf² y_f²)², length h; empty if nothing is divided.
    pub(super) alone: Vec<f64>,
    /// Uᵀ, m×h, and its entries squared.
    basis: Mat<f64>,
    squared: Mat<f64>,
    /// λ as the scores have it so far, length h.
    values: Vec<f64>,
    /// Sums of y² of a run, length m.
    squares: Vec<f64>,
    /// y² of the rows that tell the variance of single rows, m×rows; then diag(sums of y²)·Uᵀ, m×h.
    product: Mat<f64>,
    /// Σ uᵢf² y_f² of these rows, h×rows; then Σ uᵢf uⱼf y_f², h×h.
    own: Mat<f64>,
}

impl Default for Standardized {
    fn default() -> Self {
        Self {
            is_on: false,
            alone: Vec::new(),
            basis: Mat::new(),
            squared: Mat::new(),
            values: Vec::new(),
            squares: Vec::new(),
            product: Mat::new(),
            own: Mat::new(),
        }
    }
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
        to.resize(self.y.ncols(), 0.0);
        for row in rows {
            let root = self.roots[row];
            // Row by row, as rows lie in memory: columns are read as fast by so few rows.
            let values = to.iter_mut().zip(self.y.row(row).iter());
            values.for_each(|(sum, v)| *sum += (v.wide() * root).powi(2));
        }
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
        self.basis.resize_with(m, h, |_, _| 0.0);
        self.squared.resize_with(m, h, |_, _| 0.0);
        for i in 0..h {
            for f in 0..m {
                let v = basis[(i, f)].wide();
                self.basis[(f, i)] = v;
                self.squared[(f, i)] = v * v;
            }
        }
        self.values.clear();
        self.values.extend_from_slice(values);
        let told = scores.nrows().div_ceil(EVERY);
        self.product.resize_with(m, told, |_, _| 0.0);
        for k in 0..told {
            let root = rows.roots[k * EVERY];
            let to = self.product.col_mut(k).iter_mut();
            let values = to.zip(rows.y.row(k * EVERY).iter());
            values.for_each(|(to, v)| *to = (v.wide() * root).powi(2));
        }
        self.own.resize_with(h, told, |_, _| 0.0);
        // h×m · m×rows
        matmul(
            self.own.as_mut(),
            Accum::Replace,
            self.squared.transpose(),
            self.product.as_ref(),
            1.0,
            Par::Seq,
        );
        let each = share / told as f64;
        for (i, alone) in self.alone.iter_mut().enumerate() {
            *alone *= 1.0 - share;
            for k in 0..told {
                let apart = scores[(k * EVERY, i)] - self.values[i] * self.own[(i, k)];
                *alone += each * apart * apart;
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
        rows.squares(which, &mut self.squares);
        let (m, h) = self.basis.shape();
        self.product.resize_with(m, h, |_, _| 0.0);
        for i in 0..h {
            let from = self.squares.iter().zip(self.basis.col(i).iter());
            let to = self.product.col_mut(i).iter_mut();
            to.zip(from).for_each(|(to, (square, v))| *to = square * v);
        }
        self.own.resize_with(h, h, |_, _| 0.0);
        // h×m · m×h
        matmul(
            self.own.as_mut(),
            Accum::Replace,
            self.basis.transpose(),
            self.product.as_ref(),
            1.0,
            Par::Seq,
        );
        let mut sums = sums.iter_mut();
        for i in 0..h {
            for (j, sum) in (0..=i).zip(&mut sums) {
                *sum -= 0.5 * (self.values[i] + self.values[j]) * self.own[(i, j)];
            }
        }
    }
}
