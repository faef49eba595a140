//! Storage of values, possibly in memory of another owner.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use bytemuck::Pod;

/// Bytes that are leased, aligned to 64 at least, until the value is dropped.
pub trait Lease: Debug + Send + Sync {
    /// Borrows the bytes that are leased.
    fn bytes(&self) -> &[u8];
    /// Borrows the bytes mutably.
    fn bytes_mut(&mut self) -> &mut [u8];
}

/// A slice of values: an owned vector, or lent memory.
///
/// A minibatch filled by another process is learned in place: two copies on the way would cost a
/// seventh of the throughput.
#[derive(Debug)]
pub struct Buffer<T>(Kind<T>);

#[derive(Debug)]
enum Kind<T> {
    Own(Vec<T>),
    Lease(Box<dyn Lease>, PhantomData<T>),
}

impl<T: Pod> Buffer<T> {
    /// Allocates storage of `len` zeros.
    pub fn zeros(len: usize) -> Self {
        Self(Kind::Own(vec![T::zeroed(); len]))
    }

    /// The values that lie in `lease`; `None` if its bytes are not a whole number of them.
    pub fn leased(lease: Box<dyn Lease>) -> Option<Self> {
        bytemuck::try_cast_slice::<u8, T>(lease.bytes()).ok()?;
        Some(Self(Kind::Lease(lease, PhantomData)))
    }

    /// True if the memory belongs to another owner.
    pub fn is_lent(&self) -> bool {
        matches!(self.0, Kind::Lease(..))
    }

    /// Room for `len` unspecified values.
    pub fn make_room(&mut self, len: usize) {
        if self.len() == len {
            return;
        }
        match &mut self.0 {
            Kind::Own(values) => values.resize(len, T::zeroed()),
            Kind::Lease(..) => *self = Self::zeros(len),
        }
    }
}

impl<T: Pod> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.0 {
            Kind::Own(values) => values,
            Kind::Lease(lease, _) => bytemuck::cast_slice(lease.bytes()),
        }
    }
}

impl<T: Pod> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.0 {
            Kind::Own(values) => values,
            Kind::Lease(lease, _) => bytemuck::cast_slice_mut(lease.bytes_mut()),
        }
    }
}

impl<T: Pod> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        Self(Kind::Own(self.to_vec()))
    }
}

impl<T: Pod> From<Vec<T>> for Buffer<T> {
    fn from(values: Vec<T>) -> Self {
        Self(Kind::Own(values))
    }
}
