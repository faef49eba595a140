//! Little-endian bytes of plain data: how states, waiting rows and positions become a checkpoint.
//!
//! In: numbers, strings, slices. Out: bytes without padding, the same on every machine. Reading
//! refuses data that is too short, too long or of the wrong length, and never allocates more than
//! the bytes available.

use std::fmt;

/// Why bytes could not be decoded.
///
/// ```
/// use ojad_core::Pca;
///
/// let error = Pca::from_bytes(b"something else").unwrap_err();
/// assert!(error.to_string().contains("not a saved model"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset} of {section}: {reason}")]
#[non_exhaustive]
pub struct CodecError {
    /// Name of the section that was being read.
    pub section: &'static str,
    /// Position of the error, in bytes from the start of the section.
    pub offset: usize,
    /// The reason why the bytes there were refused.
    pub reason: String,
}

/// Writes plain data as bytes.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// Creates an encoder that has written nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes one byte, 0 or 1.
    pub fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    /// Writes one byte as it is.
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// Writes four bytes, the least significant first.
    pub fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Writes eight bytes, the least significant first.
    pub fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Writes a count as eight bytes, the same on every machine.
    pub fn usize(&mut self, value: usize) {
        self.u64(value as u64);
    }

    /// Writes eight bytes, two's complement.
    pub fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Writes eight bytes, IEEE 754, every bit kept.
    pub fn f64(&mut self, value: f64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Writes only the bytes; the reader must know the length.
    pub fn raw(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
    }

    /// Writes the length, then the bytes.
    pub fn bytes(&mut self, value: &[u8]) {
        self.usize(value.len());
        self.bytes.extend_from_slice(value);
    }

    /// Writes the length in bytes, then UTF-8.
    pub fn str(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    /// Writes the length, then the values.
    pub fn f32s(&mut self, values: &[f32]) {
        self.usize(values.len());
        self.bytes.reserve(4 * values.len());
        for value in values {
            self.bytes.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// Writes the length, then the values.
    pub fn f64s(&mut self, values: &[f64]) {
        self.usize(values.len());
        self.bytes.reserve(8 * values.len());
        for value in values {
            self.bytes.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// Writes the length, then the values.
    pub fn u64s(&mut self, values: &[u64]) {
        self.usize(values.len());
        self.bytes.reserve(8 * values.len());
        for value in values {
            self.bytes.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// Borrows the bytes written so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of bytes written so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True if nothing was written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns all bytes written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads what an [`Encoder`] wrote.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    section: &'static str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    /// Reads `bytes` from the start; errors name `section`.
    pub fn new(section: &'static str, bytes: &'a [u8]) -> Self {
        Self {
            section,
            bytes,
            at: 0,
        }
    }

    /// Makes an error about the last item read.
    pub fn refuse(&self, reason: impl fmt::Display) -> CodecError {
        CodecError {
            section: self.section,
            offset: self.at,
            reason: reason.to_string(),
        }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], CodecError> {
        let rest = &self.bytes[self.at..];
        let Some(taken) = rest.get(..len) else {
            return Err(self.refuse(format!("{len} bytes wanted, {} left", rest.len())));
        };
        self.at += len;
        Ok(taken)
    }

    /// Reads N bytes.
    ///
    /// # Errors
    /// At the end.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// Reads one byte, 0 or 1.
    ///
    /// # Errors
    /// At the end, or if the byte is neither.
    pub fn bool(&mut self) -> Result<bool, CodecError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.refuse(format!("{other} is neither 0 nor 1"))),
        }
    }

    /// Reads one byte.
    ///
    /// # Errors
    /// At the end.
    pub fn u8(&mut self) -> Result<u8, CodecError> {
        Ok(self.array::<1>()?[0])
    }

    /// Reads four bytes, the least significant first.
    ///
    /// # Errors
    /// At the end.
    pub fn u32(&mut self) -> Result<u32, CodecError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Reads eight bytes, the least significant first.
    ///
    /// # Errors
    /// At the end.
    pub fn u64(&mut self) -> Result<u64, CodecError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Reads eight bytes that fit the machine's word.
    ///
    /// # Errors
    /// At the end, or if they do not fit.
    pub fn usize(&mut self) -> Result<usize, CodecError> {
        let value = self.u64()?;
        usize::try_from(value).map_err(|error| self.refuse(error))
    }

    /// Reads eight bytes, two's complement.
    ///
    /// # Errors
    /// At the end.
    pub fn i64(&mut self) -> Result<i64, CodecError> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// Reads eight bytes, IEEE 754.
    ///
    /// # Errors
    /// At the end.
    pub fn f64(&mut self) -> Result<f64, CodecError> {
        Ok(f64::from_le_bytes(self.array()?))
    }

    /// Reads a count, checked against the bytes left for items of at least `each` bytes.
    ///
    /// # Errors
    /// At the end, or if the bytes left cannot hold that many items.
    pub fn count(&mut self, each: usize) -> Result<usize, CodecError> {
        let count = self.usize()?;
        // Checked before anything is allocated, because a damaged length must not ask for more
        // than the input holds. The `max(1)` is for items of no bytes, of which any number would
        // pass.
        let left = self.bytes.len() - self.at;
        if count.checked_mul(each.max(1)).is_none_or(|len| len > left) {
            return Err(self.refuse(format!(
                "{count} items of {each} bytes cannot be in {left} bytes"
            )));
        }
        Ok(count)
    }

    /// Reads a length and that many bytes.
    ///
    /// # Errors
    /// If there are too few.
    pub fn bytes(&mut self) -> Result<&'a [u8], CodecError> {
        let len = self.count(1)?;
        self.take(len)
    }

    /// Reads a string.
    ///
    /// # Errors
    /// If it is missing or not UTF-8.
    pub fn str(&mut self) -> Result<&'a str, CodecError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|error| self.refuse(error))
    }

    /// Reads a length and that many values.
    ///
    /// # Errors
    /// If there are too few.
    pub fn f32s(&mut self) -> Result<Vec<f32>, CodecError> {
        let len = self.count(4)?;
        let (values, _) = self.take(4 * len)?.as_chunks::<4>();
        Ok(values.iter().map(|v| f32::from_le_bytes(*v)).collect())
    }

    /// Reads a length and that many values.
    ///
    /// # Errors
    /// If there are too few.
    pub fn f64s(&mut self) -> Result<Vec<f64>, CodecError> {
        let len = self.count(8)?;
        let (values, _) = self.take(8 * len)?.as_chunks::<8>();
        Ok(values.iter().map(|v| f64::from_le_bytes(*v)).collect())
    }

    /// Reads a length and that many values.
    ///
    /// # Errors
    /// If there are too few.
    pub fn u64s(&mut self) -> Result<Vec<u64>, CodecError> {
        let len = self.count(8)?;
        let (values, _) = self.take(8 * len)?.as_chunks::<8>();
        Ok(values.iter().map(|v| u64::from_le_bytes(*v)).collect())
    }

    /// Reads the values, of which there must be `len`.
    ///
    /// # Errors
    /// If their number differs.
    pub fn f32s_of(&mut self, len: usize) -> Result<Vec<f32>, CodecError> {
        let values = self.f32s()?;
        self.same(len, values.len())?;
        Ok(values)
    }

    /// Reads the values, of which there must be `len`.
    ///
    /// # Errors
    /// If their number differs.
    pub fn f64s_of(&mut self, len: usize) -> Result<Vec<f64>, CodecError> {
        let values = self.f64s()?;
        self.same(len, values.len())?;
        Ok(values)
    }

    fn same(&self, expected: usize, found: usize) -> Result<(), CodecError> {
        if expected == found {
            Ok(())
        } else {
            Err(self.refuse(format!("{found} values where {expected} are expected")))
        }
    }

    /// True if all bytes were read.
    pub fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Checks that all bytes were read.
    ///
    /// # Errors
    /// If some are left.
    pub fn finish(&self) -> Result<(), CodecError> {
        if self.is_at_end() {
            Ok(())
        } else {
            Err(self.refuse(format!("{} bytes too many", self.bytes.len() - self.at)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Decoder, Encoder};

    #[test]
    fn what_was_written_is_read() {
        let mut to = Encoder::new();
        to.bool(true);
        to.u32(7);
        to.f64(-0.0);
        to.str("ä");
        to.f32s(&[1.5, f32::NAN]);
        to.u64s(&[u64::MAX]);
        let bytes = to.into_bytes();
        let mut from = Decoder::new("test", &bytes);
        assert_eq!(from.bool(), Ok(true));
        assert_eq!(from.u32(), Ok(7));
        assert_eq!(from.f64().map(f64::to_bits), Ok((-0.0_f64).to_bits()));
        assert_eq!(from.str(), Ok("ä"));
        assert!(from.f32s().is_ok_and(|v| v[1].is_nan()));
        assert!(from.finish().is_err());
        assert_eq!(from.u64s(), Ok(vec![u64::MAX]));
        assert_eq!(from.finish(), Ok(()));
    }

    #[test]
    fn a_declared_length_allocates_nothing_that_is_not_there() {
        let bytes = u64::MAX.to_le_bytes();
        assert!(Decoder::new("test", &bytes).f64s().is_err());
        assert!(Decoder::new("test", &bytes).bytes().is_err());
    }
}
