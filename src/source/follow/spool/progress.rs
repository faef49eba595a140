//! Progress of a connection's stream: in the middle of a message, or between two.
//!
//! Only the framing of messages is examined; errors in them are found and reported where they are
//! decoded.

use std::path::Path;

use crate::source::catch_panic;
use crate::source::framing::{Next, Place};

/// Longest header that is collected here; after a longer one the message boundaries are no longer
/// known.
const HEADER_MAX: usize = 16 << 20;

/// How far a stream has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    place: Place,
    /// Bytes of the current header.
    header: Vec<u8>,
    /// Header length required to continue.
    need: usize,
    /// Bytes of the current body that are still missing.
    body_left: usize,
    has_rows: bool,
    /// True if the stream cannot be split into messages.
    is_lost: bool,
}

impl Progress {
    /// Processes the next bytes.
    pub fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_lost {
            let of_body = self.body_left.min(bytes.len());
            self.body_left -= of_body;
            bytes = &bytes[of_body..];
            let lacks = self.need.max(1) - self.header.len();
            let of_header = lacks.min(bytes.len());
            self.header.extend_from_slice(&bytes[..of_header]);
            bytes = &bytes[of_header..];
            if of_header > 0 && of_header == lacks {
                self.step();
            }
        }
    }

    /// Evaluates the required part of a header.
    fn step(&mut self) {
        let name = Path::new("a connection");
        let (place, header) = (&mut self.place, &self.header);
        // Verifying a header may panic where decoding does.
        let next = catch_panic::catch(name, || place.step(header).map_err(|error| error.at(name)));
        match next {
            Ok(Next::More(need)) if need <= HEADER_MAX => self.need = need,
            Ok(Next::More(_)) | Err(_) => self.is_lost = true,
            Ok(Next::End(_)) => self.go_on(0),
            Ok(Next::Message(cut)) => {
                self.has_rows |= cut.rows > 0;
                self.go_on(cut.body);
            }
        }
    }

    /// Continues after a header with its body.
    fn go_on(&mut self, body: usize) {
        self.header.clear();
        (self.need, self.body_left) = (0, body);
    }

    /// True if a message with rows has at least begun.
    pub fn has_rows(&self) -> bool {
        self.has_rows
    }

    /// True if the last message is complete, as far as that is known.
    pub fn is_between(&self) -> bool {
        self.is_lost || (self.header.is_empty() && self.body_left == 0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float32Array, RecordBatch};
    use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

    use super::*;

    /// Two streams, one behind the other, with the places where messages with rows begin, and where
    /// messages end.
    fn streams(options: &IpcWriteOptions) -> (Vec<u8>, usize, Vec<usize>) {
        let values: ArrayRef = Arc::new(Float32Array::from(vec![1.0, 2.0, 3.0]));
        let batch = RecordBatch::try_from_iter([("x", values)]).expect("a batch");
        let mut all = Vec::new();
        let (mut rows_from, mut ends) = (0, vec![0]);
        for i in 0..2 {
            let before = all.len();
            let options = options.clone();
            let mut writer = StreamWriter::try_new_with_options(all, &batch.schema(), options);
            let writer = writer.as_mut().expect("a writer");
            ends.push(writer.get_ref().len());
            // A message without a row, then two with some.
            for (at, part) in [batch.slice(0, 0), batch.clone(), batch.clone()]
                .iter()
                .enumerate()
            {
                if i == 0 && at == 1 {
                    rows_from = writer.get_ref().len();
                }
                writer.write(part).expect("rows");
                ends.push(writer.get_ref().len());
            }
            writer.finish().expect("an end");
            ends.push(writer.get_ref().len());
            all = writer.get_ref().clone();
            assert!(all.len() > before);
        }
        (all, rows_from, ends)
    }

    #[test]
    fn messages_end_where_they_end_however_their_bytes_come() {
        let now = IpcWriteOptions::default();
        let old = IpcWriteOptions::try_new(8, true, arrow::ipc::MetadataVersion::V4);
        for options in [now, old.expect("options")] {
            let (bytes, rows_from, ends) = streams(&options);
            for step in [1, 2, 3, 7, 64, 1000] {
                let mut progress = Progress::default();
                let mut at = 0;
                for part in bytes.chunks(step) {
                    progress.take(part);
                    at += part.len();
                    assert_eq!(progress.is_between(), ends.contains(&at), "{step}: {at}");
                    // Its header is short of the message.
                    let has_begun = at > rows_from;
                    assert!(has_begun || !progress.has_rows(), "{step}: {at}");
                }
                assert!(progress.has_rows());
            }
        }
    }

    #[test]
    fn what_is_no_stream_is_no_message_that_must_come_to_its_end() {
        for bytes in [
            &b"no stream of any kind\n"[..],
            &[0xFE; 100],
            b"PAR1\0\0\0\0PAR1",
        ] {
            let mut progress = Progress::default();
            progress.take(bytes);
            progress.take(bytes);
            assert!(progress.header.len() <= 200, "{}", progress.header.len());
            assert!(!progress.has_rows());
        }
        let (bytes, _, _) = streams(&IpcWriteOptions::default());
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7F, 0x80, 0xFF] {
                let mut changed = bytes.clone();
                changed[at] = value;
                let mut progress = Progress::default();
                changed.chunks(13).for_each(|part| progress.take(part));
            }
        }
    }
}
