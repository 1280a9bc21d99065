"""Fixtures for all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest

from autoseg.core.augmentation_spec import AugmentationSpec
from autoseg.core.fingerprint import IntensityStatistics
from autoseg.core.labels import Labels
from autoseg.core.network_spec import NetworkSpec
from autoseg.core.plan import Configuration, Plan
from autoseg.core.training_spec import TrainingSpec
from autoseg.io.images import read_image, read_labels
from autoseg.io.store import StoredCase, open_case, save_case
from autoseg.preprocessing import prepare
from autoseg.runtime.workers import Workers


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A shell starts what runs in the background with SIGINT ignored, and its children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images: ``$AUTOSEG_REAL_DATA``, else ``../shared/data`` beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("AUTOSEG_REAL_DATA") or beside)
    if not folder.is_dir():
        pytest.skip(f"no real images at {folder}: set AUTOSEG_REAL_DATA")
    return folder


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    """Two real worker processes of this machine."""
    pytest.importorskip("distributed")
    from autoseg.runtime.clusters import local_workers

    with local_workers(2) as opened:
        yield opened


@pytest.fixture(scope="session")
def tiny_bids(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BIDS dataset of six subjects: 20 x 24 x 16 voxels, a bright ball in noise, two labels."""
    root = tmp_path_factory.mktemp("bids") / "tiny"
    labels = root / "derivatives" / "labels"
    for number in range(6):
        write_tiny_subject(root, labels, f"sub-{number:02d}", seed=number)
    (root / "dataset_description.json").write_text('{"Name": "tiny", "BIDSVersion": "1.9.0"}')
    (labels / "desc-manual_dseg.tsv").write_text("index\tname\n1\tshell\n2\tcore\n")
    return root


def write_tiny_subject(root: Path, labels: Path, subject: str, seed: int) -> None:
    """One image and its label map."""
    random = np.random.default_rng(seed)
    centre = np.array([10, 12, 8]) + random.integers(-2, 3, size=3)
    grid = np.indices((20, 24, 16)).transpose(1, 2, 3, 0)
    distance = np.linalg.norm(grid - centre, axis=-1)
    segmentation = (distance < 5).astype(np.uint8) + (distance < 3)
    image = (100 + 40 * segmentation + 5 * random.normal(size=distance.shape)).astype(np.float32)
    affine = np.diag([-1.0, 1.0, 1.2, 1.0])
    for folder, name, voxels in (
        (root, f"{subject}_T1w", image),
        (labels, f"{subject}_desc-manual_dseg", segmentation),
    ):
        path = folder / subject / "anat" / f"{name}.nii.gz"
        path.parent.mkdir(parents=True)
        nibabel.save(nibabel.Nifti1Image(voxels, affine), path)


@pytest.fixture(scope="session")
def tiny_configuration() -> Configuration:
    """A two-stage 3D network on patches of 16 x 16 x 16: a step takes milliseconds."""
    network = NetworkSpec(
        name="plain_unet",
        dimensions=3,
        features_per_stage=(4, 8, 8),
        kernel_sizes=((3, 3, 3),) * 3,
        strides=((1, 1, 1), (2, 2, 2), (2, 2, 2)),
        blocks_per_stage=(1, 1, 1),
        blocks_per_decoder_stage=(1, 1),
    )
    return Configuration(
        name="3d_fullres",
        spacing_mm=(1.2, 1.0, 1.0),
        median_shape_voxels=(16, 24, 20),
        patch_size=(16, 16, 16),
        batch_size=2,
        batch_dice=False,
        normalization=("zscore",),
        mask_normalization=(False,),
        network=network,
        augmentation=AugmentationSpec(rotation_degrees=30, dummy_2d=False, mirror_axes=(0, 1, 2)),
        training=TrainingSpec(epochs=3, steps_per_epoch=4, validation_steps=2),
    )


@pytest.fixture(scope="session")
def tiny_plan(tiny_configuration: Configuration) -> Plan:
    """The plan of one configuration."""
    statistics = IntensityStatistics(
        mean=120, median=120, std=30, minimum=80, maximum=200, percentile_00_5=85, percentile_99_5=195
    )
    return Plan(
        dataset="Tiny",
        planner="default",
        channels=("T1w",),
        labels=Labels(values={"background": 0, "shell": 1, "core": 2}),
        file_ending=".nii.gz",
        axis_order=(2, 1, 0),
        intensities=(statistics,),
        configurations={"3d_fullres": tiny_configuration},
        recommended="3d_fullres",
        decisions=(),
    )


@pytest.fixture(scope="session")
def tiny_pair_plan(tiny_plan: Plan) -> Plan:
    """The plan with a second configuration, ``2d`` on slices of 16 x 16."""
    fullres = tiny_plan.configurations["3d_fullres"]
    network = NetworkSpec(
        name="plain_unet",
        dimensions=2,
        features_per_stage=(4, 8),
        kernel_sizes=((3, 3),) * 2,
        strides=((1, 1), (2, 2)),
        blocks_per_stage=(1, 1),
        blocks_per_decoder_stage=(1,),
    )
    changes = {
        "name": "2d",
        "spacing_mm": (0.9, 1.1),
        "median_shape_voxels": (24, 20),
        "patch_size": (16, 16),
        "batch_size": 8,
        "network": network,
        "augmentation": AugmentationSpec(rotation_degrees=30, dummy_2d=False, mirror_axes=(0, 1)),
    }
    slices = fullres.model_copy(update=changes)
    return tiny_plan.model_copy(update={"configurations": {"2d": slices, "3d_fullres": fullres}})


@pytest.fixture(scope="session")
def tiny_cases(tmp_path_factory: pytest.TempPathFactory, tiny_bids: Path, tiny_plan: Plan) -> list[StoredCase]:
    """The subjects of ``tiny_bids``, prepared and stored."""
    folder = tmp_path_factory.mktemp("prepared")
    configuration = tiny_plan.configurations["3d_fullres"]
    for path in sorted(tiny_bids.glob("sub-*/anat/*_T1w.nii.gz")):
        subject = path.parent.parent.name
        labels = tiny_bids / "derivatives/labels" / subject / "anat" / f"{subject}_desc-manual_dseg.nii.gz"
        case = prepare.apply(subject, read_image(path), read_labels(labels), tiny_plan, configuration)
        save_case(folder, case, key="tiny")
    return [open_case(folder, f"sub-{number:02d}") for number in range(6)]
