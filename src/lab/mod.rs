//! The crate `ojad-lab` and the parts it leaves to a program: rows from files, and a server for its
//! page.
//!
//! In: the inputs of a fit, or an address. Out: [`Data`] in memory, or a server. Built with the feature `lab`.

mod page;
mod read;

pub use ojad_lab::{
    LabError, algorithm, align, compare, data, figures, loss, problem, scalar, theory, train,
    uncertainty, weights,
};

pub use data::Data;
pub use page::serve;
pub use read::{DataError, VALUES_MAX, read};
