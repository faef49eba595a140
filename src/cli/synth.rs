//! `ojad synth`: rows with a planted spectrum, and the truth in a second file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeBinaryArray, FixedSizeListArray, Float32Array, Float64Array, Int32Array,
    RecordBatch,
};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;

use crate::cli::table_file::TableFile;
use crate::cli::{CliError, say};
use crate::synth::{Planted, Recipe};

/// Rows generated at a time, at most.
const ROWS: usize = 1_024;

/// Bytes of a batch of f32 values: a reader holds a whole batch of a stream in memory.
const BATCH_BYTES: usize = 32 << 20;

/// Rows in a batch with `features` values per row.
fn batch_rows(features: usize) -> usize {
    (BATCH_BYTES / (4 * features.max(1))).clamp(1, ROWS)
}

/// Layout of the features in the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum LayoutKind {
    /// One column per feature.
    Columns,
    /// One FixedSizeList column.
    List,
    /// One FixedSizeBinary column of little-endian floats.
    Binary,
}

/// Generates rows with a planted spectrum and known components, for trials and benchmarks.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ojad synth --rows 100000 --features 784 --components 10 --output toy/
  ojad synth --rows 1000000 --features 100 --spectrum power:1 --output toy.parquet
  ojad synth --bytes 16GB --features 784 --noise-pool --output - | ojad fit - --components 20

The truth (component, eigenvalue, vector) goes to _truth.parquet beside the data; INPUT directories
skip files of that name. With --output - it is written only if --truth FILE is given.")]
pub struct Args {
    /// Rows to generate.
    #[arg(long, value_name = "N", required_unless_present = "bytes")]
    rows: Option<u64>,
    /// Bytes of f32 values to generate instead, such as 16GB.
    #[arg(long, value_name = "SIZE", value_parser = size, conflicts_with = "rows")]
    bytes: Option<u64>,
    /// Number of features m.
    #[arg(long, value_name = "M")]
    features: usize,
    /// Number of planted components k.
    #[arg(long, short = 'k', value_name = "K", default_value_t = 10)]
    components: usize,
    /// Eigenvalues: spiked (20 down to 4) or power:ALPHA (eigenvalue 100·j^-ALPHA).
    #[arg(long, value_name = "SPECTRUM", default_value = "spiked")]
    spectrum: String,
    /// Standard deviation of the noise in every direction.
    #[arg(long, value_name = "SIGMA", default_value_t = 1.0)]
    noise: f64,
    /// Mean of every feature.
    #[arg(
        long,
        value_name = "MEAN",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    mean: f64,
    /// Distribution of the values: gaussian or student:NU.
    #[arg(long, value_name = "LAW", default_value = "gaussian")]
    tails: String,
    /// Seed: the same seed makes the same rows.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// Draw the noise from a fixed pool, which is faster.
    #[arg(long)]
    noise_pool: bool,
    /// Layout of the features in the files.
    #[arg(long, value_enum, default_value_t = LayoutKind::List)]
    layout: LayoutKind,
    /// Rows per file if --output is a directory.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    rows_per_file: u64,
    /// A directory, a file (.parquet, .arrow) or - for an Arrow IPC stream.
    #[arg(long, short, value_name = "PATH")]
    output: PathBuf,
    /// File to write the truth to; by default only --output - writes none.
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
}

/// A number of bytes with an optional unit.
fn size(text: &str) -> Result<u64, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let unit = match text[digits..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        unit => return Err(format!("unknown unit {unit}: use KB, MB, GB or TB")),
    };
    text[..digits]
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| "use a number of bytes such as 500MB".into())
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    if args.features == 0 || i32::try_from(args.features).is_err() {
        return Err(CliError::Usage(format!(
            "--features {}: use 1 to 2147483647",
            args.features
        )));
    }
    let mut planted = Planted::new(recipe(args)?).map_err(CliError::Usage)?;
    let total = args
        .rows
        // Values are f32.
        .or_else(|| args.bytes.map(|bytes| bytes / (4 * args.features as u64)))
        .unwrap_or(0);
    let is_stream = args.output == Path::new("-");
    let is_directory = !is_stream && args.output.extension().is_none();
    if is_directory {
        std::fs::create_dir_all(&args.output).map_err(|error| {
            CliError::Failed(format!(
                "{}: cannot create: {error}; choose another `--output`",
                args.output.display()
            ))
        })?;
    }
    write_truth(args, &planted, is_stream, is_directory)?;
    let schema = schema_of(args);
    let per_file = if is_directory {
        args.rows_per_file.max(1)
    } else {
        u64::MAX
    };
    let (mut made, mut number) = (0, 0);
    while made < total {
        let path = if is_directory {
            args.output.join(format!("part-{number:05}.parquet"))
        } else {
            args.output.clone()
        };
        let rows = per_file.min(total - made);
        match write_file(&mut planted, args.layout, &schema, &path, rows) {
            // Whoever reads the stream has had enough.
            Err(CliError::Failed(message)) if is_stream && message.contains("Broken pipe") => {
                return Ok(());
            }
            written => written?,
        }
        made += rows;
        number += 1;
    }
    if !is_stream {
        say(&format!(
            "{made} rows × {} features in {}",
            args.features,
            args.output.display()
        ));
    }
    Ok(())
}

fn write_file(
    planted: &mut Planted,
    layout: LayoutKind,
    schema: &SchemaRef,
    path: &Path,
    rows: u64,
) -> Result<(), CliError> {
    let m = planted.recipe().features;
    let mut file = TableFile::create(path, schema)?;
    let mut left = rows;
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(ROWS).min(batch_rows(m));
        let mut values = vec![0.0_f32; count * m];
        planted.fill(&mut values);
        let batch = batch_of(values, m, layout, schema)
            .map_err(|error| CliError::Failed(format!("cannot assemble the rows: {error}")))?;
        file.write(&batch)?;
        left -= count as u64;
    }
    file.finish()
}

fn recipe(args: &Args) -> Result<Recipe, CliError> {
    let (k, floor) = (args.components, args.noise * args.noise);
    let eigenvalues: Vec<f64> = match args.spectrum.split_once(':') {
        None if args.spectrum == "spiked" => (0..k)
            .map(|i| floor * (20.0 - 16.0 * i as f64 / (k.max(2) - 1) as f64))
            .collect(),
        Some(("power", alpha)) => {
            let alpha: f64 = alpha.parse().map_err(|_| {
                CliError::Usage(format!(
                    "--spectrum {}: ALPHA is not a number",
                    args.spectrum
                ))
            })?;
            (1..=k)
                .map(|j| (100.0 * (j as f64).powf(-alpha)).max(floor))
                .collect()
        }
        _ => {
            return Err(CliError::Usage(format!(
                "--spectrum {}: use spiked or power:ALPHA",
                args.spectrum
            )));
        }
    };
    let student = match args.tails.split_once(':') {
        None if args.tails == "gaussian" => None,
        Some(("student", nu)) if nu.parse::<f64>().is_ok() => nu.parse().ok(),
        _ => {
            return Err(CliError::Usage(format!(
                "--tails {}: use gaussian or student:NU",
                args.tails
            )));
        }
    };
    Ok(Recipe {
        features: args.features,
        eigenvalues,
        noise: args.noise,
        mean: args.mean,
        student,
        noise_pool: args.noise_pool,
        seed: args.seed,
    })
}

fn item(kind: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", kind, false))
}

/// The width as Arrow's schema stores it; `run` has refused larger ones.
fn width_of(features: usize) -> i32 {
    i32::try_from(features).unwrap_or(i32::MAX)
}

fn schema_of(args: &Args) -> SchemaRef {
    let m = width_of(args.features);
    let fields = match args.layout {
        LayoutKind::Columns => (0..args.features)
            .map(|j| Field::new(format!("x{j}"), DataType::Float32, false))
            .collect(),
        LayoutKind::List => {
            vec![Field::new(
                "x",
                DataType::FixedSizeList(item(DataType::Float32), m),
                false,
            )]
        }
        LayoutKind::Binary => {
            vec![Field::new("x", DataType::FixedSizeBinary(4 * m), false)]
        }
    };
    Arc::new(Schema::new(fields))
}

fn batch_of(
    values: Vec<f32>,
    m: usize,
    layout: LayoutKind,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let width = width_of(m);
    let columns: Vec<ArrayRef> = match layout {
        LayoutKind::Columns => (0..m)
            .map(|j| {
                let column: Float32Array = values
                    .iter()
                    .skip(j)
                    .step_by(m)
                    .copied()
                    .map(Some)
                    .collect();
                Arc::new(column) as ArrayRef
            })
            .collect(),
        LayoutKind::List => vec![Arc::new(FixedSizeListArray::try_new(
            item(DataType::Float32),
            width,
            Arc::new(Float32Array::from(values)),
            None,
        )?)],
        LayoutKind::Binary => {
            let bytes = Buffer::from_vec(values);
            vec![Arc::new(FixedSizeBinaryArray::try_new(
                4 * width,
                bytes,
                None,
            )?)]
        }
    };
    RecordBatch::try_new(SchemaRef::clone(schema), columns)
}

fn write_truth(
    args: &Args,
    planted: &Planted,
    is_stream: bool,
    is_directory: bool,
) -> Result<(), CliError> {
    let path = match (&args.truth, is_stream, is_directory) {
        (Some(path), ..) => path.clone(),
        (None, true, _) => return Ok(()),
        (None, _, true) => args.output.join("_truth.parquet"),
        (None, ..) => {
            let stem = args
                .output
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            args.output.with_file_name(format!("_{stem}.truth.parquet"))
        }
    };
    let recipe = planted.recipe();
    let k = recipe.eigenvalues.len();
    let vectors: Vec<f64> = (0..k)
        .flat_map(|i| (0..recipe.features).map(move |j| (i, j)))
        .map(|at| planted.components()[at])
        .collect();
    let failed = |error: ArrowError| CliError::Failed(format!("cannot write the truth: {error}"));
    let kind = DataType::FixedSizeList(item(DataType::Float64), width_of(recipe.features));
    let schema: SchemaRef = Arc::new(Schema::new(vec![
        Field::new("component", DataType::Int32, false),
        Field::new("eigenvalue", DataType::Float64, false),
        Field::new("vector", kind, false),
    ]));
    let list = FixedSizeListArray::try_new(
        item(DataType::Float64),
        width_of(recipe.features),
        Arc::new(Float64Array::from(vectors)),
        None,
    )
    .map_err(failed)?;
    let numbers: Int32Array = (1..).take(k).map(Some).collect();
    let batch = RecordBatch::try_new(
        SchemaRef::clone(&schema),
        vec![
            Arc::new(numbers),
            Arc::new(Float64Array::from(recipe.eigenvalues.clone())),
            Arc::new(list),
        ],
    )
    .map_err(failed)?;
    let mut file = TableFile::create(&path, &schema)?;
    file.write(&batch)?;
    file.finish()
}
