//! `ojad check`: validates a configuration and prints what would run.

use std::path::PathBuf;

use crate::cli::{CliError, print};
use crate::config::{Config, ConfigError, Plan, load};

/// Validates a configuration and prints every key with its value and where that comes from.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ojad check --config ojad.toml
  ojad check --config ojad.toml > effective.toml

Exit code 0: it would run; 78: it would not, and the message names file, line and key.")]
pub struct Args {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let refused = |error: ConfigError| CliError::BadConfig(error.to_string());
    let config = load(&args.config).map_err(refused)?;
    Plan::try_from(&config)
        .map_err(|error| CliError::BadConfig(format!("{}: {error}", args.config.display())))?;
    let text = effective(&config).map_err(|error| CliError::Failed(error.to_string()))?;
    print(&text)
}

/// The configuration as TOML, each value with its origin.
fn effective(config: &Config) -> Result<String, toml::ser::Error> {
    let defaults = toml::Table::try_from(Config::default())?;
    let mut text = String::new();
    for (table, keys) in &toml::Table::try_from(config)? {
        text.push_str(&format!("[{table}]\n"));
        let Some(keys) = keys.as_table() else {
            continue;
        };
        for (key, value) in keys {
            let usual = defaults.get(table).and_then(|table| table.get(key));
            let origin = if usual == Some(value) {
                "default"
            } else {
                "file"
            };
            text.push_str(&format!("{key} = {value} # {origin}\n"));
        }
        text.push('\n');
    }
    Ok(text)
}
