//! A sign convention for components, so that two runs can be compared entry by entry.

/// Flips `vector` so that its entry of largest magnitude is positive (the first of several).
///
/// Shapes: length m. Returns whether it flipped.
pub fn orient(vector: &mut [f64]) -> bool {
    let mut top = 0.0_f64;
    for &v in vector.iter() {
        if v.abs() > top.abs() {
            top = v;
        }
    }
    if top < 0.0 {
        vector.iter_mut().for_each(|v| *v = -*v);
    }
    top < 0.0
}

#[cfg(test)]
mod tests {
    use super::orient;

    #[test]
    fn the_entry_of_largest_magnitude_becomes_positive() {
        let mut v = [0.6, -0.8];
        assert!(orient(&mut v));
        assert_eq!(v.map(f64::to_bits), [-0.6, 0.8].map(f64::to_bits));
        assert!(!orient(&mut v));
    }
}
