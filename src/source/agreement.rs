//! What all files must give, as the first one fixed it: plain data that outlives a process.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::Schema;

use super::open::{self, Opened};
use super::select::{self, Globs, Plan, Shape, Wanted};
use super::{BinaryDtype, Selection, SourceError, SourceParams, guard};
use crate::codec::{CodecError, Decoder, Encoder};
use crate::rows::{Features, Layout, Lent, Minibatch, Width};

/// Columns in the order of the features, the width and the layout of minibatches.
#[derive(Clone, Debug)]
pub struct Agreement {
    pub(super) plan: Arc<Plan>,
    features: Features,
    selection: Selection,
    width: Width,
    layout: Layout,
}

impl Agreement {
    /// What the first file of all, which lies at `path`, fixes.
    ///
    /// # Errors
    /// If it cannot be read, or gives no feature.
    pub(super) fn of(
        path: &Path,
        mut first: Opened,
        params: &SourceParams,
    ) -> Result<Self, SourceError> {
        let globs = Globs::new(params)?;
        let path = path.to_owned();
        let schema = first.schema();
        let (mut leaves, mut selection) = select::choose(&path, &schema, params, &globs)?;
        if leaves.is_empty() {
            return Err(open::no_feature(path, &selection));
        }
        guard::catch(&path, || first.lengths(&path, &mut leaves))?;
        let wanted = leaves
            .iter()
            .map(open::wanted(&path))
            .collect::<Result<Vec<_>, _>>()?;
        open::check_width(&path, &wanted, params)?;
        selection.taken = wanted.iter().map(|w| (w.name.clone(), w.len)).collect();
        let width = open::widest(&leaves);
        Ok(Self::new(path, wanted, selection, width, params))
    }

    /// Refuses a schema that can fix no features. Lists tell their lengths by their rows alone: a schema
    /// with one may be refused later.
    ///
    /// # Errors
    /// As [`Agreement::of`].
    pub(super) fn foresee(
        path: &Path,
        schema: &Schema,
        params: &SourceParams,
    ) -> Result<(), SourceError> {
        let globs = Globs::new(params)?;
        let (leaves, selection) = select::choose(path, schema, params, &globs)?;
        if leaves.is_empty() {
            return Err(open::no_feature(path.to_owned(), &selection));
        }
        if leaves.iter().any(|leaf| leaf.len.is_none()) {
            return Ok(());
        }
        let wanted = leaves.iter().map(open::wanted(path));
        open::check_width(path, &wanted.collect::<Result<Vec<_>, _>>()?, params)
    }

    fn new(
        first: PathBuf,
        wanted: Vec<Wanted>,
        selection: Selection,
        width: Width,
        params: &SourceParams,
    ) -> Self {
        let features = open::names(&wanted);
        let layout = open::layout(&wanted);
        let chunk_rows = open::chunk_rows(features.len(), width, layout);
        let plan = Plan {
            first,
            wanted,
            chunk_rows,
            params: params.clone(),
        };
        Self {
            plan: Arc::new(plan),
            features,
            selection,
            width,
            layout,
        }
    }

    /// Names of the m features.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// What was taken and what was left of the first file.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Says what was left of the first file.
    pub(super) fn set_left(&mut self, left: Vec<(String, String)>) {
        self.selection.left = left;
    }

    /// Bytes of a value of a minibatch.
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

    /// An empty minibatch in memory that `lend` gives for so many bytes.
    ///
    /// # Errors
    /// If it gives none, or of another length.
    pub fn minibatch_in(
        &self,
        capacity: usize,
        lend: impl FnOnce(usize) -> io::Result<Box<dyn Lent>>,
    ) -> io::Result<Minibatch> {
        let other = || io::Error::other("memory of another length than the rows");
        let lent = lend(self.bytes(capacity).ok_or_else(other)?)?;
        let shape = (capacity, self.features.len());
        Minibatch::lent(lent, self.width, self.layout, shape).ok_or_else(other)
    }

    /// Writes it, without the parameters.
    pub fn encode(&self, to: &mut Encoder) {
        to.bytes(self.plan.first.as_os_str().as_bytes());
        to.bool(self.width == Width::F64);
        to.usize(self.plan.wanted.len());
        for wanted in &self.plan.wanted {
            to.str(&wanted.name);
            to.u8(match wanted.shape {
                Shape::Scalar => 0,
                Shape::List => 1,
                Shape::Binary(BinaryDtype::F16) => 2,
                Shape::Binary(BinaryDtype::F32) => 3,
                Shape::Binary(BinaryDtype::F64) => 4,
            });
            to.usize(wanted.len);
        }
    }

    /// Reads what was written, with the parameters of this run.
    ///
    /// # Errors
    /// If it is not there.
    pub fn decode(from: &mut Decoder<'_>, params: &SourceParams) -> Result<Self, CodecError> {
        let first = PathBuf::from(OsStr::from_bytes(from.bytes()?));
        let width = if from.bool()? { Width::F64 } else { Width::F32 };
        let mut wanted = Vec::new();
        let mut features = 0_usize;
        for _ in 0..from.count(17)? {
            let name = from.str()?.to_owned();
            let shape = match from.u8()? {
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
            wanted.push(Wanted { name, shape, len });
        }
        let selection = Selection {
            taken: wanted.iter().map(|w| (w.name.clone(), w.len)).collect(),
            left: Vec::new(),
        };
        Ok(Self::new(first, wanted, selection, width, params))
    }
}

/// Features that a stored agreement may have: the state of more would not fit any memory.
const FEATURES_MAX: usize = 1 << 28;
