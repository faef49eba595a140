//! `ojad run`: the daemon.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::{CliError, environment};
use crate::config::{
    Config, ConfigError, ControlKey, LogFormat, LogKeys, LogLevel, TOKEN_VARIABLE, load,
};
use crate::daemon::run::{self, Begin, RunParams, Surroundings, Until};
use crate::disk::{Disk, RealDisk};
use crate::http::{self, HttpParams};
use crate::published::{LogTail, PublishParams, Published};
use crate::source::worker::{Decode, InProcess};

/// Learns continuously from growing inputs, each row exactly once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ojad run --config ojad.toml
  ojad run --config ojad.toml --until-idle        learn what is there, write, and end
  OJAD_STATE_DIR=state OJAD_OUTPUT_DIR=model OJAD_SOURCE_INPUTS='[\"feed\"]' ojad run

Signals: SIGTERM or SIGINT writes a checkpoint and a snapshot of every row read, then stops (a second
one stops at once, like `kill -9`); SIGHUP reloads the configuration; SIGUSR1 writes a snapshot.
Neither `kill -9` nor a power cut loses a row of a file or of an acknowledged push: the next run
continues from the last checkpoint. Rows read from a pipe or socket survive `kill -9`; bytes still in
the kernel's buffers are lost.")]
pub struct Args {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Move the state aside and start a new run, even if the output holds a model of another run or the
    /// state was lost. Spooled rows are learned again.
    #[arg(long)]
    reset_state: bool,
    /// Stop when every available row has been learned.
    #[arg(long)]
    until_idle: bool,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let config = read(args)?;
    let params = params(args, &config)?;
    // A bad certificate or token ends the command before the state is touched.
    let serving = serving(args, &config, &params)?;
    let tail = LogTail::default();
    logs(&config.log, tail.clone());
    let failed = |error: &dyn std::fmt::Display| CliError::Failed(error.to_string());
    let commands = run::commands().map_err(|error| failed(&error))?;
    let disk: Arc<dyn Disk> = super::faults::disk().unwrap_or_else(|| Arc::new(RealDisk));
    // Only the page shows ids: nobody else pays for them.
    let with_ids = serving.is_some();
    let decode: Box<dyn Decode> = if params.keys.source.isolation.is_isolated() {
        let worker = super::worker(&params.keys.source, &params.source)?;
        Box::new(worker.with_ids(with_ids))
    } else {
        Box::new(InProcess::new(params.source.clone()).with_ids(with_ids))
    };
    let published = serving
        .as_ref()
        .map(|(_, cells)| Arc::new(Published::new(cells.clone(), tail)));
    let mut server = None;
    // Called once the state belongs to this process, so that a daemon that is refused never opens
    // the port.
    let mut begun = || {
        if let Some(((wanted, _), published)) = serving.as_ref().zip(published.as_ref()) {
            let started = http::start(wanted, Arc::clone(published))?;
            tracing::info!(address = %started.address(), "HTTP server listening");
            server = Some(started);
        }
        Ok(())
    };
    let mut read_config = || read_again(args, serving.as_ref());
    let around = Surroundings {
        disk: &disk,
        decode,
        commands: &commands,
        read_config: &mut read_config,
        published: published.clone(),
        begun: Some(&mut begun),
    };
    let outcome = run::run(params, around).map_err(|error| failed(&error))?;
    // Stopped only after the run, so that clients can see how it ended.
    drop(server);
    tracing::info!(
        rows = outcome.rows,
        rows_waiting = outcome.rows_waiting,
        "ended"
    );
    Ok(())
}

/// Reads the configuration again for a running daemon.
fn read_again(args: &Args, serving: Option<&Serving>) -> Result<RunParams, String> {
    let config = read(args).map_err(|error| error.to_string())?;
    let params = params(args, &config).map_err(|error| error.to_string())?;
    let wanted = self::serving(args, &config, &params).map_err(|error| error.to_string())?;
    // The server is not restarted on a reload: it would cut off the clients that are connected.
    if wanted.as_ref() == serving {
        Ok(params)
    } else {
        Err("changes to `http` need a restart".to_owned())
    }
}

fn read(args: &Args) -> Result<Config, CliError> {
    let loaded = load(args.config.as_deref(), environment());
    let loaded = loaded.map_err(|error| CliError::BadConfig(error.to_string()))?;
    Ok(loaded.config)
}

fn params(args: &Args, config: &Config) -> Result<RunParams, CliError> {
    let mut params = RunParams::try_from(config).map_err(|error| refused(args, &error))?;
    if args.until_idle {
        params.until = Until::Idle;
    }
    if args.reset_state {
        params.begin = Begin::Anew;
    }
    Ok(params)
}

fn refused(args: &Args, error: &ConfigError) -> CliError {
    let file = args.config.as_ref();
    let place = file.map_or_else(String::new, |file| format!("{}: ", file.display()));
    CliError::BadConfig(format!("{place}{error}"))
}

/// How the HTTP server listens, and what the run publishes for it.
type Serving = (HttpParams, PublishParams);

/// How the HTTP server listens, if it is enabled.
fn serving(args: &Args, config: &Config, params: &RunParams) -> Result<Option<Serving>, CliError> {
    let keys = &config.http;
    let Some(listen) = keys.address().map_err(|error| refused(args, &error))? else {
        return Ok(None);
    };
    let token = keys.token(listen, std::env::var(TOKEN_VARIABLE).ok());
    let token = token.map_err(|error| CliError::BadConfig(error.to_string()))?;
    let serving = HttpParams::new(keys, listen, token, &params.output_dir);
    http::check(&serving).map_err(|error| CliError::BadConfig(error.to_string()))?;
    let cells = PublishParams {
        label: keys.label.clone(),
        feature_shape: keys.feature_shape,
        target_angle_rad: keys.target_angle_deg.to_radians(),
        can_control: keys.control == ControlKey::Token,
    };
    Ok(Some((serving, cells)))
}

/// Logs to stderr, for people or machines, and makes the last lines available over HTTP.
fn logs(keys: &LogKeys, tail: LogTail) {
    let level = match keys.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let to = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false);
    // Minibatches are no news for people.
    let news = LevelFilter::DEBUG.min(level);
    let registry = tracing_subscriber::registry().with(tail.with_filter(news));
    match keys.format {
        LogFormat::Text => {
            let to = to.with_ansi(std::io::stderr().is_terminal());
            registry.with(to.with_filter(level)).init();
        }
        LogFormat::Json => {
            let to = to.json().flatten_event(true);
            registry.with(to.with_filter(level)).init();
        }
    }
}
