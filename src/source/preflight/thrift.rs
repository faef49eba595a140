//! Thrift compact-protocol bytes → their values, one after another, without building anything.
//!
//! In: bytes and the [`Shape`] of the outermost struct. Out: the numbers and strings of its known
//! fields, told to a [`Visit`]. Refused: what ends early, a known field of another type or twice,
//! collections longer than the bytes that are left, nesting beyond [`NESTING_MAX`], and
//! collections of booleans, whose length in bytes decoders disagree on. A decoder that knows no
//! more fields than the shapes do reads the same values from bytes that pass.

use super::shapes::{Kind, Name, Shape};

/// Levels of structs and lists: Parquet's own take seven.
const NESTING_MAX: usize = 32;

/// Why bytes are refused.
#[derive(Debug)]
pub(super) enum Fault {
    /// They end before the outermost struct does.
    Short,
    /// They say what cannot be.
    Wrong(String),
}

pub(super) fn wrong<T>(reason: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Wrong(reason.into()))
}

/// Is told the values of known fields.
pub(super) trait Visit {
    fn number(&mut self, of: Name, field: usize, value: i64) -> Result<(), Fault>;
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

/// Types on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Bool(bool),
    Byte,
    I16,
    I32,
    I64,
    Double,
    Binary,
    List,
    Map,
    Struct,
    Uuid,
}

fn wire(nibble: u8) -> Result<Wire, Fault> {
    Ok(match nibble {
        1 => Wire::Bool(true),
        2 => Wire::Bool(false),
        3 => Wire::Byte,
        4 => Wire::I16,
        5 => Wire::I32,
        6 => Wire::I64,
        7 => Wire::Double,
        8 => Wire::Binary,
        // Lists and sets are written alike.
        9 | 10 => Wire::List,
        11 => Wire::Map,
        12 => Wire::Struct,
        13 => Wire::Uuid,
        other => return wrong(format!("a field of the unknown type {other}")),
    })
}

static OTHER: Shape = Shape {
    name: Name::Other,
    fields: &[],
    required: 0,
};

enum Frame {
    Fields {
        shape: &'static Shape,
        last: i64,
        seen: u32,
    },
    Items {
        wire: Wire,
        shape: &'static Shape,
        left: usize,
    },
    Pairs {
        key: Wire,
        value: Wire,
        /// Keys and values.
        left: usize,
    },
}

/// Walks the struct of this shape at the start of `bytes`; returns how many it takes.
pub(super) fn walk(
    bytes: &[u8],
    shape: &'static Shape,
    visit: &mut impl Visit,
) -> Result<usize, Fault> {
    let mut walk = Walk {
        bytes,
        at: 0,
        frames: Vec::with_capacity(NESTING_MAX),
    };
    walk.enter(shape)?;
    while let Some(frame) = walk.frames.last_mut() {
        match frame {
            Frame::Fields { .. } => walk.field(visit)?,
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
    Ok(walk.at)
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    frames: Vec<Frame>,
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
        self.push(Frame::Fields {
            shape,
            last: 0,
            seen: 0,
        })
    }

    /// The next field of the struct that the last frame is in, or its end.
    fn field(&mut self, visit: &mut impl Visit) -> Result<(), Fault> {
        let head = self.byte()?;
        let (delta, nibble) = (head >> 4, head & 0x0F);
        let long = if nibble != 0 && delta == 0 {
            Some(self.number(i64::from(i16::MIN), i64::from(i16::MAX))?)
        } else {
            None
        };
        let Some(Frame::Fields { shape, last, seen }) = self.frames.last_mut() else {
            return wrong("a field outside a struct");
        };
        let name = shape.name;
        if nibble == 0 {
            let (required, seen) = (shape.required, *seen);
            self.frames.pop();
            if seen & required != required {
                return wrong(format!("a required field of {name:?} is missing"));
            }
            return visit.end(name, seen);
        }
        let id = long.unwrap_or(*last + i64::from(delta));
        *last = id;
        if id > i64::from(i16::MAX) {
            return wrong(format!("a field has number {id}"));
        }
        let wire = wire(nibble)?;
        let known = usize::try_from(id).ok().filter(|&id| id > 0);
        let known = known.and_then(|id| Some((id, *shape.fields.get(id)?)));
        let Some((id, kind)) = known.filter(|(_, kind)| !matches!(kind, Kind::Any)) else {
            return self.pass(wire, &OTHER);
        };
        if *seen & (1 << id) != 0 {
            return wrong(format!("field {id} of {name:?} is there twice"));
        }
        *seen |= 1 << id;
        self.known(name, id, kind, wire, visit)
    }

    /// Reads a field that must be of this kind.
    fn known(
        &mut self,
        of: Name,
        id: usize,
        kind: Kind,
        wire: Wire,
        visit: &mut impl Visit,
    ) -> Result<(), Fault> {
        let value = match (kind, wire) {
            (Kind::Bool, Wire::Bool(value)) => i64::from(value),
            (Kind::Byte, Wire::Byte) => i64::from(self.byte()?.cast_signed()),
            (Kind::I16, Wire::I16) => self.number(i64::from(i16::MIN), i64::from(i16::MAX))?,
            (Kind::I32, Wire::I32) => self.number(i64::from(i32::MIN), i64::from(i32::MAX))?,
            (Kind::I64, Wire::I64) => self.number(i64::MIN, i64::MAX)?,
            (Kind::Double, Wire::Double) => return self.take(8).map(|_| ()),
            (Kind::Binary, Wire::Binary) => {
                let bytes = self.binary()?;
                return visit.bytes(of, id, bytes);
            }
            (Kind::Struct(shape), Wire::Struct) => return self.enter(shape),
            (Kind::I32s | Kind::I64s | Kind::Structs(_), Wire::List) => {
                let (wire, left) = self.list()?;
                let shape = match (kind, wire) {
                    _ if left == 0 => &OTHER,
                    (Kind::I32s, Wire::I32) | (Kind::I64s, Wire::I64) => &OTHER,
                    (Kind::Structs(shape), Wire::Struct) => shape,
                    _ => return wrong(format!("field {id} of {of:?} lists another type")),
                };
                visit.list(shape.name, left)?;
                return self.push(Frame::Items { wire, shape, left });
            }
            _ => return wrong(format!("field {id} of {of:?} is of another type")),
        };
        visit.number(of, id, value)
    }

    /// Passes over a value, or enters it.
    fn pass(&mut self, wire: Wire, shape: &'static Shape) -> Result<(), Fault> {
        match wire {
            Wire::Bool(_) => Ok(()),
            Wire::Byte => self.byte().map(|_| ()),
            Wire::I16 | Wire::I32 | Wire::I64 => self.varint().map(|_| ()),
            Wire::Double => self.take(8).map(|_| ()),
            Wire::Uuid => self.take(16).map(|_| ()),
            Wire::Binary => self.binary().map(|_| ()),
            Wire::Struct => self.enter(shape),
            Wire::List => {
                let (wire, left) = self.list()?;
                self.push(Frame::Items {
                    wire,
                    shape: &OTHER,
                    left,
                })
            }
            Wire::Map => {
                let len = self.len()?;
                if len == 0 {
                    return Ok(());
                }
                let types = self.byte()?;
                let (key, value) = (wire_item(types >> 4)?, wire_item(types & 0x0F)?);
                let left = 2 * len;
                self.push(Frame::Pairs { key, value, left })
            }
        }
    }

    /// The type and the number of the items of a list.
    fn list(&mut self) -> Result<(Wire, usize), Fault> {
        let head = self.byte()?;
        let len = match head >> 4 {
            15 => self.len()?,
            short => usize::from(short),
        };
        if len == 0 {
            // Some writers give empty lists the type 0.
            return Ok((Wire::Byte, 0));
        }
        if len > self.bytes.len() - self.at {
            // An item takes a byte at the least.
            return Err(Fault::Short);
        }
        Ok((wire_item(head & 0x0F)?, len))
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

    fn number(&mut self, low: i64, high: i64) -> Result<i64, Fault> {
        let code = self.varint()?;
        let value = (code >> 1).cast_signed() ^ -(code & 1).cast_signed();
        if (low..=high).contains(&value) {
            Ok(value)
        } else {
            wrong(format!("the number {value} does not fit its type"))
        }
    }

    fn varint(&mut self) -> Result<u64, Fault> {
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
fn wire_item(nibble: u8) -> Result<Wire, Fault> {
    match wire(nibble)? {
        Wire::Bool(_) => wrong("a list of booleans, which Parquet does not have here"),
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
