//! `ojad run`: the daemon.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::{CliError, environment};
use crate::config::{
    Config, ConfigError, ControlKey, LogFormat, LogKeys, LogLevel, TOKEN_VARIABLE, load,
};
use crate::daemon::run::{self, Begin, RunParams, Until};
use crate::disk::{Disk, RealDisk};
use crate::http::{HttpParams, LogTail};
use crate::source::worker::{Decode, InProcess, Subprocess, SubprocessParams};

/// Characters of a token that nobody guesses.
const TOKEN_LEAST: usize = 16;

/// Learns continuously from growing inputs, each row exactly once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ojad run --config ojad.toml
  ojad run --config ojad.toml --until-idle        learn what is there, write, and end
  OJAD_STATE_DIR=state OJAD_OUTPUT_DIR=model OJAD_SOURCE_INPUTS='[\"feed\"]' ojad run

Signals: SIGTERM or SIGINT writes a checkpoint and a snapshot of every row that was read and ends (a
second one ends at once, as `kill -9` does); SIGHUP reads the configuration again; SIGUSR1 writes a
snapshot.
`kill -9` and a power cut lose no row of a file or of a pushed body that was answered: the next run goes
on where the last checkpoint stands. Of a pipe or socket, what was read is kept through `kill -9`; what
the kernel still holds dies with the reader.")]
pub struct Args {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Moves the state aside and starts over: a new run, even where the output has a model of another one or
    /// the state was lost. What the spool holds is learned anew.
    #[arg(long)]
    reset_state: bool,
    /// Ends when everything that is there was learned.
    #[arg(long)]
    until_idle: bool,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let config = read(args)?;
    let params = params(args, &config)?;
    logs(config.log, params.log.clone());
    let failed = |error: &dyn std::fmt::Display| CliError::Failed(error.to_string());
    let commands = run::commands().map_err(|error| failed(&error))?;
    let disk: Arc<dyn Disk> = super::faults::disk().unwrap_or_else(|| Arc::new(RealDisk));
    let decode: Box<dyn Decode> = if params.is_isolated {
        let program = std::env::current_exe().map_err(|error| failed(&error))?;
        let worker = Subprocess::new(SubprocessParams {
            program,
            argument: "decode-worker",
            memory_mib: params.worker_memory_mib,
            deadline: params.decode_deadline,
            source: params.source.clone(),
        });
        // Only the page shows ids: nobody else pays for them.
        Box::new(worker.with_ids(params.http.is_some()))
    } else {
        Box::new(InProcess::new(params.source.clone()).with_ids(params.http.is_some()))
    };
    let mut read_config = || {
        let config = read(args).map_err(|error| error.to_string())?;
        self::params(args, &config).map_err(|error| error.to_string())
    };
    let outcome = run::run(params, &disk, decode, &commands, &mut read_config);
    let outcome = outcome.map_err(|error| failed(&error))?;
    tracing::info!(
        rows = outcome.rows,
        rows_waiting = outcome.rows_waiting,
        "ended"
    );
    Ok(())
}

fn read(args: &Args) -> Result<Config, CliError> {
    let loaded = load(args.config.as_deref(), environment());
    let loaded = loaded.map_err(|error| CliError::BadConfig(error.to_string()))?;
    Ok(loaded.config)
}

fn params(args: &Args, config: &Config) -> Result<RunParams, CliError> {
    let refused = |error: ConfigError| {
        let file = args.config.as_ref();
        let place = file.map_or_else(String::new, |file| format!("{}: ", file.display()));
        CliError::BadConfig(format!("{place}{error}"))
    };
    let mut params = RunParams::try_from(config).map_err(refused)?;
    params.http = http(config, &params.output_dir).map_err(CliError::BadConfig)?;
    if args.until_idle {
        params.until = Until::Idle;
    }
    if args.reset_state {
        params.begin = Begin::Anew;
    }
    Ok(params)
}

/// Where the HTTP server listens, and what its clients must know.
fn http(config: &Config, output_dir: &Path) -> Result<Option<HttpParams>, String> {
    let keys = &config.http;
    let Some(listen) = keys.address().map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let token = match &keys.token_file {
        Some(path) => {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|error| {
                format!(
                    "http.token_file {}: {error}; make it readable",
                    path.display()
                )
            })?;
            Some(text.trim().to_owned())
        }
        None => std::env::var(TOKEN_VARIABLE).ok(),
    };
    let token: Option<Arc<str>> = token.map(|token| token.trim().into());
    if token
        .as_ref()
        .is_some_and(|token| token.len() < TOKEN_LEAST)
    {
        return Err(format!(
            "the token for `http` has fewer than {TOKEN_LEAST} characters; make one with \
             `openssl rand -hex 32`"
        ));
    }
    if token.is_none() && !listen.ip().is_loopback() {
        return Err(format!(
            "http.listen {listen} can be reached from other machines: name a file with a token \
             (`http.token_file`), set {TOKEN_VARIABLE}, or listen on 127.0.0.1"
        ));
    }
    if token.is_none() && keys.control == ControlKey::Token {
        return Err(format!(
            "http.control = \"token\" needs a token: name a file with one (`http.token_file`) or set \
             {TOKEN_VARIABLE}"
        ));
    }
    let params = HttpParams {
        listen,
        token,
        hosts: keys.hosts.clone(),
        tls: keys.tls_certificate.clone().zip(keys.tls_key.clone()),
        connections: keys.connections,
        requests_per_s: keys.requests_per_s,
        body_bytes: keys.body_mib << 20,
        body_least_bytes_per_s: keys.body_least_bytes_per_s,
        score_rows: keys.score_rows,
        control: keys.control,
        label: keys.label.clone(),
        feature_shape: keys.feature_shape,
        target_angle_rad: keys.target_angle_deg.to_radians(),
        output_dir: output_dir.to_owned(),
    };
    crate::http::check(&params).map_err(|error| error.to_string())?;
    Ok(Some(params))
}

/// Logs to stderr, for people or machines, and the last lines to whoever asks over HTTP.
fn logs(keys: LogKeys, tail: LogTail) {
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
