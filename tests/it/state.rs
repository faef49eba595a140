//! A learner that is saved and restored goes on with the bits of one that was not.

use ojad::codec::{Decoder, Encoder};
use ojad::learner::{Forgetting, Learner, LearnerParams, Precision, Rule, Scale, Step, new};
use ojad::rows::Minibatch;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

/// Every rule, with the number of features that makes it one.
fn rules() -> Vec<(LearnerParams, usize)> {
    let base = LearnerParams {
        components: 2,
        oversampling: Some(2),
        ..LearnerParams::default()
    };
    let with = |rule, precision| LearnerParams {
        rule,
        precision,
        ..base.clone()
    };
    let closed = Rule::ClosedForm;
    vec![
        (with(closed, Precision::F32), 20), // all directions are held
        (with(closed, Precision::F32), 60), // r directions are held, four probes look
        (with(closed, Precision::F64), 30),
        (with(Rule::Oja(Step::AdaOja), Precision::F32), 20),
        (with(Rule::Oja(Step::Constant(1e-4)), Precision::F32), 20),
        (with(Rule::Oja(Step::COverT(1e-3)), Precision::F32), 20),
        (with(Rule::MatrixStep { c: 2.0 }, Precision::F32), 20),
    ]
}

/// Plain, and each thing that adds to the state.
fn variants(base: &LearnerParams) -> Vec<(LearnerParams, bool)> {
    let scaled = LearnerParams {
        scale: Scale::Standard,
        ..base.clone()
    };
    let forgetful = LearnerParams {
        forgetting: Forgetting::HalfLifeRows(300.0),
        ..base.clone()
    };
    let raw = LearnerParams {
        center: false,
        ..base.clone()
    };
    vec![
        (base.clone(), false),
        (base.clone(), true),
        (scaled, false),
        (forgetful, false),
        (raw, false),
    ]
}

/// Minibatch `t`: short ones among them, and another leading direction from 40 on.
fn minibatch(t: usize, m: usize, has_missing: bool) -> Minibatch {
    let mut random = ChaCha8Rng::seed_from_u64(t as u64);
    let rows = if t % 7 == 3 { 5 } else { 32 };
    let mut values = Vec::with_capacity(rows * m);
    for _ in 0..rows {
        let a: f64 = random.random_range(-3.0..3.0);
        for j in 0..m {
            let lead = if (j % 2 == 0) == (t < 40) { a } else { 0.0 };
            values.push(lead + random.random_range(-1.0..1.0) + 3.0);
        }
    }
    if has_missing {
        values[(t * 13) % (rows * m)] = f64::NAN;
    }
    let mut batch = Minibatch::from_rows(&values, m);
    batch.set_has_missing(has_missing);
    batch
}

fn bytes(learner: &dyn Learner) -> Vec<u8> {
    let mut to = Encoder::new();
    learner.save(&mut to);
    to.into_bytes()
}

#[test]
fn a_restored_learner_goes_on_with_the_same_bits() {
    const STEPS: usize = 80;
    let mut compared = 0;
    for (rule, m) in rules() {
        for (params, has_missing) in variants(&rule) {
            let mut calm = new(&params, m).expect("a learner");
            let mut states = vec![bytes(calm.as_ref())];
            for t in 0..STEPS {
                calm.update(minibatch(t, m, has_missing)).expect("rows");
                states.push(bytes(calm.as_ref()));
            }
            for from in [0, 1, 2, 5, 9, 17, 30, 41, 44, 60, 79] {
                let mut resumed = new(&params, m).expect("a learner");
                let mut decoder = Decoder::new("learner", &states[from]);
                resumed.restore(&mut decoder).expect("a state");
                decoder.finish().expect("the end");
                assert_eq!(
                    bytes(resumed.as_ref()),
                    states[from],
                    "{params:?} at {from}"
                );
                for t in from..STEPS {
                    resumed.update(minibatch(t, m, has_missing)).expect("rows");
                    let now = bytes(resumed.as_ref());
                    assert!(now == states[t + 1], "{params:?}: {from} to {t}");
                    compared += 1;
                }
                let (a, b) = (calm.estimate(), resumed.estimate());
                assert_eq!(format!("{a:?}"), format!("{b:?}"));
            }
        }
    }
    println!("{compared} states compared");
}

#[test]
fn mutated_states_are_refused_or_learn_on() {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let (mut refused, mut tried) = (0, 0);
    for (params, m) in rules() {
        let mut learner = new(&params, m).expect("a learner");
        for t in 0..30 {
            learner.update(minibatch(t, m, false)).expect("rows");
        }
        let whole = bytes(learner.as_ref());
        for _ in 0..300 {
            let mut mutated = whole.clone();
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(0..mutated.len());
                mutated[at] = random.random();
            }
            if random.random_bool(0.2) {
                mutated.truncate(random.random_range(0..mutated.len()));
            }
            tried += 1;
            let mut resumed = new(&params, m).expect("a learner");
            if resumed
                .restore(&mut Decoder::new("learner", &mutated))
                .is_err()
            {
                refused += 1;
                continue;
            }
            // Numbers that no learner would have: an error is fine, a panic is not.
            let _ = resumed.update(minibatch(31, m, false));
            let _ = resumed.estimate();
        }
    }
    println!("{tried} mutated states, {refused} refused");
}
