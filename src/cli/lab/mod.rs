//! `ojad lab`: the theory at hand.

mod align;
mod compare;
mod figures;
mod model;
mod page;
mod rows;
mod train;
mod uncertainty;

use clap::Subcommand;

use crate::cli::CliError;

/// Shows why it works: every algorithm and figure of regularized linear autoencoders, on your data.
///
/// Without a command it serves an interactive page of the scalar case on loopback.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  ojad lab                                  the page; its address is printed
  ojad lab compare data.parquet -k 5        every algorithm on your rows
  ojad lab figures --output figures/        the papers' experiments, predicted and found
  ojad lab train tied-gradient              one algorithm, every iterate
  ojad lab align tests/data/fashion-sample.parquet --exclude id
  ojad lab uncertainty                      every claim about error bars, ranks, limits and drift

See `ojad lab COMMAND --help` for more. docs/why-it-works.md uses these figures to derive the
learner of `ojad fit` from Oja's rule."
)]
#[group(id = "lab")]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    page: page::Args,
}

#[derive(Debug, Subcommand)]
enum What {
    Train(Box<train::Args>),
    Compare(Box<compare::Args>),
    Figures(Box<figures::Args>),
    Align(Box<align::Args>),
    Uncertainty(Box<uncertainty::Args>),
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    match &args.what {
        None => page::run(&args.page),
        Some(What::Train(args)) => train::run(args),
        Some(What::Compare(args)) => compare::run(args),
        Some(What::Figures(args)) => figures::run(args),
        Some(What::Align(args)) => align::run(args),
        Some(What::Uncertainty(args)) => uncertainty::run(args),
    }
}

/// Makes the directory that results go to.
fn make_directory(path: &std::path::Path) -> Result<(), CliError> {
    std::fs::create_dir_all(path).map_err(|error| {
        CliError::Failed(format!(
            "{}: cannot create: {error}; choose another `--output`",
            path.display()
        ))
    })
}
