//! State and positions ↔ one atomic file.
