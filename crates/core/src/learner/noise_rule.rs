//! The names of the rules that tell components from noise.

/// How the number of components above noise was told.
///
/// ```
/// use ojad_core::NoiseRule;
///
/// assert_eq!(NoiseRule::Gap.name(), "gap");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum NoiseRule {
    /// By the edge and by the gap, which agree.
    EdgeAndGap,
    /// By the largest eigenvalue of noise whose features have these variances (Dobriban and Owen 2019).
    Edge,
    /// By the gap before noise of any kind (Onatski 2010).
    Gap,
    /// By the largest eigenvalue of equal Gaussian noise (Kritchman and Nadler 2008), or by a test whether the smallest
    /// eigenvalues are equal (Bartlett 1954): where the state holds too few directions for the others.
    EqualNoise,
}

impl NoiseRule {
    /// Its name in every output.
    pub fn name(self) -> &'static str {
        match self {
            Self::EdgeAndGap => "edge-and-gap",
            Self::Edge => "edge",
            Self::Gap => "gap",
            Self::EqualNoise => "equal-noise",
        }
    }
}
