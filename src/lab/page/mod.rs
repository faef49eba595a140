//! The interactive page: the scalar case to be seen and touched, and the numbers behind it as JSON.
//!
//! In: a loss, x², λ, a step size, a minibatch, a seed, a start. Out: `GET /api/v1/scalar`, which the
//! page at `/` draws. Served by the daemon's own server, with its limits and its content security
//! policy; the page asks nobody else.

mod query;

use std::net::SocketAddr;

use axum::Router;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;

use crate::http::{self, Asset, HttpError, PageFiles, Server};
use crate::lab::scalar::{
    self, Algorithm, CriticalPoint, Loss, ROWS, Trajectory, minibatch_scatters,
};
use query::Asked;

static FILES: PageFiles = PageFiles {
    index: Asset::html(include_bytes!("index.html")),
    assets: &[
        Asset::css("lab.css", include_bytes!("lab.css")),
        Asset::javascript("lab.js", include_bytes!("lab.js")),
        Asset::javascript("controls.js", include_bytes!("controls.js")),
        Asset::javascript("views.js", include_bytes!("views.js")),
        Asset::javascript("tables.js", include_bytes!("tables.js")),
    ],
};

/// Serves the page until the server is dropped.
///
/// # Errors
/// If the address cannot be had.
pub fn serve(listen: SocketAddr) -> Result<Server, HttpError> {
    let routes = Router::new().route("/api/v1/scalar", get(scalar_case));
    http::serve_page(listen, &FILES, routes)
}

/// What `GET /api/v1/scalar` answers.
#[derive(Debug, Serialize)]
struct Answer {
    loss: Loss,
    /// x².
    scatter: f64,
    /// λ as it is used: 0 where the loss has no penalty.
    lambda: f64,
    step: f64,
    /// b of n rows.
    minibatch: usize,
    /// n.
    rows: usize,
    seed: u64,
    /// (w₁, w₂).
    start: [f64; 2],
    /// What the theory says, in a sentence.
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

/// `GET /api/v1/scalar?loss=…&scatter=…&lambda=…&step=…&minibatch=…&seed=…&w1=…&w2=…`
async fn scalar_case(RawQuery(query): RawQuery) -> Response {
    match Asked::parse(query.as_deref().unwrap_or_default()) {
        Ok(asked) => {
            http::blocking(move || http::answer(StatusCode::OK, &Answer::new(&asked))).await
        }
        Err(why) => http::problem(StatusCode::BAD_REQUEST, &why),
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
