//! Edits to the bytes of a footer, so that our decoder reads what others do.
//!
//! Fields are removed, and the numbers of the fields after them, which are stored as differences,
//! are corrected. Most footers need none.

use super::fault::{Fault, wrong};

/// Most edits per footer: files from old writers need one or two per column.
const EDITS_MAX: usize = 1 << 21;
/// The largest difference between two field numbers that fits into the same byte as the type.
const SHORT_MAX: i64 = 15;

/// Positions in a footer and their new content.
#[derive(Default)]
pub(super) struct Edits(Vec<Edit>);

struct Edit {
    at: usize,
    /// Bytes removed.
    len: usize,
    /// Bytes inserted, and their number.
    to: ([u8; 4], usize),
}

impl Edits {
    /// Replaces `len` bytes by a few others.
    pub fn replace(&mut self, at: usize, len: usize, to: &[u8]) -> Result<(), Fault> {
        if self.0.len() == EDITS_MAX {
            return wrong(format!("more than {EDITS_MAX} fields are of another type"));
        }
        let mut bytes = [0; 4];
        bytes[..to.len()].copy_from_slice(to);
        self.0.push(Edit {
            at,
            len,
            to: (bytes, to.len()),
        });
        Ok(())
    }

    /// Removes the bytes from `from` to `end`.
    pub fn cut(&mut self, from: usize, end: usize) -> Result<(), Fault> {
        self.replace(from, end - from, &[])
    }

    /// Rewrites the one-byte header of the field at byte `at` for its difference to `before`.
    pub fn renumber(&mut self, at: usize, wire: u8, id: i64, before: i64) -> Result<(), Fault> {
        match u8::try_from(id - before) {
            Ok(delta @ 1..) if i64::from(delta) <= SHORT_MAX => {
                self.replace(at, 1, &[delta << 4 | wire])
            }
            // The number itself, in zigzag: 15 bits at the most.
            _ => {
                let code = (id << 1 ^ id >> 63).cast_unsigned();
                let part = |shift: u32| (code >> shift & 0x7F) as u8;
                self.replace(at, 1, &[wire, part(0) | 0x80, part(7) | 0x80, part(14)])
            }
        }
    }

    /// The edited bytes; `None` if nothing changes.
    pub fn apply(mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.0.sort_by_key(|edit| edit.at);
        let is_needed = |edit: &Edit| {
            let old = bytes.get(edit.at..edit.at + edit.len);
            old != Some(&edit.to.0[..edit.to.1])
        };
        if !self.0.iter().any(is_needed) {
            return None;
        }
        let mut changed = Vec::with_capacity(bytes.len());
        let mut at = 0;
        for edit in &self.0 {
            changed.extend_from_slice(bytes.get(at..edit.at).unwrap_or_default());
            changed.extend_from_slice(&edit.to.0[..edit.to.1]);
            at = edit.at + edit.len;
        }
        changed.extend_from_slice(bytes.get(at..).unwrap_or_default());
        Some(changed)
    }
}
