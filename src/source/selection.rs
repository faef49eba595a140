//! What was taken from the first file and what was left out, in one line for people.

use std::fmt;

/// Columns that are named.
const NAMED_AT_MOST: usize = 6;
/// Characters of a name that are shown.
const NAME_CHARS: usize = 64;

/// What was taken as features and what was left out, for the one-line summary.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Column names and their numbers of features.
    pub taken: Vec<(String, usize)>,
    /// Of these, columns of durations: their features are seconds.
    pub in_seconds: Vec<String>,
    /// Column names and why they were left out ("not numeric: utf8", "time", "id", "excluded").
    pub left: Vec<(String, String)>,
}

impl fmt::Display for Selection {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count: usize = self.taken.iter().map(|(_, width)| width).sum();
        let taken = self.taken.iter().map(|(name, width)| {
            let width = (*width > 1).then(|| format!("[{width}]"));
            let unit = if self.in_seconds.contains(name) {
                " (a duration, in seconds)"
            } else {
                ""
            };
            format!("{}{}{unit}", cut(name), width.unwrap_or_default())
        });
        write!(to, "{count} features from {}", list(taken))?;
        if self.left.is_empty() {
            return Ok(());
        }
        let left = self.left.iter();
        let left = left.map(|(name, why)| format!("{} ({why})", cut(name)));
        write!(to, "; left out: {}", list(left))
    }
}

/// The first few, and how many more there are.
fn list(mut names: impl ExactSizeIterator<Item = String>) -> String {
    let some: Vec<String> = names.by_ref().take(NAMED_AT_MOST).collect();
    match names.len() {
        0 => some.join(", "),
        more => format!("{} and {more} more", some.join(", ")),
    }
}

fn cut(name: &str) -> String {
    let mut text: String = name.chars().take(NAME_CHARS).collect();
    if text.len() < name.len() {
        text.push('…');
    }
    text
}
