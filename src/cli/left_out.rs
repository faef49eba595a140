//! Commands missing from a lean build: they say so, and how to build a program that has them.

use std::ffi::OsString;

use super::CliError;

/// Accepts any arguments of the command, including help: the answer is about the build.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
#[group(skip)]
pub struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    rest: Vec<OsString>,
}

/// The error of `command`, which needs `feature`.
pub(super) fn error(command: &str, feature: &str) -> CliError {
    CliError::Usage(format!(
        "`{command}` is not part of this build; build with `cargo build --release \
         --no-default-features --features {feature}`, or with the default features, which include \
         everything"
    ))
}
