//! The features of a feed: determined by its first file, and by later files where that leaves
//! something open.
//!
//! A column of type null, or a list that is null in every row, says nothing about its values. The
//! other available files are consulted; columns that remain unknown are left out and named.
//! Refused: a pattern that matches no column, two features with one name, no features at all.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use arrow::datatypes::Schema;

use super::discover::Input;
use super::error::shorten;
use super::format::Format;
use super::open::Opened;
use super::params::{BadValue, SourceParams};
use super::patterns::Unmet;
use super::select::{self, FeatureColumn, Kind, Leaf, Plan, Rules, Shape};
use super::{Selection, SourceError, catch_panic, preflight};
use crate::rows::{Features, Width};

/// Most bytes of all feature names: each value of a list repeats the name of its column.
const NAME_BYTES_MAX: u64 = 1 << 28;

/// Why a column without values is not a feature.
const NO_VALUE: &str = "no value: null in every row";
const NO_LIST: &str = "no value: every list looked at is null or empty";

/// The other inputs of a feed.
#[derive(Clone, Copy)]
pub(super) enum Later<'a> {
    /// All of them.
    All(&'a [Input]),
    /// Some; more will come that cannot be examined now.
    Some(&'a [Input]),
    /// Unknown: files keep arriving for ever.
    Unknown,
}

impl Later<'_> {
    /// True if a column of type null is a feature anyway, because its first values may still come.
    fn keeps_blank(self, params: &SourceParams) -> bool {
        match self {
            Self::All(_) => false,
            // Where nulls are not welcome it would cost every row of a pass that can end.
            Self::Some(_) => params.on_null == BadValue::Mean,
            // With `mean` it says nothing and costs nothing until then. Else each row of the file is
            // judged as what it is, one with a null: none is learned, and so the file fixes nothing that
            // a later one would have to do without.
            Self::Unknown => true,
        }
    }
}

/// Properties that a feed's files have in common.
pub(super) struct Fixed {
    pub wanted: Vec<FeatureColumn>,
    pub selection: Selection,
    pub width: Width,
    /// Columns of lists without a value.
    pub null_lists: Vec<String>,
}

/// Fixes the features from the first file, with the help of later ones; `model` has the features of
/// a model to score the rows with.
pub(super) fn fix(
    path: &Path,
    first: &mut Opened,
    later: Later<'_>,
    params: &SourceParams,
    model: Option<&Features>,
) -> Result<Fixed, SourceError> {
    let rules = rules(params, model);
    let mut unmet = Unmet::new(params);
    let schema = first.schema();
    unmet.see(&schema)?;
    let (mut leaves, mut selection) = select::choose(path, &schema, &rules)?;
    catch_panic::catch(path, || first.lengths(path, &mut leaves))?;
    let others = match later {
        Later::All(others) | Later::Some(others) => others,
        Later::Unknown => &[],
    };
    for input in others {
        // Nothing is left open: the other footers need not be read for this.
        if unmet.is_empty() && leaves.iter().all(is_known) {
            break;
        }
        // A stream can be read once only, and that is for its rows.
        if input.format != Format::Stdin {
            let mut other = Opened::open(input)?;
            unmet.see(&other.schema())?;
            fill_in(input, &mut other, &rules, &mut leaves)?;
        }
    }
    if matches!(later, Later::Some(_)) {
        selection.left.extend(unmet.left());
    } else {
        unmet.check(path)?;
    }
    let settled = Settled::of(leaves, &mut selection, later, params, model);
    let Settled {
        wanted,
        width,
        null_lists,
    } = settled;
    if wanted.is_empty() {
        return Err(no_feature(path.to_owned(), &selection));
    }
    check_width(path, &wanted, params)?;
    check_names(path, &wanted)?;
    selection = Selection {
        left: selection.left,
        ..taken(&wanted)
    };
    Ok(Fixed {
        wanted,
        selection,
        width,
        null_lists,
    })
}

/// Refuses a schema that cannot fix any features. The length of a list is known only from its rows,
/// so a schema with lists may still be refused later.
pub(super) fn foresee(
    path: &Path,
    schema: &Schema,
    params: &SourceParams,
) -> Result<(), SourceError> {
    let mut unmet = Unmet::new(params);
    unmet.see(schema)?;
    unmet.check(path)?;
    let (leaves, mut selection) = select::choose(path, schema, &rules(params, None))?;
    if !leaves.is_empty() && !leaves.iter().all(is_known) {
        return Ok(());
    }
    let wanted = Settled::of(leaves, &mut selection, Later::Unknown, params, None);
    let wanted = wanted.wanted;
    if wanted.is_empty() {
        return Err(no_feature(path.to_owned(), &selection));
    }
    check_width(path, &wanted, params)?;
    check_names(path, &wanted)
}

/// Columns taken of a file, for people.
pub(super) fn taken(wanted: &[FeatureColumn]) -> Selection {
    let seconds = wanted.iter().filter(|w| w.kind == Kind::Seconds);
    Selection {
        taken: wanted.iter().map(|w| (w.name.clone(), w.len)).collect(),
        in_seconds: seconds.map(|w| w.name.clone()).collect(),
        left: Vec::new(),
    }
}

fn rules<'a>(params: &'a SourceParams, model: Option<&'a Features>) -> Rules<'a> {
    let rules = Rules::of(params);
    let Some(model) = model else {
        return rules;
    };
    let names: HashSet<&str> = model.names().iter().map(String::as_str).collect();
    Rules {
        // A model of before durations were numbers has none.
        has_durations: false,
        known: Some(names),
        ..rules
    }
}

/// True if the type and length of its values are known.
fn is_known(leaf: &Leaf) -> bool {
    !leaf.is_void() && leaf.len.is_some_and(|len| len > 0)
}

/// Fills in from another file what the leaves leave open.
fn fill_in(
    input: &Input,
    other: &mut Opened,
    rules: &Rules<'_>,
    leaves: &mut Vec<Leaf>,
) -> Result<(), SourceError> {
    let (mut theirs, _) = select::choose(&input.path, &other.schema(), rules)?;
    theirs.retain(|their| !their.is_void());
    let open: HashSet<String> = leaves
        .iter()
        .filter(|leaf| !is_known(leaf))
        .map(|leaf| leaf.name.clone())
        .collect();
    let concerns = |their: &Leaf| {
        let ends = their.name.match_indices('.').map(|(i, _)| i);
        let mut names = ends.chain([their.name.len()]).map(|i| &their.name[..i]);
        names.any(|name| open.contains(name))
    };
    theirs.retain(concerns);
    catch_panic::catch(&input.path, || other.lengths(&input.path, &mut theirs))?;
    theirs.retain(is_known);
    let mut filled = Vec::with_capacity(leaves.len());
    for leaf in leaves.drain(..) {
        let is_below = |their: &Leaf| {
            let rest = their.name.strip_prefix(leaf.name.as_str());
            rest.is_some_and(|rest| rest.is_empty() || (leaf.is_blank() && rest.starts_with('.')))
        };
        let mut found = Vec::new();
        if !is_known(&leaf) {
            found.extend(theirs.iter().filter(|their| is_below(their)).cloned());
        }
        if found.is_empty() {
            found.push(leaf);
        }
        filled.extend(found);
    }
    *leaves = filled;
    Ok(())
}

/// Leaves of which it is decided whether they are features.
struct Settled {
    wanted: Vec<FeatureColumn>,
    width: Width,
    null_lists: Vec<String>,
}

impl Settled {
    fn of(
        leaves: Vec<Leaf>,
        selection: &mut Selection,
        later: Later<'_>,
        params: &SourceParams,
        model: Option<&Features>,
    ) -> Self {
        let mut settled = Self {
            wanted: Vec::new(),
            width: widest(&leaves),
            null_lists: Vec::new(),
        };
        for leaf in leaves {
            if is_known(&leaf) {
                settled.take(&leaf, leaf.shape, leaf.len.unwrap_or(1));
            } else if let Some((shape, len)) = model.and_then(|model| of_model(model, &leaf.name)) {
                settled.take(&leaf, shape, len);
            } else if leaf.is_blank() && later.keeps_blank(params) {
                settled.take(&leaf, Shape::Scalar, 1);
                settled.width = Width::F64;
            } else if leaf.is_blank() {
                selection.left.push((leaf.name, NO_VALUE.to_owned()));
            } else {
                if !leaf.is_void() {
                    settled.null_lists.push(leaf.name.clone());
                }
                selection.left.push((leaf.name, NO_LIST.to_owned()));
            }
        }
        settled
    }

    fn take(&mut self, leaf: &Leaf, shape: Shape, len: usize) {
        self.wanted.push(FeatureColumn {
            name: leaf.name.clone(),
            shape,
            len,
            kind: leaf.kind(),
        });
    }
}

/// How a model represents a column: as one feature, or as a list of a given length.
fn of_model(model: &Features, column: &str) -> Option<(Shape, usize)> {
    let names = model.names();
    if names.iter().any(|name| name == column) {
        return Some((Shape::Scalar, 1));
    }
    let first = format!("{column}.0");
    let at = names.iter().position(|name| *name == first)?;
    let here = names[at..].iter().enumerate();
    let len = here.take_while(|(i, name)| **name == format!("{column}.{i}"));
    Some((Shape::List, len.count()))
}

/// The error for a file without a numeric column.
fn no_feature(path: PathBuf, selection: &Selection) -> SourceError {
    let left = selection.left.iter();
    SourceError::NoFeature {
        path,
        columns: shorten(left.map(|(name, why)| format!("`{name}` ({why})"))),
    }
}

/// Refuses rows from which no model can be made: with fewer values than components, or so many that
/// the names alone would fill the memory.
fn check_width(
    path: &Path,
    wanted: &[FeatureColumn],
    params: &SourceParams,
) -> Result<(), SourceError> {
    let sum = |each: fn(&FeatureColumn) -> usize| {
        let each = wanted.iter().map(|column| each(column) as u64);
        each.fold(0, u64::saturating_add)
    };
    let features = sum(|column| column.len);
    let name_bytes = sum(|column| column.len.saturating_mul(column.name.len()));
    if features < params.features_least as u64 {
        return Err(SourceError::TooFewFeatures {
            path: path.to_owned(),
            components: params.features_least,
            features: features as usize,
        });
    }
    if features <= preflight::FEATURES_MAX as u64 && name_bytes <= NAME_BYTES_MAX {
        return Ok(());
    }
    Err(SourceError::TooWide {
        path: path.to_owned(),
        features,
        limit: preflight::FEATURES_MAX,
    })
}

/// Refuses a column with the same name as an element of a list. No other two features can share a
/// name, because duplicate column names are refused earlier.
fn check_names(path: &Path, wanted: &[FeatureColumn]) -> Result<(), SourceError> {
    let lists: std::collections::HashMap<&str, usize> = wanted
        .iter()
        .filter(|column| column.shape != Shape::Scalar)
        .map(|column| (column.name.as_str(), column.len))
        .collect();
    let scalars = wanted.iter().filter(|column| column.shape == Shape::Scalar);
    for column in scalars {
        let Some((list, place)) = column.name.rsplit_once('.') else {
            continue;
        };
        let place = place
            .parse::<usize>()
            .ok()
            // A list never names a value `01`.
            .filter(|i| i.to_string() == place);
        if place.is_some_and(|i| lists.get(list).is_some_and(|len| i < *len)) {
            return Err(SourceError::SameFeature {
                path: path.to_owned(),
                feature: column.name.clone(),
                list: list.to_owned(),
            });
        }
    }
    Ok(())
}

/// The width of the values of these columns.
pub(super) fn widest(leaves: &[Leaf]) -> Width {
    let wide = |leaf: &Leaf| select::width(&leaf.value) == Some(Width::F64);
    if leaves.iter().any(wide) {
        Width::F64
    } else {
        Width::F32
    }
}

/// Refuses values in a list column that had none when the features were fixed: otherwise they would
/// be dropped silently.
pub(super) fn check_null_lists(
    path: &Path,
    opened: &mut Opened,
    plan: &Plan,
) -> Result<(), SourceError> {
    if plan.null_lists.is_empty() || plan.params.extra == super::Extra::Ignore {
        return Ok(());
    }
    let schema = opened.schema();
    let (mut leaves, _) = select::choose(path, &schema, &Rules::later(plan))?;
    leaves.retain(|leaf| plan.null_lists.contains(&leaf.name));
    catch_panic::catch(path, || opened.lengths(path, &mut leaves))?;
    match leaves.into_iter().find(is_known) {
        None => Ok(()),
        Some(leaf) => Err(SourceError::Extra {
            path: path.to_owned(),
            column: leaf.name,
            first: plan.first.clone(),
        }),
    }
}
