//! The keys: each with its type, default, range and remedy, declared here and nowhere else.
//!
//! What a key is good for stands in `config/ojad.toml`. What keys must be together stands in `rules.rs`.

use std::ops::Bound::{Excluded, Included};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::ConfigError;
use crate::config::auto::AutoOr;
use crate::config::declare::{keys, within};
use crate::config::values::{
    ComponentsKey, ControlKey, ForgettingKey, IsolationKey, LogFormat, LogLevel, NamedStep,
    NoForgetting, OnChanged, OnEventKey, QuarantineKey, RuleKey, StepKey,
};
use crate::learner::{Precision, Scale};
use crate::source::follow::{OnCopy, Order, Symlinks};
use crate::source::{BadValue, BinaryDtype, Extra};

/// Longest time that a key may name, seconds: ten years.
const LONGEST_S: u64 = 10 * 366 * 86_400;

keys! {
    /// Choice of features.
    [features] FeaturesKeys {
        /// Globs of columns to take; empty: every numeric one.
        include: Vec<String> = Vec::new();
        /// Globs of columns to leave.
        exclude: Vec<String> = Vec::new();
        /// Columns that identify a row.
        ids: Vec<String> = Vec::new();
        /// How fixed-size binary rows are read.
        dtype: Option<BinaryDtype> = None;
    }

    /// Sources of rows, and policies for bad values and files.
    [source] SourceKeys {
        /// Directories, globs, files, `-`, `fifo:PATH`, `unix:PATH`, `push:`.
        inputs: Vec<String> = Vec::new();
        /// In which order new files are taken.
        order: Order = Order::default();
        /// Time between two looks.
        rescan_ms: u64 = 1000, in 10..=3_600_000, "use 10 to 3600000 ms";
        /// How long a file may stay without its footer.
        incomplete_age_s: u64 = 3600, in 1..=LONGEST_S, "use 1 s to ten years";
        /// Endings of names that are not looked at.
        ignore_suffixes: Vec<String> =
            [".tmp", ".part", ".partial", ".crdownload", "~"].map(String::from).to_vec();
        /// How far symbolic links are followed.
        symlinks: Symlinks = Symlinks::default();
        /// Policy for a consumed file that changes.
        on_changed: OnChanged = OnChanged::Quarantine;
        /// Policy for a file with the content of one that was learned and is gone.
        on_copy: OnCopy = OnCopy::default();
        /// How long rows may wait for a full minibatch.
        latency_max_ms: Option<u64> = None, in 1..=3_600_000, "use 1 to 3600000 ms";
        /// The process that decodes files.
        isolation: IsolationKey = IsolationKey::Auto;
        /// Address space of the worker process.
        worker_memory_mib: u64 = 4096, in 256..=1 << 20, "use 256 MiB to 1 TiB";
        /// Longest silence of the worker process.
        decode_deadline_s: u64 = 60, in 1..=86_400, "use 1 to 86400 s";
        /// Policy for refused files.
        quarantine: QuarantineKey = QuarantineKey::Record;
        /// Directory of refused files.
        quarantine_dir: Option<PathBuf> = None;
        /// Bytes of streams kept on disk.
        spool_mib: u64 = 1024, in 1..=1 << 30, "use at least 1 MiB";
        /// A null.
        on_null: BadValue = BadValue::default();
        /// A NaN.
        on_nan: BadValue = BadValue::default();
        /// An infinity, or a value beyond the precision's range.
        on_inf: BadValue = BadValue::default();
        /// A column that the first file did not have.
        extra: Extra = Extra::default();
    }

    /// How to learn.
    [learner] LearnerKeys {
        /// Number of components k (the r×r algebra of more would dwarf the products), or the fraction of the
        /// variance that they are to explain.
        components: ComponentsKey = ComponentsKey::Count(10), in 1..=10_000, "use 1 to 10000";
        /// p: `"auto"` is max(10, k).
        oversampling: AutoOr<usize> = AutoOr::AUTO, in 0..=10_000, "use \"auto\" or 0 to 10000";
        /// The rule.
        rule: RuleKey = RuleKey::ClosedForm;
        /// Step size of `oja`; `matrix-step` takes `c_over_t`.
        step: StepKey = StepKey::Named(NamedStep::AdaOja);
        /// Width of the large products.
        precision: Precision = Precision::default();
        /// b: `"auto"` is chosen from m and r. 2²⁰ rows are more than any cache.
        minibatch: AutoOr<usize> = AutoOr::AUTO, in 1..=1 << 20, "use \"auto\" or 1 to 1048576 rows";
        /// True if the running mean is taken off.
        center: bool = true;
        /// Units of the features.
        scale: Scale = Scale::default();
        /// λ of the read-out.
        penalty: AutoOr<f64> = AutoOr::AUTO, in 0.0..=f64::MAX, "use \"auto\" or a number of at least 0";
        /// How fast earlier rows lose weight.
        forgetting: ForgettingKey = ForgettingKey::None(NoForgetting::None);
        /// Seed of random starts.
        seed: u64 = 0;
    }

    /// Threads, room between them, and the end.
    [run] RunKeys {
        /// 1: read and learn in turn; 2: read ahead.
        threads: usize = 2, in 1..=2, "use 1 or 2";
        /// Minibatches that may wait between reader and trainer; `"auto"`: a few megabytes. Beyond a
        /// thousand, reading ahead gains nothing and memory grows.
        channel_minibatches: AutoOr<usize> = AutoOr::AUTO, in 1..=1024, "use \"auto\" or 1 to 1024";
        /// Longest time for draining.
        drain_s: u64 = 20, in 1..=3600, "use 1 to 3600 s";
    }

    /// Directory, times and number of snapshots.
    [output] OutputKeys {
        /// Directory of snapshots; unset: `fit` writes none.
        dir: Option<PathBuf> = None;
        /// Time between two snapshots.
        every_s: u64 = 60, in 1..=LONGEST_S, "use 1 s to ten years";
        /// Rows between two snapshots; `"auto"`: by time alone.
        every_rows: AutoOr<u64> = AutoOr::AUTO, in 1.., "use \"auto\" or at least 1 row";
        /// Number of newest snapshots kept.
        keep: usize = 10, in 1..=1_000_000, "use 1 to 1000000";
        /// Days of which the last one is kept.
        keep_daily: usize = 30, in 0..=36_600, "use 0 to 36600 days";
    }

    /// The state between two runs.
    [state] StateKeys {
        /// Directory of checkpoints, journal and lock.
        dir: Option<PathBuf> = None;
        /// Rows between two checkpoints; `"auto"`: by time alone.
        checkpoint_rows: AutoOr<u64> = AutoOr::AUTO, in 1.., "use \"auto\" or at least 1 row";
        /// Time between two checkpoints.
        checkpoint_s: u64 = 30, in 1..=LONGEST_S, "use 1 s to ten years";
    }

    /// The comparison of the last rows with those before.
    [drift] DriftKeys {
        /// Rows after which a row counts half in the short-term state; unset: nothing is watched. Below
        /// the least, means of a block are not normal.
        short_half_life_rows: Option<u64> =
            None, in 1000..=1_000_000_000_000, "use 1000 to 10^12 rows, or leave it out";
        /// The same of the long-term state.
        long_half_life_rows: AutoOr<u64> = AutoOr::AUTO;
        /// Components watched.
        components: AutoOr<usize> = AutoOr::AUTO, in 1.., "use \"auto\" or a number of at least 1";
        /// False alarms on a feed that stays the same.
        false_alarms_per_million_rows: f64 =
            0.1, in 0.0..=1000.0, "use 0 (no alarm, only reports) to 1000";
        /// Effect of a drift.
        on_event: OnEventKey = OnEventKey::Report;
    }

    /// The HTTP server.
    [http] HttpKeys {
        /// Address and port; unset: no server.
        listen: Option<String> = None;
        /// File with the token that clients must send.
        token_file: Option<PathBuf> = None;
        /// Names by which clients call the server.
        hosts: Vec<String> = Vec::new();
        /// File with the certificate chain (PEM); unset: no TLS.
        tls_certificate: Option<PathBuf> = None;
        /// File with its private key (PEM).
        tls_key: Option<PathBuf> = None;
        /// Connections at a time.
        connections: usize = 1024, in 1..=65_536, "use 1 to 65536";
        /// Requests a second of one client.
        requests_per_s: u32 = 200, in 1..=1_000_000, "use 1 to 1000000";
        /// Bytes of the body of a request, MiB.
        body_mib: u64 = 64, in 1..=4096, "use 1 to 4096 MiB";
        /// Bytes of a body that must come in a second.
        body_least_bytes_per_s: u64 = 1024, in 1..=1 << 30, "use 1 to 1073741824 bytes a second";
        /// Rows that a request may have scored.
        score_rows: u64 = 1_000_000, in 1.., "use at least 1 row";
        /// Whether snapshots and reloads can be asked for.
        control: ControlKey = ControlKey::Off;
        /// Id column by which the page colours rows.
        label: Option<String> = None;
        /// Height and width of the image that the features are.
        feature_shape: Option<[usize; 2]> = None;
        /// Standard error of directions at which a run counts as converged, degrees.
        target_angle_deg: f64 =
            5.0, in (Excluded(0.0), Included(90.0)), "use more than 0 and at most 90 degrees";
    }

    /// Level and format of the log.
    [log] LogKeys {
        /// How a line looks.
        format: LogFormat = LogFormat::Text;
        /// How much is told.
        level: LogLevel = LogLevel::Info;
    }
}
