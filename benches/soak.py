#!/usr/bin/env python3
"""Feeds a daemon that is killed again and again, and counts rows and bits.

A feeder adds Parquet files at a steady rate; the daemon is ended by SIGKILL after 10 to 30 seconds,
at random, and started again. At the end the rows read must be the rows fed, and the state must have
the bits of one run over the same files that nobody disturbed.

    python3 benches/soak.py --ojad target/release/ojad --minutes 20

Needs numpy and pyarrow. Prints rows, kills, the largest resident memory of the daemon and its worker
in the first and the last third, and the verdict.
"""

import argparse, json, os, pathlib, random, signal, subprocess, tempfile, threading, time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

parser = argparse.ArgumentParser()
parser.add_argument("--ojad", default="target/release/ojad")
parser.add_argument("--minutes", type=float, default=20)
parser.add_argument("--rows-per-second", type=int, default=50_000)
parser.add_argument("--features", type=int, default=100)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

root = pathlib.Path(tempfile.mkdtemp(prefix="ojad-soak-"))
feed = root / "feed"
feed.mkdir()
kills = random.Random(args.seed)
end = time.monotonic() + 60 * args.minutes
fed = 0


def config(name):
    path = root / f"{name}.toml"
    path.write_text(
        f'[source]\ninputs = ["{feed}"]\n[learner]\ncomponents = 10\n'
        f'[state]\ndir = "{root}/{name}-state"\ncheckpoint_s = 5\n'
        f'[output]\ndir = "{root}/{name}-model"\nevery_s = 10\n'
        f'[drift]\nshort_half_life_rows = 200000\n'
    )
    return path


def feeder():
    global fed
    random_rows = np.random.default_rng(args.seed)
    mixing = random_rows.normal(size=(5, args.features)).astype("f4")
    names = [f"s{j}" for j in range(args.features)]
    number, due = 0, time.monotonic()
    while time.monotonic() < end:
        rows = args.rows_per_second // 2
        x = random_rows.normal(size=(rows, 5)).astype("f4") @ mixing
        x += random_rows.normal(size=x.shape).astype("f4")
        table = pa.table({n: x[:, j] for j, n in enumerate(names)})
        place = feed / f"{number:08d}.parquet"
        pq.write_table(table, f"{place}.tmp", compression="snappy")
        os.rename(f"{place}.tmp", place)
        fed += rows
        number += 1
        due += 0.5
        time.sleep(max(0, due - time.monotonic()))


def resident_mib(pid):
    total = 0
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    pids = [str(pid)]
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*"):
        try:
            pids += (task / "children").read_text().split()
        except OSError:
            pass
    for one in set(pids):
        try:
            for line in pathlib.Path(f"/proc/{one}/status").read_text().splitlines():
                if line.startswith("VmRSS"):
                    total += int(line.split()[1])
        except OSError:
            pass
    return total / 1024


def inspect(name):
    out = subprocess.run(
        [args.ojad, "state", "inspect", "--json", f"{root}/{name}-state"],
        capture_output=True, check=True,
    )
    return json.loads(out.stdout)


thread = threading.Thread(target=feeder)
thread.start()
memory, count, began = [], 0, time.monotonic()
log = open(root / "log", "w")
while time.monotonic() < end:
    daemon = subprocess.Popen([args.ojad, "run", "--config", config("killed")], stderr=log)
    until = min(end, time.monotonic() + kills.uniform(10, 30))
    while time.monotonic() < until:
        time.sleep(0.5)
        memory.append((time.monotonic() - began, resident_mib(daemon.pid)))
        assert daemon.poll() is None, f"the daemon ended by itself: {root}/log"
    daemon.send_signal(signal.SIGKILL)
    daemon.wait()
    count += 1
thread.join()
run = [args.ojad, "run", "--until-idle", "--config"]
subprocess.run(run + [config("killed")], stderr=log, check=True)
subprocess.run(run + [config("calm")], stderr=log, check=True)
killed, calm = inspect("killed"), inspect("calm")
third = (memory[-1][0]) / 3
first = max(m for t, m in memory if t < third)
last = max(m for t, m in memory if t > 2 * third)
print(f"{fed} rows fed, {killed['rows_read']} read, {count} kills, {killed['files']} files")
print(f"resident memory at most: {first:.0f} MiB in the first third, {last:.0f} MiB in the last")
same = killed["state_sha256"] == calm["state_sha256"]
print("bits equal to one undisturbed run:", same)
assert same and killed["rows_read"] == fed and killed["quarantined"] == 0
