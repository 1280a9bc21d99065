"""Volumes for the viewer of a page."""

import base64
import gzip

import nibabel
import numpy as np
import pytest

from autoseg.core.geometry import canonical_axes, orientation_code
from autoseg.reporting.viewer_volumes import encode, thinning, viewer_volumes


def decoded(text: str) -> nibabel.Nifti1Image:
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(text)))


def test_a_small_image_is_shown_whole_in_grey_values():
    random = np.random.default_rng(0)
    image = random.normal(100, 20, (9, 8, 7)).astype(np.float32)
    labels = random.integers(0, 3, image.shape)
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    shown = viewer_volumes({"T1w": image}, {"reference": labels}, affine)
    grey, reference = decoded(shown.encoded["T1w"]), decoded(shown.encoded["reference"])
    low, high = np.percentile(image, (0.5, 99.5))
    wanted = np.clip((image.astype(np.float64) - low) / (high - low) * 255, 0, 255)
    assert np.abs(np.asarray(grey.dataobj) - wanted).max() <= 0.5 + 1e-3
    assert np.array_equal(np.asarray(reference.dataobj), labels)
    assert np.array_equal(reference.affine, affine)
    assert shown.note == ""
    assert shown.num_bytes == sum(map(len, shown.encoded.values()))


@pytest.mark.parametrize("code", ["RAS", "LPI", "SAL", "PSR"])
def test_every_voxel_stays_where_it_is_in_the_world(code):
    random = np.random.default_rng(1)
    labels = random.integers(0, 200, (6, 7, 8))
    wanted = nibabel.orientations.axcodes2ornt(code)
    start = nibabel.orientations.axcodes2ornt("RAS")
    ras = nibabel.Nifti1Image(labels.astype(np.int16), np.diag([1.0, 1.5, 2.0, 1.0]))
    stored = ras.as_reoriented(nibabel.orientations.ornt_transform(start, wanted))
    image = np.asarray(stored.dataobj, np.float32)
    shown = viewer_volumes({"a": image}, {"labels": np.asarray(stored.dataobj)}, stored.affine)
    found = decoded(shown.encoded["labels"])
    assert orientation_code(stored.affine) == code
    assert canonical_axes(found.affine).flips == (False, False, False)
    assert np.array_equal(np.asarray(found.dataobj), labels)
    assert np.allclose(found.affine, ras.affine)


def test_a_large_image_is_cropped_around_its_labels_and_thinned():
    image = np.random.default_rng(2).random((120, 120, 60), dtype=np.float32)
    labels = np.zeros(image.shape, np.uint8)
    labels[60:70, 50:60, 30:35] = 1
    affine = np.diag([1.0, 1.0, 3.0, 1.0])
    cropped = viewer_volumes({"a": image}, {"labels": labels}, affine, most_voxels=60_000)
    assert cropped.note == "cropped from 120 x 120 x 60 to 50 x 50 x 19 voxels, around the labels"
    found = decoded(cropped.encoded["labels"])
    assert np.asarray(found.dataobj).sum() == labels.sum()
    first = np.argwhere(np.asarray(found.dataobj))[0]
    assert np.allclose(found.affine @ [*first, 1], affine @ [60, 50, 30, 1])
    thin = viewer_volumes({"a": image}, {"labels": labels}, affine, most_voxels=20_000)
    assert thin.note.endswith("one voxel in 2 x 2 x 1 is shown")
    small = decoded(thin.encoded["labels"])
    assert np.asarray(small.dataobj).sum() == labels[40:90:2, 30:80:2, 23:42].sum()


def test_nothing_is_larger_than_it_may_be():
    for shape, spacing, most in [((300, 20, 30), (1, 1, 1), 999), ((512, 512, 40), (0.5, 0.5, 5), 10_000)]:
        steps = thinning(shape, spacing, most)
        assert np.prod([-(-size // step) for size, step in zip(shape, steps, strict=True)]) <= most
    assert thinning((512, 512, 40), (0.5, 0.5, 5), 2_000_000) == (3, 2, 1)


def test_a_case_of_noise_takes_less_than_three_megabytes():
    random = np.random.default_rng(3)
    channels = {name: random.normal(size=(200, 190, 150)).astype(np.float32) for name in ("T1w", "T2w")}
    blobs = (random.random((40, 38, 30)) > 0.7).repeat(5, 0).repeat(5, 1).repeat(5, 2)
    maps = dict.fromkeys(("reference", "segmentation", "errors"), blobs.astype(np.uint8))
    assert 1e6 < viewer_volumes(channels, maps, np.eye(4)).num_bytes < 2.7e6  # what is left is for the picture


def test_constant_and_equal_images_have_text_too():
    affine = np.eye(4)
    shown = viewer_volumes({"a": np.full((4, 4, 1), 7.0)}, {}, affine)
    assert np.asarray(decoded(shown.encoded["a"]).dataobj).max() == 0
    voxels = np.ones((3, 3, 3), np.uint8)
    assert encode(voxels, affine) == encode(voxels, affine)
