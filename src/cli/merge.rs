//! `ojad merge`: snapshots of disjoint rows become the snapshot of all of them.

use std::path::PathBuf;

use crate::cli::{CliError, is_unicode, print, say};
use crate::learner::{Penalty, Summary, merge_all};
use crate::snapshot::{Snapshot, read, summary_of, table, warnings, write};

/// Merges snapshots of disjoint rows (shards fitted apart) into one.
///
/// Mean, variance and trace add exactly; directions are as good as what each snapshot kept: fit
/// the shards with twice the components that you want to report.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ojad merge shard-1/ shard-2/ shard-3/ --output all/
  ojad merge shard-*/ --components 10 --output all/")]
pub struct Args {
    /// Snapshots, or directories with `latest` in them.
    #[arg(required = true, value_name = "SNAPSHOT")]
    snapshots: Vec<PathBuf>,
    /// Components to report. Default: as many as the snapshots have.
    #[arg(long, short = 'k', value_name = "K")]
    components: Option<usize>,
    /// Directory to write the merged snapshot to.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let failed = |error: &dyn std::fmt::Display| CliError::Failed(error.to_string());
    let mut snapshots = Vec::new();
    for path in &args.snapshots {
        let snapshot = read(path).map_err(|error| failed(&error))?;
        check_features(snapshots.first(), &snapshot, path)?;
        snapshots.push(snapshot);
    }
    let states: Vec<Summary> = snapshots.iter().map(summary_of).collect();
    let merged = merge_all(&states.iter().collect::<Vec<_>>()).map_err(|error| failed(&error))?;
    let Some(first) = snapshots.first() else {
        return Err(CliError::Usage(
            "no snapshot to merge; name at least one".into(),
        ));
    };
    let held = first.estimate.components();
    let k = args.components.unwrap_or(held);
    // Merging cannot invent directions that no snapshot holds.
    if k == 0 || k > held {
        return Err(CliError::Usage(format!(
            "--components {k}: the snapshots have {held}; use 1 to {held}"
        )));
    }
    let mut provenance = first.provenance.clone();
    // It is of several.
    provenance.run_id = None;
    // It was asked of other rows.
    provenance.variance_asked = None;
    provenance.squared_weight = merged.squared_weight;
    provenance.interrupted = snapshots
        .iter()
        .any(|snapshot| snapshot.provenance.interrupted);
    let estimate = merged.estimate(k, Penalty::Auto);
    let counting = counting(&snapshots);
    provenance.warnings = warnings(&estimate, &first.features, merged.is_scaled, &counting);
    for warning in &provenance.warnings {
        say(&format!("warning: {}", warning.text));
    }
    let result = Snapshot {
        estimate,
        features: first.features.clone(),
        counts: snapshots
            .iter()
            .fold(crate::rows::RowCounts::default(), |sum, s| {
                sum.plus(&s.counts)
            }),
        watermark: crate::rows::Watermark {
            inputs: snapshots
                .iter()
                .flat_map(|s| s.watermark.inputs.clone())
                .collect(),
        },
        provenance,
    };
    let path = write(&result, &args.output).map_err(|error| failed(&error))?;
    say(&format!("snapshot: {}", path.display()));
    print(&table(&result.estimate, &result.features, is_unicode()))
}

/// Features that only grow in some of the snapshots: the merged state cannot tell how they move,
/// only the snapshots can.
fn counting(snapshots: &[Snapshot]) -> Vec<(usize, u64)> {
    let warnings = snapshots.iter().flat_map(|s| &s.provenance.warnings);
    let growing: Vec<&str> = warnings
        .filter(|warning| warning.only_grows)
        .map(|warning| warning.feature.as_str())
        .collect();
    let names = snapshots.iter().take(1).flat_map(|s| s.features.names());
    let found = names
        .enumerate()
        .filter(|(_, name)| growing.contains(&name.as_str()));
    found.map(|(j, _)| (j, 0)).collect()
}

/// Names the first feature in which two snapshots differ.
fn check_features(
    first: Option<&Snapshot>,
    other: &Snapshot,
    path: &std::path::Path,
) -> Result<(), CliError> {
    let Some(first) = first else { return Ok(()) };
    let (a, b) = (first.features.names(), other.features.names());
    if a == b {
        return Ok(());
    }
    let at = a
        .iter()
        .zip(b)
        .position(|(a, b)| a != b)
        .unwrap_or(a.len().min(b.len()));
    let name = |names: &[String]| {
        names
            .get(at)
            .map_or_else(|| "none".into(), |n| format!("`{n}`"))
    };
    Err(CliError::Failed(format!(
        "{}: feature {} is {}, but the first snapshot has {}; only snapshots with the same features can be merged",
        path.display(),
        at + 1,
        name(b),
        name(a),
    )))
}
