#!/usr/bin/env python3
"""What a daemon's bookkeeping costs: many known files in one directory.

For each number of files, and for each program beside the others: one-row Parquet files learned a
second from an empty state, and their CPU time; the time from the start of a daemon that knows all of
them to the log's word that a new one was taken, and the CPU time of that; then, with a checkpoint a
second, one new file a second: the time from its rename to the log's word, the daemon's and its worker's
share of a core, and the bytes that a checkpoint writes.

    python3 benches/files.py --ojad target/release/ojad --files 1000 50000 1000000
    python3 benches/files.py --ojad target/release/ojad --ojad ../before/ojad --files 50000

Needs numpy and pyarrow. With `--keep DIR` the files and what was learned of them stay there and are
used again: a million of them take minutes to make and to learn.
"""

import argparse, io, json, os, pathlib, shutil, signal, statistics, subprocess, tempfile, time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FEATURES = 4

parser = argparse.ArgumentParser()
parser.add_argument("--ojad", action="append", help="a program; more than one are set side by side")
parser.add_argument("--files", type=int, nargs="+", default=[1_000, 50_000])
parser.add_argument("--seconds", type=int, default=30, help="how long one new file a second comes")
parser.add_argument("--keep", type=pathlib.Path, help="where files and states stay")
args = parser.parse_args()
programs = args.ojad or ["target/release/ojad"]
root = args.keep or pathlib.Path(tempfile.mkdtemp(prefix="ojad-files-"))
root.mkdir(parents=True, exist_ok=True)


class Template:
    """One small file; others differ from it in the bytes of their values."""

    def __init__(self):
        marks = np.array([1.25e30, 1.5e30, 1.75e30, 1.875e30], "<f4")
        table = pa.table({f"s{j:02d}": marks[j : j + 1] for j in range(FEATURES)})
        to = io.BytesIO()
        options = dict(compression=None, use_dictionary=False, write_statistics=False)
        pq.write_table(table, to, **options)
        self.bytes = bytearray(to.getvalue())
        marks = [marks[j : j + 1].tobytes() for j in range(FEATURES)]
        assert all(self.bytes.count(mark) == 1 for mark in marks), "a value's bytes stand twice"
        self.places = [self.bytes.index(mark) for mark in marks]

    def of(self, values):
        for at, value in zip(self.places, values):
            self.bytes[at : at + 4] = value.tobytes()
        return self.bytes


template = Template()


def rows(count, seed):
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(7).normal(size=(3, FEATURES)) * [[8.0], [4.0], [2.0]]
    noise = random.normal(size=(count, FEATURES)) + np.arange(FEATURES)
    return (random.normal(size=(count, 3)) @ mixing + noise).astype("<f4")


def make(feed, count):
    """A directory with so many files."""
    done = feed.with_suffix(".made")
    if done.exists():
        return
    feed.mkdir(exist_ok=True)
    folder = os.open(feed, os.O_RDONLY)
    for start in range(0, count, 10_000):
        for i, values in enumerate(rows(min(10_000, count - start), start), start):
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            file = os.open(f"sensor-{i:07d}.parquet", flags, 0o644, dir_fd=folder)
            os.write(file, template.of(values))
            os.close(file)
    os.close(folder)
    done.touch()


def config(place, feed, checkpoint_s):
    path = place / "ojad.toml"
    path.write_text(
        f'[source]\ninputs = ["{feed}"]\nrescan_ms = 1000\n[learner]\ncomponents = 3\n'
        f'[state]\ndir = "{place}/state"\ncheckpoint_s = {checkpoint_s}\n'
        f'[output]\ndir = "{place}/model"\nevery_s = 3600\n'
    )
    return path


def start(program, place, feed, checkpoint_s, *more):
    path = config(place, feed, checkpoint_s)
    log = open(place / "log", "wb")
    command = [program, "run", "--config", str(path), *more]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def until_idle(program, place, feed, checkpoint_s=30):
    """Seconds and CPU seconds of a run until nothing is left, and its resident memory in MiB."""
    began = time.monotonic()
    daemon = start(program, place, feed, checkpoint_s, "--until-idle")
    _, status, usage = os.wait4(daemon.pid, 0)
    daemon.returncode = os.waitstatus_to_exitcode(status)
    assert daemon.returncode == 0, (place / "log").read_text()[-2000:]
    cpu = usage.ru_utime + usage.ru_stime
    return time.monotonic() - began, cpu, usage.ru_maxrss / 1024


def family(pid):
    children = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        children += [int(child) for child in (task / "children").read_text().split()]
    return [pid, *children]


def cpu_s(pid):
    """CPU time of a daemon and its worker so far."""
    ticks = 0
    for one in family(pid):
        fields = pathlib.Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Log:
    """What a log says from here on."""

    def __init__(self, path):
        self.file = open(path, "rb")
        self.text = b""

    def wait(self, word, patience_s):
        end = time.monotonic() + patience_s
        while word not in self.text:
            assert time.monotonic() < end, f"{word!r} did not come"
            more = self.file.read()
            self.text += more
            if not more:
                time.sleep(0.0005)


def written(state):
    """Bytes of the newest checkpoint, and of the list of files."""
    newest = max(state.glob("checkpoint-*"), key=lambda path: path.name)
    return newest.stat().st_size, sum(path.stat().st_size for path in state.glob("files-*"))


def steadily(program, place, feed, files):
    """Seconds and CPU seconds to the first new file; one a second: latencies in ms, the share of a core,
    bytes a checkpoint."""
    began = time.monotonic()
    daemon = start(program, place, feed, 1)
    log = Log(place / "log")
    values = rows(args.seconds + 1, files + os.getpid())
    latencies, added = [], []
    try:
        for i in range(args.seconds + 1):
            name = f"new-{os.getpid()}-{i:04d}.parquet"
            path = feed / name
            part = feed / f"{name}.tmp"
            part.write_bytes(template.of(values[i]))
            added.append(path)
            due = time.monotonic()
            part.rename(path)
            log.wait(name.encode() + b" rows=1", 60)
            if i == 0:
                # This one came while the daemon was starting.
                first = time.monotonic() - began, cpu_s(daemon.pid)
                time.sleep(3)
                log.wait(b"checkpoint written", 60)
                spent, began = cpu_s(daemon.pid), time.monotonic()
                log_bytes = written(place / "state")[1]
                continue
            latencies.append(1000 * (time.monotonic() - due))
            time.sleep(max(0, 1 - (time.monotonic() - due)))
        share = (cpu_s(daemon.pid) - spent) / (time.monotonic() - began)
        log.text += log.file.read()
        checkpoints = max(1, log.text.count(b"checkpoint written") - 1)
        checkpoint, after = written(place / "state")
        bytes_each = checkpoint + (after - log_bytes) / checkpoints
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()
        for path in added:
            path.unlink(missing_ok=True)
    return first, latencies, share, bytes_each


def measure(program, number, files):
    feed = root / f"feed-{files}"
    make(feed, files)
    place = root / f"state-{files}-{number}"
    learned = place / "learned.json"
    if not learned.exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        learned.write_text(json.dumps(until_idle(program, place, feed)))
    seconds, cpu, peak = json.loads(learned.read_text())
    # What a run before added is gone: the first run notes it.
    until_idle(program, place, feed)
    (first, first_cpu), latencies, share, checkpoint = steadily(program, place, feed, files)
    latencies.sort()
    p99 = latencies[min(len(latencies) - 1, round(0.99 * len(latencies)))]
    return (
        f"| {files:,} | {program} | {files / seconds:,.0f} | {1e6 * cpu / files:.0f} | {peak:,.0f} | "
        f"{first:.2f} / {first_cpu:.2f} | "
        f"{statistics.median(latencies):.1f} / {p99:.1f} | {100 * share:.1f} % | {checkpoint:,.0f} |"
    )


print(
    "| files | program | learned a second | CPU µs each | peak MiB | start s / CPU s "
    "| latency ms, median / p99 | of a core | bytes a checkpoint |"
)
print("|---|---|---|---|---|---|---|---|---|")
for files in args.files:
    for number, program in enumerate(programs):
        print(measure(program, number, files), flush=True)
if not args.keep:
    shutil.rmtree(root)
