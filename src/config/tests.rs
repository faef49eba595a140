//! Every range that is declared holds: the values at its ends are taken, those just outside refused.

use std::ops::{Bound, RangeBounds};

use super::declare::Ranged;
use super::{Config, ConfigError, Plan};

/// Values about the ends of the range of a key.
pub(super) struct Ends {
    table: &'static str,
    key: &'static str,
    remedy: &'static str,
    least: String,
    inside: Vec<toml::Value>,
    outside: Vec<toml::Value>,
}

impl Ends {
    pub(super) fn of<T: Ranged<Number: Neighbours>>(
        (table, key): (&'static str, &'static str),
        range: impl RangeBounds<T::Number>,
        remedy: &'static str,
    ) -> Self {
        let (mut inside, mut outside) = (Vec::new(), Vec::new());
        let mut least = String::new();
        match range.start_bound() {
            Bound::Included(first) => {
                least = first.to_string();
                inside.push(first.toml());
                outside.extend(first.before().map(Neighbours::toml));
            }
            Bound::Excluded(below) => {
                least = below.to_string();
                inside.extend(below.after().map(Neighbours::toml));
                outside.push(below.toml());
            }
            Bound::Unbounded => {}
        }
        match range.end_bound() {
            Bound::Included(most) => {
                inside.push(most.toml());
                outside.extend(most.after().map(Neighbours::toml));
            }
            Bound::Excluded(above) => {
                inside.extend(above.before().map(Neighbours::toml));
                outside.push(above.toml());
            }
            Bound::Unbounded => {}
        }
        Self {
            table,
            key,
            remedy,
            least,
            inside,
            outside,
        }
    }

    /// What becomes of a file that says this of the key and nothing else.
    fn plan(&self, value: &toml::Value) -> Result<Plan, ConfigError> {
        let (table, key) = (self.table, self.key);
        let text = format!("[{table}]\n{key} = {value}\n");
        let config: Config = toml::from_str(&text).unwrap_or_else(|error| panic!("{text}{error}"));
        Plan::try_from(&config)
    }
}

/// A number that has neighbours.
pub(super) trait Neighbours: Copy {
    fn before(self) -> Option<Self>;
    fn after(self) -> Option<Self>;
    fn toml(self) -> toml::Value;
}

macro_rules! whole {
    ($($number:ty)*) => {$(
        impl Neighbours for $number {
            fn before(self) -> Option<Self> {
                self.checked_sub(1)
            }

            fn after(self) -> Option<Self> {
                self.checked_add(1)
            }

            fn toml(self) -> toml::Value {
                toml::Value::Integer(self.try_into().expect("a number of TOML"))
            }
        }
    )*};
}

whole! { u32 u64 usize }

impl Neighbours for f64 {
    fn before(self) -> Option<Self> {
        Some(self.next_down())
    }

    fn after(self) -> Option<Self> {
        Some(self.next_up())
    }

    fn toml(self) -> toml::Value {
        toml::Value::Float(self)
    }
}

#[test]
fn every_declared_range_holds_to_its_ends_and_no_further() {
    let all = Config::ends();
    assert!(all.len() > 20, "{} ranges", all.len());
    for ends in &all {
        let name = format!("{}.{}", ends.table, ends.key);
        assert!(!ends.outside.is_empty(), "`{name}` refuses nothing");
        for value in &ends.inside {
            let plan = ends.plan(value);
            assert!(plan.is_ok(), "`{name}` = {value}: {plan:?}");
        }
        for value in &ends.outside {
            match ends.plan(value) {
                Err(ConfigError::Value { key, remedy, .. }) => {
                    assert_eq!((key, remedy), (name.as_str(), ends.remedy));
                }
                other => panic!("`{name}` = {value}: {other:?}"),
            }
        }
    }
}

/// "use 10 to 3600000 ms" beside `10..=3_600_000`: whoever changes one of them changes both.
#[test]
fn every_remedy_begins_where_its_range_does() {
    for ends in Config::ends() {
        let mut numbers = ends
            .remedy
            .split(|letter: char| !letter.is_ascii_digit())
            .filter(|number| !number.is_empty());
        let (table, key, remedy) = (ends.table, ends.key, ends.remedy);
        let least = Some(ends.least.as_str());
        assert_eq!(numbers.next(), least, "`{table}.{key}`: {remedy}");
    }
}
