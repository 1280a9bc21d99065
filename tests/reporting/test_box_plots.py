"""Nothing in a figure overlaps or leaves it, for as many methods and labels as were promised."""

from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from autoseg.reporting.box_plots import BoxGroup, draw, split_into_panels, wrapped, write_box_plots

NAMES = ["VoxHRNet", "U-Net", "VoxResNet", "U-Net++", "FastSurfer", "nnU-Net 3d_fullres", "JLF", "MA-FCN", "ninth"]
LABELS = [f"{side} {name}" for side in ("left", "right") for name in ("hippocampus", "superior frontal gyrus", "pole")]


def groups_of(labels, methods, marks=True, number=12):
    rng = np.random.default_rng(0)
    return [
        BoxGroup(
            title=label,
            values={name: rng.normal(0.8, 0.03, number).tolist() for name in methods},
            marks=dict.fromkeys(methods[1:], "***") if marks else {},
        )
        for label in labels
    ]


def texts_of(figure):
    """The places of all texts that are seen, in pixels."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    texts = [text for axis in figure.axes for text in [*axis.texts, *axis.get_xticklabels()] if text.get_text()]
    texts += [text for legend in figure.legends for text in legend.get_texts()]
    if figure._supxlabel:
        texts.append(figure._supxlabel)
    return [(text.get_text(), text.get_window_extent(renderer)) for text in texts], canvas.get_width_height()


@pytest.mark.parametrize(("num_labels", "num_methods"), [(1, 2), (1, 8), (2, 2), (3, 9), (20, 8)])
def test_texts_neither_overlap_nor_leave_the_figure(num_labels, num_methods):
    labels = (LABELS * 4)[:num_labels]
    figure = draw(groups_of(labels, NAMES[:num_methods]), NAMES[:num_methods], "Dice", "A caption of words. " * 12)
    placed, (width, height) = texts_of(figure)
    assert len(placed) >= num_labels * (num_methods - 1)
    for text, box in placed:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
    stars = [box for text, box in placed if text == "***"]
    others = [(text, box) for text, box in placed if text != "***"]
    for place, (text, box) in enumerate(others):
        for other, its_box in others[:place]:
            assert not box.overlaps(its_box), (text, other)
    for place, box in enumerate(stars):
        assert not any(box.overlaps(other) for other in stars[:place])


def test_both_files_are_written_and_repeat(tmp_path):
    groups = groups_of(LABELS[:2], NAMES[:3])
    written = write_box_plots(groups, NAMES[:3], tmp_path / "dice_labels", "Dice", "Caption.")
    assert written == [tmp_path / "dice_labels.svg", tmp_path / "dice_labels.png"]
    assert sorted(tmp_path.iterdir()) == sorted(written)
    assert ElementTree.parse(written[0]).getroot().tag.endswith("svg")
    with Image.open(written[1]) as picture:
        assert min(picture.size) >= 400
    again = write_box_plots(groups, NAMES[:3], tmp_path / "again", "Dice", "Caption.")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in written]


def test_boxes_are_quartiles_and_points_are_all_scores():
    values = {"one": [0.1, 0.2, 0.3, 0.4, 0.9], "two": [0.5, 0.7]}
    figure = draw([BoxGroup("it", values, {"two": "*"})], ["one", "two"], "Dice", "")
    (axis,) = figure.axes
    boxes = [patch.get_path().vertices for patch in axis.patches]
    assert [(box[:, 1].min(), box[:, 1].max()) for box in boxes] == [
        pytest.approx((0.2, 0.4)),
        pytest.approx((0.55, 0.65)),
    ]
    points = [sorted(collection.get_offsets()[:, 1].tolist()) for collection in axis.collections]
    assert points == [values["one"], values["two"]]
    assert [text.get_text() for text in axis.texts] == ["*"]
    assert axis.texts[0].xy == (1, 0.7)


def test_methods_and_labels_without_scores_leave_their_place_empty():
    groups = [BoxGroup("front", {"one": [], "two": [0.5]}, {}), BoxGroup("back", {}, {})]
    figure = draw(groups, ["one", "two"], "Dice", "")
    assert len(figure.axes[0].patches) == 1
    assert len(draw([BoxGroup("none", {}, {})], ["one", "two"], "Dice", "").axes) == 1


def test_panels_have_about_the_same_number_of_groups():
    assert [len(panel) for panel in split_into_panels(groups_of(["a"] * 20, NAMES[:8]), 8)] == [5, 5, 5, 5]
    assert [len(panel) for panel in split_into_panels(groups_of(["a"] * 11, NAMES[:8]), 8)] == [4, 4, 3]
    assert len(split_into_panels(groups_of(["parahippocampal"] * 20, NAMES[:1]), 1)) == 4  # of boxes alone, one


def test_titles_are_broken_between_words():
    assert wrapped("left superior frontal gyrus", 14) == "left superior\nfrontal gyrus"
    assert wrapped("fusiform_gyrus", 10) == "fusiform_\ngyrus"
    assert wrapped("hippocampus", 4) == "hippocampus"
