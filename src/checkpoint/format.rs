//! The checkpoint file: a header, a table of sections, the sections, a checksum over all of it.
//!
//! ```text
//! offset  bytes  content
//! 0       8      "OJADCKPT"
//! 8       4      format version, 1
//! 12      4      n, number of sections
//! 16      8      sequence: number of the last journal entry that the state contains
//! 24      20·n   per section: id (4), offset from the start of the file (8), bytes (8)
//! …              the sections, one behind the other
//! end−32  32     SHA-256 of everything before
//! ```
//!
//! All numbers are little-endian.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::checkpoint::{CheckpointError, Mark};

const MAGIC: &[u8; 8] = b"OJADCKPT";
const VERSION: u32 = 1;
const HEADER: usize = 24;
const TABLE_ROW: usize = 20;
const CHECKSUM: usize = 32;
/// Most sections of a file: more would be a mistake.
const SECTIONS_MAX: usize = 1024;

/// The sections of a checkpoint; the numbers are those in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Section {
    /// JSON: version of the program, time of writing, keys of the configuration.
    Meta = 1,
    /// The learner's state.
    Learner = 2,
    /// Features and positions.
    Feed = 3,
    /// Rows waiting for a full minibatch.
    Waiting = 4,
    /// Rows and values counted.
    RowCounts = 5,
    /// Refused files.
    Quarantine = 6,
    /// The short-term and long-term states of the drift detector.
    Drift = 7,
    /// Keys of pushed bodies whose rows were taken.
    Pushed = 8,
    /// Name of the log of known files, and the length that counts.
    Files = 9,
    /// How the features moved, to tell those that only number the rows.
    Monitor = 10,
}

impl Section {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Meta,
        Self::Learner,
        Self::Feed,
        Self::Waiting,
        Self::RowCounts,
        Self::Quarantine,
        Self::Drift,
        Self::Pushed,
        Self::Files,
        Self::Monitor,
    ];

    /// The number in the file.
    pub fn id(self) -> u32 {
        self as u32
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Learner => "learner",
            Self::Feed => "feed",
            Self::Waiting => "waiting",
            Self::RowCounts => "tally",
            Self::Quarantine => "quarantine",
            Self::Drift => "drift",
            Self::Pushed => "pushed",
            Self::Files => "files",
            Self::Monitor => "monitor",
        }
    }
}

/// Everything that a run needs to continue, as bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Number of the last journal entry that the state contains.
    pub sequence: u64,
    /// Sections by their numbers; those unknown to this version are kept.
    pub sections: Vec<(u32, Vec<u8>)>,
}

impl Checkpoint {
    /// The bytes of a section; a missing one counts as empty.
    pub fn section(&self, section: Section) -> &[u8] {
        let found = self.sections.iter().find(|(id, _)| *id == section.id());
        found.map_or(&[], |(_, bytes)| bytes)
    }

    /// Adds a section.
    pub fn put(&mut self, section: Section, bytes: Vec<u8>) {
        self.sections.push((section.id(), bytes));
    }

    /// The mark of the log entries that it refers to.
    ///
    /// # Errors
    /// If the section is damaged.
    pub fn mark(&self, path: &Path) -> Result<Option<Mark>, CheckpointError> {
        Mark::decode(self.section(Section::Files)).map_err(|error| CheckpointError::Damaged {
            path: path.to_owned(),
            reason: error.to_string(),
        })
    }

    /// The file.
    pub fn encode(&self) -> Vec<u8> {
        let body: usize = self.sections.iter().map(|(_, bytes)| bytes.len()).sum();
        let mut at = HEADER + TABLE_ROW * self.sections.len();
        let mut file = Vec::with_capacity(at + body + CHECKSUM);
        file.extend_from_slice(MAGIC);
        file.extend_from_slice(&VERSION.to_le_bytes());
        file.extend_from_slice(&(self.sections.len() as u32).to_le_bytes());
        file.extend_from_slice(&self.sequence.to_le_bytes());
        for (id, bytes) in &self.sections {
            file.extend_from_slice(&id.to_le_bytes());
            file.extend_from_slice(&(at as u64).to_le_bytes());
            file.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            at += bytes.len();
        }
        for (_, bytes) in &self.sections {
            file.extend_from_slice(bytes);
        }
        let checksum = Sha256::digest(&file);
        file.extend_from_slice(&checksum);
        file
    }

    /// The checkpoint in the bytes of the file at `path`.
    ///
    /// # Errors
    /// If any byte is damaged.
    pub fn decode(file: &[u8], path: &Path) -> Result<Self, CheckpointError> {
        let damaged = |reason: String| CheckpointError::Damaged {
            path: path.to_owned(),
            reason,
        };
        if !file.starts_with(MAGIC) {
            return Err(damaged(
                "it does not start with the checkpoint signature".to_owned(),
            ));
        }
        let Some(end) = file
            .len()
            .checked_sub(CHECKSUM)
            .filter(|end| *end >= HEADER)
        else {
            return Err(damaged(format!(
                "{} bytes are too few for a checkpoint",
                file.len()
            )));
        };
        let (content, checksum) = file.split_at(end);
        let number = |at: usize| u32::from_le_bytes(array(&content[at..]));
        // With a wrong checksum the version itself may be the damage, so only an intact file is
        // reported as another version.
        if number(8) != VERSION && Sha256::digest(content)[..] == *checksum {
            return Err(CheckpointError::Version {
                path: path.to_owned(),
                found: number(8),
                known: VERSION,
            });
        }
        if Sha256::digest(content)[..] != *checksum {
            return Err(damaged(
                "its checksum does not match its content".to_owned(),
            ));
        }
        let count = number(12) as usize;
        if count > SECTIONS_MAX || HEADER + TABLE_ROW * count > end {
            return Err(damaged(format!("it declares {count} sections")));
        }
        let mut sections = Vec::new();
        for i in 0..count {
            let row = &content[HEADER + TABLE_ROW * i..];
            let (offset, len) = (
                u64::from_le_bytes(array(&row[4..])),
                u64::from_le_bytes(array(&row[12..])),
            );
            let bytes = usize::try_from(offset).ok().zip(usize::try_from(len).ok());
            let bytes =
                // The checksum is right, but anyone can compute one, so nothing in the table is
                // trusted.
                bytes.and_then(|(offset, len)| content.get(offset..offset.checked_add(len)?));
            let Some(bytes) = bytes else {
                return Err(damaged(format!("section {i} lies outside the file")));
            };
            sections.push((u32::from_le_bytes(array(row)), bytes.to_vec()));
        }
        Ok(Self {
            sequence: u64::from_le_bytes(array(&content[16..])),
            sections,
        })
    }
}

/// The first N bytes of at least as many.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[..N]);
    array
}
