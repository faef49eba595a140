"""Regularized linear autoencoders in numpy, written from the equations of the papers.

X is m×n, a column a point, centred; C = XXᵀ; W1 is k×m, W2 is m×k.
L = ‖X − W2W1X‖² + penalty; penalties: none 0, product λ‖W2W1‖², sum λ(‖W1‖² + ‖W2‖²) (Kunin et al. 2019),
non-uniform ‖Λ^½W1‖² + ‖W2Λ^½‖² (Bao et al. 2020). Steps go along half of the gradient.

Shares nothing with the program that it checks: the ridge equations are solved by Kronecker products and dense
solves, where the program diagonalises; every product is of full matrices.
"""

import numpy as np


class Loss:
    """A penalty: its half gradients and the equations of its exact minimisers."""

    def __init__(self, name, lambdas, k):
        self.name = name
        values = np.zeros(k) if name == "none" else np.broadcast_to(np.asarray(lambdas, float), (k,))
        self.diagonal = np.diag(values)  # Λ; λI where the penalty is uniform
        self.scalar = values[0]

    def value(self, w1, w2, c):
        rest = np.eye(len(c)) - w2 @ w1
        fit = np.trace(rest @ c @ rest.T)
        if self.name == "product":
            return fit + self.scalar * np.sum((w2 @ w1) ** 2)
        return fit + np.trace(self.diagonal @ w1 @ w1.T) + np.trace(w2 @ self.diagonal @ w2.T)

    def encoder_step(self, w1, w2, c):
        """½∂L/∂W1."""
        step = w2.T @ (w2 @ w1 - np.eye(len(c))) @ c
        if self.name == "product":
            return step + self.scalar * w2.T @ w2 @ w1
        return step + self.diagonal @ w1

    def decoder_step(self, w1, w2, c):
        """½∂L/∂W2."""
        step = (w2 @ w1 - np.eye(len(c))) @ c @ w1.T
        if self.name == "product":
            return step + self.scalar * w2 @ w1 @ w1.T
        return step + w2 @ self.diagonal

    def best_encoder(self, w2, c):
        """W1 of ½∂L/∂W1 = 0: (W2ᵀW2 ⊗ C + Λ ⊗ I) vec(W1) = vec(W2ᵀC), rows of W1 one after the other."""
        k, m = w2.shape[1], len(c)
        if self.name == "product":
            system = np.kron(w2.T @ w2, c + self.scalar * np.eye(m))
        else:
            system = np.kron(w2.T @ w2, c) + np.kron(self.diagonal, np.eye(m))
        return np.linalg.solve(system, (w2.T @ c).reshape(k * m)).reshape(k, m)

    def best_decoder(self, w1, c):
        """W2 of ½∂L/∂W2 = 0: W2(W1CW1ᵀ + Λ) = CW1ᵀ."""
        if self.name == "product":
            system = w1 @ (c + self.scalar * np.eye(len(c))) @ w1.T
        else:
            system = w1 @ c @ w1.T + self.diagonal
        return np.linalg.solve(system, w1 @ c).T


def untied_gradient(w1, w2, c, loss, alpha):
    w1 = w1 - alpha * loss.encoder_step(w1, w2, c)
    return w1, w2 - alpha * loss.decoder_step(w1, w2, c)


def synchronized_gradient(w1, w2, c, loss, alpha):
    """Both steps at once from W1 = W2ᵀ, then both weights at their average, as in the authors' program."""
    w = ((w1 - alpha * loss.encoder_step(w1, w2, c)).T + w2 - alpha * loss.decoder_step(w1, w2, c)) / 2
    return w.T, w


def tied_gradient(w1, w2, c, loss, alpha):
    """Regularized Oja's rule: W ← W − α[(WWᵀ − I)CW + λW]."""
    del w1
    step = (w2 @ w2.T - np.eye(len(c))) @ c @ w2
    step += loss.scalar * w2 @ w2.T @ w2 if loss.name == "product" else w2 @ loss.diagonal
    w = w2 - alpha * step
    return w.T, w


def rotation_augmented(w1, w2, c, loss, alpha):
    """Bao et al. 2020: A = ½(upper(YYᵀ) − lower(YYᵀ)) turns the latent space beside the step."""
    inner = w1 @ c @ w1.T
    turn = 0.5 * (np.triu(inner, 1) - np.tril(inner, -1))
    return (
        w1 - alpha * loss.encoder_step(w1, w2, c) + alpha * turn @ w1,
        w2 - alpha * loss.decoder_step(w1, w2, c) - alpha * w2 @ turn,
    )


def untied_exact(w1, w2, c, loss, alpha):
    del w1, alpha
    w1 = loss.best_encoder(w2, c)
    return w1, loss.best_decoder(w1, c)


def synchronized_exact(w1, w2, c, loss, alpha):
    """The best decoder for W2ᵀ, transposed, the best decoder for that, then both at their average."""
    del w1, alpha
    w1 = loss.best_decoder(w2.T, c).T
    w = (w1.T + loss.best_decoder(w1, c)) / 2
    return w.T, w


def tied_exact(w1, w2, c, loss, alpha):
    del w1, alpha
    w = loss.best_decoder(w2.T, c)
    return w.T, w


STEPS = {
    step.__name__.replace("_", "-"): step
    for step in (
        untied_gradient,
        synchronized_gradient,
        tied_gradient,
        rotation_augmented,
        untied_exact,
        synchronized_exact,
        tied_exact,
    )
}


def train(x, w1, w2, algorithm, loss, alpha, *, is_normalized=False, minibatch=None, stop="update",
          tolerance=1e-8, iterations=100_000):
    """Every iterate (W1, W2), the start first.

    stop: "symmetry" while ‖W1 − W2ᵀ‖ > ε, looked at before each iteration (untied weights); "update" until the
    size of the update is at most ε, of the one matrix where weights are tied or synchronized and exact; the sum of
    both, as in the authors' program, where gradients are synchronized.
    """
    step, n = STEPS[algorithm], x.shape[1]
    is_tied, is_untied = algorithm.startswith("tied"), algorithm.startswith(("untied", "rotation"))
    if not is_untied:
        w1 = w2.T
    whole = x @ x.T
    iterates = [(w1, w2)]
    for t in range(iterations):
        if stop == "symmetry" and is_untied and np.linalg.norm(w1 - w2.T) <= tolerance:
            break
        c = whole
        if minibatch is not None:
            first = t % (n // minibatch) * minibatch
            part = x[:, first:first + minibatch]
            c = n / minibatch * part @ part.T
        size = alpha / np.linalg.norm(w1 @ c @ w1.T, 2) if is_normalized else alpha
        new1, new2 = step(w1, w2, c, loss, size)
        moved = np.linalg.norm(new1 - w1), np.linalg.norm(new2 - w2)
        if is_tied or algorithm == "synchronized-exact":
            update = moved[1]
        else:
            update = sum(moved) if algorithm == "synchronized-gradient" else np.hypot(*moved)
        w1, w2 = new1, new2
        iterates.append((w1, w2))
        if (stop == "update" or (stop == "symmetry" and not is_untied)) and update <= tolerance:
            break
    return iterates


def numerical_index(w1, w2, c, loss):
    """Negative eigenvalues of the Hessian, by second differences of the loss alone."""
    k, m = w1.shape
    at = np.concatenate([w1.ravel(), w2.ravel()])
    reach = 1e-4

    def value(v):
        return loss.value(v[: k * m].reshape(k, m), v[k * m:].reshape(m, k), c)

    size = len(at)
    hessian = np.empty((size, size))
    unit = reach * np.eye(size)
    for i in range(size):
        for j in range(i + 1):
            corners = value(at + unit[i] + unit[j]) - value(at + unit[i] - unit[j])
            corners += value(at - unit[i] - unit[j]) - value(at - unit[i] + unit[j])
            hessian[i, j] = hessian[j, i] = corners / (4 * reach * reach)
    values = np.linalg.eigvalsh(hessian)
    return int(np.sum(values < -1e-5 * np.abs(values).max()))
