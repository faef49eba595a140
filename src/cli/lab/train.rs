//! `ojad lab train`: one algorithm, every iterate.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use faer::{Mat, MatRef};

use super::model::{LossKind, Model};
use super::rows::{MADE, Rows};
use crate::cli::table_file::TableFile;
use crate::cli::{CliError, print};
use crate::lab::algorithm::{Kind, Recipe};
use crate::lab::problem::Problem;
use crate::lab::train::{Course, Iterate, Record, Stop, Trajectory, train};
use crate::lab::weights::Weights;
use crate::source::{self, SourceParams};

/// Iterates per batch of the written table.
const ITERATES: usize = 4_096;

/// Values read at a time.
const ROWS: usize = 1_024;

/// Runs one algorithm on rows in memory and reports the result, or writes every iterate.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ojad lab train tied-gradient
  ojad lab train untied-exact data.parquet --id sample -k 5
  ojad lab train untied-gradient --variances 1 --lambda 50 --step 1e-5 --tolerance 1e-8 \\
      --iterations 100000 --output iterates.parquet

The table of iterates has a row for each entry of each matrix: iteration (0 is the start), matrix (w1, the
encoder, k×m; w2, the decoder, m×k), row, column, value. --start takes such a table and begins at its
iteration 0.")]
pub struct Args {
    /// Algorithm to run.
    #[arg(value_enum, value_name = "ALGORITHM")]
    kind: Kind,
    #[command(flatten)]
    rows: Rows,
    #[command(flatten)]
    model: Model,
    /// Loss to minimise.
    #[arg(long, value_enum, value_name = "LOSS", default_value_t = LossKind::Sum)]
    loss: LossKind,
    /// Rows per iteration. Default: all.
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    minibatch: Option<u32>,
    /// Quantity that ends the run when it falls below the tolerance. Weights that start as transposes
    /// always use the update.
    #[arg(long, value_enum, value_name = "RULE", default_value_t = StopKind::Update)]
    stop: StopKind,
    /// Tolerance: value of that quantity below which the run ends.
    #[arg(long, value_name = "EPSILON", default_value_t = 1e-8)]
    tolerance: f64,
    /// Maximum number of iterations.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    iterations: u32,
    /// Table of weights to start from. Default: random entries of variance 1/m.
    #[arg(long, value_name = "FILE")]
    start: Option<PathBuf>,
    /// Table of all iterates to write: .parquet, .arrow, or - for an Arrow IPC stream.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Stopping rules by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum StopKind {
    /// The distance of the weights, ‖W1 − W2ᵀ‖.
    Symmetry,
    /// The length of an update, √(‖ΔW1‖² + ‖ΔW2‖²).
    Update,
    /// Nothing: run all iterations.
    Never,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let failed = |error: crate::lab::LabError| CliError::Failed(error.to_string());
    let data = args.rows.read(MADE)?;
    let problem = Problem::new(data.rows.as_ref());
    let model = args.model.or_components(2, &problem)?;
    let recipe = Recipe {
        kind: args.kind,
        loss: model.loss(args.loss, &problem)?,
        step: model.step(&problem)?,
        seed: args.rows.seed,
    };
    let k = model.components();
    let start = match &args.start {
        Some(path) => read_start(path, problem.features(), k)?,
        None => Weights::start(problem.features(), k, args.rows.seed),
    };
    let mut algorithm = recipe.make(k).map_err(failed)?;
    let course = Course {
        minibatch: args.minibatch.map(|rows| rows as usize),
        stop: match args.stop {
            StopKind::Symmetry => Stop::Symmetry(args.tolerance),
            StopKind::Update => Stop::Update(args.tolerance),
            StopKind::Never => Stop::Limit,
        },
        iterations_max: args.iterations as usize,
    };
    // Opened before the work, so that a name or a place that does not fit is told at once.
    let file = args
        .output
        .as_deref()
        .map(|path| TableFile::create(path, &schema()));
    let file = file.transpose()?;
    let record = if args.output.is_some() {
        Record::All
    } else {
        Record::Thinned
    };
    let trajectory = train(algorithm.as_mut(), &problem, start, course, record).map_err(failed)?;
    if let Some(file) = file {
        write(file, &trajectory)?;
    }
    let told = tell(&problem, &recipe, k, &trajectory).map_err(failed)?;
    if args.output.as_deref() == Some(std::path::Path::new("-")) {
        crate::cli::say(told.trim_end());
        return Ok(());
    }
    print(&told)
}

/// Describes the result of the run in words and numbers.
fn tell(
    problem: &Problem<'_>,
    recipe: &Recipe,
    k: usize,
    trajectory: &Trajectory,
) -> Result<String, crate::lab::LabError> {
    let Some(last) = trajectory.last() else {
        return Ok(String::new());
    };
    let spectrum = problem.spectrum()?;
    let truth = spectrum.vectors.as_ref();
    let found = last.weights.found()?;
    let loss = recipe.loss.value(&last.weights, problem.scatter());
    let least = crate::lab::theory::least_loss(&recipe.loss, &spectrum.values, k);
    let mut text = format!(
        "{} after {} iterations, {:.3} ms\n\
         loss {loss:.8e}, {:.3e} (relative) above the minimum\n\
         ‖W1 − W2ᵀ‖ {:.3e}; directions off by {:.3e} (mean sin²), their span by {:.3e}\n",
        trajectory.end.word(),
        trajectory.iterations,
        1e3 * last.elapsed.as_secs_f64(),
        (loss - least) / least,
        last.weights.asymmetry(),
        found.axis_error(truth),
        found.subspace_error(truth),
    );
    let lambda = recipe.loss.lambda(0);
    if matches!(recipe.loss, crate::lab::loss::Loss::Sum(_)) && lambda > 0.0 {
        text.push_str("component  eigenvalue by λ/(1 − s²)  by decomposition\n");
        for (i, value) in found.eigenvalues(lambda).iter().enumerate() {
            text.push_str(&format!(
                "{:>9}  {value:>23.8e}  {:>16.8e}\n",
                i + 1,
                spectrum.values[i]
            ));
        }
    }
    Ok(text)
}

/// Schema of every entry of every iterate, in long form.
fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("iteration", DataType::Int64, false),
        Field::new("matrix", DataType::Utf8, false),
        Field::new("row", DataType::Int32, false),
        Field::new("column", DataType::Int32, false),
        Field::new("value", DataType::Float64, false),
    ]))
}

fn write(mut file: TableFile, trajectory: &Trajectory) -> Result<(), CliError> {
    let schema = schema();
    for part in trajectory.iterates.chunks(ITERATES) {
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns(part))
            .map_err(|error| CliError::Failed(format!("cannot assemble the iterates: {error}")))?;
        file.write(&batch)?;
    }
    file.finish()
}

fn columns(iterates: &[Iterate]) -> Vec<ArrayRef> {
    let (mut iteration, mut matrix) = (Vec::new(), Vec::new());
    let (mut row, mut column, mut value) = (Vec::new(), Vec::new(), Vec::new());
    let mut put = |number: i64, name: &'static str, of: MatRef<'_, f64>| {
        for (i, j) in (0..of.nrows()).flat_map(|i| (0..of.ncols()).map(move |j| (i, j))) {
            iteration.push(number);
            matrix.push(name);
            row.push(i32::try_from(i).unwrap_or(i32::MAX));
            column.push(i32::try_from(j).unwrap_or(i32::MAX));
            value.push(of[(i, j)]);
        }
    };
    for iterate in iterates {
        let number = i64::try_from(iterate.iteration).unwrap_or(i64::MAX);
        put(number, "w1", iterate.weights.encoder.as_ref());
        put(number, "w2", iterate.weights.decoder.as_ref());
    }
    vec![
        Arc::new(Int64Array::from(iteration)),
        Arc::new(StringArray::from(matrix)),
        Arc::new(Int32Array::from(row)),
        Arc::new(Int32Array::from(column)),
        Arc::new(Float64Array::from(value)),
    ]
}

/// The weights of iteration 0 of such a table.
fn read_start(path: &std::path::Path, m: usize, k: usize) -> Result<Weights, CliError> {
    let failed = |why: String| {
        CliError::Failed(format!(
            "{}: {why}; use a table written by `ojad lab train --output` with {k} components and {m} features",
            path.display()
        ))
    };
    let params = SourceParams {
        ids: vec!["matrix".into()],
        include: ["iteration", "row", "column", "value"]
            .map(String::from)
            .into(),
        limit: crate::source::Limit::F64,
        ..SourceParams::default()
    };
    let mut reader = source::open(&[path.into()], &params)
        .map_err(|error| CliError::Failed(error.to_string()))?;
    let names = reader.features().names().to_vec();
    let place = |name: &str| names.iter().position(|own| own == name);
    let (Some(iteration), Some(row), Some(column), Some(value)) = (
        place("iteration"),
        place("row"),
        place("column"),
        place("value"),
    ) else {
        return Err(failed(
            "one of the columns `iteration`, `row`, `column` and `value` is missing".into(),
        ));
    };
    let (mut encoder, mut decoder) = (
        Mat::from_fn(k, m, |_, _| f64::NAN),
        Mat::from_fn(m, k, |_, _| f64::NAN),
    );
    let mut batch = reader.new_minibatch(ROWS);
    loop {
        let ids = reader
            .fill_with_ids(&mut batch)
            .map_err(|error| CliError::Failed(error.to_string()))?;
        if batch.rows() == 0 {
            break;
        }
        let ids = ids.ok_or_else(|| failed("the column `matrix` is missing".into()))?;
        let labels = arrow::compute::cast(ids.column(0), &DataType::Utf8)
            .map_err(|error| failed(error.to_string()))?;
        let labels: &StringArray = arrow::array::AsArray::as_string(&labels);
        for i in (0..batch.rows()).filter(|i| batch.value(*i, iteration).abs() < 0.5) {
            let target = match labels.value(i) {
                "w1" => &mut encoder,
                "w2" => &mut decoder,
                other => return Err(failed(format!("unknown matrix `{other}`"))),
            };
            let at = (
                batch.value(i, row) as usize,
                batch.value(i, column) as usize,
            );
            if at.0 >= target.nrows() || at.1 >= target.ncols() {
                return Err(failed(format!(
                    "the matrix has no entry ({}, {})",
                    at.0, at.1
                )));
            }
            target[at] = batch.value(i, value);
        }
    }
    let weights = Weights { encoder, decoder };
    if weights.is_finite() {
        Ok(weights)
    } else {
        Err(failed("entries of iteration 0 are missing".into()))
    }
}
