"""The page in a real browser, against a live daemon.

The fixture `daemon` (conftest.py) has `.url`, `.feed` (the directory that it follows) and `.token` (None
where none is needed). Playwright's own waiting by a predicate needs `eval`, which the page's policy
forbids: wait by `expect` instead.
"""

import json
import re
import urllib.request

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

PATIENCE_MS = 30_000
FEATURES = 12
CHROMIUM = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]


def feed(daemon, name, rows=4000, seed=1, turn=0.0):
    """Writes a file of rows with two strong directions, turned by so many radians, under its name at once."""
    random = np.random.default_rng(seed)
    directions = np.linalg.qr(np.random.default_rng(9).standard_normal((FEATURES, 4)))[0]
    first = np.cos(turn) * directions[:, 0] + np.sin(turn) * directions[:, 2]
    scores = random.standard_normal((rows, 2)) * [5.0, 2.0]
    values = scores @ np.stack([first, directions[:, 1]]) + 0.3 * random.standard_normal((rows, FEATURES))
    table = pa.table({f"x{j}": pa.array(values[:, j], pa.float32()) for j in range(FEATURES)})
    temporary = daemon.feed / f"{name}.tmp"
    pq.write_table(table, temporary)
    temporary.rename(daemon.feed / f"{name}.parquet")


def api(daemon, path):
    headers = {"Authorization": f"Bearer {daemon.token}"} if daemon.token else {}
    with urllib.request.urlopen(urllib.request.Request(daemon.url + path, headers=headers)) as answer:
        return json.load(answer)


def digits(text):
    return int(re.sub(r"\D", "", text))


@pytest.fixture(scope="session")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(params=[("light", 1280), ("dark", 1280), ("light", 375)], ids=["light", "dark", "phone"])
def page(request, chromium, daemon):
    scheme, width = request.param
    context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = context.new_page()
    page.complaints, page.asked = [], []
    page.on("console", lambda said: page.complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    yield page
    context.close()


def show(page, daemon):
    page.goto(daemon.url + "/")
    if daemon.token:
        page.fill("#token", daemon.token)
        page.keyboard.press("Enter")
    expect(page.locator("#connection")).to_have_text("live", timeout=PATIENCE_MS)
    if daemon.token:
        # The first request came without it; a browser logs that.
        assert len(page.complaints) == 1 and "401" in page.complaints[0], page.complaints
        page.complaints.clear()


def test_the_page_shows_what_the_api_says(page, daemon):
    feed(daemon, f"a-{page.viewport_size['width']}-{id(page)}")
    show(page, daemon)
    expect(page.locator("#vector .main-svg").first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#lag")).to_have_text("none", timeout=PATIENCE_MS)
    status = api(daemon, "/api/v1/status")
    expect(page.locator("#state")).to_have_text(status["state"])
    expect(page.locator("#rows")).to_have_text(re.compile(r"^[\d\u202f]+$"))
    page.wait_for_timeout(3000)
    assert digits(page.locator("#rows").inner_text()) == api(daemon, "/api/v1/status")["rows"]
    components = api(daemon, "/api/v1/components")["components"]
    lines = page.locator("#components-table tbody tr")
    expect(lines).to_have_count(len(components))
    for i, component in enumerate(components):
        shown = lines.nth(i).locator("th,td").all_inner_texts()
        assert float(shown[1]) == pytest.approx(component["eigenvalue"], rel=1e-5)
        assert shown[3] == f"{100 * component['explained_variance_ratio']:.2f}%"
        assert (shown[6] == "yes") == component["active"]
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    violations = Axe().run(page).response["violations"]
    assert violations == [], [(one["id"], [node["html"] for node in one["nodes"]]) for one in violations]
    assert all(url.startswith((daemon.url, "data:", "blob:")) for url in page.asked), page.asked
    assert page.complaints == []


def test_another_component_is_shown_and_given_away(page, daemon):
    feed(daemon, f"b-{id(page)}")
    show(page, daemon)
    expect(page.locator("#vector .main-svg").first).to_be_visible(timeout=PATIENCE_MS)
    page.select_option("#component-select", "2")
    expect(page.locator("[data-picture=vector] h3")).to_have_text("Component 2: whole vector")
    for kind, begins in [("svg", b"<svg"), ("png", b"\x89PNG"), ("csv", b"feature,entry"), ("json", b"[")]:
        with page.expect_download() as download:
            page.click(f"[data-picture=vector] [data-kind={kind}]")
        with open(download.value.path(), "rb") as file:
            assert file.read().startswith(begins), kind
    assert page.complaints == []


def test_a_new_file_changes_the_page(page, daemon):
    feed(daemon, f"c-{id(page)}")
    show(page, daemon)
    expect(page.locator("#vector .main-svg").first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#lag")).to_have_text("none", timeout=PATIENCE_MS)
    before = page.locator("#components-table tbody").inner_text()
    feed(daemon, f"d-{id(page)}", seed=2, turn=0.7)
    expect(page.locator("#components-table tbody")).not_to_have_text(before, use_inner_text=True, timeout=PATIENCE_MS)
    assert page.complaints == []
