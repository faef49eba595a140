//! Components and features: the learned model.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::answer::{Asked, Named, answer, blocking, problem, tagged};
use super::shared::Shared;
use crate::learner::NoiseRule;
use crate::snapshot::{LimitsView, Snapshot, Warning};

/// Whether long vectors are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Vectors {
    #[default]
    All,
    None,
}

/// Query of `/api/v1/components`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Wanted {
    vectors: Vectors,
}

/// Values of all components together, and of each.
#[derive(Debug, Serialize)]
pub(super) struct ComponentsView<'a> {
    rows: u64,
    effective_rows: f64,
    penalty: f64,
    noise_variance: Option<f64>,
    total_variance: f64,
    components_determined: usize,
    components_above_noise: Option<usize>,
    components_above_noise_is_lower_bound: bool,
    components_above_noise_rule: Option<&'static str>,
    widened_to_f64: bool,
    limits: LimitsView,
    warnings: &'a [Warning],
    #[serde(skip_serializing_if = "Option::is_none")]
    features: Option<&'a [String]>,
    components: Vec<ComponentView<'a>>,
}

/// One component. Unknown numbers are null.
#[derive(Debug, Serialize)]
struct ComponentView<'a> {
    component: usize,
    eigenvalue: f64,
    eigenvalue_stderr: f64,
    explained_variance_ratio: f64,
    cumulative_ratio: f64,
    weight_singular_value: f64,
    angle_stderr_rad: f64,
    active: bool,
    determined: bool,
    population_eigenvalue: Option<f64>,
    population_interval: Option<[f64; 2]>,
    independent_rows: Option<f64>,
    angle_bound_rad: Option<f64>,
    mixes_from: usize,
    mixes_to: usize,
    heavy_tails: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    vector: Option<&'a [f64]>,
}

#[derive(Debug, Serialize)]
struct OneComponentView<'a> {
    rows: u64,
    #[serde(flatten)]
    component: ComponentView<'a>,
}

#[derive(Debug, Serialize)]
struct FeaturesView<'a> {
    rows: u64,
    features: Vec<FeatureView<'a>>,
}

#[derive(Debug, Serialize)]
struct FeatureView<'a> {
    feature: &'a str,
    mean: f64,
    scale: f64,
    variance: f64,
    constant: bool,
    missing: u64,
}

impl<'a> ComponentsView<'a> {
    /// All of a snapshot.
    pub(super) fn of(snapshot: &'a Snapshot, has_vectors: bool) -> Self {
        let estimate = &snapshot.estimate;
        let mut cumulative = 0.0;
        let components = (0..estimate.components()).map(|i| {
            cumulative += estimate.explained_variance_ratio(i);
            ComponentView::of(snapshot, i, cumulative, has_vectors)
        });
        Self {
            rows: estimate.rows,
            effective_rows: estimate.effective_rows,
            penalty: estimate.penalty,
            noise_variance: estimate.known_noise_variance(),
            total_variance: estimate.total_variance,
            components_determined: estimate.determined,
            components_above_noise: estimate.components_above_noise,
            components_above_noise_is_lower_bound: estimate.above_noise_is_lower_bound,
            components_above_noise_rule: estimate.above_noise_rule.map(NoiseRule::name),
            widened_to_f64: estimate.is_widened,
            limits: LimitsView::of(&estimate.limits_in_force(), estimate.noise_model()),
            warnings: &snapshot.provenance.warnings,
            components: components.collect(),
            features: has_vectors.then(|| snapshot.features.names()),
        }
    }
}

impl<'a> ComponentView<'a> {
    fn of(snapshot: &'a Snapshot, i: usize, cumulative_ratio: f64, has_vector: bool) -> Self {
        let estimate = &snapshot.estimate;
        let certainty = &estimate.certainty[i];
        Self {
            component: i + 1,
            eigenvalue: estimate.eigenvalues[i],
            eigenvalue_stderr: estimate.eigenvalue_stderr[i],
            explained_variance_ratio: estimate.explained_variance_ratio(i),
            cumulative_ratio,
            weight_singular_value: estimate.weight_singular_values[i],
            angle_stderr_rad: estimate.angle_stderr_rad[i],
            active: estimate.active[i],
            determined: i < estimate.determined,
            population_eigenvalue: certainty.population_eigenvalue,
            population_interval: certainty.interval,
            independent_rows: certainty.independent_rows,
            angle_bound_rad: certainty.angle_bound_rad,
            mixes_from: certainty.mixes.0 + 1,
            mixes_to: certainty.mixes.1 + 1,
            heavy_tails: certainty.is_heavy_tailed,
            vector: has_vector.then(|| estimate.vector(i)),
        }
    }
}

/// `GET /api/v1/components`
pub(super) async fn components(
    State(shared): State<Shared>,
    Asked(wanted): Asked<Wanted>,
    headers: HeaderMap,
) -> Response {
    let has_vectors = wanted.vectors == Vectors::All;
    of_snapshot(&shared, &headers, move |snapshot| {
        answer(StatusCode::OK, &ComponentsView::of(snapshot, has_vectors))
    })
    .await
}

/// `GET /api/v1/components/{component}`
pub(super) async fn component(
    State(shared): State<Shared>,
    Named(number): Named,
    headers: HeaderMap,
) -> Response {
    let number = number.parse::<usize>().unwrap_or(0);
    of_snapshot(&shared, &headers, move |snapshot| {
        let estimate = &snapshot.estimate;
        let k = estimate.components();
        if !(1..=k).contains(&number) {
            let why = format!("no such component; use 1 to {k}");
            return problem(StatusCode::NOT_FOUND, &why);
        }
        let cumulative = (0..number).map(|i| estimate.explained_variance_ratio(i));
        let component = OneComponentView {
            rows: estimate.rows,
            component: ComponentView::of(snapshot, number - 1, cumulative.sum(), true),
        };
        answer(StatusCode::OK, &component)
    })
    .await
}

/// `GET /api/v1/features`
pub(super) async fn features(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    of_snapshot(&shared, &headers, |snapshot| {
        let estimate = &snapshot.estimate;
        let names = snapshot.features.names().iter().enumerate();
        let features = names.map(|(j, name)| FeatureView {
            feature: name,
            mean: estimate.mean[j],
            scale: estimate.scale[j],
            variance: estimate.variance[j],
            constant: estimate.constant[j],
            missing: snapshot.counts.missing(j),
        });
        let features = FeaturesView {
            rows: estimate.rows,
            features: features.collect(),
        };
        answer(StatusCode::OK, &features)
    })
    .await
}

/// An answer that changes only with the rows learned; computed where it delays no other.
async fn of_snapshot(
    shared: &Shared,
    headers: &HeaderMap,
    body: impl FnOnce(&Snapshot) -> Response + Send + 'static,
) -> Response {
    let snapshot: Option<Arc<Snapshot>> = shared.live.snapshot.get().as_ref().clone();
    let Some(snapshot) = snapshot else {
        return problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "no rows have been learned yet",
        );
    };
    // Another run may have learned as many rows of something else.
    let status = shared.live.status.get();
    let tag = format!("{}-{}", status.started_unix_s, snapshot.estimate.rows);
    tagged(headers, &tag, blocking(move || body(&snapshot))).await
}
