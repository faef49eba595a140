//! File → [`Config`], with line, key and nearest known key where it does not fit.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::config::ConfigError;
use crate::config::http::TOKEN_VARIABLE;
use crate::config::keys::{Config, KEYS};

/// Variables of the environment that are keys begin so.
const PREFIX: &str = "OJAD_";
/// Those that begin so are none.
const EXEMPT: &str = "OJAD_TEST_";
/// Origin of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of the file.
    Line(usize),
    /// This variable of the environment.
    Variable(String),
}

/// A configuration and where its values come from.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The keys.
    pub config: Config,
    /// By table and key; those that are not there have their defaults.
    origins: HashMap<(String, String), Origin>,
}

impl Loaded {
    /// Origin of the value of a key.
    pub fn origin(&self, table: &str, key: &str) -> &Origin {
        let place = (table.to_owned(), key.to_owned());
        self.origins.get(&place).unwrap_or(&Origin::Default)
    }
}

/// Reads a configuration file, if one is named, and the variables `OJAD_TABLE_KEY` of `environment`
/// over it.
///
/// # Errors
/// If the file cannot be read or is no TOML, or a key, variable or value is none that is known.
pub fn load(
    path: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Loaded, ConfigError> {
    let mut loaded = Loaded::default();
    let mut table = toml::Table::new();
    if let Some(path) = path {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        loaded.config = parse(&text, path)?;
        loaded.origins = lines(&text);
        // It was parsed before.
        table = text.parse().unwrap_or_default();
    }
    let mut variables: Vec<(String, String)> = environment
        .filter(|(name, _)| name.starts_with(PREFIX) && !name.starts_with(EXEMPT))
        .filter(|(name, _)| name != TOKEN_VARIABLE)
        .collect();
    variables.sort();
    for (name, value) in variables {
        let (section, key) = key_of(&name)?;
        let value = value_of(&value);
        let keys = table
            .entry(section.clone())
            .or_insert_with(|| toml::Table::new().into());
        if let Some(keys) = keys.as_table_mut() {
            keys.insert(key.clone(), value.clone());
        }
        let whole = table.clone().try_into();
        loaded.config = whole.map_err(|error: toml::de::Error| ConfigError::Variable {
            name: name.clone(),
            value: value.to_string(),
            reason: error.message().to_owned(),
        })?;
        loaded
            .origins
            .insert((section, key), Origin::Variable(name));
    }
    Ok(loaded)
}

fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = line_of(text, start);
        let message = error.message();
        let hint =
            nearest(message).map_or_else(String::new, |key| format!("; did you mean `{key}`?"));
        let given = text.lines().nth(line - 1).unwrap_or("").trim();
        ConfigError::Malformed {
            path: path.to_owned(),
            reason: format!("line {line}, `{given}`: {message}{hint}"),
        }
    })
}

fn line_of(text: &str, offset: usize) -> usize {
    text.get(..offset).unwrap_or("").matches('\n').count() + 1
}

/// The line of every key.
fn lines(text: &str) -> HashMap<(String, String), Origin> {
    let mut lines = HashMap::new();
    let Ok(tables) = toml::de::DeTable::parse(text) else {
        return lines;
    };
    for (table, keys) in tables.get_ref() {
        let Some(keys) = keys.get_ref().as_table() else {
            continue;
        };
        for key in keys.keys() {
            let line = line_of(text, key.span().start);
            let place = (table.get_ref().to_string(), key.get_ref().to_string());
            lines.insert(place, Origin::Line(line));
        }
    }
    lines
}

fn variable((table, key): (&str, &str)) -> String {
    format!("{PREFIX}{table}_{key}").to_uppercase()
}

/// The table and key that a variable stands for.
fn key_of(name: &str) -> Result<(String, String), ConfigError> {
    let found = KEYS.iter().find(|key| variable(**key) == name);
    if let Some((table, key)) = found {
        return Ok(((*table).to_owned(), (*key).to_owned()));
    }
    let nearest = KEYS
        .iter()
        .min_by_key(|key| (distance(name, &variable(**key)), **key));
    Err(ConfigError::UnknownVariable {
        name: name.to_owned(),
        nearest: nearest.map_or_else(String::new, |key| variable(*key)),
    })
}

/// A TOML value, or else the text itself.
fn value_of(text: &str) -> toml::Value {
    let line: Result<toml::Table, _> = format!("value = {text}").parse();
    let value = line.ok().filter(|table| table.len() == 1);
    value
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()))
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
