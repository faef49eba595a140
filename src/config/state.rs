//! The keys that decide the bits of a state, and what of them has changed.

use crate::config::Config;

/// The keys that decide the bits of a state, as TOML: features, learner, and what a bad value does.
/// Paths, times and numbers of threads are none of them.
pub fn state_text(config: &Config) -> String {
    let all = toml::Table::try_from(config).unwrap_or_default();
    let mut text = toml::Table::new();
    let only = |table: &str, keys: &[&str]| {
        let from = all.get(table).and_then(toml::Value::as_table);
        let from = from.cloned().unwrap_or_default();
        let kept = from
            .into_iter()
            .filter(|(key, _)| keys.is_empty() || keys.contains(&key.as_str()));
        toml::Value::Table(kept.collect())
    };
    text.insert("features".into(), only("features", &[]));
    text.insert("learner".into(), only("learner", &[]));
    let policies = ["on_null", "on_nan", "on_inf", "extra"];
    text.insert("source".into(), only("source", &policies));
    text.to_string()
}

/// Keys that differ between two texts of state keys, for a message.
pub fn describe_state_changes(old: &str, new: &str) -> String {
    let tables = (old.parse::<toml::Table>(), new.parse::<toml::Table>());
    let (Ok(old), Ok(new)) = tables else {
        return "its keys cannot be compared".to_owned();
    };
    let mut changes = Vec::new();
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for table in names {
        let of = |from: &toml::Table| from.get(table).and_then(toml::Value::as_table).cloned();
        let (was, is) = (of(&old).unwrap_or_default(), of(&new).unwrap_or_default());
        let keys: std::collections::BTreeSet<&String> = was.keys().chain(is.keys()).collect();
        for key in keys {
            let text = |value: Option<&toml::Value>| {
                value.map_or_else(|| "unset".to_owned(), ToString::to_string)
            };
            let (before, after) = (text(was.get(key)), text(is.get(key)));
            if before != after {
                changes.push(format!("{table}.{key} was {before}, is now {after}"));
            }
        }
    }
    changes.join("; ")
}
