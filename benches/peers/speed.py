"""Speed of `ojad fit` end to end, beside scikit-learn's IncrementalPCA on the same Parquet file.

  ojad       wall time of the whole process over the whole file: start, decode, learn, snapshot
  IPCA       IncrementalPCA(20).partial_fit over pyarrow batches of the file, decode included, at
             the fastest of several minibatches; it stops after a few seconds and a whole minibatch,
             so its rows/s are of a part of the file. Every minibatch costs it the same, but for the
             first, which costs less: that favours it.
  in memory  PCA(10) on the file read into one array, read included; for information only

Both contenders get the same directions (k = 10, r = 20). They run in turns, and medians count; a
ratio is ours ÷ IncrementalPCA's rows a second. `threads` is what each may use: `all`, the defaults
of both; `1`, ojad --threads 1 and one BLAS and one decoding thread; `best`, ojad's default against
the peer at the faster of the two. Only `best` is judged: on small matrices or a busy machine BLAS
on all threads can be ten times slower than on one, and beating that would show nothing.
Exit code 1 if a bound is missed.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.decomposition import PCA, IncrementalPCA
from threadpoolctl import threadpool_limits

from contenders import Ojad, held

K = 10
# Rows decoded at once for the peers: more is no faster, and small minibatches are cut from them.
DECODE_ROWS = 4096
ROW_GROUP_ROWS = 16_384
# A peer stops at the first whole minibatch after this.
PEER_SECONDS = 4.0
SEARCH_SECONDS = 1.5
# A covariance of more features than this takes PCA hours.
COVARIANCE_FEATURES_MAX = 4_000


@dataclass
class Layout:
    """A file to make, and how many times faster than the peer it must be read and learned."""

    name: str
    n: int
    m: int
    dtype: type
    as_list: bool
    bound: float
    minibatches: tuple


LAYOUTS = [
    Layout("784 f32 columns", 200_000, 784, np.float32, False, 30, (30, 60, 256, 1024, 4096)),
    Layout("784 f32 list", 200_000, 784, np.float32, True, 30, (30, 60, 256, 1024, 4096)),
    Layout("100 f64 columns", 1_000_000, 100, np.float64, False, 10, (60, 1024, 4096, 16_384)),
    Layout("20000 f32 list", 12_000, 20_000, np.float32, True, 10, (30, 60, 256, 1024, 2048)),
]


@dataclass
class Line:
    """Rows a second of both on one file, medians."""

    file: str
    threads: str
    ours: float
    ipca: float
    ipca_minibatch: int
    ratio: float
    bound: float
    verdict: str


def write_file(layout, path):
    """Ten components over noise, snappy, without dictionaries; bounded memory."""
    rng = np.random.default_rng(1)
    m = layout.m
    basis = np.linalg.qr(rng.standard_normal((m, K)))[0].T * np.sqrt(np.linspace(19, 3, K))[:, None]
    # The noise repeats every row group: nothing here is measured by its content.
    size = min(ROW_GROUP_ROWS, layout.n, (1 << 26) // m)
    noise = rng.standard_normal((size, m))
    writer = None
    for at in range(0, layout.n, size):
        count = min(size, layout.n - at)
        rows = (noise[:count] + rng.standard_normal((count, K)) @ basis).astype(layout.dtype)
        table = to_table(rows, layout.as_list)
        if writer is None:
            writer = pq.ParquetWriter(
                path, table.schema, compression="snappy", use_dictionary=False
            )
        writer.write_table(table)
    writer.close()


def to_table(rows, as_list):
    """One list column, or a column a feature."""
    if as_list:
        return pa.table({"x": pa.FixedSizeListArray.from_arrays(rows.ravel(), rows.shape[1])})
    columns = np.ascontiguousarray(rows.T)
    return pa.table(list(columns), [f"x{j:04}" for j in range(len(columns))])


def to_rows(batch):
    """A record batch as an n×m array of its own type."""
    if pa.types.is_fixed_size_list(batch.schema.field(0).type):
        return batch.column(0).flatten().to_numpy().reshape(batch.num_rows, -1)
    return batch.to_tensor(row_major=True).to_numpy()


def minibatches(path, size, use_threads):
    """Arrays of `size` rows (the last one of a decoded batch may be smaller), decoded as needed."""
    decode = size * max(1, DECODE_ROWS // size)
    for batch in pq.ParquetFile(path).iter_batches(decode, use_threads=use_threads):
        rows = to_rows(batch)
        for at in range(0, len(rows), size):
            yield rows[at : at + size]


def incremental_rate(layout, path, size, use_threads, seconds):
    """Rows a second of decode and partial_fit, over at least `seconds` or the whole file."""
    model = IncrementalPCA(n_components=held(K, layout.m))
    done, start = 0, time.perf_counter()
    for rows in minibatches(path, size, use_threads):
        if len(rows) < model.n_components:
            continue
        model.partial_fit(rows)
        done += len(rows)
        if time.perf_counter() - start > seconds:
            break
    return done / (time.perf_counter() - start)


def ours_rate(ojad, layout, path, directory, flags):
    """Rows a second of the whole process."""
    return layout.n / ojad.fit(path, K, directory / "model", *flags).seconds


def compare(ojad, layout, path, directory, threads, repeats):
    """The fastest minibatch for the peer, then both in turns."""
    alone = threads == "1"
    flags = ("--threads", 1) if alone else ()
    with threadpool_limits(1 if alone else None):
        best = max(
            layout.minibatches,
            key=lambda size: incremental_rate(layout, path, size, not alone, SEARCH_SECONDS),
        )
        ours, theirs = [], []
        for _ in range(repeats):
            ours.append(ours_rate(ojad, layout, path, directory, flags))
            theirs.append(incremental_rate(layout, path, best, not alone, PEER_SECONDS))
    rates = statistics.median(ours), statistics.median(theirs)
    ratio = rates[0] / rates[1]
    return Line(layout.name, threads, *rates, best, ratio, layout.bound, "info")


def against_best(all_threads, one_thread):
    """ojad's default against the peer's faster number of threads."""
    peer = max(all_threads, one_thread, key=lambda line: line.ipca)
    ratio = all_threads.ours / peer.ipca
    verdict = "PASS" if ratio >= peer.bound else "FAIL"
    changes = {"threads": "best", "ours": all_threads.ours, "ratio": ratio, "verdict": verdict}
    return replace(peer, **changes)


def in_memory_rate(layout, path, solver):
    """Rows a second of reading the file into one array and batch PCA; None if it takes hours."""
    if solver == "covariance_eigh" and layout.m > COVARIANCE_FEATURES_MAX:
        return None
    start = time.perf_counter()
    rows = np.empty((layout.n, layout.m), layout.dtype)
    at = 0
    for batch in minibatches(path, DECODE_ROWS, True):
        rows[at : at + len(batch)] = batch
        at += len(batch)
    PCA(n_components=K, svd_solver=solver, random_state=0).fit(rows)
    return layout.n / (time.perf_counter() - start)


def run_layout(ojad, layout, repeats):
    """Both tables' lines for one file, which is removed again."""
    with tempfile.TemporaryDirectory(prefix="ojad-speed-") as name:
        directory = Path(name)
        path = directory / "rows.parquet"
        write_file(layout, path)
        ours_rate(ojad, layout, path, directory, ())  # Warms the page cache.
        lines = [compare(ojad, layout, path, directory, t, repeats) for t in ("all", "1")]
        lines.append(against_best(*lines))
        batch = {s: in_memory_rate(layout, path, s) for s in ("covariance_eigh", "randomized")}
    return lines, {"file": layout.name, "ours": lines[0].ours, **batch}


def print_tables(lines, batches):
    """Thousand rows a second."""
    print("thousand rows/s     threads    ojad    IPCA (at b)    ratio  bound  verdict")
    for x in lines:
        print(
            f"{x.file:<20}{x.threads:>7}{x.ours / 1e3:>8.1f}{x.ipca / 1e3:>8.2f} "
            f"({x.ipca_minibatch:>4}){x.ratio:>9.1f}{x.bound:>7}  {x.verdict}"
        )
    print("\nin memory, thousand rows/s    ojad   covariance_eigh   randomized")
    for x in batches:
        rates = (x["ours"], x["covariance_eigh"], x["randomized"])
        cells = ["-" if rate is None else f"{rate / 1e3:.1f}" for rate in rates]
        print(f"{x['file']:<25}{cells[0]:>9}{cells[1]:>18}{cells[2]:>13}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ojad", type=Path, default=Path("target/release/ojad"))
    parser.add_argument("--only", metavar="TEXT", default="", help="files whose name has this")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="for machines")
    args = parser.parse_args()
    lines, batches = [], []
    for layout in (x for x in LAYOUTS if args.only in x.name):
        more, batch = run_layout(Ojad(args.ojad), layout, args.repeats)
        lines += more
        batches.append(batch)
        print(f"{layout.name}: done", file=sys.stderr)
    if args.json:
        print(json.dumps({"lines": [asdict(x) for x in lines], "in_memory": batches}, indent=1))
    else:
        print_tables(lines, batches)
    return 1 if any(x.verdict == "FAIL" for x in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
