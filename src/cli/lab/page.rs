//! `ojad lab`: the interactive page.

use crate::cli::CliError;

/// Where the page is served.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) fn run(_: &Args) -> Result<(), CliError> {
    Err(CliError::Failed("not yet".into()))
}
