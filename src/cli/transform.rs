//! `ojad transform`: scores, residual, T² and likelihood of rows by a snapshot, as a stream.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};

use crate::cli::overrides::Overrides;
use crate::cli::table_file::TableFile;
use crate::cli::{CliError, say};
use crate::rows::{Features, Minibatch};
use crate::snapshot::{Projection, Scores, Snapshot, read};
use crate::source;

/// Rows scored at a time: enough for the products, few enough for the cache.
const ROWS: usize = 1_024;

/// Key of the schema's metadata that says how p-values were found.
const LIMITS: &str = "ojad.limits";

/// Key of the schema's metadata that names the model behind the log-likelihood.
const NOISE_MODEL: &str = "ojad.noise_model";

/// Scores rows by the components of a snapshot.
///
/// Adds pc1…pck (centred, scaled row · component), `residual` (squared reconstruction error in
/// scaled units), `t2` (Hotelling's T², Σ score²/eigenvalue), `log_likelihood` (of the centred, scaled
/// row under the model of the active components and the noise beyond them), `p_value` (chance that a row
/// lies as far out under equal noise), `residual_p_value` and `t2_p_value` (chance that a row's are as large) to the
/// columns named by --id. Log-likelihood and `p_value` are null where the model has no density: nothing
/// varies, or nothing beside the active components. The schema's metadata (`ojad.limits`) say how
/// p-values were found: by the rows that the model was learned from, or by the chi-squared law; and
/// (`ojad.noise_model`) whether noise is equal (probabilistic PCA) or has a variance for each feature.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ojad transform --model model/ data.parquet --id sample --output scores.parquet
  ojad transform --model model/ plant/ --on-null mean --output scores.arrow")]
pub struct Args {
    /// Snapshot, or a directory with `latest` in it.
    #[arg(long, value_name = "SNAPSHOT")]
    model: PathBuf,
    /// Parquet or Arrow IPC files, directories, globs, or `-`.
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<OsString>,
    /// File to write: .parquet, .arrow or .feather (Arrow IPC), or - for an IPC stream.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let failed = |error: &dyn std::fmt::Display| CliError::Failed(error.to_string());
    let snapshot = read(&args.model).map_err(|error| failed(&error))?;
    let mut plan = args.overrides.plan(None)?;
    // The model says which features there must be.
    plan.source.features_least = 0;
    let reader = source::open_for_model(&args.inputs, &plan.source, &snapshot.features);
    let mut reader = reader.map_err(|error| failed(&error))?;
    super::say_left_out(reader.left_out());
    let order = columns_of_model(&snapshot, reader.features())?;
    let projection = Projection::new(&snapshot.estimate, &order);
    let mut batch = reader.new_minibatch(ROWS);
    let mut file: Option<TableFile> = None;
    let mut rows = 0;
    loop {
        let ids = reader
            .fill_with_ids(&mut batch)
            .map_err(|error| failed(&error))?;
        if batch.rows() == 0 {
            break;
        }
        rows += batch.rows();
        let scored = table(&projection, &batch, ids)?;
        // Created with the first rows: the columns of ids are known only then, and without any row
        // no file is left.
        let open = match file.take() {
            Some(open) => open,
            None => TableFile::create(&args.output, &scored.schema())?,
        };
        file.insert(open).write(&scored)?;
    }
    match file {
        Some(file) => file.finish()?,
        None => {
            return Err(CliError::Failed(format!(
                "no rows to score: all {} rows read were rejected; relax `--on-null`, \
                 `--on-nan` or `--on-inf`",
                reader.counts().rows_read
            )));
        }
    }
    say(&format!("{rows} rows scored"));
    say(&format!("p-values: {}", projection.limits().in_words()));
    Ok(())
}

/// For each feature of the model, its column in the minibatch.
fn columns_of_model(snapshot: &Snapshot, read: &Features) -> Result<Vec<usize>, CliError> {
    let model = &snapshot.features;
    if model == read {
        return Ok((0..model.len()).collect());
    }
    let at: HashMap<&str, usize> = read
        .names()
        .iter()
        .enumerate()
        .map(|(j, name)| (name.as_str(), j))
        .collect();
    let known: std::collections::HashSet<&str> = model.names().iter().map(String::as_str).collect();
    if let Some(extra) = read
        .names()
        .iter()
        .find(|name| !known.contains(name.as_str()))
    {
        return Err(CliError::Failed(format!(
            "the inputs have a feature `{extra}` that the model does not have; leave it out with \
             `--exclude` or `--id`"
        )));
    }
    model
        .names()
        .iter()
        .map(|name| {
            at.get(name.as_str()).copied().ok_or_else(|| {
                CliError::Failed(format!(
                    "the model has a feature `{name}` that the inputs do not have; score rows \
                     with the same features, or fit a model to these rows"
                ))
            })
        })
        .collect()
}

/// Refuses an id column with the name of a score.
fn check_ids(ids: &RecordBatch, components: usize) -> Result<(), CliError> {
    let is_score = |name: &str| {
        let number = name
            .strip_prefix("pc")
            .and_then(|n| n.parse::<usize>().ok());
        let is_component = |i: usize| (1..=components).contains(&i) && name == format!("pc{i}");
        Scores::OTHERS.contains(&name) || number.is_some_and(is_component)
    };
    let schema = ids.schema();
    let taken = schema.fields().iter().find(|field| is_score(field.name()));
    taken.map_or(Ok(()), |field| {
        Err(CliError::Failed(format!(
            "the id column `{}` has the same name as a score column; rename it, or leave it out",
            field.name()
        )))
    })
}

/// Ids, pc1…pck and the other scores; the schema says by which distributions p-values were found.
fn table(
    projection: &Projection,
    batch: &Minibatch,
    ids: Option<RecordBatch>,
) -> Result<RecordBatch, CliError> {
    let scores = projection.score(batch);
    let mut fields: Vec<Arc<Field>> = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    if let Some(ids) = ids {
        check_ids(&ids, scores.components.len())?;
        fields.extend(ids.schema().fields().iter().cloned());
        columns.extend(ids.columns().iter().cloned());
    }
    let mut add = |name: String, values: Vec<f64>| {
        let is_nullable = Scores::may_lack(&name);
        fields.push(Arc::new(Field::new(name, DataType::Float64, is_nullable)));
        columns.push(Arc::new(if is_nullable {
            let values = values.into_iter().map(|v| v.is_finite().then_some(v));
            values.collect()
        } else {
            Float64Array::from(values)
        }));
    };
    let (components, others) = scores.into_columns();
    for (i, score) in components.into_iter().enumerate() {
        add(format!("pc{}", i + 1), score);
    }
    for (name, score) in Scores::OTHERS.into_iter().zip(others) {
        add(name.into(), score);
    }
    let told = [
        (LIMITS.to_owned(), projection.limits().in_words()),
        (
            NOISE_MODEL.to_owned(),
            projection.noise_model().as_str().to_owned(),
        ),
    ];
    let schema = Schema::new(fields).with_metadata(HashMap::from(told));
    RecordBatch::try_new(Arc::new(schema), columns)
        .map_err(|error| CliError::Failed(format!("cannot assemble the scores: {error}")))
}
