//! How keys are declared: `keys!` makes tables, defaults and checks of one text, which is in `keys.rs`.

use std::fmt::Display;
use std::ops::RangeBounds;

use crate::config::auto::AutoOr;
use crate::config::values::ComponentsKey;
use crate::config::{ConfigError, refuse};

/// A key that can have a range.
pub(super) trait Ranged {
    /// What the range is of.
    type Number: PartialOrd + Display;

    /// The number; none where the key is unset or `"auto"`.
    fn number(&self) -> Option<Self::Number>;
}

impl Ranged for ComponentsKey {
    type Number = usize;

    fn number(&self) -> Option<usize> {
        match self {
            Self::Count(count) => Some(*count),
            // It has a check in `rules.rs`.
            Self::Variance(_) => None,
        }
    }
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Ranged for $number {
            type Number = Self;

            fn number(&self) -> Option<Self> {
                Some(*self)
            }
        }
    )*};
}

numbers! { u32 u64 usize f64 }

impl<T: Ranged> Ranged for Option<T> {
    type Number = T::Number;

    fn number(&self) -> Option<T::Number> {
        self.as_ref()?.number()
    }
}

impl<T: Copy + PartialOrd + Display> Ranged for AutoOr<T> {
    type Number = T;

    fn number(&self) -> Option<T> {
        self.value()
    }
}

/// Refuses a key whose number is outside its range.
pub(super) fn within<T: Ranged>(
    name: &'static str,
    key: &T,
    range: impl RangeBounds<T::Number>,
    remedy: &'static str,
) -> Result<(), ConfigError> {
    match key.number() {
        Some(number) if !range.contains(&number) => Err(refuse(name, number, remedy)),
        _ => Ok(()),
    }
}

/// Declares all keys, by table:
///
/// ```text
/// /// Threads, room between them, and the end.
/// [run] RunKeys {
///     /// Longest time for draining.
///     drain_s: u64 = 20, in 1..=3600, "use 1 to 3600 s";
/// }
/// ```
///
/// A key has a type and a default, and where not every number will do, a range and what to say to one
/// outside of it. A struct of keys for each table, `Config` with all of them, the list `KEYS` and
/// `Config::check_ranges` come of it.
macro_rules! keys {
    ($(
        $(#[$about:meta])*
        [$table:ident] $keys:ident {
            $(
                $(#[$doc:meta])*
                $key:ident: $type:ty = $default:expr $(, in $range:expr, $remedy:literal)?;
            )*
        }
    )*) => {
        /// All keys, by table.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Config {$(
            $(#[$about])*
            pub $table: $keys,
        )*}

        /// Table and name of every key.
        pub const KEYS: &[(&str, &str)] = &[$($((stringify!($table), stringify!($key)),)*)*];

        impl Config {
            /// Refuses a number outside the range of its key.
            pub(super) fn check_ranges(&self) -> Result<(), ConfigError> {
                $($($({
                    let name = concat!(stringify!($table), ".", stringify!($key));
                    within(name, &self.$table.$key, $range, $remedy)?;
                })?)*)*
                Ok(())
            }

            /// The ends of every range.
            #[cfg(test)]
            pub(super) fn ends() -> Vec<super::tests::Ends> {
                vec![$($($({
                    let name = (stringify!($table), stringify!($key));
                    super::tests::Ends::of::<$type>(name, $range, $remedy)
                },)?)*)*]
            }
        }

        $(
            $(#[$about])*
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            #[serde(default, deny_unknown_fields)]
            pub struct $keys {$(
                $(#[$doc])*
                pub $key: $type,
            )*}

            impl Default for $keys {
                fn default() -> Self {
                    Self {$($key: $default,)*}
                }
            }
        )*
    };
}

pub(super) use keys;
