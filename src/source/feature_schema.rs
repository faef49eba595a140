//! The features that all files must provide, as fixed by the first one: plain data that outlives
//! the process.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fix::{self, Fixed, Later};
use super::later;
use super::open::Opened;
use super::select::{FeatureColumn, Kind, Leaf, Plan, Shape};
use super::{BinaryDtype, Selection, SourceError, SourceParams};
use crate::codec::{CodecError, Decoder, Encoder};
use crate::rows::{Features, Layout, Lease, Minibatch, Width};

/// Bytes of values decoded at once: together with their pages they fit into a cache shared by two
/// threads.
const CHUNK_BYTES: usize = 4 << 20;
/// The same for rows stored as lists.
const CHUNK_BYTES_IN_ROWS: usize = 1 << 19;
/// Most rows decoded at once, if they are narrow.
const CHUNK_ROWS_MAX: usize = 8192;
/// Fewest rows decoded at once, even if they are wide, as long as they fit [`CHUNK_BYTES_MAX`].
const CHUNK_ROWS_MIN: usize = 1024;
/// Most bytes of a chunk of wide rows.
const CHUNK_BYTES_MAX: usize = 32 << 20;

/// Columns in the order of the features, the width and the layout of minibatches.
#[derive(Clone, Debug)]
pub struct FeatureSchema {
    pub(super) plan: Arc<Plan>,
    features: Features,
    selection: Selection,
    width: Width,
    layout: Layout,
}

impl FeatureSchema {
    /// Fixes the features from the first file, at `path`, with the help of `later` ones; `model`
    /// has the features of a model to score the rows with.
    ///
    /// # Errors
    /// If it cannot be read, or has no features.
    pub(super) fn resolve(
        path: &Path,
        first: &mut Opened,
        later: Later<'_>,
        params: &SourceParams,
        model: Option<&Features>,
    ) -> Result<Self, SourceError> {
        let Fixed {
            wanted,
            selection,
            width,
            null_lists,
        } = fix::fix(path, first, later, params, model)?;
        let plan = Plan {
            first: path.to_owned(),
            wanted,
            null_lists,
            has_durations: model.is_none(),
            // Set below, once the width is known.
            chunk_rows: 1,
            params: params.clone(),
        };
        Ok(Self::new(plan, selection, width))
    }

    fn new(plan: Plan, selection: Selection, width: Width) -> Self {
        let mut feature_schema = Self {
            features: names(&plan.wanted),
            layout: layout(&plan.wanted),
            plan: Arc::new(plan),
            selection,
            width,
        };
        feature_schema.set_width(width);
        feature_schema
    }

    fn set_width(&mut self, width: Width) {
        self.width = width;
        let rows = chunk_rows(self.features.len(), width, self.layout);
        Arc::make_mut(&mut self.plan).chunk_rows = rows;
    }

    /// Takes the footer of a later file into account before any row is read: if its values are f64,
    /// minibatches must be too.
    ///
    /// # Errors
    /// If the file disagrees with the features, or one of its columns is encrypted.
    pub(super) fn look_ahead(&mut self, path: &Path, later: &Opened) -> Result<(), SourceError> {
        let leaves = later::columns(path, &later.schema(), &self.plan)?;
        later.check(path, &leaves)?;
        if fix::widest(&leaves) == Width::F64 {
            self.set_width(Width::F64);
        }
        Ok(())
    }

    /// The columns of a later file, in the order of the features.
    ///
    /// # Errors
    /// If the file disagrees with the features.
    pub(super) fn columns(
        &self,
        path: &Path,
        later: &mut Opened,
    ) -> Result<Vec<Leaf>, SourceError> {
        fix::check_null_lists(path, later, &self.plan)?;
        later::columns(path, &later.schema(), &self.plan)
    }

    /// Names of the m features.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// Columns of the first file that were taken and left out.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Sets the columns of the first file that were left out.
    pub(super) fn set_left(&mut self, left: Vec<(String, String)>) {
        self.selection.left = left;
    }

    /// Bytes per value in a minibatch.
    pub fn value_bytes(&self) -> usize {
        match self.width {
            Width::F32 => 4,
            Width::F64 => 8,
        }
    }

    /// An empty minibatch of the agreed width and layout.
    pub fn new_minibatch(&self, capacity: usize) -> Minibatch {
        Minibatch::new(self.width, self.layout, capacity, self.features.len())
    }

    /// Bytes of the values of that many rows.
    pub fn bytes(&self, rows: usize) -> Option<usize> {
        let row = self.features.len().checked_mul(self.value_bytes())?;
        row.checked_mul(rows)
    }

    /// An empty minibatch in memory that `lease_memory` provides for the required number of bytes.
    ///
    /// # Errors
    /// If it provides none, or of the wrong length.
    pub fn minibatch_in(
        &self,
        capacity: usize,
        lease_memory: impl FnOnce(usize) -> io::Result<Box<dyn Lease>>,
    ) -> io::Result<Minibatch> {
        let other = || io::Error::other("memory of another length than the rows");
        let lease = lease_memory(self.bytes(capacity).ok_or_else(other)?)?;
        let shape = (capacity, self.features.len());
        Minibatch::leased(lease, self.width, self.layout, shape).ok_or_else(other)
    }

    /// Writes it, without the parameters.
    pub fn encode(&self, to: &mut Encoder) {
        to.bytes(self.plan.first.as_os_str().as_bytes());
        let is_wide = u8::from(self.width == Width::F64);
        let has_more = self.plan.has_durations;
        to.u8(is_wide | if has_more { HAS_MORE } else { 0 });
        to.usize(self.plan.wanted.len());
        for wanted in &self.plan.wanted {
            to.str(&wanted.name);
            let shape = match wanted.shape {
                Shape::Scalar => 0,
                Shape::List => 1,
                Shape::Binary(BinaryDtype::F16) => 2,
                Shape::Binary(BinaryDtype::F32) => 3,
                Shape::Binary(BinaryDtype::F64) => 4,
            };
            to.u8(shape
                | match wanted.kind {
                    Kind::Number => 0,
                    Kind::Seconds => SECONDS,
                    Kind::Unknown => UNKNOWN,
                });
            to.usize(wanted.len);
        }
        if has_more {
            to.usize(self.plan.null_lists.len());
            self.plan.null_lists.iter().for_each(|name| to.str(name));
        }
    }

    /// Reads what was written, with the parameters of this run.
    ///
    /// # Errors
    /// If it is missing.
    pub fn decode(from: &mut Decoder<'_>, params: &SourceParams) -> Result<Self, CodecError> {
        let first = PathBuf::from(OsStr::from_bytes(from.bytes()?));
        let flags = from.u8()?;
        let (width, has_more) = match flags & !HAS_MORE {
            0 => (Width::F32, flags & HAS_MORE != 0),
            1 => (Width::F64, flags & HAS_MORE != 0),
            _ => return Err(from.refuse(format!("{flags} is no width of values"))),
        };
        let mut wanted = Vec::new();
        let mut features = 0_usize;
        // A column takes at least 17 bytes: the length of its name, its shape, its length.
        for _ in 0..from.count(17)? {
            let name = from.str()?.to_owned();
            let code = from.u8()?;
            let kind = match code & (SECONDS | UNKNOWN) {
                0 => Kind::Number,
                SECONDS => Kind::Seconds,
                UNKNOWN => Kind::Unknown,
                _ => return Err(from.refuse(format!("{code} is no kind of a column"))),
            };
            let shape = match code & !(SECONDS | UNKNOWN) {
                0 => Shape::Scalar,
                1 => Shape::List,
                2 => Shape::Binary(BinaryDtype::F16),
                3 => Shape::Binary(BinaryDtype::F32),
                4 => Shape::Binary(BinaryDtype::F64),
                other => return Err(from.refuse(format!("{other} is no shape of a column"))),
            };
            let len = from.usize()?;
            features = features.saturating_add(len);
            if len == 0 || features > FEATURES_MAX {
                return Err(from.refuse(format!("{features} features")));
            }
            wanted.push(FeatureColumn {
                name,
                shape,
                len,
                kind,
            });
        }
        let mut null_lists = Vec::new();
        if has_more {
            for _ in 0..from.count(8)? {
                null_lists.push(from.str()?.to_owned());
            }
        }
        let selection = fix::taken(&wanted);
        let plan = Plan {
            first,
            wanted,
            null_lists,
            has_durations: has_more,
            chunk_rows: 1,
            params: params.clone(),
        };
        Ok(Self::new(plan, selection, width))
    }
}

fn names(wanted: &[FeatureColumn]) -> Features {
    let mut names = Vec::new();
    for column in wanted {
        if column.shape == Shape::Scalar {
            names.push(column.name.clone());
        } else {
            names.extend((0..column.len).map(|i| format!("{}.{i}", column.name)));
        }
    }
    Features::new(names)
}

fn layout(wanted: &[FeatureColumn]) -> Layout {
    let all: usize = wanted.iter().map(|w| w.len).sum();
    let in_rows = wanted.iter().filter(|w| w.shape != Shape::Scalar);
    let in_rows: usize = in_rows.map(|w| w.len).sum();
    // The majority of the values decides, because lists are copied as runs into rows, and columns
    // as runs into columns.
    if 2 * in_rows > all {
        Layout::RowMajor
    } else {
        Layout::ColumnMajor
    }
}

fn chunk_rows(features: usize, width: Width, layout: Layout) -> usize {
    let row_bytes = features
        * match width {
            Width::F32 => 4,
            Width::F64 => 8,
        };
    match layout {
        // One call of the decoder a column: the more rows, the fewer calls.
        Layout::ColumnMajor => (CHUNK_BYTES / row_bytes)
            .clamp(CHUNK_ROWS_MIN, CHUNK_ROWS_MAX)
            .min((CHUNK_BYTES_MAX / row_bytes).max(1)),
        // One call for all values: few rows stay in a core's own cache.
        Layout::RowMajor => (CHUNK_BYTES_IN_ROWS / row_bytes).clamp(16, CHUNK_ROWS_MAX),
    }
}

/// Flag stored with the width: durations are numbers, and the names of lists without values follow.
/// Schemas from before this existed lack the flag and keep their meaning.
const HAS_MORE: u8 = 0x02;
/// Flags stored with the shape of a column: its values are durations; no value was seen.
const SECONDS: u8 = 0x10;
const UNKNOWN: u8 = 0x20;

/// Most features of a stored schema: the state of more would not fit any memory.
const FEATURES_MAX: usize = 1 << 28;

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> Result<FeatureSchema, CodecError> {
        let mut from = Decoder::new("feature_schema", bytes);
        let feature_schema = FeatureSchema::decode(&mut from, &SourceParams::default())?;
        from.finish()?;
        Ok(feature_schema)
    }

    #[test]
    fn what_an_earlier_version_agreed_on_stays_as_it_was() {
        let mut before = Encoder::new();
        before.bytes(b"1.parquet");
        before.bool(true);
        before.usize(2);
        for (name, shape, len) in [("a", 0, 1), ("l", 1, 3)] {
            before.str(name);
            before.u8(shape);
            before.usize(len);
        }
        let before = before.into_bytes();
        let feature_schema = decoded(&before).unwrap();
        assert_eq!(
            feature_schema.features().names(),
            ["a", "l.0", "l.1", "l.2"]
        );
        assert!(
            !feature_schema.plan.has_durations,
            "durations were no numbers"
        );
        let mut again = Encoder::new();
        feature_schema.encode(&mut again);
        assert_eq!(again.into_bytes(), before);
    }

    #[test]
    fn kinds_and_lists_without_a_value_outlive_a_process() {
        let column = |name: &str, kind: Kind| FeatureColumn {
            name: name.to_owned(),
            shape: Shape::Scalar,
            len: 1,
            kind,
        };
        let plan = Plan {
            first: PathBuf::from("1.parquet"),
            wanted: vec![column("d", Kind::Seconds), column("v", Kind::Unknown)],
            null_lists: vec!["l".to_owned()],
            has_durations: true,
            chunk_rows: 1,
            params: SourceParams::default(),
        };
        let feature_schema = FeatureSchema::new(plan, Selection::default(), Width::F64);
        let mut bytes = Encoder::new();
        feature_schema.encode(&mut bytes);
        let bytes = bytes.into_bytes();
        let found = decoded(&bytes).unwrap();
        let kinds: Vec<Kind> = found.plan.wanted.iter().map(|w| w.kind).collect();
        assert_eq!(kinds, [Kind::Seconds, Kind::Unknown]);
        assert_eq!(found.plan.null_lists, ["l"]);
        assert_eq!(found.selection.in_seconds, ["d"]);
        for len in 0..bytes.len() {
            assert!(decoded(&bytes[..len]).is_err(), "{len} bytes");
        }
    }
}
