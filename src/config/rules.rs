//! What keys must be beside their ranges: values with a form of their own, and keys that need others.

use crate::config::keys::Config;
use crate::config::values::QuarantineKey;
use crate::config::{ConfigError, refuse};

impl Config {
    /// Refuses what no run could do.
    ///
    /// # Errors
    /// Names the key.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.check_ranges()?;
        self.check_http()?;
        self.check_pushed()?;
        let moves = self.source.quarantine != QuarantineKey::Record;
        if moves && self.source.quarantine_dir.is_none() {
            return Err(ConfigError::Missing {
                key: "source.quarantine_dir",
                remedy: "name the directory that `source.quarantine` is to fill",
            });
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
            let remedy = "use \"push:\" alone: what is pushed has no path";
            return Err(refuse("source.inputs", other, remedy));
        }
        if inputs.iter().any(|input| input == "push:") && self.http.listen.is_none() {
            return Err(ConfigError::Missing {
                key: "http.listen",
                remedy: "set an address that rows can be pushed to, such as \"127.0.0.1:8650\", or take \
                         \"push:\" out of `source.inputs`",
            });
        }
        Ok(())
    }
}
