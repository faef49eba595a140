"""Regularized linear autoencoders, a reference from equations only; numpy, and pyarrow for Parquet.

Kunin, Bloom, Goeva, Seed, ICML 2019 [K]; Bao, Lucas, Sachdeva, Grosse, NeurIPS 2020 [B].

X is m×n, columns are points, centred; C = XXᵀ; W1 (k×m) encodes, W2 (m×k) decodes.
L = ‖X − W2W1X‖²_F + penalty, where the penalty is
  none        0
  product     λ‖W2W1‖²_F
  sum         λ(‖W1‖²_F + ‖W2‖²_F)                    [K]
  nonuniform  ‖Λ^½W1‖²_F + ‖W2Λ^½‖²_F, 0 < λ_1 < … < λ_k    [B]
Every step goes along half of the gradient.

    python independent_reference.py DATA START OUT --algorithm NAME --loss NAME ...
    python independent_reference.py compare A.parquet B.parquet
    python independent_reference.py selftest
"""

import argparse
import itertools
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

LOSSES = ("none", "product", "sum", "nonuniform")


# Losses, half gradients, minimisers. `lam` is a scalar, or the vector (λ_1..λ_k) for nonuniform.


def lambda_matrix(loss, lam, k):
    """Λ: 0 for none, λI for sum, diag(λ_1..λ_k) for nonuniform."""
    if loss == "nonuniform":
        lam = np.asarray(lam, float)
        if lam.shape != (k,) or lam[0] <= 0 or np.any(np.diff(lam) <= 0):
            raise ValueError("nonuniform needs k values 0 < λ_1 < ... < λ_k")
        return np.diag(lam)
    return (float(lam) if loss == "sum" else 0.0) * np.eye(k)


class Problem:
    """A loss with its constants; C is an argument everywhere, since minibatches replace it."""

    def __init__(self, loss, lam, m, k):
        if loss not in LOSSES:
            raise ValueError(f"no loss {loss}")
        self.loss, self.m, self.k = loss, m, k
        self.Lambda = lambda_matrix(loss, lam, k)
        self.product = float(lam) if loss == "product" else 0.0  # λ of the product penalty
        self.I = np.eye(m)

    def value(self, W1, W2, C):
        """L, by tr[(I − W2W1) C (I − W2W1)ᵀ] + penalty."""
        P = W2 @ W1
        E = self.I - P
        d = np.diag(self.Lambda)
        return (np.sum((E @ C) * E) + self.product * np.sum(P * P)
                + np.sum(d[:, None] * W1**2) + np.sum(d * W2**2))

    def _outer(self, W1, W2, C):
        """½∂/∂P of fit and product penalty at P = W2W1: (P − I)C + λP."""
        P = W2 @ W1
        D = (P - self.I) @ C
        return D + self.product * P if self.product else D

    def grad1(self, W1, W2, C):
        """½∂L/∂W1 = W2ᵀ[(W2W1 − I)C + λ_product W2W1] + ΛW1."""
        return W2.T @ self._outer(W1, W2, C) + self.Lambda @ W1

    def grad2(self, W1, W2, C):
        """½∂L/∂W2 = [(W2W1 − I)C + λ_product W2W1]W1ᵀ + W2Λ."""
        return self._outer(W1, W2, C) @ W1.T + W2 @ self.Lambda

    def grad_tied(self, W, C):
        """Regularized Oja: (WWᵀ − I)CW + λ_product WWᵀW + WΛ."""
        G = W @ (W.T @ (C @ W)) - C @ W + W @ self.Lambda
        return G + self.product * (W @ (W.T @ W)) if self.product else G

    def argmin1(self, W2, C):
        """W2ᵀW2 W1 (C + λ_product I) + ΛW1 = W2ᵀC; columns stacked, vec(AXB) = (Bᵀ⊗A) vec(X)."""
        K = np.kron(C + self.product * self.I, W2.T @ W2) + np.kron(self.I, self.Lambda)
        v = np.linalg.solve(K, (W2.T @ C).ravel(order="F"))
        return v.reshape((self.k, self.m), order="F")

    def argmin2(self, W1, C):
        """W2 [W1(C + λ_product I)W1ᵀ + Λ] = CW1ᵀ."""
        S = W1 @ (C + self.product * self.I) @ W1.T + self.Lambda
        return np.linalg.solve(S.T, W1 @ C.T).T


# One iteration of each algorithm: (problem, W1, W2, C, α) → (W1, W2).


def untied_gradient(p, W1, W2, C, a):
    """Gauss–Seidel order, as [K]'s own program: W2's gradient is taken at the new W1."""
    W1 = W1 - a * p.grad1(W1, W2, C)
    return W1, W2 - a * p.grad2(W1, W2, C)


def synchronized_gradient(p, W1, W2, C, a):
    """Jacobi order: both gradients at the old iterate (`train` sets W1 := W2ᵀ at the start)."""
    return W1 - a * p.grad1(W1, W2, C), W2 - a * p.grad2(W1, W2, C)


def tied_gradient(p, W1, W2, C, a):
    """W ← W − α[(WWᵀ − I)CW + λW], W2 = W, W1 = Wᵀ."""
    W = W2 - a * p.grad_tied(W2, C)
    return W.T, W


def untied_exact(p, W1, W2, C, a):
    """Alternating minimisation: W1 given W2, then W2 given the new W1."""
    W1 = p.argmin1(W2, C)
    return W1, p.argmin2(W1, C)


def synchronized_exact(p, W1, W2, C, a):
    """Both minimisers from the old iterate."""
    return p.argmin1(W2, C), p.argmin2(W1, C)


def tied_exact(p, W1, W2, C, a):
    """W ← CW (WᵀCW + Λ)⁻¹."""
    W = p.argmin2(W2.T, C)
    return W.T, W


def rotation_augmented(p, W1, W2, C, a):
    """[B]: with Y = W1X and A = ½(upper(YYᵀ) − lower(YYᵀ)), both at the old iterate."""
    S = W1 @ C @ W1.T
    A = 0.5 * (np.triu(S, 1) - np.tril(S, -1))
    return (W1 - a * p.grad1(W1, W2, C) + a * (A @ W1),
            W2 - a * p.grad2(W1, W2, C) - a * (W2 @ A))


ALGORITHMS = {
    "untied-gradient": untied_gradient,
    "synchronized-gradient": synchronized_gradient,
    "tied-gradient": tied_gradient,
    "untied-exact": untied_exact,
    "synchronized-exact": synchronized_exact,
    "tied-exact": tied_exact,
    "rotation-augmented": rotation_augmented,
}


# Runs.


def frobenius(A):
    return np.sqrt(np.sum(A * A))


def batch_matrix(X, t, b):
    """C_t = (n/b) X_b X_bᵀ of the b columns from (t·b) mod n."""
    n = X.shape[1]
    if not 0 < b <= n or n % b:
        raise ValueError("n must be a multiple of b")
    part = X[:, (t * b) % n:(t * b) % n + b]
    return (n / b) * (part @ part.T)


def train(X, W1, W2, algorithm, loss, lam=0.0, step=1e-5, normalized=False, stop="symmetry",
          tolerance=1e-8, max_iterations=60_000, minibatch=None):
    """All iterates [(W1, W2), ...], the start first.

    symmetry: iterate while ‖W1 − W2ᵀ‖_F > ε, looked at before each iteration. Taken literally: weights which
    are tied or set to transposes at the start make no iteration at all.
    update: iterate until the update's norm is ≤ ε; the last iterate is kept.
    normalized: α_t = α/‖W1CW1ᵀ‖₂ at the start of the iteration.
    """
    if stop not in ("symmetry", "update"):
        raise ValueError(f"no stop {stop}")
    one, tied = ALGORITHMS[algorithm], algorithm.startswith("tied")
    p = Problem(loss, lam, X.shape[0], W2.shape[1])
    if algorithm.startswith(("tied", "synchronized")):
        W1 = W2.T.copy()
    C = X @ X.T  # of the full batch, computed once
    iterates = [(W1, W2)]
    for t in range(max_iterations):
        if stop == "symmetry" and frobenius(W1 - W2.T) <= tolerance:
            break
        Ct = C if minibatch is None else batch_matrix(X, t, minibatch)
        a = step / np.linalg.norm(W1 @ Ct @ W1.T, 2) if normalized else step
        V1, V2 = one(p, W1, W2, Ct, a)
        u = frobenius(V2 - W2) if tied else np.hypot(frobenius(V1 - W1), frobenius(V2 - W2))
        if not np.isfinite(u):  # a comparison with NaN would pass for convergence
            raise FloatingPointError(f"{algorithm}, {loss}: diverged in iteration {t}")
        W1, W2 = V1, V2
        iterates.append((W1, W2))
        if stop == "update" and u <= tolerance:
            break
    return iterates


# Critical points.


def critical_point(C, I, lam, k):
    """[K], sum loss: W2 = U_I (I − λΣ_I⁻²)^½, columns beyond |I| zero, W1 = W2ᵀ; and its loss,
    Σ_{i∉I} σ_i² + Σ_{i∈I} (2λ − λ²/σ_i²). Indices count from 0, eigenvalues descend."""
    s, U = np.linalg.eigh(C)
    s, U = s[::-1], U[:, ::-1]
    I = list(I)
    if len(I) > k or np.any(s[I] <= lam):
        raise ValueError("at most k directions, each with σ² > λ")
    W2 = np.zeros((len(s), k))
    W2[:, :len(I)] = U[:, I] * np.sqrt(1 - lam / s[I])
    value = np.sum(np.delete(s, I)) + np.sum(2 * lam - lam**2 / s[I])
    return W2.T.copy(), W2, value


def hessian(p, W1, W2, C, h=1e-3):
    """Of L, by central differences of L alone at h and 2h, extrapolated: (4H_h − H_2h)/3, exact for a quartic
    but for rounding."""
    at, cut, size = np.concatenate([W1.ravel(), W2.ravel()]), W1.size, W1.size + W2.size

    def f(v):
        return p.value(v[:cut].reshape(W1.shape), v[cut:].reshape(W2.shape), C)

    def second(h):
        H, e = np.empty((size, size)), h * np.eye(size)
        for i, j in itertools.combinations_with_replacement(range(size), 2):
            d = f(at + e[i] + e[j]) - f(at + e[i] - e[j]) - f(at - e[i] + e[j]) + f(at - e[i] - e[j])
            H[i, j] = H[j, i] = d / (4 * h * h)
        return H

    return (4 * second(h) - second(2 * h)) / 3


def negative_eigenvalues(H, relative=1e-6):
    """Number of eigenvalues below −relative·‖H‖₂: flat directions (the orbit of rotations) are not counted."""
    values = np.linalg.eigvalsh(H)
    return int(np.sum(values < -relative * np.abs(values).max()))


# Files.


def read_data(path):
    """X, m×n, centred, of columns x0, x1, ..."""
    table = pq.read_table(path)
    names = sorted((c for c in table.column_names if c[:1] == "x" and c[1:].isdigit()), key=lambda c: int(c[1:]))
    X = np.array([table[c].to_numpy() for c in names], float)
    return X - X.mean(axis=1, keepdims=True)


def read_iterates(path):
    """[(W1, W2), ...] of a long file, in the order of its iterations; the order of rows does not matter."""
    table = pq.read_table(path)
    number, name, row, column, value = (table[c].to_numpy() for c in ("iteration", "matrix", "row", "column", "value"))
    steps, at = np.unique(number, return_inverse=True)
    out = []
    for matrix in ("w1", "w2"):
        mine = name == matrix
        shape = (len(steps), row[mine].max() + 1, column[mine].max() + 1)
        W = np.full(shape, np.nan)
        W[at[mine], row[mine], column[mine]] = value[mine]
        if mine.sum() != W.size or np.isnan(W).any():
            raise ValueError(f"{path}: entries of {matrix} missing or repeated")
        out.append(W)
    return list(zip(*out))


def write_iterates(path, iterates):
    """iteration:int64, matrix:utf8, row:int32, column:int32, value:float64; W1 then W2, row by row."""
    (k, m), T = iterates[0][0].shape, len(iterates)
    row = np.concatenate([np.repeat(np.arange(k), m), np.repeat(np.arange(m), k)])
    column = np.concatenate([np.tile(np.arange(m), k), np.tile(np.arange(k), m)])
    value = np.array([np.concatenate([W1.ravel(), W2.ravel()]) for W1, W2 in iterates])
    which = pa.array(np.tile(np.repeat([0, 1], k * m), T).astype(np.int32))
    table = pa.table({
        "iteration": pa.array(np.repeat(np.arange(T), 2 * k * m), pa.int64()),
        "matrix": pa.DictionaryArray.from_arrays(which, ["w1", "w2"]).cast(pa.utf8()),
        "row": pa.array(np.tile(row, T), pa.int32()),
        "column": pa.array(np.tile(column, T), pa.int32()),
        "value": pa.array(value.ravel(), pa.float64()),
    })
    pq.write_table(table, path)


def compare(a, b):
    """Print the largest |difference| of each iterate that both have, and both counts; a and b are paths or lists
    of iterates. Returns the differences."""
    a, b = (v if isinstance(v, list) else read_iterates(v) for v in (a, b))
    d = np.array([max(np.abs(A1 - B1).max(), np.abs(A2 - B2).max()) for (A1, A2), (B1, B2) in zip(a, b)])
    for t, value in enumerate(d):
        print(f"{t}\t{value:.3e}")
    print(f"iterates: {len(a)} and {len(b)}; largest difference {d.max():.3e} at iterate {d.argmax()}")
    return d


# Self-check.


def lam_of(loss, uniform, values):
    return values if loss == "nonuniform" else uniform


def small_problem(seed=1, m=5, n=60, k=2):
    """Data whose eigenvalues are well apart."""
    r = np.random.default_rng(seed)
    U, V = np.linalg.qr(r.normal(size=(m, m)))[0], np.linalg.qr(r.normal(size=(n, m)))[0]
    return U @ np.diag(np.sqrt([16.0, 9, 5, 2.5, 1.2])) @ V.T, r.normal(size=(k, m)), r.normal(size=(m, k))


def selftest():
    X, A1, A2 = small_problem()
    (m, n), k, C = X.shape, A2.shape[1], X @ X.T
    uniform, values = 0.5, [0.3, 0.8]

    def check(name, error, bound):
        print(f"{'ok  ' if error <= bound else 'FAIL'} {name}: {error:.1e}")
        if not error <= bound:
            raise SystemExit(1)

    def slope(f, W, h=1e-5):
        G = np.empty(W.shape)
        for i in np.ndindex(W.shape):
            E = np.zeros(W.shape)
            E[i] = h
            G[i] = (f(W + E) - f(W - E)) / (2 * h)
        return G

    direct = {
        "none": lambda W1, W2: 0,
        "product": lambda W1, W2: uniform * np.linalg.norm(W2 @ W1) ** 2,
        "sum": lambda W1, W2: uniform * (np.linalg.norm(W1) ** 2 + np.linalg.norm(W2) ** 2),
        "nonuniform": lambda W1, W2: (np.linalg.norm(np.diag(np.sqrt(values)) @ W1) ** 2
                                      + np.linalg.norm(W2 @ np.diag(np.sqrt(values))) ** 2),
    }
    for loss in LOSSES:
        p = Problem(loss, lam_of(loss, uniform, values), m, k)
        full = np.linalg.norm(X - A2 @ A1 @ X) ** 2 + direct[loss](A1, A2)
        check(f"{loss}: L through C is L through X", abs(p.value(A1, A2, C) / full - 1), 1e-12)
        check(f"{loss}: gradient of W1", np.abs(2 * p.grad1(A1, A2, C) - slope(lambda W: p.value(W, A2, C), A1)).max(), 1e-6)
        check(f"{loss}: gradient of W2", np.abs(2 * p.grad2(A1, A2, C) - slope(lambda W: p.value(A1, W, C), A2)).max(), 1e-6)
        tied = p.grad2(A2.T, A2, C)  # with W1 = Wᵀ, the tied rule is the decoder's gradient
        check(f"{loss}: tied rule is ½∂L/∂W2 at W1 = W2ᵀ", np.abs(p.grad_tied(A2, C) - tied).max(), 1e-11)
        check(f"{loss}: argmin of W1 has no gradient", np.abs(p.grad1(p.argmin1(A2, C), A2, C)).max(), 1e-10)
        check(f"{loss}: argmin of W2 has no gradient", np.abs(p.grad2(A1, p.argmin2(A1, C), C)).max(), 1e-10)
        B1, B2 = p.argmin1(A2, C), p.argmin2(A1, C)
        up = max(p.value(B1, A2, C) - p.value(A1, A2, C), p.value(A1, B2, C) - p.value(A1, A2, C))
        check(f"{loss}: argmins do not raise L", up, 0)

    batches = sum(batch_matrix(X, t, 12) for t in range(5)) / 5
    check("minibatches of one epoch average to C", np.abs(batches - C).max(), 1e-11)
    check("batch of all is C", np.abs(batch_matrix(X, 3, n) - C).max(), 1e-11)

    s, U = np.linalg.eigh(C)
    s, U = s[::-1], U[:, ::-1]
    for loss, algorithm in itertools.product(("sum", "nonuniform"), ("untied-gradient", "untied-exact", "rotation-augmented")):
        lam = lam_of(loss, uniform, values)
        run = train(X, A1, A2, algorithm, loss, lam, 0.02, stop="update", tolerance=1e-12, max_iterations=200_000)
        W1, W2 = run[-1]
        check(f"{loss}, {algorithm}: transposes after {len(run) - 1}", frobenius(W1 - W2.T), 1e-9)
        singular = np.linalg.svd(W2, compute_uv=False)
        expected = np.sqrt(1 - np.asarray(lam) / s[:k])
        if loss == "sum":
            check(f"{loss}, {algorithm}: singular values (1 − λ/σ²)^½", np.abs(singular - expected).max(), 1e-9)
        if loss == "nonuniform":
            check(f"{loss}, {algorithm}: columns are principal directions in order",
                  np.abs(np.abs(W2) - np.abs(U[:, :k] * expected)).max(), 1e-7)
    for algorithm in ("tied-gradient", "tied-exact"):
        run = train(X, A1, A2, algorithm, "sum", uniform, 0.002, stop="update", tolerance=1e-12, max_iterations=200_000)
        check(f"sum, {algorithm}: (1 − λ/σ²)^½ after {len(run) - 1}",
              np.abs(np.linalg.svd(run[-1][1], compute_uv=False) - np.sqrt(1 - uniform / s[:k])).max(), 1e-9)

    p = Problem("sum", uniform, m, k)
    for I in [c for size in range(k + 1) for c in itertools.combinations(range(m), size)]:
        W1, W2, value = critical_point(C, I, uniform, k)
        found = negative_eigenvalues(hessian(p, W1, W2, C))
        above = [j for j in range(m) if j not in I and s[j] > uniform]
        index = sum(j < i for i in I for j in above) + (k - len(I)) * len(above)
        gradient = max(np.abs(p.grad1(W1, W2, C)).max(), np.abs(p.grad2(W1, W2, C)).max())
        check(f"critical point {I}: gradient", gradient, 1e-11)
        check(f"critical point {I}: loss", abs(value / p.value(W1, W2, C) - 1), 1e-12)
        check(f"critical point {I}: {found} negative eigenvalues, {index} expected", abs(found - index), 0)
    run = train(X, A1, A2, "untied-exact", "sum", uniform, stop="update", max_iterations=7)
    import os
    import tempfile
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "a.parquet")
        write_iterates(path, run)
        check("file and back", np.abs(np.array([np.r_[a.ravel(), b.ravel()] for a, b in run])
              - np.array([np.r_[a.ravel(), b.ravel()] for a, b in read_iterates(path)])).max(), 0)
    print("all passed")


def main(arguments):
    if arguments == ["selftest"]:
        return selftest()
    if arguments[:1] == ["compare"] and len(arguments) == 3:
        return compare(*arguments[1:])
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("data", "start", "out"):
        a.add_argument(name)
    a.add_argument("--algorithm", required=True, choices=list(ALGORITHMS))
    a.add_argument("--loss", required=True, choices=LOSSES)
    a.add_argument("--lambda", dest="lam", type=float)
    a.add_argument("--lambdas", type=lambda v: [float(x) for x in v.split(",")])
    a.add_argument("--step", type=float, default=1e-5)
    a.add_argument("--normalized", action="store_true")
    a.add_argument("--stop", choices=("symmetry", "update"), default="symmetry")
    a.add_argument("--tolerance", type=float, default=1e-8)
    a.add_argument("--max-iterations", type=int, default=60_000)
    a.add_argument("--minibatch", type=int)
    o = a.parse_args(arguments)
    lam = o.lambdas if o.loss == "nonuniform" else o.lam
    if lam is None and o.loss != "none":
        a.error("--lambdas is needed for nonuniform, --lambda for product and sum")
    start = read_iterates(o.start)
    if len(start) != 1:
        a.error("START must hold one iteration")
    run = train(read_data(o.data), *start[0], o.algorithm, o.loss, lam, o.step, o.normalized, o.stop,
                o.tolerance, o.max_iterations, o.minibatch)
    write_iterates(o.out, run)
    W1, W2 = run[-1]
    print(f"{o.algorithm}, {o.loss}: {len(run) - 1} iterations, asymmetry {frobenius(W1 - W2.T):.3e}")


if __name__ == "__main__":
    main(sys.argv[1:])
