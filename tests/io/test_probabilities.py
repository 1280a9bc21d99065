"""Probabilities come back from 4D NIfTI."""

import nibabel
import numpy as np
import pytest

from autoseg.io.probabilities import write_confidence, write_probabilities


def test_probabilities_come_back_on_the_grid_of_the_image(tmp_path):
    affine = np.array([[-0.7, 0.1, 0, 30], [0.1, 0.7, 0, -20], [0, 0, 3.3, 7], [0, 0, 0, 1]])
    like = tmp_path / "image.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6), np.float32), affine), like)
    values = np.random.default_rng(0).integers(0, 65536, (3, 4, 5, 6)).astype(np.uint16)
    path = tmp_path / "out/image.nii.gz"
    write_probabilities(path, values, 65535, like)
    stored = nibabel.load(path)
    np.testing.assert_allclose(stored.affine, nibabel.load(like).affine, atol=1e-6)
    assert stored.get_data_dtype() == np.uint16
    np.testing.assert_allclose(np.moveaxis(stored.get_fdata(), -1, 0), values / 65535, atol=1e-7)
    assert [file.name for file in path.parent.iterdir()] == ["image.nii.gz"]


@pytest.mark.parametrize("independent", [False, True])
def test_confidence_is_that_of_what_is_decided(tmp_path, independent):
    like = tmp_path / "image.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 1, 1), np.float32), np.eye(4)), like)
    values = np.array([[[[0.2]], [[0.9]]], [[[0.7]], [[0.4]]]])  # two outputs of two voxels
    stored = np.rint(values * 65535).astype(np.uint16)
    write_confidence(tmp_path / "found.nii.gz", stored, 65535, like, independent)
    found = nibabel.load(tmp_path / "found.nii.gz")
    expected = [0.7, 0.6] if independent else [0.7, 0.9]  # out and in (0.8, 0.7); in and out (0.9, 0.6)
    assert found.shape == (2, 1, 1)
    np.testing.assert_allclose(found.get_fdata().ravel(), expected, atol=1e-5)
