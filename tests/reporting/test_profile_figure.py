"""Figures are drawn from what was sampled: panels, shades and lines are those of the samples."""

import csv

import pytest

from autoseg.core.errors import BadInput
from autoseg.reporting.profile_figure import draw_memory_by_classes, draw_samples, read_samples
from autoseg.runtime.profiling import COLUMNS


def write_samples(path, gpu=False):
    """Two subjects of 10 s each, with a gap of 3 s between them."""
    rows = []
    for begin, subject in ((0, "2d torch"), (13, "2d openvino")):
        for second in range(1, 11):
            phase = "rest" if second < 3 else "train" if second < 8 else "predict"
            figures = [97, 4.5, 28.1, 61, 68.5] if gpu else [""] * 5
            rows.append([begin + second, 1, subject, phase, 20 * second, 1 + second / 10, *figures, "", "", "", ""])
    with path.open("w", newline="") as lines:
        csv.writer(lines).writerows([COLUMNS, *rows])
    return path


def test_samples_are_numbers_and_half_a_row_is_left_out(tmp_path):
    path = write_samples(tmp_path / "samples.csv")
    with path.open("a") as lines:
        lines.write("24.0,1,2d op")
    rows = read_samples(path)
    assert len(rows) == 20
    assert (rows[0]["time_s"], rows[0]["phase"], rows[0]["gpu_percent"]) == (1.0, "rest", None)


@pytest.mark.parametrize(("text", "problem"), [("a,b\n1,2\n", "columns"), (",".join(COLUMNS) + "\n", "no samples")])
def test_another_file_is_refused(tmp_path, text, problem):
    path = tmp_path / "samples.csv"
    path.write_text(text)
    with pytest.raises(BadInput, match=problem):
        read_samples(path)


@pytest.mark.parametrize(("gpu", "panels"), [(False, 2), (True, 6)])
def test_a_panel_for_each_quantity_with_the_phases_behind(tmp_path, gpu, panels):
    figure = draw_samples(read_samples(write_samples(tmp_path / "samples.csv", gpu)))
    assert len(figure.axes) == panels
    shades = [patch for patch in figure.axes[1].patches if patch.get_facecolor()[:3] != (1, 1, 1)]
    spans = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in shades]
    assert spans == [(0, 2), (2, 7), (7, 10), (13, 15), (15, 20), (20, 23)]
    curves = [line for line in figure.axes[1].lines if len(line.get_xdata()) > 2]
    assert [(line.get_xdata()[0], line.get_xdata()[-1]) for line in curves] == [(0, 10), (13, 23)]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["rest", "train", "predict"]


def test_memory_by_classes_shows_what_fitted_and_the_line():
    points = {"2d": ((2, 8, 32, 118), (1.0, 1.06, 1.3, None))}
    figure = draw_memory_by_classes(points, {"2d": (0.01, 0.98)})
    dots, line = figure.axes[0].lines
    assert list(dots.get_xdata()) == [2, 8, 32]
    assert list(line.get_ydata()) == pytest.approx([1.0, 2.16])
    assert line.get_label() == "10.00 MB a class"
