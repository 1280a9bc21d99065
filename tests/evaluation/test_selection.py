"""What the tables decide, against arrays that are changed and scored anew for every step."""

import numpy as np
import pytest
from scipy import ndimage

from autoseg.core.labels import Labels
from autoseg.core.selection import Candidate
from autoseg.evaluation.evaluate import CaseResult, Scores, summarize
from autoseg.evaluation.metrics import case_metrics
from autoseg.evaluation.selection import (
    best,
    case_dice,
    component_table,
    decide_postprocessing,
    rate,
    without_smaller_components,
)
from autoseg.inference.postprocess import keep_largest

STRUCTURES = {"front": (1,), "back": (2,), "rare": (7,)}
REGIONS = {"inner": (7,), "whole": (1, 2, 7), "middle": (2, 7)}  # the small one first: it cuts the others apart
VALUES = (1, 2, 7)


def blobs(seed, share, shape=(15, 14, 12), sigma=1.2):
    """A label map of values 0, 1, 2, 7 and, where nothing names it, 4."""
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma)
    edges = np.quantile(smooth, (share, share + (1 - share) / 3, share + 2 * (1 - share) / 3, 0.99))
    return np.array([0, 1, 2, 7, 4], np.int32)[np.digitize(smooth, edges)]


def cases(number=6, seed=0):
    """Predictions that resemble the references, with stray components, and empty cases among them."""
    result = []
    for index in range(number):
        reference = blobs(seed + index, 0.7, sigma=2.0)
        for values in ((1, 2, 7, 4), (1,), (2,), (7,))[: seed // 10]:  # the more, the more there is to gain
            reference = keep_largest(reference, values)
        stray = blobs(100 + seed + index, 0.97, sigma=0.7)
        prediction = np.where(stray > 0, stray, reference)
        result.append((prediction, reference))
    result[-1] = (np.zeros_like(prediction), reference)
    result[-2] = (result[-2][0], np.zeros_like(reference))
    return result


def overlap(mask_of, prediction, reference, structures, ignore=None):
    """Dice by counting voxels."""
    counted = np.ones(reference.shape, bool) if ignore is None else reference != ignore
    dice = {}
    for name, values in structures.items():
        one, other = mask_of(prediction, values) & counted, mask_of(reference, values) & counted
        total = int(one.sum()) + int(other.sum())
        dice[name] = 2 * int((one & other).sum()) / total if total else None
    return dice


def mean_dice(pairs, structures, ignore=None):
    """The mean over cases of each structure, and the mean of those, by the loops of a schoolbook."""
    per_case = [overlap(np.isin, *pair, structures, ignore) for pair in pairs]
    means = {}
    for name in structures:
        defined = [case[name] for case in per_case if case[name] is not None]
        means[name] = sum(defined) / len(defined) if defined else None
    defined = [mean for mean in means.values() if mean is not None]
    return sum(defined) / len(defined), means


def brute_force_decision(pairs, structures, ignore=None):
    """nnU-Net's rule on arrays: every step is applied to all cases, which are then evaluated."""
    foreground = sorted({value for values in structures.values() for value in values})
    kept, mean, means = [], *mean_dice(pairs, structures, ignore)
    after = [(keep_largest(prediction, foreground), reference) for prediction, reference in pairs]
    new_mean, new_means = mean_dice(after, structures, ignore)
    if new_mean > mean and all(new_means[name] >= means[name] for name in structures):
        pairs, mean, means = after, new_mean, new_means
        kept.append(tuple(foreground))
    for name, values in structures.items():
        after = [(keep_largest(prediction, values), reference) for prediction, reference in pairs]
        new_mean, new_means = mean_dice(after, structures, ignore)
        if new_means[name] > means[name]:
            pairs, mean, means = after, new_mean, new_means
            kept.append(tuple(values))
    return tuple(kept), mean


def tables_of(pairs, ignore=None):
    return [component_table(*pair, VALUES, ignore) for pair in pairs]


@pytest.mark.parametrize("ignore", [None, 8])
@pytest.mark.parametrize("structures", [STRUCTURES, REGIONS], ids=["labels", "regions"])
def test_the_mean_dice_is_that_of_an_evaluation_to_the_last_digit(structures, ignore):
    pairs = [(prediction, np.where(reference == 4, 8, reference)) for prediction, reference in cases()]
    if structures is STRUCTURES:
        labels = Labels(values={"background": 0, "front": 1, "back": 2, "rare": 7} | ({"ignore": 8} if ignore else {}))
    else:
        values = {"background": 0, **REGIONS} | ({"ignore": 8} if ignore else {})
        labels = Labels(values=values, region_order=(7, 1, 2))
    assert labels.foreground == structures
    candidate = rate(("2d",), tables_of(pairs, ignore), structures)
    results = [
        CaseResult(str(number), "", case_metrics(*pair, (1.0, 1.0, 1.0), labels, families=["overlap"]))
        for number, pair in enumerate(pairs)
    ]
    summary = summarize(Scores(results))
    assert candidate.mean_dice == summary["mean"]["dice"]
    assert candidate.dice == {name: label["dice"] for name, label in summary["labels"].items()}
    assert None not in candidate.dice.values()


@pytest.mark.parametrize("structures", [STRUCTURES, REGIONS], ids=["labels", "regions"])
@pytest.mark.parametrize("ignore", [None, 4])
@pytest.mark.parametrize("seed", range(5))
def test_a_sequence_of_steps_is_that_on_arrays_to_the_last_digit(seed, ignore, structures):
    """Dense noise: many components touch, and clearing one structure cuts others apart."""
    prediction, reference = blobs(seed, 0.5, sigma=0.8), blobs(seed + 50, 0.5)
    table = component_table(prediction, reference, VALUES, ignore)
    present = np.ones(len(table.numbers), bool)
    rng = np.random.default_rng(seed)
    steps = [VALUES, *structures.values()]
    for step in rng.permutation(len(steps)):
        present = without_smaller_components(table, present, steps[step])
        prediction = keep_largest(prediction, steps[step])
        assert case_dice(table, present, structures) == overlap(np.isin, prediction, reference, structures, ignore)
    assert 0 < present.sum() < len(present)


@pytest.mark.parametrize("structures", [STRUCTURES, REGIONS], ids=["labels", "regions"])
@pytest.mark.parametrize("ignore", [None, 4])
@pytest.mark.parametrize("seed", range(0, 60, 10))
def test_the_decision_is_that_on_arrays(seed, ignore, structures):
    pairs = cases(seed=seed)
    postprocessing, steps, mean = decide_postprocessing(tables_of(pairs, ignore), structures)
    kept, expected_mean = brute_force_decision(pairs, structures, ignore)
    assert (postprocessing.keep_largest, mean) == (kept, expected_mean)
    assert [step.what for step in steps] == ["all foreground", *structures]
    assert postprocessing.keep_largest == tuple(step.values for step in steps if step.kept)


def test_the_decisions_of_the_test_above_differ():
    for structures in (STRUCTURES, REGIONS):
        decisions = {decide_postprocessing(tables_of(cases(seed=seed)), structures)[0] for seed in range(0, 60, 10)}
        assert len(decisions) > 2


def line(*values):
    return np.array(values, np.int32).reshape(-1, 1, 1)


def test_foreground_is_not_cut_where_one_label_would_suffer():
    """Label 1 gains more than label 2 loses; the step for label 1 alone is taken instead."""
    pairs = [
        (line(1, 1, 1, 1, 0, 0, 1, 0, 2), line(1, 1, 1, 1, 0, 0, 0, 0, 2)),
        (line(1, 1, 1, 1, 0, 0, 1, 0, 0), line(1, 1, 1, 1, 0, 0, 0, 0, 0)),
    ]
    structures = {"front": (1,), "back": (2,)}
    postprocessing, (foreground, front, back), mean = decide_postprocessing(
        [component_table(*pair, (1, 2)) for pair in pairs], structures
    )
    assert (foreground.kept, front.kept, back.kept) == (False, True, False)
    assert postprocessing.keep_largest == ((1,),)
    assert mean == 1


def test_one_structure_has_one_step():
    table = component_table(line(1, 1, 0, 1), line(1, 1, 0, 0), (1,))
    postprocessing, steps, mean = decide_postprocessing([table], {"it": (1,)})
    assert [(step.what, step.kept) for step in steps] == [("all foreground", True)]
    assert (postprocessing.keep_largest, mean) == (((1,),), 1)


def test_what_changes_nothing_is_not_kept():
    table = component_table(line(1, 1, 0, 2), line(1, 1, 0, 2), (1, 2))
    postprocessing, _, mean = decide_postprocessing([table], {"front": (1,), "back": (2,)})
    assert (postprocessing.keep_largest, mean) == ((), 1)


def test_a_pair_must_be_better_than_the_best_single_one():
    def candidate(names, dice):
        return Candidate(configurations=names, mean_dice=dice, dice={})

    singles = [candidate(("2d",), 0.7), candidate(("3d_fullres",), 0.8), candidate(("none",), None)]
    assert best([*singles, candidate(("2d", "3d_fullres"), 0.8)]) == 1
    assert best([*singles, candidate(("2d", "3d_fullres"), 0.81)]) == 3


def test_a_table_is_small():
    """A case of a million voxels and ten components: kilobytes."""
    labels = np.zeros((100, 100, 100), np.int32)
    for start in range(0, 100, 10):
        labels[start : start + 5, 20:80, 20:80] = 1 + start % 20 // 10
    table = component_table(labels, np.roll(labels, 3, axis=0), (1, 2))
    assert sum(array.nbytes for array in vars(table).values() if isinstance(array, np.ndarray)) < 2000
