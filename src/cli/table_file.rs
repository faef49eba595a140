//! A table of results on its way to a file: Parquet or Arrow IPC by the file's name.
//!
//! It is written to a temporary file next to its destination and renamed when complete; `-` is an
//! IPC stream on stdout.

use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::{FileWriter, StreamWriter};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use tempfile::NamedTempFile;

use crate::cli::CliError;

type Buffered = BufWriter<NamedTempFile>;

enum Format {
    Parquet(Box<ArrowWriter<Buffered>>),
    File(Box<FileWriter<Buffered>>),
    Stream(Box<StreamWriter<io::Stdout>>),
}

/// An open table.
pub(super) struct TableFile {
    path: PathBuf,
    format: Format,
}

impl TableFile {
    /// Opens a table of this schema.
    ///
    /// # Errors
    /// Usage error if the name has no known ending; failure if the file cannot be created.
    pub(super) fn create(path: &Path, schema: &SchemaRef) -> Result<Self, CliError> {
        let refused = |error: &dyn std::fmt::Display| failure(path, error);
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            _ if path == Path::new("-") => Format::Stream(Box::new(
                StreamWriter::try_new(io::stdout(), schema).map_err(|error| refused(&error))?,
            )),
            Some("parquet") => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::SNAPPY)
                    .build();
                let writer = ArrowWriter::try_new(
                    temporary(path)?,
                    SchemaRef::clone(schema),
                    Some(properties),
                );
                Format::Parquet(Box::new(writer.map_err(|error| refused(&error))?))
            }
            Some("arrow" | "feather" | "ipc") => Format::File(Box::new(
                FileWriter::try_new(temporary(path)?, schema).map_err(|error| refused(&error))?,
            )),
            _ => {
                return Err(CliError::Usage(format!(
                    "--output {}: the file name has no known extension; use .parquet, .arrow or \
                     .feather, or - for a stream",
                    path.display()
                )));
            }
        };
        Ok(Self {
            path: path.to_owned(),
            format,
        })
    }

    /// Adds rows.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), CliError> {
        let path = &self.path;
        match &mut self.format {
            Format::Parquet(writer) => writer.write(batch).map_err(|error| failure(path, &error)),
            Format::File(writer) => writer.write(batch).map_err(|error| failure(path, &error)),
            Format::Stream(writer) => writer.write(batch).map_err(|error| failure(path, &error)),
        }
    }

    /// Finishes the table; only now does it get its name.
    pub(super) fn finish(self) -> Result<(), CliError> {
        let path = self.path;
        let refused = |error: &dyn std::fmt::Display| failure(&path, error);
        let buffered = match self.format {
            Format::Parquet(writer) => writer.into_inner().map_err(|error| refused(&error))?,
            Format::File(writer) => writer.into_inner().map_err(|error| refused(&error))?,
            Format::Stream(mut writer) => {
                return writer.finish().map_err(|error| refused(&error));
            }
        };
        let file = buffered.into_inner().map_err(|error| refused(&error))?;
        file.as_file().sync_all().map_err(|error| refused(&error))?;
        // A temporary file is readable for its owner alone; a result should be as readable as any
        // file.
        make_readable(&file).map_err(|error| refused(&error))?;
        file.persist(&path).map_err(|error| refused(&error))?;
        Ok(())
    }
}

fn temporary(path: &Path) -> Result<Buffered, CliError> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    tempfile::Builder::new()
        .prefix(".ojad-")
        // In the directory of the result, because a rename does not cross file systems.
        .tempfile_in(parent.unwrap_or(Path::new(".")))
        .map(BufWriter::new)
        .map_err(|error| failure(path, &error))
}

/// Temporary files are private; a result should not be.
fn make_readable(file: &NamedTempFile) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.as_file()
        .set_permissions(std::fs::Permissions::from_mode(0o644))
}

fn failure(path: &Path, error: &dyn std::fmt::Display) -> CliError {
    CliError::Failed(format!(
        "{}: cannot write: {error}; free up disk space, or choose another `--output`",
        path.display()
    ))
}
