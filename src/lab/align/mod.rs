//! Learning without weight transport.
