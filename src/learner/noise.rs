//! How many components stand above noise.

/// Quantile of the Tracy–Widom law (β = 1) at 99.5%: a false component in one of 200 data sets.
/// Source: Bejan 2005, table of the quantiles of F₁.
const TRACY_WIDOM_995: f64 = 2.4224;

/// What the sequence of tests says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AboveNoise {
    /// Components whose eigenvalue noise alone would not show.
    pub count: usize,
    /// The largest eigenvalue that noise alone would show beside them.
    pub threshold: f64,
    /// Whether every direction held was above, so that there may be more.
    pub is_lower_bound: bool,
}

/// Tests the eigenvalues in descending order until one could be noise.
///
/// The j-th is compared with σ²(μ + s·τ): σ² is the mean variance of what lies below it, and μ, τ
/// centre and scale the largest eigenvalue of pure noise of n rows in p − j dimensions. Rows with
/// heavier tails than a Gaussian show larger noise eigenvalues, and then it over-counts.
///
/// Shapes: `eigenvalues` of length h ≤ `active` = p, divisor n; `total` is the trace.
/// Source: Kritchman and Nadler 2008, equations (6) to (8); Johnstone 2001 for μ and τ.
pub fn above_noise(eigenvalues: &[f64], total: f64, active: usize, sample: f64) -> AboveNoise {
    let mut left = total;
    let mut threshold = 0.0;
    for (j, value) in eigenvalues.iter().enumerate() {
        left = (left - value).max(0.0);
        let dimensions = active.saturating_sub(j + 1);
        let noise = if dimensions > 0 {
            left / dimensions as f64
        } else {
            0.0
        };
        threshold = noise * largest_of_noise(sample, dimensions as f64);
        let is_above = *value > threshold && *value > 0.0;
        if !is_above {
            return AboveNoise {
                count: j,
                threshold,
                is_lower_bound: false,
            };
        }
    }
    let count = eigenvalues.len();
    AboveNoise {
        count,
        threshold,
        is_lower_bound: count < active,
    }
}

/// μ + s·τ for unit noise of `n` rows in `p` dimensions.
fn largest_of_noise(n: f64, p: f64) -> f64 {
    let (n_root, p_root) = ((n - 0.5).max(0.5).sqrt(), (p - 0.5).max(0.5).sqrt());
    let sum = n_root + p_root;
    let mean = sum * sum / n.max(1.0);
    let scale = sum / n.max(1.0) * (1.0 / n_root + 1.0 / p_root).cbrt();
    mean + TRACY_WIDOM_995 * scale
}
