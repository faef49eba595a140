//! Thin wrappers of faer, the sign convention, principal angles.
