#!/usr/bin/env python3
"""Measures the daemon: what its isolation costs, how fast it sees a file, how it starts with many.

    python3 benches/daemon.py throughput --ojad target/release/ojad
    python3 benches/daemon.py latency    --ojad target/release/ojad --files 10000
    python3 benches/daemon.py start      --ojad target/release/ojad --files 100000

`throughput` reads the same files by `ojad fit` and by `ojad run --until-idle`, each with a worker process
and without one, in turn, and prints the medians and their ratios to `fit` without one. `latency` renames files into a
directory that holds old ones already and prints the time to the line that says that their rows are in
the state, and the processor time of the daemon while nothing happens. `start` learns many files, and
measures a second start. Needs numpy and pyarrow.
"""

import argparse, json, os, pathlib, signal, statistics, subprocess, tempfile, threading, time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

parser = argparse.ArgumentParser()
parser.add_argument("what", choices=["throughput", "latency", "start"])
parser.add_argument("--ojad", default="target/release/ojad")
parser.add_argument("--rounds", type=int, default=7)
parser.add_argument("--rows", type=int, default=150_000)
parser.add_argument("--features", type=int, default=784)
parser.add_argument("--files", type=int, default=None)
parser.add_argument("--kind", choices=["noise", "pixels"], default="noise")
args = parser.parse_args()

root = pathlib.Path(tempfile.mkdtemp(prefix="ojad-daemon-"))
feed = root / "feed"
feed.mkdir()
random = np.random.default_rng(0)


def write(place, rows, features):
    if args.kind == "pixels":
        x = random.integers(0, 256, size=(rows, features), dtype="u1")
    else:
        x = random.normal(size=(rows, features)).astype("f4")
    pq.write_table(pa.table({f"s{j}": x[:, j] for j in range(features)}), f"{place}.tmp")
    os.rename(f"{place}.tmp", place)


def config(name, **source):
    path = root / f"{name}.toml"
    keys = "".join(f"{k} = {json.dumps(v)}\n" for k, v in source.items())
    path.write_text(
        f'[source]\ninputs = ["{feed}"]\n{keys}[learner]\ncomponents = 10\n'
        f'[state]\ndir = "{root}/{name}-state"\n[output]\ndir = "{root}/{name}-model"\n'
        f'[log]\nformat = "json"\n'
    )
    return path


def run(path, *flags):
    return [args.ojad, "run", "--config", str(path), *flags]


def seconds(command):
    start = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - start


def throughput():
    count = args.files or 4
    for i in range(count):
        write(feed / f"{i:08d}.parquet", args.rows, args.features)
    files = [str(p) for p in sorted(feed.iterdir())]
    configs = {name: config(name, isolation=name) for name in ["process", "none"]}
    commands = {name: run(path, "--until-idle", "--reset-state") for name, path in configs.items()}
    commands = {f"run, {name}": command for name, command in commands.items()}
    for name, path in configs.items():
        fit = [args.ojad, "fit", "--config", str(path), "-k", "10"]
        commands[f"fit, {name}"] = [*fit, "--output", str(root / f"fitted-{name}"), *files]
    times = {name: [] for name in commands}
    for _ in range(args.rounds):
        for name, command in commands.items():
            times[name].append(seconds(command))
    for name, of in times.items():
        middle = statistics.median(of)
        ratio = statistics.median(a / b for a, b in zip(of, times["fit, none"]))
        rate = count * args.rows / middle
        print(f"{name:12} {middle:.3f} s, least {min(of):.3f} s  {ratio:.3f} x fit without a worker  {rate:,.0f} rows/s")


class Daemon:
    """A daemon under way, and the lines that it wrote."""

    def __init__(self, path):
        self.lines = []
        self.process = subprocess.Popen(run(path), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stderr:
            self.lines.append((time.monotonic(), line))

    def wait_for(self, text, after=0, deadline=600):
        start = time.monotonic()
        while time.monotonic() - start < deadline:
            for at, line in list(self.lines[after:]):
                if text in line:
                    return at
            time.sleep(0.001)
        raise SystemExit(f"no {text!r}: {self.lines[-3:]}")

    def processor_seconds(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def many(count):
    write(root / "first.parquet", 20, 20)
    data = (root / "first.parquet").read_bytes()
    for i in range(count):
        (feed / f"{i:08d}.parquet").write_bytes(data)


def latency():
    count = args.files or 10_000
    many(count)
    path = config("latency")
    print(f"learn {count:,} files: {seconds(run(path, '--until-idle')):.2f} s")
    daemon = Daemon(path)
    time.sleep(5)
    before, start = daemon.processor_seconds(), time.monotonic()
    time.sleep(20)
    share = (daemon.processor_seconds() - before) / (time.monotonic() - start)
    print(f"idle: {100 * share:.2f} % of a core")
    taken = []
    for i in range(200):
        place = feed / f"z{i:08d}.parquet"
        write(place, 20, 20)
        at = time.monotonic()
        taken.append(daemon.wait_for(place.name.encode(), deadline=30) - at)
        time.sleep(float(random.uniform(0.05, 0.5)))
    daemon.end()
    p50, p99 = np.percentile(taken, [50, 99])
    print(f"rename to state: p50 {1e3 * p50:.0f} ms, p99 {1e3 * p99:.0f} ms, max {1e3 * max(taken):.0f} ms")


def start():
    count = args.files or 100_000
    many(count)
    path = config("start")
    print(f"learn {count:,} files: {seconds(run(path, '--until-idle')):.2f} s")
    print(f"start, look and end: {seconds(run(path, '--until-idle')):.2f} s")
    begun = time.monotonic()
    daemon = Daemon(path)
    place = feed / "z.parquet"
    write(place, 20, 20)
    print(f"start to the rows of a new file: {daemon.wait_for(place.name.encode()) - begun:.2f} s")
    daemon.end()


{"throughput": throughput, "latency": latency, "start": start}[args.what]()
