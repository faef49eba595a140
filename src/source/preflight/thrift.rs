//! Thrift compact-protocol bytes → their values, one after another, without building anything.
//!
//! In: bytes and the [`Shape`] of the outermost struct. Out: the numbers and strings of its known
//! fields, passed to a [`Visit`]. Refused: truncated input, a known field of another type or
//! repeated, collections longer than the remaining bytes, nesting beyond [`NESTING_MAX`], and
//! collections of booleans, on whose length in bytes decoders disagree. A decoder that knows no
//! more fields than the shapes do reads the same values from bytes that pass.
//!
//! [`mend`] walks more leniently, like the readers that Thrift generates: an optional field of
//! another type, or with an unknown value, is skipped. It also returns the [`Edits`] that remove
//! such fields, since our decoder would refuse them.

use super::edits::Edits;
use super::fault::{Fault, wrong};
use super::shapes::{Kind, Name, Shape};

/// Levels of structs and lists: Parquet's own take seven.
const NESTING_MAX: usize = 32;

/// Receives the values of known fields.
pub(super) trait Visit {
    fn number(&mut self, of: Name, field: usize, value: i64) -> Result<(), Fault>;
    /// True if this value is meaningful: if not, [`mend`] removes the field, and it is not
    /// reported.
    fn is_meant(&self, _of: Name, _field: usize, _value: i64) -> bool {
        true
    }
    fn bytes(&mut self, _of: Name, _field: usize, _value: &[u8]) -> Result<(), Fault> {
        Ok(())
    }
    /// The structs of this list follow.
    fn list(&mut self, _of: Name, _len: usize) -> Result<(), Fault> {
        Ok(())
    }
    /// The struct has ended; `fields` has the bits of those it had.
    fn end(&mut self, of: Name, fields: u32) -> Result<(), Fault>;
}

/// Types on the wire. Sets are written as lists, the value of a boolean field in its type.
mod wire {
    pub const TRUE: u8 = 1;
    pub const FALSE: u8 = 2;
    pub const BYTE: u8 = 3;
    pub const I16: u8 = 4;
    pub const I32: u8 = 5;
    pub const I64: u8 = 6;
    pub const DOUBLE: u8 = 7;
    pub const BINARY: u8 = 8;
    pub const LIST: u8 = 9;
    pub const SET: u8 = 10;
    pub const MAP: u8 = 11;
    pub const STRUCT: u8 = 12;
    pub const UUID: u8 = 13;
}

static OTHER: Shape = Shape {
    name: Name::Other,
    fields: &[],
    required: 0,
};

enum Frame {
    Fields(Fields),
    Items {
        wire: u8,
        shape: &'static Shape,
        left: usize,
    },
    Pairs {
        key: u8,
        value: u8,
        /// Keys and values.
        left: usize,
    },
}

/// A struct whose fields are being walked.
#[derive(Clone, Copy)]
struct Fields {
    shape: &'static Shape,
    /// Number of the previous field.
    last: i64,
    /// Number of the previous field that is kept.
    kept: i64,
    /// Start of a field to be removed; it ends where the next one starts.
    cut: Option<usize>,
    seen: u32,
}

/// Walks the struct of this shape at the start of `bytes`; returns how many it takes.
pub(super) fn walk(
    bytes: &[u8],
    shape: &'static Shape,
    visit: &mut impl Visit,
) -> Result<usize, Fault> {
    run(bytes, shape, visit, None).map(|(used, _)| used)
}

/// Walks the same leniently; returns the edits needed for a decoder that does not.
pub(super) fn mend(
    bytes: &[u8],
    shape: &'static Shape,
    visit: &mut impl Visit,
) -> Result<Edits, Fault> {
    let walked = run(bytes, shape, visit, Some(Edits::default()));
    walked.map(|(_, edits)| edits.unwrap_or_default())
}

fn run(
    bytes: &[u8],
    shape: &'static Shape,
    visit: &mut impl Visit,
    edits: Option<Edits>,
) -> Result<(usize, Option<Edits>), Fault> {
    // An explicit stack of bounded depth: with recursion a hostile footer could overflow the stack
    // of the thread.
    let mut walk = Walk {
        bytes,
        at: 0,
        frames: Vec::with_capacity(NESTING_MAX),
        edits,
    };
    walk.enter(shape)?;
    while let Some(frame) = walk.frames.last_mut() {
        match frame {
            Frame::Fields(fields) => {
                let fields = *fields;
                walk.fields(fields, visit)?;
            }
            Frame::Items { left: 0, .. } | Frame::Pairs { left: 0, .. } => {
                walk.frames.pop();
            }
            Frame::Items { wire, shape, left } => {
                *left -= 1;
                let (wire, shape) = (*wire, *shape);
                walk.pass(wire, shape)?;
            }
            Frame::Pairs { key, value, left } => {
                let wire = if left.is_multiple_of(2) { *key } else { *value };
                *left -= 1;
                walk.pass(wire, &OTHER)?;
            }
        }
    }
    Ok((walk.at, walk.edits))
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    frames: Vec<Frame>,
    /// The edits so far; `None` if the walk is strict.
    edits: Option<Edits>,
}

impl<'a> Walk<'a> {
    fn push(&mut self, frame: Frame) -> Result<(), Fault> {
        if self.frames.len() == NESTING_MAX {
            return wrong(format!("structs nest deeper than {NESTING_MAX} levels"));
        }
        self.frames.push(frame);
        Ok(())
    }

    fn enter(&mut self, shape: &'static Shape) -> Result<(), Fault> {
        self.push(Frame::Fields(Fields {
            shape,
            last: 0,
            kept: 0,
            cut: None,
            seen: 0,
        }))
    }

    /// The fields of the struct that the last frame is in, to its end or to what one of them holds.
    fn fields(&mut self, mut now: Fields, visit: &mut impl Visit) -> Result<(), Fault> {
        let (shape, depth) = (now.shape, self.frames.len());
        let name = shape.name;
        while self.frames.len() == depth {
            let at = self.at;
            if let (Some(from), Some(edits)) = (now.cut.take(), &mut self.edits) {
                edits.cut(from, at)?;
            }
            let head = self.byte()?;
            let (delta, nibble) = (head >> 4, head & 0x0F);
            let seen = now.seen;
            if nibble == 0 {
                self.frames.pop();
                if seen & shape.required != shape.required {
                    return wrong(format!("a required field of {name:?} is missing"));
                }
                return visit.end(name, seen);
            }
            let before = now.last;
            // A difference of 0 means that it did not fit into four bits and that the number itself
            // follows.
            now.last = match delta {
                0 => self.number::<i16>()?,
                delta => before + i64::from(delta),
            };
            if now.last > i64::from(i16::MAX) {
                return wrong(format!("a field has number {}", now.last));
            }
            let id = usize::try_from(now.last).unwrap_or(0);
            let kind = shape.fields.get(id).copied().unwrap_or(Kind::Any);
            let is_kept = if matches!(kind, Kind::Any) {
                self.pass(nibble, &OTHER)?;
                true
            } else {
                if seen & (1 << id) != 0 {
                    return wrong(format!("field {id} of {name:?} is there twice"));
                }
                self.known(name, id, kind, nibble, visit)?
            };
            if !is_kept {
                now.cut = Some(at);
                continue;
            }
            if !matches!(kind, Kind::Any) {
                now.seen |= 1 << id;
            }
            // A number that was told as the distance to a field that goes is told anew.
            if let (true, Some(edits)) = (delta > 0 && now.kept != before, &mut self.edits) {
                edits.renumber(at, nibble, now.last, now.kept)?;
            }
            now.kept = now.last;
        }
        // The frame goes on where it is, below what has been entered.
        if let Some(frame) = self.frames.get_mut(depth - 1) {
            *frame = Frame::Fields(now);
        }
        Ok(())
    }

    /// Reads a field that must be of this kind; returns whether it is kept.
    fn known(
        &mut self,
        of: Name,
        id: usize,
        kind: Kind,
        wire: u8,
        visit: &mut impl Visit,
    ) -> Result<bool, Fault> {
        let value = match kind {
            Kind::Bool if wire == wire::TRUE || wire == wire::FALSE => {
                i64::from(wire == wire::TRUE)
            }
            Kind::Byte if wire == wire::BYTE => i64::from(self.byte()?.cast_signed()),
            Kind::I16 if wire == wire::I16 => self.number::<i16>()?,
            Kind::I32 if wire == wire::I32 => self.number::<i32>()?,
            Kind::I64 if wire == wire::I64 => self.number::<i64>()?,
            Kind::Double if wire == wire::DOUBLE => return self.take(8).map(|_| true),
            Kind::Binary if wire == wire::BINARY => {
                let bytes = self.binary()?;
                return visit.bytes(of, id, bytes).map(|()| true);
            }
            Kind::Struct(shape) if wire == wire::STRUCT => {
                return self.enter(shape).map(|()| true);
            }
            Kind::I32s | Kind::I64s | Kind::Structs(_) if wire == wire::LIST => {
                let at = self.at;
                let (wire, left) = self.list()?;
                let (shape, needs) = match kind {
                    Kind::I32s => (&OTHER, wire::I32),
                    Kind::I64s => (&OTHER, wire::I64),
                    Kind::Structs(shape) => (shape, wire::STRUCT),
                    _ => (&OTHER, wire),
                };
                if left == 0 {
                    // Our decoder wants the right type of an empty list too.
                    if let (Some(edits), [head]) = (&mut self.edits, &self.bytes[at..self.at]) {
                        edits.replace(at, 1, &[head & 0xF0 | needs])?;
                    }
                } else if wire != needs {
                    return wrong(format!("field {id} of {of:?} lists another type"));
                }
                let shape = if left == 0 { &OTHER } else { shape };
                visit.list(shape.name, left)?;
                let items = Frame::Items { wire, shape, left };
                return self.push(items).map(|()| true);
            }
            _ if self.edits.is_some() => return self.pass(wire, &OTHER).map(|()| false),
            _ => return wrong(format!("field {id} of {of:?} is of another type")),
        };
        if self.edits.is_some() && !visit.is_meant(of, id, value) {
            return Ok(false);
        }
        visit.number(of, id, value).map(|()| true)
    }

    /// Skips a value, or enters it.
    fn pass(&mut self, wire: u8, shape: &'static Shape) -> Result<(), Fault> {
        match wire {
            wire::TRUE | wire::FALSE => Ok(()),
            wire::BYTE => self.byte().map(|_| ()),
            wire::I16 | wire::I32 | wire::I64 => self.varint().map(|_| ()),
            wire::DOUBLE => self.take(8).map(|_| ()),
            wire::UUID => self.take(16).map(|_| ()),
            wire::BINARY => self.binary().map(|_| ()),
            wire::STRUCT => self.enter(shape),
            wire::LIST | wire::SET => {
                let (wire, left) = self.list()?;
                let shape = &OTHER;
                self.push(Frame::Items { wire, shape, left })
            }
            wire::MAP => {
                let len = self.len()?;
                if len == 0 {
                    return Ok(());
                }
                // Only a map with entries has the byte of its types.
                let types = self.byte()?;
                let (key, value) = (item(types >> 4)?, item(types & 0x0F)?);
                let left = 2 * len;
                self.push(Frame::Pairs { key, value, left })
            }
            other => wrong(format!("a value of the unknown type {other}")),
        }
    }

    /// The type and the number of the items of a list.
    fn list(&mut self) -> Result<(u8, usize), Fault> {
        let head = self.byte()?;
        // Four bits hold the length of a short list; 15 means that the length follows.
        let len = match head >> 4 {
            15 => self.len()?,
            short => usize::from(short),
        };
        if len == 0 {
            // Some writers give empty lists the type 0.
            return Ok((wire::BYTE, 0));
        }
        if len > self.bytes.len() - self.at {
            // An item takes a byte at the least.
            return Err(Fault::Short);
        }
        Ok((item(head & 0x0F)?, len))
    }

    fn binary(&mut self) -> Result<&'a [u8], Fault> {
        let len = self.len()?;
        self.take(len)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let taken = self.bytes[self.at..].get(..len).ok_or(Fault::Short)?;
        self.at += len;
        Ok(taken)
    }

    #[inline(always)]
    fn byte(&mut self) -> Result<u8, Fault> {
        let byte = *self.bytes.get(self.at).ok_or(Fault::Short)?;
        self.at += 1;
        Ok(byte)
    }

    /// A length, of 31 bits as in every decoder.
    fn len(&mut self) -> Result<usize, Fault> {
        let len = self.varint()?;
        match i32::try_from(len).map(usize::try_from) {
            Ok(Ok(len)) => Ok(len),
            _ => wrong(format!("a length of {len}")),
        }
    }

    #[inline(always)]
    fn number<T: TryFrom<i64>>(&mut self) -> Result<i64, Fault> {
        let code = self.varint()?;
        let value = (code >> 1).cast_signed() ^ -(code & 1).cast_signed();
        if T::try_from(value).is_err() {
            return wrong(format!("the number {value} does not fit its type"));
        }
        Ok(value)
    }

    #[inline(always)]
    fn varint(&mut self) -> Result<u64, Fault> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(byte.into())
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Fault> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        wrong("a number of more than 64 bits")
    }
}

/// The type of a list's items: not booleans.
fn item(wire: u8) -> Result<u8, Fault> {
    match wire {
        wire::TRUE | wire::FALSE => wrong("a list of booleans, which Parquet does not use here"),
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Numbers(Vec<(usize, i64)>);

    impl Visit for Numbers {
        fn number(&mut self, _: Name, field: usize, value: i64) -> Result<(), Fault> {
            self.0.push((field, value));
            Ok(())
        }
        fn end(&mut self, _: Name, _: u32) -> Result<(), Fault> {
            Ok(())
        }
    }

    static TWO: Shape = Shape {
        name: Name::Page,
        fields: &[Kind::Any, Kind::I32, Kind::Bool],
        required: 1 << 1,
    };

    fn read(bytes: &[u8]) -> Result<(usize, Vec<(usize, i64)>), Fault> {
        let mut numbers = Numbers(Vec::new());
        let used = walk(bytes, &TWO, &mut numbers)?;
        Ok((used, numbers.0))
    }

    #[test]
    fn known_fields_are_told_and_others_passed_over() {
        // 1: i32 -3; 2: true; 5: list of two i64; 6: map of byte to binary; the end; one byte more.
        let bytes = [
            0x15, 5, 0x11, 0x39, 0x26, 2, 4, 0x1B, 1, 0x38, 7, 2, 9, 9, 0, 0xFF,
        ];
        let (used, numbers) = read(&bytes).unwrap();
        assert_eq!((used, numbers), (15, vec![(1, -3), (2, 1)]));
        for end in 0..15 {
            assert!(matches!(read(&bytes[..end]), Err(Fault::Short)), "{end}");
        }
    }

    #[test]
    fn what_decoders_could_read_otherwise_is_refused() {
        for bytes in [
            &[0x16, 5, 0][..],               // field 1 as an i64
            &[0x15, 5, 0x05, 2, 5, 0],       // field 1 twice
            &[0x15, 5, 0x39, 0x21, 1, 1, 0], // a list of booleans
            &[0x11, 0],                      // without field 1
            &[[0x15].as_slice(), &[0xFF; 10], &[1, 0]].concat(),
            &[0x15, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 0], // beyond 32 bits
        ] {
            assert!(matches!(read(bytes), Err(Fault::Wrong(_))), "{bytes:?}");
        }
        let deep = [[0x15, 5].as_slice(), &[0x3C; 4096]].concat();
        assert!(matches!(read(&deep), Err(Fault::Wrong(_))));
        // Two billion items in a few bytes.
        let long = [0x15, 5, 0x39, 0xF3, 0xFF, 0xFF, 0xFF, 0xFF, 0x07, 0];
        assert!(matches!(read(&long), Err(Fault::Short)));
    }
}
