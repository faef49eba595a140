//! The query of the scalar case: every parameter once, each within its range.

use std::ops::RangeInclusive;

use crate::scalar::{Landscape, Loss, ROWS, Walk};

/// x²; the smallest is far above what rounding does to a loss.
const SCATTER: RangeInclusive<f64> = 1e-3..=1e3;
const LAMBDA: RangeInclusive<f64> = 0.0..=1e3;
const STEP: RangeInclusive<f64> = 1e-6..=10.0;
const WEIGHT: RangeInclusive<f64> = -100.0..=100.0;
const SEED_MAX: u64 = u32::MAX as u64;

const NAMES: [&str; 8] = [
    "loss",
    "scatter",
    "lambda",
    "step",
    "minibatch",
    "seed",
    "w1",
    "w2",
];

/// A query that is refused: the parameter, what it is, and its range.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct QueryError(String);

/// A query whose parameters are all there and within their ranges.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub landscape: Landscape,
    pub walk: Walk,
    /// Rows a minibatch, 1 to [`ROWS`].
    pub minibatch: usize,
    pub seed: u64,
}

impl Asked {
    /// Reads `name=value&…`. No value that fits has a sign that a URL must escape, so none is unescaped.
    ///
    /// # Errors
    /// Names the parameter, what it is, and its range.
    pub(super) fn parse(query: &str) -> Result<Self, QueryError> {
        let mut values: [Option<&str>; NAMES.len()] = [None; NAMES.len()];
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let place = NAMES.iter().position(|known| *known == name);
            let Some(place) = place else {
                let all = NAMES.join(", ");
                return Err(QueryError(format!(
                    "unknown parameter `{name}`; the parameters are {all}"
                )));
            };
            if values[place].replace(value).is_some() {
                return Err(QueryError(format!("`{name}` is given twice; give it once")));
            }
        }
        let [loss, scatter, lambda, step, minibatch, seed, w1, w2] = values;
        let scatter = number("scatter", scatter, &SCATTER)?;
        let lambda = number("lambda", lambda, &LAMBDA)?;
        let landscape = Landscape::new(kind(loss)?, scatter, lambda);
        let walk = Walk {
            step: number("step", step, &STEP)?,
            start: [number("w1", w1, &WEIGHT)?, number("w2", w2, &WEIGHT)?],
        };
        let minibatch = whole("minibatch", minibatch, &(1..=ROWS as u64))?;
        Ok(Self {
            landscape,
            walk,
            minibatch: usize::try_from(minibatch).unwrap_or(ROWS),
            seed: whole("seed", seed, &(0..=SEED_MAX))?,
        })
    }
}

fn kind(text: Option<&str>) -> Result<Loss, QueryError> {
    let found = Loss::ALL.into_iter().find(|loss| Some(loss.name()) == text);
    found.ok_or_else(|| refused("loss", text, "none, product or sum"))
}

fn number(name: &str, text: Option<&str>, range: &RangeInclusive<f64>) -> Result<f64, QueryError> {
    let value = text.and_then(|text| text.parse().ok());
    // No range holds what is no number.
    value.filter(|value| range.contains(value)).ok_or_else(|| {
        let fits = format!("a number from {} to {}", range.start(), range.end());
        refused(name, text, &fits)
    })
}

fn whole(name: &str, text: Option<&str>, range: &RangeInclusive<u64>) -> Result<u64, QueryError> {
    let value = text.and_then(|text| text.parse().ok());
    value.filter(|value| range.contains(value)).ok_or_else(|| {
        let fits = format!("a whole number from {} to {}", range.start(), range.end());
        refused(name, text, &fits)
    })
}

fn refused(name: &str, text: Option<&str>, fits: &str) -> QueryError {
    QueryError(match text {
        Some(text) => format!("`{name}` is `{text}`; use {fits}"),
        None => format!("`{name}` is missing; use {fits}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 8] = [
        ("loss", "sum"),
        ("scatter", "1"),
        ("lambda", "0.25"),
        ("step", "1e-1"),
        ("minibatch", "1000"),
        ("seed", "7"),
        ("w1", "-0.4"),
        ("w2", "1.8"),
    ];

    fn query(name: &str, value: Option<&str>) -> String {
        let parts = GOOD.iter().filter_map(|(key, good)| match value {
            Some(value) if *key == name => Some(format!("{key}={value}")),
            None if *key == name => None,
            _ => Some(format!("{key}={good}")),
        });
        parts.collect::<Vec<_>>().join("&")
    }

    #[test]
    fn what_fits_is_taken() {
        let asked = Asked::parse(&query("", None)).expect("a query");
        assert_eq!(asked.landscape, Landscape::new(Loss::Sum, 1.0, 0.25));
        let walk = Walk {
            start: [-0.4, 1.8],
            step: 0.1,
        };
        assert_eq!((asked.walk, asked.minibatch, asked.seed), (walk, 1000, 7));
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_range() {
        for (name, bad, range) in [
            ("loss", "l1", "none, product or sum"),
            ("scatter", "0", "0.001 to 1000"),
            ("lambda", "-0.1", "0 to 1000"),
            ("step", "0", "0.000001 to 10"),
            ("minibatch", "0", "1 to 1000"),
            ("minibatch", "2.5", "1 to 1000"),
            ("seed", "4294967296", "0 to 4294967295"),
            ("w1", "101", "-100 to 100"),
            ("w2", "-101", "-100 to 100"),
        ] {
            for bad in [bad, "NaN", "inf", "-inf", "1e999", "", "one"] {
                let why = Asked::parse(&query(name, Some(bad)))
                    .expect_err(bad)
                    .to_string();
                assert!(why.starts_with(&format!("`{name}` is `{bad}`")), "{why}");
                assert!(why.contains(range), "{why}");
            }
            let why = Asked::parse(&query(name, None))
                .expect_err("missing")
                .to_string();
            assert!(why.starts_with(&format!("`{name}` is missing")) && why.contains(range));
        }
        let why = Asked::parse(&(query("", None) + "&w1=1"))
            .expect_err("twice")
            .to_string();
        assert!(why.contains("`w1` is given twice"), "{why}");
        let why = Asked::parse(&(query("", None) + "&w3=1"))
            .expect_err("unknown")
            .to_string();
        assert!(why.contains("unknown parameter `w3`"), "{why}");
    }
}
