//! `ojad show`: what a snapshot says.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::cli::{CliError, is_unicode, print};
use crate::learner::NoiseRule;
use crate::snapshot::{LimitsView, Snapshot, limits_table, read, table};

/// Shows the components, eigenvalues, explained variance and error bars of a snapshot.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ojad show model/                     the latest snapshot in model/
  ojad show model/rows-000000010000 --loadings 5
  ojad show model/ --plot scree.svg    a picture: scree, error bars, strongest loadings
  ojad show model/ --json | jq '.components[0].eigenvalue'")]
pub struct Args {
    /// A snapshot directory, or a directory with `latest` in it.
    #[arg(value_name = "SNAPSHOT")]
    snapshot: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// With --json: include the vectors.
    #[arg(long, requires = "json")]
    vectors: bool,
    /// Print the N strongest loadings of each component.
    #[arg(long, value_name = "N")]
    loadings: Option<usize>,
    /// Draw the scree with error bars and the strongest loadings: FILE.svg or FILE.png.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let snapshot = read(&args.snapshot).map_err(|error| CliError::Failed(error.to_string()))?;
    if let Some(path) = &args.plot {
        picture(&snapshot, path)?;
    }
    if args.json {
        return print(&json(&snapshot, args.vectors)?);
    }
    let mut text = table(&snapshot.estimate, &snapshot.features, is_unicode());
    text.push_str(&limits_table(&snapshot.estimate));
    text.push_str(&bad_values(&snapshot));
    if let Some(run) = snapshot.provenance.run_id {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "run {run}");
    }
    if snapshot.estimate.is_widened {
        text.push_str(WIDENED);
    }
    for warning in &snapshot.provenance.warnings {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "warning: {}", warning.text);
    }
    if let Some(warning) = shortfall(&snapshot) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "warning: {warning}");
    }
    if let Some(count) = args.loadings {
        text.push_str(&loadings(&snapshot, count));
    }
    print(&text)
}

/// Draws the snapshot into a file.
#[cfg(feature = "plot")]
fn picture(snapshot: &Snapshot, path: &Path) -> Result<(), CliError> {
    use crate::plot::PlotError;
    use crate::snapshot::draw;

    draw(&snapshot.estimate, &snapshot.features, path).map_err(|error| match error {
        PlotError::Extension { .. } => CliError::Usage(format!("--plot {error}")),
        _ => CliError::Failed(error.to_string()),
    })
}

#[cfg(not(feature = "plot"))]
fn picture(_: &Snapshot, _: &Path) -> Result<(), CliError> {
    Err(crate::cli::left_out::error("ojad show --plot", "plot"))
}

/// Printed where f32 was not precise enough.
pub(super) const WIDENED: &str = "learned with f64 products: beside the largest direction, f32 \
     would lose wanted components\n";

/// Eigenvalues of m features add up to their total but for this part of it: the rounding of as many terms.
pub(super) fn rounding(features: usize) -> f64 {
    features as f64 * f64::EPSILON
}

/// A warning if the components explain less of the variance than was asked for: more of them were never learned.
pub(super) fn shortfall(snapshot: &Snapshot) -> Option<String> {
    let (estimate, asked) = (&snapshot.estimate, snapshot.provenance.variance_asked?);
    let k = estimate.components();
    let ratios = (0..k).map(|i| estimate.explained_variance_ratio(i));
    let explained: f64 = ratios.sum();
    let is_short = estimate.total_variance > 0.0
        && k < estimate.features
        && explained + rounding(estimate.features) < asked;
    is_short.then(|| {
        format!(
            "the {k} components learned explain {:.3}% of the variance, less than the fraction asked for ({asked}); fit \
             again with a number of components above {k} (`--components {}`)",
            100.0 * explained,
            2 * k
        )
    })
}

/// Counts of non-finite values, or nothing.
pub(super) fn bad_values(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    let counts = &snapshot.counts;
    for (what, counts) in [
        ("null", &counts.nulls),
        ("NaN", &counts.nans),
        ("infinite", &counts.infinities),
    ] {
        let total: u64 = counts.iter().sum();
        let hit = counts.iter().filter(|count| **count > 0).count();
        if total > 0 {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{total} {what} values in {hit} features");
        }
    }
    text
}

/// The strongest loadings (component × √eigenvalue) of each component.
fn loadings(snapshot: &Snapshot, count: usize) -> String {
    let (estimate, names) = (&snapshot.estimate, snapshot.features.names());
    let mut text = String::new();
    for i in 0..estimate.components() {
        let vector = estimate.vector(i);
        let mut order: Vec<usize> = (0..vector.len()).collect();
        order.sort_by(|a, b| vector[*b].abs().total_cmp(&vector[*a].abs()));
        let _ = writeln!(text, "\ncomponent {}", i + 1);
        for j in order.into_iter().take(count) {
            let loading = vector[j] * estimate.eigenvalues[i].sqrt();
            let _ = writeln!(text, "  {:>9.4}  {loading:>12.5}  {}", vector[j], names[j]);
        }
    }
    text
}

/// An unknown number is null.
fn known(value: f64) -> serde_json::Value {
    serde_json::json!(if value.is_finite() { Some(value) } else { None })
}

/// Everything; the vectors only on request.
pub(super) fn json(snapshot: &Snapshot, with_vectors: bool) -> Result<String, CliError> {
    let estimate = &snapshot.estimate;
    let mut cumulative = 0.0;
    let components: Vec<serde_json::Value> = (0..estimate.components())
        .map(|i| {
            let ratio = estimate.explained_variance_ratio(i);
            cumulative += ratio;
            let mut component = serde_json::json!({
                "component": i + 1,
                "eigenvalue": estimate.eigenvalues[i],
                "eigenvalue_stderr": known(estimate.eigenvalue_stderr[i]),
                "angle_stderr_rad": known(estimate.angle_stderr_rad[i]),
                "explained_variance_ratio": ratio,
                "cumulative_ratio": cumulative,
                "weight_singular_value": estimate.weight_singular_values[i],
                "active": estimate.active[i],
                "determined": i < estimate.determined,
                "population_eigenvalue": estimate.certainty[i].population_eigenvalue,
                "population_interval": estimate.certainty[i].interval,
                "independent_rows": estimate.certainty[i].independent_rows,
                "angle_bound_rad": estimate.certainty[i].angle_bound_rad,
                "mixes_from": estimate.certainty[i].mixes.0 + 1,
                "mixes_to": estimate.certainty[i].mixes.1 + 1,
                "heavy_tails": estimate.certainty[i].is_heavy_tailed,
            });
            if with_vectors {
                component["vector"] = serde_json::json!(estimate.vector(i));
            }
            component
        })
        .collect();
    let value = serde_json::json!({
        "rows": estimate.rows,
        "rows_rejected": snapshot.counts.rows_rejected,
        "features": estimate.features,
        "effective_rows": estimate.effective_rows,
        "total_variance": estimate.total_variance,
        "noise_variance": estimate.known_noise_variance(),
        "penalty": estimate.penalty,
        "components_determined": estimate.determined,
        "components_above_noise": estimate.components_above_noise,
        "components_above_noise_is_lower_bound": estimate.above_noise_is_lower_bound,
        "components_above_noise_rule": estimate.above_noise_rule.map(NoiseRule::name),
        "feature_schema_hash": snapshot.features.schema_hash(),
        "run_id": snapshot.provenance.run_id,
        "widened_to_f64": estimate.is_widened,
        "limits": LimitsView::of(&estimate.limits_in_force(), estimate.noise_model()),
        "variance_asked": snapshot.provenance.variance_asked,
        "interrupted": snapshot.provenance.interrupted,
        "warnings": snapshot.provenance.warnings,
        "components": components,
    });
    serde_json::to_string_pretty(&value)
        .map(|text| text + "\n")
        .map_err(|error| CliError::Failed(error.to_string()))
}
