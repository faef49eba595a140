//! Rows in memory: what the lab's algorithms and figures are shown on.
//!
//! In: rows, and names of their features. Out: centred rows as one f64 matrix. Reading them from files is
//! the caller's: see `lab::read` of the program.

use faer::Mat;

/// Rows with the mean taken off, and names of their features.
#[derive(Clone, Debug)]
pub struct Data {
    /// n×m; every column sums to zero.
    pub rows: Mat<f64>,
    /// The mean that was taken off, length m, in feature units.
    pub mean: Vec<f64>,
    /// Names of the features, length m.
    pub names: Vec<String>,
    /// One label a row where a column of them was named, else empty.
    pub labels: Vec<String>,
}

impl Data {
    /// Takes the mean off `rows` (n×m); a NaN becomes the mean of its feature.
    pub fn centred(mut rows: Mat<f64>, names: Vec<String>) -> Self {
        let mean: Vec<f64> = (0..rows.ncols())
            .map(|j| {
                let present = rows.col(j).iter().filter(|value| !value.is_nan());
                let (sum, count) =
                    present.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
                sum / f64::from(count.max(1))
            })
            .collect();
        for (j, mean) in mean.iter().enumerate() {
            for value in rows.col_mut(j).iter_mut() {
                *value = if value.is_nan() { 0.0 } else { *value - mean };
            }
        }
        Self {
            rows,
            mean,
            names,
            labels: Vec::new(),
        }
    }

    /// Returns the number of rows, n.
    pub fn count(&self) -> usize {
        self.rows.nrows()
    }

    /// Returns the number of features, m.
    pub fn features(&self) -> usize {
        self.rows.ncols()
    }
}

#[cfg(test)]
mod tests {
    use super::Data;

    #[test]
    fn a_missing_value_is_the_mean_of_its_feature() {
        let rows = faer::mat![[1.0, 5.0], [f64::NAN, 7.0], [3.0, 9.0]];
        let data = Data::centred(rows, vec!["a".into(), "b".into()]);
        assert_eq!(data.mean, [2.0, 7.0]);
        assert_eq!(data.rows, faer::mat![[-1.0, -2.0], [0.0, 0.0], [1.0, 2.0]]);
    }
}
