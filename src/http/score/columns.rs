//! Columns of a record batch → the features of a model, by name.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use super::model::Model;
use super::{Extra, Refusal};
use crate::snapshot::{Cells, Lane, Rows};
use crate::source::{Numbers, Shape, pandas_indexes};

/// Position of each feature in a record batch.
pub(super) struct Columns {
    /// Columns with features, and their values per row.
    taken: Vec<(usize, usize)>,
    /// For each feature, its column among those and its position in a row of it.
    places: Vec<(usize, usize)>,
    /// Columns that are returned unchanged.
    pub kept: Vec<usize>,
}

/// The values of a batch.
pub(super) struct Table {
    numbers: Vec<Numbers>,
    pub rows: usize,
}

impl Columns {
    /// The columns of `schema`, if they match the model.
    pub fn new(schema: &Schema, model: &Model, extra: Extra) -> Result<Self, Refusal> {
        let mut places = vec![(0, 0); model.features()];
        let mut seen = vec![false; model.features()];
        let indexes = pandas_indexes(schema);
        let (mut taken, mut kept, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
        for (i, field) in schema.fields().iter().enumerate() {
            let name = field.name();
            let found = match Numbers::shape(field.data_type()) {
                Some(Shape::Values) => model.feature(name).map(|j| vec![j]),
                // Nulls of any type: of a feature, or of a list of them.
                Some(Shape::Nulls) => {
                    let one = model.feature(name).map(|j| vec![j]);
                    one.or_else(|| list(model, name, None))
                }
                Some(Shape::Lists(len)) if len <= model.features() => list(model, name, Some(len)),
                Some(Shape::AnyLists) => list(model, name, None),
                Some(Shape::Lists(_)) | None if model.feature(name).is_some() => {
                    let found = field.data_type();
                    let why = format!("column `{name}` has type {found}, not a single number");
                    return Err(Refusal::features(why));
                }
                Some(Shape::Lists(_)) | None => None,
            };
            let Some(found) = found else {
                match extra {
                    // Whether a frame has one depends on how its rows were picked.
                    Extra::Refuse if indexes.contains(name) => {}
                    Extra::Refuse => unknown.push(name.clone()),
                    Extra::Keep => {
                        let is_same = |j: &usize| schema.field(*j).name() == name;
                        if kept.iter().any(is_same) {
                            let why = format!("two columns are named `{name}`; rename one");
                            return Err(Refusal::features(why));
                        }
                        kept.push(i);
                    }
                    Extra::Ignore => {}
                }
                continue;
            };
            for (place, j) in found.iter().enumerate() {
                if std::mem::replace(&mut seen[*j], true) {
                    let why = format!("feature `{}` appears twice", model.name(*j));
                    return Err(Refusal::features(why));
                }
                places[*j] = (taken.len(), place);
            }
            taken.push((i, found.len()));
        }
        model.refuse(&seen, &unknown)?;
        Ok(Self {
            taken,
            places,
            kept,
        })
    }

    /// The numbers of a batch.
    pub fn table(&self, batch: &RecordBatch) -> Result<Table, Refusal> {
        let numbers = self.taken.iter().map(|(i, len)| {
            let column = batch.column(*i);
            Numbers::of(column, *len).map_err(|reason| {
                let name = batch.schema_ref().field(*i).name().clone();
                Refusal::features(format!("column `{name}`: {reason}"))
            })
        });
        Ok(Table {
            numbers: numbers.collect::<Result<_, _>>()?,
            rows: batch.num_rows(),
        })
    }

    /// The `n` rows starting at `at`.
    pub fn rows<'a>(&self, table: &'a Table, at: usize, n: usize) -> Rows<'a> {
        let is_one = self.taken.len() == 1 && self.places.iter().enumerate().all(|(j, p)| j == p.1);
        if let (true, [numbers]) = (is_one, table.numbers.as_slice()) {
            let m = self.places.len();
            return Rows::row_major(cut(cells(numbers), at * m, n * m), m);
        }
        let all: Vec<Cells<'_>> = table.numbers.iter().map(cells).collect();
        let lanes = self.places.iter().map(|(column, place)| {
            let stride = self.taken[*column].1;
            Lane {
                cells: all[*column],
                start: at * stride + place,
                stride,
            }
        });
        Rows::lanes(lanes.collect(), n)
    }
}

/// The features `name.0`, `name.1`, … of a list of `len` values, or of as many as the model has.
fn list(model: &Model, name: &str, len: Option<usize>) -> Option<Vec<usize>> {
    let names = (0..len.unwrap_or(usize::MAX)).map(|i| model.feature(&format!("{name}.{i}")));
    let found: Vec<usize> = names.map_while(|found| found).collect();
    let is_whole = len.is_none_or(|len| len == found.len());
    (is_whole && !found.is_empty()).then_some(found)
}

fn cells(numbers: &Numbers) -> Cells<'_> {
    match numbers.f32s() {
        Some(values) => Cells::F32(values),
        None => Cells::F64(numbers.f64s().unwrap_or_default()),
    }
}

fn cut(cells: Cells<'_>, at: usize, len: usize) -> Cells<'_> {
    match cells {
        Cells::F32(values) => Cells::F32(&values[at..at + len]),
        Cells::F64(values) => Cells::F64(&values[at..at + len]),
    }
}
