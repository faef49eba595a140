#!/usr/bin/env python3
"""Measures scoring over HTTP beside the bare product, and beside learning.

    python3 benches/scoring.py throughput --ojad target/release/ojad
    python3 benches/scoring.py beside     --ojad target/release/ojad

`throughput` posts f32 rows as Arrow IPC to /api/v1/transform, with one client and with four, and in turn
takes the mean off the same rows, multiplies them by the components and makes the residual with numpy on
one BLAS thread, in f32 and in f64; it prints rows/s and the medians of the ratios of each round. `beside`
learns a feed made by `ojad synth` alone and with 32 clients that score without a pause, in turn, at nice 0
and at nice 19 (the clients' own work is no part of the daemon's), and prints the learner's rows/s, their
ratio, the clients' share of the processor and the p99 of GET /api/v1/status. Needs numpy and pyarrow.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import argparse, http.client, json, pathlib, re, resource, shutil, signal, statistics, subprocess, sys
import tempfile, threading, time
from multiprocessing import get_context

import numpy as np
import pyarrow as pa

parser = argparse.ArgumentParser()
parser.add_argument("what", choices=["throughput", "beside"])
parser.add_argument("--ojad", default="target/release/ojad")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--features", type=int, default=784)
parser.add_argument("--components", type=int, nargs="+", default=[10, 50])
parser.add_argument("--body-rows", type=int, default=4096)
parser.add_argument("--seconds", type=float, default=3)
parser.add_argument("--rows", type=int, default=1_500_000)
parser.add_argument("--clients", type=int, default=32)
KIND = "application/vnd.apache.arrow.stream"


class Daemon:
    """A daemon over a feed of its own."""

    def __init__(self, args, root, components, feed):
        self.root = root
        root.mkdir()
        config = root / "ojad.toml"
        config.write_text(
            f'[source]\ninputs = ["{feed}"]\n[learner]\ncomponents = {components}\n'
            f'[state]\ndir = "{root}/state"\n[output]\ndir = "{root}/model"\n'
            f'[http]\nlisten = "127.0.0.1:0"\nrequests_per_s = 1000000\n'
        )
        self.log = root / "log"
        command = [args.ojad, "run", "--config", str(config)]
        self.process = subprocess.Popen(command, stderr=open(self.log, "w"), stdout=subprocess.DEVNULL)
        self.port = self.wait(lambda: re.search(r"address=127.0.0.1:(\d+)", self.log.read_text()))[1]

    def wait(self, look, deadline=300):
        until = time.monotonic() + deadline
        while time.monotonic() < until:
            found = look()
            if found:
                return found
            time.sleep(0.01)
        raise SystemExit(f"waited in vain: {self.log.read_text()[-500:]}")

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", int(self.port), timeout=60)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return json.loads(body) if answer.status == 200 else None

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def synth(args, path, rows, components):
    subprocess.run(
        [args.ojad, "synth", "--rows", str(rows), "--features", str(args.features), "--components",
         str(min(components, 10)), "--noise-pool", "--rows-per-file", "250000", "--output", str(path)],
        check=True, stderr=subprocess.DEVNULL,
    )


def body_of(x, name):
    column = pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), x.shape[1])
    sink = pa.BufferOutputStream()
    batch = pa.record_batch([column], names=[name])
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def client(port, body, seconds, nice, to):
    """Posts one after the other over one connection; says how many were answered, refused, and its CPU."""
    os.nice(nice)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    done = refused = 0
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        try:
            connection.request("POST", "/api/v1/transform", body, {"Content-Type": KIND})
            answer = connection.getresponse()
            while answer.readinto(buffer):
                pass
            done += answer.status == 200
            refused += answer.status != 200
            if answer.status == 429:
                time.sleep(float(answer.headers["Retry-After"]))
        except OSError:
            connection.close()
            refused += 1
    used = resource.getrusage(resource.RUSAGE_SELF)
    to.put((done, refused, used.ru_utime + used.ru_stime, time.monotonic() - begun))


buffer = bytearray(1 << 20)


def clients(port, body, count, seconds, nice=0):
    context = get_context("fork")
    to = context.Queue()
    all = [context.Process(target=client, args=(port, body, seconds, nice, to)) for _ in range(count)]
    for one in all:
        one.start()
    return all, to


def product(x, mean, v, seconds):
    """Rows a second of the bare product: scores and residual, in blocks as large as the cache likes."""
    done, begun = 0, time.monotonic()
    while time.monotonic() - begun < seconds:
        for at in range(0, len(x), 512):
            z = x[at:at + 512] - mean
            s = z @ v
            z -= s @ v.T
            np.einsum("ij,ij->i", z, z)
            done += len(z)
    return done / (time.monotonic() - begun)


def throughput(args, root):
    for k in args.components:
        feed = root / f"feed{k}"
        synth(args, feed, 50_000, k)
        daemon = Daemon(args, root / f"run{k}", k, feed)
        daemon.wait(lambda: (daemon.get("/api/v1/status") or {}).get("rows_read") == 50_000)
        time.sleep(2)
        shown = daemon.get("/api/v1/components")
        name = shown["features"][0].rsplit(".", 1)[0]
        v = np.array([c["vector"] for c in shown["components"]]).T
        x = np.random.default_rng(0).normal(size=(args.body_rows, args.features)).astype("f4")
        body = body_of(x, name)
        rates = {"numpy f32": [], "numpy f64": [], "1 client": [], "4 clients": []}
        for _ in range(args.rounds):
            for of, kind in [("numpy f32", "f4"), ("numpy f64", "f8")]:
                y, w = x.astype(kind), np.ascontiguousarray(v.astype(kind))
                rates[of].append(product(y, np.zeros(x.shape[1], kind), w, args.seconds))
            for of, count in [("1 client", 1), ("4 clients", 4)]:
                all, to = clients(int(daemon.port), body, count, args.seconds)
                told = [to.get() for _ in all]
                [one.join() for one in all]
                assert not any(one[1] for one in told), told
                rates[of].append(sum(one[0] * len(x) / one[3] for one in told))
        daemon.end()
        for of, rate in rates.items():
            ratios = [
                f"{statistics.median(a / b for a, b in zip(rate, rates[base])):.2f} x {base}"
                for base in ["numpy f32", "numpy f64"]
            ]
            print(f"k={k:<3} {of:10} {statistics.median(rate):>10,.0f} rows/s  {', '.join(ratios)}", flush=True)


def learn(args, root, feed, body, count, nice):
    """Learns the feed once; rows/s, p99 of the status in ms, what the clients did."""
    daemon = Daemon(args, root, 10, feed)
    daemon.wait(lambda: daemon.get("/api/v1/components") is not None)
    all, to = clients(int(daemon.port), body, count, args.seconds, nice) if count else ([], None)
    start, begun = daemon.get("/api/v1/status")["rows_read"], time.monotonic()
    taken, rows = [], start
    while rows < args.rows and (not all or time.monotonic() - begun < args.seconds - 0.5):
        at = time.monotonic()
        rows = daemon.get("/api/v1/status")["rows_read"]
        taken.append(time.monotonic() - at)
        if not all and time.monotonic() - begun > args.seconds - 0.5:
            break
        time.sleep(0.02)
    rate = (rows - start) / (time.monotonic() - begun)
    told = [to.get() for _ in all]
    [one.join() for one in all]
    daemon.end()
    shutil.rmtree(root)
    if rows >= args.rows:
        print("the feed is too short: raise --rows", file=sys.stderr)
    return rate, 1e3 * np.percentile(taken, 99), told


def beside(args, root):
    feed = root / "feed"
    synth(args, feed, args.rows, 10)
    name = pa.parquet.read_schema(next(feed.glob("part*"))).names[0]
    x = np.random.default_rng(0).normal(size=(512, args.features)).astype("f4")
    body = body_of(x, name)
    found = {"alone": [], "clients at nice 0": [], "clients at nice 19": []}
    p99 = {name: [] for name in found}
    shares, scored = {name: [] for name in found}, {name: [] for name in found}
    for round in range(args.rounds):
        for i, name in enumerate(found):
            count, nice = (0 if i == 0 else args.clients), (19 if i == 2 else 0)
            rate, slow, told = learn(args, root / f"run{round}-{i}", feed, body, count, nice)
            found[name].append(rate)
            p99[name].append(slow)
            shares[name].append(sum(one[2] for one in told) / args.seconds)
            scored[name].append(sum(one[0] for one in told) * len(x) / args.seconds)
    for name, rates in found.items():
        ratio = statistics.median(a / b for a, b in zip(rates, found["alone"]))
        print(
            f"{name:18} {statistics.median(rates):>9,.0f} rows/s learned, {ratio:.3f} x alone; "
            f"{statistics.median(scored[name]):>9,.0f} rows/s scored; clients use "
            f"{100 * statistics.median(shares[name]):.0f} % of a core; status p99 {statistics.median(p99[name]):.1f} ms",
            flush=True,
        )


if __name__ == "__main__":
    import pyarrow.parquet

    args = parser.parse_args()
    root = pathlib.Path(tempfile.mkdtemp(prefix="ojad-scoring-"))
    try:
        {"throughput": throughput, "beside": beside}[args.what](args, root)
    finally:
        shutil.rmtree(root, ignore_errors=True)
