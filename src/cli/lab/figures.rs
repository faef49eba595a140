//! `ojad lab figures`: the papers' experiments, with predictions next to results.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use serde_json::json;

use super::model::Model;
use super::rows::{Made, Rows};
use crate::cli::table_file::TableFile;
use crate::cli::{CliError, print, say};
use crate::lab;
use crate::lab::figures::{self, Column, Experiment, ImageSet, Setting};
use crate::lab::problem::Problem;
use crate::plot;
use crate::source::SourceParams;

/// Variances of the synthetic rows: distinct, so that every theorem applies.
const MADE: Made = Made {
    rows: 2_000,
    features: 8,
    variances: &[12.0, 8.0, 5.0, 3.0, 2.0],
};

/// Repeats the papers' experiments: for each its data, a picture, and the prediction beside the result.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ojad lab figures --output figures/
  ojad lab figures --images tests/data/fashion-sample.parquet --label label --output figures/
  ojad lab figures data.parquet --id sample -k 3 --only shrinkage --output figures/

Experiments: transpose, singular-vectors, shrinkage, symmetry, images (with --images), landscape,
likelihood. Each writes NAME.svg, NAME.png and NAME.parquet. The command fails if a result does
not agree with its theory.")]
pub struct Args {
    #[command(flatten)]
    rows: Rows,
    #[command(flatten)]
    model: Model,
    /// Only this experiment; may be repeated.
    #[arg(long, value_name = "EXPERIMENT")]
    only: Vec<String>,
    /// Parquet or Arrow file with one image per row, for the experiment that shows weights as images.
    #[arg(long, value_name = "FILE")]
    images: Option<OsString>,
    /// Column of labels in that file.
    #[arg(long, value_name = "COLUMN", requires = "images")]
    label: Option<String>,
    /// Other columns in that file that are not pixels; may be repeated.
    #[arg(long, value_name = "GLOB", requires = "images")]
    no_pixels: Vec<String>,
    /// Width of an image in pixels. Default: square images.
    #[arg(long, value_name = "PIXELS", requires = "images")]
    image_width: Option<usize>,
    /// Directory for pictures and data.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Print the verdicts as JSON.
    #[arg(long)]
    json: bool,
}

/// Names of the experiments, in their order.
const NAMES: [&str; 7] = [
    "transpose",
    "singular-vectors",
    "shrinkage",
    "symmetry",
    "images",
    "landscape",
    "likelihood",
];

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    check(args)?;
    let data = args.rows.read(MADE)?;
    let problem = Problem::new(data.rows.as_ref());
    let model = args.model.or_components(3, &problem)?;
    if problem.features() < 2 {
        return Err(CliError::Usage(
            "the experiments need at least 2 features; name another INPUT".into(),
        ));
    }
    let setting = Setting {
        rows: data.rows.as_ref(),
        components: model.components(),
        lambda: model.lambda(&problem)?,
        seed: args.rows.seed,
    };
    super::make_directory(&args.output)?;
    let is_wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|only| only == name);
    let mut made = Vec::new();
    for name in NAMES.into_iter().filter(|name| is_wanted(name)) {
        let Some(experiment) = make(args, name, &setting) else {
            say("images: left out; name a file with --images");
            continue;
        };
        let experiment = experiment?;
        write(&args.output, &experiment)?;
        if !args.json {
            print(&told(&experiment))?;
        }
        made.push(experiment);
    }
    if args.json {
        print(&as_json(&made))?;
    }
    judged(&made)
}

fn check(args: &Args) -> Result<(), CliError> {
    let unknown = args
        .only
        .iter()
        .find(|only| !NAMES.contains(&only.as_str()));
    if let Some(unknown) = unknown {
        return Err(CliError::Usage(format!(
            "--only {unknown}: use one of {}",
            NAMES.join(", ")
        )));
    }
    if args.only.iter().any(|only| only == "images") && args.images.is_none() {
        return Err(CliError::Usage(
            "--only images: name a file with --images".into(),
        ));
    }
    Ok(())
}

/// The experiment of this name; `None` for images where there are none.
fn make(args: &Args, name: &str, setting: &Setting<'_>) -> Option<Result<Experiment, CliError>> {
    let made = match name {
        "transpose" => figures::transpose(setting),
        "singular-vectors" => figures::singular_vectors(setting),
        "shrinkage" => figures::shrinkage(setting),
        "symmetry" => figures::symmetry(setting),
        "landscape" => figures::landscape(setting),
        "likelihood" => figures::likelihood(setting),
        _ => return Some(of_images(args, args.images.as_ref()?)),
    };
    Some(made.map_err(|error| failed(name, &error)))
}

fn failed(name: &str, error: &dyn std::fmt::Display) -> CliError {
    CliError::Failed(format!("{name}: {error}"))
}

fn as_json(made: &[Experiment]) -> String {
    let verdict = |one: &Experiment| {
        json!({
            "experiment": one.name,
            "predicted": one.predicted,
            "found": one.found,
            "holds": one.holds,
        })
    };
    format!(
        "{:#}\n",
        json!(made.iter().map(verdict).collect::<Vec<_>>())
    )
}

/// Fails if one does not agree with its theory.
fn judged(made: &[Experiment]) -> Result<(), CliError> {
    let failed = made.iter().filter(|one| !one.holds).map(|one| one.name);
    let failed: Vec<&str> = failed.collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(CliError::Failed(format!(
        "{}: the result is not what theory predicts; eigenvalues that lie close together, or a \
         --lambda close to one of them, need more iterations than are run",
        failed.join(", ")
    )))
}

fn of_images(args: &Args, file: &OsString) -> Result<Experiment, CliError> {
    let params = SourceParams {
        ids: args.label.iter().cloned().collect(),
        exclude: args.no_pixels.clone(),
        ..SourceParams::default()
    };
    let data =
        lab::read(std::slice::from_ref(file), &params).map_err(|error| failed("images", &error))?;
    let pixels = data.features();
    let width = args.image_width.unwrap_or_else(|| pixels.isqrt());
    if width == 0 || pixels % width != 0 || (args.image_width.is_none() && width * width != pixels)
    {
        return Err(failed(
            "images",
            &format!(
                "{pixels} pixels per row do not make an image {width} pixels wide; set \
             --image-width, and use --label or --no-pixels for columns that are not pixels"
            ),
        ));
    }
    // Eight images show what there is to see.
    let components = 8.min(data.count()).min(pixels);
    let set = ImageSet {
        data: &data,
        width,
        components,
        seed: args.rows.seed,
    };
    figures::images(&set).map_err(|error| failed("images", &error))
}

fn told(experiment: &Experiment) -> String {
    format!(
        "{}\n  predicted: {}\n  found:     {}\n  {}\n",
        experiment.name,
        experiment.predicted,
        experiment.found,
        if experiment.holds {
            "agrees"
        } else {
            "DOES NOT AGREE"
        }
    )
}

fn write(directory: &Path, experiment: &Experiment) -> Result<(), CliError> {
    for extension in ["svg", "png"] {
        let path = directory.join(format!("{}.{extension}", experiment.name));
        plot::write(&experiment.sheet, &path)
            .map_err(|error| CliError::Failed(error.to_string()))?;
    }
    let field = |(name, column): &(&str, Column)| {
        let kind = match column {
            Column::Text(_) => DataType::Utf8,
            Column::Numbers(_) => DataType::Float64,
        };
        Field::new(*name, kind, false)
    };
    let array = |(_, column): &(&str, Column)| -> ArrayRef {
        match column {
            Column::Text(values) => Arc::new(StringArray::from_iter_values(values)),
            Column::Numbers(values) => {
                Arc::new(Float64Array::from_iter_values(values.iter().copied()))
            }
        }
    };
    let schema = Arc::new(Schema::new(
        experiment.data.iter().map(field).collect::<Vec<_>>(),
    ));
    let columns = experiment.data.iter().map(array).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)
        .map_err(|error| CliError::Failed(format!("cannot assemble the data: {error}")))?;
    let path = directory.join(format!("{}.parquet", experiment.name));
    let mut file = TableFile::create(&path, &schema)?;
    file.write(&batch)?;
    file.finish()
}
