//! The claims of the project about its own numbers, as tables that anybody can run: error bars, the number of
//! components, limits and drift, each on rows whose truth is known.
//!
//! In: which tables, how many data sets, a seed. Out: rows of what is measured beside what is right, with how far
//! chance alone would move it. The data sets are drawn, learned and judged by the public library.

mod bema;
mod chance;
mod coverage;
mod drift;
mod grid;
mod limits;
mod ranks;
mod rows;
mod rules;
mod spectrum;

pub use grid::{Cell, Event, Head, Number, Options, Row, Sets, Table};

/// What the tables are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Subject {
    /// How often error bars hold the truth.
    Coverage,
    /// How often the number of components above noise is right, beside published rules.
    Ranks,
    /// How often rows exceed the limits of residual, T² and distance.
    Limits,
    /// False alarms of drift detection, and how soon it finds a change.
    Drift,
}

impl Subject {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Coverage, Self::Ranks, Self::Limits, Self::Drift];

    /// The name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Coverage => "coverage",
            Self::Ranks => "ranks",
            Self::Limits => "limits",
            Self::Drift => "drift",
        }
    }

    /// Its tables.
    pub fn tables(self) -> Vec<Box<dyn Table>> {
        match self {
            Self::Coverage => vec![coverage::table()],
            Self::Ranks => vec![ranks::table()],
            Self::Limits => vec![limits::table()],
            Self::Drift => vec![drift::quiet(), drift::changed()],
        }
    }
}
