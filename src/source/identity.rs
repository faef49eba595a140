//! Which file this is: names and inodes are used again, contents rarely.
//!
//! In: a path. Out: device, inode, time of birth, size, time of change, and hashes of the first and
//! last bytes. Main reads bytes here and never decodes them.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::time::UNIX_EPOCH;

use sha2::{Digest as _, Sha256};

use crate::codec::{CodecError, Decoder, Encoder};

/// Bytes hashed at the start of a file and before its consumed end: a page of the file system.
const EDGE_BYTES: u64 = 4096;

/// What tells one file from another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Device.
    pub device: u64,
    /// Inode on that device.
    pub inode: u64,
    /// Nanoseconds from 1970 to the making of the inode; 0 where the file system does not say.
    pub born_ns: i64,
    /// Bytes.
    pub bytes: u64,
    /// Nanoseconds from 1970 to the last change of the content.
    pub changed_ns: i64,
}

impl Stamp {
    /// What the system says of an open file or path.
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

    /// Whether both are of one inode, as far as can be told: its number may be used again, its time
    /// of birth then differs.
    pub fn is_same_inode(&self, other: &Self) -> bool {
        self.device == other.device
            && self.inode == other.inode
            && (self.born_ns == other.born_ns || self.born_ns == 0 || other.born_ns == 0)
    }
}

/// A file by its place and its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// What the system says.
    pub stamp: Stamp,
    /// SHA-256 of the first bytes, up to a page of those that count.
    pub head: [u8; 32],
    /// SHA-256 of the last page of those that count.
    pub edge: [u8; 32],
    /// Bytes that count: all, or those of a growing file that were taken.
    pub bytes: u64,
}

impl Identity {
    /// The identity of the first `bytes` bytes of `file`.
    ///
    /// # Errors
    /// What the system says; also if the file is shorter.
    pub fn of(file: &File, bytes: u64) -> io::Result<Self> {
        let stamp = Stamp::of(&file.metadata()?);
        let (head, edge) = edges(file, bytes)?;
        Ok(Self {
            stamp,
            head,
            edge,
            bytes,
        })
    }

    /// Whether `file` still begins with the bytes that this was made of.
    ///
    /// # Errors
    /// What the system says.
    pub fn is_prefix_of(&self, file: &File) -> io::Result<bool> {
        if file.metadata()?.len() < self.bytes {
            return Ok(false);
        }
        let (head, edge) = edges(file, self.bytes)?;
        Ok(head == self.head && edge == self.edge)
    }

    /// Writes all of it.
    pub fn encode(&self, to: &mut Encoder) {
        let Stamp {
            device,
            inode,
            born_ns,
            bytes,
            changed_ns,
        } = self.stamp;
        to.u64(device);
        to.u64(inode);
        to.i64(born_ns);
        to.u64(bytes);
        to.i64(changed_ns);
        to.raw(&self.head);
        to.raw(&self.edge);
        to.u64(self.bytes);
    }

    /// Reads what was written.
    ///
    /// # Errors
    /// If it is not there.
    pub fn decode(from: &mut Decoder<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            stamp: Stamp {
                device: from.u64()?,
                inode: from.u64()?,
                born_ns: from.i64()?,
                bytes: from.u64()?,
                changed_ns: from.i64()?,
            },
            head: from.array()?,
            edge: from.array()?,
            bytes: from.u64()?,
        })
    }
}

/// Opens a file for reading: never waits for a writer, as opening a FIFO would.
///
/// # Errors
/// What the system says.
pub fn open_quietly(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

fn edges(file: &File, bytes: u64) -> io::Result<([u8; 32], [u8; 32])> {
    let len = bytes.min(EDGE_BYTES) as usize;
    let mut page = [0; EDGE_BYTES as usize];
    let page = &mut page[..len];
    file.read_exact_at(page, 0)?;
    let head = Sha256::digest(&*page).into();
    if bytes <= EDGE_BYTES {
        return Ok((head, head));
    }
    file.read_exact_at(page, bytes - len as u64)?;
    Ok((head, Sha256::digest(&*page).into()))
}
