"""The examples of README.md and docs/, run as they stand there, in order, one directory for each document."""

import os
import re
import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import FASHION, PATIENCE_S, PROGRAM, ROOT, sensors

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Examples that talk to a daemon name this address.
ADDRESS = "localhost:8650"
LISTEN = "127.0.0.1:8650"

NOT_RUN = {
    "bash .ci/test": "it is what runs this test",
    "ojad lab figures": "minutes; tests/it/lab_commands.rs makes every figure from fewer rows",
}


def blocks(document):
    """Language and text of each fenced block that is an example."""
    found = re.findall(r"^```(\w+)\n(.*?)^```", document.read_text(), re.DOTALL | re.MULTILINE)
    return [(language, text) for language, text in found if not any(text.startswith(no) for no in NOT_RUN)]


def with_examples():
    """Documents that have some."""
    return [document for document in DOCUMENTS if blocks(document)]


def test_there_are_examples():
    """In every guide, in every language."""
    names = {document.name for document in with_examples()}
    assert {"README.md", "api.md", "genomics.md", "operating.md", "sensors.md"} <= names
    assert {language for document in DOCUMENTS for language, _ in blocks(document)} == {"sh", "python", "toml", "text"}


def test_the_readme_is_short():
    """1,500 words are what somebody reads."""
    assert len((ROOT / "README.md").read_text().split()) <= 1500


def test_links_lead_somewhere():
    """Files, and headings within them, as GitHub names them."""
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#][^)]*)\)", document.read_text()):
            if "://" in target:
                continue
            path, _, heading = target.partition("#")
            path = (document.parent / path).resolve()
            assert path.exists(), f"{document.name}: {target}"
            if heading:
                headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
                anchors = [re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings]
                assert heading in anchors, f"{document.name}: {target}"


def test_files_that_are_named_are_there():
    """Paths from the root, in backticks."""
    for document in [*DOCUMENTS, ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"]:
        for path in re.findall(r"`((?:src|crates|tests|benches|docs)/[\w./-]*)`", document.read_text()):
            assert (ROOT / path).exists(), f"{document.name}: {path}"


@pytest.fixture
def place(tmp_path):
    """A directory with what the documents speak of: a feed, a plant, a cohort, images, a model."""
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    for i, folder in enumerate(["feed", "plant/2026-01", "plant/2026-02"]):
        (tmp_path / folder).mkdir(parents=True)
        for j in range(2):
            pq.write_table(sensors(1500, 10 * i + j), tmp_path / folder / f"part-{j}.parquet")
    pq.write_table(sensors(500, 7), tmp_path / "new.parquet")
    random = np.random.default_rng(3)
    (tmp_path / "cohort").mkdir()
    for i in range(3):
        calls = random.binomial(2, 0.3, (120, 40)).astype("int8")
        columns = {f"v{j}": pa.array(calls[:, j], mask=random.random(120) < 0.01) for j in range(40)}
        columns["sample"] = [f"s{i}-{row}" for row in range(120)]
        pq.write_table(pa.table(columns), tmp_path / "cohort" / f"shard-{i}.parquet")
    pixels = pa.FixedSizeListArray.from_arrays(pa.array(random.standard_normal(200 * 16)), 16)
    pq.write_table(pa.table({"id": np.arange(200), "pixels": pixels}), tmp_path / "images.parquet")
    (tmp_path / "ojad.toml").write_text('source.inputs = ["feed"]\nstate.dir = "state"\noutput.dir = "model"\n')
    return tmp_path


@pytest.fixture
def served(start):
    """A daemon that has what the examples speak of: sensors, a push source."""
    keys = 'features.ids = ["machine", "stamp"]\nlearner.components = 4\n'
    daemon = start(keys, inputs=["push:"])
    daemon.give("a", sensors(6000, 1))
    daemon.wait_for_rows(6000)
    daemon.snapshot_is_there()
    return daemon


class Runner:
    """Runs blocks in a directory; keeps what the last command printed."""

    def __init__(self, place, port):
        self.place = place
        self.port = port
        self.printed = ""
        # What a reader has on his path.
        (place / "bin").mkdir()
        (place / "bin/ojad").symlink_to(PROGRAM)
        self.environment = {**os.environ, "PATH": f"{place}/bin:{os.environ['PATH']}"}

    def sh(self, text):
        """Each command succeeds and says something, or leaves something."""
        text = text.replace("cargo run --release --", "ojad").replace(ADDRESS, f"127.0.0.1:{self.port}")
        text = text.replace("curl ", "curl -fsS ")
        before = set(self.place.iterdir())
        done = subprocess.run(
            ["bash", "-euc", text],
            cwd=self.place,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=10 * PATIENCE_S,
        )
        assert done.returncode == 0, f"{text}\n{done.stderr}"
        assert done.stdout or done.stderr or set(self.place.iterdir()) > before, text
        self.printed = done.stdout

    def text(self, text):
        """What the command before it printed."""
        assert self.printed.strip() == text.strip()

    def toml(self, text):
        """A configuration that can run. A table's head makes it the file that the document names."""
        name = "sensors.toml" if text.startswith("[") else "ojad.toml"
        (self.place / name).write_text(text.replace(LISTEN, "127.0.0.1:0"))
        self.sh(f"ojad check --config {name} --run")

    def python(self, text):
        """The block runs; what it asserts holds."""
        code = compile(text.replace(ADDRESS, f"127.0.0.1:{self.port}"), "example", "exec")
        exec(code, {})


@pytest.mark.parametrize("document", with_examples(), ids=lambda document: document.name)
def test_examples(document, place, request, monkeypatch):
    """Every block of the document."""
    talks = any(ADDRESS in text and language != "toml" for language, text in blocks(document))
    monkeypatch.chdir(place)
    runner = Runner(place, request.getfixturevalue("served").port if talks else 0)
    if document.name == "README.md":
        # Its Python begins where a daemon has published.
        runner.sh("ojad run --config ojad.toml --until-idle")
    for language, text in blocks(document):
        getattr(runner, language)(text)
