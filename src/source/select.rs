//! Schema → features: which columns are taken, under which names, and why the others are not.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use arrow::datatypes::{DataType, Fields, Schema};

use super::params::{BinaryDtype, SourceParams};
use super::patterns::{Patterns, STRUCT_DEPTH_MAX, nearest};
use super::{Selection, SourceError, pandas};
use crate::rows::Width;
use crate::text::bounded;

/// Longest name of a feature.
const NAME_BYTES_MAX: usize = 4096;
/// Part of a longer name shown in the error message.
const SHOWN_BYTES: usize = 256;

/// How a column holds the values of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One value.
    Scalar,
    /// A list, of fixed or constant length.
    List,
    /// Little-endian floats in bytes.
    Binary(BinaryDtype),
}

/// A column of a file that can be a feature or several.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    /// Dotted name.
    pub name: String,
    /// The names that lead to it, from the root of the schema.
    pub path: Vec<String>,
    /// Index of the column among the leaves of a Parquet schema.
    pub index: usize,
    /// How it holds values.
    pub shape: Shape,
    /// Type of one value; type null for a column that has none.
    pub value: DataType,
    /// Values of a row; `None` for a list whose length depends on its rows.
    pub len: Option<usize>,
}

impl Leaf {
    /// True if it cannot hold values: type null represents a column of any type that is missing in
    /// every row.
    pub fn is_void(&self) -> bool {
        *plain(&self.value) == DataType::Null
    }

    /// True if it need not be decoded: a null in every row, however long the rows are.
    pub fn is_blank(&self) -> bool {
        self.is_void() && self.shape == Shape::Scalar
    }

    /// Kind of its values.
    pub fn kind(&self) -> Kind {
        match plain(&self.value) {
            DataType::Null => Kind::Unknown,
            DataType::Duration(_) => Kind::Seconds,
            _ => Kind::Number,
        }
    }

    /// True if its values are integers.
    pub fn is_integer(&self) -> bool {
        plain(&self.value).is_integer()
    }

    /// A null in every row, for `wanted`.
    pub fn blank(wanted: &FeatureColumn, path: Vec<String>) -> Self {
        Self {
            name: wanted.name.clone(),
            path,
            index: usize::MAX,
            shape: Shape::Scalar,
            value: DataType::Null,
            len: Some(wanted.len),
        }
    }
}

/// The type of a value, dictionary-encoded or not.
fn plain(value: &DataType) -> &DataType {
    match value {
        DataType::Dictionary(_, value) => plain(value),
        value => value,
    }
}

/// Kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number.
    Number,
    /// A duration, taken in seconds.
    Seconds,
    /// Unknown so far: the file that fixed the features had only nulls.
    Unknown,
}

/// A column that every file must have.
#[derive(Clone, Debug)]
pub(super) struct FeatureColumn {
    /// Dotted name.
    pub name: String,
    /// How the first file holds it.
    pub shape: Shape,
    /// Values of a row.
    pub len: usize,
    /// Kind of a value.
    pub kind: Kind,
}

/// What all files must provide and how it is delivered.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The file that fixed the features.
    pub first: PathBuf,
    /// Columns in the order of the features.
    pub wanted: Vec<FeatureColumn>,
    /// List columns that held only nulls and are left out.
    pub null_lists: Vec<String>,
    /// True if durations are numbers; in older plans they were not.
    pub has_durations: bool,
    /// Rows decoded at once.
    pub chunk_rows: usize,
    /// The keys of the configuration.
    pub params: SourceParams,
}

/// What is known about the features before a schema is examined.
pub(super) struct Rules<'a> {
    /// The keys of the configuration.
    pub params: &'a SourceParams,
    /// Columns that are features of a model or plan: no heuristic leaves them out.
    pub known: Option<HashSet<&'a str>>,
    /// True if these are fixed, so that no pattern leaves them out either.
    pub is_fixed: bool,
    /// True if durations are numbers.
    pub has_durations: bool,
}

impl<'a> Rules<'a> {
    /// Rules for the first file.
    pub fn of(params: &'a SourceParams) -> Self {
        Self {
            params,
            known: None,
            is_fixed: false,
            has_durations: true,
        }
    }

    /// Rules for a later file, which must match a plan.
    pub fn later(plan: &'a Plan) -> Self {
        Self {
            params: &plan.params,
            known: Some(plan.wanted.iter().map(|w| w.name.as_str()).collect()),
            is_fixed: true,
            has_durations: plan.has_durations,
        }
    }

    fn knows(&self, column: &str) -> bool {
        let known = self.known.as_ref();
        known.is_some_and(|known| {
            known.contains(column) || known.contains(format!("{column}.0").as_str())
        })
    }
}

/// The columns of `schema` that are features, in its order, and why the others are not.
pub(super) fn choose(
    path: &Path,
    schema: &Schema,
    rules: &Rules<'_>,
) -> Result<(Vec<Leaf>, Selection), SourceError> {
    let mut walk = Walk {
        rules,
        patterns: Patterns::new(schema, rules.params)?,
        indexes: pandas::indexes(schema),
        leaves: Vec::new(),
        left: Vec::new(),
        index: 0,
        wrong: None,
    };
    walk.fields(schema.fields(), &mut Vec::new());
    let Walk {
        leaves,
        left,
        wrong,
        ..
    } = walk;
    if let Some((column, bytes, dtype)) = wrong {
        return Err(SourceError::BinaryLength {
            path: path.to_owned(),
            column,
            bytes,
            dtype,
        });
    }
    check_twice(path, schema, &leaves, rules.params)?;
    check_long(path, &leaves)?;
    for id in &rules.params.ids {
        if schema.column_with_name(id).is_none() {
            let names = schema.fields().iter().map(|field| field.name().as_str());
            return Err(SourceError::IdMissing {
                path: path.to_owned(),
                column: id.clone(),
                nearest: nearest(id, names),
            });
        }
    }
    let selection = Selection {
        left,
        ..Selection::default()
    };
    Ok((leaves, selection))
}

/// Refuses a feature or id column that shares its name with another one: decoders find columns by
/// name.
fn check_twice(
    path: &Path,
    schema: &Schema,
    leaves: &[Leaf],
    params: &SourceParams,
) -> Result<(), SourceError> {
    let mut roots = HashSet::new();
    let names = schema.fields().iter().map(|field| field.name().as_str());
    let twice: HashSet<&str> = names.filter(|name| !roots.insert(*name)).collect();
    let mut names = HashSet::new();
    let mut leaf = None;
    for one in leaves {
        let is_twice = !names.insert(one.name.as_str());
        if is_twice || twice.contains(one.path[0].as_str()) {
            leaf = leaf.or(Some(&one.name));
        }
    }
    let id = params.ids.iter().find(|id| twice.contains(id.as_str()));
    match leaf.or(id) {
        None => Ok(()),
        Some(column) => Err(SourceError::Duplicate {
            path: path.to_owned(),
            column: column.clone(),
        }),
    }
}

/// Refuses a feature with an excessively long name, which would be repeated in every state, table
/// and answer.
fn check_long(path: &Path, leaves: &[Leaf]) -> Result<(), SourceError> {
    let long = leaves.iter().find(|leaf| leaf.name.len() > NAME_BYTES_MAX);
    match long {
        None => Ok(()),
        Some(leaf) => Err(SourceError::LongName {
            path: path.to_owned(),
            bytes: leaf.name.len(),
            column: bounded(leaf.name.clone(), SHOWN_BYTES),
        }),
    }
}

/// The width that holds values of this type, for numeric types.
pub(super) fn width(value: &DataType) -> Option<Width> {
    match value {
        // Nulls ask for no room.
        DataType::Null
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::UInt8
        | DataType::UInt16
        | DataType::Float16
        | DataType::Float32 => Some(Width::F32),
        DataType::Int32
        | DataType::Int64
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..)
        // In seconds.
        | DataType::Duration(_) => Some(Width::F64),
        DataType::Dictionary(_, value) => width(value),
        _ => None,
    }
}

struct Walk<'a> {
    rules: &'a Rules<'a>,
    patterns: Patterns,
    /// Columns in which pandas stores its index.
    indexes: HashSet<String>,
    leaves: Vec<Leaf>,
    left: Vec<(String, String)>,
    index: usize,
    wrong: Option<(String, usize, &'static str)>,
}

impl Walk<'_> {
    fn fields(&mut self, fields: &Fields, path: &mut Vec<String>) {
        for field in fields {
            path.push(field.name().clone());
            let name = path.join(".");
            let index = self.index;
            match field.data_type() {
                // An id is passed through whole.
                DataType::Struct(inner)
                    if path.len() < STRUCT_DEPTH_MAX && !self.is_id(path, &name) =>
                {
                    self.fields(inner, path);
                }
                data_type => {
                    // Counted for every column, taken or not: Parquet numbers the leaves of the
                    // whole schema.
                    self.index += leaf_count(data_type);
                    if self.is_id(path, &name) {
                        self.left.push((name, "id".to_owned()));
                    } else {
                        self.column(name, path, index, data_type);
                    }
                }
            }
            path.pop();
        }
    }

    fn is_id(&self, path: &[String], name: &str) -> bool {
        path.len() == 1 && self.rules.params.ids.iter().any(|id| id == name)
    }

    /// Why a numeric column is not a feature.
    fn refuse(&self, name: &str, path: &[String], value: &DataType) -> Option<&'static str> {
        let is_known = self.rules.knows(name);
        if is_known && self.rules.is_fixed {
            return None;
        }
        if let Some(reason) = self.patterns.refuse(path) {
            return Some(reason);
        }
        let is_index = path.len() == 1 && self.indexes.contains(name);
        if is_index && !is_known && !self.patterns.names(name) {
            return Some("numbers the rows: a pandas index");
        }
        let is_duration = matches!(plain(value), DataType::Duration(_));
        (is_duration && !self.rules.has_durations && !is_known).then_some("time")
    }

    fn column(&mut self, name: String, path: &[String], index: usize, data_type: &DataType) {
        let taken = match data_type {
            DataType::List(item) | DataType::LargeList(item) => {
                width(item.data_type()).map(|_| (Shape::List, item.data_type().clone(), None))
            }
            DataType::FixedSizeList(item, len) => {
                width(item.data_type()).filter(|_| *len > 0).map(|_| {
                    (
                        Shape::List,
                        item.data_type().clone(),
                        usize::try_from(*len).ok(),
                    )
                })
            }
            DataType::FixedSizeBinary(bytes) => self.rules.params.dtype.map(|dtype| {
                let (size, value, _) = binary(dtype);
                let bytes = usize::try_from(*bytes).unwrap_or(0);
                (Shape::Binary(dtype), value, Some(bytes / size))
            }),
            other => width(other).map(|_| (Shape::Scalar, other.clone(), Some(1))),
        };
        let Some((shape, value, len)) = taken else {
            self.left.push((name, reason(data_type)));
            return;
        };
        if let Some(reason) = self.refuse(&name, path, &value) {
            self.left.push((name, reason.to_owned()));
            return;
        }
        if let (Shape::Binary(dtype), DataType::FixedSizeBinary(bytes)) = (shape, data_type) {
            let (size, _, text) = binary(dtype);
            let bytes = usize::try_from(*bytes).unwrap_or(0);
            if bytes == 0 || !bytes.is_multiple_of(size) {
                // Reported by the caller, who knows the path.
                self.wrong.get_or_insert((name.clone(), bytes, text));
            }
        }
        self.leaves.push(Leaf {
            name,
            path: path.to_vec(),
            index,
            shape,
            value,
            len,
        });
    }
}

/// Bytes of a value, its Arrow type, its name in the configuration.
fn binary(dtype: BinaryDtype) -> (usize, DataType, &'static str) {
    match dtype {
        BinaryDtype::F16 => (2, DataType::Float16, "f16"),
        BinaryDtype::F32 => (4, DataType::Float32, "f32"),
        BinaryDtype::F64 => (8, DataType::Float64, "f64"),
    }
}

/// Parquet leaves below a column of this type, depth first.
fn leaf_count(data_type: &DataType) -> usize {
    match data_type {
        DataType::Struct(fields) => fields.iter().map(|f| leaf_count(f.data_type())).sum(),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => leaf_count(item.data_type()),
        _ => 1,
    }
}

fn reason(data_type: &DataType) -> String {
    match data_type {
        DataType::Timestamp(..)
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_) => "time".to_owned(),
        // A month is no fixed number of days.
        DataType::Interval(_) => "interval".to_owned(),
        DataType::FixedSizeBinary(_) => {
            "fixed-size binary: `features.dtype` says how to read it".to_owned()
        }
        other => format!("not numeric: {}", other.to_string().to_lowercase()),
    }
}
