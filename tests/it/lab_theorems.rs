//! Each theorem of the lab on random instances, and the equations that its algorithms solve.

use faer::{Mat, MatRef, Scale};
use ojad::lab::algorithm::{Kind, Recipe, StepSize};
use ojad::lab::loss::Loss;
use ojad::lab::problem::Problem;
use ojad::lab::theory::{self, critical_points, inertia, least_loss, numerical_hessian, shrunk};
use ojad::lab::train::{Course, End, Record, Stop, Trajectory, train};
use ojad::lab::weights::{Weights, axis_error};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Distribution as _, StandardNormal};

/// Instances of each property.
const INSTANCES: u64 = 12;

/// Rows of a random orientation whose scatter has eigenvalues about 1 and a ratio of at least 1.2
/// between neighbours, so that rates of convergence are known.
struct Instance {
    rows: Mat<f64>,
    m: usize,
    k: usize,
    random: ChaCha8Rng,
    seed: u64,
}

impl Instance {
    fn new(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let m = random.random_range(3..7);
        let k = random.random_range(1..m.min(4));
        let mut normal = |rows: usize, columns: usize| {
            Mat::<f64>::from_fn(rows, columns, |_, _| StandardNormal.sample(&mut random))
        };
        let (left, right) = (normal(40, m), normal(m, m));
        let (left, right) = (left.qr().compute_thin_Q(), right.qr().compute_thin_Q());
        let mut value = 0.5;
        let mut values: Vec<f64> = (0..m)
            .map(|_| {
                value *= random.random_range(1.2..1.8);
                value
            })
            .collect();
        values.reverse();
        let scaled = Mat::from_fn(40, m, |i, j| left[(i, j)] * values[j].sqrt());
        Self {
            rows: scaled * right.transpose(),
            m,
            k,
            random,
            seed,
        }
    }

    fn weights(&mut self) -> Weights {
        let seed = self.random.random();
        Weights::random(self.m, self.k, 0.5, seed)
    }

    /// The four losses with penalties that leave at least k directions above them.
    fn losses(&mut self, problem: &Problem<'_>) -> Vec<Loss> {
        let edge = problem.spectrum().unwrap().values[self.k - 1];
        let lambda = edge * self.random.random_range(0.1..0.8);
        let lambdas = (0..self.k).map(|i| lambda * (i + 1) as f64 / self.k as f64);
        vec![
            Loss::None,
            Loss::Product(lambda),
            Loss::Sum(lambda),
            Loss::NonUniform(lambdas.collect()),
        ]
    }
}

fn run(problem: &Problem<'_>, kind: Kind, loss: &Loss, start: &Weights, most: usize) -> Trajectory {
    let first = problem.spectrum().unwrap().values[0];
    let recipe = Recipe {
        kind,
        loss: loss.clone(),
        step: StepSize::Constant(0.25 / first),
        seed: 0,
    };
    let mut algorithm = recipe.make(start.components()).unwrap();
    let course = Course {
        minibatch: None,
        stop: Stop::Update(1e-13),
        iterations_max: most,
    };
    train(
        algorithm.as_mut(),
        problem,
        start.clone(),
        course,
        Record::Thinned,
    )
    .unwrap()
}

fn last(trajectory: &Trajectory) -> &Weights {
    &trajectory.last().unwrap().weights
}

fn each(check: impl Fn(&mut Instance, &Problem<'_>)) {
    for seed in 0..INSTANCES {
        let mut instance = Instance::new(seed);
        let rows = instance.rows.clone();
        check(&mut instance, &Problem::new(rows.as_ref()));
    }
}

fn close(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> f64 {
    (a - b).norm_max()
}

#[test]
fn gradients_are_those_of_the_losses() {
    each(|instance, problem| {
        for loss in instance.losses(problem) {
            let at = instance.weights();
            let gradient = loss.gradient(&at, &problem.whole());
            let change = |to: &Weights| loss.value(to, problem.scatter());
            let reach = 1e-5;
            for (i, j) in (0..instance.k).flat_map(|i| (0..instance.m).map(move |j| (i, j))) {
                let difference = |is_encoder: bool| {
                    let (mut up, mut down) = (at.clone(), at.clone());
                    if is_encoder {
                        up.encoder[(i, j)] += reach;
                        down.encoder[(i, j)] -= reach;
                    } else {
                        up.decoder[(j, i)] += reach;
                        down.decoder[(j, i)] -= reach;
                    }
                    // Of half the loss.
                    (change(&up) - change(&down)) / (4.0 * reach)
                };
                // Truncation: third derivatives of a quartic of order 10 times reach².
                assert!((difference(true) - gradient.encoder[(i, j)]).abs() < 1e-7);
                assert!((difference(false) - gradient.decoder[(j, i)]).abs() < 1e-7);
            }
        }
    });
}

#[test]
fn the_loss_is_what_the_rows_say() {
    each(|instance, problem| {
        for loss in instance.losses(problem) {
            let at = instance.weights();
            let rebuilt = &instance.rows * at.encoder.transpose() * at.decoder.transpose();
            let reconstruction = (&instance.rows - rebuilt).squared_norm_l2();
            let (w1, w2) = (&at.encoder, &at.decoder);
            let penalty = match &loss {
                Loss::None => 0.0,
                Loss::Product(lambda) => lambda * (w2 * w1).squared_norm_l2(),
                Loss::Sum(lambda) => lambda * (w1.squared_norm_l2() + w2.squared_norm_l2()),
                Loss::NonUniform(lambdas) => (0..instance.k)
                    .map(|i| {
                        lambdas[i] * (w1.row(i).squared_norm_l2() + w2.col(i).squared_norm_l2())
                    })
                    .sum(),
            };
            let value = loss.value(&at, problem.scatter());
            assert!((value / (reconstruction + penalty) - 1.0).abs() < 1e-12);
        }
    });
}

#[test]
fn the_best_of_one_weight_leaves_no_gradient_in_it() {
    each(|instance, problem| {
        for loss in instance.losses(problem) {
            let mut at = instance.weights();
            let batch = problem.whole();
            at.encoder = loss.best_encoder(at.decoder.as_ref(), &batch).unwrap();
            assert!(loss.encoder_gradient(&at, &batch).norm_max() < 1e-11);
            at.decoder = loss.best_decoder(at.encoder.as_ref(), &batch).unwrap();
            assert!(loss.decoder_gradient(&at, &batch).norm_max() < 1e-11);
        }
    });
}

/// Kunin 2019, theorem 2.1.
#[test]
fn under_the_sum_loss_alone_encoder_and_decoder_become_transposes() {
    each(|instance, problem| {
        let start = instance.weights();
        for loss in instance.losses(problem) {
            let end = run(problem, Kind::UntiedGradient, &loss, &start, 200_000);
            assert_ne!(end.end, End::Diverged);
            let asymmetry = last(&end).asymmetry();
            match loss {
                // The non-uniform one too (Bao 2020).
                Loss::Sum(_) | Loss::NonUniform(_) => assert!(asymmetry < 1e-9, "{asymmetry}"),
                Loss::None | Loss::Product(_) => assert!(asymmetry > 1e-3, "{asymmetry}"),
            }
        }
    });
}

/// Kunin 2019, the landscape theorem at the minimum: directions, shrinkage, loss.
#[test]
fn the_minimum_has_the_principal_directions_and_the_shrunk_values() {
    each(|instance, problem| {
        let spectrum = problem.spectrum().unwrap();
        let (truth, k) = (spectrum.vectors.as_ref(), instance.k);
        let start = instance.weights();
        for loss in instance.losses(problem) {
            let end = run(problem, Kind::UntiedExact, &loss, &start, 20_000);
            let weights = last(&end);
            let found = weights.found().unwrap();
            let value = loss.value(weights, problem.scatter());
            let least = least_loss(&loss, &spectrum.values, k);
            assert!(
                (value / least - 1.0).abs() < 1e-9,
                "{} {value} {least}",
                loss.name()
            );
            assert!(found.subspace_error(truth) < 1e-9);
            let product = (&weights.decoder * &weights.encoder)
                .singular_values()
                .unwrap();
            let mut expected: Vec<f64> = (0..k)
                .map(|i| shrunk(&loss, i, spectrum.values[i]).powi(2))
                .collect();
            expected.sort_by(|a, b| b.total_cmp(a));
            for i in 0..k {
                assert!((product[i] - expected[i]).abs() < 1e-5, "{}", loss.name());
            }
            if let Loss::Sum(lambda) = loss {
                assert!(found.axis_error(truth) < 1e-9);
                let eigenvalues = found.eigenvalues(lambda);
                for i in 0..k {
                    assert!((eigenvalues[i] / spectrum.values[i] - 1.0).abs() < 1e-4);
                }
            }
        }
    });
}

#[test]
fn a_direction_below_the_penalty_switches_off() {
    each(|instance, problem| {
        let values = &problem.spectrum().unwrap().values;
        let k = instance.k;
        // Between the k-th and the one before it, or above the first.
        let above = if k == 1 {
            1.5 * values[0]
        } else {
            values[k - 2]
        };
        let lambda = (above * values[k - 1]).sqrt();
        let end = run(
            problem,
            Kind::UntiedExact,
            &Loss::Sum(lambda),
            &instance.weights(),
            50_000,
        );
        let singular = last(&end).found().unwrap().singular;
        assert!(singular[k - 1] < 1e-3, "{singular:?}");
        assert!(k == 1 || singular[k - 2] > 0.1, "{singular:?}");
    });
}

/// Kunin 2019, the landscape theorem and appendix B: gradient, loss and index of every critical point.
#[test]
fn every_critical_point_is_where_the_formula_says_and_of_its_index() {
    each(|instance, problem| {
        let losses = instance.losses(problem);
        for loss in losses
            .iter()
            .filter(|loss| !matches!(loss, Loss::NonUniform(_)))
        {
            let points = critical_points(problem, loss, instance.k).unwrap();
            for point in &points {
                let gradient = loss.gradient(&point.weights, &problem.whole());
                assert!(gradient.encoder.norm_max() < 1e-12);
                assert!(gradient.decoder.norm_max() < 1e-12);
                let value = loss.value(&point.weights, problem.scatter());
                assert!((value - point.loss).abs() < 1e-12 * value.max(1.0));
                let hessian = numerical_hessian(problem, loss, &point.weights).unwrap();
                let (negative, _, _) = inertia(&hessian).unwrap();
                let what = (instance.seed, loss.name(), &point.directions);
                assert_eq!(negative, point.index, "{what:?}");
            }
            // One minimum, the strongest directions, and it is the lowest.
            let minima: Vec<_> = points.iter().filter(|point| point.index == 0).collect();
            assert_eq!(minima.len(), 1);
            assert_eq!(minima[0].directions, (0..instance.k).collect::<Vec<_>>());
            assert!(points.iter().all(|point| point.loss >= minima[0].loss));
        }
    });
}

/// Bao 2020: the non-uniform penalty, and the rotation augmented gradient.
#[test]
fn a_non_uniform_penalty_and_rotations_sort_the_columns_themselves() {
    each(|instance, problem| {
        let spectrum = problem.spectrum().unwrap();
        let truth = spectrum.vectors.as_ref();
        let start = instance.weights();
        let losses = instance.losses(problem);
        let runs = [
            (Kind::UntiedGradient, &losses[3]),
            (Kind::RotationAugmented, &losses[0]),
            (Kind::RotationAugmented, &losses[2]),
        ];
        for (kind, loss) in runs {
            // The loss without a penalty keeps the balance W₁W₁ᵀ − W₂ᵀW₂ of the start; the columns
            // are the directions where that is zero.
            let start = match loss {
                Loss::None => Weights::tied(&start.decoder * Scale(0.01)),
                _ => start.clone(),
            };
            let end = run(problem, kind, loss, &start, 400_000);
            let error = axis_error(last(&end).decoder.as_ref(), truth);
            // Steps of a finite length lose the balance to second order in them.
            let most = if *loss == Loss::None { 1e-3 } else { 1e-6 };
            assert!(
                error < most,
                "seed {} {kind:?} {}: {error}",
                instance.seed,
                loss.name()
            );
        }
        // Without either the columns stay mixed, wherever there is something to mix.
        if instance.k > 1 {
            let end = run(problem, Kind::UntiedGradient, &losses[2], &start, 200_000);
            assert!(axis_error(last(&end).decoder.as_ref(), truth) > 1e-3);
        }
    });
}

/// Kunin 2019, section 2.3: what the losses leave free.
#[test]
fn the_losses_are_blind_to_their_symmetries_alone() {
    each(|instance, problem| {
        let at = instance.weights();
        let k = instance.k;
        let mixing = Mat::<f64>::from_fn(k, k, |i, j| {
            f64::from(u8::from(i == j)) * 1.5 + 0.3 * ((i + 2 * j) as f64).sin()
        });
        let inverse = theory::inverse(mixing.as_ref());
        let rotation = mixing.qr().compute_Q();
        for loss in instance.losses(problem) {
            let value = |encoder: Mat<f64>, decoder: Mat<f64>| {
                loss.value(&Weights { encoder, decoder }, problem.scatter())
            };
            let here = value(at.encoder.clone(), at.decoder.clone());
            let mixed = value(&mixing * &at.encoder, &at.decoder * &inverse);
            let turned = value(&rotation * &at.encoder, &at.decoder * rotation.transpose());
            let is_same = |other: f64| (other / here - 1.0).abs() < 1e-12;
            match loss {
                Loss::None | Loss::Product(_) => assert!(is_same(mixed) && is_same(turned)),
                Loss::Sum(_) => assert!(!is_same(mixed) && is_same(turned)),
                Loss::NonUniform(_) => assert!(!is_same(mixed) && (k == 1 || !is_same(turned))),
            }
        }
    });
}

#[test]
fn tied_and_synchronized_runs_end_where_untied_ones_do() {
    each(|instance, problem| {
        let start = instance.weights();
        let truth = problem.spectrum().unwrap().vectors.as_ref();
        let loss = &instance.losses(problem)[2];
        for kind in [
            Kind::SynchronizedGradient,
            Kind::SynchronizedExact,
            Kind::TiedGradient,
            Kind::TiedExact,
            Kind::Svd,
            Kind::RandomizedSvd,
            Kind::Streaming,
        ] {
            let end = run(problem, kind, loss, &start, 200_000);
            let found = last(&end).found().unwrap();
            assert!(found.axis_error(truth) < 1e-9, "{kind:?}");
            let least = least_loss(loss, &problem.spectrum().unwrap().values, instance.k);
            let value = loss.value(last(&end), problem.scatter());
            assert!(
                (value / least - 1.0).abs() < 1e-9,
                "{kind:?}: {value} {least}"
            );
        }
    });
}

#[test]
fn synchronized_weights_meet_at_their_average_at_every_step() {
    // Three steps by numpy from the equations: w = ((wᵀ − α∂₁)ᵀ + w − α∂₂)/2, and the average of the
    // ridge solutions a = W₁ᵀ for wᵀ and W₂ for a; columns of X are the rows here.
    let rows = faer::mat![
        [2.0, 0.0, 1.0],
        [0.0, 1.0, 1.0],
        [1.0, -1.0, 0.0],
        [-1.0, 1.0, -2.0]
    ];
    let problem = Problem::new(rows.as_ref());
    let start = Weights::tied(faer::mat![[0.6, -0.2], [0.1, 0.5], [-0.3, 0.4]]);
    let gradient = faer::mat![
        [0.770_344_186_224, -0.162_438_624_578],
        [0.035_894_708_792, 0.570_862_828_785],
        [-0.106_735_118_878, 0.466_130_570_931]
    ];
    let exact = faer::mat![
        [0.713_154_767_449, -0.100_116_016_287],
        [-0.392_249_409_67, 0.637_936_800_792],
        [0.534_658_753_335, 0.645_425_417_472]
    ];
    for (kind, right) in [
        (Kind::SynchronizedGradient, gradient),
        (Kind::SynchronizedExact, exact),
    ] {
        let recipe = Recipe {
            kind,
            loss: Loss::Sum(0.5),
            step: StepSize::Constant(0.05),
            seed: 0,
        };
        let course = Course {
            minibatch: None,
            stop: Stop::Limit,
            iterations_max: 3,
        };
        let mut own = recipe.make(2).unwrap();
        let end = train(own.as_mut(), &problem, start.clone(), course, Record::All).unwrap();
        assert!(
            close(last(&end).decoder.as_ref(), right.as_ref()) < 1e-11,
            "{kind:?}"
        );
        for iterate in &end.iterates {
            assert!(iterate.weights.asymmetry() == 0.0, "{kind:?}");
        }
    }
}

#[test]
fn minibatches_stay_near_and_too_long_a_step_is_told() {
    let rows = Mat::<f64>::from_fn(4_000, 5, |i, j| {
        let mut random = ChaCha8Rng::seed_from_u64((i * 5 + j) as u64);
        let value: f64 = StandardNormal.sample(&mut random);
        value * (5 - j) as f64
    });
    let problem = Problem::new(rows.as_ref());
    let values = problem.spectrum().unwrap().values.clone();
    let start = Weights::random(5, 2, 0.5, 1);
    let course = |minibatch, iterations_max| Course {
        minibatch,
        stop: Stop::Limit,
        iterations_max,
    };
    let tied = |step: f64, minibatch| {
        let recipe = Recipe {
            kind: Kind::TiedGradient,
            loss: Loss::Sum(0.1 * values[1]),
            step: StepSize::Constant(step),
            seed: 0,
        };
        let mut algorithm = recipe.make(2).unwrap();
        let course = course(minibatch, 6_000);
        train(
            algorithm.as_mut(),
            &problem,
            start.clone(),
            course,
            Record::Thinned,
        )
        .unwrap()
    };
    let near = tied(0.01 / values[0], Some(100));
    let truth = problem.spectrum().unwrap().vectors.as_ref();
    let error = last(&near).found().unwrap().subspace_error(truth);
    // Independent minibatches would leave α²n²·16·9/b a step against 2αn(16 − 9) of recovery: 4e-5
    // at α = 0.01/(25n). These come in turn, and the noise of a round of 40 sums to zero, so that
    // less is left; without noise it would be below 1e-12 by now.
    assert!((1e-9..4e-5).contains(&error), "{error}");
    assert_eq!(tied(10.0 / values[0], None).end, End::Diverged);
}

#[test]
fn minibatches_average_to_the_whole() {
    let rows = Mat::<f64>::from_fn(12, 3, |i, j| ((i * 3 + j) as f64).sin());
    let problem = Problem::new(rows.as_ref());
    let mut sum = Mat::<f64>::zeros(3, 3);
    for number in 0..4 {
        sum += problem.minibatch(number, 3).scatter();
    }
    assert!(close((sum * Scale(0.25)).as_ref(), problem.scatter()) < 1e-13);
    let w = Mat::from_fn(3, 1, |i, _| i as f64 + 0.5);
    let batch = problem.minibatch(5, 3);
    let image = batch.apply(w.as_ref());
    assert!(close(image.as_ref(), (batch.scatter() * &w).as_ref()) < 1e-13);
}
