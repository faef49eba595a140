//! Schema → features: which columns are taken, under which names, and whether a later file has
//! the same.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use arrow::datatypes::{DataType, Fields, Schema};
use globset::{Glob, GlobSet, GlobSetBuilder};

use super::params::{BinaryDtype, Extra, SourceParams};
use super::{Selection, SourceError};
use crate::rows::Width;

/// Levels of structs that names are looked for in.
const STRUCT_DEPTH_MAX: usize = 32;

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
    /// Type of one value.
    pub value: DataType,
    /// Values of a row; `None` for a list whose length the rows tell.
    pub len: Option<usize>,
}

/// A column that every file must have.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Dotted name.
    pub name: String,
    /// How the first file holds it.
    pub shape: Shape,
    /// Values of a row.
    pub len: usize,
}

/// What all files must give and how it is handed on.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The file that fixed the features.
    pub first: PathBuf,
    /// Columns in the order of the features.
    pub wanted: Vec<Wanted>,
    /// Rows decoded at once.
    pub chunk_rows: usize,
    /// The keys of the configuration.
    pub params: SourceParams,
}

/// The compiled globs of `include` and `exclude`.
pub(super) struct Globs {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Globs {
    pub fn new(params: &SourceParams) -> Result<Self, SourceError> {
        Ok(Self {
            include: match params.include.as_slice() {
                [] => None,
                globs => Some(compile(globs)?),
            },
            exclude: compile(&params.exclude)?,
        })
    }

    fn refuse(&self, name: &str) -> Option<&'static str> {
        if self.exclude.is_match(name) {
            Some("excluded")
        } else if self.include.as_ref().is_some_and(|set| !set.is_match(name)) {
            Some("not included")
        } else {
            None
        }
    }
}

fn compile(globs: &[String]) -> Result<GlobSet, SourceError> {
    let refuse = |glob: &str, error: &globset::Error| SourceError::Glob {
        glob: glob.to_owned(),
        reason: error.kind().to_string(),
    };
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(Glob::new(glob).map_err(|error| refuse(glob, &error))?);
    }
    set.build()
        .map_err(|error| refuse(&globs.join(" "), &error))
}

/// The columns of `schema` that are features, in its order, and why the others are not.
pub(super) fn choose(
    path: &Path,
    schema: &Schema,
    params: &SourceParams,
    globs: &Globs,
) -> Result<(Vec<Leaf>, Selection), SourceError> {
    let mut walk = Walk {
        params,
        globs,
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
    let mut names = HashSet::new();
    if let Some(twice) = leaves.iter().find(|leaf| !names.insert(leaf.name.as_str())) {
        return Err(SourceError::Duplicate {
            path: path.to_owned(),
            column: twice.name.clone(),
        });
    }
    for id in &params.ids {
        if schema.column_with_name(id).is_none() {
            return Err(SourceError::IdMissing {
                path: path.to_owned(),
                column: id.clone(),
                there: shorten(schema.fields().iter().map(|field| field.name().as_str())),
            });
        }
    }
    let selection = Selection {
        taken: Vec::new(),
        left,
    };
    Ok((leaves, selection))
}

/// The first few of `names`, for a message.
pub(super) fn shorten<T: AsRef<str>>(names: impl Iterator<Item = T>) -> String {
    const SHOWN: usize = 12;
    let mut text = String::new();
    let mut count = 0;
    for name in names {
        if count < SHOWN {
            if count > 0 {
                text.push_str(", ");
            }
            text.push_str(name.as_ref());
        }
        count += 1;
    }
    match count {
        0 => "no column".to_owned(),
        n if n > SHOWN => format!("{text} and {} more", n - SHOWN),
        _ => text,
    }
}

/// The columns of a later file in the order of the plan.
pub(super) fn agree(path: &Path, schema: &Schema, plan: &Plan) -> Result<Vec<Leaf>, SourceError> {
    let globs = Globs::new(&plan.params)?;
    let (leaves, selection) = choose(path, schema, &plan.params, &globs)?;
    let mut found: std::collections::HashMap<String, Leaf> = leaves
        .into_iter()
        .map(|leaf| (leaf.name.clone(), leaf))
        .collect();
    let mut agreed = Vec::with_capacity(plan.wanted.len());
    for wanted in &plan.wanted {
        let Some(leaf) = found.remove(&wanted.name) else {
            let (path, first) = (path.to_owned(), plan.first.clone());
            let column = wanted.name.clone();
            let there = selection.left.iter().find(|(name, _)| *name == column);
            return Err(match there {
                Some((_, reason)) => SourceError::Changed {
                    path,
                    column,
                    found: reason.clone(),
                    expected: "numeric".to_owned(),
                    first,
                },
                None => SourceError::Missing {
                    path,
                    column,
                    first,
                },
            });
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
            return Err(SourceError::Changed {
                path: path.to_owned(),
                column: wanted.name.clone(),
                found: describe(leaf.shape, leaf.len),
                expected: describe(wanted.shape, Some(wanted.len)),
                first: plan.first.clone(),
            });
        }
        agreed.push(Leaf {
            len: Some(wanted.len),
            ..leaf
        });
    }
    if plan.params.extra == Extra::Error
        && let Some(column) = found.into_keys().min()
    {
        return Err(SourceError::Extra {
            path: path.to_owned(),
            column,
            first: plan.first.clone(),
        });
    }
    Ok(agreed)
}

fn describe(shape: Shape, len: Option<usize>) -> String {
    match (shape, len) {
        (Shape::Scalar, _) => "one value a row".to_owned(),
        (_, Some(len)) => format!("a list of {len} values a row"),
        (_, None) => "a list".to_owned(),
    }
}

/// The width that holds values of this type, for numeric types.
pub(super) fn width(value: &DataType) -> Option<Width> {
    match value {
        DataType::Boolean
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
        | DataType::Decimal256(..) => Some(Width::F64),
        DataType::Dictionary(_, value) => width(value),
        _ => None,
    }
}

struct Walk<'a> {
    params: &'a SourceParams,
    globs: &'a Globs,
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
        path.len() == 1 && self.params.ids.iter().any(|id| id == name)
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
            DataType::FixedSizeBinary(bytes) => self.params.dtype.map(|dtype| {
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
        if let Some(reason) = self.globs.refuse(&name) {
            self.left.push((name, reason.to_owned()));
            return;
        }
        if let (Shape::Binary(dtype), DataType::FixedSizeBinary(bytes)) = (shape, data_type) {
            let (size, _, text) = binary(dtype);
            let bytes = usize::try_from(*bytes).unwrap_or(0);
            if bytes == 0 || !bytes.is_multiple_of(size) {
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
        | DataType::Time64(_)
        | DataType::Duration(_)
        | DataType::Interval(_) => "time".to_owned(),
        DataType::FixedSizeBinary(_) => {
            "fixed-size binary: `features.dtype` says how to read it".to_owned()
        }
        other => format!("not numeric: {}", other.to_string().to_lowercase()),
    }
}
