//! Principal angles between subspaces.

use faer::MatRef;

use crate::linalg::sequential::{product, thin_r, thin_svd};

/// sin² of the principal angles between the row spaces of `a` (j×m) and `b` (k×m), j ≥ k, both
/// with orthonormal rows; length k, ascending.
///
/// The sines come from the part of `b` that lies outside `a`, because 1 − cos² would lose every
/// angle below 1e-8. Source: Björck and Golub 1973, equation (12).
///
/// A matrix with a NaN gives NaNs.
pub fn sin2_of_angles(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Vec<f64> {
    let inside = product(b, a.transpose()); // k×j
    let outside = b - product(&inside, a); // k×m
    // Gram of the residual: its eigenvalues are sin²; QR first keeps the small ones.
    let r = thin_r(outside.transpose());
    let Ok(svd) = thin_svd(r.as_ref()) else {
        return vec![f64::NAN; b.nrows()];
    };
    let mut sines: Vec<f64> = svd.s.iter().map(|s| (s * s).min(1.0)).collect();
    sines.resize(b.nrows(), 0.0);
    sines.reverse();
    sines
}

/// Mean sin² of the principal angles: 0 is the same subspace, 1 is orthogonal.
pub fn mean_sin2(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> f64 {
    let sines = sin2_of_angles(a, b);
    sines.iter().sum::<f64>() / sines.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::mean_sin2;

    #[test]
    fn tiny_angles_keep_their_digits() {
        let angle = 1e-10_f64;
        let a = faer::mat![[1.0, 0.0, 0.0]];
        let b = faer::mat![[angle.cos(), angle.sin(), 0.0]];
        let sin2 = mean_sin2(a.as_ref(), b.as_ref());
        assert!((sin2 / 1e-20 - 1.0).abs() < 1e-6, "{sin2}");
    }
}
