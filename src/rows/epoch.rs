//! Recognizes numbers that are times: counts of seconds, or fractions of a second, since 1970.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds from 1970 to 1980 and to 2100: the plausible range of data. The units differ by a factor
/// of a thousand, which leaves gaps, so that a number has at most one reading.
const SECONDS: (f64, f64) = (315_532_800.0, 4_102_444_800.0);
/// The units and how many there are in a second.
const UNITS: [(&str, f64); 4] = [
    ("seconds", 1.0),
    ("milliseconds", 1e3),
    ("microseconds", 1e6),
    ("nanoseconds", 1e9),
];
/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// Seconds since 1970; for display only, never for computation.
pub fn unix_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// A number read as a time between 1980 and 2100: its unit and date, or `None`.
///
/// ```
/// let text = ojad::rows::since_1970(1.7e18).unwrap();
/// assert_eq!(text, "nanoseconds since 1970 (2023-11-14)");
/// assert!(ojad::rows::since_1970(1.7e13).is_none());
/// ```
pub fn since_1970(value: f64) -> Option<String> {
    let (unit, seconds) = read(value)?;
    let (year, month, day) = date((seconds / DAY).floor() as i64);
    Some(format!("{unit} since 1970 ({year}-{month:02}-{day:02})"))
}

/// True if a number can be read as a time in these years.
pub fn is_since_1970(value: f64) -> bool {
    read(value).is_some()
}

/// Its unit, and the seconds.
fn read(value: f64) -> Option<(&'static str, f64)> {
    let units = UNITS.iter().map(|(unit, each)| (*unit, value / each));
    let mut times = units.filter(|(_, seconds)| (SECONDS.0..SECONDS.1).contains(seconds));
    times.next()
}

/// Year, month and day of the given number of days after 1970-01-01.
///
/// Years are taken to begin in March, so that a leap day is the last day of a year. Source:
/// Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468; // since 0000-03-01
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = 400 * era + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // By `date -u -d @SECONDS +%F` of GNU coreutils.
        for (seconds, day) in [
            (951_782_400.0, "2000-02-29"),
            (951_868_800.0, "2000-03-01"),
            (1_700_000_000.0, "2023-11-14"),
            (1_709_164_800.0, "2024-02-29"),
            (4_102_444_799.0, "2099-12-31"),
        ] {
            for (unit, each) in UNITS {
                let text = since_1970(seconds * each).unwrap();
                assert_eq!(text, format!("{unit} since 1970 ({day})"));
            }
        }
        for other in [0.0, -1.7e9, 3e8, 5e9, 2e11, 1e20, f64::NAN, f64::INFINITY] {
            assert!(since_1970(other).is_none(), "{other}");
        }
    }
}
