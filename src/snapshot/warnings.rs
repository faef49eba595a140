//! Warnings about features that should not be features and components hidden by rounding, with
//! remedies.

use serde::{Deserialize, Serialize};

use crate::learner::Estimate;
use crate::rows::{Features, since_1970};

/// Share of the unscaled variance above which one feature leaves nothing for the others.
const SHARE: f64 = 0.99;
/// Most features reported: after these, the user knows what to do about the rest.
const TOLD_MAX: usize = 10;
/// Characters of a name that are shown.
const NAME_CHARS: usize = 64;

/// A feature that makes the components uninformative.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Warning {
    /// Its name.
    pub feature: String,
    /// Its share of the unscaled variance, if that is nearly all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variance_share: Option<f64>,
    /// True if its values only ever grow from row to row.
    #[serde(default)]
    pub only_grows: bool,
    /// Number of components that can be resolved next to it, if that is fewer than requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub components_told: Option<usize>,
    /// The fault and the remedy.
    pub text: String,
}

impl Warning {
    /// Key that identifies the warning, so that it is logged only once.
    pub fn key(&self) -> String {
        let about = self.components_told.map_or("feature", |_| "components");
        format!("{about} {}", self.feature)
    }
}

/// Warnings about the features; `counting` are those that only grow, and how often each started
/// over (see [`crate::learner::Monitor`]).
pub fn warnings(
    estimate: &Estimate,
    features: &Features,
    is_scaled: bool,
    counting: &[(usize, u64)],
) -> Vec<Warning> {
    let dominating = (!is_scaled).then(|| dominating(estimate)).flatten();
    let mut concerned: Vec<usize> = counting.iter().map(|(j, _)| *j).collect();
    concerned.extend(dominating.map(|(j, _)| j));
    concerned.sort_unstable();
    concerned.dedup();
    // The one that holds everything must not be the eleventh.
    concerned.sort_by_key(|j| dominating.is_none_or(|(most, _)| most != *j));
    let concerned = concerned.into_iter().take(TOLD_MAX);
    let names = features.names();
    let of = |j: usize| {
        let share = dominating
            .filter(|(most, _)| *most == j)
            .map(|(_, share)| share);
        let falls = counting.iter().find(|(counts, _)| *counts == j);
        let falls = falls.map(|(_, falls)| *falls);
        let name = names.get(j).map_or("", String::as_str);
        let mean = estimate.mean.get(j).copied().unwrap_or(0.0);
        Warning {
            feature: name.to_owned(),
            variance_share: share,
            only_grows: falls.is_some(),
            components_told: None,
            text: text(name, share, falls, since_1970(mean)),
        }
    };
    let hidden = hidden(estimate, features, dominating.map(|(j, _)| j));
    hidden.into_iter().chain(concerned.map(of)).collect()
}

/// Warns if rounding hides requested components.
fn hidden(estimate: &Estimate, features: &Features, alone: Option<usize>) -> Option<Warning> {
    let found = estimate.unresolved?;
    let feature = features.names().get(found.feature).map_or("", |name| name);
    let (name, k) = (shortened(feature), estimate.components());
    let (what, remedy) = if alone == Some(found.feature) {
        let what = format!("feature `{name}` outweighs all others by so much");
        let remedy = "leave its column out (`--exclude`; `features.exclude`), or set \
                      `learner.scale = \"standard\"` (`--scale standard`)";
        (what, remedy)
    } else {
        let what =
            format!("a few extreme values (the largest in `{name}`) outweigh all by so much");
        let remedy = "clean the rows that hold them";
        (what, remedy)
    };
    Some(Warning {
        feature: feature.to_owned(),
        variance_share: None,
        only_grows: false,
        components_told: Some(found.held),
        text: format!(
            "{what} that double precision resolves only {} of the {k} components; the others are \
             reported without a direction and with the mean variance of the remainder: {remedy}",
            found.held
        ),
    })
}

/// The feature with nearly all of the variance in its own units, and its share.
fn dominating(estimate: &Estimate) -> Option<(usize, f64)> {
    let variance = &estimate.variance;
    let total: f64 = variance.iter().sum();
    let (j, most) = variance
        .iter()
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(b.1))?;
    let share = most / total;
    (variance.len() > 1 && share > SHARE).then_some((j, share))
}

fn shortened(name: &str) -> String {
    let mut shown: String = name.chars().take(NAME_CHARS).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    shown
}

fn text(name: &str, share: Option<f64>, falls: Option<u64>, time: Option<String>) -> String {
    let shown = shortened(name);
    let share_text = share.map(|share| match 100.0 * share {
        // Rounded it would be all of it.
        99.999.. => "alone holds more than 99.999% of the variance".to_owned(),
        part => format!("alone holds {part:.3}% of the variance"),
    });
    let grows = falls.map(|falls| match falls {
        0 => "only ever grows from row to row, as a row number, a time or a counter does".to_owned(),
        n => format!(
            "grows from row to row and starts over now and then ({n} times in the rows looked at), as \
             a row number or a counter does"
        ),
    });
    let what: Vec<String> = [share_text, grows].into_iter().flatten().collect();
    let time = time.map_or_else(String::new, |time| format!(" (its mean reads as {time})"));
    let scale = if share.is_some() {
        "; if it is only large because of its unit, set `learner.scale = \"standard\"` (`--scale \
         standard`)"
    } else {
        ""
    };
    format!(
        "feature `{shown}` {}{time}: if it numbers the rows and measures nothing, leave its column out \
         (`--exclude` or `--id`; `features.exclude` or `features.ids`){scale}",
        what.join(" and ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learner::{LearnerParams, new};
    use crate::rows::Minibatch;

    fn estimate(rows: &[[f64; 3]]) -> Estimate {
        let params = LearnerParams {
            components: 1,
            ..LearnerParams::default()
        };
        let mut learner = new(&params, 3).unwrap();
        let batch = Minibatch::from_rows(&rows.concat(), 3);
        learner.update(batch).unwrap();
        learner.estimate().unwrap()
    }

    #[test]
    fn the_feature_that_holds_everything_is_named_with_the_remedy() {
        let features = Features::new(["a", "time", "b"].map(str::to_owned).to_vec());
        let row = |i: usize, step: f64| [(i % 3) as f64, 1.7e9 + step * i as f64, (i % 2) as f64];
        let rows: Vec<_> = (0..60).map(|i| row(i, 3600.0)).collect();
        let all = estimate(&rows);
        let found = warnings(&all, &features, false, &[]);
        let [warning] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert!(warning.variance_share.is_some_and(|share| share > 0.999));
        for part in [
            "`time`",
            "--exclude",
            "--id",
            "standard",
            "seconds since 1970 (2023-11-1",
        ] {
            assert!(warning.text.contains(part), "{}", warning.text);
        }
        // In units of its deviation no feature holds more than another.
        assert!(warnings(&all, &features, true, &[]).is_empty());
        let grows = &warnings(&all, &features, true, &[(1, 0)])[0];
        assert!(grows.only_grows && grows.text.contains("only ever grows"));
        let rows: Vec<_> = (0..60).map(|i| row(i % 4, 1.0)).collect();
        assert!(warnings(&estimate(&rows), &features, false, &[]).is_empty());
    }
}
