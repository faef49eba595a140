//! The crate `ojad-lab` with what it leaves to a program: rows from files, and a page that is served.
//!
//! In: the inputs of a fit, or an address. Out: [`Data`] in memory, or a server. Built with the feature `lab`.

mod page;
mod read;

pub use ojad_lab::{
    LabError, algorithm, align, compare, data, figures, loss, problem, scalar, theory, train,
    weights,
};

pub use data::Data;
pub use page::serve;
pub use read::{DataError, VALUES_MAX, read};
