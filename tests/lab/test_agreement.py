"""The program's iterates against numpy's, one by one, and its figures' numbers against numpy's own."""

import pathlib
import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import reference

ROOT = pathlib.Path(__file__).resolve().parents[2]
OJAD = ROOT / "target" / "debug" / "ojad"
# The setting of the papers' own program.
N, M, K, LAMBDA, ALPHA, EPSILON = 10_000, 10, 2, 50.0, 1e-5, 1e-8
AGREEMENT = 1e-10


def ojad(*arguments):
    command = [OJAD, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def start_table(w1, w2):
    """Weights as `--start` takes them."""
    entries = [
        (0, name, i, j, w[i, j])
        for name, w in (("w1", w1), ("w2", w2))
        for i in range(w.shape[0])
        for j in range(w.shape[1])
    ]
    kinds = {"iteration": pa.int64(), "matrix": pa.utf8(), "row": pa.int32(), "column": pa.int32(),
             "value": pa.float64()}
    columns = [pa.array(column, kind) for column, kind in zip(zip(*entries), kinds.values())]
    return pa.table(dict(zip(kinds, columns)))


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    """X, the weights of the start, and files of both."""
    random = np.random.default_rng(0)
    x = random.normal(size=(M, N))
    x -= x.mean(axis=1, keepdims=True)
    w1, w2 = random.normal(size=(K, M)), random.normal(size=(M, K))
    directory = tmp_path_factory.mktemp("setting")
    pq.write_table(pa.table({f"x{j}": x[j] for j in range(M)}), directory / "data.parquet")
    pq.write_table(start_table(w1, w2), directory / "start.parquet")
    return x, w1, w2, directory


def iterates(path):
    """The program's iterates: W1 of all as one array, and W2."""
    table = pq.read_table(path).to_pydict()
    matrix, value = np.array(table["matrix"]), np.array(table["value"])
    count = max(table["iteration"]) + 1
    return (value[matrix == "w1"].reshape(count, K, M), value[matrix == "w2"].reshape(count, M, K))


FULL = ["untied-gradient", "tied-gradient", "untied-exact", "synchronized-exact", "tied-exact", "rotation-augmented"]
CASES = [(name, "sum", LAMBDA, "symmetry", 100_000, []) for name in FULL]
CASES += [
    (name, loss, penalty, "update", 1_500, [])
    for name in reference.STEPS
    for loss, penalty in (("none", None), ("product", LAMBDA), ("sum", LAMBDA), ("non-uniform", [20.0, 50.0]))
]
CASES += [
    (name, "sum", LAMBDA, "update", 1_500, extra)
    for name in reference.STEPS
    for extra in (["--minibatch", 500], ["--normalized"])
    if not (name.endswith("exact") and extra == ["--normalized"])
]


@pytest.mark.parametrize(("algorithm", "loss", "penalty", "stop", "most", "extra"), CASES)
def test_every_iterate_agrees(setting, tmp_path, algorithm, loss, penalty, stop, most, extra):
    x, w1, w2, directory = setting
    is_normalized = "--normalized" in extra
    alpha = 0.25 if is_normalized else ALPHA
    flags = []
    if loss == "non-uniform":
        flags = ["--lambdas", ",".join(map(str, penalty))]
    elif penalty is not None:
        flags = ["--lambda", penalty]
    output = tmp_path / "iterates.parquet"
    ojad("lab", "train", algorithm, directory / "data.parquet", "--start", directory / "start.parquet",
         "--loss", loss, *flags, "--step", alpha, "--stop", stop, "--tolerance", EPSILON,
         "--iterations", most, "--output", output, *extra)
    found1, found2 = iterates(output)
    expected = reference.train(
        x, w1, w2, algorithm, reference.Loss(loss, penalty, K), alpha, is_normalized=is_normalized,
        minibatch=500 if "--minibatch" in extra else None, stop=stop, tolerance=EPSILON, iterations=most)
    # Whether an update is below ε may depend on the last digit, and then one run makes one step more.
    assert abs(len(expected) - len(found1)) <= 1
    assert len(expected) > 10
    common = min(len(expected), len(found1))
    apart1 = np.abs(np.array([pair[0] for pair in expected[:common]]) - found1[:common]).max()
    apart2 = np.abs(np.array([pair[1] for pair in expected[:common]]) - found2[:common]).max()
    print(f"{algorithm} {loss} {extra}: {common - 1} iterations, {max(apart1, apart2):.1e}")
    assert max(apart1, apart2) < AGREEMENT


@pytest.mark.parametrize(("algorithm", "iterations"), [("synchronized-gradient", 18_476), ("synchronized-exact", 778)])
def test_synchronized_weights_take_the_iterations_of_the_authors_program(tmp_path, algorithm, iterations):
    """The program beside Kunin 2019 (algorithms.py), with its rows and its start: its counts."""
    random = np.random.RandomState(0)
    x = random.normal(size=(M, N))
    x -= x.mean(axis=1, keepdims=True)
    w1, w2 = random.normal(size=(K, M)), random.normal(size=(M, K))
    pq.write_table(pa.table({f"x{j}": x[j] for j in range(M)}), tmp_path / "data.parquet")
    pq.write_table(start_table(w1, w2), tmp_path / "start.parquet")
    output = tmp_path / "iterates.parquet"
    ojad("lab", "train", algorithm, tmp_path / "data.parquet", "--start", tmp_path / "start.parquet",
         "--loss", "sum", "--lambda", LAMBDA, "--step", ALPHA, "--stop", "update", "--tolerance", EPSILON,
         "--iterations", 100_000, "--output", output)
    found1, found2 = iterates(output)
    # Whether the last update is below ε may depend on the last digit.
    assert abs(len(found2) - 1 - iterations) <= 1
    assert np.array_equal(found1[-1], found2[-1].T)


def test_figures_say_what_numpy_says(tmp_path):
    random = np.random.default_rng(3)
    turn, _ = np.linalg.qr(random.normal(size=(6, 6)))
    rows = random.normal(size=(400, 6)) * np.sqrt([9, 6, 4, 2.5, 1.5, 1]) @ turn
    pq.write_table(pa.table({f"x{j}": rows[:, j] for j in range(6)}), tmp_path / "rows.parquet")
    ojad("lab", "figures", tmp_path / "rows.parquet", "-k", 3, "--lambda", 300, "--output", tmp_path / "out")
    rows = rows - rows.mean(axis=0)
    c = rows.T @ rows
    values, vectors = np.linalg.eigh(c)
    values, vectors = values[::-1], vectors[:, ::-1]

    shrunk = pq.read_table(tmp_path / "out" / "3-shrinkage.parquet").to_pandas().rename(columns={"lambda": "penalty"})
    theory = {"none": lambda s, l: 1.0, "product": lambda s, l: 1 / (1 + l / s), "sum": lambda s, l: max(0, 1 - l / s)}
    for line in shrunk.itertuples():
        expected = theory[line.loss](values[int(line.component) - 1], line.penalty)
        assert abs(line.found - expected) < 1e-3

    points = pq.read_table(tmp_path / "out" / "6-landscape.parquet").to_pandas()
    assert len(points) > 60
    for line in points.itertuples():
        chosen = [int(i) - 1 for i in line.directions.strip("{}").split(",") if i]
        loss = reference.Loss(line.loss, 300.0, 3)
        square = [{"none": 1.0, "product": s / (s + 300), "sum": 1 - 300 / s}[line.loss] for s in values[chosen]]
        w2 = np.zeros((6, 3))
        w2[:, : len(chosen)] = vectors[:, chosen] * np.sqrt(square)
        assert abs(loss.value(w2.T, w2, c) / line.loss_found - 1) < 1e-10
        assert abs(line.loss_predicted / line.loss_found - 1) < 1e-10
        assert line.index_predicted == line.index_found == reference.numerical_index(w2.T, w2, c, loss)

    noise = values[3:].mean() / len(rows)
    spread = vectors[:, :3] * np.sqrt(values[:3] / len(rows) - noise)
    model = spread @ spread.T + noise * np.eye(6)
    best = -0.5 * (6 * np.log(2 * np.pi) + np.linalg.slogdet(model)[1]
                   + np.trace(np.linalg.solve(model, c / len(rows))))
    likelihood = pq.read_table(tmp_path / "out" / "7-likelihood.parquet").to_pandas()
    assert abs(likelihood.log_likelihood.max() - best) < 1e-9


def test_comparison_measures_what_it_says(setting, tmp_path):
    """On the papers' setting: the table's errors from the program's own iterates, and no error grows at the end."""
    x, _, _, directory = setting
    ojad("lab", "compare", directory / "data.parquet", "--lambda", LAMBDA, "--step", ALPHA, "--iterations", 40_000,
         "--output", tmp_path)
    curves = pq.read_table(tmp_path / "curves.parquet").to_pandas()
    assert curves.algorithm.nunique() == 18
    last = curves.groupby("algorithm").last()
    truth = np.linalg.svd(x, full_matrices=False)[0][:, :K]
    for name in ("untied exact", "tied exact", "SVD", "randomized SVD", "streaming (ojad fit)"):
        assert last.axis_error[name] < 1e-6, name
    ojad("lab", "train", "untied-exact", directory / "data.parquet", "--lambda", LAMBDA, "--tolerance", 1e-10,
         "--iterations", 40_000, "--output", tmp_path / "iterates.parquet")
    _, w2 = iterates(tmp_path / "iterates.parquet")
    curve = curves[curves.algorithm == "untied exact"]
    for line in curve.iloc[:: max(1, len(curve) // 20)].itertuples():
        found = np.linalg.svd(w2[line.iteration], full_matrices=False)[0]
        error = 1 - np.mean(np.sum(found * truth, axis=0) ** 2)
        # Singular vectors of nearly equal singular values lose digits.
        assert abs(error - line.axis_error) < 1e-9
    for picture in ("error-per-iteration", "error-per-second"):
        assert (tmp_path / f"{picture}.svg").read_text().startswith("<svg")
        assert (tmp_path / f"{picture}.png").read_bytes().startswith(b"\x89PNG")
