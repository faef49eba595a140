#!/usr/bin/env python3
"""One large direction beside wanted ones: `ojad fit` against float64 batch PCA, up to where nothing
in double precision can tell them.

    python3 benches/ratios.py --ojad target/release/ojad

Rows with wanted eigenvalues of 30 to 10 above noise of 1, and one wild column or one wild row that
makes the top eigenvalue 10⁴ to 10¹⁴ times the last wanted one; m = 5, 50, 300 and 2,000 features;
default settings, `--scale none` and `standard`. (In units of its deviation a wild column is a column
like another: there the ratio is of the rows as they are read.) The judge is numpy's singular value
decomposition of the centred (and scaled) rows in float64, which holds singular values of 10⁻⁷ of the
top to nine digits. Printed are

  top/last   top ÷ last wanted eigenvalue, as the judge has them
  eig err    largest relative error of the wanted eigenvalues that are told
  sin²       mean sin² between their directions and the judge's, and that of the same rows without the
             wild column or row beside it: what one pass costs anyway
  told       components with a direction, of those asked for
  says       `f64` where the state was widened, `warns` where the fit warns of components not told

`--check` ends with code 1 if, up to a ratio of 10¹⁰, an eigenvalue is off by more than 2e-3, or twice what those of the plain rows are off by, or sin² by
more than twice that of the plain rows (five times where units change half-way) and 1e-9, or if an eigenvalue is 0 or a component is not told
without a warning. Needs numpy and pyarrow; six minutes.
"""

import argparse, json, pathlib, subprocess, sys, tempfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

parser = argparse.ArgumentParser()
parser.add_argument("--ojad", default="target/release/ojad")
parser.add_argument("--features", type=int, nargs="+", default=[5, 50, 300, 2000])
parser.add_argument("--ratios", type=float, nargs="+", default=[1e4, 1e6, 1e8, 1e10, 1e12, 1e14])
parser.add_argument("--rows", type=int, default=4000)
parser.add_argument("--scale", nargs="+", default=["none", "standard"])
parser.add_argument("--check", action="store_true")
args = parser.parse_args()

EIGENVALUE_BOUND = 2e-3
SIN2_FACTOR = 2.0
# A wild row changes the units half-way, and the tail of the rows before it is not isotropic in the new ones.
SIN2_FACTOR_UNITS = 5.0
SIN2_FLOOR = 1e-9
PROMISED = 1.5e10


def planted(m, wanted):
    random = np.random.default_rng(m)
    basis, _ = np.linalg.qr(random.standard_normal((m, m)))
    spectrum = np.ones(m)
    spectrum[:wanted] = np.linspace(30, 10, wanted)
    return (random.standard_normal((args.rows, m)) * np.sqrt(spectrum)) @ basis.T


def wild(rows, kind, ratio):
    """The rows with a top eigenvalue about `ratio` times the last wanted one, 10."""
    rows = rows.copy()
    top = 10.0 * ratio
    if kind == "column":
        rows[:, 1] = np.sqrt(top) * np.random.default_rng(1).standard_normal(len(rows))
    elif kind == "row":
        rows[len(rows) // 2] += np.sqrt(top * len(rows) / rows.shape[1])
    return rows


def batch(rows, k, scale):
    y = rows - rows.mean(0)
    if scale == "standard":
        y = y / np.sqrt((y**2).mean(0))
    _, s, v = np.linalg.svd(y, full_matrices=False)
    return s[:k] ** 2 / len(rows), v[:k]


def sin2(a, b):
    residual = a - (a @ b.T) @ b
    return float(np.sum(residual**2) / len(a))


def fit(rows, k, scale, place):
    names = [f"x{j}" for j in range(rows.shape[1])]
    pq.write_table(pa.table(dict(zip(names, rows.T))), place / "rows.parquet")
    command = [args.ojad, "fit", place / "rows.parquet", "-k", str(k), "--scale", scale]
    said = subprocess.run([*command, "--output", place / "model"], capture_output=True, text=True)
    if said.returncode:
        sys.exit(said.stderr)
    command = [args.ojad, "show", place / "model", "--json", "--vectors"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    values = np.array([one["eigenvalue"] for one in found["components"]])
    vectors = np.array([one["vector"] for one in found["components"]])
    warns = any("components_told" in warning for warning in found["warnings"])
    return values, vectors, found["widened_to_f64"], warns


failures = 0
print(f"{'m':>5} {'wild':>7} {'scale':>9} {'top/last':>9} {'eig err':>8} {'sin²':>8} {'plain':>8} told  says")
for m in args.features:
    wanted = 2 if m < 10 else 4
    plain = planted(m, wanted)
    for scale in args.scale:
        with tempfile.TemporaryDirectory() as place:
            truth = batch(plain, wanted, scale)
            found = fit(plain, wanted, scale, pathlib.Path(place))
            bar = sin2(found[1], truth[1])
            most = max(EIGENVALUE_BOUND, 2 * np.max(np.abs(found[0] / truth[0] - 1)))
        for kind in ["column", "row"]:
            # A column's own scale takes its size away: all wanted components are others then.
            skip = 0 if (kind, scale) == ("column", "standard") else 1
            for ratio in args.ratios:
                rows = wild(plain, kind, ratio)
                k = wanted + skip
                values, vectors = batch(rows, k, scale)
                with tempfile.TemporaryDirectory() as place:
                    ours = fit(rows, k, scale, pathlib.Path(place))
                told = int((np.linalg.norm(ours[1], axis=1) > 0.5).sum())
                off = np.max(np.abs(ours[0] / values - 1)[skip:told], initial=0)
                angle = sin2(ours[1][skip:told], vectors[skip:]) if told > skip else 0.0
                last = values[-1] if skip else 10.0
                top = values[0] if skip else rows[:, 1].var()
                says = " ".join(
                    word for word, is_so in (("f64", ours[2]), ("warns", ours[3])) if is_so
                )
                factor = SIN2_FACTOR if scale == "none" else SIN2_FACTOR_UNITS
                is_wrong = top / last < PROMISED and (
                    off > most or angle > factor * bar + SIN2_FLOOR
                )
                is_silent = (told < k or (ours[0] <= 0).any()) and not ours[3]
                verdict = " WRONG" if is_wrong else " SILENT" if is_silent else ""
                failures += bool(verdict)
                print(
                    f"{m:5} {kind:>7} {scale:>9} {top / last:9.1e} {off:8.1e} {angle:8.1e} {bar:8.1e}"
                    f" {told}/{k}   {says}{verdict}",
                    flush=True,
                )
if args.check and failures:
    sys.exit(f"{failures} lines are not right")
