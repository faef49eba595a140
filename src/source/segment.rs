//! A part of a file that does not change any more, and its rows.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SourceError;
use super::agreement::Agreement;
use super::batches::{Feed, Task};
use super::column::{Chunk, Column};
use super::discover::{Format, unreadable};
use super::fix;
use super::identity::{Identity, Stamp, open_quietly};
use super::open::Opened;
use super::positioned::Witness;
use super::sieve::{From, Sieve};
use super::tagger::Tagger;
use super::{SourceParams, guard, select};
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

    /// What this file fixes for all that follow.
    ///
    /// # Errors
    /// If it cannot be read, or gives no feature.
    pub fn agree(&self, params: &SourceParams) -> Result<Agreement, SourceError> {
        let file = self.open()?;
        let mut witness = Witness::default();
        Opened::open_part(self, &file, &mut witness)
            .and_then(|opened| Agreement::of(&self.path, opened, params))
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
    feed: Box<dyn Feed>,
    chunk: Chunk,
    used: usize,
    /// Rows of the segment handed over or skipped.
    row: u64,
    /// Rows to stop behind.
    until: u64,
    sieve: Sieve,
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
        let mut opened = Opened::open_part(segment, file, witness)?;
        fix::check_null_lists(&segment.path, &mut opened, &agreement.plan)?;
        let task = Task {
            leaves: select::agree(&segment.path, &opened.schema(), &agreement.plan)?,
            path: segment.path.clone(),
            plan: agreement.plan.clone(),
            with_ids,
        };
        let feed = guard::catch(&segment.path, || {
            let mut feed = opened.into_feed(task)?;
            let skipped = feed.skip(skip)?;
            Ok((feed, skipped))
        });
        let (feed, skipped) = feed?;
        let wanted = agreement.plan.wanted.iter();
        let mut extraction = Self {
            segment: segment.clone(),
            file: Arc::clone(file),
            witness: witness.clone(),
            agreement: agreement.clone(),
            feed,
            chunk: Chunk {
                columns: wanted.map(|w| Column::new(w.len)).collect(),
                ..Chunk::default()
            },
            used: 0,
            row: skipped,
            until: u64::MAX,
            sieve: Sieve::default(),
            with_ids,
            failed: None,
        };
        extraction.pass_over(skip - skipped)?;
        Ok(extraction)
    }

    /// The same, ending behind so many rows of the segment.
    #[must_use]
    pub fn until(mut self, rows: Option<u64>) -> Self {
        self.until = rows.unwrap_or(u64::MAX);
        self
    }

    /// Rows handed over or skipped.
    pub fn rows(&self) -> u64 {
        self.row
    }

    fn pass_over(&mut self, mut rows: u64) -> Result<(), SourceError> {
        while rows > 0 {
            if self.used == self.chunk.rows && !self.advance()? {
                return Err(SourceError::Corrupt {
                    path: self.segment.path.clone(),
                    reason: format!(
                        "it ends before row {}, which it had before",
                        self.row + rows
                    ),
                });
            }
            let here = rows.min((self.chunk.rows - self.used) as u64);
            self.used += here as usize;
            self.row += here;
            rows -= here;
        }
        Ok(())
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
        while taken < want {
            let place = (&mut *batch, at + taken);
            match self.part(place, want - taken, &mut piece.tally, tagger.as_deref_mut()) {
                Ok(Some(n)) => taken += n,
                Ok(None) => {
                    piece.is_last = true;
                    break;
                }
                Err(error) if piece.tally.rows_read == 0 => {
                    return Err(self.segment.blamed(error, &self.file, &self.witness));
                }
                Err(error) => {
                    // What came before the bad place is whole: it goes first.
                    self.failed = Some(error);
                    break;
                }
            }
        }
        batch.set_rows(at + taken);
        Ok(piece)
    }

    /// Takes rows of one chunk; nothing at the end.
    fn part(
        &mut self,
        place: (&mut Minibatch, usize),
        want: usize,
        tally: &mut Tally,
        tagger: Option<&mut Tagger>,
    ) -> Result<Option<usize>, SourceError> {
        let left = usize::try_from(self.until.saturating_sub(self.row)).unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(None);
        }
        if self.used == self.chunk.rows && !self.advance()? {
            self.segment.check(&self.file)?;
            return Ok(None);
        }
        let rows = self.used..self.chunk.rows.min(self.used + want.min(left));
        let all = rows.len();
        let from = From {
            path: &self.segment.path,
            row: self.row,
            features: self.agreement.features(),
        };
        let before = tally.clone();
        let params = &self.agreement.plan.params;
        let taken = self
            .sieve
            .take(&mut self.chunk, rows.clone(), &from, params, tally, place);
        let taken = taken.inspect_err(|_| *tally = before)?;
        if let Some(tagger) = tagger {
            let (path, ids) = (&self.segment.path, self.chunk.ids.as_ref());
            tagger.take(path, ids, rows, self.sieve.passed(), taken);
        }
        self.used += all;
        self.row += all as u64;
        Ok(Some(taken))
    }

    fn advance(&mut self) -> Result<bool, SourceError> {
        (self.chunk.rows, self.used) = (0, 0);
        let (feed, chunk) = (&mut self.feed, &mut self.chunk);
        let advanced = guard::catch(&self.segment.path, || feed.next_chunk(chunk));
        if advanced.is_ok() || !self.with_ids {
            return advanced;
        }
        // It may be the ids that cannot be read: without them the file says what it is worth.
        // Chunks begin where they would have begun.
        let again = Self::open(&self.segment, &self.agreement, self.row)?;
        *self = Self {
            until: self.until,
            ..again
        };
        self.advance()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.segment.path
    }
}
