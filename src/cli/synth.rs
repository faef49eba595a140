//! `ojad synth`.

use super::CliError;

/// Not built yet.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) fn run(_args: &Args) -> Result<(), CliError> {
    Err(CliError::Failed("not built yet".into()))
}
