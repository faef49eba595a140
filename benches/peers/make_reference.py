"""Makes tests/data/fashion-sample.reference.parquet: numpy's answer for the sample, in float64.

Principal components by `eigh` of the covariance: centred, unscaled, divisor n. Needs numpy and
pyarrow. `--check` compares with the file that is kept, and writes nothing.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

K = 10
DATA = Path(__file__).resolve().parents[2] / "tests" / "data"
SAMPLE = DATA / "fashion-sample.parquet"
REFERENCE = DATA / "fashion-sample.reference.parquet"


def batch_pca(rows, k):
    """Eigenvalues (k) and unit vectors (k×m), descending; the largest entry is positive."""
    centred = rows - rows.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(rows))
    values, vectors = values[::-1][:k], vectors[:, ::-1][:, :k].T
    largest = np.argmax(np.abs(vectors), axis=1)
    return values, vectors * np.sign(vectors[np.arange(k), largest])[:, None]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    pixels = pq.read_table(SAMPLE, columns=["pixels"])["pixels"].to_pylist()
    values, vectors = batch_pca(np.array([list(row) for row in pixels], dtype=np.float64), K)
    if check:
        kept = pq.read_table(REFERENCE)
        moved = np.max(np.abs(kept["eigenvalue"].to_numpy() / values - 1))
        apart = np.max(np.abs(np.array(kept["vector"].to_pylist()) - vectors))
        print(f"eigenvalues {moved:.1e}, vectors {apart:.1e} apart")
        # Round-off of eigh: 2e-16 · 784 · λ₁ over the smallest gap between two of the eleven.
        sys.exit(0 if moved < 1e-11 and apart < 1e-9 else 1)
    table = pa.table(
        {
            "component": pa.array(np.arange(1, K + 1, dtype=np.int32)),
            "eigenvalue": values,
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1]),
        }
    )
    pq.write_table(table, REFERENCE, compression="zstd")


if __name__ == "__main__":
    main()
