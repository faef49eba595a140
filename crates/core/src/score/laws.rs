//! Values of a statistic → p-values, by the distribution in force.

use super::tail::ChiSquared;
use crate::learner::{Estimate, Limits, Method, ReferenceDistribution};

/// The distributions of an estimate, prepared.
#[derive(Clone, Debug)]
pub(super) struct Laws {
    pub limits: Limits,
    pub residual: Law,
    pub t2: Law,
    pub distance: Law,
}

/// One distribution.
#[derive(Clone, Debug)]
pub(super) enum Law {
    /// There is no such statistic.
    None,
    /// A multiple of χ², many values at once.
    ChiSquared {
        scale: f64,
        law: ChiSquared,
    },
    Measured(ReferenceDistribution),
}

impl Laws {
    pub fn of(estimate: &Estimate) -> Self {
        let limits = estimate.limits_in_force();
        Self {
            residual: Law::of(limits.residual.as_ref()),
            t2: Law::of(limits.t2.as_ref()),
            distance: Law::of(limits.distance.as_ref()),
            limits,
        }
    }
}

impl Law {
    fn of(law: Option<&ReferenceDistribution>) -> Self {
        match law {
            None => Self::None,
            Some(law) if law.method() == Method::ChiSquared => {
                let (degrees, scale) = law.degrees();
                Self::ChiSquared {
                    scale,
                    law: ChiSquared::new(degrees.round() as usize),
                }
            }
            Some(law) => Self::Measured(law.clone()),
        }
    }

    /// P(statistic ≥ value) for every value; NaN for NaN.
    pub fn upper(&self, values: &[f64]) -> Vec<f64> {
        match self {
            Self::None => vec![f64::NAN; values.len()],
            Self::ChiSquared { scale, law } => {
                let values: Vec<f64> = values.iter().map(|value| value / scale).collect();
                law.upper(&values)
            }
            Self::Measured(law) => values.iter().map(|value| law.p_value(*value)).collect(),
        }
    }
}
