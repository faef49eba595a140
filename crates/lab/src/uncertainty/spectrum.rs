//! Rows → eigenvalues of their sample covariance matrix, all of them, in full precision.

use faer::{Mat, MatRef, Side};

use crate::LabError;

/// Eigenvalues of XᵀX/n, descending, min(n, m) of them.
pub(super) fn eigenvalues(rows: MatRef<'_, f64>) -> Result<Vec<f64>, LabError> {
    let (n, m) = rows.shape();
    // The smaller of the two matrices that share their eigenvalues.
    let square: Mat<f64> = if n < m {
        rows * rows.transpose()
    } else {
        rows.transpose() * rows
    };
    let ascending = square.self_adjoint_eigenvalues(Side::Lower);
    let ascending = ascending.map_err(|_| LabError::NotFinite)?;
    let descending = ascending.iter().rev();
    Ok(descending.map(|value| value.max(0.0) / n as f64).collect())
}
