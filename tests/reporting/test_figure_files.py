"""Figures repeat as files, and in a page are themed, small and without collisions."""

import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from autoseg.reporting.figure_files import LARGEST_SCALE, png_bytes, save, style, svg_text


@pytest.fixture
def figure():
    with style():
        made = Figure(figsize=(4, 2), layout="constrained")
        axes = made.subplots()
        axes.plot([0, 1], [0, 1], color="#0072B2", label="blue & black")
        axes.scatter([0, 1, 2], [0.5, 0.2, 0.1], color="black", alpha=0.4)
        axes.axhline(0.5, color="0.8")
        axes.plot([0.5], [0.5], "D", color="white", markeredgecolor="black")
        axes.bar([2], [1], color="#E69F00", hatch="//", edgecolor="0.2")
        axes.legend(frameon=False)
        axes.set_title("bold", fontweight="bold")
        axes.set_xlabel("time (s)")
    return made


def parsed(figure, prefix="one", description="A line"):
    return ElementTree.fromstring(svg_text(figure, prefix, description))


def test_both_files_repeat(figure, tmp_path):
    written = save(figure, tmp_path / "deep" / "a.b")
    assert written == [tmp_path / "deep" / "a.b.svg", tmp_path / "deep" / "a.b.png"]
    assert sorted((tmp_path / "deep").iterdir()) == sorted(written)
    assert [path.read_bytes() for path in save(figure, tmp_path / "again")] == [path.read_bytes() for path in written]
    with Image.open(written[1]) as picture:
        assert picture.size == (600, 300)


def test_the_page_gets_an_image_with_a_name(figure):
    root = parsed(figure, description='Dice < 1 & "more"')
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert (root.get("role"), root.get("aria-label")) == ("img", 'Dice < 1 & "more"')
    assert (root.get("width"), root.get("height")) == (None, None)
    assert root.get("style").startswith(f"width: 100%; max-width: {LARGEST_SCALE * 288:.0f}px")
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert not tags & {"style", "metadata", "script"}
    assert svg_text(figure, "one", "A line") == svg_text(figure, "one", "A line")


def test_greys_follow_the_page_and_colours_stay(figure):
    text = svg_text(figure, "one", "A line")
    colours = {colour.lower() for colour in re.findall("#[0-9a-fA-F]{6}", text)}
    assert {"#0072b2", "#e69f00"} <= colours
    assert all(len({colour[1:3], colour[3:5], colour[5:7]}) > 1 for colour in colours)
    root = parsed(figure)
    assert root.get("fill") == "currentColor"
    assert not [element for element in root.iter() if "#ffffff" in element.get("style", "").lower()]
    light = [element for element in root.iter() if "stroke-opacity: 0.2" in element.get("style", "")]
    assert light  # the line of 80 % grey
    assert all("stroke: currentColor" in element.get("style") for element in light)


def test_text_is_text_in_the_font_of_the_page(figure):
    root = parsed(figure)
    texts = {element.text: element.get("style") for element in root.iter() if element.tag.endswith("}text")}
    assert {"time (s)", "blue & black", "bold"} <= set(texts)
    assert all("font-size: " in look and "font-family" not in look and "font:" not in look for look in texts.values())
    assert "font-weight: 700" in texts["bold"]


def test_two_figures_of_a_page_do_not_collide(figure):
    ids = []
    for prefix in ("one", "two"):
        text = svg_text(figure, prefix, "A line")
        own = re.findall(r'\bid="([^"]*)"', text)
        used = re.findall(r'href="#([^"]*)"', text) + re.findall(r"url\(#([^)]*)\)", text)
        assert used
        assert set(used) <= set(own)
        assert len(own) == len(set(own))
        ids += own
    assert len(ids) == len(set(ids))


def test_points_share_their_look(figure):
    root = parsed(figure)
    groups = [group for group in root.iter() if sum(child.tag.endswith("}use") for child in group) == 3]
    looks = [group.get("style") for group in groups if "fill-opacity: 0.4" in group.get("style", "")]
    assert len(looks) == 1
    assert "fill: " not in looks[0]  # that of the whole


def test_a_picture_as_png_is_the_same_picture():
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    with Image.open(io.BytesIO(png_bytes(picture))) as read:
        np.testing.assert_array_equal(np.asarray(read.convert("RGB")), picture)
    assert png_bytes(picture) == png_bytes(picture)
