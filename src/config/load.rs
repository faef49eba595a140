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
        let start = error.span().map_or(0, |span| span.start);
        let line = text.get(..start).unwrap_or("").matches('\n').count();
        let message = error.message();
        let hint =
            nearest(message).map_or_else(String::new, |key| format!("; did you mean `{key}`?"));
        let given = text.lines().nth(line).unwrap_or("").trim();
        ConfigError::Malformed {
            path: path.to_owned(),
            reason: format!("line {}, `{given}`: {message}{hint}", line + 1),
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
    let known = quoted.min_by_key(|known| distance(unknown, known))?;
    // A word of which more than half would have to change is another word.
    (2 * distance(unknown, known) <= unknown.chars().count()).then_some(known)
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
        let message = "unknown field `block`, expected one of `components`, `scale`";
        assert_eq!(nearest(message), None);
        assert_eq!(nearest("invalid type"), None);
    }
}
