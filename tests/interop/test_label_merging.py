"""Several label files as one map; the oracle is a loop over voxels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.interop.label_conventions import LabelPart, LabelSource
from autoseg.interop.label_merging import harden, majority, merge_labels, read_reference
from tests.interop.bids_files import AFFINE, Writer, ball


def mask(path: Path, name: str) -> LabelPart:
    return LabelPart(str(path), ((1, name),), binary=True)


def source(*parts: LabelPart) -> LabelSource:
    return LabelSource(parts, "", "site")


def test_the_smaller_structure_wins(write: Writer) -> None:
    generator = np.random.default_rng(3)
    maps = {name: generator.random((6, 5, 4)) < share for name, share in (("a", 0.3), ("b", 0.7), ("c", 0.5))}
    parts = [mask(write(f"sub-1_{name}.nii.gz", voxels), name) for name, voxels in maps.items()]
    merged = read_reference(source(*parts), {"background": 0, "A": 5, "b": 2, "C": 7})
    expected = np.zeros((6, 5, 4), dtype=int)
    for index in np.ndindex(expected.shape):
        expected[index] = next((value for name, value in (("a", 5), ("c", 7), ("b", 2)) if maps[name][index]), 0)
    np.testing.assert_array_equal(merged, expected)
    assert merged.dtype == np.int32
    np.testing.assert_array_equal(read_reference(source(*parts), {"b": 1}), maps["b"])


def test_values_are_translated_and_unnamed_structures_become_background(write: Writer) -> None:
    stored = ball(0, 4, 3) + ball(1, 3, 4)
    path = write("sub-1_dseg.nii.gz", stored)
    names = ((3, "white"), (7, "grey"), (9, "lesion"))
    part = LabelPart(str(path), names, binary=False)
    merged, identical = merge_labels(source(part), {"background": 0, "grey": 1})
    np.testing.assert_array_equal(merged, stored == 7)
    assert not identical
    assert merge_labels(source(part), {"white": 3, "grey": 7, "lesion": 9})[1]
    assert not merge_labels(source(part), {"white": 7, "grey": 3, "lesion": 9})[1]


def test_large_values(write: Writer) -> None:
    stored = ball(0, 4).astype(np.int32) * 2_000_000_000
    part = LabelPart(str(write("sub-1_dseg.nii.gz", stored, dtype="int32")), ((2_000_000_000, "x"),), binary=False)
    np.testing.assert_array_equal(read_reference(source(part), {"x": 1}), stored > 0)


def test_255_is_a_mask_and_other_values_are_not(write: Writer) -> None:
    path = write("sub-1_seg.nii.gz", ball(1, 3, 255))
    np.testing.assert_array_equal(read_reference(source(mask(path, "seg")), {"seg": 1}), ball(1, 3))
    path = write("sub-2_seg.nii.gz", ball(1, 3, 2))
    with pytest.raises(BadInput, match="values 2 have no name; it was taken for a mask of seg"):
        read_reference(source(mask(path, "seg")), {"seg": 1})


def test_refused(write: Writer) -> None:
    part = mask(write("sub-1_seg.nii.gz", ball(1, 3)), "seg")
    with pytest.raises(BadInput, match="does not give lesion"):
        read_reference(source(part), {"seg": 1, "lesion": 2})
    moved = mask(write("sub-1_gm.nii.gz", ball(1, 3), affine=AFFINE + np.diag([0.5, 0, 0, 0])), "gm")
    with pytest.raises(BadInput, match="mm away"):
        read_reference(source(part, moved), {"seg": 1, "gm": 2})


def test_raters_vote_and_a_tie_is_background(write: Writer) -> None:
    generator = np.random.default_rng(5)
    maps = [generator.integers(0, 3, (6, 5, 4)) for _ in range(4)]
    expected = np.zeros((6, 5, 4), dtype=int)
    for index in np.ndindex(expected.shape):
        votes = [one[index] for one in maps]
        expected[index] = next((value for value in (1, 2) if votes.count(value) > 2), 0)
    np.testing.assert_array_equal(majority(one.astype(np.int32) for one in maps), expected)
    parts = [
        LabelPart(
            str(write(f"sub-1_dseg-r{number}.nii.gz", one)),
            ((1, "white"), (2, "grey")),
            binary=False,
            rater=f"{number}",
        )
        for number, one in enumerate(maps)
    ]
    merged, identical = merge_labels(source(*parts), {"grey": 5, "white": 1})
    np.testing.assert_array_equal(merged, np.array([0, 1, 5])[expected])
    assert not identical


def soft(path: Path, name: str, threshold: float = 0.5) -> LabelPart:
    return LabelPart(str(path), ((1, name),), binary=True, threshold=threshold)


def write_soft(write: Writer, share: float, threshold: float = 0.5) -> tuple[list[LabelPart], list[np.ndarray]]:
    """Three probabilities that sum to 1 with a background; ``share`` is what they have of it on average."""
    drawn = np.random.default_rng(7).dirichlet((share, share, share, 1.0), (6, 5, 4)).astype(np.float32)
    maps = [drawn[..., i] for i in range(3)]
    parts = [
        soft(write(f"sub-1_label-{name}_probseg.nii.gz", one, dtype="float32"), name, threshold)
        for name, one in zip("abc", maps, strict=True)
    ]
    return parts, maps


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_of_soft_labels_the_highest_wins_against_the_rest(write: Writer, threshold: float) -> None:
    parts, maps = write_soft(write, 1.0, threshold)
    expected = np.zeros((6, 5, 4), dtype=int)
    for index in np.ndindex(expected.shape):
        values = [float(one[index]) for one in maps]
        rest = max(0.0, 1 - sum(values))
        if max(values) >= threshold * (max(values) + rest):
            expected[index] = 1 + values.index(max(values))
        if threshold == 0.5:  # as the highest of all four
            assert expected[index] == (0 if rest > max(values) else 1 + values.index(max(values)))
    merged, identical = merge_labels(source(*parts), {"a": 1, "b": 2, "c": 3})
    np.testing.assert_array_equal(merged, expected)
    assert not identical
    assert 0 < np.count_nonzero(expected) < expected.size
    np.testing.assert_array_equal(read_reference(source(*parts), {"b": 7}), 7 * (expected == 2))


def test_a_single_soft_label_is_cut_at_its_threshold(write: Writer) -> None:
    values = np.linspace(0, 1, 120, dtype=np.float32).reshape(6, 5, 4)
    values[0, 0, 1] = 0.3
    path = write("sub-1_T2w_label-SC_probseg.nii.gz", values, dtype="float32")
    for threshold in (0.3, 0.5, 0.9):
        part = soft(path, "SC", threshold)
        expected = values >= np.float32(threshold)
        np.testing.assert_array_equal(read_reference(source(part), {"SC": 1}), expected)


def test_soft_structures_that_overlap_become_masks(write: Writer) -> None:
    cord = soft(write("sub-1_label-SC_probseg.nii.gz", ball(0, 4) * 0.9, dtype="float32"), "SC")
    grey = soft(write("sub-1_label-GM_probseg.nii.gz", ball(1, 3) * 0.8, dtype="float32"), "GM")
    assert len(harden([cord, grey])) == 2
    merged = read_reference(source(cord, grey), {"SC": 1, "GM": 2})
    np.testing.assert_array_equal(merged, ball(0, 4) + ball(1, 3))
    lesion = mask(write("sub-1_lesion-manual.nii.gz", ball(2, 3)), "lesion")
    merged = read_reference(source(cord, grey, lesion), {"SC": 1, "GM": 2, "lesion": 3})
    np.testing.assert_array_equal(merged, ball(0, 4) + ball(1, 3) + ball(2, 3))


def test_soft_labels_beyond_probabilities_are_refused(write: Writer) -> None:
    part = soft(write("sub-1_label-SC_probseg.nii.gz", ball(0, 4, 100)), "SC")
    with pytest.raises(BadInput, match="holds probabilities from 0 to 1, and this holds 0 to 100"):
        read_reference(source(part), {"SC": 1})
