"""Rows that are not as the theorems like them: gaps, one feature, directions in which nothing varies."""

import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from test_agreement import OJAD, ojad


def give(path, rows):
    pq.write_table(pa.table({f"x{j}": rows[:, j] for j in range(rows.shape[1])}), path)
    return path


def test_gaps_end_a_run_or_are_filled_as_in_every_other_command(tmp_path):
    rows = np.random.default_rng(0).normal(size=(50, 4))
    rows[3, 2] = np.nan
    path = give(tmp_path / "gaps.parquet", rows)
    refused = subprocess.run([OJAD, "lab", "train", "svd", path], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "gaps.parquet: row 3" in refused.stderr and "x2" in refused.stderr
    filled = np.where(np.isnan(rows), np.nanmean(rows, axis=0), rows)
    kept = np.delete(rows, 3, axis=0)
    for policy, expected in (("mean", filled), ("skip", kept)):
        said = ojad("lab", "train", "svd", path, "--on-nan", policy, "--lambda", "1")
        values = np.linalg.svd(expected - expected.mean(axis=0), compute_uv=False)[:2] ** 2
        told = [float(line.split()[2]) for line in said.splitlines() if line.split()[0] in ("1", "2")]
        assert told == pytest.approx(values, rel=1e-6)


def test_one_feature_has_one_component(tmp_path):
    path = give(tmp_path / "one.parquet", np.random.default_rng(1).normal(size=(30, 1)))
    assert ojad("lab", "train", "untied-exact", path).startswith("converged")
    assert "SVD" in ojad("lab", "compare", path, "--iterations", 100)


@pytest.mark.parametrize("shape", [(60, 5), (5, 30)])
def test_the_experiments_are_on_the_directions_that_vary(tmp_path, shape):
    """Two features that are sums of others; fewer rows than features."""
    rows = np.random.default_rng(2).normal(size=shape)
    if shape[0] > shape[1]:
        rows[:, 4] = rows[:, 0] + rows[:, 1]
        rows[:, 3] = rows[:, 2] - rows[:, 1]
    path = give(tmp_path / "rows.parquet", rows)
    said = ojad("lab", "figures", path, "-k", 2, "--only", "landscape", "--only", "shrinkage", "--output", tmp_path)
    assert said.count("  agrees") == 2
