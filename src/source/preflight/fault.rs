//! Why the bytes of a footer or a page header are refused.

/// Why bytes are refused.
#[derive(Debug)]
pub(super) enum Fault {
    /// They end before the outermost struct does.
    Short,
    /// They are invalid.
    Wrong(Box<str>),
}

pub(super) fn wrong<T>(reason: impl Into<Box<str>>) -> Result<T, Fault> {
    Err(Fault::Wrong(reason.into()))
}
