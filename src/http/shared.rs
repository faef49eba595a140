//! The cells and limits used by every answer.

use std::sync::Arc;

use super::HttpParams;
use super::streams::Streams;
use crate::published::Published;

/// Sources of an answer.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub params: Arc<HttpParams>,
    pub live: Arc<Published>,
    pub streams: Arc<Streams>,
}

impl Shared {
    /// Before anyone has connected.
    pub(super) fn new(params: HttpParams, live: Arc<Published>) -> Self {
        Self {
            params: Arc::new(params),
            live,
            streams: Arc::default(),
        }
    }
}
