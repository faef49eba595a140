//! The status as Prometheus reads it.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::status::Status;
use crate::snapshot::Snapshot;

/// The version of the format.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics, once.
pub(super) fn text(
    status: &Status,
    snapshot: Option<&Snapshot>,
) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("ojad");
    let build = Info::new(vec![("version", status.version)]);
    registry.register("build", "The program", build);
    let counters = [
        ("rows", "Rows read, accepted or not", status.rows_read),
        (
            "rows_rejected",
            "Rows left out by a policy",
            status.rows_rejected,
        ),
        ("files_quarantined", "Files refused", status.quarantined),
        ("drifts", "Drifts found", status.drifts),
    ];
    for (name, help, value) in counters {
        registry.register(name, help, ConstCounter::new(value));
    }
    let mut gauge = |name: &str, help: &str, value: f64| {
        registry.register(name, help, ConstGauge::new(value));
    };
    gauge(
        "ready",
        "1 while all that must be written is written",
        f64::from(u8::from(status.is_ready)),
    );
    gauge(
        "rows_waiting",
        "Rows that wait for a full minibatch",
        status.rows_waiting as f64,
    );
    for (name, help, at) in [
        (
            "checkpoint_last_success_timestamp_seconds",
            "Last checkpoint of this run",
            status.checkpoint_unix_s,
        ),
        (
            "snapshot_last_success_timestamp_seconds",
            "Last snapshot of this run",
            status.snapshot_unix_s,
        ),
    ] {
        if let Some(at) = at {
            gauge(name, help, at as f64);
        }
    }
    if let Some(drift) = &status.drift {
        gauge(
            "drift_distance",
            "Subspace distance between the last rows and those before",
            drift.subspace_distance,
        );
        gauge(
            "drift_score",
            "Largest difference in standard errors",
            drift.score(),
        );
    }
    if let Some(snapshot) = snapshot {
        let ratios = Family::<[(&'static str, String); 1], Gauge<f64, AtomicU64>>::default();
        for i in 0..snapshot.estimate.components() {
            let of = [("component", (i + 1).to_string())];
            let ratio = snapshot.estimate.explained_variance_ratio(i);
            ratios.get_or_create(&of).set(ratio);
        }
        registry.register(
            "explained_variance_ratio",
            "Share of the variance, by component",
            ratios,
        );
    }
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}
