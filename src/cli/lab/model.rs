//! Loss, penalty, step and components as flags shared by all commands of the lab.

use crate::cli::CliError;
use crate::lab::algorithm::StepSize;
use crate::lab::loss::Loss;
use crate::lab::problem::Problem;

/// The losses by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LossKind {
    /// The reconstruction error alone.
    None,
    /// With the penalty λ‖W2W1‖².
    Product,
    /// With the penalty λ(‖W1‖² + ‖W2‖²).
    Sum,
    /// One λ per component, ascending (Bao et al. 2020).
    NonUniform,
}

/// Components, penalty and step.
#[derive(Clone, Debug, clap::Args)]
pub struct Model {
    /// Number of components k. Default: 2, or 3 in `figures`.
    #[arg(long, short = 'k', value_name = "K")]
    components: Option<usize>,
    /// Penalty, in the units of XᵀX (n times the covariance). Default: half of the k-th eigenvalue.
    #[arg(long, value_name = "LAMBDA", allow_negative_numbers = true)]
    lambda: Option<f64>,
    /// Penalties of the non-uniform loss, ascending, one per component. Default: from a tenth of λ to λ.
    #[arg(
        long,
        value_name = "LAMBDA",
        value_delimiter = ',',
        allow_negative_numbers = true
    )]
    lambdas: Vec<f64>,
    /// Step size α, in the inverse units of XᵀX. Default: a quarter of the first eigenvalue's
    /// inverse.
    #[arg(long, value_name = "ALPHA", allow_negative_numbers = true)]
    step: Option<f64>,
    /// Divide the step by ‖W1·XᵀX·W1ᵀ‖ at each iteration; α is then dimensionless, 0.25 by default.
    #[arg(long)]
    normalized: bool,
}

impl Model {
    /// The same, with this many components by default, or as many as there are features; refuses
    /// values that do not fit the rows.
    pub(super) fn or_components(
        &self,
        components: usize,
        problem: &Problem<'_>,
    ) -> Result<Self, CliError> {
        let default = components.min(problem.features());
        let model = Self {
            components: self.components.or(Some(default)),
            ..self.clone()
        };
        model.check(problem)?;
        Ok(model)
    }

    /// Returns the number of components, k.
    pub(super) fn components(&self) -> usize {
        self.components.unwrap_or(2)
    }

    /// Refuses values that do not fit the rows.
    fn check(&self, problem: &Problem<'_>) -> Result<(), CliError> {
        let (k, most) = (self.components(), problem.features().min(problem.count()));
        if k == 0 || k > most {
            return Err(CliError::Usage(format!(
                "--components {k}: the rows have {} features and {} rows; use 1 to {most}",
                problem.features(),
                problem.count()
            )));
        }
        if let Some(step) = self.step.filter(|step| !step.is_finite() || *step <= 0.0) {
            return Err(CliError::Usage(format!(
                "--step {step}: use a positive number"
            )));
        }
        Ok(())
    }

    /// Returns the penalty λ, from its flag or from the rows.
    pub(super) fn lambda(&self, problem: &Problem<'_>) -> Result<f64, CliError> {
        match self.lambda {
            Some(lambda) => Ok(lambda),
            None => Ok(0.5 * Self::eigenvalue(problem, self.components() - 1)?),
        }
    }

    /// The loss of this kind.
    pub(super) fn loss(&self, kind: LossKind, problem: &Problem<'_>) -> Result<Loss, CliError> {
        let loss = match kind {
            LossKind::None => Loss::None,
            LossKind::Product => Loss::Product(self.lambda(problem)?),
            LossKind::Sum => Loss::Sum(self.lambda(problem)?),
            LossKind::NonUniform if self.lambdas.is_empty() => {
                let (k, lambda) = (self.components(), self.lambda(problem)?);
                let share = |i: usize| 0.1 + 0.9 * (i + 1) as f64 / k as f64;
                Loss::NonUniform((0..k).map(|i| lambda * share(i)).collect())
            }
            LossKind::NonUniform => Loss::NonUniform(self.lambdas.clone()),
        };
        loss.check(self.components())
            .map_err(|error| CliError::Usage(error.to_string()))?;
        Ok(loss)
    }

    /// Returns the step size α, from its flag or from the rows.
    pub(super) fn step(&self, problem: &Problem<'_>) -> Result<StepSize, CliError> {
        if self.normalized {
            return Ok(StepSize::Normalized(self.step.unwrap_or(0.25)));
        }
        match self.step {
            Some(step) => Ok(StepSize::Constant(step)),
            None => Ok(StepSize::Constant(0.25 / Self::eigenvalue(problem, 0)?)),
        }
    }

    /// Eigenvalue `i` of XᵀX; refuses rows with too few directions of variance.
    fn eigenvalue(problem: &Problem<'_>, i: usize) -> Result<f64, CliError> {
        let spectrum = problem
            .spectrum()
            .map_err(|error| CliError::Failed(error.to_string()))?;
        let value = spectrum.values.get(i).copied().unwrap_or(0.0);
        if value > 0.0 {
            Ok(value)
        } else {
            Err(CliError::Failed(format!(
                "the rows vary in fewer than {} directions; use a smaller --components, or other rows",
                i + 1
            )))
        }
    }
}
