//! `ojad lab compare`: every algorithm on the same rows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use serde_json::json;

use super::model::{LossKind, Model};
use super::rows::{MADE, Rows};
use crate::cli::table_file::TableFile;
use crate::cli::{CliError, print, say};
use crate::lab::algorithm::StepSize;
use crate::lab::compare::{Against, Contest, Curve, Point, picture};
use crate::lab::loss::Loss;
use crate::lab::problem::Problem;
use crate::plot;

/// Number of values above which the running algorithm is named, because an iteration then takes
/// noticeable time.
const SLOW: usize = 2_000_000;

/// Compares every algorithm: error per iteration and per second, on your rows or on synthetic ones.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ojad lab compare
  ojad lab compare data.parquet --id sample -k 5 --output compared/
  ojad lab compare --variances 1 --lambda 50 --step 1e-5 --iterations 100000 --output compared/

Errors are mean sin²: of each direction against the principal direction of its rank (directions), of
their spans (span), and of the decoder's columns themselves (columns). The second example reads a file;
the third uses the settings of the paper's program. With --output: error-per-iteration and
error-per-second as SVG and PNG, and curves.parquet. Times are measured on this
machine; short ones are the best of five runs.")]
pub struct Args {
    #[command(flatten)]
    rows: Rows,
    #[command(flatten)]
    model: Model,
    /// Rows per minibatch, for the algorithms that use them.
    #[arg(long, value_name = "ROWS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    minibatch: u32,
    /// Stop an algorithm when its weights move by less than this.
    #[arg(long, value_name = "EPSILON", default_value_t = 1e-10)]
    tolerance: f64,
    /// Maximum number of iterations of an algorithm.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    iterations: u32,
    /// Directory for pictures and curves.
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Print the table as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let data = args.rows.read(MADE)?;
    let problem = Problem::new(data.rows.as_ref());
    let model = args.model.or_components(2, &problem)?;
    let contest = contest(args, &model, &problem)?;
    if let Some(directory) = &args.output {
        super::make_directory(directory)?;
    }
    let is_slow = !args.json && data.count() * data.features() > SLOW;
    let curves = contest
        .run(data.rows.as_ref(), |entry| {
            if is_slow {
                say(&entry.name);
            }
        })
        .map_err(|error| CliError::Failed(error.to_string()))?;
    if let Some(directory) = &args.output {
        let source = format!(
            "{}, {} × {}, k = {}, λ = {:.4}",
            args.rows.source(),
            data.count(),
            data.features(),
            contest.components,
            contest.lambda
        );
        write(directory, &curves, &source)?;
    }
    if args.json {
        return print(&format!("{:#}\n", as_json(&contest, &curves)));
    }
    print(&table(&contest, &curves, data.count(), data.features()))
}

fn contest(args: &Args, model: &Model, problem: &Problem<'_>) -> Result<Contest, CliError> {
    let lambdas = match model.loss(LossKind::NonUniform, problem)? {
        Loss::NonUniform(lambdas) => lambdas,
        _ => Vec::new(),
    };
    // The sum loss checks λ itself.
    model.loss(LossKind::Sum, problem)?;
    let (step, normalized_step) = match model.step(problem)? {
        StepSize::Constant(step) => (step, 0.25),
        StepSize::Normalized(step) => {
            return Err(CliError::Usage(format!(
                "--normalized with --step {step}: every kind of step is compared anyway; leave out --normalized"
            )));
        }
    };
    Ok(Contest {
        components: model.components(),
        lambda: model.lambda(problem)?,
        lambdas,
        step,
        normalized_step,
        minibatch: args.minibatch as usize,
        tolerance: args.tolerance,
        iterations_max: args.iterations as usize,
        seed: args.rows.seed,
    })
}

fn table(contest: &Contest, curves: &[Curve], rows: usize, features: usize) -> String {
    let mut text = format!(
        "{rows} rows × {features} features, k = {}, λ = {:.6}, α = {:.3e}, minibatches of {} rows\n\n\
         {:<32} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}  end\n",
        contest.components,
        contest.lambda,
        contest.step,
        contest.minibatch,
        "algorithm",
        "iterations",
        "ms",
        "directions",
        "span",
        "columns",
        "‖W1 − W2ᵀ‖",
        "excess",
    );
    for curve in curves {
        let last = curve.points.last();
        let of = |pick: fn(&Point) -> f64| last.map_or(f64::NAN, pick);
        text.push_str(&format!(
            "{:<32} {:>10} {:>10.3} {:>10.1e} {:>10.1e} {:>10.1e} {:>10.1e} {:>10.1e}  {}\n",
            curve.entry.name,
            curve.iterations,
            1e3 * of(|point| point.seconds),
            of(|point| point.axis_error),
            of(|point| point.subspace_error),
            of(|point| point.column_error),
            of(|point| point.asymmetry),
            curve.excess,
            curve.end.word(),
        ));
    }
    text
}

fn as_json(contest: &Contest, curves: &[Curve]) -> serde_json::Value {
    let rows: Vec<_> = curves
        .iter()
        .map(|curve| {
            let last = curve.points.last();
            json!({
                "algorithm": curve.entry.name,
                "iterations": curve.iterations,
                "seconds": last.map(|point| point.seconds),
                "axis_error": last.map(|point| point.axis_error),
                "subspace_error": last.map(|point| point.subspace_error),
                "column_error": last.map(|point| point.column_error),
                "asymmetry": last.map(|point| point.asymmetry),
                "loss_excess": curve.excess,
                "end": curve.end.word(),
            })
        })
        .collect();
    json!({
        "components": contest.components,
        "lambda": contest.lambda,
        "lambdas": contest.lambdas,
        "step": contest.step,
        "minibatch": contest.minibatch,
        "tolerance": contest.tolerance,
        "seed": contest.seed,
        "algorithms": rows,
    })
}

fn write(directory: &Path, curves: &[Curve], source: &str) -> Result<(), CliError> {
    for (name, against) in [
        ("error-per-iteration", Against::Iterations),
        ("error-per-second", Against::Time),
    ] {
        let sheet = picture(curves, against, source);
        for extension in ["svg", "png"] {
            let path = directory.join(format!("{name}.{extension}"));
            plot::write(&sheet, &path).map_err(|error| CliError::Failed(error.to_string()))?;
        }
    }
    let schema = Arc::new(Schema::new(vec![
        Field::new("algorithm", DataType::Utf8, false),
        Field::new("iteration", DataType::Int64, false),
        Field::new("seconds", DataType::Float64, false),
        Field::new("axis_error", DataType::Float64, false),
        Field::new("subspace_error", DataType::Float64, false),
        Field::new("column_error", DataType::Float64, false),
        Field::new("asymmetry", DataType::Float64, false),
    ]));
    let all: Vec<(&str, &Point)> = curves
        .iter()
        .flat_map(|curve| {
            curve
                .points
                .iter()
                .map(|point| (curve.entry.name.as_str(), point))
        })
        .collect();
    let of = |pick: fn(&Point) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(
            all.iter().map(|(_, point)| pick(point)),
        ))
    };
    let iterations = all
        .iter()
        .map(|(_, point)| i64::try_from(point.iteration).unwrap_or(i64::MAX));
    let batch = RecordBatch::try_new(
        Arc::clone(&schema),
        vec![
            Arc::new(StringArray::from_iter_values(
                all.iter().map(|(name, _)| *name),
            )),
            Arc::new(Int64Array::from_iter_values(iterations)),
            of(|point| point.seconds),
            of(|point| point.axis_error),
            of(|point| point.subspace_error),
            of(|point| point.column_error),
            of(|point| point.asymmetry),
        ],
    )
    .map_err(|error| CliError::Failed(format!("cannot assemble the curves: {error}")))?;
    let mut file = TableFile::create(&directory.join("curves.parquet"), &schema)?;
    file.write(&batch)?;
    file.finish()?;
    say(&format!(
        "pictures and curves are in {}",
        directory.display()
    ));
    Ok(())
}
