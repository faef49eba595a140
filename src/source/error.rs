//! Errors between a path and a minibatch: each message names the place, the value and the remedy.

use std::io;
use std::path::{Path, PathBuf};

/// Errors between a path and a minibatch.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// No input was named.
    #[error("no input: name a file, a directory, a glob, or - for an Arrow IPC stream")]
    NoInput,
    /// A path that does not exist, or a glob that matches nothing.
    #[error("{path}: no such file or directory, and no glob that matches one; check the name", path = .path.display())]
    NotFound {
        /// As the user wrote it.
        path: PathBuf,
    },
    /// A directory without a data file.
    #[error("{path}: the directory holds no data file{others}; name one that holds Parquet or Arrow IPC files", path = .path.display())]
    EmptyDirectory {
        /// Path of the directory.
        path: PathBuf,
        /// Its other content, in brackets.
        others: String,
    },
    /// More files than a run accepts.
    #[error("{path}: more than {limit} files or {depth} levels below it; name a smaller part", path = .path.display())]
    TooMany {
        /// Path of the directory.
        path: PathBuf,
        /// Files that a run accepts.
        limit: usize,
        /// Directory levels that a run descends.
        depth: usize,
    },
    /// The operating system refused.
    #[error("{path}: cannot be read: {source}; check that it is there and readable", path = .path.display())]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of no bytes.
    #[error("{path}: the file is empty (0 bytes); write it again or leave it out", path = .path.display())]
    EmptyFile {
        /// Path of the file.
        path: PathBuf,
    },
    /// Magic bytes of an unknown format.
    #[error(
        "{path}: neither Parquet nor Arrow IPC: it begins with {found}; convert it, or leave it out \
         (in a directory, other files are skipped unless they have the extension of a data file)",
        path = .path.display()
    )]
    UnknownFormat {
        /// Path of the file.
        path: PathBuf,
        /// Its first bytes, escaped.
        found: String,
    },
    /// The first version of Feather, which is not Arrow IPC.
    #[error("{path}: Feather version 1 is not read; write it again as Feather version 2 (Arrow IPC) or Parquet", path = .path.display())]
    FeatherV1 {
        /// Path of the file.
        path: PathBuf,
    },
    /// Standard input that is not a stream.
    #[error(
        "-: standard input holds {found}; only an Arrow IPC stream can be read there: name the file instead"
    )]
    NotAStream {
        /// Its first bytes, in words.
        found: String,
    },
    /// Bytes that do not follow their format.
    #[error("{path}: corrupt or truncated: {reason}; write it again or leave it out", path = .path.display())]
    Corrupt {
        /// Path of the file.
        path: PathBuf,
        /// The error of the decoder.
        reason: String,
    },
    /// Big-endian numbers.
    #[error("{path}: its values are big-endian, which is not read; pyarrow reads it, and writes it little-endian", path = .path.display())]
    BigEndian {
        /// Path of the file.
        path: PathBuf,
    },
    /// Bytes after the end of an Arrow IPC stream that are not another stream with the same
    /// columns.
    #[error(
        "{path}: {what}; after the end of a stream, only streams with the same columns may \
         follow: remove the rest, or write it to a separate file",
        path = .path.display()
    )]
    Behind {
        /// Path of the file.
        path: PathBuf,
        /// The content found, in words.
        what: String,
    },
    /// Encrypted data.
    #[error("{path}: {what} encrypted, and ojad cannot take a key; write it \
      again unencrypted or {remedy}", path = .path.display())]
    Encrypted {
        /// Path of the file.
        path: PathBuf,
        /// "the footer is", "column `x` is".
        what: String,
        /// An additional remedy.
        remedy: &'static str,
    },
    /// A directory managed by a table format: not all of its files are part of the table.
    #[error(
        "{path}: {kind} table{place}: not all files below it are part of the table; write its current \
         rows to Parquet with a reader of such tables, or name the files that are part of it one by one",
        path = .path.display()
    )]
    Table {
        /// Path of the directory.
        path: PathBuf,
        /// "a Delta Lake".
        kind: &'static str,
        /// The evidence for that.
        place: String,
    },
    /// No column is usable as a feature.
    #[error("{path}: no numeric column to use as a feature; it has {columns}", path = .path.display())]
    NoFeature {
        /// Path of the file.
        path: PathBuf,
        /// The columns and why each was left out.
        columns: String,
    },
    /// Fewer features than components.
    #[error(
        "{path}: components = {components}, but there are only {features} features; ask for at most \
         {features} (`learner.components`), or leave the file out",
        path = .path.display()
    )]
    TooFewFeatures {
        /// Path of the file.
        path: PathBuf,
        /// Number of components k.
        components: usize,
        /// Features of the file.
        features: usize,
    },
    /// No row in any input.
    #[error("{inputs}: no rows; name inputs that have some")]
    NoRows {
        /// The inputs.
        inputs: String,
    },
    /// A glob that cannot be parsed.
    #[error("`{glob}`: not a glob: {reason}; correct it")]
    Glob {
        /// The glob.
        glob: String,
        /// The reason, in words.
        reason: String,
    },
    /// A pattern of `features.include` or `features.exclude` that matches no column.
    #[error(
        "{path}: {key}: no column matches `{pattern}`; the nearest names are {nearest}: correct it or leave it out",
        path = .path.display()
    )]
    NoMatch {
        /// The first file.
        path: PathBuf,
        /// The pattern.
        pattern: String,
        /// The flag and the key of the configuration.
        key: &'static str,
        /// Most similar column names.
        nearest: String,
    },
    /// A column with the same name as an element of a list.
    #[error(
        "{path}: two features would be called `{feature}`: the column, and a value of the list `{list}`; rename one of the two columns or exclude it (`--exclude`, `features.exclude`)",
        path = .path.display()
    )]
    SameFeature {
        /// Path of the file.
        path: PathBuf,
        /// Name of both features.
        feature: String,
        /// Name of the list column.
        list: String,
    },
    /// A feature whose name is very long.
    #[error(
        "{path}: a column has a name of {bytes} bytes, `{column}`; rename it to one of 4096 at most, or exclude it (`--exclude`, `features.exclude`)",
        path = .path.display()
    )]
    LongName {
        /// Path of the file.
        path: PathBuf,
        /// Length of the name.
        bytes: usize,
        /// Its beginning and its end.
        column: String,
    },
    /// Two columns of one name.
    #[error("{path}: two columns are named `{column}`; rename one or exclude both", path = .path.display())]
    Duplicate {
        /// Path of the file.
        path: PathBuf,
        /// The name.
        column: String,
    },
    /// A feature of the first file that is missing in this one.
    #[error(
        "{path}: column `{column}` of {first} is missing; add it, exclude it (`features.exclude`), or leave the file out",
        path = .path.display(), first = .first.display()
    )]
    Missing {
        /// Path of the file.
        path: PathBuf,
        /// Name of the column.
        column: String,
        /// The file that fixed the features.
        first: PathBuf,
    },
    /// A numeric column of this file that is not a feature.
    #[error(
        "{path}: column `{column}` is numeric here, but {first} has no such column, or only nulls \
          in it; exclude it (`features.exclude`) or set `source.extra = \"ignore\"`",
        path = .path.display(), first = .first.display()
    )]
    Extra {
        /// Path of the file.
        path: PathBuf,
        /// Name of the column.
        column: String,
        /// The file that fixed the features.
        first: PathBuf,
    },
    /// A feature of another type or length than in the first file.
    #[error(
        "{path}: column `{column}` is {found} here but {expected} in {first}; make them agree or exclude the column",
        path = .path.display(), first = .first.display()
    )]
    Changed {
        /// Path of the file.
        path: PathBuf,
        /// Name of the column.
        column: String,
        /// Its type here.
        found: String,
        /// Its type before.
        expected: String,
        /// The file that fixed the features.
        first: PathBuf,
    },
    /// A value that the policy refuses.
    #[error(
        "{path}: row {row} (from 0 in this file), column `{column}`: value is {value}; clean the row, set `{key}` to \"skip\" or \"mean\", or leave the column out with `features.exclude`",
        path = .path.display()
    )]
    BadValue {
        /// Path of the file.
        path: PathBuf,
        /// 0-based row in the file.
        row: u64,
        /// Name of the feature.
        column: String,
        /// The value.
        value: String,
        /// The key that determines the policy.
        key: &'static str,
    },
    /// A list of another length than the rows before.
    #[error(
        "{path}: row {row} (from 0 in this file), column `{column}`: a list of {found} values where {expected} are expected; \
          give all rows the same length, or exclude the column",
        path = .path.display()
    )]
    ListLength {
        /// Path of the file.
        path: PathBuf,
        /// 0-based row in the file.
        row: u64,
        /// Name of the column.
        column: String,
        /// Its length here.
        found: usize,
        /// The length of the first list.
        expected: usize,
    },
    /// A time, stored as the number of its units since 1970.
    #[error(
        "{path}: row {row} (from 0 in this file), column `{column}`: {value} is a time, \
          {meaning}, not a \
          measurement; exclude the column (`--exclude`, `features.exclude`) or name it as an id (`--id`, `features.ids`)",
        path = .path.display()
    )]
    Time {
        /// Path of the file.
        path: PathBuf,
        /// 0-based row in the file.
        row: u64,
        /// Name of the column.
        column: String,
        /// The number.
        value: String,
        /// Its unit and date.
        meaning: String,
    },
    /// A number larger than the learner's precision can square and sum.
    #[error(
        "{path}: row {row} (from 0 in this file), column `{column}`: {value} is beyond {limit:e}, the largest magnitude at this precision; exclude the column if it only numbers the rows (`--exclude` or `--id`), set `learner.precision = \"f64\"` (up to 1e150), or set `source.on_inf` to \"skip\" or \"mean\"",
        path = .path.display()
    )]
    TooLarge {
        /// Path of the file.
        path: PathBuf,
        /// 0-based row in the file.
        row: u64,
        /// Name of the feature.
        column: String,
        /// The number.
        value: String,
        /// The largest.
        limit: f64,
    },
    /// More features than a row may have.
    #[error("{path}: {features} features per row, above the limit of \
      {limit}; exclude columns (`features.exclude`)", path = .path.display())]
    TooWide {
        /// Path of the file.
        path: PathBuf,
        /// Values of a row.
        features: u64,
        /// Values that a row may have.
        limit: usize,
    },
    /// Binary rows that are not a whole number of values.
    #[error("{path}: column `{column}`: {bytes} bytes are not a whole number of {dtype} values; \
      correct `features.dtype`", path = .path.display())]
    BinaryLength {
        /// Path of the file.
        path: PathBuf,
        /// Name of the column.
        column: String,
        /// Bytes of a row.
        bytes: usize,
        /// The configured type.
        dtype: &'static str,
    },
    /// An id column that the file does not have.
    #[error("{path}: no id column `{column}` (`--id`, \
      `features.ids`); the nearest names are {nearest}: correct it or leave it out", path = .path.display())]
    IdMissing {
        /// Path of the file.
        path: PathBuf,
        /// The id column.
        column: String,
        /// Most similar column names.
        nearest: String,
    },
    /// Id columns that are inconsistent between files or were not read.
    #[error("{path}: the id columns cannot be passed through: {reason}; make their types agree", path = .path.display())]
    Ids {
        /// Path of the file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file that was replaced or written to after its turn had come.
    #[error("{path}: it changed while it was being read; \
      write files under another name and rename them when they are whole", path = .path.display())]
    ChangedWhileRead {
        /// Path of the file.
        path: PathBuf,
    },
    /// A file that a worker process refused: its error as text.
    #[error("{reason}")]
    Refused {
        /// Name of the file, what is wrong with it, and the remedy.
        reason: String,
    },
    /// A file over which the worker process died or fell silent.
    #[error("{path}: {reason}", path = .path.display())]
    Worker {
        /// Path of the file.
        path: PathBuf,
        /// How the worker ended, and the remedy.
        reason: String,
    },
    /// Continued reading after an error.
    #[error("reading ended with an error before; open the inputs again")]
    Ended,
}

impl SourceError {
    /// The error for a Parquet file with an encrypted footer.
    pub(super) fn encrypted_footer(path: PathBuf) -> Self {
        Self::Encrypted {
            path,
            what: "the footer of this Parquet file is".to_owned(),
            remedy: "leave it out",
        }
    }

    /// The error for a column that is wanted and encrypted.
    pub(super) fn encrypted_column(path: PathBuf, column: &str) -> Self {
        Self::Encrypted {
            path,
            what: format!("column `{column}` is"),
            remedy: "exclude the column (`features.exclude`)",
        }
    }
}

/// The error for a file that the system refused to read.
pub(super) fn unreadable(path: &Path, source: io::Error) -> SourceError {
    SourceError::Unreadable {
        path: path.to_owned(),
        source,
    }
}

/// The first few of `names`, for a message.
pub(super) fn shorten<T: AsRef<str>>(names: impl Iterator<Item = T>) -> String {
    const SHOWN: usize = 12;
    let mut text = String::new();
    let mut count = 0;
    for name in names {
        if count < SHOWN {
            if count > 0 {
                text.push_str(", ");
            }
            text.push_str(name.as_ref());
        }
        count += 1;
    }
    match count {
        0 => "no column".to_owned(),
        n if n > SHOWN => format!("{text} and {} more", n - SHOWN),
        _ => text,
    }
}
