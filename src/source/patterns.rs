//! The patterns of `include` and `exclude`: which columns they match, and which of them match none.
//!
//! A pattern equal to the name of a column matches only that column, even if it would be a glob: a
//! name may contain any character. Every other pattern is a glob. Both kinds match a column's
//! dotted name and the names of the structs around it. Refused: a pattern that matches no column.

use std::collections::HashSet;
use std::path::Path;

use arrow::datatypes::{DataType, Fields, Schema};
use globset::{Glob, GlobSet, GlobSetBuilder};

use super::error::{SourceError, shorten};
use super::params::SourceParams;

/// Depth of structs in which names are searched.
pub(super) const STRUCT_DEPTH_MAX: usize = 32;

/// Most names compared with one that was not found.
const COMPARED_MAX: usize = 10_000;
/// Most characters compared of each: the distance of two names costs the product of their lengths.
const COMPARED_CHARS: usize = 64;
/// Most suggestions in a message.
const OFFERED: usize = 3;

/// The patterns, interpreted for the columns of one file.
pub(super) struct Patterns {
    include: Option<List>,
    exclude: List,
}

impl Patterns {
    /// # Errors
    /// If there are too many globs to compile.
    pub fn new(schema: &Schema, params: &SourceParams) -> Result<Self, SourceError> {
        let (include, exclude) = (&params.include, &params.exclude);
        let names = if include.is_empty() && exclude.is_empty() {
            HashSet::new()
        } else {
            names(schema)
        };
        Ok(Self {
            include: match include.as_slice() {
                [] => None,
                patterns => Some(List::new(patterns, &names)?),
            },
            exclude: List::new(exclude, &names)?,
        })
    }

    /// Why the column at this path is not a feature, if a pattern excludes it.
    pub fn refuse(&self, path: &[String]) -> Option<&'static str> {
        if self.exclude.means(path) {
            Some("excluded")
        } else if self.include.as_ref().is_some_and(|list| !list.means(path)) {
            Some("not included")
        } else {
            None
        }
    }

    /// True if the column is included by its own name.
    pub fn names(&self, column: &str) -> bool {
        let include = self.include.as_ref();
        include.is_some_and(|list| list.exact.contains(column))
    }
}

/// The patterns of one key, interpreted for the columns of one file.
struct List {
    /// Patterns that are names.
    exact: HashSet<String>,
    /// The others.
    globs: GlobSet,
    /// Index of the pattern of each glob.
    at: Vec<usize>,
}

impl List {
    fn new(patterns: &[String], names: &HashSet<String>) -> Result<Self, SourceError> {
        let mut exact = HashSet::new();
        let mut globs = GlobSetBuilder::new();
        let mut at = Vec::new();
        for (i, pattern) in patterns.iter().enumerate() {
            if names.contains(pattern) {
                exact.insert(pattern.clone());
            } else if let Ok(glob) = Glob::new(pattern) {
                globs.add(glob);
                at.push(i);
            }
        }
        let globs = globs.build().map_err(|error| SourceError::Glob {
            glob: patterns.join(" "),
            reason: error.kind().to_string(),
        })?;
        Ok(Self { exact, globs, at })
    }

    /// True if a pattern matches the column at this path, or a struct on the way to it.
    fn means(&self, path: &[String]) -> bool {
        if self.exact.is_empty() && self.globs.is_empty() {
            return false;
        }
        (1..=path.len()).any(|n| {
            let name = path[..n].join(".");
            self.exact.contains(&name) || self.globs.is_match(&name)
        })
    }
}

/// Dotted names of all columns and structs, whatever their types.
fn names(schema: &Schema) -> HashSet<String> {
    fn walk(fields: &Fields, before: &str, depth: usize, found: &mut HashSet<String>) {
        for field in fields {
            let name = match before {
                "" => field.name().clone(),
                before => format!("{before}.{}", field.name()),
            };
            if let DataType::Struct(inner) = field.data_type()
                && depth < STRUCT_DEPTH_MAX
            {
                walk(inner, &name, depth + 1, found);
            }
            found.insert(name);
        }
    }
    let mut found = HashSet::new();
    walk(schema.fields(), "", 1, &mut found);
    found
}

/// Patterns that have not matched a column yet.
pub(super) struct Unmet<'a> {
    /// Key and pattern.
    patterns: Vec<(&'static str, &'a String)>,
    /// Names that were seen, for the message.
    seen: Vec<String>,
}

impl<'a> Unmet<'a> {
    /// All patterns.
    pub fn new(params: &'a SourceParams) -> Self {
        let of = |key: &'static str, patterns: &'a [String]| patterns.iter().map(move |p| (key, p));
        let include = of("`--include` (`features.include`)", &params.include);
        let exclude = of("`--exclude` (`features.exclude`)", &params.exclude);
        Self {
            patterns: include.chain(exclude).collect(),
            seen: Vec::new(),
        }
    }

    /// True if every pattern has matched a column.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Matches the columns of a file.
    ///
    /// # Errors
    /// If there are too many globs to compile.
    pub fn see(&mut self, schema: &Schema) -> Result<(), SourceError> {
        if self.is_empty() {
            return Ok(());
        }
        let names = names(schema);
        let texts: Vec<String> = self
            .patterns
            .iter()
            .map(|(_, text)| (*text).clone())
            .collect();
        let list = List::new(&texts, &names)?;
        let globs: HashSet<usize> = names
            .iter()
            .flat_map(|name| list.globs.matches(name))
            .map(|glob| list.at[glob])
            .collect();
        let mut at = 0..;
        self.patterns.retain(|(_, text)| {
            let is_met = at.next().is_some_and(|i| globs.contains(&i));
            !is_met && !names.contains(*text)
        });
        // In the order of the file, so that the message does not change from run to run.
        let mut all: Vec<String> = names.into_iter().collect();
        all.sort_unstable();
        let room = COMPARED_MAX.saturating_sub(self.seen.len());
        self.seen.extend(all.into_iter().take(room));
        Ok(())
    }

    /// The remaining patterns, reported as missing columns.
    pub fn left(&self) -> impl Iterator<Item = (String, String)> {
        let left = self.patterns.iter();
        left.map(|(key, text)| (shown(text), format!("{key}: no such column so far")))
    }

    /// Refuses a pattern that matches nothing.
    ///
    /// # Errors
    /// If there is one.
    pub fn check(&self, path: &Path) -> Result<(), SourceError> {
        let Some((key, text)) = self.patterns.first() else {
            return Ok(());
        };
        if let Err(error) = Glob::new(text) {
            return Err(SourceError::Glob {
                glob: shown(text),
                reason: error.kind().to_string(),
            });
        }
        Err(SourceError::NoMatch {
            path: path.to_owned(),
            pattern: shown(text),
            key,
            nearest: nearest(text, self.seen.iter().map(String::as_str)),
        })
    }
}

/// The names most similar to a missing one, for a message.
pub(super) fn nearest<'a>(name: &str, there: impl Iterator<Item = &'a str>) -> String {
    let there = there.take(COMPARED_MAX);
    let mut by_distance: Vec<(usize, &str)> = there.map(|t| (distance(name, t), t)).collect();
    // Stable: equally near ones stay in their order.
    by_distance.sort_by_key(|(distance, _)| *distance);
    by_distance.dedup_by_key(|(_, name)| *name);
    let some = by_distance.iter().take(OFFERED);
    shorten(some.map(|(_, name)| format!("`{}`", shown(name))))
}

/// A name, shortened for a message.
fn shown(name: &str) -> String {
    let mut text: String = name.chars().take(COMPARED_CHARS).collect();
    if text.len() < name.len() {
        text.push('…');
    }
    text
}

/// Characters to insert, remove or replace to turn one name into the other; case is ignored.
/// Source: Wagner and Fischer 1974.
fn distance(a: &str, b: &str) -> usize {
    let lower = |text: &str| -> Vec<char> {
        let chars = text.chars().take(COMPARED_CHARS);
        chars.flat_map(char::to_lowercase).collect()
    };
    let (a, b) = (lower(a), lower(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;

    use super::*;

    fn schema(names: &[&str]) -> Schema {
        let field = |name: &&str| Field::new(*name, DataType::Float64, true);
        Schema::new(names.iter().map(field).collect::<Vec<_>>())
    }

    fn excluded(exclude: &[&str], columns: &[&str]) -> Vec<bool> {
        let params = SourceParams {
            exclude: exclude.iter().map(ToString::to_string).collect(),
            ..SourceParams::default()
        };
        let patterns = Patterns::new(&schema(columns), &params).unwrap();
        let is_out = |name: &&str| patterns.refuse(&[(*name).to_owned()]).is_some();
        columns.iter().map(is_out).collect()
    }

    #[test]
    fn a_name_means_its_column_whatever_glob_it_would_be() {
        let columns = [
            "temp [°C]",
            "temp °",
            "a*",
            "ab",
            "x{1,2}",
            "x1",
            "[",
            "\\d",
        ];
        for (i, name) in columns.iter().enumerate() {
            let out = excluded(&[name], &columns);
            let wanted: Vec<bool> = (0..columns.len()).map(|j| i == j).collect();
            assert_eq!(out, wanted, "{name}");
        }
        assert_eq!(excluded(&["a?"], &["ab", "ac", "b"]), [true, true, false]);
    }

    #[test]
    fn a_pattern_that_means_nothing_is_refused_with_the_nearest_names() {
        let params = SourceParams {
            exclude: vec!["a*".to_owned(), "timestmap".to_owned()],
            ..SourceParams::default()
        };
        let mut unmet = Unmet::new(&params);
        unmet
            .see(&schema(&["ab", "pressure", "timestamp"]))
            .unwrap();
        let error = unmet
            .check(Path::new("in.parquet"))
            .unwrap_err()
            .to_string();
        for part in ["in.parquet", "`timestmap`", "--exclude", "`timestamp`"] {
            assert!(error.contains(part), "{error}");
        }
        unmet.see(&schema(&["timestmap"])).unwrap();
        unmet.check(Path::new("in.parquet")).unwrap();
    }

    #[test]
    fn distances_are_those_of_the_textbook() {
        // Wagner and Fischer's own kind of examples, counted by hand.
        for (a, b, expected) in [("kitten", "sitting", 3), ("", "abc", 3), ("A", "a", 0)] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
