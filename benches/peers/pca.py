"""Batch PCA in float64, the reference of every comparison, and the distances to it.

Letters: n rows, m features, k components. Components are k×m with unit rows, eigenvalues have
divisor n (or the sum of the weights).
"""

import numpy as np


def batch_pca(rows, k, weights=None):
    """The k leading eigenvalues and components (k×m) of the centred, weighted rows, descending.

    By `eigh` of the smaller Gram matrix, m×m or n×n; components of the n×n form are
    re-orthonormalized.
    """
    x = np.array(rows, dtype=np.float64)  # n×m, a copy
    w = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=np.float64)
    x -= (w @ x) / w.sum()
    x *= np.sqrt(w / w.sum())[:, None]
    n, m = x.shape
    if m <= n:
        values, vectors = np.linalg.eigh(x.T @ x)  # m×m
        return values[::-1][:k], vectors[:, ::-1][:, :k].T
    values, left = np.linalg.eigh(x @ x.T)  # n×n
    basis = (x.T @ left[:, ::-1][:, :k]) / np.sqrt(values[::-1][:k])  # m×k
    return values[::-1][:k], orthonormal(basis.T)


def orthonormal(components):
    """The same row space with orthonormal rows."""
    return np.linalg.qr(np.asarray(components, dtype=np.float64).T)[0].T


def mean_sin2(found, reference):
    """Mean sin² of the principal angles between two row spaces of k dimensions each.

    ‖U − (U Vᵀ)V‖²/k, the energy of the residual, has no cancellation: 1 − cos² would lose every
    angle below 1e-8.
    """
    u, v = orthonormal(found), orthonormal(reference)
    residual = u - (u @ v.T) @ v
    return float(np.sum(residual * residual) / len(u))


def eigenvalue_error(found, reference):
    """The largest relative error among the eigenvalues."""
    return float(np.max(np.abs(np.asarray(found) / reference - 1)))


def captured(direction, components):
    """cos² between a unit vector and the row space of the components."""
    return float(np.sum((orthonormal(components) @ direction) ** 2))
