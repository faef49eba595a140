//! [`IngestState`] ↔ bytes: the sections `feed`, `tally` and `quarantine` of a checkpoint; `pushed` is
//! beside its type.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::entry::{FileEntry, FileState};
use super::keys::PushedKeys;
use super::state::{IngestState, Quarantined};
use crate::codec::{CodecError, Decoder, Encoder};
use crate::rows::RowCounts;
use crate::source::fingerprint::{FileMeta, Fingerprint};
use crate::source::worker::{Fault, Refusal};
use crate::source::{FeatureSchema, Format, SegmentRead, SourceParams};
use crate::text::{MESSAGE_BYTES_MAX, bounded};

/// Version of the section `feed`: 1 had the list of files, too.
const FEED_VERSION: u8 = 2;
/// Version of the section `quarantine`.
const VERSION: u8 = 1;
/// Version of the section `tally`: 1 had no reasons of rejected rows.
const TALLY_VERSION: u8 = 2;

/// Added to the state of a file with an abandoned segment: the start of the segment follows.
const WITHIN: u8 = 16;

impl FileState {
    fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Growing => 1,
            Self::Quarantined => 2,
        }
    }

    fn of_code(code: u8) -> Option<Self> {
        [Self::Done, Self::Growing, Self::Quarantined]
            .get(usize::from(code))
            .copied()
    }
}

/// A path, byte by byte.
pub(super) fn encode_path(path: &Path, to: &mut Encoder) {
    to.bytes(path.as_os_str().as_bytes());
}

/// The path that was written.
pub(super) fn decode_path(from: &mut Decoder<'_>) -> Result<PathBuf, CodecError> {
    Ok(PathBuf::from(OsStr::from_bytes(from.bytes()?)))
}

impl FileEntry {
    pub(super) fn encode(&self, to: &mut Encoder) {
        encode_path(&self.path, to);
        self.encode_behind_path(to);
    }

    /// All but the path.
    pub(super) fn encode_behind_path(&self, to: &mut Encoder) {
        to.u8(self.format.map_or(u8::MAX, Format::code));
        self.fingerprint.encode(to);
        to.u64(self.rows);
        to.u64(self.ahead);
        to.u8(self.state.code() + if self.within.is_some() { WITHIN } else { 0 });
        if let Some(start) = self.within {
            to.u64(start);
        }
    }

    pub(super) fn decode(from: &mut Decoder<'_>) -> Result<Self, CodecError> {
        let path = decode_path(from)?;
        Self::decode_behind_path(path, from)
    }

    /// The metadata and the state of a file, read from what `encode_behind_path` wrote.
    pub(super) fn peek(bytes: &[u8]) -> Option<(FileMeta, FileState)> {
        let mut from = Decoder::new("a file", bytes);
        from.u8().ok()?;
        let (_, meta) = Fingerprint::decode_meta(&mut from).ok()?;
        // Head, print, bytes, rows and rows ahead.
        from.array::<88>().ok()?;
        let code = from.u8().ok()?;
        Some((meta, FileState::of_code(code % WITHIN)?))
    }

    /// Reads what `encode_behind_path` wrote about the file at `path`.
    pub(super) fn decode_behind_path(
        path: PathBuf,
        from: &mut Decoder<'_>,
    ) -> Result<Self, CodecError> {
        let format = match from.u8()? {
            u8::MAX => None,
            code => {
                let format = Format::of_code(code);
                Some(format.ok_or_else(|| from.refuse(format!("unknown format {code}")))?)
            }
        };
        let (fingerprint, rows, ahead) = (Fingerprint::decode(from)?, from.u64()?, from.u64()?);
        let code = from.u8()?;
        let state = FileState::of_code(code % WITHIN);
        let within = if code < WITHIN {
            None
        } else {
            Some(from.u64()?)
        };
        Ok(Self {
            path,
            format,
            fingerprint,
            rows,
            ahead,
            within,
            state: state.ok_or_else(|| from.refuse(format!("unknown state {code}")))?,
        })
    }
}

impl Quarantined {
    /// Writes all of it.
    pub fn encode(&self, to: &mut Encoder) {
        to.u64(self.file);
        encode_path(&self.path, to);
        to.u64(self.rows);
        to.u8(self.refusal.fault.code());
        to.str(&self.refusal.reason);
        to.u64(self.at_unix_s);
    }

    /// Reads what was written.
    ///
    /// # Errors
    /// If it is missing.
    pub fn decode(from: &mut Decoder<'_>) -> Result<Self, CodecError> {
        let (file, path, rows, code) = (from.u64()?, decode_path(from)?, from.u64()?, from.u8()?);
        let fault =
            Fault::of_code(code).ok_or_else(|| from.refuse(format!("unknown fault {code}")))?;
        Ok(Self {
            file,
            path,
            rows,
            refusal: Refusal {
                fault,
                // Earlier versions kept reasons of any length.
                reason: bounded(from.str()?.to_owned(), MESSAGE_BYTES_MAX),
            },
            at_unix_s: from.u64()?,
        })
    }
}

impl IngestState {
    /// The section `feed`: features and positions.
    pub fn encode(&self, to: &mut Encoder) {
        to.u8(FEED_VERSION);
        to.u64(self.sequence);
        to.u64(self.steps);
        to.u64(self.next_file);
        to.u64(self.flushes);
        to.bool(self.feature_schema.is_some());
        if let Some(feature_schema) = &self.feature_schema {
            feature_schema.encode(to);
        }
        to.bool(self.reading.is_some());
        if let Some(reading) = &self.reading {
            reading.encode(to);
        }
    }

    /// The section `tally`: rows and values counted.
    pub fn encode_tally(&self, to: &mut Encoder) {
        to.u8(TALLY_VERSION);
        let counts = &self.counts;
        to.u64(counts.rows_read);
        to.u64(counts.rows_accepted);
        to.u64(counts.rows_rejected);
        counts.rejected_by.iter().for_each(|rows| to.u64(*rows));
        to.u64s(&counts.nulls);
        to.u64s(&counts.nans);
        to.u64s(&counts.infinities);
    }

    /// The section `quarantine`: refused files.
    pub fn encode_quarantine(&self, to: &mut Encoder) {
        to.u8(VERSION);
        to.u64(self.quarantined);
        to.usize(self.quarantine.len());
        for entry in &self.quarantine {
            entry.encode(to);
        }
    }

    /// Reads the sections: `feed`, `tally`, `quarantine`, `pushed`. Data about individual files is
    /// stored elsewhere; only a section of version 1 contains it.
    ///
    /// # Errors
    /// If they are damaged.
    pub fn decode(
        [feed, counts, quarantine, pushed]: [&[u8]; 4],
        params: &SourceParams,
    ) -> Result<Self, CodecError> {
        let mut from = Decoder::new("feed", feed);
        let feed_version = from.u8()?;
        if !(1..=FEED_VERSION).contains(&feed_version) {
            let known =
                format!("version {feed_version}; this program reads version {FEED_VERSION}");
            return Err(from.refuse(known));
        }
        let mut state = Self {
            sequence: from.u64()?,
            steps: from.u64()?,
            next_file: from.u64()?,
            flushes: from.u64()?,
            ..Self::default()
        };
        if from.bool()? {
            state.feature_schema = Some(FeatureSchema::decode(&mut from, params)?);
        }
        if from.bool()? {
            state.reading = Some(SegmentRead::decode(&mut from)?);
        }
        if feed_version == 1 {
            for _ in 0..from.count(8)? {
                let file = from.u64()?;
                state.files.put(file, FileEntry::decode(&mut from)?);
            }
        }
        from.finish()?;
        state.counts = decode_tally(counts)?;
        let mut from = Decoder::new("quarantine", quarantine);
        version(&mut from)?;
        state.quarantined = from.u64()?;
        for _ in 0..from.count(8)? {
            state.quarantine.push_back(Quarantined::decode(&mut from)?);
        }
        from.finish()?;
        state.pushed = PushedKeys::decode(pushed)?;
        // States of the first version kept the features of a file that had ended without a row.
        state.free_features();
        Ok(state)
    }
}

fn decode_tally(bytes: &[u8]) -> Result<RowCounts, CodecError> {
    let mut from = Decoder::new("tally", bytes);
    let version = from.u8()?;
    if !(1..=TALLY_VERSION).contains(&version) {
        let known = format!("version {version}; this program reads version {TALLY_VERSION}");
        return Err(from.refuse(known));
    }
    let mut counts = RowCounts {
        rows_read: from.u64()?,
        rows_accepted: from.u64()?,
        rows_rejected: from.u64()?,
        ..RowCounts::default()
    };
    if version > 1 {
        counts.rejected_by = [from.u64()?, from.u64()?, from.u64()?];
    }
    counts.nulls = from.u64s()?;
    counts.nans = from.u64s()?;
    counts.infinities = from.u64s()?;
    from.finish()?;
    Ok(counts)
}

fn version(from: &mut Decoder<'_>) -> Result<(), CodecError> {
    match from.u8()? {
        VERSION => Ok(()),
        other => Err(from.refuse(format!(
            "version {other}; this program reads version {VERSION}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_of_an_earlier_version_is_cut_short() {
        let long = Quarantined {
            file: 7,
            path: "a.parquet".into(),
            rows: 3,
            refusal: Refusal {
                fault: Fault::File,
                reason: format!("a.parquet: {}; rename it", "n".repeat(500_000)),
            },
            at_unix_s: 1,
        };
        let mut to = Encoder::default();
        long.encode(&mut to);
        let bytes = to.into_bytes();
        let read = Quarantined::decode(&mut Decoder::new("quarantine", &bytes)).expect("an entry");
        assert_eq!((read.file, read.rows, read.at_unix_s), (7, 3, 1));
        let reason = &read.refusal.reason;
        assert!(reason.len() <= MESSAGE_BYTES_MAX, "{}", reason.len());
        assert!(reason.starts_with("a.parquet: nn"), "{reason}");
        assert!(reason.ends_with("nn; rename it"), "{reason}");
    }
}
