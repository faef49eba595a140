//! The ingest thread's decisions as recorded in the journal: everything that depends on time, on the order
//! of arrival or on the health of a worker, so that a resumed run makes the same decisions.

use crate::codec::{CodecError, Decoder, Encoder};
use crate::source::SegmentRead;
use crate::source::follow::Quarantined;

/// A decision; decisions are carried out in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// NextSegment this segment next.
    NextSegment(SegmentRead),
    /// Learn the waiting rows as a short minibatch.
    Flush,
    /// End the segment of that decision after this many of its rows, and refuse its file.
    Cut {
        /// Number of the decision that took the segment.
        ticket: u64,
        /// Rows taken of the segment.
        rows: u64,
        /// Why.
        quarantined: Quarantined,
    },
    /// Put off segments that cannot be read now, by the decisions that took them: each ends after
    /// this many of its rows, and its file is looked for again.
    PutOff(Vec<(u64, u64)>),
}

impl Decision {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut to = Encoder::new();
        match self {
            Self::NextSegment(reading) => {
                to.u8(0);
                reading.encode(&mut to);
            }
            Self::Flush => to.u8(1),
            Self::Cut {
                ticket,
                rows,
                quarantined,
            } => {
                to.u8(2);
                to.u64(*ticket);
                to.u64(*rows);
                quarantined.encode(&mut to);
            }
            Self::PutOff(tickets) => {
                to.u8(3);
                to.usize(tickets.len());
                for (ticket, rows) in tickets {
                    to.u64(*ticket);
                    to.u64(*rows);
                }
            }
        }
        to.into_bytes()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut from = Decoder::new("a decision", bytes);
        let decision = match from.u8()? {
            0 => Self::NextSegment(SegmentRead::decode(&mut from)?),
            1 => Self::Flush,
            2 => Self::Cut {
                ticket: from.u64()?,
                rows: from.u64()?,
                quarantined: Quarantined::decode(&mut from)?,
            },
            3 => {
                let mut tickets = Vec::new();
                for _ in 0..from.count(16)? {
                    tickets.push((from.u64()?, from.u64()?));
                }
                Self::PutOff(tickets)
            }
            other => return Err(from.refuse(format!("unknown decision {other}"))),
        };
        from.finish()?;
        Ok(decision)
    }
}
