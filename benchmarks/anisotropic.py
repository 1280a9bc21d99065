"""Random images with thick slices, in every orientation, with a plan that resamples them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel
import numpy as np
from scipy.ndimage import gaussian_filter

from autoseg.core.augmentation_spec import AugmentationSpec
from autoseg.core.case import CaseFiles
from autoseg.core.fingerprint import IntensityStatistics
from autoseg.core.geometry import Orientation
from autoseg.core.labels import Labels
from autoseg.core.network_spec import NetworkSpec
from autoseg.core.plan import Configuration, Normalization, Plan

# Of working axes (down-up, back-front, left-right), mm.
SPACINGS = (
    (5.0, 1.0, 1.0),
    (5.0, 0.7, 0.7),
    (2.1, 0.7, 0.7),
    (3.0, 1.2, 0.9),
    (4.5, 0.48828125, 0.48828125),
    (1, 1, 1),
)
TARGETS = {
    "3d_fullres": (5.0, 1.0, 1.0),
    "3d_lowres": (5.0, 1.6, 1.6),
    "3d_finer": (2.5, 0.7, 0.7),
    "3d_isotropic": (1.4, 1.4, 1.4),
    "2d": (1.0, 1.0),
}
LABELS = Labels(values={"background": 0, "large": 1, "small": 2, "rim": 3})


@dataclass(frozen=True)
class Kind:
    """What a set is made of: its channels, whether air is zero, and what the plan does with it."""

    schemes: tuple[Normalization, ...]
    masked: bool = False
    air: bool = False  # zeros around the object, and holes in it
    orientation: Orientation = "canonical"
    oblique: bool = False
    cases: int = 12
    size: int = 40  # voxels of the longest axes


SETS = {
    "ct": Kind(("ct",)),
    "zscore": Kind(("zscore",), air=True),
    "zscore masked": Kind(("zscore", "zscore"), masked=True, air=True),
    "mixed channels": Kind(("ct", "zscore", "rescale_0_1", "none"), air=True),
    "oblique": Kind(("zscore",), air=True, oblique=True),
    "as stored": Kind(("zscore", "ct"), air=True, orientation="stored"),
}
GOLDEN = Kind(("ct", "zscore"), masked=True, air=True, cases=6, size=10)


def make(name: str, folder: Path) -> tuple[Plan, list[CaseFiles]]:
    """Write the images and labels of a set (``golden`` is small); its plan and files."""
    kind = GOLDEN if name == "golden" else SETS[name]
    random = np.random.default_rng(sum(name.encode()))
    axes = itertools.permutations(("RL", "AP", "SI"))
    orientations = ["".join(one) for order in axes for one in itertools.product(*order)]
    folder.mkdir(parents=True, exist_ok=True)
    cases = []
    for number in range(kind.cases):
        spacing_mm = SPACINGS[number % len(SPACINGS)]
        orientation = "RAS" if number == 0 else orientations[int(random.integers(len(orientations)))]
        case = write_case(folder, f"case{number:02d}", kind, spacing_mm, orientation, random)
        cases.append(replace(case, labels=None) if number == kind.cases // 2 else case)
    return plan_of(kind), cases


def write_case(
    folder: Path, name: str, kind: Kind, spacing_mm: tuple[float, ...], orientation: str, random: np.random.Generator
) -> CaseFiles:
    """An image a channel and the label map, stored with the axes of ``orientation``."""
    shape = tuple(int(random.integers(kind.size // 2, kind.size + 1)) for _ in range(3))
    shape = (*shape[:2], max(4, shape[2] // 2))  # x, y, z
    object_ = gaussian_filter(random.normal(size=shape), 2.5)
    inside = object_ > np.quantile(object_, 0.35)
    blobs = gaussian_filter(random.normal(size=shape), 1.5)
    labels = np.digitize(blobs, np.quantile(blobs, (0.75, 0.9))).astype(np.uint8)
    labels[(labels == 0) & ~inside & (random.random(shape) < 0.05)] = 3  # labelled, although the image is zero there
    affine = np.diag([*spacing_mm[::-1], 1.0])
    affine[:3, 3] = random.uniform(-80, 80, 3)
    if kind.oblique:
        affine[:3, :3] = rotation(random.uniform(-0.4, 0.4, 3)) @ affine[:3, :3]
    paths = []
    for number, scheme in enumerate(kind.schemes):
        voxels = 300 * gaussian_filter(random.normal(size=shape), 0.7) + 40 + 100 * labels
        if kind.air:
            voxels = np.where(inside & (random.random(shape) > 0.02), voxels, 0)
        if scheme == "none":
            voxels = voxels / 100  # what is not normalised is in the range of what is
        stored = voxels.astype(np.int16 if scheme == "ct" else np.float32)
        paths.append(folder / f"{name}_{number:04d}.nii.gz")
        save(paths[-1], stored, affine, orientation)
    save(folder / f"{name}.nii.gz", labels, affine, orientation)
    return CaseFiles(name, tuple(paths), folder / f"{name}.nii.gz", "synthetic", name)


def save(path: Path, voxels: np.ndarray, affine: np.ndarray, orientation: str) -> None:
    """Write RAS voxels with other axes."""
    image = nibabel.Nifti1Image(voxels, affine)
    image.set_qform(affine, 1)
    turn = nibabel.orientations.ornt_transform(
        nibabel.orientations.axcodes2ornt("RAS"), nibabel.orientations.axcodes2ornt(orientation)
    )
    nibabel.save(image.as_reoriented(turn), path)


def rotation(angles: np.ndarray) -> np.ndarray:
    """About the three axes in turn, radians."""
    total = np.eye(3)
    for axis, angle in enumerate(angles):
        one, other = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[[one, other], [one, other]] = np.cos(angle)
        turn[one, other], turn[other, one] = -np.sin(angle), np.sin(angle)
        total = turn @ total
    return total


def plan_of(kind: Kind) -> Plan:
    """A plan with the configurations of ``TARGETS``; only what prepares the cases matters."""
    statistics = IntensityStatistics(
        mean=95.3, median=90.0, std=71.7, minimum=-700.0, maximum=900.0, percentile_00_5=-61.25, percentile_99_5=301.5
    )
    return Plan(
        dataset="Anisotropic",
        planner="default",
        channels=tuple(f"channel{number}" for number in range(len(kind.schemes))),
        labels=LABELS,
        file_ending=".nii.gz",
        orientation=kind.orientation,
        axis_order=(2, 1, 0),
        intensities=(statistics,) * len(kind.schemes),
        configurations={name: configuration(name, target, kind) for name, target in TARGETS.items()},
        recommended="3d_fullres",
        decisions=(),
    )


def configuration(name: str, spacing_mm: tuple[float, ...], kind: Kind) -> Configuration:
    """One with the smallest network."""
    dimensions = 2 if len(spacing_mm) == 2 else 3
    network = NetworkSpec(
        name="plain_unet",
        dimensions=dimensions,
        features_per_stage=(4, 8),
        kernel_sizes=((3,) * dimensions,) * 2,
        strides=((1,) * dimensions, (2,) * dimensions),
        blocks_per_stage=(1, 1),
        blocks_per_decoder_stage=(1,),
    )
    return Configuration(
        name=name,
        spacing_mm=spacing_mm,
        median_shape_voxels=(32.0,) * dimensions,
        patch_size=(16,) * dimensions,
        batch_size=2,
        batch_dice=False,
        normalization=kind.schemes,
        mask_normalization=tuple(kind.masked and scheme == "zscore" for scheme in kind.schemes),
        network=network,
        augmentation=AugmentationSpec(rotation_degrees=30, dummy_2d=False, mirror_axes=()),
    )
