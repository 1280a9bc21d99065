"""Oracles: nnU-Net's order of operations in float64 with skimage; and undo must give every voxel its label back."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from batchgenerators.augmentations.utils import resize_segmentation
from scipy.ndimage import binary_fill_holes
from skimage.transform import resize

from autoseg.core.augmentation_spec import AugmentationSpec
from autoseg.core.case import Image
from autoseg.core.errors import BadInput
from autoseg.core.fingerprint import IntensityStatistics
from autoseg.core.geometry import box_shape
from autoseg.core.labels import Labels
from autoseg.core.network_spec import NetworkSpec
from autoseg.core.plan import Configuration, Plan
from autoseg.preprocessing import prepare

STATISTICS = IntensityStatistics(
    mean=40.0, median=38.0, std=20.0, minimum=-900.0, maximum=900.0, percentile_00_5=-50.0, percentile_99_5=150.0
)


LABELS = Labels(values={"background": 0, "one": 1, "two": 2})


def make_plan(spacing_mm=(1.0, 1.0, 1.0), axis_order=(0, 1, 2), schemes=("zscore",), masked=False) -> Plan:
    dimensions = len(spacing_mm)
    network = NetworkSpec(
        name="plain_unet",
        dimensions=dimensions,
        features_per_stage=(4, 4),
        kernel_sizes=((3,) * dimensions,) * 2,
        strides=((1,) * dimensions,) * 2,
        blocks_per_stage=(1, 1),
        blocks_per_decoder_stage=(1,),
    )
    configuration = Configuration(
        name="only",
        spacing_mm=spacing_mm,
        median_shape_voxels=(8.0,) * dimensions,
        patch_size=(8,) * dimensions,
        batch_size=2,
        batch_dice=False,
        normalization=schemes,
        mask_normalization=(masked,) * len(schemes),
        network=network,
        augmentation=AugmentationSpec(rotation_degrees=30, dummy_2d=False, mirror_axes=(0,)),
    )
    return Plan(
        dataset="Test",
        planner="default",
        channels=tuple(f"channel{i}" for i in range(len(schemes))),
        labels=LABELS,
        file_ending=".nii.gz",
        axis_order=axis_order,
        intensities=(STATISTICS,) * len(schemes),
        configurations={"only": configuration},
        recommended="only",
        decisions=(),
    )


def apply(image: Image, labels: np.ndarray | None, plan: Plan):
    return prepare.apply("case", image, labels, plan, plan.configurations["only"])


def one_hot(labels: np.ndarray, classes: int = 3) -> np.ndarray:
    return np.stack([labels == value for value in range(classes)]).astype(np.float32)


def synthetic(seed: int = 0, shape=(11, 9, 13), channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """An image that is zero around a box, and labels inside that box."""
    random = np.random.default_rng(seed)
    voxels, labels = np.zeros((channels, *shape), np.float32), np.zeros(shape, np.int32)
    inside = tuple(slice(int(random.integers(0, 3)), size - int(random.integers(0, 3))) for size in shape)
    voxels[(slice(None), *inside)] = random.normal(10, 1, voxels[(slice(None), *inside)].shape)
    labels[inside] = random.integers(0, 3, labels[inside].shape)
    return voxels, labels


def all_orientations() -> list[np.ndarray]:
    return [
        np.eye(3)[:, list(order)] * np.array(signs)
        for order in permutations(range(3))
        for signs in product((1, -1), repeat=3)
    ]


@pytest.mark.parametrize("axis_order", list(permutations(range(3))))
def test_undo_puts_every_voxel_back(axis_order):
    spacing = np.array([0.7, 1.1, 2.3])  # along R, A, S
    plan = make_plan(tuple(spacing[list(axis_order)]), axis_order)
    for number, directions in enumerate(all_orientations()):
        random = np.random.default_rng(number)
        affine = np.eye(4)
        affine[:3, :3] = np.diag(spacing) @ directions
        affine[:3, 3] = random.normal(0, 50, 3)
        voxels, labels = synthetic(number)
        case = apply(Image(voxels, affine), labels, plan)
        assert case.trace.resampled_shape == box_shape(case.trace.box) == case.image.shape[1:]
        np.testing.assert_array_equal(prepare.undo(one_hot(case.labels), case.trace, LABELS), labels)


def changed(plan: Plan, **changes: object) -> Plan:
    configuration = plan.configurations["only"].model_copy(update=changes)
    return plan.model_copy(update={"configurations": {"only": configuration}})


@pytest.mark.parametrize(
    ("dimensions", "changes"),
    [
        (3, {"crop": "none"}),
        (3, {"crop": "none", "native_spacing": True}),
        (3, {"crop": "centre", "native_spacing": True}),
        (2, {"crop": "centre", "native_spacing": True}),
        (3, {"crop": "centre", "patch_size": (40, 8, 40)}),
        (3, {"crop": "none", "resized_shape": (33, 27, 39)}),
        (2, {"crop": "none", "resized_shape": (11, 27, 65)}),
    ],
)
def test_undo_puts_every_voxel_of_any_crop_back(dimensions, changes):
    """An odd multiple of voxels has one in the place of each voxel before; outside the crop is background."""
    spacing = (1.0, 1.0, 1.0)
    plan = changed(make_plan(spacing[3 - dimensions :], (0, 1, 2)), **changes)
    for number, directions in enumerate(all_orientations()):
        affine = np.eye(4)
        affine[:3, :3] = directions
        axes = prepare.working_axes(affine, (0, 1, 2)).axes
        voxels, labels = synthetic(number, tuple((11, 9, 13)[axes.index(axis)] for axis in range(3)))
        case = apply(Image(voxels, affine), labels, plan)
        kept = np.zeros_like(labels)
        stored_box = prepare.undo_box(np.ones(box_shape(case.trace.box), int), case.trace) > 0
        kept[stored_box] = labels[stored_box]
        np.testing.assert_array_equal(prepare.undo(one_hot(case.labels), case.trace, LABELS), kept)
        if changes["crop"] == "centre":
            sizes = {axis: min(size, 8 if dimensions == 3 or axis else size) for axis, size in enumerate((11, 9, 13))}
            if "patch_size" in changes:
                sizes = {0: 11, 1: 8, 2: 13}
            assert case.image.shape[1:] == tuple(sizes.values())
        else:
            assert case.image.shape[1:] == changes.get("resized_shape", (11, 9, 13))
            assert stored_box.all()


def test_a_resized_case_is_the_image_of_skimage():
    voxels, labels = synthetic(4, (10, 12, 9))
    voxels += 1  # nothing is outside
    plan = changed(make_plan(schemes=("none",)), crop="none", resized_shape=(14, 9, 20))
    case = apply(Image(voxels, np.diag([1.0, 1.2, 0.8, 1])), labels, plan)
    expected = resize(voxels[0].astype(float), (14, 9, 20), 3, mode="edge", anti_aliasing=False)
    np.testing.assert_allclose(case.image[0], expected, atol=1e-4)
    np.testing.assert_array_equal(case.labels, resize_segmentation(labels, (14, 9, 20), 1))


def test_the_normalisation_of_a_dataset_is_that_of_its_whole_images():
    voxels, _ = synthetic(1)
    plan = make_plan(schemes=("dataset_zscore",))
    with pytest.raises(BadInput, match=r"^case: .*run `autoseg plan` again\.$"):
        apply(Image(voxels, np.eye(4)), None, plan)
    told = STATISTICS.model_copy(update={"whole_mean": 4.0, "whole_std": 2.5})
    case = apply(Image(voxels, np.eye(4)), None, changed(plan.model_copy(update={"intensities": (told,)}), crop="none"))
    np.testing.assert_allclose(case.image, (voxels - 4) / 2.5, atol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_undo_with_rotated_and_sheared_axes(seed):
    random = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3, :3] = all_orientations()[seed * 2] @ (np.eye(3) + random.uniform(-0.25, 0.25, (3, 3)))
    image = Image(synthetic(seed)[0], affine)
    labels = synthetic(seed)[1]
    axes = prepare.working_axes(affine, (2, 0, 1)).axes
    plan = make_plan(tuple(image.spacing_mm[axis] for axis in axes), (2, 0, 1))
    case = apply(image, labels, plan)
    np.testing.assert_array_equal(prepare.undo(one_hot(case.labels), case.trace, LABELS), labels)


def test_working_axes_do_not_depend_on_how_the_file_is_stored():
    voxels, labels = synthetic(3)
    canonical = apply(Image(voxels, np.diag([1.0, 1, 1, 1])), labels, make_plan(axis_order=(2, 0, 1)))
    for directions in all_orientations():
        affine = np.eye(4)
        affine[:3, :3] = directions
        order = np.argmax(np.abs(directions), axis=0)  # stored axis i runs along world axis order[i]
        flips = tuple(slice(None, None, int(directions[world, axis])) for axis, world in enumerate(order))
        stored = Image(voxels.transpose(0, *(1 + order))[(slice(None), *flips)], affine)
        case = apply(stored, labels.transpose(order)[flips], make_plan(axis_order=(2, 0, 1)))
        np.testing.assert_array_equal(case.labels, canonical.labels)
        np.testing.assert_allclose(case.image, canonical.image, atol=1e-6)


@pytest.mark.parametrize("axis_order", [(2, 1, 0), (1, 2, 0)])
def test_a_plan_that_works_on_stored_axes_never_looks_at_the_directions(axis_order):
    voxels, labels = synthetic(3)
    spacing = np.array([1.0, 1.25, 1.5])
    plan = make_plan(tuple(spacing[list(axis_order)]), axis_order).model_copy(update={"orientation": "stored"})
    expected = apply(Image(voxels, np.diag([*spacing, 1])), labels, plan)
    nonzero = [(line.min(), line.max() + 1) for line in np.nonzero((voxels != 0).any(0))]
    cropped = labels[tuple(slice(*ends) for ends in nonzero)]
    np.testing.assert_array_equal(expected.labels, cropped.transpose(axis_order))
    for directions in all_orientations():
        affine = np.diag([*spacing, 1])
        affine[:3, :3] = directions * spacing
        case = apply(Image(voxels, affine), labels, plan)
        np.testing.assert_array_equal(case.image, expected.image)
        np.testing.assert_array_equal(prepare.undo(one_hot(case.labels), case.trace, LABELS), labels)


def nnunet_oracle(voxels, labels, spacing, target, masked):
    """Crop, normalise and resample in float64; no separate axis."""
    nonzero = binary_fill_holes((voxels != 0).any(0))
    box = tuple(slice(line.min(), line.max() + 1) for line in np.nonzero(nonzero))
    voxels, labels, nonzero = voxels[(slice(None), *box)].astype(float), labels[box].copy(), nonzero[box]
    labels[(labels == 0) & ~nonzero] = -1
    shape = [round(s / t * n) for n, s, t in zip(labels.shape, spacing, target, strict=True)]
    inside = labels >= 0 if masked else np.ones(labels.shape, bool)
    prepared = []
    for channel in voxels:
        channel[inside] = (channel[inside] - channel[inside].mean()) / channel[inside].std()
        prepared.append(resize(channel, shape, 3, mode="edge", anti_aliasing=False))
    return np.stack(prepared), resize_segmentation(labels, shape, 1)


@pytest.mark.parametrize("masked", [False, True])
def test_equals_nnunet_order_of_operations(masked):
    voxels, labels = synthetic(5, (14, 17, 12), channels=2)
    voxels[:, 6, 7, 5] = 0  # a hole: inside
    voxels[:, 0:5, 0:6, 0:4] = 0  # a corner: outside
    labels[0:5, 0:6, 0:4] = 0
    labels[3, 4, 3] = 2  # a label where the image is zero
    target = (0.8, 1.2, 1.7)
    case = apply(
        Image(voxels, np.diag([1.0, 1.5, 1.1, 1])), labels, make_plan(target, schemes=("zscore",) * 2, masked=masked)
    )
    expected_image, expected_labels = nnunet_oracle(voxels, labels, (1.0, 1.5, 1.1), target, masked)
    assert case.image.dtype == np.float32
    assert case.labels.dtype == np.int16
    np.testing.assert_allclose(case.image, expected_image, atol=1e-4)
    np.testing.assert_array_equal(case.labels, expected_labels)
    assert case.labels.min() == -1


def test_2d_keeps_axis_0_and_resamples_the_plane():
    voxels, labels = synthetic(2, (5, 12, 14))
    case = apply(Image(voxels, np.diag([7.0, 1, 1, 1])), labels, make_plan((0.5, 2.0)))
    size = box_shape(case.trace.box)
    assert case.image.shape == (1, size[0], size[1] * 2, round(size[2] / 2))
    assert case.trace.resampled_spacing_mm == (7.0, 0.5, 2.0)
    assert prepare.undo(np.zeros((3, *case.image.shape[1:]), np.float32), case.trace, LABELS).shape == labels.shape


def test_anisotropic_slices_are_not_mixed():
    voxels = np.ones((1, 4, 10, 10), np.float32)
    voxels += np.arange(4, dtype=np.float32)[:, None, None]
    case = apply(Image(voxels, np.diag([6.0, 1, 1, 1])), None, make_plan((3.0, 2.0, 2.0), schemes=("none",)))
    np.testing.assert_allclose(case.image[0, :, 2, 2], [1, 1, 2, 2, 3, 3, 4, 4], atol=1e-6)


def test_image_without_nonzero_voxels_is_kept_whole():
    case = apply(Image(np.zeros((1, 4, 5, 6), np.float32), np.eye(4)), np.zeros((4, 5, 6), int), make_plan(masked=True))
    assert case.image.shape == (1, 4, 5, 6)
    assert not case.image.any()
    assert not case.labels.any()


def test_extreme_spacing_leaves_one_voxel():
    case = apply(Image(np.ones((1, 2, 2, 2), np.float32), np.eye(4)), None, make_plan((9.0, 9.0, 9.0)))
    assert case.image.shape == (1, 1, 1, 1)
    assert case.labels is None
    assert (
        prepare.undo(np.array([0, 1, 0], np.float32).reshape(3, 1, 1, 1), case.trace, LABELS).tolist()
        == np.ones((2, 2, 2)).tolist()
    )


def test_sources_are_not_written_to():
    voxels, labels = synthetic()
    voxels_before, labels_before = voxels.copy(), labels.copy()
    for masked in (False, True):
        apply(Image(voxels, np.eye(4)), labels, make_plan(masked=masked))
    np.testing.assert_array_equal(voxels, voxels_before)
    np.testing.assert_array_equal(labels, labels_before)


@pytest.mark.parametrize(
    ("channels", "label_shape", "schemes", "problem"),
    [
        (2, (11, 9, 13), ("zscore",), "2 channel"),
        (1, (11, 9, 12), ("zscore",), "labels have the shape"),
        (1, (11, 9, 13), ("rgb_0_1",), "outside 0..255"),
    ],
)
def test_bad_input_is_one_sentence(channels, label_shape, schemes, problem):
    voxels = np.full((channels, 11, 9, 13), 300, np.float32)
    with pytest.raises(BadInput, match=rf"^case: .*{problem}.*\.$"):
        apply(Image(voxels, np.eye(4)), np.zeros(label_shape, int), make_plan(schemes=schemes))


def test_undo_refuses_logits_of_another_shape():
    case = apply(Image(synthetic()[0], np.eye(4)), None, make_plan())
    with pytest.raises(ValueError, match="do not fit"):
        prepare.undo(np.zeros((2, 3, 3, 3), np.float32), case.trace, LABELS)


def test_settings_key_changes_with_what_matters_and_with_nothing_else():
    def key(plan: Plan, sources=("a",)) -> str:
        return prepare.settings_key(plan, plan.configurations["only"], sources)

    def change(plan: Plan, **changes: object) -> Plan:
        configuration = plan.configurations["only"].model_copy(update=changes)
        return plan.model_copy(update={"configurations": {"only": configuration}})

    def other_statistics(plan: Plan) -> Plan:
        return plan.model_copy(update={"intensities": (STATISTICS.model_copy(update={"mean": 41.0}),)})

    plan = make_plan()
    same = [
        make_plan(),
        change(plan, batch_size=9, name="other", patch_size=(16, 16, 16)),
        plan.model_copy(update={"dataset": "Renamed", "recommended": "other"}),
        other_statistics(plan),
    ]
    ct = make_plan(schemes=("ct",))
    whole = make_plan(schemes=("dataset_zscore",))
    centre = change(plan, crop="centre")
    other = [
        key(make_plan((1.0, 1.0, 1.1))),
        key(make_plan(axis_order=(1, 0, 2))),
        key(plan.model_copy(update={"orientation": "stored"})),
        key(ct),
        key(other_statistics(ct)),
        key(make_plan(masked=True)),
        key(change(plan, bias_field_correction=True)),
        key(change(plan, crop="none")),
        key(change(plan, native_spacing=True)),
        key(change(plan, resized_shape=(9, 9, 9))),
        key(centre),
        key(change(centre, patch_size=(16, 16, 16))),
        key(whole),
        key(whole.model_copy(update={"intensities": (STATISTICS.model_copy(update={"whole_mean": 1.0}),)})),
        key(plan.model_copy(update={"labels": Labels(values={"one": 1, "two": 3})})),
        key(plan, ("b",)),
        key(plan, ("a", "a")),
    ]
    assert {key(one) for one in same} == {key(plan)}
    assert len({key(plan), *other}) == len(other) + 1


REAL_IMAGES = [
    "hippocampus-a/sub-*/**/*_T1w.nii.gz",
    "hippocampus-b/sub-*/**/*_T1w.nii.gz",
    "spinal-cord/**/*_T2star.nii.gz",
]


@pytest.mark.parametrize("pattern", REAL_IMAGES)
def test_real_images_come_back(real_data: Path, pattern: str):
    import nibabel as nib

    file = nib.load(sorted(real_data.glob(pattern))[0])
    voxels = np.asarray(file.dataobj, np.float32).reshape(1, *file.shape[:3])
    labels = (voxels[0] > np.median(voxels)).astype(int)
    image = Image(voxels, file.affine)
    axes = prepare.working_axes(file.affine, (2, 0, 1)).axes
    own_spacing = tuple(image.spacing_mm[axis] for axis in axes)
    case = apply(image, labels, make_plan(own_spacing, (2, 0, 1)))
    assert abs(case.image.mean()) < 1e-3
    np.testing.assert_array_equal(prepare.undo(one_hot(case.labels, 2), case.trace, LABELS), labels)
    finer = apply(image, labels, make_plan(tuple(s * 0.8 for s in own_spacing), (2, 0, 1)))
    back = prepare.undo(one_hot(finer.labels, 2), finer.trace, LABELS)
    assert back.shape == labels.shape
    assert (back == labels).mean() > 0.9
