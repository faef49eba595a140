//! Metrics of a run, in Prometheus' format.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::learner::drift::DriftReport;
use crate::published::{Published, Status};
use crate::snapshot::Snapshot;

/// The version of the format.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Most components with samples of their own, so that the number of labels stays bounded for any k.
const COMPONENTS_MAX: usize = 50;

type ByComponent = Family<[(&'static str, String); 1], Gauge<f64, AtomicU64>>;
type ByReason = Family<[(&'static str, &'static str); 1], Counter>;

/// The text of all metrics.
pub(super) fn text(live: &Published) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("ojad");
    let status = live.status.get();
    let build = Info::new(vec![("version", status.version)]);
    registry.register("build", "The program", build);
    counters(&status, &mut registry);
    gauges(&status, &mut registry);
    registry.register(
        "minibatch_update_seconds",
        "Time to learn from one minibatch",
        live.updates.histogram(),
    );
    if let Some(snapshot) = live.snapshot.get().as_ref() {
        components(snapshot, &mut registry);
    }
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

fn counters(status: &Status, registry: &mut Registry) {
    for (name, help, value) in [
        ("rows", "Rows read, accepted or not", status.rows_read),
        ("rows_learned", "Rows learned", status.rows),
        ("files_quarantined", "Files refused", status.quarantined),
        ("drifts", "Drifts found", status.drifts),
    ] {
        registry.register(name, help, ConstCounter::new(value));
    }
    let rejected = ByReason::default();
    for (reason, rows) in status.rejected() {
        rejected.get_or_create(&[("reason", reason)]).inc_by(rows);
    }
    let help = "Rows left out by a policy, by the value that was found first";
    registry.register("rows_rejected", help, rejected);
}

fn gauges(status: &Status, registry: &mut Registry) {
    let mut gauge = |name: &str, help: &str, value: Option<f64>| {
        // What is not known has no sample.
        if let Some(value) = value {
            registry.register(name, help, ConstGauge::new(value));
        }
    };
    let whole = |value: u64| Some(value as f64);
    let is = |value: bool| Some(f64::from(u8::from(value)));
    let drift = status.drift.as_ref();
    gauge(
        "ready",
        "1 while sources are readable, rows are learned and writes succeed",
        is(status.is_ready),
    );
    gauge(
        "rows_waiting",
        "Rows waiting for a full minibatch",
        whole(status.rows_waiting),
    );
    gauge(
        "rows_per_second",
        "Rows learned a second, over the last ten seconds",
        Some(status.rows_per_s),
    );
    gauge(
        "source_lag_bytes",
        "Bytes of files seen but not learned yet",
        whole(status.lag_bytes),
    );
    gauge(
        "source_lag_files",
        "Files seen but not learned yet",
        whole(status.lag_files),
    );
    gauge("features", "Features", whole(status.features as u64));
    gauge(
        "checkpoint_last_success_timestamp_seconds",
        "Time of the last checkpoint of this run",
        status.checkpoint_unix_s.and_then(whole),
    );
    gauge(
        "snapshot_last_success_timestamp_seconds",
        "Time of the last snapshot of this run",
        status.snapshot_unix_s.and_then(whole),
    );
    gauge(
        "start_timestamp_seconds",
        "Start of this run",
        whole(status.started_unix_s),
    );
    gauge(
        "drift_distance",
        "Subspace distance between the last rows and those before",
        drift.map(|drift| drift.subspace_distance),
    );
    gauge(
        "drift_score",
        "Largest difference between the last rows and those before, in standard errors",
        drift.map(DriftReport::score),
    );
    gauge(
        "drift_threshold",
        "Score above which a drift is reported",
        drift.and_then(|drift| drift.threshold),
    );
    gauge(
        "converged",
        "1 while the standard error of every active component's direction is within the target",
        status.convergence.and_then(|c| is(c.is_converged)),
    );
    gauge(
        "angle_stderr_radians",
        "Largest standard error of an active component's direction",
        status.convergence.and_then(|c| c.angle_stderr_rad),
    );
}

fn components(snapshot: &Snapshot, registry: &mut Registry) {
    let estimate = &snapshot.estimate;
    let by_component = |of: &dyn Fn(usize) -> f64| {
        let family = ByComponent::default();
        for i in 0..estimate.components().min(COMPONENTS_MAX) {
            let label = [("component", (i + 1).to_string())];
            family.get_or_create(&label).set(of(i));
        }
        family
    };
    registry.register(
        "explained_variance_ratio",
        "Share of the variance, by component",
        by_component(&|i| estimate.explained_variance_ratio(i)),
    );
    registry.register(
        "eigenvalue",
        "Variance along a component, squared feature units",
        by_component(&|i| estimate.eigenvalues[i]),
    );
    for (name, help, value) in [
        (
            "noise_variance",
            "Mean variance of the directions that are not above noise",
            estimate.known_noise_variance(),
        ),
        (
            "total_variance",
            "Variance of all features",
            Some(estimate.total_variance),
        ),
        (
            "penalty",
            "Eigenvalue below which a component is inactive",
            Some(estimate.penalty),
        ),
        (
            "components_above_noise",
            "Components above noise",
            estimate.components_above_noise.map(|count| count as f64),
        ),
    ] {
        // What cannot be told has no sample.
        if let Some(value) = value {
            registry.register(name, help, ConstGauge::new(value));
        }
    }
}
