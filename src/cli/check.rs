//! `ojad check`: validates a configuration and prints what would run.

use std::path::{Path, PathBuf};

use crate::cli::{CliError, environment, print};
use crate::config::{ConfigError, KEYS, Loaded, Origin, Plan, load};
use crate::daemon::run::RunParams;

/// Validates a configuration and prints every key with its value and the value's origin.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ojad check --config ojad.toml
  ojad check --config ojad.toml --run
  OJAD_LEARNER_COMPONENTS=5 ojad check --config ojad.toml > effective.toml

Every key can also be set by an environment variable: OJAD_TABLE_KEY, in capitals.
Exit code 0: the configuration is valid; 78: it is not, and the message names file, line and key.")]
pub struct Args {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Also require everything that `ojad run` needs.
    #[arg(long)]
    run: bool,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let refused =
        |error: ConfigError| CliError::BadConfig(format!("{}: {error}", args.config.display()));
    let loaded = load(Some(&args.config), environment())
        .map_err(|error| CliError::BadConfig(error.to_string()))?;
    Plan::try_from(&loaded.config).map_err(refused)?;
    let for_run = RunParams::try_from(&loaded.config);
    let verdict = match &for_run {
        Ok(_) => "# `ojad run` can start with it.\n".to_owned(),
        Err(error) => format!("# Valid for `ojad fit`; `ojad run` would not start: {error}\n"),
    };
    if args.run {
        for_run.map_err(refused)?;
    }
    let text = effective(&loaded, &args.config);
    let text = text.map_err(|error| CliError::Failed(error.to_string()))?;
    print(&(text + &verdict))
}

/// The configuration as TOML, each value with its origin.
fn effective(loaded: &Loaded, file: &Path) -> Result<String, toml::ser::Error> {
    let mut text = String::new();
    for (table, set) in &toml::Table::try_from(&loaded.config)? {
        text.push_str(&format!("[{table}]\n"));
        for (key, value) in set.as_table().into_iter().flatten() {
            let origin = match loaded.origin(table, key) {
                Origin::Default => "default".to_owned(),
                Origin::Line(line) => format!("{}:{line}", file.display()),
                Origin::Variable(name) => format!("environment {name}"),
            };
            // The output is TOML again, so that it can be used as a configuration.
            text.push_str(&format!("{key} = {value} # {origin}\n"));
        }
        let unset = KEYS
            .iter()
            .filter(|(of, key)| of == table && set.get(key).is_none());
        for (_, key) in unset {
            text.push_str(&format!("# {key} is unset\n"));
        }
        text.push('\n');
    }
    Ok(text)
}
