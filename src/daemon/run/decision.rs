//! Decisions of the feeder, as the journal holds them: everything that depends on time, on the order
//! of arrival or on the health of a worker, so that a resumed run decides the same.

use crate::codec::{CodecError, Decoder, Encoder};
use crate::source::SegmentRead;
use crate::source::follow::Quarantined;

/// A decision, in the order in which they are carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// A segment is next.
    Take(SegmentRead),
    /// The rows that wait are learned as a short minibatch.
    Flush,
    /// The segment of that decision ends behind so many of its rows, and its file is refused.
    Cut {
        /// Number of the decision that took it.
        ticket: u64,
        /// Rows of the segment that were taken.
        rows: u64,
        /// Why.
        quarantined: Quarantined,
    },
    /// Segments that cannot be read now are put off, by the decisions that took them: each ends behind
    /// so many of its rows, and its file is looked for again.
    PutOff(Vec<(u64, u64)>),
}

impl Decision {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut to = Encoder::new();
        match self {
            Self::Take(reading) => {
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
            0 => Self::Take(SegmentRead::decode(&mut from)?),
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
