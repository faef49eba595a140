//! Pages of the two codecs whose output the decoder does not bound: gzip and Brotli.
//!
//! For the others it allocates what the header declares and stops there. For these two it accepts
//! any length, and 100 bytes of Brotli can become gigabytes. So the decoder is told that they are
//! not compressed, and the pages it returns are uncompressed here, up to the declared length.

use std::io::{self, Read};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use parquet::basic::Compression;
use parquet::column::page::Page;

/// Buffer size of the Brotli decoder.
const BUFFER: usize = 1 << 16;

/// The codec of a column chunk.
#[derive(Clone, Copy)]
pub(super) enum Codec {
    Gzip,
    Brotli,
}

impl Codec {
    /// `None` for codecs that the decoder handles itself.
    pub fn of(compression: Compression) -> Option<Self> {
        match compression {
            Compression::GZIP(_) => Some(Self::Gzip),
            Compression::BROTLI(_) => Some(Self::Brotli),
            _ => None,
        }
    }

    /// Uncompresses `page`, which must become `size` bytes.
    pub fn inflate(self, page: &mut Page, size: usize) -> Result<(), String> {
        let (buf, levels) = match page {
            Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } => (buf, 0),
            Page::DataPageV2 {
                is_compressed: false,
                ..
            } => return Ok(()),
            Page::DataPageV2 {
                buf,
                def_levels_byte_len,
                rep_levels_byte_len,
                ..
            } => (
                buf,
                *def_levels_byte_len as usize + *rep_levels_byte_len as usize,
            ),
        };
        // The levels of newer pages are never compressed.
        let stored = buf.split_at_checked(levels).filter(|_| levels <= size);
        let (levels, stored) = stored.ok_or("a page ends before its levels do")?;
        let mut bytes = Vec::with_capacity(size);
        bytes.extend_from_slice(levels);
        // Pages without a value may leave out even the compressed nothing.
        if bytes.len() < size {
            let left = (size - bytes.len()) as u64;
            let read = self.read(stored, left, &mut bytes);
            read.map_err(|error| format!("a page cannot be uncompressed: {error}"))?;
        }
        if bytes.len() != size {
            return Err(format!(
                "a page does not hold the {size} bytes that it declares"
            ));
        }
        *buf = Bytes::from(bytes);
        Ok(())
    }

    /// Reads at most one byte more than `max`.
    fn read(self, stored: &[u8], max: u64, to: &mut Vec<u8>) -> io::Result<usize> {
        // One byte more than declared is enough to tell that a page is too long.
        match self {
            Self::Gzip => MultiGzDecoder::new(stored).take(max + 1).read_to_end(to),
            Self::Brotli => {
                let buffer = stored.len().clamp(1, BUFFER);
                let decoder = brotli::Decompressor::new(stored, buffer);
                decoder.take(max + 1).read_to_end(to)
            }
        }
    }
}
