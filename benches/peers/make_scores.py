#!/usr/bin/env python3
"""Prints the values that `tests/it/scoring.rs` expects, by scipy: log-densities by the dense covariance
of the model (`multivariate_normal`), p-values by `chi2.sf`. Needs numpy and scipy."""

import numpy as np
from scipy.stats import chi2, multivariate_normal

v = np.array([[2, 2, 1], [-2, 1, 2]]) / 3
mean, scale = np.array([1.0, -2.0, 10.0]), np.array([1.0, 2.0, 0.5])
values, total, q = np.array([5.0, 2.0]), 7.5, 1
noise = (total - values[:q].sum()) / (3 - q)
u = v[:q].T
c = u @ np.diag(values[:q] - noise) @ u.T + noise * np.eye(3)
for x in [[1, -2, 10], [3.5, 1, 9], [100, -50, 0.5], [1.25, np.nan, 11]]:
    z = np.nan_to_num((np.array(x) - mean) / scale)
    s = v @ z
    d2 = z @ np.linalg.solve(c, z)
    print(x, s.tolist(), [np.sum((z - v.T @ s) ** 2), np.sum(s**2 / values),
          multivariate_normal(np.zeros(3), c).logpdf(z), chi2.sf(d2, 3)])
for m, x in [(1, 3.0), (1, 1200.0), (2, 6.0), (3, 0.03), (12, 36.0), (12, 1000.0), (29, 43.5), (31, 500.0),
             (100, 50.0), (100, 300.0), (784, 700.0), (784, 1176.0), (784, 2352.0), (785, 2355.0), (784, 3000.0),
             (20000, 20000.0), (20000, 21000.0), (20000, 26000.0), (400001, 402000.0)]:
    try:
        from mpmath import mp, mpf, gammainc
        mp.dps = 40
        tail = float(gammainc(mpf(m) / 2, mpf(x) / 2, mp.inf, regularized=True)) if m < 1e5 else chi2.sf(x, m)
    except ImportError:
        tail = chi2.sf(x, m)
    print(f"    ({m}, {x!r}, {float(tail)!r}), // scipy {chi2.sf(x, m) / tail - 1:.1e}")
