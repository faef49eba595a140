//! A part of a file that no longer changes, and its file while it is open.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SourceError;
use super::SourceParams;
use super::error::unreadable;
use super::feature_schema::FeatureSchema;
use super::fingerprint::{FileMeta, Fingerprint, open_quietly};
use super::fix::Later;
use super::format::Format;
use super::open::Opened;
use super::positioned::Witness;
use crate::codec::{CodecError, Decoder, Encoder};

/// A whole file, or complete messages of a growing one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its position.
    pub path: PathBuf,
    /// Its first bytes.
    pub format: Format,
    /// Identity of the file; its `bytes` are the end of the segment.
    pub fingerprint: Fingerprint,
    /// Its start: 0, or after the messages already taken.
    pub start: u64,
}

impl Segment {
    /// Writes all of it.
    pub fn encode(&self, to: &mut Encoder) {
        to.bytes(self.path.as_os_str().as_bytes());
        to.u8(self.format.code());
        self.fingerprint.encode(to);
        to.u64(self.start);
    }

    /// Reads what was written.
    ///
    /// # Errors
    /// If it is missing.
    pub fn decode(from: &mut Decoder<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            path: PathBuf::from(OsStr::from_bytes(from.bytes()?)),
            format: Format::of_code(from.u8()?)
                .ok_or_else(|| from.refuse("not a known file format"))?,
            fingerprint: Fingerprint::decode(from)?,
            start: from.u64()?,
        })
    }

    /// All of a file, as it is now.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn whole(path: &Path, format: Format) -> Result<Self, SourceError> {
        let fingerprint = open_quietly(path).and_then(|file| {
            let bytes = file.metadata()?.len();
            Fingerprint::of(&file, bytes)
        });
        Ok(Self {
            path: path.to_owned(),
            format,
            fingerprint: fingerprint.map_err(|error| unreadable(path, error))?,
            start: 0,
        })
    }

    /// Standard input: a segment that can be opened once, by whoever reads its schema.
    pub(super) fn stdin() -> Self {
        Self {
            path: PathBuf::from("-"),
            format: Format::Stdin,
            fingerprint: Fingerprint::default(),
            start: 0,
        }
    }

    /// Opens the file, if it is still the one that was decided on.
    ///
    /// # Errors
    /// If it is another one, or cannot be opened.
    pub(super) fn hold(&self) -> Result<Held, SourceError> {
        let file = open_quietly(&self.path).map_err(|error| unreadable(&self.path, error))?;
        let held = Held {
            segment: self.clone(),
            file: Arc::new(file),
            witness: Witness::default(),
        };
        // Opened before it is checked, so that the file read later is the one that was checked,
        // whatever its name leads to by then.
        held.check()?;
        Ok(held)
    }

    /// Determines the features that this file fixes for all that follow.
    ///
    /// # Errors
    /// If it cannot be read, or has no features.
    pub fn resolve(&self, params: &SourceParams) -> Result<FeatureSchema, SourceError> {
        let mut held = self.hold()?;
        let agreed = held.read_schema().and_then(|mut first| {
            FeatureSchema::resolve(&self.path, &mut first, Later::Unknown, params, None)
        });
        agreed.map_err(|error| held.blamed(error))
    }
}

/// A segment on its way from the decision that takes it to the decoder that reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentRead {
    /// The number of the file.
    pub file: u64,
    /// The rows.
    pub segment: Segment,
    /// Rows of the segment that were taken.
    pub rows: u64,
    /// True if nothing follows the segment in its file.
    pub is_final: bool,
}

impl SegmentRead {
    /// Writes all of it.
    pub fn encode(&self, to: &mut Encoder) {
        to.u64(self.file);
        self.segment.encode(to);
        to.u64(self.rows);
        to.bool(self.is_final);
    }

    /// Reads what was written.
    ///
    /// # Errors
    /// If it is missing.
    pub fn decode(from: &mut Decoder<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            file: from.u64()?,
            segment: Segment::decode(from)?,
            rows: from.u64()?,
            is_final: from.bool()?,
        })
    }
}

/// A segment whose file is open: from here on its name may change.
pub(super) struct Held {
    segment: Segment,
    file: Arc<File>,
    /// Records system errors.
    witness: Witness,
}

impl Held {
    pub fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Reads the schema.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_schema(&mut self) -> Result<Opened, SourceError> {
        let Segment { path, format, .. } = &self.segment;
        let part = Some((self.segment.start, self.segment.fingerprint.bytes));
        Opened::of(path, *format, &self.file, part, &mut self.witness)
    }

    /// Refuses a different file, and one written to since. The name no longer matters, and neither
    /// does the metadata if the content is unchanged.
    ///
    /// # Errors
    /// If it changed, or cannot be read.
    pub fn check(&self) -> Result<(), SourceError> {
        let Segment {
            path, fingerprint, ..
        } = &self.segment;
        let wrong = |error| unreadable(path, error);
        let now = FileMeta::of(&self.file.metadata().map_err(wrong)?);
        let then = &fingerprint.meta;
        let is_quiet =
            now.is_same_inode(then) && now.bytes == then.bytes && now.changed_ns == then.changed_ns;
        if is_quiet {
            return Ok(());
        }
        // A stream may have grown, and one that was emptied in its place may have grown past that.
        let is_same = match self.segment.format {
            Format::IpcStream => fingerprint.is_prefix_of(&self.file),
            _ => fingerprint.is_all_of(&self.file),
        };
        if is_same.map_err(wrong)? {
            return Ok(());
        }
        Err(SourceError::ChangedWhileRead {
            path: path.to_owned(),
        })
    }

    /// Assigns the blame for an error: to the system if it refused to read, to a change of the file
    /// meanwhile, otherwise to the file.
    pub fn blamed(&self, error: SourceError) -> SourceError {
        if let Some(refused) = self.witness.error() {
            return unreadable(&self.segment.path, refused);
        }
        self.check().err().unwrap_or(error)
    }
}
