//! The rows of the lab's commands: read from files, or planted.

use std::ffi::OsString;

use faer::Mat;

use crate::cli::CliError;
use crate::cli::columns::Columns;
use crate::lab::{self, Data};
use crate::synth::{Planted, Recipe};

/// The default synthetic rows of a command without INPUT.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// The number of rows, n.
    pub rows: u32,
    /// The number of features, m.
    pub features: u32,
    /// Variances of the principal directions; the rest are 1.
    pub variances: &'static [f64],
}

/// The setting of the paper's own program, with three directions that stand out.
pub(super) const MADE: Made = Made {
    rows: 10_000,
    features: 10,
    variances: &[8.0, 4.0, 2.0],
};

/// Parquet and Arrow inputs, or synthetic rows.
#[derive(Clone, Debug, clap::Args)]
pub struct Rows {
    /// Parquet or Arrow IPC files, directories or globs. Default: synthetic rows.
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<OsString>,
    #[command(flatten)]
    columns: Columns,
    /// Synthetic rows, if no INPUT is given.
    #[arg(long = "rows", value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    made: Option<u32>,
    /// Synthetic features, if no INPUT is given.
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(1..=4096))]
    features: Option<u32>,
    /// Variances of the synthetic rows' leading principal directions; the rest are 1. A single 1 gives
    /// the rows of the paper's program, in which no direction stands out.
    #[arg(long, value_name = "VARIANCE", value_delimiter = ',')]
    variances: Vec<f64>,
    /// Seed of synthetic rows and of random starts.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
}

impl Rows {
    /// Centred rows; `made` has the defaults for synthetic ones.
    pub(super) fn read(&self, made: Made) -> Result<Data, CliError> {
        if self.inputs.is_empty() {
            return self.make(made);
        }
        let params = self.columns.params(None);
        let data = lab::read(&self.inputs, &params)
            .map_err(|error| CliError::Failed(error.to_string()))?;
        if data.count() < 2 {
            return Err(CliError::Failed(format!(
                "{} row was read; the lab needs at least 2",
                data.count()
            )));
        }
        Ok(data)
    }

    /// Returns the origin of the rows, for a title.
    pub(super) fn source(&self) -> String {
        match self.inputs.as_slice() {
            [] => "synthetic rows".to_owned(),
            [one] => std::path::Path::new(one)
                .file_name()
                .unwrap_or(one)
                .to_string_lossy()
                .into_owned(),
            many => format!("{} inputs", many.len()),
        }
    }

    fn make(&self, made: Made) -> Result<Data, CliError> {
        let n = self.made.unwrap_or(made.rows) as usize;
        let m = self.features.unwrap_or(made.features) as usize;
        let mut eigenvalues = if self.variances.is_empty() {
            made.variances.to_vec()
        } else {
            self.variances.clone()
        };
        eigenvalues.truncate(m);
        eigenvalues.sort_by(|a, b| b.total_cmp(a));
        if let Some(bad) = eigenvalues.iter().find(|v| !v.is_finite() || **v < 1.0) {
            return Err(CliError::Usage(format!(
                "--variances: {bad} is below 1, the variance of all other directions; use numbers of at least 1"
            )));
        }
        let recipe = Recipe {
            features: m,
            eigenvalues,
            noise: 1.0,
            mean: 0.0,
            student: None,
            noise_pool: false,
            seed: self.seed,
        };
        let mut planted = Planted::new(recipe).map_err(CliError::Usage)?;
        let mut values = vec![0.0_f32; n * m];
        planted.fill(&mut values);
        let rows = Mat::from_fn(n, m, |i, j| f64::from(values[i * m + j]));
        Ok(Data::centred(
            rows,
            (0..m).map(|j| format!("x{j}")).collect(),
        ))
    }
}
