//! The distributions behind p-values, as every output says them.

use std::fmt::Write as _;

use serde::Serialize;

use crate::learner::{Estimate, Limits, Method, NoiseModel, ReferenceDistribution};

/// What is in force for each statistic; `None` where the model has no such number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LimitsView {
    /// The model of noise behind `log_likelihood`.
    pub noise_model: NoiseModel,
    /// Of `residual` and `residual_p_value`.
    pub residual: Option<LawView>,
    /// Of `t2` and `t2_p_value`.
    pub t2: Option<LawView>,
    /// Of the squared Mahalanobis distance, which `p_value` refers to.
    pub distance: Option<LawView>,
}

/// One distribution.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LawView {
    /// How p-values are found.
    pub method: Method,
    /// Rows scored before they were learned, on which it rests; 0 for the χ² law.
    pub rows: f64,
    /// Probability below which p-values come from the fitted tail; null where there is none.
    pub tail_below: Option<f64>,
    /// The value that one row in 20 exceeds.
    pub limit_95: f64,
    /// The value that one row in 100 exceeds.
    pub limit_99: f64,
    /// The value that one row in 1,000 exceeds.
    pub limit_99_9: f64,
}

impl LimitsView {
    /// Of the distributions in force and the model of noise.
    pub fn of(limits: &Limits, noise_model: NoiseModel) -> Self {
        let view = |law: &Option<ReferenceDistribution>| law.as_ref().map(LawView::of);
        Self {
            noise_model,
            residual: view(&limits.residual),
            t2: view(&limits.t2),
            distance: view(&limits.distance),
        }
    }
}

impl LawView {
    fn of(law: &ReferenceDistribution) -> Self {
        Self {
            method: law.method(),
            rows: law.rows,
            tail_below: law.tail.and(law.probabilities.last().copied()),
            limit_95: law.limit(0.05),
            limit_99: law.limit(0.01),
            limit_99_9: law.limit(0.001),
        }
    }
}

/// Lines for people: the limits at 99% and 99.9%, and by which distribution.
pub fn limits_table(estimate: &Estimate) -> String {
    let limits = estimate.limits_in_force();
    let mut text = String::new();
    for (name, law) in [
        ("residual", &limits.residual),
        ("t2", &limits.t2),
        ("distance", &limits.distance),
    ] {
        if let Some(law) = law {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{name}: 1% of rows exceed {:.4e}, 0.1% {:.4e} ({})",
                law.limit(0.01),
                law.limit(0.001),
                law.in_words()
            );
        }
    }
    if estimate.noise_model() == NoiseModel::Unequal {
        text.push_str(
            "log-likelihood: features have noise of unequal variance (factor analysis)\n",
        );
    }
    text
}
