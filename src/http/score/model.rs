//! The components that requests are scored by, and the columns of an answer.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Refusal, What};
use crate::snapshot::{Projection, Rows, Scores, Snapshot};

/// Names that a message shows.
const NAMES_SHOWN: usize = 10;
/// Values, of rows and of scores, that one step takes: some milliseconds.
const STEP_VALUES: usize = 1 << 20;

/// A snapshot, prepared.
pub(super) struct Model {
    snapshot: Arc<Snapshot>,
    pub projection: Projection,
    at: HashMap<String, usize>,
}

impl Model {
    pub fn new(snapshot: &Arc<Snapshot>) -> Self {
        let names = snapshot.features.names();
        let order: Vec<usize> = (0..names.len()).collect();
        Self {
            projection: Projection::new(&snapshot.estimate, &order),
            at: names.iter().cloned().zip(order).collect(),
            snapshot: Arc::clone(snapshot),
        }
    }

    /// Rows that it was learned from.
    pub fn rows(&self) -> u64 {
        self.snapshot.estimate.rows
    }

    /// Number of features m.
    pub fn features(&self) -> usize {
        self.snapshot.features.len()
    }

    pub fn feature(&self, name: &str) -> Option<usize> {
        self.at.get(name).copied()
    }

    pub fn name(&self, feature: usize) -> &str {
        let names = self.snapshot.features.names();
        names.get(feature).map_or("", String::as_str)
    }

    /// Names of the columns of an answer.
    pub fn columns(&self, what: What) -> Vec<String> {
        let scores = match what {
            What::Transform => self.projection.components(),
            What::Score => 0,
        };
        let scores = (1..=scores).map(|i| format!("pc{i}"));
        scores.chain(Scores::OTHERS.map(str::to_owned)).collect()
    }

    /// Rows of one step.
    pub fn step_rows(&self) -> usize {
        let values = self.features() + self.projection.components() + 6;
        (STEP_VALUES / values).max(1)
    }

    /// Refuses missing features and names that are not features.
    pub fn refuse(&self, seen: &[bool], unknown: &[String]) -> Result<(), Refusal> {
        let missing = seen.iter().enumerate().filter(|(_, seen)| !**seen);
        let missing: Vec<&str> = missing.map(|(j, _)| self.name(j)).collect();
        let mut why = Vec::new();
        if !missing.is_empty() {
            why.push(format!("missing: {}", shown(&missing)));
        }
        if !unknown.is_empty() {
            let unknown: Vec<&str> = unknown.iter().map(String::as_str).collect();
            let how = "leave them out, or ask for `?extra=ignore` or `?extra=keep`";
            why.push(format!("not in the model: {} ({how})", shown(&unknown)));
        }
        if why.is_empty() {
            return Ok(());
        }
        let why = format!(
            "the features are not those of the model; {}",
            why.join("; ")
        );
        Err(Refusal::features(why))
    }

    /// Refuses the first infinite value; `first` is the number of the first of these rows.
    pub fn finite(&self, rows: &Rows<'_>, scores: &Scores, first: u64) -> Result<(), Refusal> {
        let odd = scores.squared_norm.iter().enumerate();
        // Found by the sum, which is there anyway; only then is the row searched.
        for (i, _) in odd.filter(|(_, squared_norm)| !squared_norm.is_finite()) {
            if let Some(j) = rows.infinity(i) {
                let (row, name) = (first + i as u64, self.name(j));
                let why = format!(
                    "row {row} (from 0), column `{name}`: the value is infinite; send null for a missing one"
                );
                return Err(Refusal::features(why));
            }
        }
        Ok(())
    }
}

/// The columns of an answer, in the order of their names.
pub(super) fn parts(what: What, scores: Scores) -> Vec<Vec<f64>> {
    let (components, others) = scores.into_columns();
    let mut columns = match what {
        What::Transform => components,
        What::Score => Vec::new(),
    };
    columns.extend(others);
    columns
}

/// The first few names, for a message.
fn shown(names: &[&str]) -> String {
    let some = names.iter().take(NAMES_SHOWN);
    let some: Vec<String> = some.map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(NAMES_SHOWN);
    match more {
        0 => some.join(", "),
        _ => format!("{} and {more} more", some.join(", ")),
    }
}
