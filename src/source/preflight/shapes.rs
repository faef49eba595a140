//! The structs of a Parquet footer and of a page header, as far as a decoder reads them.
//!
//! Source: `parquet.thrift` of the format, version 2.12. A field of kind `Any` is skipped, also by
//! the decoder.

use Kind::{Any, Binary, Bool, Byte, Double, I16, I32, I32s, I64, I64s, Struct, Structs};

/// Type that a field of a known struct must have.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Anything: the field is skipped.
    Any,
    Bool,
    Byte,
    I16,
    I32,
    I64,
    Double,
    Binary,
    Struct(&'static Shape),
    I32s,
    I64s,
    Structs(&'static Shape),
}

/// A struct of the format.
pub(super) struct Shape {
    /// Its name, for the visitor.
    pub name: Name,
    /// By field number; number 0 is unused.
    pub fields: &'static [Kind],
    /// Bits of the required field numbers.
    pub required: u32,
}

/// The structs whose values are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// Any other.
    Other,
    File,
    Element,
    KeyValue,
    Group,
    Chunk,
    Column,
    Page,
    DataPage,
    DataPageV2,
    DictionaryPage,
    /// How a column is encrypted.
    Crypto,
}

const fn other(fields: &'static [Kind]) -> Shape {
    Shape {
        name: Name::Other,
        fields,
        required: 0,
    }
}

/// Bits of field numbers.
const fn bits(fields: &[u32]) -> u32 {
    let (mut bits, mut i) = (0, 0);
    while i < fields.len() {
        bits |= 1 << fields[i];
        i += 1;
    }
    bits
}

pub(super) static FILE: Shape = Shape {
    name: Name::File,
    fields: &[
        Any,
        I32,
        Structs(&ELEMENT),
        I64,
        Structs(&GROUP),
        Structs(&KEY_VALUE),
        Binary,
        Structs(&UNION),
    ],
    required: bits(&[1, 2, 3, 4]),
};

static ELEMENT: Shape = Shape {
    name: Name::Element,
    fields: &[
        Any,
        I32,
        I32,
        I32,
        Binary,
        I32,
        I32,
        I32,
        I32,
        I32,
        Struct(&LOGICAL),
    ],
    required: bits(&[4]),
};

/// Struct fields of a union whose variants are empty.
const E: Kind = Struct(&EMPTY);
static EMPTY: Shape = other(&[]);
static UNION: Shape = other(&[Any, E, E, E]);
static LOGICAL: Shape = other(&[
    Any,
    E,
    E,
    E,
    E,
    Struct(&DECIMAL),
    E,
    Struct(&TIME),
    Struct(&TIME),
    Any,
    Struct(&INTEGER),
    E,
    E,
    E,
    E,
    E,
    Struct(&VARIANT),
    Struct(&GEOGRAPHY),
    Struct(&GEOGRAPHY),
    E,
]);
static DECIMAL: Shape = other(&[Any, I32, I32]);
static TIME: Shape = other(&[Any, Bool, Struct(&UNION)]);
static INTEGER: Shape = other(&[Any, Byte, Bool]);
static VARIANT: Shape = other(&[Any, Byte]);
static GEOGRAPHY: Shape = other(&[Any, Binary, I32]);

static KEY_VALUE: Shape = Shape {
    name: Name::KeyValue,
    fields: &[Any, Binary, Binary],
    required: bits(&[1]),
};

static GROUP: Shape = Shape {
    name: Name::Group,
    fields: &[
        Any,
        Structs(&CHUNK),
        I64,
        I64,
        Structs(&SORTING),
        I64,
        Any,
        I16,
    ],
    required: bits(&[1, 2, 3]),
};

static SORTING: Shape = other(&[Any, I32, Bool, Bool]);

static CHUNK: Shape = Shape {
    name: Name::Chunk,
    fields: &[
        Any,
        Binary,
        I64,
        Struct(&COLUMN),
        I64,
        I32,
        I64,
        I32,
        Struct(&CRYPTO),
    ],
    required: bits(&[2]),
};

static CRYPTO: Shape = Shape {
    name: Name::Crypto,
    fields: &[],
    required: 0,
};

static COLUMN: Shape = Shape {
    name: Name::Column,
    fields: &[
        Any,
        I32,
        I32s,
        Any,
        I32,
        I64,
        I64,
        I64,
        Any,
        I64,
        I64,
        I64,
        Struct(&STATISTICS),
        Structs(&PAGE_ENCODING),
        I64,
        I32,
        Struct(&SIZES),
        Struct(&GEOSPATIAL),
    ],
    required: bits(&[1, 2, 4, 5, 6, 7, 9]),
};

static STATISTICS: Shape = other(&[
    Any, Binary, Binary, I64, I64, Binary, Binary, Bool, Bool, I64,
]);
static PAGE_ENCODING: Shape = other(&[Any, I32, I32, I32]);
static SIZES: Shape = other(&[Any, I64, I64s, I64s]);
static GEOSPATIAL: Shape = other(&[Any, Struct(&BOX), I32s]);
static BOX: Shape = other(&[
    Any, Double, Double, Double, Double, Double, Double, Double, Double,
]);

pub(super) static PAGE: Shape = Shape {
    name: Name::Page,
    fields: &[
        Any,
        I32,
        I32,
        I32,
        I32,
        Struct(&DATA_PAGE),
        E,
        Struct(&DICTIONARY_PAGE),
        Struct(&DATA_PAGE_V2),
    ],
    required: bits(&[1, 2, 3]),
};

static DATA_PAGE: Shape = Shape {
    name: Name::DataPage,
    fields: &[Any, I32, I32, I32, I32, Any],
    required: bits(&[1, 2, 3, 4]),
};

static DICTIONARY_PAGE: Shape = Shape {
    name: Name::DictionaryPage,
    fields: &[Any, I32, I32, Bool],
    required: bits(&[1, 2]),
};

static DATA_PAGE_V2: Shape = Shape {
    name: Name::DataPageV2,
    fields: &[Any, I32, I32, I32, I32, I32, I32, Bool, Any],
    required: bits(&[1, 2, 3, 4, 5, 6]),
};
