"""The contenders: `ojad fit` and `ojad merge` as processes, scikit-learn's IncrementalPCA here.

Rows go to ojad as a Parquet file of the width that they have (float32 or float64), one column a
feature or one FixedSizeList; what comes back is read from DIR/latest/components.parquet.
"""

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.decomposition import IncrementalPCA

# More columns than this are written as one list column.
COLUMNS_MAX = 1024


@dataclass
class Fit:
    """Components (k×m), eigenvalues (k, divisor n) and the seconds it took."""

    components: np.ndarray
    eigenvalues: np.ndarray
    seconds: float


def held(k, m):
    """r = k + p directions, p = max(10, k): ojad's default memory, and so IncrementalPCA's."""
    return min(k + max(10, k), m)


def write_rows(path, rows):
    """A snappy Parquet file of the rows."""
    n, m = rows.shape
    if m > COLUMNS_MAX:
        values = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), m)
        table = pa.table({"x": values})
    else:
        names = [f"x{j:04}" for j in range(m)]
        table = pa.table([pa.array(np.ascontiguousarray(rows[:, j])) for j in range(m)], names)
    pq.write_table(table, path, compression="snappy", use_dictionary=False)


class Ojad:
    """The binary."""

    def __init__(self, path):
        self.path = Path(path)

    def run(self, *arguments):
        """Runs a command; its message becomes the exception's."""
        done = subprocess.run(
            [self.path, *map(str, arguments)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"ojad {' '.join(map(str, arguments))}: {done.stderr.strip()}")

    def fit(self, path, k, output, *flags):
        """One pass over a file."""
        start = time.perf_counter()
        self.run("fit", path, "--components", k, "--output", output, *flags)
        return read_snapshot(output, time.perf_counter() - start)

    def merge(self, snapshots, k, output):
        """One model of many."""
        start = time.perf_counter()
        self.run("merge", *snapshots, "--components", k, "--output", output)
        return read_snapshot(output, time.perf_counter() - start)


def read_snapshot(output, seconds):
    """The components of DIR/latest."""
    table = pq.read_table(Path(output) / "latest" / "components.parquet")
    vectors = table["vector"].combine_chunks()
    components = vectors.flatten().to_numpy().reshape(len(table), -1)
    return Fit(components, table["eigenvalue"].to_numpy(), seconds)


def incremental_pca(rows, k, minibatch):
    """IncrementalPCA(k + p) over the same minibatches, its first k components.

    A last minibatch of fewer rows than components is refused only as the first one, so nothing is
    left out. The divisor becomes n.
    """
    n, m = rows.shape
    model = IncrementalPCA(n_components=min(held(k, m), n))
    start = time.perf_counter()
    for at in range(0, n, minibatch):
        model.partial_fit(rows[at : at + minibatch])
    seconds = time.perf_counter() - start
    return Fit(model.components_[:k], model.singular_values_[:k] ** 2 / n, seconds)
