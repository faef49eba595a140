"""The page in a real browser, against a live daemon.

Playwright's own waiting by a predicate needs `eval`, which the page's policy forbids: waited is by
`expect`.
"""

import os
import pathlib
import re
import time

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from conftest import SENSOR_KEYS, sensors

PATIENCE_MS = 40_000
LOOKS = {"light": ("light", 1280), "dark": ("dark", 1280), "phone": ("light", 375)}
# Where pictures of the page are left, if somebody wants to look at them.
PICTURES = os.environ.get("PICTURES")


def picture(page, name):
    """Leaves a picture."""
    if PICTURES:
        page.screenshot(path=pathlib.Path(PICTURES) / f"{name}.png", full_page=True)


@pytest.fixture
def look(browser):
    """Opens pages that remember what they complained of and whom they asked."""
    contexts = []

    def look(name="light"):
        scheme, width = LOOKS[name]
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.complaints, page.asked = [], []
        bad = ("error", "warning")
        page.on("console", lambda said: page.complaints.append(said.text) if said.type in bad else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        return page

    yield look
    for context in contexts:
        context.close()


def is_drawn(page):
    """Waits for the picture that is drawn last."""
    expect(page.locator("#vector .main-svg").first).to_be_visible(timeout=PATIENCE_MS)


@pytest.mark.parametrize("name", LOOKS)
def test_the_page_shows_what_numpy_finds(look, start, name):
    """Numbers of the page, the API and batch PCA; nothing asked elsewhere; accessible."""
    daemon = start(SENSOR_KEYS + "learner.minibatch = 100\n")
    table = sensors(6000, 1)
    daemon.give("a", table)
    status = daemon.wait_for_rows(6000)
    page = look(name)
    page.goto(daemon.url)
    is_drawn(page)
    expect(page.locator("#rows")).to_have_text(re.compile(r"^6.?000$"), timeout=PATIENCE_MS)
    expect(page.locator("#lag")).to_have_text("none", timeout=PATIENCE_MS)
    assert status["rows"] == 6000
    values = np.stack([table[f"t{j}"].to_numpy() for j in range(12)], axis=1).astype("float64")
    eigenvalues = np.linalg.eigvalsh(np.cov(values.T, bias=True))[::-1]
    lines = page.locator("#components-table tbody tr")
    expect(lines).to_have_count(4)
    for i, component in enumerate(daemon.json("/api/v1/components")["components"]):
        shown = lines.nth(i).locator("th,td").all_inner_texts()
        assert float(shown[1]) == pytest.approx(component["eigenvalue"], rel=1e-5)
        # All 12 directions are held here: one pass is batch PCA, in f32.
        assert float(shown[1]) == pytest.approx(eigenvalues[i], rel=1e-4)
        assert shown[3] == f"{100 * component['explained_variance_ratio']:.2f}%"
        assert (shown[6] == "yes") == component["active"]
    width = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert page.evaluate(width)
    violations = Axe().run(page).response["violations"]
    assert violations == [], [(one["id"], [node["html"] for node in one["nodes"]]) for one in violations]
    picture(page, f"page-{name}")
    assert all(url.startswith((daemon.url, "data:", "blob:")) for url in page.asked), page.asked
    assert page.complaints == []


def test_another_component_is_shown_and_given_away(look, daemon):
    """The chooser, and every picture's four formats."""
    page = look()
    page.goto(daemon.url)
    is_drawn(page)
    page.select_option("#component-select", "2")
    expect(page.locator("[data-picture=vector] h3")).to_have_text("Component 2: whole vector")
    for kind, begins in [("svg", b"<svg"), ("png", b"\x89PNG"), ("csv", b"feature,entry"), ("json", b"[")]:
        with page.expect_download() as download:
            page.click(f"[data-picture=vector] [data-kind={kind}]")
        assert pathlib.Path(download.value.path()).read_bytes().startswith(begins), kind
    assert page.complaints == []


def test_a_new_file_changes_the_page_and_a_rotation_is_a_drift(look, start):
    """By server-sent events: nobody reloads anything, not even over a restart of the daemon."""
    keys = "learner.minibatch = 100\ndrift.short_half_life_rows = 3000\n"
    daemon = start(SENSOR_KEYS + keys)
    page = look()
    page.goto(daemon.url)
    expect(page.locator("#state")).to_have_text("waiting", timeout=PATIENCE_MS)
    picture(page, "page-empty")
    daemon.give("a", sensors(30_000, 1))
    is_drawn(page)
    expect(page.locator("#rows")).to_have_text(re.compile(r"^30.?000$"), timeout=PATIENCE_MS)
    before = page.locator("#components-table tbody tr").first.inner_text()
    # Fewer than a short half-life: the state is that of a feed that has just changed.
    daemon.give("b", sensors(2_000, 2, turn=0.8))
    expect(page.locator("#rows")).to_have_text(re.compile(r"^32.?000$"), timeout=PATIENCE_MS)
    line = page.locator("#components-table tbody tr").first
    expect(line).not_to_have_text(before, use_inner_text=True, timeout=PATIENCE_MS)
    drift = daemon.json("/api/v1/drift")
    assert [event["report"]["kind"] for event in drift["events"]][-1:] == ["rotation"], drift
    expect(page.locator("#state")).to_have_text("drifted", timeout=PATIENCE_MS)
    expect(page.locator("#sentence")).to_contain_text("Drifted", timeout=PATIENCE_MS)
    expect(page.locator("#drift")).to_have_text("1 so far", timeout=PATIENCE_MS)
    picture(page, "page-drifted")
    assert page.complaints == []
    daemon.stop()
    expect(page.locator("#connection")).to_contain_text("no connection", timeout=PATIENCE_MS)
    daemon.start()
    expect(page.locator("#connection")).to_contain_text("live", timeout=PATIENCE_MS)
    daemon.give("c", sensors(1_000, 3))
    expect(page.locator("#rows")).to_have_text(re.compile(r"^33.?000$"), timeout=PATIENCE_MS)


def test_an_answer_that_never_comes_is_asked_for_again(look, daemon):
    """A network that loses one answer does not end what is shown of it."""
    page = look()
    page.clock.install()
    asked = []

    def lose_the_second(route):
        asked.append(route.request.url)
        if len(asked) != 2:
            route.continue_()

    page.route("**/api/v1/components?vectors=none", lose_the_second)
    page.goto(daemon.url)
    is_drawn(page)
    before = page.locator("#components-table tbody").inner_text()
    daemon.give("b", sensors(4000, 2))
    daemon.wait_for_rows(10_000)
    until = time.monotonic() + PATIENCE_MS / 1000
    while len(asked) < 2 and time.monotonic() < until:
        page.wait_for_timeout(50)
    assert len(asked) == 2
    page.clock.fast_forward(80_000)
    expect(page.locator("#components-table tbody")).not_to_have_text(before, use_inner_text=True, timeout=PATIENCE_MS)
    assert len(asked) > 2


def test_another_component_need_not_wait_for_the_one_before(look, daemon):
    """An answer that is no longer wanted is not waited for."""
    page = look()
    page.route("**/api/v1/components/2", lambda route: None)
    page.goto(daemon.url)
    is_drawn(page)
    with page.expect_request("**/api/v1/components/2"):
        page.select_option("#component-select", "2")
    page.select_option("#component-select", "3")
    expect(page.locator("[data-picture=vector] h3")).to_have_text("Component 3: whole vector")


# `document.hidden` as a test sets it: headless Chromium takes every tab for seen.
HIDING = """
let isHidden = false;
Object.defineProperty(Document.prototype, "hidden", { get: () => isHidden });
addEventListener("hide", () => { isHidden = true; document.dispatchEvent(new Event("visibilitychange")); });
addEventListener("unhide", () => { isHidden = false; document.dispatchEvent(new Event("visibilitychange")); });
"""


def test_tabs_that_nobody_sees_leave_room_for_others(look, daemon):
    """Six streams are all that a browser has for a server: the seventh tab is live too."""
    first = look()
    first.context.add_init_script(HIDING)
    tabs = [first]
    for _ in range(7):
        tabs[-1].goto(daemon.url)
        expect(tabs[-1].locator("#connection")).to_have_text("live", timeout=PATIENCE_MS)
        # The stream ends; the state, of which the title tells, is asked for by itself.
        with tabs[-1].expect_request("**/api/v1/status", timeout=PATIENCE_MS):
            with tabs[-1].expect_event("requestfailed", lambda one: "/events" in one.url, timeout=PATIENCE_MS):
                tabs[-1].evaluate("dispatchEvent(new Event('hide'))")
        tabs.append(first.context.new_page())
    # It is live again when it is looked at.
    first.evaluate("dispatchEvent(new Event('unhide'))")
    daemon.give("b", sensors(4000, 2))
    rows = daemon.wait_for_rows(10_000)["rows"]
    expect(first.locator("#rows")).to_have_text(f"{rows // 1000}\u202f{rows % 1000:03}", timeout=PATIENCE_MS)


def test_a_screen_reader_is_told_news_and_no_figures(look, start):
    """The headline's rows a second change every second; what is read out does not."""
    daemon = start(SENSOR_KEYS + "learner.minibatch = 100\n")
    daemon.give("a", sensors(3000, 1))
    daemon.wait_for_rows(3000)
    page = look()
    page.goto(daemon.url)
    is_drawn(page)
    # The rows above may still be news on a slow machine.
    page.locator("#spoken", has_text="Idle").wait_for(state="attached")
    page.evaluate("""
        window.spoken = [];
        window.shown = [];
        const watch = (id, list) => new MutationObserver(() => list.push(document.getElementById(id).innerText))
            .observe(document.getElementById(id), { subtree: true, childList: true, characterData: true });
        watch("spoken", window.spoken);
        watch("headline", window.shown);
    """)
    for i in range(20):
        daemon.give(f"b{i}", sensors(400 + 40 * i, 2 + i))
        page.wait_for_timeout(250)
    spoken, shown = page.evaluate("[window.spoken, window.shown]")
    assert len(shown) >= 3, shown
    # From waiting to learning, and at most once back and forth.
    assert 1 <= len(spoken) <= 3 and spoken[0].startswith("Learning"), spoken
    assert page.locator("[aria-live], [role=status]").count() == 1


def test_the_token_is_asked_for(look, start):
    """The page itself is open; what it shows is not."""
    token = "0123456789abcdef0123456789abcdef"
    daemon = start(SENSOR_KEYS, token)
    daemon.give("a", sensors(3000, 1))
    page = look()
    page.goto(daemon.url)
    expect(page.locator("#token-form")).to_be_visible(timeout=PATIENCE_MS)
    page.fill("#token", token)
    page.keyboard.press("Enter")
    is_drawn(page)
    assert token not in page.content() and token not in page.url


def test_recent_rows_have_their_ids(look, start):
    """A row that is like no other is the first of those that stand out, by its ids."""
    daemon = start(SENSOR_KEYS + "learner.minibatch = 100\n")
    table = sensors(3000, 1)
    strange = table["t5"].to_pylist()
    strange[1234] = 60.0
    import pyarrow as pa

    table = table.set_column(table.column_names.index("t5"), "t5", pa.array(strange, pa.float32()))
    daemon.give("a", table)
    page = look()
    page.goto(daemon.url)
    first = page.locator("#largest-t2 tbody tr").first
    expect(first).to_contain_text("1001234", timeout=PATIENCE_MS)
    recent = daemon.json("/api/v1/recent")
    row = recent["largest_t2"][0]
    assert row["row"] == 1234 and row["ids"] == ["m1", "1001234"] and row["label"] == "m1"
    # In the plane of the components shown, as numpy has it.
    shown = daemon.json("/api/v1/components")
    vectors = np.array([component["vector"] for component in shown["components"]])
    means = np.array([feature["mean"] for feature in daemon.json("/api/v1/features")["features"]])
    values = np.stack([table[f"t{j}"].to_numpy() for j in range(12)], axis=1).astype("float64")
    recent = daemon.json("/api/v1/recent")
    assert len(recent["rows"]) > 100 and recent["rows_examined"] >= 1000
    for row in recent["rows"] + recent["largest_residual"]:
        centred = values[row["row"]] - means
        scores = vectors @ centred
        np.testing.assert_allclose(row["scores"], scores, rtol=1e-6, atol=1e-6)
        residual = np.sum((centred - scores @ vectors) ** 2)
        np.testing.assert_allclose(row["residual"], residual, rtol=1e-6, atol=1e-6)
        assert row["ids"] == [table["machine"][row["row"]].as_py(), str(table["stamp"][row["row"]].as_py())]


def test_rows_are_shown_beside_the_limits_in_force(look, start):
    """Lines where the API has them, the method by name, and as many rows beyond them as numpy counts."""
    daemon = start(SENSOR_KEYS + "learner.minibatch = 100\n")
    daemon.give("a", sensors(9000, 1))
    daemon.wait_for_rows(9000)
    page = look()
    page.goto(daemon.url)
    words = page.locator('[data-picture="limits"] figcaption')
    expect(words).to_contain_text("empirical, of", timeout=PATIENCE_MS)
    expect(page.locator("#limits .main-svg").first).to_be_visible(timeout=PATIENCE_MS)
    # Nothing more comes: page and API agree once the last minibatch is published.
    expect(page.locator("#rows")).to_have_text(re.compile(r"^9.?000$"), timeout=PATIENCE_MS)
    limits = daemon.json("/api/v1/components")["limits"]
    drawn = page.locator("#limits").evaluate(
        "plot => plot.data.filter(trace => trace.mode === 'lines+text').map(trace => [trace.text[1], trace.x, trace.y])"
    )
    keys = ["limit_95", "limit_99", "limit_99_9"]
    for share, key, across, up in zip(["5%", "1%", "0.1%"], keys, drawn[:3], drawn[3:]):
        assert [across[0], up[0]] == [share, share]
        np.testing.assert_allclose(across[2], 2 * [limits["residual"][key]], rtol=1e-9)
        np.testing.assert_allclose(up[1], 2 * [limits["t2"][key]], rtol=1e-9)
    # The picture follows the rows within seconds, with thousands apart by a narrow space.
    rows = daemon.json("/api/v1/recent")["rows"]
    beyond = [r for r in rows if any(r[of] > limits[of]["limit_99"] for of in ("t2", "residual"))]
    expect(words).to_contain_text(f"{len(beyond)} of {len(rows):,} rows".replace(",", "\u202f"), timeout=PATIENCE_MS)
    # One row in a hundred is beyond each limit.
    assert 0 < len(beyond) < 0.06 * len(rows)
    assert page.complaints == []
