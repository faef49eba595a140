//! Factorizations of small symmetric f64 matrices in storage that is allocated once.

use faer::diag::DiagMut;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{
    LltRegularization, cholesky_in_place, cholesky_in_place_scratch,
};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{Mat, MatMut, MatRef, Par};

/// The reason why a factorization failed.
///
/// ```
/// use ojad_core::{LearnError, LinalgError};
///
/// let error = LearnError::NotFinite { first_row: 64, source: LinalgError::NoConvergence };
/// assert!(error.to_string().contains("after row 64"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinalgError {
    /// The iteration found no eigenvalues: an entry is NaN or infinite.
    #[error("no eigenvalues: the matrix holds a NaN or an infinity")]
    NoConvergence,
    /// A pivot is not positive.
    #[error("the matrix is not positive definite")]
    NotPositive,
}

/// Eigenvalues in descending order with their vectors.
#[derive(Clone, Debug)]
pub struct Spectrum {
    /// Eigenvalues, length n, descending.
    pub values: Vec<f64>,
    /// n×n; column i belongs to `values[i]`.
    pub vectors: Mat<f64>,
}

impl Default for Spectrum {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            vectors: Mat::new(),
        }
    }
}

/// Workspace of the factorizations, grown to the largest size seen.
pub struct Scratch {
    buffer: Option<MemBuffer>,
    size: usize,
    ascending: Vec<f64>,
    unsorted: Mat<f64>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            buffer: None,
            size: 0,
            ascending: Vec::new(),
            unsorted: Mat::new(),
        }
    }
}

/// A clone starts with an empty workspace: nothing in it outlives a call.
impl Clone for Scratch {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Scratch {
    fn reserve(&mut self, n: usize) {
        if self.buffer.is_none() || n > self.size {
            let eigen = self_adjoint_evd_scratch::<f64>(
                n,
                ComputeEigenvectors::Yes,
                Par::Seq,
                faer::prelude::default(),
            );
            let cholesky = cholesky_in_place_scratch::<f64>(n, Par::Seq, faer::prelude::default());
            self.buffer = Some(MemBuffer::new(eigen.or(cholesky)));
            self.size = n;
        }
    }

    /// Eigenvalues and vectors of symmetric `a` (n×n, lower triangle read).
    ///
    /// # Errors
    /// [`LinalgError::NoConvergence`] if an entry is not finite.
    pub fn eigen(&mut self, a: MatRef<'_, f64>, out: &mut Spectrum) -> Result<(), LinalgError> {
        let n = a.nrows();
        self.reserve(n);
        self.ascending.resize(n, 0.0);
        self.unsorted.resize_with(n, n, |_, _| 0.0);
        let stack = MemStack::new(
            self.buffer
                .get_or_insert_with(|| MemBuffer::new(faer::dyn_stack::StackReq::EMPTY)),
        );
        self_adjoint_evd(
            a,
            DiagMut::from_slice_mut(&mut self.ascending),
            Some(self.unsorted.as_mut()),
            Par::Seq,
            stack,
            faer::prelude::default(),
        )
        .map_err(|_| LinalgError::NoConvergence)?;
        out.values.clear();
        // faer sorts in ascending order, components are numbered from the largest.
        out.values.extend(self.ascending.iter().rev());
        out.vectors.resize_with(n, n, |_, _| 0.0);
        for j in 0..n {
            out.vectors
                .col_mut(j)
                .copy_from(self.unsorted.col(n - 1 - j));
        }
        // Checked here and not left to faer alone: a NaN must never pass for an eigenvalue.
        if out.values.iter().all(|v| v.is_finite()) {
            Ok(())
        } else {
            Err(LinalgError::NoConvergence)
        }
    }

    /// Lower Cholesky factor of `a`, computed in place; the part above the diagonal is zeroed.
    ///
    /// # Errors
    /// [`LinalgError::NotPositive`] if a pivot is not positive; `a` is then spoilt.
    pub fn cholesky(&mut self, mut a: MatMut<'_, f64>) -> Result<(), LinalgError> {
        let n = a.nrows();
        self.reserve(n);
        let stack = MemStack::new(
            self.buffer
                .get_or_insert_with(|| MemBuffer::new(faer::dyn_stack::StackReq::EMPTY)),
        );
        cholesky_in_place(
            a.as_mut(),
            LltRegularization::default(),
            Par::Seq,
            stack,
            faer::prelude::default(),
        )
        .map_err(|_| LinalgError::NotPositive)?;
        // faer leaves the upper triangle as it was, and callers multiply by the whole factor.
        for j in 1..n {
            for i in 0..j {
                a[(i, j)] = 0.0;
            }
        }
        Ok(())
    }
}
