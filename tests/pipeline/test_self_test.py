"""The self-test's own parts; that it sees faults is tested with the faults (``tests/faults/test_flips.py``)."""

import nibabel
import numpy as np
import pytest
import torch

from autoseg.core.network_spec import NetworkSpec
from autoseg.interop.blob_phantom import BLOBS, make_grid
from autoseg.networks import build_planned
from autoseg.pipeline.self_test import SPACING_MM, check_predictions, compare, let_through, standard_grids


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_network_by_hand_finds_each_channel_where_it_is_bright(dimensions):
    """In any part of a case: instance norms do not change what is found."""
    spec = NetworkSpec(
        name="plain_unet",
        dimensions=dimensions,
        features_per_stage=(3, 3),
        kernel_sizes=((3,) * dimensions,) * 2,
        strides=((1,) * dimensions, (2,) * dimensions),
        blocks_per_stage=(1, 1),
        blocks_per_decoder_stage=(1,),
    )
    network = build_planned(spec, 3, 4).eval()
    let_through(network)
    random = torch.Generator().manual_seed(1)
    for share in (0.0, 0.05, 0.25):
        image = (torch.rand(1, 3, *(8,) * dimensions, generator=random) < share).float()
        image[:, 1] *= 1 - image[:, 0]
        image[:, 2] *= (1 - image[:, 0]) * (1 - image[:, 1])
        expected = (image * torch.arange(1.0, 4.0).reshape(1, 3, *(1,) * dimensions)).sum(1)
        with torch.no_grad():
            assert torch.equal(network(image).argmax(1).float(), expected)


def test_the_standard_grids_are_all_orientations_and_more():
    exact, resampled = standard_grids()
    assert (len(exact), len(resampled)) == (51, 3)
    assert len({grid.name for grid in exact + resampled}) == 54


@pytest.fixture
def written(tmp_path):
    """``written(change)`` -> a file of the right labels, or of changed ones on a changed affine, and its grid."""
    grid = make_grid("LPS", SPACING_MM)

    def write(change=lambda labels, affine: (labels, affine)):
        labels, affine = change(grid.labels(), grid.affine)
        path = tmp_path / f"sub-00_{BLOBS[0].channel}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(labels, affine), path)
        return path, grid

    return write


def test_what_is_right_is_right(written):
    assert compare(*written(), exact=True) == (pytest.approx(0, abs=1e-4), None)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda labels, affine: (labels[::-1], affine), "lies at (4.651, "),
        (lambda labels, affine: (labels, np.diag([1, -1, 1, 1]) @ affine), "was written on another grid"),
        (lambda labels, affine: (labels, np.diag([1, 1, 2, 1]) @ affine), "was written on another grid"),
        (lambda labels, affine: (labels.transpose(1, 0, 2), affine), "was written on another grid"),
        (lambda labels, affine: (labels * (labels != 2), affine), "the blob front was not found"),
        (lambda labels, affine: (np.where(labels == 1, 2, np.where(labels == 2, 1, labels)), affine), "lies at"),
    ],
)
def test_what_is_wrong_is_told_with_numbers(written, change, sentence):
    _, problem = compare(*written(lambda *args: tuple(np.ascontiguousarray(one) for one in change(*args))), exact=True)
    assert sentence in problem


def test_one_voxel_is_enough(written):
    def change(labels, affine):
        labels[0, 0, 0] = 3
        return labels, affine

    assert "away" in compare(*written(change), exact=True)[1]


def test_a_file_that_is_missing_is_told(tmp_path):
    check = check_predictions("2d", {"sub-00": make_grid("RAS", SPACING_MM)}, {"RAS"}, tmp_path, ["sub-00: broke."])
    assert check.problems == ("sub-00: broke.", "RAS: nothing was written")
