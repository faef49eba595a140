"""The README's examples, run as they stand there."""

import re
import subprocess

import pyarrow.parquet as pq
import pytest

from conftest import FASHION, ROOT, sensors, wait_for

README = (ROOT / "README.md").read_text()
# Examples that talk to a daemon name this address.
ADDRESS = "localhost:8650"


def examples(language):
    """Blocks of `language` that talk to a daemon."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return [block for block in blocks if ADDRESS in block]


def test_there_are_examples():
    """curl and Python."""
    assert examples("sh") and examples("python")


@pytest.fixture
def served(start):
    """A daemon that has what the examples speak of: sensors, a push source."""
    keys = 'features.ids = ["machine", "stamp"]\nlearner.components = 4\n'
    daemon = start(keys, inputs=["push:"])
    daemon.give("a", sensors(6000, 1))
    daemon.wait_for_rows(6000)
    daemon.snapshot_is_there()
    return daemon


@pytest.mark.parametrize("block", examples("sh"))
def test_curl(served, block, tmp_path):
    """Each line answers, and none with an error."""
    block = block.replace(ADDRESS, f"127.0.0.1:{served.port}").replace("curl ", "curl -fsS ")
    done = subprocess.run(["bash", "-euc", block], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("block", examples("python"))
def test_python(served, block, tmp_path, monkeypatch):
    """The block runs; what it asserts holds."""
    monkeypatch.chdir(tmp_path)
    pq.write_table(sensors(500, 7), tmp_path / "new.parquet")
    exec(compile(block.replace(ADDRESS, f"127.0.0.1:{served.port}"), "README.md", "exec"), {})
