//! A part of a file that does not change any more, and its rows.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SourceError;
use super::SourceParams;
use super::agreement::Agreement;
use super::error::unreadable;
use super::fix::Later;
use super::format::Format;
use super::identity::{Identity, Stamp, open_quietly};
use super::input_rows::{End, IdSink, InputRows};
use super::open::Opened;
use super::positioned::Witness;
use super::tagger::Tagger;
use crate::codec::{CodecError, Decoder, Encoder};
use crate::rows::{Minibatch, Tags, Tally};

/// A whole file, or complete messages of a growing one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it is.
    pub path: PathBuf,
    /// Its first bytes.
    pub format: Format,
    /// Which file it is; its `bytes` are the end of the segment.
    pub identity: Identity,
    /// Where it starts: 0, or behind the messages that were taken before.
    pub start: u64,
}

impl Segment {
    /// Writes all of it.
    pub fn encode(&self, to: &mut Encoder) {
        to.bytes(self.path.as_os_str().as_bytes());
        to.u8(self.format.code());
        self.identity.encode(to);
        to.u64(self.start);
    }

    /// Reads what was written.
    ///
    /// # Errors
    /// If it is not there.
    pub fn decode(from: &mut Decoder<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            path: PathBuf::from(OsStr::from_bytes(from.bytes()?)),
            format: Format::of_code(from.u8()?)
                .ok_or_else(|| from.refuse("no format of a file"))?,
            identity: Identity::decode(from)?,
            start: from.u64()?,
        })
    }

    /// Opens the file, if it is still the one whose turn has come.
    fn open(&self) -> Result<Arc<File>, SourceError> {
        let file = open_quietly(&self.path).map_err(|error| unreadable(&self.path, error))?;
        self.check(&file)?;
        Ok(Arc::new(file))
    }

    /// Refuses another file, and one that was written since. The name does not matter any more, and
    /// neither does the stamp where the content is as it was.
    fn check(&self, file: &File) -> Result<(), SourceError> {
        let wrong = |error| unreadable(&self.path, error);
        let (now, then) = (
            Stamp::of(&file.metadata().map_err(wrong)?),
            &self.identity.stamp,
        );
        let is_quiet =
            now.is_same_inode(then) && now.bytes == then.bytes && now.changed_ns == then.changed_ns;
        if is_quiet {
            return Ok(());
        }
        // A stream may have grown, and one that was emptied in its place may have grown past that.
        let is_same = match self.format {
            Format::IpcStream => self.identity.is_prefix_of(file),
            _ => self.identity.is_all_of(file),
        };
        if is_same.map_err(wrong)? {
            return Ok(());
        }
        Err(SourceError::ChangedWhileRead {
            path: self.path.clone(),
        })
    }

    /// Who is to blame for an error: the system, if it refused to read; somebody who changed the file
    /// meanwhile; else the file.
    fn blamed(&self, error: SourceError, file: &File, witness: &Witness) -> SourceError {
        if let Some(refused) = witness.error() {
            return unreadable(&self.path, refused);
        }
        self.check(file).err().unwrap_or(error)
    }

    /// Reads the schema of the open file.
    fn opened(&self, file: &Arc<File>, witness: &mut Witness) -> Result<Opened, SourceError> {
        let part = Some((self.start, self.identity.bytes));
        Opened::of(&self.path, self.format, file, part, witness)
    }

    /// What this file fixes for all that follow.
    ///
    /// # Errors
    /// If it cannot be read, or gives no feature.
    pub fn agree(&self, params: &SourceParams) -> Result<Agreement, SourceError> {
        let file = self.open()?;
        let mut witness = Witness::default();
        self.opened(&file, &mut witness)
            .and_then(|mut first| {
                Agreement::resolve(&self.path, &mut first, Later::Unknown, params, None)
            })
            .map_err(|error| self.blamed(error, &file, &witness))
    }
}

/// Some rows of a segment.
#[derive(Clone, Debug, Default)]
pub struct Piece {
    /// Rows and values counted in it.
    pub tally: Tally,
    /// Whether the segment ends with it.
    pub is_last: bool,
    /// Ids of its rows, where they were asked for.
    pub tags: Option<Tags>,
}

/// The rows of a segment, from any of them on.
pub struct Extraction {
    segment: Segment,
    /// Held open: from here on its name may change.
    file: Arc<File>,
    witness: Witness,
    agreement: Agreement,
    rows: InputRows,
    /// Whether ids are read too.
    with_ids: bool,
    failed: Option<SourceError>,
}

impl Extraction {
    /// Opens a segment behind its first `skip` rows.
    ///
    /// # Errors
    /// If it is another file by now, cannot be read, or does not agree.
    pub fn open(segment: &Segment, agreement: &Agreement, skip: u64) -> Result<Self, SourceError> {
        Self::open_part(segment, agreement, skip, false)
    }

    /// The same, with the ids of its rows. Ids that cannot be read are null: they are there to be
    /// looked at, and a file whose features can be learned is not refused for them.
    ///
    /// # Errors
    /// As [`Extraction::open`].
    pub fn open_with_ids(
        segment: &Segment,
        agreement: &Agreement,
        skip: u64,
    ) -> Result<Self, SourceError> {
        let with_ids = !agreement.plan.params.ids.is_empty();
        let opened = Self::open_part(segment, agreement, skip, with_ids);
        match opened {
            Err(_) if with_ids => Self::open(segment, agreement, skip),
            opened => opened,
        }
    }

    fn open_part(
        segment: &Segment,
        agreement: &Agreement,
        skip: u64,
        with_ids: bool,
    ) -> Result<Self, SourceError> {
        let file = segment.open()?;
        let mut witness = Witness::default();
        let opened = Self::begin(segment, agreement, skip, with_ids, (&file, &mut witness));
        opened.map_err(|error| segment.blamed(error, &file, &witness))
    }

    fn begin(
        segment: &Segment,
        agreement: &Agreement,
        skip: u64,
        with_ids: bool,
        (file, witness): (&Arc<File>, &mut Witness),
    ) -> Result<Self, SourceError> {
        let mut opened = segment.opened(file, witness)?;
        let leaves = agreement.columns(&segment.path, &mut opened)?;
        let how = (skip, with_ids);
        let rows = InputRows::open(&segment.path, opened, leaves, agreement, how)?;
        Ok(Self {
            segment: segment.clone(),
            file: Arc::clone(file),
            witness: witness.clone(),
            agreement: agreement.clone(),
            rows,
            with_ids,
            failed: None,
        })
    }

    /// The same, ending behind so many rows of the segment.
    #[must_use]
    pub fn until(mut self, rows: Option<u64>) -> Self {
        self.rows.set_until(rows.unwrap_or(u64::MAX));
        self
    }

    /// Rows handed over or skipped.
    pub fn rows(&self) -> u64 {
        self.rows.rows()
    }

    /// Appends up to `want` rows that pass behind the first `at` of `batch`.
    ///
    /// # Errors
    /// At bytes that cannot be decoded, at a value that no policy lets pass, and when the file
    /// changed. Pieces given before stay valid.
    ///
    /// # Panics
    /// If `batch` has another number of features.
    pub fn next(
        &mut self,
        batch: &mut Minibatch,
        at: usize,
        want: usize,
    ) -> Result<Piece, SourceError> {
        self.piece(batch, at, want, None)
    }

    /// The same, with ids as `tagger` writes them; null where the segment was opened without.
    ///
    /// # Errors
    /// As [`Extraction::next`].
    ///
    /// # Panics
    /// As [`Extraction::next`].
    pub fn next_with_ids(
        &mut self,
        batch: &mut Minibatch,
        at: usize,
        want: usize,
        tagger: &mut Tagger,
    ) -> Result<Piece, SourceError> {
        tagger.begin(self.agreement.plan.params.ids.len());
        let piece = self.piece(batch, at, want, Some(tagger));
        let tags = tagger.end();
        piece.map(|piece| Piece {
            tags: Some(tags),
            ..piece
        })
    }

    fn piece(
        &mut self,
        batch: &mut Minibatch,
        at: usize,
        want: usize,
        mut tagger: Option<&mut Tagger>,
    ) -> Result<Piece, SourceError> {
        let m = self.agreement.features().len();
        assert_eq!(batch.features(), m, "features of the minibatch");
        if let Some(error) = self.failed.take() {
            return Err(self.segment.blamed(error, &self.file, &self.witness));
        }
        let mut piece = Piece {
            tally: Tally::of(m),
            ..Piece::default()
        };
        let mut taken = 0;
        let is_last = loop {
            let place = (&mut *batch, at + taken);
            let ids = tagger.as_deref_mut().map(|ids| ids as &mut dyn IdSink);
            let filled = self.rows.fill(place, want - taken, &mut piece.tally, ids);
            taken += filled.rows;
            match filled.end {
                End::Full => break Ok(false),
                End::Until => break Ok(true),
                End::Input => break self.segment.check(&self.file).map(|()| true),
                // It may be the ids that cannot be read: without them the file says what it is worth.
                End::Failed(_) if self.with_ids => {
                    if let Err(error) = self.reopen_without_ids() {
                        break Err(error);
                    }
                }
                End::Failed(error) => break Err(error),
            }
        };
        match is_last {
            Ok(is_last) => piece.is_last = is_last,
            Err(error) if piece.tally.rows_read == 0 => {
                return Err(self.segment.blamed(error, &self.file, &self.witness));
            }
            // What came before the bad place is whole: it goes first.
            Err(error) => self.failed = Some(error),
        }
        batch.set_rows(at + taken);
        Ok(piece)
    }

    /// Goes on without ids. Chunks begin where they would have begun.
    fn reopen_without_ids(&mut self) -> Result<(), SourceError> {
        let again = Self::open(&self.segment, &self.agreement, self.rows())?;
        let until = self.rows.until();
        *self = again;
        self.rows.set_until(until);
        Ok(())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.segment.path
    }
}
