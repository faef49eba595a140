//! A later file's columns, in the order of the features that the first one fixed.
//!
//! Refused: a feature that is missing or of another type; an extra column, unless it is to be
//! ignored.

use std::collections::HashMap;
use std::path::Path;

use arrow::datatypes::Schema;

use super::params::Extra;
use super::select::{FeatureColumn, Kind, Leaf, Plan, Rules, Shape, choose};
use super::{Selection, SourceError};

/// The columns of a later file in the order of the plan.
pub(super) fn columns(path: &Path, schema: &Schema, plan: &Plan) -> Result<Vec<Leaf>, SourceError> {
    let (leaves, selection) = choose(path, schema, &Rules::later(plan))?;
    let mut found: HashMap<String, Leaf> = leaves
        .into_iter()
        .map(|leaf| (leaf.name.clone(), leaf))
        .collect();
    let mut agreed = Vec::with_capacity(plan.wanted.len());
    for wanted in &plan.wanted {
        agreed.push(match found.remove(&wanted.name) {
            Some(leaf) => fit(path, leaf, wanted, plan)?,
            None => stand_in(path, wanted, &found, &selection, plan)?,
        });
    }
    // A column without values adds nothing that could be lost.
    let is_extra = |leaf: &&Leaf| !leaf.is_void() && !plan.null_lists.contains(&leaf.name);
    if plan.params.extra == Extra::Error
        && let Some(extra) = found.values().filter(is_extra).map(|leaf| &leaf.name).min()
    {
        return Err(SourceError::Extra {
            path: path.to_owned(),
            column: extra.clone(),
            first: plan.first.clone(),
        });
    }
    Ok(agreed)
}

/// Fits a column to the expected feature.
fn fit(path: &Path, leaf: Leaf, wanted: &FeatureColumn, plan: &Plan) -> Result<Leaf, SourceError> {
    if leaf.is_blank() {
        return Ok(Leaf::blank(wanted, leaf.path));
    }
    let changed = |found: String, expected: String| SourceError::Changed {
        path: path.to_owned(),
        column: wanted.name.clone(),
        found,
        expected,
        first: plan.first.clone(),
    };
    let same = matches!(
        (leaf.shape, wanted.shape),
        (Shape::Scalar, Shape::Scalar)
            | (
                Shape::List | Shape::Binary(_),
                Shape::List | Shape::Binary(_)
            )
    );
    if !same || leaf.len.is_some_and(|len| len != wanted.len) {
        let expected = describe(wanted.shape, Some(wanted.len));
        return Err(changed(describe(leaf.shape, leaf.len), expected));
    }
    let named = |kind: Kind| match kind {
        Kind::Seconds => "a duration, taken in seconds,",
        Kind::Number | Kind::Unknown => "a number without a unit",
    };
    let (here, there) = (leaf.kind(), wanted.kind);
    if here != there && here != Kind::Unknown && there != Kind::Unknown {
        return Err(changed(named(here).to_owned(), named(there).to_owned()));
    }
    Ok(Leaf {
        len: Some(wanted.len),
        ..leaf
    })
}

/// The substitute for a column that the file lacks: nulls, if the struct around it is replaced by a
/// column of type null, or if no value was ever seen.
fn stand_in(
    path: &Path,
    wanted: &FeatureColumn,
    found: &HashMap<String, Leaf>,
    selection: &Selection,
    plan: &Plan,
) -> Result<Leaf, SourceError> {
    let mut structs = wanted
        .name
        .match_indices('.')
        .map(|(i, _)| &wanted.name[..i]);
    let around = structs.find_map(|name| found.get(name).filter(|leaf| leaf.is_blank()));
    if let Some(leaf) = around {
        return Ok(Leaf::blank(wanted, leaf.path.clone()));
    }
    let left = selection.left.iter();
    let mut left = left.filter(|(name, _)| *name == wanted.name);
    let (path, first) = (path.to_owned(), plan.first.clone());
    let column = wanted.name.clone();
    match left.next() {
        Some(_) if wanted.kind == Kind::Unknown => Ok(Leaf::blank(wanted, Vec::new())),
        Some((_, reason)) => Err(SourceError::Changed {
            path,
            column,
            found: reason.clone(),
            expected: "numeric".to_owned(),
            first,
        }),
        None => Err(SourceError::Missing {
            path,
            column,
            first,
        }),
    }
}

fn describe(shape: Shape, len: Option<usize>) -> String {
    match (shape, len) {
        (Shape::Scalar, _) => "one value per row".to_owned(),
        (_, Some(len)) => format!("a list of {len} values per row"),
        (_, None) => "a list".to_owned(),
    }
}
