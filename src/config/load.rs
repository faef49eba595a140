//! File → [`Config`], with line, key and nearest known key where it does not fit.

use std::fs;
use std::path::Path;

use crate::config::{Config, ConfigError};

/// Reads a configuration file.
///
/// # Errors
/// If it cannot be read, is no TOML, or has a key or value that no table knows.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| {
            text.get(..span.start).unwrap_or("").matches('\n').count() + 1
        });
        let message = error.message();
        let hint =
            nearest(message).map_or_else(String::new, |key| format!("; did you mean `{key}`?"));
        ConfigError::Malformed {
            path: path.to_owned(),
            reason: format!("line {line}: {message}{hint}"),
        }
    })
}

/// The expected key nearest to the unknown one in serde's message.
fn nearest(message: &str) -> Option<&str> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = message
        .starts_with("unknown field")
        .then(|| quoted.next())
        .flatten()?;
    quoted.min_by_key(|known| distance(unknown, known))
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn the_nearest_key_is_named() {
        assert_eq!(distance("kitten", "sitting"), 3);
        let message = "unknown field `componets`, expected one of `components`, `scale`";
        assert_eq!(nearest(message), Some("components"));
        assert_eq!(nearest("invalid type"), None);
    }
}
