//! `ojad lab align`: learning without weight transport.

mod report;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use crate::cli::columns::Columns;
use crate::cli::{CliError, print, say};
use crate::lab::align::{Nonlinearity, Rule, Run, Setup, TaskError, compare, figure};
use crate::lab::{self, Data, DataError};
use crate::plot;
use crate::source::SourceError;

/// Trains a small network without weight transport, by several rules, and by backpropagation.
///
/// Separate backward weights B propagate the error; each rule aligns B with the forward weights W in its
/// own way (Kunin et al., Two Routes to Scalable Credit Assignment without
/// Weight Symmetry, ICML 2020). Five sixths of the rows are for training, the rest for testing; the seed
/// fixes the split, the initial weights and the order, which are the same for every rule.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ojad lab align tests/data/fashion-sample.parquet --exclude id --output align/
  ojad lab align tests/data/fashion-sample.parquet --exclude id --rules backprop,information,feedback \\
      --hidden 100,100,100,100,100,100 --epochs 40 --json
  ojad lab align readings.parquet --label machine --exclude 'time*' --learning-rate 0.001

Rules:
  backprop           B = Wᵀ at every step: the reference
  feedback           B stays as it was drawn (feedback alignment)
  mirror             amplification and decay, on noise (weight mirror)
  information        amplification, decay and null, on the layer's own activity
  information-noise  the same, on noise
  symmetric          self and decay; not local
  activation         amplification and sparseness, on the layer's own activity; not local

--output writes align.parquet (rule, seed, epoch, train_loss, test_accuracy, gradient_angle,
angle_layer_2 and so on, in degrees), align.svg and align.png.")]
pub struct Args {
    /// Parquet or Arrow IPC files, directories, globs, or `-`.
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<OsString>,
    /// Column with the classes.
    #[arg(long, value_name = "COLUMN", default_value = "label")]
    label: String,
    #[command(flatten)]
    columns: Columns,
    /// Rules to compare, separated by commas.
    #[arg(long, value_name = "RULES", value_delimiter = ',', value_parser = rules(),
          default_values_t = Rule::ALL.map(Named))]
    rules: Vec<Named>,
    /// Units of each hidden layer, from the input up.
    #[arg(long, value_name = "UNITS", value_delimiter = ',', default_values_t = Setup::default().hidden)]
    hidden: Vec<usize>,
    /// Use max(0, z) instead of tanh z in the hidden units.
    #[arg(long)]
    relu: bool,
    /// Passes over the training rows.
    #[arg(long, value_name = "N", default_value_t = Setup::default().epochs)]
    epochs: usize,
    /// Networks per rule; the spread is over these.
    #[arg(long, value_name = "N", default_value_t = 5)]
    seeds: u64,
    /// The first seed; the others follow it.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// Learning rate of the forward weights, with momentum 0.9.
    #[arg(long, value_name = "RATE", default_value_t = Setup::default().learning_rate)]
    learning_rate: f64,
    /// Rows per step.
    #[arg(long, value_name = "ROWS", default_value_t = Setup::default().batch)]
    batch: usize,
    /// Directory to write align.parquet, align.svg and align.png to.
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Print the figures as JSON instead of the table.
    #[arg(long)]
    json: bool,
}

/// A rule that shows its name.
#[derive(Clone, Copy, Debug)]
struct Named(Rule);

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name())
    }
}

fn rules() -> impl clap::builder::TypedValueParser<Value = Named> {
    PossibleValuesParser::new(Rule::ALL.map(Rule::name)).try_map(|name| {
        let found = Rule::ALL.into_iter().find(|rule| rule.name() == name);
        found.map(Named).ok_or("no such rule")
    })
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let setup = Setup {
        hidden: args.hidden.clone(),
        nonlinearity: if args.relu {
            Nonlinearity::Relu
        } else {
            Nonlinearity::Tanh
        },
        learning_rate: args.learning_rate,
        batch: args.batch,
        epochs: args.epochs,
        ..Setup::default()
    };
    setup
        .check()
        .map_err(|error| CliError::Usage(error.to_string()))?;
    if args.seeds == 0 {
        return Err(CliError::Usage("--seeds 0: use at least 1".into()));
    }
    let mut rules: Vec<Rule> = args.rules.iter().map(|named| named.0).collect();
    rules.sort_unstable();
    rules.dedup();
    if let Some(directory) = &args.output {
        std::fs::create_dir_all(directory).map_err(|error| {
            CliError::Failed(format!(
                "{}: cannot be created: {error}; choose another `--output`",
                directory.display()
            ))
        })?;
    }
    let data = read(args)?;
    let seeds: Vec<u64> = (0..args.seeds).map(|i| args.seed.wrapping_add(i)).collect();
    let runs = compare(&data, &setup, &rules, &seeds, &announce)
        .map_err(|error| refused(&error, &args.label))?;
    if let Some(directory) = &args.output {
        write(directory, &runs, &setup, &rules)?;
    }
    let text = if args.json {
        report::json(&data, &setup, &rules, &runs)?
    } else {
        report::table(&setup, &rules, &runs)
    };
    print(&text)
}

fn read(args: &Args) -> Result<Data, CliError> {
    let params = args.columns.params(Some(&args.label));
    lab::read(&args.inputs, &params).map_err(|error| match error {
        DataError::Source(SourceError::IdMissing { .. }) => {
            CliError::Failed(format!("{error}; name the class column with `--label`"))
        }
        error => CliError::Failed(error.to_string()),
    })
}

fn refused(error: &TaskError, label: &str) -> CliError {
    CliError::Failed(format!("column `{label}`: {error}"))
}

fn announce(run: &Run) {
    let Some(last) = run.last() else { return };
    say(&format!(
        "{}, seed {}: test accuracy {:.1} %, training loss {:.3}",
        run.rule.name(),
        run.seed,
        100.0 * last.test_accuracy,
        last.train_loss
    ));
}

fn write(directory: &Path, runs: &[Run], setup: &Setup, rules: &[Rule]) -> Result<(), CliError> {
    report::parquet(&directory.join("align.parquet"), runs)?;
    let sheet = figure(runs, setup, rules);
    for name in ["align.svg", "align.png"] {
        plot::write(&sheet, &directory.join(name))
            .map_err(|error| CliError::Failed(error.to_string()))?;
    }
    say(&format!(
        "align.parquet, align.svg and align.png are in {}",
        directory.display()
    ));
    Ok(())
}
