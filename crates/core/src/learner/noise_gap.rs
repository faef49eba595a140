//! The gap between the eigenvalues of components and those of noise, whatever the noise is like.
//!
//! In: eigenvalues in descending order. Out: how many lie before the last gap that is too wide for noise. Noise may be
//! unequal, correlated among features and dependent in time: at their upper end its eigenvalues still thin out like
//! those of any such matrix, the j-th at a distance of j^(2/3), which the five behind the last candidate tell.
//!
//! Source: Onatski 2010, section IV (the edge distribution estimator).

/// Eigenvalues that tell how wide the gaps of noise are.
const TELLING: usize = 5;

/// Rounds in which the number and the gaps find each other.
const ROUNDS: usize = 8;

/// How many of the first `most` eigenvalues lie before a gap; `None` where too few lie behind.
pub fn before_gap(eigenvalues: &[f64], most: usize) -> Option<usize> {
    if most == 0 || eigenvalues.len() < most + TELLING {
        return None;
    }
    let mut first = most;
    let mut found = 0;
    for _ in 0..ROUNDS {
        let wide = 2.0 * slope(&eigenvalues[first..first + TELLING], first).abs();
        let is_wide = |i: &usize| eigenvalues[i - 1] - eigenvalues[*i] >= wide;
        found = (1..=most).rev().find(is_wide).unwrap_or(0);
        if found == first {
            break;
        }
        first = found;
    }
    Some(found)
}

/// Slope of the least squares line through the eigenvalues from number `first` (0-based) over j^(2/3).
fn slope(eigenvalues: &[f64], first: usize) -> f64 {
    let count = eigenvalues.len() as f64;
    let place = |i: usize| ((first + i) as f64).powf(2.0 / 3.0);
    let mean_place = (0..eigenvalues.len()).map(place).sum::<f64>() / count;
    let mean = eigenvalues.iter().sum::<f64>() / count;
    let (mut both, mut square) = (0.0, 0.0);
    for (i, value) in eigenvalues.iter().enumerate() {
        let away = place(i) - mean_place;
        both += away * (value - mean);
        square += away * away;
    }
    both / square
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_wide_gap_counts() {
        // Noise as its law has it, 2 − 0.1·j^(2/3), and components above.
        let noise = |j: usize| 2.0 - 0.1 * (j as f64).powf(2.0 / 3.0);
        for components in 0..4 {
            let mut values: Vec<f64> = (0..components).map(|i| 9.0 - 2.0 * i as f64).collect();
            values.extend((0..20).map(noise));
            assert_eq!(before_gap(&values, 8), Some(components));
        }
        assert_eq!(before_gap(&[3.0, 2.0, 1.0], 8), None);
    }
}
