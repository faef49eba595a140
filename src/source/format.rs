//! The supported formats, and the first bytes of a file → its format, or what is wrong with it.
//!
//! The format is determined by the first bytes, never by the name. A name only shows that a file
//! was meant to be data: if such a file is not data it is refused, while others are left out.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::SourceError;
use super::framing;

/// Bytes that identify a format.
const HEAD: usize = 8;
/// Bytes of the first header of a stream from before Arrow 0.15, which has no magic number: only a
/// schema of some hundred thousand columns takes more, and that one is recognized by its length
/// alone.
const OLD_HEADER_MAX: usize = 16 << 20;
/// File name extensions of data, in lower case.
const DATA_ENDINGS: [&str; 5] = ["parquet", "arrow", "arrows", "feather", "ipc"];

/// How the bytes of an input are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `PAR1`.
    Parquet,
    /// `ARROW1`: Arrow IPC with a footer, also called Feather version 2.
    IpcFile,
    /// Messages one after another.
    IpcStream,
    /// The same on standard input.
    Stdin,
}

impl Format {
    /// Its code in stored data.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Parquet => 0,
            Self::IpcFile => 1,
            Self::IpcStream => 2,
            Self::Stdin => 3,
        }
    }

    /// Name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parquet => "Parquet",
            Self::IpcFile => "Arrow IPC file",
            Self::IpcStream | Self::Stdin => "Arrow IPC stream",
        }
    }

    /// The format of a stored code.
    pub(super) fn of_code(code: u8) -> Option<Self> {
        [Self::Parquet, Self::IpcFile, Self::IpcStream, Self::Stdin]
            .into_iter()
            .find(|format| format.code() == code)
    }
}

/// The format whose files begin with `head`.
pub(super) fn magic(head: &[u8]) -> Option<Format> {
    if head.starts_with(b"PAR1") {
        Some(Format::Parquet)
    } else if head.starts_with(b"ARROW1") {
        Some(Format::IpcFile)
    } else if framing::begins(head) == Some(true) {
        Some(Format::IpcStream)
    } else {
        None
    }
}

/// Format according to the first bytes of a file.
#[derive(Debug)]
pub(super) struct Told {
    head: [u8; HEAD],
    /// Number of bytes available.
    filled: usize,
    /// The format, if it is supported.
    pub format: Option<Format>,
}

impl Told {
    /// Reads the first bytes of `file`.
    ///
    /// # Errors
    /// Any error of the system.
    pub fn of(file: &File) -> io::Result<Self> {
        let mut head = [0; HEAD];
        let filled = fill_at(file, &mut head)?;
        let mut format = magic(&head[..filled]);
        let is_old = format == Some(Format::IpcStream) && head[..4] != [0xFF; 4];
        if is_old && !is_old_stream(file, head)? {
            format = None;
        }
        Ok(Self {
            head,
            filled,
            format,
        })
    }

    /// True if more bytes may still change the result: some are missing, or are zeros reserved to
    /// be written later.
    pub fn is_open(&self) -> bool {
        self.filled < HEAD || self.head == [0; HEAD]
    }

    /// The error of a file that has no known format.
    pub fn fault(&self, path: &Path) -> SourceError {
        let path = path.to_owned();
        let head = &self.head[..self.filled];
        if head.is_empty() {
            SourceError::EmptyFile { path }
        } else if head.starts_with(b"PARE") {
            SourceError::encrypted_footer(path)
        } else if head.starts_with(b"FEA1") {
            SourceError::FeatherV1 { path }
        } else {
            SourceError::UnknownFormat {
                path,
                found: format!("\"{}\"", head.escape_ascii()),
            }
        }
    }

    /// Why a file has no known format.
    pub fn reason(&self) -> String {
        let head = &self.head[..self.filled];
        if head.is_empty() {
            "neither Parquet nor Arrow IPC: the file is empty".to_owned()
        } else if head.starts_with(b"PARE") {
            "the footer of this Parquet file is encrypted, and ojad cannot take a key".to_owned()
        } else if head.starts_with(b"FEA1") {
            "Feather version 1 is not read (version 2, Arrow IPC, is)".to_owned()
        } else {
            format!(
                "neither Parquet nor Arrow IPC: it begins with \"{}\"",
                head.escape_ascii()
            )
        }
    }

    /// True if it is data of an unsupported kind rather than some other file.
    pub fn is_other_data(&self) -> bool {
        let head = &self.head[..self.filled];
        head.starts_with(b"PARE") || head.starts_with(b"FEA1")
    }
}

/// True if the file's name says that it was meant to be data.
pub(super) fn is_named_as_data(path: &Path) -> bool {
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| DATA_ENDINGS.contains(&ending.as_str()))
}

/// True if a file that begins with the length of a header continues with one.
fn is_old_stream(file: &File, head: [u8; HEAD]) -> io::Result<bool> {
    let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    if len > OLD_HEADER_MAX {
        return Ok(true);
    }
    let mut bytes = vec![0; 4 + len];
    let filled = fill_at(file, &mut bytes)?;
    Ok(framing::is_old_schema(&bytes[..filled]))
}

/// Reads from the start of a file until `to` is full or the end.
fn fill_at(file: &File, to: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < to.len() {
        match file.read_at(&mut to[filled..], filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_was_meant_to_be_data() {
        for name in [
            "a.parquet",
            "A.PARQUET",
            "x/b.arrow",
            "c.arrows",
            "d.feather",
            "e.ipc",
        ] {
            assert!(is_named_as_data(Path::new(name)), "{name}");
        }
        for name in [
            "README.md",
            "parquet",
            "a.parquet.crc",
            "manifest.json",
            ".parquet",
        ] {
            assert!(!is_named_as_data(Path::new(name)), "{name}");
        }
    }
}
