"""The page of a report in a real browser: drawn, marked, exported, silent, without the network.

Needs Debian's ``chromium`` (or ``$AUTOSEG_CHROMIUM``) and Playwright; skipped where they are missing.
"""

import csv
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autoseg.reporting.figure_files import png_bytes, svg_text
from autoseg.reporting.page import Figure, Gallery, Page, Section, ShownCase, Table, render
from autoseg.reporting.score_plots import draw_by_label
from autoseg.reporting.viewer_volumes import base64_text, viewer_volumes

CHROMIUM = os.environ.get("AUTOSEG_CHROMIUM") or shutil.which("chromium")
WITHOUT_NETWORK = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
SOFTWARE = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
WIDTH, HEIGHT = 1280, 900
ORANGE, BLUE, GREEN = (230, 159, 0), (0, 114, 178), (0, 158, 115)


@pytest.fixture(scope="module")
def launch() -> Iterator[Any]:
    """``launch(*arguments)`` -> a browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as running:
        started = []

        def start(*arguments: str) -> Any:
            started.append(running.chromium.launch(executable_path=CHROMIUM, args=[*WITHOUT_NETWORK, *arguments]))
            return started[-1]

        yield start
        for one in started:
            one.close()


@pytest.fixture(scope="module")
def browser(launch: Any) -> Any:
    return launch(*SOFTWARE)


def case(name: str, seed: int) -> ShownCase:
    """Two blocks in noise; the segmentation lacks a part of the first."""
    random = np.random.default_rng(seed)
    image = random.normal(50, 5, (40, 36, 32)).astype(np.float32)
    reference = np.zeros(image.shape, np.uint8)
    reference[5:15, 10:25, 8:24] = 1
    reference[22:34, 10:25, 8:24] = 2
    segmentation = reference.copy()
    segmentation[5:15, 10:25, 8:12] = 0
    errors = (segmentation != reference).astype(np.uint8)
    maps = {"reference": reference, "segmentation": segmentation, "errors": errors}
    channels = {"T1w": image, "T2w": 200 - image}
    volumes = viewer_volumes(channels, maps, np.diag([2.0, 2.0, 2.0, 1.0]))
    picture = base64_text(png_bytes(np.full((40, 60, 3), 90, np.uint8)))
    return ShownCase(name, "site", "site/sub-1", "", "worst", {"Dice": "0.9"}, list(channels), volumes.encoded, picture)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cases = [case(f"case, {number}", number) for number in range(3)]
    labels = {1: ("cord", "#0072B2"), 2: ("lesion", "#E69F00")}
    rows = [
        {"case": str(n), "domain": "site", "labels": {"cord": {"dice": 0.9 - n / 50, "hd95_mm": n}}} for n in range(5)
    ]
    boxes = Figure(svg_text(draw_by_label(rows), "boxes", "Box plots"), "Boxes")
    sections = [Section("Scores", [Table(("label", "Dice"), [("cord", "0.9")]), boxes])]
    facts = {f"fact {number}": "a_long_name_of_a_configuration" for number in range(7)}
    made = Page("A report", ["Summary."], facts, sections, "test", "footer", Gallery(cases, labels, "Look."), "Tiny")
    target = tmp_path_factory.mktemp("page") / "report.html"
    target.write_text(render(made), encoding="utf-8")
    return target


class Opened:
    """A page that was opened, and what it asked for and complained of."""

    def __init__(self, browser: Any, path: Path, **how: Any) -> None:
        self.context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, **how)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(path.as_uri())
        self.shown("case, 0")

    def shown(self, name: str) -> None:
        self.page.wait_for_selector(f'html[data-shown="{name}"]', state="attached", timeout=60_000)

    def share(self, colour: tuple[int, int, int], tolerance: int = 60) -> float:
        """The share of the canvas whose hue is near that of ``colour``: overlays are mixed with grey."""
        from PIL import Image

        self.page.wait_for_timeout(300)
        picture = np.asarray(
            Image.open(io.BytesIO(self.page.locator("#canvas").screenshot())).convert("RGB"), np.float64
        )
        saturation = picture - picture.mean(axis=-1, keepdims=True)
        wanted = np.asarray(colour) - np.mean(colour)
        size = np.linalg.norm(saturation, axis=-1)
        cosine = saturation @ wanted / np.maximum(size * np.linalg.norm(wanted), 1e-9)
        return float(((size > tolerance / 2) & (cosine > 0.97)).mean())


@pytest.fixture
def opened(browser: Any, path: Path) -> Iterator[Opened]:
    one = Opened(browser, path, accept_downloads=True)
    yield one
    one.context.close()


def test_image_and_labels_are_drawn_in_silence_and_offline(opened, path):
    assert [one for one in opened.requests if not one.startswith(("data:", "blob:"))] == [path.as_uri()]
    assert opened.share(ORANGE) > 0.01
    assert opened.share(BLUE) > 0.005
    assert opened.complaints == []
    assert "segmentation:" in opened.page.locator("#location").inner_text()


def test_labels_and_layers_are_switched(opened):
    page = opened.page
    before = opened.share(ORANGE)
    page.locator('[data-label="lesion"]').uncheck()
    assert opened.share(ORANGE) < before / 5  # the cross is of a similar colour
    page.locator('[data-label="lesion"]').check()
    assert opened.share(ORANGE) == pytest.approx(before, rel=0.1)
    page.keyboard.press("2")
    assert not page.locator('[data-layer="segmentation"]').is_checked()
    assert opened.share(ORANGE) < before / 5  # the cross is of a similar colour
    assert opened.complaints == []


def test_views_channels_and_cases_change_the_picture(opened):
    page = opened.page
    first = page.locator("#canvas").screenshot()
    page.get_by_role("button", name="axial").click()
    page.wait_for_timeout(300)
    axial = page.locator("#canvas").screenshot()
    page.locator("#channel").select_option("T2w")
    page.wait_for_timeout(1000)
    other = page.locator("#canvas").screenshot()
    page.keyboard.press("j")
    opened.shown("case, 1")
    assert len({first, axial, other}) == 3
    page.keyboard.press("k")
    opened.shown("case, 0")
    assert opened.complaints == []


def test_marks_are_kept_exported_and_come_back(opened, path, tmp_path):
    page = opened.page
    page.keyboard.press("f")
    page.locator("#comment").fill('too "short", p')
    page.locator("#case-name").click()
    page.keyboard.press("j")
    opened.shown("case, 1")
    page.keyboard.press("e")
    page.keyboard.press("j")
    opened.shown("case, 2")
    page.keyboard.press("p")
    page.keyboard.press("p")  # unmarked again
    assert page.locator("#marked").inner_text() == "2 of 3 marked: 1 fail, 1 needs-edit"
    with page.expect_download() as waiting:
        page.locator("#export").click()
    assert waiting.value.suggested_filename == "Tiny_marks.csv"
    waiting.value.save_as(tmp_path / "marks.csv")
    with (tmp_path / "marks.csv").open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    assert [(row["case"], row["domain"], row["mark"], row["comment"]) for row in rows] == [
        ("case, 0", "site", "fail", 'too "short", p'),
        ("case, 1", "site", "needs-edit", ""),
    ]
    page.reload()
    opened.shown("case, 0")
    assert page.locator("#marked").inner_text() == "2 of 3 marked: 1 fail, 1 needs-edit"
    assert page.locator('[data-mark="fail"]').get_attribute("aria-pressed") == "true"
    assert opened.complaints == []


def test_without_webgl_there_are_pictures(launch, path):
    one = Opened(launch("--no-sandbox", "--disable-gpu", "--disable-3d-apis"), path)
    assert one.page.locator("#fallback img").get_attribute("alt") == "case, 0"
    one.page.keyboard.press("f")
    assert "1 fail" in one.page.locator("#marked").inner_text()
    one.context.close()


@pytest.mark.parametrize("width", [1280, 800])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_runs_over_the_side_and_text_can_be_read(browser, path, width, scheme):
    one = Opened(browser, path, color_scheme=scheme)
    one.page.set_viewport_size({"width": width, "height": HEIGHT})
    wide = one.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width
    found = one.page.evaluate(Path(__file__).with_name("accessibility.js").read_text(encoding="utf-8").rstrip(";\n"))
    ratios = found["ratios"]
    assert len(ratios) > 20
    assert min(ratios.values()) >= 4.5, min(ratios, key=ratios.get)
    assert found["nameless"] == []
    one.context.close()
