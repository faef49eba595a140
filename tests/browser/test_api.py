"""The API against its own description, numpy, scikit-learn and a Prometheus reader."""

import io
import os
import pathlib
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from prometheus_client.openmetrics import parser

from conftest import FASHION, SENSOR_KEYS, sensors, wait_for

TOKEN = "0123456789abcdef0123456789abcdef"
# Requests made up for each operation; more take longer than the tests have.
EXAMPLES = 25


def test_every_answer_is_one_that_is_described(start, tmp_path):
    """schemathesis makes requests up, good and bad: no 5xx, nothing that is not described."""
    keys = 'http.control = "token"\nhttp.requests_per_s = 100000\nhttp.body_mib = 1\n'
    daemon = start(SENSOR_KEYS + keys, TOKEN, ["push:"])
    daemon.give("a", sensors(3000, 1))
    daemon.wait_for_rows(3000)
    daemon.snapshot_is_there()
    checks = [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "unsupported_method",
        "ignored_auth",
    ]
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{daemon.url}/openapi.json"),
        *("-H", f"Authorization: Bearer {TOKEN}"),
        *("--checks", ",".join(checks)),
        *("--phases", "examples,coverage,fuzzing"),
        *("--max-examples", str(EXAMPLES), "--seed", "1", "--generation-database", "none"),
        # A stream of events has no end that this client could wait for: test_page.py reads it.
        *("--exclude-operation-id", "events"),
        *("--request-timeout", "30", "--suppress-health-check", "all", "--continue-on-failure"),
    ]
    here = pathlib.Path(__file__).parent
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "arrow_bodies", "PYTHONPATH": str(here)}
    options = {"cwd": tmp_path, "capture_output": True, "text": True, "check": False}
    done = subprocess.run(command, env=environment, **options)
    print(done.stdout[-6000:])
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    assert "panicked" not in daemon.said()
    # What was asked in between has not stopped it.
    before = daemon.json("/api/v1/status")["rows_read"]
    daemon.give("b", sensors(3000, 2))
    wait_for(lambda: daemon.json("/api/v1/status")["rows_read"] >= before + 3000)


def test_what_is_shown_is_what_numpy_finds(start):
    """Eigenvalues and directions of real rows against batch PCA by numpy."""
    daemon = start('features.ids = ["id", "label"]\nlearner.components = 5\nlearner.minibatch = 100\n')
    table = pq.read_table(FASHION)
    daemon.give("fashion", table)
    daemon.wait_for_rows(table.num_rows)
    shown = daemon.json("/api/v1/components")
    pixels = np.stack(table["pixels"].to_numpy()).astype("float64")
    assert shown["rows"] == len(pixels)
    centred = pixels - pixels.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(pixels))
    values, vectors = values[::-1], vectors[:, ::-1]
    for i, component in enumerate(shown["components"]):
        # One pass over 30 minibatches: within a fifth of what the rows themselves leave open.
        assert abs(component["eigenvalue"] - values[i]) < 0.2 * component["eigenvalue_stderr"]
        assert abs(component["explained_variance_ratio"] - values[i] / values.sum()) < 1e-3
    found = np.array([component["vector"] for component in shown["components"]])
    cosines = np.linalg.svd(found @ vectors[:, :5])[1]
    assert np.mean(1 - cosines**2) < 1e-3
    features = daemon.json("/api/v1/features")["features"]
    means = np.array([feature["mean"] for feature in features])
    np.testing.assert_allclose(means, pixels.mean(axis=0), rtol=1e-6, atol=1e-6)
    variances = np.array([feature["variance"] for feature in features])
    np.testing.assert_allclose(variances, pixels.var(axis=0), rtol=1e-6, atol=1e-6)


def test_a_prometheus_reader_reads_the_metrics(daemon):
    """The reader that Prometheus' own Python client has; strict about types and names."""
    wait_for(lambda: daemon.json("/api/v1/status")["snapshot_unix_s"])
    answer = daemon.get("/metrics")
    families = {family.name: family for family in parser.text_string_to_metric_families(answer.text)}
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families.values()
        for sample in family.samples
    }
    status = daemon.json("/api/v1/status")
    assert samples["ojad_rows_total", ()] == status["rows_read"] == 6000
    assert samples["ojad_ready", ()] == 1
    assert samples["ojad_rows_rejected_total", (("reason", "null"),)] == 0
    assert families["ojad_minibatch_update_seconds"].type == "histogram"
    assert samples["ojad_minibatch_update_seconds_count", ()] > 0
    for component in daemon.json("/api/v1/components?vectors=none")["components"]:
        label = (("component", str(component["component"])),)
        ratio = samples["ojad_explained_variance_ratio", label]
        assert abs(ratio - component["explained_variance_ratio"]) < 1e-12
    assert ("ojad_source_lag_bytes", ()) in samples
    assert samples["ojad_snapshot_last_success_timestamp_seconds", ()] == status["snapshot_unix_s"]


def test_a_snapshot_is_one_table_in_every_format(daemon):
    """Arrow by pyarrow and Parquet by pyarrow are the same table, and that on the disk."""
    identifier = daemon.snapshot_is_there()[0]["id"]
    for name in ("components", "features"):
        path = f"/api/v1/snapshots/{identifier}?table={name}"
        arrow = daemon.get(path, headers={"Accept": "application/vnd.apache.arrow.stream"})
        parquet = daemon.get(path, headers={"Accept": "application/vnd.apache.parquet"})
        one = pa.ipc.open_stream(arrow.content).read_all()
        other = pq.read_table(io.BytesIO(parquet.content))
        assert one.equals(other.cast(one.schema))
        assert other.equals(pq.read_table(daemon.model / identifier / f"{name}.parquet"))
