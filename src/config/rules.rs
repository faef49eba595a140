//! What keys must be beside their ranges: values with a form of their own, and keys that need others.

use crate::config::keys::Config;
use crate::config::values::{ForgettingKey, QuarantineKey, RuleKey, StepKey};
use crate::config::{ConfigError, refuse};

impl Config {
    /// Refuses what no run could do.
    ///
    /// # Errors
    /// Names the key.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.check_ranges()?;
        self.check_learner()?;
        self.check_drift()?;
        self.check_http()?;
        self.check_pushed()?;
        let moves = self.source.quarantine != QuarantineKey::Record;
        if moves && self.source.quarantine_dir.is_none() {
            return Err(ConfigError::Missing {
                key: "source.quarantine_dir",
                remedy: "name the directory for quarantined files",
            });
        }
        Ok(())
    }

    fn check_learner(&self) -> Result<(), ConfigError> {
        let keys = &self.learner;
        if let Some(fraction) = keys.components.variance()
            && !keys.components.is_sound()
        {
            let remedy = "use a whole number of components, or, for `ojad fit`, a fraction of the variance between 0 \
                          and 1, such as 0.95";
            return Err(refuse("learner.components", fraction, remedy));
        }
        let refused = |value, remedy| Err(refuse("learner.step", value, remedy));
        match keys.step {
            StepKey::Constant { constant: value } | StepKey::COverT { c_over_t: value }
                if !(value.is_finite() && value > 0.0) =>
            {
                return refused(value, "use a number above 0");
            }
            StepKey::Constant { constant } if keys.rule == RuleKey::MatrixStep => {
                return refused(constant, "rule = \"matrix-step\" takes { c_over_t = c }");
            }
            _ => {}
        }
        let (is_good, value) = match keys.forgetting {
            ForgettingKey::None(_) => return Ok(()),
            ForgettingKey::Factor(factor) => (factor > 0.0 && factor < 1.0, factor),
            ForgettingKey::HalfLife {
                half_life_rows: rows,
            } => (rows.is_finite() && rows >= 1.0, rows),
        };
        if is_good {
            return Ok(());
        }
        let remedy = "use \"none\", a factor per row between 0 and 1, or { half_life_rows = N } with \
                      N >= 1";
        Err(refuse("learner.forgetting", value, remedy))
    }

    fn check_drift(&self) -> Result<(), ConfigError> {
        let keys = &self.drift;
        if let (Some(short), Some(long)) =
            (keys.short_half_life_rows, keys.long_half_life_rows.value())
            && !(4 * short..=1000 * short).contains(&long)
        {
            let remedy = "use \"auto\", or 4 to 1000 times `drift.short_half_life_rows`";
            return Err(refuse("drift.long_half_life_rows", long, remedy));
        }
        Ok(())
    }

    fn check_http(&self) -> Result<(), ConfigError> {
        let (http, ids) = (&self.http, &self.features.ids);
        http.address()?;
        if let Some(label) = http.label.as_ref().filter(|label| !ids.contains(*label)) {
            let remedy = "name one of `features.ids`: a label cannot also be a feature";
            return Err(refuse("http.label", label, remedy));
        }
        if http.feature_shape.is_some_and(|shape| shape.contains(&0)) {
            let remedy = "use two numbers whose product is the number of features";
            return Err(refuse("http.feature_shape", "[0]", remedy));
        }
        for (key, one, other) in [
            ("http.tls_key", &http.tls_certificate, &http.tls_key),
            ("http.tls_certificate", &http.tls_key, &http.tls_certificate),
        ] {
            if one.is_some() && other.is_none() {
                let remedy = "name both files, or neither";
                return Err(ConfigError::Missing { key, remedy });
            }
        }
        Ok(())
    }

    fn check_pushed(&self) -> Result<(), ConfigError> {
        let inputs = &self.source.inputs;
        if let Some(other) = inputs
            .iter()
            .find(|i| i.starts_with("push:") && *i != "push:")
        {
            let remedy = "use \"push:\" without a path: pushed rows have none";
            return Err(refuse("source.inputs", other, remedy));
        }
        if inputs.iter().any(|input| input == "push:") && self.http.listen.is_none() {
            return Err(ConfigError::Missing {
                key: "http.listen",
                remedy: "set an address that rows can be pushed to, such as \"127.0.0.1:8650\", or remove \"push:\" from \
                         `source.inputs`",
            });
        }
        Ok(())
    }
}
