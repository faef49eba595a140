//! Keys whose numbers must lie within bounds.

use crate::config::follow::QuarantineKey;
use crate::config::keys::Config;
use crate::config::{ConfigError, refuse};

/// Longest time that a key may name, seconds: ten years.
const LONGEST_S: u64 = 10 * 366 * 86_400;

/// A key, its value, the least and the most of it, and the remedy.
type Bound = (&'static str, u64, u64, u64, &'static str);

/// Whole numbers.
fn bounds(config: &Config) -> [Bound; 17] {
    let (source, output, state) = (&config.source, &config.output, &config.state);
    let http = &config.http;
    let (rows, time) = ("use \"auto\" or at least 1 row", "use 1 s to ten years");
    let some_rows = "use at least 1 row";
    let latency_ms = source.latency_max_ms.unwrap_or(1);
    let checkpoint_rows = state.checkpoint_rows.value().unwrap_or(1);
    let every_rows = output.every_rows.value().unwrap_or(1);
    let (keep, keep_daily) = (output.keep as u64, output.keep_daily as u64);
    let (rescan, memory) = ("use 10 to 3600000 ms", "use 256 MiB to 1 TiB");
    let (hour, day) = ("use 1 to 3600000 ms", "use 1 to 86400 s");
    let all = u64::MAX;
    [
        ("source.rescan_ms", source.rescan_ms, 10, 3_600_000, rescan),
        ("source.latency_max_ms", latency_ms, 1, 3_600_000, hour),
        (
            "source.incomplete_age_s",
            source.incomplete_age_s,
            1,
            LONGEST_S,
            time,
        ),
        (
            "source.decode_deadline_s",
            source.decode_deadline_s,
            1,
            86_400,
            day,
        ),
        (
            "source.worker_memory_mib",
            source.worker_memory_mib,
            256,
            1 << 20,
            memory,
        ),
        (
            "source.spool_mib",
            source.spool_mib,
            1,
            1 << 30,
            "use at least 1 MiB",
        ),
        ("state.checkpoint_s", state.checkpoint_s, 1, LONGEST_S, time),
        ("state.checkpoint_rows", checkpoint_rows, 1, all, rows),
        ("output.every_s", output.every_s, 1, LONGEST_S, time),
        ("output.every_rows", every_rows, 1, all, rows),
        ("output.keep", keep, 1, 1_000_000, "use 1 to 1000000"),
        (
            "output.keep_daily",
            keep_daily,
            0,
            36_600,
            "use 0 to 36600 days",
        ),
        (
            "http.connections",
            http.connections as u64,
            1,
            65_536,
            "use 1 to 65536",
        ),
        (
            "http.requests_per_s",
            http.requests_per_s.into(),
            1,
            1_000_000,
            "use 1 to 1000000",
        ),
        ("http.body_mib", http.body_mib, 1, 4096, "use 1 to 4096 MiB"),
        (
            "http.body_least_bytes_per_s",
            http.body_least_bytes_per_s,
            1,
            1 << 30,
            "use 1 to 1073741824 bytes a second",
        ),
        ("http.score_rows", http.score_rows, 1, all, some_rows),
    ]
}

/// Refuses what lies outside.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    for (key, value, least, most, remedy) in bounds(config) {
        if !(least..=most).contains(&value) {
            return Err(refuse(key, value, remedy));
        }
    }
    if !(1..=3600).contains(&config.run.drain_s) {
        return Err(refuse("run.drain_s", config.run.drain_s, "use 1 to 3600 s"));
    }
    // Nothing is wrong with what is not watched but what is out of bounds.
    config.http.check(&config.features.ids)?;
    let inputs = &config.source.inputs;
    if let Some(other) = inputs
        .iter()
        .find(|i| i.starts_with("push:") && *i != "push:")
    {
        let remedy = "use \"push:\" without a path: pushed rows have none";
        return Err(refuse("source.inputs", other, remedy));
    }
    if inputs.iter().any(|input| input == "push:") && config.http.listen.is_none() {
        return Err(ConfigError::Missing {
            key: "http.listen",
            remedy: "set an address that rows can be pushed to, such as \"127.0.0.1:8650\", or \
                     remove \"push:\" from `source.inputs`",
        });
    }
    let moves = config.source.quarantine != QuarantineKey::Record;
    if moves && config.source.quarantine_dir.is_none() {
        return Err(ConfigError::Missing {
            key: "source.quarantine_dir",
            remedy: "name the directory for quarantined files",
        });
    }
    Ok(())
}
