//! The interactive page: an interactive view of the scalar case, and the numbers behind it.
//!
//! In: the query of `GET /api/v1/scalar` (a loss, x², λ, a step size, a minibatch, a seed, a
//! start). Out: the files of the page, and [`answer`], which the page draws. The caller serves
//! them: the page requests nothing else but Plotly.js, `app.css`, `early.js` and `icon.svg`, which
//! every page of the program has.

mod query;

use serde::Serialize;

use crate::scalar::{self, Algorithm, CriticalPoint, Loss, ROWS, Trajectory, minibatch_scatters};
use query::Asked;
pub use query::QueryError;

/// The document at `/`, HTML in UTF-8.
pub const INDEX: &[u8] = include_bytes!("index.html");

/// The style sheet `/assets/lab.css`, UTF-8.
pub const STYLE: &[u8] = include_bytes!("lab.css");

/// The modules of JavaScript below `/assets/` with their names, UTF-8.
pub const SCRIPTS: [(&str, &[u8]); 4] = [
    ("lab.js", include_bytes!("lab.js")),
    ("controls.js", include_bytes!("controls.js")),
    ("views.js", include_bytes!("views.js")),
    ("tables.js", include_bytes!("tables.js")),
];

/// Answers `GET /api/v1/scalar?loss=…&scatter=…&lambda=…&step=…&minibatch=…&seed=…&w1=…&w2=…`: the
/// landscape of the scalar case and four trajectories on it. This takes a few milliseconds.
///
/// # Errors
/// Names the parameter that is missing, unknown or out of range, and its range.
pub fn answer(query: &str) -> Result<Answer, QueryError> {
    Asked::parse(query).map(|asked| Answer::new(&asked))
}

/// The landscape of a scalar case and the trajectories on it, to be serialized as JSON.
#[derive(Debug, Serialize)]
pub struct Answer {
    loss: Loss,
    /// The scatter of the rows, x².
    scatter: f64,
    /// λ as it is used: 0 where the loss has no penalty.
    lambda: f64,
    step: f64,
    /// b of n rows.
    minibatch: usize,
    /// The number of rows, n.
    rows: usize,
    seed: u64,
    /// The start of the trajectories, (w₁, w₂).
    start: [f64; 2],
    /// The statement of the theory, in a sentence.
    theory: String,
    /// w₁w₂ on the hyperbola of minima, where there is one.
    curve: Option<f64>,
    critical_points: Vec<CriticalPoint>,
    trajectories: Vec<Trajectory>,
}

impl Answer {
    fn new(asked: &Asked) -> Self {
        let landscape = &asked.landscape;
        // One draw of minibatches for all four: they differ by what they do, not by luck.
        let scatters = minibatch_scatters(landscape.scatter(), asked.minibatch, asked.seed);
        let trajectories = Algorithm::ALL
            .into_iter()
            .map(|algorithm| scalar::run(algorithm, landscape, asked.walk, &scatters))
            .collect();
        Self {
            loss: landscape.loss(),
            scatter: landscape.scatter(),
            lambda: landscape.lambda(),
            step: asked.walk.step,
            minibatch: asked.minibatch,
            rows: ROWS,
            seed: asked.seed,
            start: asked.walk.start,
            theory: landscape.theory(),
            curve: landscape.curve(),
            critical_points: landscape.critical_points(),
            trajectories,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_has_four_trajectories_from_the_start() {
        let query = "loss=sum&scatter=1&lambda=0.25&step=0.1&minibatch=1000&seed=0&w1=-0.4&w2=1.8";
        let answer = Answer::new(&Asked::parse(query).expect("a query"));
        let json = serde_json::to_value(&answer).expect("JSON");
        let names: Vec<_> = (0..4)
            .map(|i| json["trajectories"][i]["algorithm"].as_str().unwrap_or(""))
            .collect();
        assert_eq!(names, ["untied", "synchronized", "tied", "alternating"]);
        assert_eq!(
            json["trajectories"][0]["points"][0],
            serde_json::json!([-0.4, 1.8])
        );
        assert_eq!(
            json["trajectories"][2]["points"][0],
            serde_json::json!([1.8, 1.8])
        );
        assert_eq!(json["critical_points"][0]["kind"], "minimum");
        assert_eq!(json["critical_points"][2]["index"], 1);
        assert_eq!(json["curve"], serde_json::Value::Null);
    }
}
