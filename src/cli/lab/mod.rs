//! `ojad lab`: the theory at hand.

mod align;
mod page;

use clap::Subcommand;

use crate::cli::CliError;

/// Shows why it works: every algorithm and figure of regularized linear autoencoders, on your data.
///
/// Without a command it serves a page on loopback where the scalar case can be seen and touched.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
// Flattened arguments bring a group of their own, and two must not have one name.
#[group(id = "lab")]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    page: page::Args,
}

#[derive(Debug, Subcommand)]
enum What {
    Align(align::Args),
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    match &args.what {
        None => page::run(&args.page),
        Some(What::Align(args)) => align::run(args),
    }
}
