//! Identity of a file: names and inodes are reused, contents rarely are.
//!
//! In: an open file. Out: device, inode, creation time, size, modification time, and hashes of its
//! content, which are decisive. Bytes are read here but never decoded.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::time::UNIX_EPOCH;

use sha2::{Digest as _, Sha256};

use crate::codec::{CodecError, Decoder, Encoder};

/// A page of the file system: the smallest unit of a read.
pub(super) const PAGE_BYTES: u64 = 4096;
/// Files up to this many bytes are hashed completely.
const WHOLE_BYTES: u64 = 64 << 10;
/// Bytes hashed at both ends of larger ones.
const EDGE_BYTES: u64 = 16 << 10;
/// Pages hashed in between.
const SAMPLES: u64 = 8;
/// Most bytes of a footer that are hashed, from its end; only very wide tables have longer ones.
const FOOTER_MAX: u64 = 256 << 10;
/// Precedes a fingerprint with [`Method::Content`]: no device has this number.
const MARK: u64 = u64::MAX;

/// Identity of a file, apart from its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileMeta {
    /// Device.
    pub device: u64,
    /// Inode on that device.
    pub inode: u64,
    /// Creation time of the inode in nanoseconds since 1970; 0 if the file system does not record
    /// it.
    pub born_ns: i64,
    /// Bytes.
    pub bytes: u64,
    /// Last modification of the content in nanoseconds since 1970.
    pub changed_ns: i64,
}

impl FileMeta {
    /// Metadata of the system for an open file or path.
    pub fn of(meta: &Metadata) -> Self {
        let born = meta.created().ok();
        let born = born.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            born_ns: born.map_or(0, |since| since.as_nanos() as i64),
            bytes: meta.len(),
            changed_ns: meta.mtime().saturating_mul(1_000_000_000) + meta.mtime_nsec(),
        }
    }

    /// True if they differ only in the device, and all other fields are known.
    pub fn is_same_but_device(&self, other: &Self) -> bool {
        let device = other.device;
        // Without a time of birth, a reused inode cannot be distinguished from the same file.
        self.born_ns != 0
            && Self {
                device,
                ..self.clone()
            } == *other
    }

    /// True if both belong to the same inode, as far as can be told: a reused inode number has a
    /// different creation time.
    pub fn is_same_inode(&self, other: &Self) -> bool {
        self.device == other.device
            && self.inode == other.inode
            && (self.born_ns == other.born_ns || self.born_ns == 0 || other.born_ns == 0)
    }
}

/// Identity of a file by its content, with the metadata that often saves reading it.
///
/// Two files are the same if their contents are: the metadata only tells whether these must be
/// checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// The error of the system.
    pub meta: FileMeta,
    /// SHA-256 of the first bytes that count, at most a page.
    pub head: [u8; 32],
    /// SHA-256 of the length and the content; see [`Method`] for how much of it.
    pub print: [u8; 32],
    /// Number of bytes that count: all, or those taken from a growing file.
    pub bytes: u64,
    /// The part of the content that `print` covers.
    pub method: Method,
}

/// The part of the content that a print covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// Only the last page: states from before prints existed. It cannot distinguish files with the
    /// same head, tail and length.
    LastPage,
    /// All of a small file; of a larger one its ends, the footer of Parquet and samples in between.
    #[default]
    Content,
}

impl Fingerprint {
    /// The fingerprint of the first `bytes` bytes of `file`.
    ///
    /// # Errors
    /// Any error of the system; also if the file is shorter.
    pub fn of(file: &File, bytes: u64) -> io::Result<Self> {
        let meta = FileMeta::of(&file.metadata()?);
        let (head, print) = if bytes <= WHOLE_BYTES {
            // All of it is hashed: it is read once.
            let mut all = vec![0; bytes as usize];
            file.read_exact_at(&mut all, 0)?;
            let head = &all[..bytes.min(PAGE_BYTES) as usize];
            let print = Sha256::new_with_prefix(bytes.to_le_bytes()).chain_update(&all);
            (Sha256::digest(head).into(), print.finalize().into())
        } else {
            (head(file, bytes)?, print(file, bytes)?)
        };
        Ok(Self {
            meta,
            head,
            print,
            bytes,
            method: Method::Content,
        })
    }

    /// True if `file` still begins with the bytes that this was computed from.
    ///
    /// # Errors
    /// Any error of the system.
    pub fn is_prefix_of(&self, file: &File) -> io::Result<bool> {
        // Checked first, because the reads below would fail on a shorter file.
        if file.metadata()?.len() < self.bytes {
            return Ok(false);
        }
        let print = match self.method {
            Method::LastPage => last_page(file, self.bytes)?,
            Method::Content => print(file, self.bytes)?,
        };
        Ok(print == self.print && head(file, self.bytes)? == self.head)
    }

    /// True if `file` holds these bytes and no others.
    ///
    /// # Errors
    /// Any error of the system.
    pub fn is_all_of(&self, file: &File) -> io::Result<bool> {
        Ok(file.metadata()?.len() == self.bytes && self.is_prefix_of(file)?)
    }

    /// A key for looking up files with the same content; `None` if the content is not known well
    /// enough to identify it.
    pub fn key(&self) -> Option<u64> {
        let is_told = self.method == Method::Content && self.print != [0; 32];
        is_told.then(|| number(&self.print))
    }

    /// The same for a growing file, from its first page once that is full.
    pub fn growing_key(&self) -> Option<u64> {
        let is_told = self.method == Method::Content && self.bytes >= PAGE_BYTES;
        is_told.then(|| number(&self.head))
    }

    /// Writes all of it.
    pub fn encode(&self, to: &mut Encoder) {
        let FileMeta {
            device,
            inode,
            born_ns,
            bytes,
            changed_ns,
        } = self.meta;
        if self.method == Method::Content {
            to.u64(MARK);
        }
        to.u64(device);
        to.u64(inode);
        to.i64(born_ns);
        to.u64(bytes);
        to.i64(changed_ns);
        to.raw(&self.head);
        to.raw(&self.print);
        to.u64(self.bytes);
    }

    /// Reads what was written.
    ///
    /// # Errors
    /// If it is missing.
    pub fn decode(from: &mut Decoder<'_>) -> Result<Self, CodecError> {
        let (method, meta) = Self::decode_meta(from)?;
        Ok(Self {
            meta,
            head: from.array()?,
            print: from.array()?,
            bytes: from.u64()?,
            method,
        })
    }

    /// Reads only the beginning of what was written: the metadata.
    ///
    /// # Errors
    /// If it is missing.
    pub fn decode_meta(from: &mut Decoder<'_>) -> Result<(Method, FileMeta), CodecError> {
        let (method, device) = match from.u64()? {
            MARK => (Method::Content, from.u64()?),
            device => (Method::LastPage, device),
        };
        let meta = FileMeta {
            device,
            inode: from.u64()?,
            born_ns: from.i64()?,
            bytes: from.u64()?,
            changed_ns: from.i64()?,
        };
        Ok((method, meta))
    }
}

/// Opens a file for reading without ever waiting for a writer, as opening a FIFO would.
///
/// # Errors
/// Any error of the system.
pub fn open_quietly(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

/// The first bytes of a hash as a number.
fn number(hash: &[u8; 32]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *hash;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

fn head(file: &File, bytes: u64) -> io::Result<[u8; 32]> {
    let mut page = vec![0; bytes.min(PAGE_BYTES) as usize];
    file.read_exact_at(&mut page, 0)?;
    Ok(Sha256::digest(&page).into())
}

fn last_page(file: &File, bytes: u64) -> io::Result<[u8; 32]> {
    let len = bytes.min(PAGE_BYTES);
    let mut page = vec![0; len as usize];
    file.read_exact_at(&mut page, bytes - len)?;
    Ok(Sha256::digest(&page).into())
}

/// Hashes the length and the parts of a content that distinguish it from others. Files from one
/// recorder may share their schema, footer and length, so the parts must include bytes of the rows.
fn print(file: &File, bytes: u64) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new_with_prefix(bytes.to_le_bytes());
    let mut part = Vec::new();
    for (at, len) in parts(bytes, footer_bytes(file, bytes)?) {
        part.resize(len as usize, 0);
        file.read_exact_at(&mut part, at)?;
        hash.update(&part);
    }
    Ok(hash.finalize().into())
}

/// Offsets and lengths of the hashed parts: all of a small file; otherwise its beginning, evenly
/// spaced pages, and its end with the footer.
fn parts(bytes: u64, footer: u64) -> Vec<(u64, u64)> {
    if bytes <= WHOLE_BYTES {
        return vec![(0, bytes)];
    }
    let end = EDGE_BYTES.max(footer);
    let between = bytes - EDGE_BYTES - end;
    let mut parts = vec![(0, EDGE_BYTES)];
    let step = between / SAMPLES;
    for i in 0..SAMPLES {
        // Pages are taken from the middle of their part, and overlap in no file.
        let len = PAGE_BYTES.min(step);
        parts.push((EDGE_BYTES + i * step + (step - len) / 2, len));
    }
    parts.push((bytes - end, end));
    parts
}

/// Bytes from the start of a Parquet footer to the end of the file, if they are few: the footer
/// holds the positions, sizes and extreme values of all columns.
fn footer_bytes(file: &File, bytes: u64) -> io::Result<u64> {
    if bytes <= WHOLE_BYTES {
        return Ok(0);
    }
    let mut last = [0; 8];
    file.read_exact_at(&mut last, bytes - 8)?;
    let [a, b, c, d, magic @ ..] = last;
    let footer = u64::from(u32::from_le_bytes([a, b, c, d])) + 8;
    let is_told = &magic == b"PAR1";
    Ok(if is_told {
        footer.min(FOOTER_MAX).min(bytes - EDGE_BYTES)
    } else {
        0
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("bytes");
        file
    }

    fn print_of(bytes: &[u8]) -> [u8; 32] {
        print(&file(bytes), bytes.len() as u64).expect("a print")
    }

    /// A file of fixed width: schema and footer are those of all files of its recorder.
    fn recorded(rows: usize, value: u8) -> Vec<u8> {
        let mut bytes = b"ARROW1\0\0".to_vec();
        bytes.resize(8192, 1);
        bytes.resize(8192 + rows, value);
        bytes.resize(16_384 + rows, 2);
        bytes.extend_from_slice(b"ARROW1");
        bytes
    }

    #[test]
    fn files_of_one_recorder_with_the_same_ends_and_length_are_told_apart() {
        for rows in [1, 5_000, 60_000, 1_000_000, 20_000_000] {
            let (one, other) = (print_of(&recorded(rows, 7)), print_of(&recorded(rows, 8)));
            assert_ne!(one, other, "{rows}");
            assert_eq!(one, print_of(&recorded(rows, 7)), "{rows}");
        }
    }

    #[test]
    fn every_byte_of_a_small_file_and_of_a_parquet_footer_counts() {
        let mut small = vec![0; WHOLE_BYTES as usize];
        let before = print_of(&small);
        small[31_000] = 1;
        assert_ne!(print_of(&small), before);
        // A footer of 100,000 bytes before its length and the magic.
        let mut wide = vec![0; 1_000_000];
        wide.extend_from_slice(&100_000_u32.to_le_bytes());
        wide.extend_from_slice(b"PAR1");
        let before = print_of(&wide);
        wide[900_001] = 1;
        assert_ne!(print_of(&wide), before);
        // One that says it is longer than the file is cut.
        let end = wide.len();
        wide[end - 8..end - 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_ne!(print_of(&wide), before);
    }

    #[test]
    fn parts_lie_within_the_file_and_do_not_run_backwards() {
        for bytes in [0, 1, WHOLE_BYTES, WHOLE_BYTES + 1, 100_000, 1 << 40] {
            for footer in [0, 9, FOOTER_MAX.min(bytes.saturating_sub(EDGE_BYTES))] {
                let mut end = 0;
                for (at, len) in parts(bytes, footer) {
                    assert!(at >= end && at + len <= bytes, "{bytes} {footer} {at}");
                    end = at + len;
                }
                assert_eq!(end, bytes);
            }
        }
    }

    #[test]
    fn a_growing_file_is_known_by_what_was_taken_of_it() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|i| (i % 251) as u8).collect();
        let taken = Fingerprint::of(&file(&bytes), 150_000).expect("a fingerprint");
        assert!(taken.is_prefix_of(&file(&bytes)).expect("read"));
        assert!(!taken.is_all_of(&file(&bytes)).expect("read"));
        assert!(taken.is_all_of(&file(&bytes[..150_000])).expect("read"));
        assert!(!taken.is_prefix_of(&file(&bytes[..149_999])).expect("read"));
        let other = Fingerprint::of(&file(&bytes), 200_000).expect("a fingerprint");
        assert_eq!(taken.growing_key(), other.growing_key());
        assert_ne!(taken.key(), other.key());
    }

    #[test]
    fn an_identity_of_before_is_read_and_told_by_its_last_page_alone() {
        let bytes = recorded(5_000, 7);
        let mut old = Fingerprint::of(&file(&bytes), bytes.len() as u64).expect("a fingerprint");
        old.method = Method::LastPage;
        old.print = last_page(&file(&bytes), old.bytes).expect("a page");
        for fingerprint in [
            old.clone(),
            Fingerprint {
                method: Method::Content,
                ..old.clone()
            },
        ] {
            let mut to = Encoder::new();
            fingerprint.encode(&mut to);
            let written = to.into_bytes();
            let mut from = Decoder::new("a fingerprint", &written);
            assert_eq!(
                Fingerprint::decode(&mut from).expect("a fingerprint"),
                fingerprint
            );
            from.finish().expect("its end");
        }
        assert!(old.is_prefix_of(&file(&bytes)).expect("read"));
        assert_eq!((old.key(), old.growing_key()), (None, None));
    }
}
