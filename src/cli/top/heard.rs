//! Answers of a daemon, as far as the terminal shows them. A missing answer or field counts as
//! unknown rather than as an error, so that daemons of other versions can be viewed.

use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer};

/// Characters kept of a text: no terminal is wide enough for a longer line.
const TEXT_CHARS: usize = 2000;

/// Everything known about a daemon.
#[derive(Clone, Debug, Default)]
pub(super) struct Page {
    pub url: String,
    pub status: Option<Status>,
    pub components: Option<Components>,
    pub history: Option<History>,
    pub log: Option<Log>,
    /// Rows/s of every status received, if there is no history.
    pub rates: Vec<f64>,
    /// When the last status arrived.
    pub heard_at: Option<Instant>,
    /// Since when nothing has been received, and why.
    pub lost: Option<(Instant, String)>,
}

impl Page {
    /// Seconds since 1970 by the daemon's clock, which may differ from this machine's.
    pub fn now_unix_s(&self) -> u64 {
        let since = self.heard_at.map_or(Duration::ZERO, |at| at.elapsed());
        let said = self.status.as_ref().map_or(0, |status| status.now_unix_s);
        said.saturating_add(since.as_secs())
    }
}

/// Text from a daemon without terminal control characters: anyone may choose file names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text(String);

impl Text {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(clean(text))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        Ok(Self::from(text.unwrap_or_default().as_str()))
    }
}

/// Replaces control characters, and those that change the direction of text, by their code points.
pub(super) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().take(TEXT_CHARS) {
        let turns = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if c.is_control() || turns {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// `GET /api/v1/status`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub version: Text,
    pub now_unix_s: u64,
    pub state: Text,
    pub since_unix_s: u64,
    pub headline: Text,
    pub reasons: Vec<Text>,
    pub features: u64,
    pub rows: u64,
    pub rows_rejected: u64,
    pub rows_waiting: u64,
    pub rows_per_s: Option<f64>,
    pub files: u64,
    pub quarantined: u64,
    pub lag_files: Option<u64>,
    pub lag_bytes: Option<u64>,
    pub reading: Option<Text>,
    pub checkpoint_unix_s: Option<u64>,
    pub snapshot_unix_s: Option<u64>,
    pub drifts: u64,
    pub drifted_unix_s: Option<u64>,
    pub drift: Option<Drift>,
    pub convergence: Option<Convergence>,
}

/// How far the latest rows are from the earlier ones.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Drift {
    pub kind: Text,
    pub scores: Vec<Option<f64>>,
    pub threshold: Option<f64>,
    pub subspace_distance: Option<f64>,
}

impl Drift {
    /// The largest score.
    pub fn score(&self) -> Option<f64> {
        self.scores.iter().flatten().copied().reduce(f64::max)
    }
}

/// How well the components are known.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Convergence {
    pub target_angle_rad: Option<f64>,
    pub angle_stderr_rad: Option<f64>,
    pub component: Option<u64>,
    pub is_converged: bool,
    pub rows_more: Option<u64>,
}

/// `GET /api/v1/components?vectors=none`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Components {
    pub noise_variance: Option<f64>,
    pub penalty: Option<f64>,
    #[serde(rename = "components")]
    pub all: Vec<Component>,
}

/// One of them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Component {
    #[serde(rename = "component")]
    pub number: u64,
    pub eigenvalue: Option<f64>,
    pub eigenvalue_stderr: Option<f64>,
    pub explained_variance_ratio: Option<f64>,
    pub angle_stderr_rad: Option<f64>,
    pub active: Option<bool>,
    pub determined: Option<bool>,
}

/// `GET /api/v1/history`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct History {
    pub points: Vec<Point>,
}

/// Values of one moment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Point {
    pub rows_per_s: Option<f64>,
    pub drift_score: Option<f64>,
    pub drift_threshold: Option<f64>,
}

/// `GET /api/v1/log`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Log {
    pub lines: Vec<Said>,
}

/// A line of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Said {
    pub unix_ms: u64,
    pub level: Text,
    pub message: Text,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_daemon_commands_the_terminal() {
        let sent =
            r#"{"headline":"a\u001b]0;x\u0007b\u009bc\u202ed\ne","reading":"é\r","state":null}"#;
        let status: Status = serde_json::from_str(sent).expect("a status");
        let shown = format!("{}{}", status.headline, status.reading.unwrap_or_default());
        assert_eq!(shown, r"a\u{1b}]0;x\u{7}b\u{9b}c\u{202e}d\neé\r");
        assert_eq!(status.state.as_str(), "");
        assert_eq!(clean(&"x".repeat(TEXT_CHARS * 2)).len(), TEXT_CHARS);
    }
}
