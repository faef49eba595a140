//! Products and factorizations of dense matrices on one thread, whatever faer's global parallelism.
//!
//! faer's operators and solvers (`a * b`, `a.qr()`, `a.thin_svd()`) read a global that any crate of
//! the program may set. Sums over several threads would differ in their bits, so the core calls
//! these instead.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::householder::{
    apply_block_householder_sequence_on_the_left_in_place_scratch as apply_scratch,
    apply_block_householder_sequence_on_the_left_in_place_with_conj as apply,
};
use faer::linalg::matmul::matmul;
use faer::linalg::qr::no_pivoting::factor::{
    qr_in_place, qr_in_place_scratch, recommended_block_size,
};
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::mat::AsMatRef;
use faer::traits::RealField;
use faer::{Accum, Conj, Mat, MatRef, Par};

use crate::linalg::LinalgError;

/// The product A·B, in new storage.
pub fn product<T: RealField>(
    a: impl AsMatRef<T = T, Rows = usize, Cols = usize>,
    b: impl AsMatRef<T = T, Rows = usize, Cols = usize>,
) -> Mat<T> {
    let mut out = Mat::zeros(a.as_mat_ref().nrows(), b.as_mat_ref().ncols());
    matmul(
        out.as_mut(),
        Accum::Replace,
        a,
        b,
        faer::traits::math_utils::one(),
        Par::Seq,
    );
    out
}

/// Householder vectors and R of A = QR, in place of A, and the block factors of the reflections.
fn qr(a: MatRef<'_, f64>) -> (Mat<f64>, Mat<f64>) {
    let (m, n) = a.shape();
    let mut factored = a.to_owned();
    let size = recommended_block_size::<f64>(m, n);
    let mut factors = Mat::zeros(size, m.min(n));
    let scratch = qr_in_place_scratch::<f64>(m, n, size, Par::Seq, faer::prelude::default());
    qr_in_place(
        factored.as_mut(),
        factors.as_mut(),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        faer::prelude::default(),
    );
    (factored, factors)
}

/// The first min(m, n) columns of Q of A = QR, for A of m×n.
pub fn thin_q(a: MatRef<'_, f64>) -> Mat<f64> {
    let (reflections, factors) = qr(a);
    let columns = a.nrows().min(a.ncols());
    let mut q = Mat::identity(a.nrows(), columns);
    let scratch = apply_scratch::<f64>(a.nrows(), factors.nrows(), columns);
    apply(
        reflections.as_ref().subcols(0, columns),
        factors.as_ref(),
        Conj::No,
        q.as_mut(),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
    );
    q
}

/// The first min(m, n) rows of R of A = QR, for A of m×n.
pub fn thin_r(a: MatRef<'_, f64>) -> Mat<f64> {
    let (factored, _) = qr(a);
    Mat::from_fn(a.nrows().min(a.ncols()), a.ncols(), |i, j| {
        if i <= j { factored[(i, j)] } else { 0.0 }
    })
}

/// Left singular vectors and singular values of a matrix.
#[derive(Clone, Debug)]
pub struct ThinSvd {
    /// U, m×min(m, n), orthonormal columns.
    pub u: Mat<f64>,
    /// Singular values, length min(m, n), descending.
    pub s: Vec<f64>,
}

/// The thin singular value decomposition of A, m×n.
///
/// # Errors
/// [`LinalgError::NoConvergence`] if an entry is not finite.
pub fn thin_svd(a: MatRef<'_, f64>) -> Result<ThinSvd, LinalgError> {
    let (m, n) = a.shape();
    let size = m.min(n);
    let (mut u, mut v) = (Mat::zeros(m, size), Mat::zeros(n, size));
    let mut s = Diag::zeros(size);
    let thin = ComputeSvdVectors::Thin;
    let scratch = svd_scratch::<f64>(m, n, thin, thin, Par::Seq, faer::prelude::default());
    svd(
        a,
        s.as_mut(),
        Some(u.as_mut()),
        Some(v.as_mut()),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        faer::prelude::default(),
    )
    .map_err(|_| LinalgError::NoConvergence)?;
    let s = s.column_vector().iter().copied().collect();
    Ok(ThinSvd { u, s })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// faer's operators and solvers, on one thread by default, give the same bits.
    #[test]
    fn the_bits_are_those_of_faer() {
        for (m, n) in [(7, 3), (3, 7), (90, 40), (200, 60), (5, 1), (1, 5)] {
            let a = Mat::<f64>::from_fn(m, n, |i, j| ((i * 31 + j * 17) as f64 * 0.37).sin());
            assert_eq!(product(&a, a.transpose()), &a * a.transpose());
            assert_eq!(thin_q(a.as_ref()), a.qr().compute_thin_Q());
            assert_eq!(thin_r(a.as_ref()), a.qr().thin_R());
            let (ours, theirs) = (thin_svd(a.as_ref()).unwrap(), a.thin_svd().unwrap());
            assert_eq!(ours.u, theirs.U());
            let s: Vec<f64> = theirs.S().column_vector().iter().copied().collect();
            assert_eq!(ours.s, s);
        }
    }
}
