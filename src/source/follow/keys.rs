//! Keys of pushed bodies: file names in the spool, and the keys that a checkpoint remembers.
//!
//! A body's key and hash form the name of its file, so that rows and key become durable in one
//! rename. When the file is done, they move to [`PushedKeys`], which depends only on the feed's
//! events: a checkpoint that contains the rows contains the key.

use std::collections::{HashMap, VecDeque};
use std::path::Path;

use crate::codec::{CodecError, Decoder, Encoder};
use crate::rows::hex;

/// Number of keys remembered after their rows were taken; beyond it the oldest is dropped. A client
/// that repeats a request does so within minutes; at ten requests per second this many keys cover
/// three hours, and they take 7 MB of a checkpoint.
pub const KEYS_MAX: usize = 100_000;
/// Version of the section `pushed`.
const VERSION: u8 = 1;
/// Prefix of the names.
const PREFIX: &str = "push-";

/// A SHA-256.
pub type Hash = [u8; 32];

/// The name of a pushed body in the spool: `push-NUMBER-ROWS-KEY-BODY.arrows`, the last two hashes in
/// hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushName {
    /// Number of the spool file: the order of arrival.
    pub number: u64,
    /// Rows of the body, as its messages declare them.
    pub rows: u64,
    /// Hash of the key.
    pub key: Hash,
    /// Hash of the body.
    pub body: Hash,
}

impl PushName {
    /// The name, without an ending.
    pub fn stem(&self) -> String {
        let (key, body) = (hex(&self.key), hex(&self.body));
        format!("{PREFIX}{:012}-{}-{key}-{body}", self.number, self.rows)
    }

    /// Reads the name of a file; `None` for other files.
    pub fn of(path: &Path) -> Option<Self> {
        let stem = path.file_name()?.to_str()?.strip_suffix(".arrows")?;
        let mut parts = stem.strip_prefix(PREFIX)?.split('-');
        let name = Self {
            number: parts.next()?.parse().ok()?,
            rows: parts.next()?.parse().ok()?,
            key: unhex(parts.next()?)?,
            body: unhex(parts.next()?)?,
        };
        parts.next().is_none().then_some(name)
    }
}

fn unhex(text: &str) -> Option<Hash> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

/// A body whose file is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushedKey {
    /// Hash of the body.
    pub body: Hash,
    /// Rows that were taken.
    pub rows: u64,
    /// True if the rest of it was refused.
    pub is_refused: bool,
}

/// A body settled by an event of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Hash of the key.
    pub key: Hash,
    /// Remembered rows.
    pub pushed: PushedKey,
    /// Why it was refused.
    pub reason: Option<String>,
}

/// The keys of finished bodies in order of completion: the last [`KEYS_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushedKeys {
    order: VecDeque<Hash>,
    by_key: HashMap<Hash, PushedKey>,
}

impl PushedKeys {
    /// Remembers a body; one that was first refused and later taken keeps its position.
    pub fn record(&mut self, key: Hash, pushed: PushedKey) {
        if self.by_key.insert(key, pushed).is_some() {
            return;
        }
        if self.order.len() == KEYS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_key.remove(&oldest);
        }
        self.order.push_back(key);
    }

    /// State of a key.
    pub fn get(&self, key: &Hash) -> Option<&PushedKey> {
        self.by_key.get(key)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Hash, &PushedKey)> {
        self.order
            .iter()
            .filter_map(|key| self.by_key.get_key_value(key))
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// True if none is.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The section `pushed`.
    pub fn encode(&self, to: &mut Encoder) {
        to.u8(VERSION);
        to.usize(self.order.len());
        for (key, pushed) in self.iter() {
            to.raw(key);
            to.raw(&pushed.body);
            to.u64(pushed.rows);
            to.bool(pushed.is_refused);
        }
    }

    /// Reads the section; an empty one, from before bodies could be pushed, has no keys.
    ///
    /// # Errors
    /// If its content is not what was written.
    pub fn decode(section: &[u8]) -> Result<Self, CodecError> {
        let mut keys = Self::default();
        if section.is_empty() {
            return Ok(keys);
        }
        let mut from = Decoder::new("pushed", section);
        let version = from.u8()?;
        if version != VERSION {
            return Err(from.refuse(format!(
                "version {version}; this program reads version {VERSION}"
            )));
        }
        for _ in 0..from.count(73)? {
            let key = from.array()?;
            let pushed = PushedKey {
                body: from.array()?,
                rows: from.u64()?,
                is_refused: from.bool()?,
            };
            keys.record(key, pushed);
        }
        from.finish()?;
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{KEYS_MAX, PushName, PushedKey, PushedKeys};
    use crate::codec::Encoder;

    fn key(i: usize) -> [u8; 32] {
        let mut key = [7; 32];
        key[..8].copy_from_slice(&(i as u64).to_le_bytes());
        key
    }

    #[test]
    fn a_name_says_what_it_was_made_of() {
        let name = PushName {
            number: 12,
            rows: 340,
            key: key(1),
            body: key(2),
        };
        let path = PathBuf::from("/spool").join(name.stem() + ".arrows");
        assert_eq!(PushName::of(&path), Some(name));
        for other in ["socket-000000000001.arrows", "push-1-2-3-4.arrows", "push-"] {
            assert_eq!(
                PushName::of(PathBuf::from(other).as_path()),
                None,
                "{other}"
            );
        }
        assert_eq!(PushName::of(&path.with_extension("part")), None);
    }

    #[test]
    fn the_last_keys_are_remembered_and_written_as_they_are() {
        let mut keys = PushedKeys::default();
        let pushed = |i: usize| PushedKey {
            body: key(i + 1),
            rows: i as u64,
            is_refused: i.is_multiple_of(3),
        };
        for i in 0..KEYS_MAX + 10 {
            keys.record(key(i), pushed(i));
        }
        assert_eq!(keys.len(), KEYS_MAX);
        assert_eq!(keys.get(&key(9)), None);
        assert_eq!(keys.get(&key(10)), Some(&pushed(10)));
        // One that is settled anew keeps its place.
        keys.record(key(10), pushed(11));
        assert_eq!(keys.len(), KEYS_MAX);
        let mut to = Encoder::new();
        keys.encode(&mut to);
        let bytes = to.into_bytes();
        assert_eq!(PushedKeys::decode(&bytes), Ok(keys));
        assert!(PushedKeys::decode(&bytes[..bytes.len() - 1]).is_err());
        assert_eq!(PushedKeys::decode(&[]), Ok(PushedKeys::default()));
    }
}
