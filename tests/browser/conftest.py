"""A daemon, a browser, and rows for them."""

import json
import os
import pathlib
import re
import subprocess
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("OJAD_TEST_PROGRAM", ROOT / "target/debug/ojad"))
FASHION = ROOT / "tests/data/fashion-sample.parquet"
# What waits longer than this hangs.
PATIENCE_S = 60
CHROMIUM = "/usr/bin/chromium"
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Daemon:
    """`ojad run` in a directory of its own, until it is stopped."""

    def __init__(self, directory, keys="", token=None, inputs=()):
        self.directory = pathlib.Path(directory)
        self.feed = self.directory / "feed"
        self.model = self.directory / "model"
        self.state = self.directory / "state"
        self.log = self.directory / "log"
        self.token = token
        self.process = None
        self.feed.mkdir(exist_ok=True)
        self.keys = keys
        self.inputs = [str(self.feed), *inputs]
        self.port = 0
        if token:
            (self.directory / "token").write_text(token)
        self.start()

    def start(self):
        """Starts it, on the port that it had before if it had one."""
        token = f'http.token_file = "{self.directory}/token"\n' if self.token else ""
        config = self.directory / "ojad.toml"
        config.write_text(
            f"source.inputs = {json.dumps(self.inputs)}\nsource.rescan_ms = 50\n"
            f'state.dir = "{self.state}"\nstate.checkpoint_s = 1\n'
            f'output.dir = "{self.model}"\noutput.every_s = 1\n'
            f'http.listen = "127.0.0.1:{self.port}"\n{token}{self.keys}\n'
        )
        self.log.write_text("")
        self.process = subprocess.Popen(
            [PROGRAM, "run", "--config", config],
            stderr=self.log.open("w"),
            stdout=subprocess.DEVNULL,
        )
        self.port = int(wait_for(lambda: re.search(r"address=127\.0\.0\.1:(\d+)", self.said())).group(1))
        self.url = f"http://127.0.0.1:{self.port}"

    def said(self):
        """The log so far."""
        text = self.log.read_text()
        assert self.process.poll() is None, text
        return text

    def stop(self):
        """Ends it as a service manager would."""
        self.process.terminate()
        assert self.process.wait(PATIENCE_S) == 0, self.log.read_text()

    def get(self, path, **options):
        """What is at `path`."""
        headers = options.pop("headers", {})
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return requests.get(self.url + path, headers=headers, timeout=PATIENCE_S, **options)

    def json(self, path):
        """The same as JSON."""
        answer = self.get(path)
        assert answer.ok, answer.text
        return answer.json()

    def wait_for_rows(self, rows):
        """Waits until so many rows were read and all that were accepted are shown."""

        def is_shown():
            status = self.json("/api/v1/status")
            if status["rows_read"] != rows or status["lag_files"]:
                return None
            shown = self.get("/api/v1/components?vectors=none")
            accepted = status["rows"] + status["rows_waiting"]
            return shown.ok and shown.json()["rows"] == accepted and status

        return wait_for(is_shown)

    def snapshot_is_there(self):
        """Waits for the first snapshot."""
        return wait_for(lambda: self.json("/api/v1/snapshots")["snapshots"])

    def give(self, name, table):
        """Puts a file into the feed, whole."""
        path = self.feed / f"{name}.parquet"
        pq.write_table(table, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").rename(path)


def wait_for(what):
    """What `what` gives, once it gives something."""
    until = time.monotonic() + PATIENCE_S
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < until, "that took too long"
        time.sleep(0.05)


def sensors(rows, seed, turn=0.0, features=12):
    """Rows with three directions above noise; `turn` turns the first one by so many radians."""
    random = np.random.default_rng(seed)
    deviations = np.ones(features)
    deviations[:3] = [4.0, 3.0, 2.0]
    values = random.standard_normal((rows, features)) * deviations
    first, last = values[:, 0].copy(), values[:, -1].copy()
    values[:, 0] = np.cos(turn) * first - np.sin(turn) * last
    values[:, -1] = np.sin(turn) * first + np.cos(turn) * last
    columns = {f"t{j}": values[:, j].astype("float32") for j in range(features)}
    columns["machine"] = [f"m{i % 3}" for i in range(rows)]
    columns["stamp"] = np.arange(rows) + seed * 1_000_000
    return pa.table(columns)


SENSOR_KEYS = 'features.ids = ["machine", "stamp"]\nlearner.components = 4\nhttp.label = "machine"\n'


@pytest.fixture
def start(tmp_path_factory):
    """Starts daemons that end with the test."""
    daemons = []

    def start(keys="", token=None, inputs=()):
        daemons.append(Daemon(tmp_path_factory.mktemp("daemon"), keys, token, inputs))
        return daemons[-1]

    yield start
    for daemon in daemons:
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()


@pytest.fixture
def daemon(start):
    """One that has learned 6,000 rows of three machines."""
    daemon = start(SENSOR_KEYS)
    daemon.give("a", sensors(6000, 1))
    daemon.wait_for_rows(6000)
    return daemon


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium, driven."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """A page that may say nothing on its console and ask nobody but the daemon."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.troubles = []
    page.on("console", lambda said: page.troubles.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: page.troubles.append(str(error)))
    page.asked = set()
    page.on("request", lambda request: page.asked.add(request.url))
    yield page
    context.close()
