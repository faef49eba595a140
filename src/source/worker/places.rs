//! Memory that both processes see, divided into places for a minibatch each.

use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use memmap2::{MmapMut, MmapOptions};

use super::protocol::{Request, send};
use crate::rows::Lent;

/// The places, as one of the two processes sees them.
#[derive(Debug)]
pub(super) struct Places {
    /// Those that are here and not lent.
    free: Mutex<Vec<Option<MmapMut>>>,
    /// Whom to tell of a place that comes back.
    teller: Option<Teller>,
}

/// The sending end of a socket that several threads use.
pub(super) type Teller = Arc<Mutex<UnixStream>>;

/// A place that is lent, until it is dropped.
#[derive(Debug)]
struct Slot {
    map: Option<MmapMut>,
    bytes: usize,
    number: usize,
    places: Arc<Places>,
}

impl Places {
    /// Maps `count` places of `bytes` each, whole pages.
    ///
    /// # Errors
    /// If there is no address space for them, or the memory is not as long as they are.
    pub(super) fn map(
        memory: &File,
        count: usize,
        bytes: usize,
        teller: Option<Teller>,
    ) -> io::Result<Arc<Self>> {
        let needed = count as u64 * bytes as u64;
        if memory.metadata()?.len() < needed {
            return Err(io::Error::other("the shared memory is too short"));
        }
        let maps = (0..count).map(|number| {
            let offset = number as u64 * bytes as u64;
            let mut options = MmapOptions::new();
            options.offset(offset).len(bytes);
            map(&options, memory).map(Some)
        });
        Ok(Arc::new(Self {
            free: Mutex::new(maps.collect::<io::Result<_>>()?),
            teller,
        }))
    }

    /// The first `bytes` of a place; nothing if it is lent already, or shorter.
    pub(super) fn lend(self: &Arc<Self>, number: usize, bytes: usize) -> Option<Box<dyn Lent>> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let map = free.get_mut(number)?.take_if(|map| bytes <= map.len())?;
        Some(Box::new(Slot {
            map: Some(map),
            bytes,
            number,
            places: Arc::clone(self),
        }))
    }
}

#[allow(unsafe_code)]
fn map(options: &MmapOptions, memory: &File) -> io::Result<MmapMut> {
    // SAFETY: the memory is anonymous, sealed against growing and shrinking, and shared by two
    // processes of this program only, which take turns with each place: the worker writes to it
    // from the moment it is told that the place is free until it says that the rows are there, and
    // the daemon touches it only from then until it gives it back. The socket orders the two. The
    // values are plain numbers: every pattern of bits is one. What it buys, by `benches/daemon.py
    // throughput`: a run takes 1.05 to 1.09 times as long as a fit; it was 1.24 times with read
    // and write.
    unsafe { options.map_mut(memory) }
}

impl Lent for Slot {
    fn bytes(&self) -> &[u8] {
        self.map.as_ref().map_or(&[], |map| &map[..self.bytes])
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.map {
            Some(map) => &mut map[..self.bytes],
            None => &mut [],
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let free = self.places.free.lock();
        if let Some(place) = free
            .unwrap_or_else(PoisonError::into_inner)
            .get_mut(self.number)
        {
            *place = self.map.take();
        }
        if let Some(teller) = &self.places.teller
            && let Ok(message) = Request::Credit(self.number).encode()
        {
            let mut socket = teller.lock().unwrap_or_else(PoisonError::into_inner);
            // A worker that is gone needs no place; that it is gone is noticed with the next rows.
            let _ = send(&mut *socket, message);
        }
    }
}
