"""The phantom: its grids are what their codes say, and its blobs where they are said to be."""

import nibabel
import numpy as np
import pytest
import SimpleITK

from autoseg.interop.blob_phantom import BLOBS, CENTRE_MM, make_grid, orientations, write_phantoms


def test_there_are_48_orientations_as_nibabel_names_them():
    codes = orientations()
    assert len(set(codes)) == 48
    for code in codes:
        assert "".join(nibabel.aff2axcodes(make_grid(code, (1.0, 1.2, 1.5)).affine)) == code


@pytest.mark.parametrize("turned", [(0, 0, 0), (10, 0, 0), (0, 20, 0), (5, -12, 30)])
@pytest.mark.parametrize("code", ["RAS", "LPI", "SRP"])
def test_a_grid_has_its_spacing_and_its_centre_in_the_world(code, turned):
    grid = make_grid(code, (0.8, 1.5, 2.0), turned)
    matrix = grid.affine[:3, :3]
    spacing = dict(zip(code, np.linalg.norm(matrix, axis=0), strict=True))
    wanted = {"R": 0.8, "L": 0.8, "A": 1.5, "P": 1.5, "S": 2.0, "I": 2.0}
    assert spacing == pytest.approx({letter: wanted[letter] for letter in code})
    gram = matrix.T @ matrix
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-12)
    middle = matrix @ ((np.array(grid.shape) - 1) / 2) + grid.affine[:3, 3]
    np.testing.assert_allclose(middle, CENTRE_MM)


@pytest.mark.parametrize("code", ["RAS", "PIL"])
def test_the_middle_and_the_volume_of_a_blob_are_those_of_its_ellipsoid(code):
    grid = make_grid(code, (0.5, 0.5, 0.5))
    labels = grid.labels()
    for number, blob in enumerate(BLOBS, start=1):
        indices = np.argwhere(labels == number)
        middle = grid.affine[:3, :3] @ indices.mean(axis=0) + grid.affine[:3, 3]
        np.testing.assert_allclose(middle, np.add(blob.centre_mm, CENTRE_MM), atol=0.05)
        assert len(indices) * 0.125 == pytest.approx(4 / 3 * np.pi * np.prod(blob.radii_mm), rel=0.03)


def test_no_mirror_or_turn_of_the_blobs_is_the_blobs():
    """Nor of one alone: whatever is exchanged moves every blob by more than a millimetre."""
    centres = np.array([blob.centre_mm for blob in BLOBS])
    for code in orientations():
        world = [next(i for i, pair in enumerate(("RL", "AP", "SI")) if letter in pair) for letter in code]
        signs = [1 if letter in "RAS" else -1 for letter in code]
        if code != "RAS":
            assert np.linalg.norm(centres[:, world] * signs - centres, axis=1).min() > 1


def test_files_are_what_two_libraries_agree_on(tmp_path):
    grid = make_grid("LPS", (1.0, 1.2, 1.5), (8.0, 0.0, -5.0))
    assert write_phantoms(tmp_path, [grid]) == {"sub-00": grid}
    for number, blob in enumerate(BLOBS, start=1):
        path = tmp_path / f"sub-00/anat/sub-00_{blob.channel}.nii.gz"
        loaded = nibabel.load(path)
        np.testing.assert_array_equal(loaded.get_fdata(), grid.labels() == number)
        np.testing.assert_allclose(loaded.affine, grid.affine, atol=1e-5)
        image = SimpleITK.ReadImage(str(path))
        corner = np.array(image.TransformIndexToPhysicalPoint((3, 4, 5))) * (-1, -1, 1)
        np.testing.assert_allclose(corner, (grid.affine @ (3, 4, 5, 1))[:3], atol=1e-4)
