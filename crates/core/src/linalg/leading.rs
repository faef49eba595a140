//! The leading eigenpairs of a symmetric positive semidefinite matrix, if only a few are wanted.
//!
//! Block Krylov with Rayleigh and Ritz: the basis [X, AX, A²X, …], orthonormal, grows until
//! another block no longer changes what the wanted eigenvalues add up to. A full decomposition
//! of a 228×228 matrix takes five times as long as the twenty leading pairs do.
//!
//! Source: Musco and Musco 2015, algorithm 2 (block Krylov); its error bound needs no gap.

use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Mat, MatRef, Par};

use crate::linalg::sequential::product;
use crate::linalg::small::{LinalgError, Scratch, Spectrum};

/// Random columns of the first block in addition to the seeds.
const RANDOM_COLUMNS: usize = 8;

/// Blocks after which the full decomposition is cheaper.
const BLOCKS_MAX: usize = 4;

/// A block that adds less than this share of what the wanted pairs leave out is the last.
const GAIN: f64 = 1e-3;

/// A pivot of a block's Cholesky factor below this share of its largest has no digits left.
const DEPENDENT: f64 = 1e-6;

impl Scratch {
    /// The `wanted` leading eigenvalues of symmetric `a` (n×n) and their vectors (n×`wanted`), or
    /// all n of them if that costs no more.
    ///
    /// The first `seeds` unit vectors are assumed to be near the answer.
    ///
    /// # Errors
    /// [`LinalgError::NoConvergence`] if an entry is not finite.
    pub fn leading(
        &mut self,
        a: MatRef<'_, f64>,
        seeds: usize,
        wanted: usize,
        out: &mut Spectrum,
    ) -> Result<(), LinalgError> {
        let (n, width) = (a.nrows(), seeds.max(wanted) + RANDOM_COLUMNS);
        // The basis would grow as large as the matrix itself.
        if n < BLOCKS_MAX * width {
            return self.eigen(a, out);
        }
        let trace: f64 = (0..n).map(|i| a[(i, i)]).sum();
        let start = Mat::<f64>::from_fn(n, width, |i, j| {
            if j < seeds {
                f64::from(u8::from(i == j))
            } else {
                sign(i * width + j)
            }
        });
        // One power iteration before the first orthonormalization, because the random columns
        // point nowhere in particular.
        let mut block = product(a, &start);
        let (mut basis, mut image) = (Mat::<f64>::new(), Mat::<f64>::new());
        let mut before = 0.0;
        for blocks in 1..BLOCKS_MAX {
            if !self.append(&mut basis, &mut block) {
                return self.eigen(a, out);
            }
            block = product(a, &block); // n×width
            let columns = image.ncols();
            image.resize_with(n, columns + width, |i, j| block[(i, j - columns)]);
            let projected = product(basis.transpose(), &image);
            self.eigen(projected.as_ref(), out)?;
            let sum: f64 = out.values.iter().take(wanted).sum();
            // The first sum has none before it to be compared with.
            if blocks > 1 && sum - before <= GAIN * (trace - sum).max(0.0) {
                out.values.truncate(wanted);
                out.vectors = product(&basis, out.vectors.subcols(0, wanted));
                return Ok(());
            }
            before = sum;
        }
        self.eigen(a, out)
    }

    /// Orthonormalizes `block` against `basis` and itself, and appends it. False if its columns are
    /// numerically dependent.
    fn append(&mut self, basis: &mut Mat<f64>, block: &mut Mat<f64>) -> bool {
        let (n, width, columns) = (block.nrows(), block.ncols(), basis.ncols());
        // Twice is enough (Kahan, in Parlett 1980).
        for _ in 0..2 {
            if columns > 0 {
                let inside = product(basis.transpose(), &*block);
                *block -= product(&*basis, &inside);
            }
            let mut factor = product(block.transpose(), &*block);
            if self.cholesky(factor.as_mut()).is_err() {
                return false;
            }
            let pivots = (0..width).map(|i| factor[(i, i)]);
            let largest = pivots.clone().fold(0.0, f64::max);
            if pivots.into_iter().any(|v| v <= DEPENDENT * largest) {
                return false;
            }
            let rows = block.transpose_mut();
            solve_lower_triangular_in_place(factor.as_ref(), rows, Par::Seq);
        }
        basis.resize_with(n, columns + width, |i, j| block[(i, j - columns)]);
        true
    }
}

/// ±1, the same for the same `index` (the finalizer of MurmurHash3 as a coin).
fn sign(index: usize) -> f64 {
    let mut x = index as u64 + 1;
    x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    if (x ^ (x >> 33)) & 1 == 0 { 1.0 } else { -1.0 }
}

#[cfg(test)]
mod tests {
    use faer::Mat;

    use super::{Scratch, Spectrum, sign};

    #[test]
    fn agrees_with_the_full_decomposition_where_the_spectrum_has_gaps() {
        let n = 160;
        let rows = Mat::<f64>::from_fn(n, 400, |i, j| {
            let scale = if j < 10 { 5.0 / (j + 1) as f64 } else { 0.02 };
            scale * sign(i * 400 + j)
        });
        let a = &rows * rows.transpose();
        let (mut scratch, mut few, mut all) =
            (Scratch::default(), Spectrum::default(), Spectrum::default());
        scratch.leading(a.as_ref(), 0, 10, &mut few).unwrap();
        scratch.eigen(a.as_ref(), &mut all).unwrap();
        assert_eq!(few.values.len(), 10);
        for i in 0..10 {
            assert!((few.values[i] / all.values[i] - 1.0).abs() < 1e-9);
            let overlap = few.vectors.col(i).transpose() * all.vectors.col(i);
            assert!((overlap.abs() - 1.0).abs() < 1e-9, "{i}: {overlap}");
        }
    }

    #[test]
    fn a_matrix_of_low_rank_gets_the_full_decomposition() {
        let a = Mat::<f64>::from_fn(120, 120, |i, j| sign(i) * sign(j));
        let (mut scratch, mut few) = (Scratch::default(), Spectrum::default());
        scratch.leading(a.as_ref(), 0, 3, &mut few).unwrap();
        assert!((few.values[0] - 120.0).abs() < 1e-9);
    }
}
