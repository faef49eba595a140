"""`ojad lab` in a real browser: the scalar case against numpy."""

import math
import re
import signal
import subprocess

import numpy as np
import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from conftest import PATIENCE_S, PROGRAM
from test_page import PATIENCE_MS, look, picture  # noqa: F401

# A software driver that says how it could be faster, when Plotly asks what is below the pointer.
ADVICE = re.compile("GPU stall due to ReadPixels|willReadFrequently")

MINIBATCHES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
ITERATIONS = 2000
UPDATE_MIN = 1e-8
QUERY = dict(loss="sum", scatter=1, **{"lambda": 0.25}, step=0.1, minibatch=1000, seed=1, w1=-0.4, w2=1.8)


@pytest.fixture(scope="module")
def lab():
    """Where the page is; the program must end well when it is told to."""
    process = subprocess.Popen([PROGRAM, "lab"], stdout=subprocess.PIPE, text=True)
    url = process.stdout.readline().strip()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", url), url
    yield url
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0


def complaints(page):
    """What the console heard, but for advice to Plotly."""
    return [text for text in page.complaints if not ADVICE.search(text)]


def scalar(lab, **other):
    """The API's answer."""
    answer = requests.get(lab + "api/v1/scalar", params=QUERY | other, timeout=PATIENCE_S)
    assert answer.ok, answer.text
    return answer.json()


def half_gradient(loss, scatter, penalty, w1, w2):
    """Half of the gradient, from the losses as the paper writes them."""
    error = scatter * (w1 * w2 - 1)
    own = {"none": (0, 0), "product": (penalty * w1 * w2 * w2, penalty * w1 * w1 * w2), "sum": (penalty * w1, penalty * w2)}
    return w2 * error + own[loss][0], w1 * error + own[loss][1]


def iterate(algorithm, loss, scatter, penalty, step, w1, w2):
    """Full-batch iterates of one algorithm."""
    if algorithm in ("synchronized", "tied"):
        w1 = w2
    for iteration in range(1, ITERATIONS + 1):
        old = w1, w2
        if algorithm == "untied":
            w1 -= step * half_gradient(loss, scatter, penalty, w1, w2)[0]
            w2 -= step * half_gradient(loss, scatter, penalty, w1, w2)[1]
        elif algorithm == "synchronized":
            own = half_gradient(loss, scatter, penalty, w1, w2)
            w1 = w2 = (w1 - step * own[0] + w2 - step * own[1]) / 2
        elif algorithm == "tied":
            w1 = w2 = w1 - step * half_gradient(loss, scatter, penalty, w1, w1)[0]
        elif loss == "sum":
            w1 = w2 * scatter / (w2**2 * scatter + penalty)
            w2 = scatter * w1 / (scatter * w1**2 + penalty)
        else:
            w1 = scatter / (w2 * (scatter + penalty))
            w2 = scatter / (w1 * (scatter + penalty))
        if math.hypot(w1 - old[0], w2 - old[1]) < UPDATE_MIN:
            break
    return iteration, w1, w2


def slide(page, name, value):
    """Moves a slider as a hand does."""
    page.locator(f"#{name}").evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input', { bubbles: true })); }", str(value)
    )


def drawn(page, view, name):
    """What Plotly was given to draw under a name."""
    return page.evaluate(
        """([view, name]) => { const trace = document.getElementById(view).data.find((one) => one.name === name);
        return { x: [...trace.x], y: [...trace.y], z: trace.z ? [...trace.z].map((line) => line?.length ? [...line] : line) : null }; }""",
        [view, name],
    )


def is_drawn(page):
    """Waits for both views."""
    expect(page.locator("#contours .main-svg").first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#surface canvas").first).to_be_visible(timeout=PATIENCE_MS)


def turned(page):
    """From which side the surface is seen, degrees."""
    eye = page.evaluate("document.getElementById('surface')._fullLayout.scene._scene.getCamera().eye")
    return math.degrees(math.atan2(eye["y"], eye["x"]))


def comes(page, is_so):
    """Waits for what is not an element's text."""
    for _ in range(200):
        if is_so():
            return
        page.wait_for_timeout(50)
    assert is_so()


def shows(page, view, name, expected):
    """Waits until a trace of a view lies where it should."""
    for _ in range(200):
        found = drawn(page, view, name)
        points = np.array([found["x"], found["y"]], float).T
        if points.shape == np.shape(expected) and np.allclose(points, expected, atol=1e-12, rtol=1e-12):
            return found
        page.wait_for_timeout(50)
    raise AssertionError((view, name, points, expected))


def expected_points(loss, scatter, penalty):
    """Critical points by the theory: place, loss, type, index; the origin last."""
    origin = (0.0, 0.0, scatter, "saddle", 1)
    if loss == "sum" and penalty >= scatter:
        return [(0.0, 0.0, scatter, "minimum", 0)]
    square = 1 - penalty / scatter if loss == "sum" else scatter / (scatter + penalty)
    weight = np.sqrt(square)
    if loss == "sum":
        least, kind = 2 * penalty - penalty**2 / scatter, "minimum"
    else:
        least, kind = penalty * scatter / (scatter + penalty), "degenerate minimum"
    return [(weight, weight, least, kind, 0), (-weight, -weight, least, kind, 0), origin]


@pytest.mark.parametrize("name", ["light", "dark", "phone"])
def test_the_page_is_whole_and_for_everybody(look, lab, name):  # noqa: F811
    """Nothing asked elsewhere, nothing complained of, accessible, no wider than the window."""
    page = look(name)
    page.goto(lab)
    is_drawn(page)
    expect(page.locator("#ends tbody tr")).to_have_count(4, timeout=PATIENCE_MS)
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    violations = Axe().run(page).response["violations"]
    assert violations == [], [(one["id"], [node["html"] for node in one["nodes"]]) for one in violations]
    picture(page, f"lab-{name}")
    assert all(url.startswith((lab, "data:", f"blob:{lab}")) for url in page.asked), page.asked
    assert complaints(page) == []


def test_sliders_move_the_critical_points_to_where_the_formula_says(look, lab):  # noqa: F811
    """All three losses, several x² and λ, and λ > x², where the minima merge at the origin."""
    page = look()
    page.goto(lab)
    is_drawn(page)
    for loss, scatter, penalty in [
        ("sum", 1, 0.25), ("sum", 2.5, 0.5), ("sum", 0.5, 1.5), ("sum", 1, 1.01),
        ("product", 1, 0.25), ("product", 3, 2), ("none", 1, 2), ("none", 0.4, 0),
    ]:  # fmt: skip
        page.select_option("#loss", loss)
        slide(page, "scatter", scatter)
        slide(page, "lambda", penalty)
        expect(page.locator("#scatter-is")).to_have_text(f"{scatter:g}")
        penalty = 0 if loss == "none" else penalty
        expected = expected_points(loss, scatter, penalty)
        for view in ("contours", "surface"):
            shows(page, view, "critical points", [point[:2] for point in expected])
        lines = page.locator("#critical tbody tr")
        expect(lines).to_have_count(len(expected))
        for line, (w1, w2, value, kind, index) in zip(lines.all(), expected):
            shown = [cell.replace("−", "-") for cell in line.locator("th,td").all_inner_texts()]
            assert [float(cell) for cell in shown[1:4]] == pytest.approx([w1, w2, value], rel=1e-6), loss
            assert (shown[4], shown[5]) == (kind, str(index))
        if loss != "sum":
            curve = drawn(page, "contours", "curve of minima")
            products = [w1 * w2 for w1, w2 in zip(curve["x"], curve["y"]) if w1 is not None]
            np.testing.assert_allclose(products, scatter / (scatter + penalty), rtol=1e-12)
            assert len(products) > 50
    # The surface is the loss.
    page.select_option("#loss", "sum")
    slide(page, "scatter", 1)
    slide(page, "lambda", 0.25)
    expect(page.locator("#theory")).to_contain_text("At λ = 0.25 and x² = 1 the sum loss has two minima, at ±(0.866, 0.866)")
    shows(page, "surface", "critical points", [point[:2] for point in expected_points("sum", 1, 0.25)])
    surface = drawn(page, "surface", "loss")
    w1, w2 = np.meshgrid(surface["x"], surface["y"])
    np.testing.assert_allclose(surface["z"], (1 - w1 * w2) ** 2 + 0.25 * (w1**2 + w2**2), rtol=1e-12)
    assert complaints(page) == []


@pytest.mark.parametrize("loss", ["none", "product", "sum"])
def test_every_algorithm_ends_where_an_independent_iteration_ends(lab, loss):
    """Full batch, several numbers, to 1e-9."""
    for scatter, penalty, step, start in [(1, 0.25, 0.1, (-0.4, 1.8)), (2.5, 0.5, 0.05, (1.3, 0.2)), (0.5, 1.5, 0.2, (-1, -2))]:
        answer = scalar(lab, loss=loss, scatter=scatter, step=step, w1=start[0], w2=start[1], **{"lambda": penalty})
        used = 0 if loss == "none" else penalty
        assert answer["lambda"] == used
        for walk in answer["trajectories"]:
            iterations, w1, w2 = iterate(walk["algorithm"], loss, scatter, used, step, *start)
            assert len(walk["points"]) == iterations + 1, walk["algorithm"]
            assert walk["points"][-1] == pytest.approx([w1, w2], abs=1e-9), walk["algorithm"]
            assert walk["outcome"] == ("converged" if iterations < ITERATIONS else "moving")
    assert [walk["algorithm"] for walk in answer["trajectories"]] == ["untied", "synchronized", "tied", "alternating"]


def test_a_click_on_the_contours_starts_there(look, lab):  # noqa: F811
    """All four trajectories on both views, and their ends in the table."""
    page = look()
    page.emulate_media(reduced_motion="reduce")
    page.goto(lab)
    is_drawn(page)
    box = page.locator("#contours .nsewdrag").bounding_box()
    reach = 2.2
    wanted = (1.5, -0.5)
    page.mouse.click(
        box["x"] + box["width"] * (wanted[0] / reach + 1) / 2, box["y"] + box["height"] * (1 - wanted[1] / reach) / 2
    )
    for view in ("contours", "surface"):
        comes(page, lambda: abs(drawn(page, view, "start")["x"][0] - wanted[0]) < 0.02)
    w1, w2 = (float(page.input_value(f"#{name}")) for name in ("w1", "w2"))
    # To a pixel.
    assert (w1, w2) == pytest.approx(wanted, abs=0.02)
    answer = scalar(lab, w1=w1, w2=w2)
    for walk, line in zip(answer["trajectories"], page.locator("#ends tbody tr").all()):
        for view in ("contours", "surface"):
            shows(page, view, walk["algorithm"], walk["points"])
        iterations, *end = iterate(walk["algorithm"], "sum", 1, 0.25, 0.1, w1, w2)
        shown = [cell.replace("−", "-").replace("\u202f", "") for cell in line.locator("th,td").all_inner_texts()]
        assert (shown[0], int(shown[1])) == (walk["algorithm"], iterations)
        assert [float(cell) for cell in shown[2:4]] == pytest.approx(end, rel=1e-6)
        assert shown[5] == "converged at a minimum"
    assert complaints(page) == []


def test_the_keyboard_is_enough(look, lab):  # noqa: F811
    """Fields and a button instead of a click; arrows on sliders; the replay; the surface turns."""
    page = look()
    page.emulate_media(reduced_motion="reduce")
    page.goto(lab)
    is_drawn(page)
    page.locator("#w1").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("-1.25")
    page.keyboard.press("Tab")
    page.keyboard.type("0.75")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    shows(page, "contours", "start", [(-1.25, 0.75)])
    answer = scalar(lab, w1=-1.25, w2=0.75)
    shows(page, "surface", "untied", answer["trajectories"][0]["points"])
    page.locator("#lambda").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#lambda-is")).to_have_text("0.26")
    shows(page, "contours", "critical points", [point[:2] for point in expected_points("sum", 1, 0.26)])
    page.locator("#iteration").focus()
    page.keyboard.press("Home")
    shows(page, "contours", "untied", [(-1.25, 0.75)])
    page.keyboard.press("ArrowRight")
    expect(page.locator("#iteration-is")).to_contain_text("1 of")
    page.locator("#play").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#play")).to_have_text("Play", timeout=PATIENCE_MS)
    shows(page, "contours", "untied", scalar(lab, w1=-1.25, w2=0.75, **{"lambda": 0.26})["trajectories"][0]["points"])
    before = turned(page)
    page.get_by_label("Turn the surface to the left").focus()
    page.keyboard.press("Enter")
    comes(page, lambda: turned(page) == pytest.approx(before - 15))
    page.get_by_label("untied").focus()
    page.keyboard.press("Space")
    comes(page, lambda: drawn(page, "contours", "untied")["x"] == drawn(page, "surface", "untied")["x"] == [])
    # What is no start is not started from.
    page.fill("#w1", "")
    page.get_by_role("button", name="Start here").click()
    shows(page, "contours", "start", [(-1.25, 0.75)])
    assert complaints(page) == []


def test_a_start_is_played_to_its_end(look, lab):  # noqa: F811
    """For those who do not mind motion."""
    page = look()
    page.goto(lab)
    is_drawn(page)
    page.fill("#w1", "1.5")
    page.get_by_role("button", name="Start here").click()
    expect(page.locator("#play")).to_have_text("Pause", timeout=PATIENCE_MS)
    expect(page.locator("#play")).to_have_text("Play", timeout=PATIENCE_MS)
    for walk in scalar(lab, w1=1.5)["trajectories"]:
        shows(page, "surface", walk["algorithm"], walk["points"])
    assert complaints(page) == []


def test_a_turned_surface_stays_turned(look, lab):  # noqa: F811
    """A pointer turns it; what is drawn anew is seen from the same side."""
    page = look()
    page.goto(lab)
    is_drawn(page)
    page.wait_for_timeout(500)
    before = turned(page)
    box = page.locator("#surface canvas").first.bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 210, steps=8)
    page.mouse.up()
    comes(page, lambda: abs(turned(page) - before) > 5)
    page.wait_for_timeout(500)
    after = turned(page)
    slide(page, "lambda", 0.5)
    shows(page, "surface", "critical points", [point[:2] for point in expected_points("sum", 1, 0.5)])
    page.wait_for_timeout(500)
    assert turned(page) == pytest.approx(after, abs=0.5)
    assert complaints(page) == []


def test_a_browser_without_webgl_has_the_contours(look, lab):  # noqa: F811
    """And is told why there is no surface."""
    page = look()
    page.add_init_script(
        "const get = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...rest)"
        " { return kind.includes('webgl') ? null : get.call(this, kind, ...rest); };"
    )
    page.goto(lab)
    expect(page.locator("#contours .main-svg").first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("[data-picture=surface] figcaption")).to_contain_text("no WebGL")
    expect(page.get_by_label("Turn the surface to the left")).to_be_disabled()
    assert complaints(page) == []


def test_a_lost_connection_is_told_and_found_again(look, lab):  # noqa: F811
    """By itself."""
    page = look()
    page.goto(lab)
    is_drawn(page)
    page.route("**/api/v1/scalar*", lambda route: route.abort())
    slide(page, "lambda", 0.5)
    expect(page.locator("#connection")).to_contain_text("no connection", timeout=PATIENCE_MS)
    page.unroute("**/api/v1/scalar*")
    expect(page.locator("#connection")).to_have_text("live", timeout=PATIENCE_MS)
    shows(page, "contours", "critical points", [point[:2] for point in expected_points("sum", 1, 0.5)])


def test_pictures_are_given_away(look, lab):  # noqa: F811
    """The surface too, which is drawn by WebGL."""
    page = look()
    page.goto(lab)
    is_drawn(page)
    for view in ("contours", "surface"):
        for kind, begins in [("svg", b"<svg"), ("png", b"\x89PNG"), ("csv", b""), ("json", b"[")]:
            with page.expect_download() as download:
                page.click(f"[data-picture={view}] [data-kind={kind}]")
            with open(download.value.path(), "rb") as file:
                content = file.read()
            assert content.startswith(begins) and len(content) > 1000, (view, kind)
    assert complaints(page) == []


def test_noise_changes_with_the_seed_and_not_without(look, lab):  # noqa: F811
    """The same seed is the same noise; all rows have none; the button makes another."""
    ends = lambda **other: [walk["points"] for walk in scalar(lab, **other)["trajectories"]]
    assert ends(minibatch=10, seed=3) == ends(minibatch=10, seed=3)
    assert all(one != other for one, other in zip(ends(minibatch=10, seed=3), ends(minibatch=10, seed=4)))
    assert ends(seed=3) == ends(seed=4)
    # The noise is that of the rows: its size by the moments of a normal.
    walk = scalar(lab, loss="none", minibatch=100, seed=5, step=1e-6, w1=0, w2=0.5)["trajectories"][0]["points"]
    steps = np.diff([w1 for w1, _ in walk]) / (1e-6 * 0.5)
    assert np.mean(steps) == pytest.approx(1, abs=0.02)
    assert np.std(steps) == pytest.approx(np.sqrt(2 * (1 / 100 - 1 / 1000)), rel=0.15)
    page = look()
    page.emulate_media(reduced_motion="reduce")
    page.goto(lab)
    is_drawn(page)
    before = drawn(page, "contours", "untied")
    with page.expect_response("**/api/v1/scalar*"):
        page.click("#new-noise")
    page.wait_for_timeout(500)
    assert drawn(page, "contours", "untied") == before
    slide(page, "minibatch", MINIBATCHES.index(10))
    expect(page.locator("#minibatch-is")).to_have_text("10")
    for _ in range(2):
        seed = int(page.input_value("#seed"))
        shows(page, "contours", "untied", scalar(lab, minibatch=10, seed=seed)["trajectories"][0]["points"])
        page.click("#new-noise")
        assert int(page.input_value("#seed")) != seed
    assert complaints(page) == []


def test_what_does_not_fit_is_refused_by_name(lab):
    """400, the parameter and its range; and nothing can be sent."""
    for name, bad in [("w1", "nan"), ("lambda", "-1"), ("scatter", "inf"), ("step", "1e999"), ("minibatch", "0"), ("loss", "l1"), ("seed", "")]:
        answer = requests.get(lab + "api/v1/scalar", params=QUERY | {name: bad}, timeout=PATIENCE_S)
        assert answer.status_code == 400 and f"`{name}` is `{bad}`; use" in answer.json()["detail"], answer.text
    assert requests.get(lab + "api/v1/scalar", timeout=PATIENCE_S).status_code == 400
    assert requests.post(lab + "api/v1/scalar", timeout=PATIENCE_S).status_code == 405
    assert requests.get(lab + "nothing", timeout=PATIENCE_S).status_code == 404
    headers = {"Host": "example.org"}
    assert requests.get(lab, headers=headers, timeout=PATIENCE_S).status_code == 421
    policy = requests.get(lab, timeout=PATIENCE_S).headers["Content-Security-Policy"]
    assert "unsafe" not in policy and "default-src 'none'" in policy


def test_only_loopback_is_listened_on():
    """Another address is a usage error that says what to do."""
    ended = subprocess.run([PROGRAM, "lab", "--listen", "0.0.0.0:8080"], capture_output=True, text=True, timeout=PATIENCE_S)
    assert ended.returncode == 2 and "use 127.0.0.1:8080" in ended.stderr, ended.stderr


def test_it_ends_by_a_signal_and_says_when_a_port_is_taken():
    """By Ctrl-C as by a service manager."""
    process = subprocess.Popen([PROGRAM, "lab", "--listen", "localhost:0"], stdout=subprocess.PIPE, text=True)
    url = process.stdout.readline().strip()
    port = int(re.fullmatch(r"http://127\.0\.0\.1:(\d+)/", url).group(1))
    ended = subprocess.run([PROGRAM, "lab", "--listen", f"127.0.0.1:{port}"], capture_output=True, text=True, timeout=PATIENCE_S)
    assert ended.returncode == 1 and f"--listen 127.0.0.1:{port}: " in ended.stderr, ended.stderr
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 0
    helped = subprocess.run([PROGRAM, "lab", "--help"], capture_output=True, text=True, timeout=PATIENCE_S)
    assert "Examples:" in helped.stdout and "--listen" in helped.stdout
