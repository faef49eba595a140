//! `ojad completions`: a script for the shell.

use clap::CommandFactory as _;

use crate::cli::{Cli, CliError, print};

/// Prints a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ojad completions bash > /etc/bash_completion.d/ojad
  ojad completions fish > ~/.config/fish/completions/ojad.fish")]
pub struct Args {
    /// Shell: bash, elvish, fish, powershell or zsh.
    #[arg(value_enum, value_name = "SHELL")]
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "ojad", &mut script);
    print(&String::from_utf8_lossy(&script))
}
