//! A problem to learn: rows, their scatter matrix, and its spectrum, which is the answer.
//!
//! In: centred rows X, n×m, a row a point (the papers' X is the transpose). Out: batches of them,
//! the scatter matrix C = XᵀX (m×m; n times the covariance), and its spectrum, each computed on
//! first use, so that unused ones cost nothing.

use std::cell::OnceCell;

use faer::{Mat, MatRef};

use crate::LabError;
use ojad_core::linalg::{Scratch, Spectrum};

/// Rows to learn from.
pub struct Problem<'a> {
    rows: MatRef<'a, f64>,
    whole: OnceCell<Mat<f64>>,
    spectrum: OnceCell<Spectrum>,
}

impl<'a> Problem<'a> {
    /// Nothing is computed yet.
    ///
    /// Shapes: `rows` is n×m, centred.
    pub fn new(rows: MatRef<'a, f64>) -> Self {
        Self {
            rows,
            whole: OnceCell::new(),
            spectrum: OnceCell::new(),
        }
    }

    /// Returns the rows X, n×m.
    pub fn rows(&self) -> MatRef<'a, f64> {
        self.rows
    }

    /// Returns the number of rows, n.
    pub fn count(&self) -> usize {
        self.rows.nrows()
    }

    /// Returns the number of features, m.
    pub fn features(&self) -> usize {
        self.rows.ncols()
    }

    /// C = XᵀX, m×m, in squared feature units times rows.
    pub fn scatter(&self) -> MatRef<'_, f64> {
        self.whole
            .get_or_init(|| self.rows.transpose() * self.rows)
            .as_ref()
    }

    /// Eigenvalues σ² of C, descending, and its eigenvectors: the left singular vectors of the
    /// papers' X.
    ///
    /// # Errors
    /// If a value is not finite.
    pub fn spectrum(&self) -> Result<&Spectrum, LabError> {
        if let Some(spectrum) = self.spectrum.get() {
            return Ok(spectrum);
        }
        let spectrum = spectrum_of(self.scatter())?;
        Ok(self.spectrum.get_or_init(|| spectrum))
    }

    /// All rows at once.
    pub fn whole(&self) -> Batch<'_, 'a> {
        Batch {
            problem: self,
            rows: self.rows,
            own: None,
        }
    }

    /// The `number`-th minibatch of `size` rows: consecutive rows, from the first again after the
    /// last whole one.
    ///
    /// Rows at the end that fill no minibatch are left out, so that each estimate of C has the
    /// same variance.
    pub fn minibatch(&self, number: usize, size: usize) -> Batch<'_, 'a> {
        let size = size.clamp(1, self.count().max(1));
        if size >= self.count() {
            return self.whole();
        }
        let first = number % (self.count() / size) * size;
        Batch {
            problem: self,
            rows: self.rows.subrows(first, size),
            own: Some(OnceCell::new()),
        }
    }
}

/// Rows of one iteration, standing for all.
pub struct Batch<'b, 'a> {
    problem: &'b Problem<'a>,
    rows: MatRef<'b, f64>,
    /// The scatter of a minibatch, once it is needed.
    own: Option<OnceCell<Mat<f64>>>,
}

impl Batch<'_, '_> {
    /// Returns the rows of the minibatch, b×m.
    pub fn rows(&self) -> MatRef<'_, f64> {
        self.rows
    }

    /// All n rows, of which these are some.
    pub fn all(&self) -> MatRef<'_, f64> {
        self.problem.rows()
    }

    /// n/b: what a row of this batch stands for.
    pub fn factor(&self) -> f64 {
        self.problem.count() as f64 / self.rows.nrows() as f64
    }

    /// (n/b)·XᵀX of these rows, whose expectation over minibatches is C.
    pub fn scatter(&self) -> MatRef<'_, f64> {
        match &self.own {
            None => self.problem.scatter(),
            Some(own) => own
                .get_or_init(|| (self.rows.transpose() * self.rows) * faer::Scale(self.factor()))
                .as_ref(),
        }
    }

    /// C·W for W m×k: by the scatter where it is there or cheaper, else (n/b)·Xᵀ(XW).
    pub fn apply(&self, w: MatRef<'_, f64>) -> Mat<f64> {
        // 2bmk flops against bm² + m²k.
        let is_narrow = 2 * w.ncols() < self.rows.ncols();
        if self.own.as_ref().is_some_and(|own| own.get().is_none()) && is_narrow {
            let inside = self.rows * w; // b×k
            return (self.rows.transpose() * inside) * faer::Scale(self.factor());
        }
        self.scatter() * w
    }

    /// The spectrum of this batch's scatter.
    ///
    /// # Errors
    /// If a value is not finite.
    pub fn with_spectrum<T>(&self, then: impl FnOnce(&Spectrum) -> T) -> Result<T, LabError> {
        match &self.own {
            None => self.problem.spectrum().map(then),
            Some(_) => spectrum_of(self.scatter()).map(|spectrum| then(&spectrum)),
        }
    }
}

/// Eigenvalues of a symmetric matrix, descending.
///
/// # Errors
/// If an entry is not finite.
pub(crate) fn spectrum_of(matrix: MatRef<'_, f64>) -> Result<Spectrum, LabError> {
    let mut spectrum = Spectrum::default();
    Scratch::default().eigen(matrix, &mut spectrum)?;
    Ok(spectrum)
}
