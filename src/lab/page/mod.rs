//! The interactive page.
