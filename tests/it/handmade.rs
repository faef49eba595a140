//! Parquet files written byte by byte, as no writer would.

/// Thrift's compact protocol, as far as a footer needs it.
#[derive(Default)]
pub struct Compact {
    pub bytes: Vec<u8>,
    /// The number of the field before, for each struct that is open.
    last: Vec<u8>,
}

impl Compact {
    pub fn varint(&mut self, mut value: u64) {
        while value > 0x7F {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    fn field(&mut self, id: u8, wire: u8) {
        let last = self.last.last_mut().expect("a struct");
        self.bytes.push((id - *last) << 4 | wire);
        *last = id;
    }

    fn number(&mut self, id: u8, wire: u8, value: i64) {
        self.field(id, wire);
        self.varint((value << 1 ^ value >> 63).cast_unsigned());
    }

    pub fn i32(&mut self, id: u8, value: i32) {
        self.number(id, 5, value.into());
    }

    pub fn i64(&mut self, id: u8, value: i64) {
        self.number(id, 6, value);
    }

    pub fn binary(&mut self, id: u8, value: &[u8]) {
        self.field(id, 8);
        self.varint(value.len() as u64);
        self.bytes.extend(value);
    }

    /// A list of structs, which follow.
    pub fn list(&mut self, id: u8, len: usize) {
        self.field(id, 9);
        self.bytes.push(0xFC);
        self.varint(len as u64);
    }

    /// A list of this one number.
    pub fn numbers(&mut self, id: u8, value: u8) {
        self.field(id, 9);
        self.bytes.extend([0x15, value << 1]);
    }

    /// Keys with a text, nothing, a number and a truth value, as fastparquet 0.8.2 wrote them.
    fn odd_metadata(&mut self) {
        self.list(5, 4);
        for (i, key) in ["k_text", "k_none", "k_int", "k_bool"].iter().enumerate() {
            self.open();
            self.binary(1, key.as_bytes());
            match i {
                0 => self.binary(2, b"text"),
                2 => self.i64(2, 1),
                // True: it has no bytes of its own.
                3 => self.field(2, 1),
                _ => {}
            }
            self.close();
        }
    }

    pub fn open(&mut self) {
        self.last.push(0);
    }

    pub fn open_field(&mut self, id: u8) {
        self.field(id, 12);
        self.open();
    }

    pub fn close(&mut self) {
        self.last.pop();
        self.bytes.push(0);
    }
}

/// A node of a schema.
#[derive(Clone, Copy)]
pub struct Node {
    pub name: &'static str,
    /// Physical type, for a column.
    pub physical: Option<i32>,
    /// 0 required, 1 optional, 2 repeated.
    pub repetition: i32,
    pub children: i32,
    /// Converted type: 3 is a list.
    pub converted: Option<i32>,
}

pub fn root(children: i32) -> Node {
    Node {
        name: "root",
        physical: None,
        repetition: 0,
        children,
        converted: None,
    }
}

/// A group of one child.
pub fn group(name: &'static str, repetition: i32, converted: Option<i32>) -> Node {
    Node {
        name,
        physical: None,
        repetition,
        children: 1,
        converted,
    }
}

pub fn column(name: &'static str, physical: i32, repetition: i32) -> Node {
    Node {
        name,
        physical: Some(physical),
        repetition,
        children: 0,
        converted: None,
    }
}

/// The schema of a list of floats, all required.
pub fn float_list() -> Vec<Node> {
    vec![
        root(1),
        group("l", 0, Some(3)),
        group("list", 2, None),
        column("element", FLOAT, 0),
    ]
}

pub const INT64: i32 = 2;
pub const FLOAT: i32 = 4;
pub const BYTES: i32 = 6;

/// Encodings.
pub const PLAIN: i32 = 0;
pub const RLE: i32 = 3;
pub const DELTA_LENGTH: i32 = 6;
pub const DICTIONARY: i32 = 8;

/// The columns of the one row group of a file.
pub struct Chunk {
    pub physical: i32,
    pub codec: i32,
    pub values: i64,
    pub has_dictionary: bool,
    /// Page headers and pages.
    pub pages: Vec<u8>,
}

impl Chunk {
    pub fn new(physical: i32, values: i64) -> Self {
        Self {
            physical,
            codec: 0,
            values,
            has_dictionary: false,
            pages: Vec::new(),
        }
    }

    /// Adds a dictionary page.
    pub fn dictionary(mut self, words: i32, bytes: &[u8]) -> Self {
        self.has_dictionary = true;
        let size = i32::try_from(bytes.len()).expect("a size");
        self.page(2, size, bytes, |page| {
            page.open_field(7);
            page.i32(1, words);
            page.i32(2, PLAIN);
            page.close();
        });
        self
    }

    /// Adds a data page that declares to be `size` bytes when uncompressed.
    pub fn data(mut self, values: i32, encoding: i32, size: i32, bytes: &[u8]) -> Self {
        self.page(0, size, bytes, |page| {
            page.open_field(5);
            page.i32(1, values);
            page.i32(2, encoding);
            page.i32(3, RLE);
            page.i32(4, RLE);
            page.close();
        });
        self
    }

    fn page(&mut self, kind: i32, size: i32, bytes: &[u8], more: impl Fn(&mut Compact)) {
        let mut page = Compact::default();
        page.open();
        page.i32(1, kind);
        page.i32(2, size);
        page.i32(3, i32::try_from(bytes.len()).expect("a size"));
        more(&mut page);
        page.close();
        self.pages.extend(page.bytes);
        self.pages.extend(bytes);
    }
}

/// What some writers put into a footer, or leave out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quirks {
    /// Rows that the footer declares for the file, whatever its row groups have.
    pub file_rows: Option<i64>,
    /// Whether a column without a dictionary says that it lies at 0.
    pub has_dictionary_at_zero: bool,
    /// Whether metadata holds a number and a truth value in the place of text.
    pub has_odd_metadata: bool,
    /// Whether the first column says that it is encrypted.
    pub is_first_encrypted: bool,
}

/// A file of one row group.
pub fn file(schema: &[Node], rows: i64, chunks: &[Chunk]) -> Vec<u8> {
    file_with(schema, rows, chunks, Quirks::default())
}

/// A file of one row group, as an odd writer would write it.
pub fn file_with(schema: &[Node], rows: i64, chunks: &[Chunk], odd: Quirks) -> Vec<u8> {
    let mut bytes = b"PAR1".to_vec();
    let mut footer = Compact::default();
    footer.open();
    footer.i32(1, 2);
    footer.list(2, schema.len());
    for (i, node) in schema.iter().enumerate() {
        footer.open();
        if let Some(physical) = node.physical {
            footer.i32(1, physical);
        }
        if i > 0 {
            footer.i32(3, node.repetition);
        }
        footer.binary(4, node.name.as_bytes());
        if node.children != 0 {
            footer.i32(5, node.children);
        }
        if let Some(converted) = node.converted {
            footer.i32(6, converted);
            // A field behind it, which is told as a distance to it.
            footer.i32(9, 7);
        }
        footer.close();
    }
    footer.i64(3, odd.file_rows.unwrap_or(rows));
    footer.list(4, 1);
    footer.open();
    footer.list(1, chunks.len());
    for (i, chunk) in chunks.iter().enumerate() {
        let at = i64::try_from(bytes.len()).expect("an offset");
        let len = i64::try_from(chunk.pages.len()).expect("a size");
        bytes.extend(&chunk.pages);
        footer.open();
        footer.i64(2, 0);
        footer.open_field(3);
        footer.i32(1, chunk.physical);
        footer.numbers(2, RLE as u8);
        footer.i32(4, chunk.codec);
        footer.i64(5, chunk.values);
        footer.i64(6, len);
        footer.i64(7, len);
        footer.i64(9, at);
        if chunk.has_dictionary {
            footer.i64(11, at);
        } else if odd.has_dictionary_at_zero {
            footer.i64(11, 0);
            // Where a Bloom filter would be: told as a distance to what goes.
            footer.i64(14, 4);
        }
        footer.close();
        if odd.is_first_encrypted && i == 0 {
            // With the key of the footer.
            footer.open_field(8);
            footer.open_field(1);
            footer.close();
            footer.close();
        }
        footer.close();
    }
    footer.i64(2, 0);
    footer.i64(3, rows);
    footer.close();
    if odd.has_odd_metadata {
        footer.odd_metadata();
    }
    footer.close();
    with_footer(bytes, &footer.bytes)
}

/// Adds the footer and what stands behind it.
pub fn with_footer(mut bytes: Vec<u8>, footer: &[u8]) -> Vec<u8> {
    bytes.extend(footer);
    bytes.extend((footer.len() as u32).to_le_bytes());
    bytes.extend(b"PAR1");
    bytes
}

/// Runs of levels of one bit with their length before them, as (level, number).
pub fn levels(runs: &[(u8, u64)]) -> Vec<u8> {
    let mut packed = Compact::default();
    for &(level, len) in runs {
        packed.varint(len << 1);
        packed.bytes.push(level);
    }
    let mut bytes = (packed.bytes.len() as u32).to_le_bytes().to_vec();
    bytes.extend(packed.bytes);
    bytes
}

/// Indices into a dictionary, all zero.
pub fn zeros(len: u64) -> Vec<u8> {
    let mut packed = Compact::default();
    packed.bytes.push(1);
    packed.varint(len << 1);
    packed.bytes.push(0);
    packed.bytes
}

/// A zstd frame of this many zero bytes: blocks of 4 bytes that each stand for 128 KiB.
pub fn zstd_zeros(len: u64) -> Vec<u8> {
    const BLOCK: u64 = 128 << 10;
    let mut bytes = 0xFD2F_B528_u32.to_le_bytes().to_vec();
    // The window is not the whole: 8 bytes of length, a window of 128 KiB.
    bytes.extend([0xC0, 7 << 3]);
    bytes.extend(len.to_le_bytes());
    let blocks = len.div_ceil(BLOCK).max(1);
    for block in 0..blocks {
        let size = (len - block * BLOCK).min(BLOCK) as u32;
        let head = size << 3 | 1 << 1 | u32::from(block + 1 == blocks);
        bytes.extend(&head.to_le_bytes()[..3]);
        bytes.push(0);
    }
    bytes
}
