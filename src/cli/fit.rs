//! `ojad fit`: one pass over finite input, a progress bar, then a table.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::cli::overrides::Overrides;
use crate::cli::progress::Bar;
use crate::cli::{CliError, is_unicode, print, say};
use crate::config::{ComponentsKey, IsolationKey, Plan};
use crate::daemon::{Fitted, Room, Shutdown, fit};
use crate::learner::{Learner, Summary};
use crate::prequential;
use crate::rows::Features;
use crate::snapshot::{Provenance, Snapshot, share, table, warnings, write};
use crate::source::{self, SourceError};

/// Fits the principal components of Parquet and Arrow rows in one pass and in bounded memory.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ojad fit data.parquet --components 10
  ojad fit data.parquet --components 0.95      as few as explain 95% of the variance
  ojad fit 'plant/2026-*/' --components 5 --scale standard --id machine --output model/
  ojad fit genotypes.parquet --on-null mean --half-life-rows 100000 --components 20
  producer | ojad fit - --components 10 --json

INPUT is a file, a directory (recursive, in name order), a glob, or - for an Arrow IPC
stream on standard input. Files of a directory that are neither Parquet nor Arrow IPC
are skipped and counted. Ctrl-C stops reading and shows the result for the rows read so far.")]
pub struct Args {
    /// Parquet or Arrow IPC files, directories, globs, or `-`.
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<OsString>,
    /// Components to report, at most the number of features; or a fraction of the variance between 0 and 1, such as
    /// 0.95: then as few components as explain it. Components that the rows do not determine are marked. Default: 10,
    /// or what the configuration says.
    #[arg(long, short = 'k', value_name = "K", allow_negative_numbers = true)]
    components: Option<ComponentsKey>,
    /// Directory to write the snapshot to, with `latest` pointing to it.
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Decode files in a worker process: one that kills its decoder, or stops it, is named. Default: what
    /// `source.isolation` says.
    #[arg(long)]
    worker: bool,
    /// Print the snapshot's metadata and components as JSON instead of the table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    overrides: Overrides,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let failed = |error: &dyn std::fmt::Display| CliError::Failed(error.to_string());
    let mut plan = args.overrides.plan(args.components)?;
    plan.output = args.output.clone().or(plan.output);
    if let Some(directory) = &plan.output {
        // Checked before hours of reading, not after them.
        check_writable(directory)?;
    }
    // Installed before the inputs are opened, so that from here on Ctrl-C ends with a result.
    let shutdown = Shutdown::on_signals().map_err(|error| failed(&error))?;
    let mut reader = source::open(&args.inputs, &plan.source).map_err(|error| match error {
        // The flag, more often than the file.
        SourceError::TooFewFeatures { .. } => CliError::Usage(error.to_string()),
        _ => failed(&error),
    })?;
    super::say_left_out(reader.left_out());
    say(&reader.selection().to_string());
    let features = reader.features().clone();
    if plan.variance.is_some() {
        // What there may be of them; the fraction tells at the end.
        plan.learner.components = plan.learner.components.min(features.len());
    }
    let mut learner = prequential::new(&plan.learner, features.len())
        .map_err(|error| CliError::Usage(error.to_string()))?;
    let room = Room {
        minibatch_rows: plan.learner.minibatch_rows(features.len()),
        channel_minibatches: plan.run.channel_minibatches.value(),
        threads: plan.run.threads,
    };
    if args.worker || plan.source_keys.isolation == IsolationKey::Process {
        let worker = super::worker(&plan.source_keys, &plan.source)?;
        let started = reader.use_worker(worker, room.minibatch_rows);
        started.map_err(|reason| CliError::Failed(reason + "; or leave `--worker` out"))?;
    }
    let mut bar = Bar::new(reader.extent());
    let fitted = fit(
        reader,
        learner.as_mut(),
        room,
        &shutdown,
        &mut |progress, learner| {
            bar.show(progress, learner);
        },
    );
    bar.finish();
    let fitted = fitted.map_err(|error| failed(&error))?;
    report(args, &plan, learner.as_ref(), features, fitted)
}

/// Checks that the output can be written before hours are spent on reading.
fn check_writable(directory: &Path) -> Result<(), CliError> {
    let refused = |error: std::io::Error| {
        CliError::Failed(format!(
            "{}: cannot write here: {error}; choose another `--output`",
            directory.display()
        ))
    };
    std::fs::create_dir_all(directory).map_err(refused)?;
    share(directory).map_err(|error| CliError::Failed(error.to_string()))?;
    tempfile::Builder::new()
        .prefix(".probe-")
        .tempfile_in(directory)
        .map_err(refused)?;
    Ok(())
}

/// The fewest components that explain `fraction` of the total variance; if those learned do not, all of them.
fn explaining(fraction: f64, summary: &Summary, capacity: usize) -> usize {
    let m = summary.features();
    // Where all directions are held, so are all components, whatever the capacity.
    let most = if summary.max_rank >= m { m } else { capacity };
    if summary.total <= 0.0 {
        // Nothing varies, so that no component is missing.
        return 1;
    }
    let wanted = fraction - super::show::rounding(m);
    let ratios = summary.eigenvalues.iter().take(most);
    let explained = ratios.scan(0.0, |sum, value| {
        *sum += value / summary.total;
        Some(*sum)
    });
    let short = explained.take_while(|explained| *explained < wanted);
    (short.count() + 1).min(most)
}

fn report(
    args: &Args,
    plan: &Plan,
    learner: &dyn Learner,
    features: Features,
    fitted: Fitted,
) -> Result<(), CliError> {
    let summary = learner
        .summary()
        .map_err(|error| CliError::Failed(error.to_string()))?;
    if fitted.is_interrupted {
        say(&format!(
            "interrupted: these are the results for {} rows",
            summary.rows
        ));
    }
    // After the note about an interruption, which may be the reason.
    if summary.rows == 0 {
        return Err(CliError::Failed(format!(
            "no rows to learn from: all {} rows read were rejected; relax `--on-null`, \
             `--on-nan` or `--on-inf`, or name other inputs",
            fitted.counts.rows_read
        )));
    }
    let mut provenance = Provenance::new(&plan.learner, features.len(), summary.squared_weight);
    provenance.interrupted = fitted.is_interrupted;
    provenance.variance_asked = plan.variance;
    let components = match plan.variance {
        Some(fraction) => explaining(fraction, &summary, plan.learner.components),
        None => plan.learner.components,
    };
    let estimate = summary.estimate(components, plan.learner.penalty);
    let counting = fitted.monitor.counting();
    provenance.warnings = warnings(&estimate, &features, summary.is_scaled, &counting);
    for warning in &provenance.warnings {
        say(&format!("warning: {}", warning.text));
    }
    let snapshot = Snapshot {
        estimate,
        features,
        counts: fitted.counts,
        watermark: fitted.watermark,
        provenance,
    };
    if let Some(text) = super::show::shortfall(&snapshot) {
        say(&format!("warning: {text}"));
    }
    let written = plan.output.as_ref().map(|to| write(&snapshot, to));
    if let Some(Ok(path)) = &written {
        say(&format!("snapshot: {}", path.display()));
    }
    let text = if args.json {
        super::show::json(&snapshot, false)?
    } else {
        let rejected = snapshot.counts.rows_rejected;
        let mut text = table(&snapshot.estimate, &snapshot.features, is_unicode());
        if rejected > 0 {
            text.push_str(&format!(
                "{rejected} of {} rows rejected\n",
                snapshot.counts.rows_read
            ));
        }
        text.push_str(&super::show::bad_values(&snapshot));
        if snapshot.estimate.is_widened {
            text.push_str(super::show::WIDENED);
        }
        text
    };
    // What hours have found is shown, whatever became of its files.
    print(&text)?;
    match written {
        Some(Err(error)) => Err(CliError::Failed(error.to_string())),
        _ => Ok(()),
    }
}
