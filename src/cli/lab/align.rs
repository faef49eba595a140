//! `ojad lab align`: learning without weight transport.

use crate::cli::CliError;

/// Trains a small network with forward and backward weights apart.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) fn run(_: &Args) -> Result<(), CliError> {
    Err(CliError::Failed("not yet".into()))
}
