"""Curves show what progress.jsonl holds, of one epoch and of a thousand, of one fold and of several."""

import json

import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.reporting.curves import draw_curves, mean_over_folds, moving_mean, read_progress, window
from tests.reporting.figure_texts import assert_texts_have_room


def progress(number, labels=("front", "back"), seed=0, start=0.0):
    rng, best, lines = np.random.default_rng(seed), (-1.0, 0), []
    for epoch in range(number):
        dice = {label: float(start + 0.9 * epoch / number + 0.01 * rng.random()) for label in labels}
        mean = sum(dice.values()) / len(dice)
        best = max(best, (mean, epoch))
        lines.append(
            {"epoch": epoch, "loss": 1 - mean, "validation_loss": 1.1 - mean, "patch_dice": dice,
             "mean_patch_dice": mean, "best_dice": best[0], "best_epoch": best[1]}
        )  # fmt: skip
    return lines


def lines_of(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_reading_leaves_out_what_is_still_being_written(tmp_path):
    path = tmp_path / "progress.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in progress(3)) + '{"epoch": 3, "lo')
    assert read_progress(path) == progress(3)


@pytest.mark.parametrize(
    ("text", "problem"), [("", "no epoch"), ("nonsense\n", "no progress"), ("[1]\n", "no progress")]
)
def test_other_files_are_refused(tmp_path, text, problem):
    path = tmp_path / "progress.jsonl"
    path.write_text(text)
    with pytest.raises(BadInput, match=problem):
        read_progress(path)


def test_one_fold_is_drawn_as_it_is():
    lines = progress(12)
    left, right = draw_curves({"fold0": lines}).axes
    drawn = lines_of(left)
    assert set(drawn) == {"training", "validation"}
    np.testing.assert_allclose(drawn["training"].get_ydata(), [line["loss"] for line in lines])
    np.testing.assert_allclose(drawn["validation"].get_ydata(), [line["validation_loss"] for line in lines])
    drawn = lines_of(right)
    assert set(drawn) == {"front", "back", "mean of labels", "best weights"}
    np.testing.assert_allclose(drawn["back"].get_ydata(), [line["patch_dice"]["back"] for line in lines])
    assert drawn["best weights"].get_xdata().tolist() == [lines[-1]["best_epoch"]]
    assert drawn["best weights"].get_ydata().tolist() == [lines[-1]["best_dice"]]


def test_several_folds_are_thin_and_their_mean_is_thick():
    folds = {"fold0": progress(5, seed=1), "fold1": progress(8, seed=2)}
    left, right = draw_curves(folds).axes
    thin = [line for line in left.lines if line.get_linewidth() < 1]
    assert [len(line.get_xdata()) for line in thin] == [5, 8, 5, 8]
    thick = lines_of(left)["training"]
    expected = [(folds["fold0"][epoch]["loss"] + folds["fold1"][epoch]["loss"]) / 2 for epoch in range(5)]
    np.testing.assert_allclose(thick.get_ydata(), expected)
    assert thick.get_linewidth() > 1.5
    best = lines_of(right)["best weights"]
    assert best.get_xdata().tolist() == [lines[-1]["best_epoch"] for lines in folds.values()]


def test_a_value_that_a_fold_lacks_has_no_part_in_the_mean():
    epochs = np.arange(3.0)
    series = [(epochs, np.array([1.0, np.nan, np.nan])), (epochs[:2], np.array([3.0, 5.0]))]
    along, means = mean_over_folds(series)
    assert along.tolist() == [0, 1]
    assert means.tolist() == [2, 5]


def test_moving_mean_by_hand():
    values = np.array([1.0, 2, np.nan, 4, 10])
    np.testing.assert_allclose(moving_mean(values, 3), [1.5, 1.5, np.nan, 7, 7])
    assert window(1000) == 21


def test_many_labels_are_a_range_with_the_worst_named():
    labels = [f"region {number}" for number in range(20)]
    lines = progress(6, labels)
    for line in lines:
        line["patch_dice"]["region 7"] = 0.0
    _, right = draw_curves({"fold0": lines}).axes
    assert set(lines_of(right)) == {"worst: region 7", "mean of labels", "best weights"}
    whole = right.collections[0].get_datalim(right.transData)
    assert whole.y0 == pytest.approx(0)
    assert whole.y1 == pytest.approx(max(max(line["patch_dice"].values()) for line in lines))


def test_undefined_and_missing_values_leave_gaps():
    lines = progress(4)
    lines[2]["patch_dice"]["front"] = None
    lines[1]["validation_loss"] = float("nan")
    left, right = draw_curves({"fold0": lines}).axes
    assert np.isnan(lines_of(right)["front"].get_ydata()).tolist() == [False, False, True, False]
    assert np.isnan(lines_of(left)["validation"].get_ydata()).tolist() == [False, True, False, False]
    for line in lines:
        del line["validation_loss"]
    assert set(lines_of(draw_curves({"fold0": lines}).axes[0])) == {"training"}


@pytest.mark.parametrize(("number", "folds", "labels"), [(1, 1, 1), (1, 5, 2), (40, 2, 7), (1000, 3, 30)])
def test_texts_have_room(number, folds, labels):
    names = [f"left superior frontal gyrus {place}" for place in range(labels)]
    figure = draw_curves({f"fold{fold}": progress(number, names, fold) for fold in range(folds)})
    assert_texts_have_room(figure)
    assert all(len(line.get_xdata()) <= 400 for line in figure.axes[0].lines)  # small in a page
