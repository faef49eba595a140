//! A set of mostly consecutive numbers, stored as ranges.

use std::collections::BTreeMap;

/// Numbers by ranges: first and last of each.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    ranges: BTreeMap<u64, u64>,
    len: usize,
}

impl Numbers {
    /// Those that come in ascending order.
    pub(super) fn ascending(numbers: impl Iterator<Item = u64>) -> Self {
        let (mut ranges, mut len) = (Vec::<(u64, u64)>::new(), 0);
        for number in numbers {
            len += 1;
            match ranges.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
                _ => ranges.push((number, number)),
            }
        }
        Self {
            ranges: ranges.into_iter().collect(),
            len,
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The range that holds a number.
    fn around(&self, number: u64) -> Option<(u64, u64)> {
        let (first, last) = self.ranges.range(..=number).next_back()?;
        (*last >= number).then_some((*first, *last))
    }

    pub(super) fn insert(&mut self, number: u64) {
        if self.around(number).is_some() {
            return;
        }
        self.len += 1;
        let before = number.checked_sub(1).and_then(|n| self.around(n));
        let after = number.checked_add(1).and_then(|n| self.ranges.remove(&n));
        let first = before.map_or(number, |(first, _)| first);
        self.ranges.insert(first, after.unwrap_or(number));
    }

    pub(super) fn remove(&mut self, number: u64) {
        let Some((first, last)) = self.around(number) else {
            return;
        };
        self.len -= 1;
        self.ranges.remove(&first);
        if first < number {
            self.ranges.insert(first, number - 1);
        }
        if number < last {
            self.ranges.insert(number + 1, last);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    #[test]
    fn a_set_of_ranges_counts_as_a_plain_set_does() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let (mut numbers, mut plain) = (Numbers::default(), BTreeSet::new());
        for _ in 0..20_000 {
            let number = random.random_range(0..300);
            if random.random_bool(0.5) {
                numbers.insert(number);
                plain.insert(number);
            } else {
                numbers.remove(number);
                plain.remove(&number);
            }
            assert_eq!(numbers.len(), plain.len());
        }
        for number in 0..300 {
            assert_eq!(numbers.around(number).is_some(), plain.contains(&number));
        }
        let ascending = Numbers::ascending(plain.iter().copied());
        assert_eq!(ascending.len(), numbers.len());
        assert_eq!(ascending.ranges, numbers.ranges);
        // Neighbours are one range.
        (0..300).for_each(|number| numbers.insert(number));
        assert_eq!(numbers.ranges.len(), 1);
    }
}
