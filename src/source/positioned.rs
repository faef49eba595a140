//! A file read at positions, without a cursor; Parquet and Arrow IPC files are read through this.
//!
//! It uses plain reads rather than a memory map: truncating a mapped file kills the process
//! (SIGBUS), while a short read is an error that names the file.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};

/// The first system error while a file was read. Decoders convert errors to text, so this tells
/// whether the file is to blame.
#[derive(Clone, Debug, Default)]
pub(super) struct Witness(Arc<OnceLock<i32>>);

impl Witness {
    /// Records a system error and passes it on.
    pub fn saw(&self, error: io::Error) -> io::Error {
        if let Some(code) = error.raw_os_error()
            && is_of_the_system(&error)
        {
            let _ = self.0.set(code);
        }
        error
    }

    /// The error of the system, if there was one.
    pub fn error(&self) -> Option<io::Error> {
        self.0.get().copied().map(io::Error::from_raw_os_error)
    }
}

/// True if the system is to blame, rather than a position beyond any file.
pub(super) fn is_of_the_system(error: &io::Error) -> bool {
    error.raw_os_error().is_some()
        && !matches!(
            error.kind(),
            io::ErrorKind::InvalidInput | io::ErrorKind::FileTooLarge
        )
}

/// An open file; clones share it.
#[derive(Clone)]
pub(super) struct Positioned {
    file: Arc<File>,
    /// Held while the file's cursor is moved and used.
    cursor: Arc<Mutex<()>>,
    len: u64,
    witness: Witness,
}

impl Positioned {
    /// Wraps an open file.
    pub fn of(file: Arc<File>) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self {
            file,
            cursor: Arc::default(),
            len,
            witness: Witness::default(),
        })
    }

    /// The witness of system errors.
    pub fn witness(&self) -> Witness {
        self.witness.clone()
    }

    /// Bytes of the file when it was opened.
    pub fn bytes(&self) -> u64 {
        self.len
    }

    /// `length` bytes from `offset` on, or fewer where the file ends.
    ///
    /// Uses the file's cursor, because only then does the standard library read into uninitialized
    /// memory: zeroing took a twelfth of the time of reading plain columns. While another thread
    /// holds the cursor, zeroing costs less than waiting.
    fn read_some(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let Ok(_cursor) = self.cursor.try_lock() else {
            let mut bytes = vec![0; length];
            self.read_exact_at(&mut bytes, offset)?;
            return Ok(bytes);
        };
        let mut bytes = Vec::with_capacity(length);
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(offset))?;
        let read = file.take(length as u64).read_to_end(&mut bytes);
        read.map_err(|error| self.witness.saw(error))?;
        Ok(bytes)
    }

    /// `length` bytes from `start` on.
    pub fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.len) {
            return Err(ParquetError::EOF(format!(
                "{length} bytes from byte {start} on, in a file of {} bytes",
                self.len
            )));
        }
        let bytes = self.read_some(start, length)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!(
                "the file ends before byte {}",
                start + length as u64
            )));
        }
        Ok(bytes.into())
    }

    /// Fills `to` from `offset` on.
    pub fn read_exact_at(&self, to: &mut [u8], offset: u64) -> io::Result<()> {
        if self.read_up_to(to, offset)? < to.len() {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the file ends before byte {}", offset + to.len() as u64),
            ));
        }
        Ok(())
    }

    /// Fills `to` from `offset` on as far as the file goes; returns the bytes read.
    pub fn read_up_to(&self, to: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < to.len() {
            match read_at(&self.file, &mut to[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.witness.saw(error)),
            }
        }
        Ok(done)
    }
}

#[cfg(unix)]
fn read_at(file: &File, to: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, to, offset)
}

#[cfg(windows)]
fn read_at(file: &File, to: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, to, offset)
}
