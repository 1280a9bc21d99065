"""A phantom through the whole path: converted, planned, prepared, segmented and read back, in every orientation.

Nothing is trained: the network has weights set by hand, which let each channel through and compare it with a
threshold. What is found is then where the phantom is, voxel for voxel unless the grid has to be resampled, or
something on the way exchanges sides, axes or millimetres.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from autoseg.core.network_spec import NetworkSpec
from autoseg.core.plan import Configuration, Plan
from autoseg.interop.bids_conversion import convert, plan_conversion
from autoseg.interop.blob_phantom import BLOBS, PhantomGrid, make_grid, orientations, write_phantoms
from autoseg.io import store
from autoseg.io.files import write_bytes, write_text
from autoseg.io.workspace import Workspace
from autoseg.networks import build_planned
from autoseg.pipeline.models import workspace_models
from autoseg.pipeline.prediction import PredictionOptions, predict
from autoseg.pipeline.preparation import plan_dataset, prepare_cases
from autoseg.runtime.progress import progress

if TYPE_CHECKING:
    from torch import nn

NAME = "Blobs"
SPACING_MM = (1.0, 1.2, 1.5)  # to the right, to the front, up
OBLIQUE = (("RAS", (12.0, 0.0, 7.0)), ("LPS", (0.0, -20.0, 0.0)), ("PIR", (9.0, 11.0, -14.0)))
OTHER_SPACINGS_MM = (("LAS", (0.8, 1.5, 2.0)), ("SPL", (1.1, 1.0, 1.2)), ("AIR", (1.3, 1.1, 1.0)))
# What a network sees is a part of a case (tiles), a slice, or all of it.
PATCHES = {"3d_fullres": (8, 16, 12), "2d": (16, 16), "full_volume": (24, 32, 32)}
WAYS = (("3d_fullres", True), ("3d_fullres", False), ("full_volume", False), ("2d", True))
AFFINE_TOLERANCE_MM = 1e-3  # of what a header in float32 holds
SHARE_OF_VOXEL = 0.5  # so far may the middle of a blob move where the grid is resampled
VOLUME_FACTOR = 1.4  # so much may its volume change there
# Instance norms divide by the deviation unless it is small beside their eps: so they pass the signal, less its mean.
_GAIN, _EPS = 1e-4, 1e-5
_THRESHOLD = 0.35


@dataclass(frozen=True)
class Check:
    """One way through the path, over all grids: the farthest that a blob was from its place, and what is wrong."""

    name: str
    num_grids: int
    farthest_mm: float
    problems: tuple[str, ...]


def standard_grids() -> tuple[list[PhantomGrid], list[PhantomGrid]]:
    """Those of the spacing of the plan, straight and oblique, and those that are resampled to it."""
    straight = [make_grid(code, SPACING_MM) for code in orientations()]
    oblique = [make_grid(code, SPACING_MM, turn, f"oblique {code}") for code, turn in OBLIQUE]
    others = [make_grid(code, side, name=f"{code} of {_listed(side)} mm") for code, side in OTHER_SPACINGS_MM]
    return straight + oblique, others


def self_test(device: str | None, exact: Sequence[PhantomGrid], resampled: Sequence[PhantomGrid]) -> list[Check]:
    """Run the whole path in a temporary folder; most grids are ``exact``, so that the plan has their spacing.

    Where a stage refuses what the stage before made, that is a problem of the path, too.
    """
    names = {grid.name for grid in exact}
    with tempfile.TemporaryDirectory(prefix="autoseg-doctor-") as temporary:
        root, workspace = Path(temporary) / "blobs", Workspace(Path(temporary) / "workspace")
        subjects = write_phantoms(root, [*exact, *resampled])
        conversion = plan_conversion([root], [blob.channel for blob in BLOBS])
        report = convert(conversion, workspace.dataset_folder(NAME), NAME, lambda *_: None)
        refused = [f"{problem.file}: {problem.sentence}" for problem in report.problems]
        plan = by_hand(plan_dataset(workspace, NAME))
        checks = [Check("conversion", len(subjects), 0.0, tuple(refused))]
        checks.append(check_preparation(workspace, plan, {s: g for s, g in subjects.items() if g.name in names}))
        for configuration in plan.configurations.values():
            write_fold(workspace, plan, configuration)
        models = workspace_models(workspace, NAME)
        for name, mirror in WAYS:
            output = Path(temporary) / f"{name} {mirror}"
            options = PredictionOptions(device=device, mirror=mirror, naming="image")
            predicted = predict(models, [root], output, name, options=options)
            title = f"{name}{', mirrored' if mirror else ''}"
            checks.append(check_predictions(title, subjects, names, output, predicted.problems))
    return checks


def by_hand(plan: Plan) -> Plan:
    """The plan of the phantoms with networks for weights that are set by hand, and images that keep their numbers."""
    configurations = {}
    fullres = plan.configurations["3d_fullres"]
    for name, patch in PATCHES.items():
        dimensions = len(patch)
        network = NetworkSpec(
            name="plain_unet",
            dimensions=2 if dimensions == 2 else 3,
            features_per_stage=(len(BLOBS),) * 2,
            kernel_sizes=((3,) * dimensions,) * 2,
            strides=((1,) * dimensions, (2,) * dimensions),
            blocks_per_stage=(1, 1),
            blocks_per_decoder_stage=(1,),
        )
        axes = tuple(range(dimensions))
        changes: dict[str, Any] = {
            "name": name,
            "spacing_mm": fullres.spacing_mm[-dimensions:],
            "median_shape_voxels": fullres.median_shape_voxels[-dimensions:],
            "patch_size": patch,
            "whole_case": name == "full_volume",
            "normalization": ("none",) * len(BLOBS),
            "mask_normalization": (False,) * len(BLOBS),
            "network": network,
            "augmentation": fullres.augmentation.model_copy(update={"mirror_axes": axes}),
        }
        configurations[name] = Configuration.model_validate({**fullres.model_dump(), **changes})
    return plan.model_copy(update={"configurations": configurations, "recommended": "3d_fullres"})


def write_fold(workspace: Workspace, plan: Plan, configuration: Configuration) -> None:
    """``fold0`` of a configuration, as a training would leave it."""
    from autoseg.networks import model_file

    network = build_planned(configuration.network, len(BLOBS), len(BLOBS) + 1)
    let_through(network)
    folder = workspace.model_folder(NAME, configuration.name, "fold0")
    own = plan.model_copy(
        update={"configurations": {configuration.name: configuration}, "recommended": configuration.name}
    )
    write_text(folder / "plan.json", own.model_dump_json())
    write_bytes(folder / "final.safetensors", model_file.serialise(network.state_dict(), {}))


def let_through(network: nn.Module) -> None:
    """Weights of a ``by_hand`` U-Net: the output of blob k is channel k, less a threshold; of the background it is 0.

    The signal goes through the full resolution; the lower stage gives zeros.
    """
    import torch

    weights = network.state_dict()
    for tensor in weights.values():
        tensor.zero_()
    number = len(BLOBS)
    for unit, first in (("encoder.0.convs.0", 0), ("decoder.stages.0.convs.0", number)):
        kernel = weights[f"{unit}.conv.weight"]
        middle = (1,) * (kernel.ndim - 2)
        for channel in range(number):
            kernel[(channel, first + channel, *middle)] = _GAIN
        weights[f"{unit}.norm.weight"].fill_(_EPS**0.5 / _GAIN)
    head, bias = weights["decoder.heads.0.weight"], weights["decoder.heads.0.bias"]
    for channel in range(number):
        head[(channel + 1, channel, *(0,) * (head.ndim - 2))] = 1
        bias[channel + 1] = -_THRESHOLD
    with torch.no_grad():
        network.load_state_dict(weights)


def check_preparation(workspace: Workspace, plan: Plan, subjects: Mapping[str, PhantomGrid]) -> Check:
    """What a training would see, against the canonical axes of nibabel: images, labels, and both in one place."""
    configuration = plan.configurations["3d_fullres"]
    cases = workspace.read_dataset(NAME).cases
    of_case = {case: grid for case in cases for subject, grid in subjects.items() if subject in case.name}
    prepare_cases(workspace, plan, [configuration], list(of_case))
    folder, problems = workspace.preprocessed_folder(NAME, configuration.name), []
    for case, grid in of_case.items():
        expected = _canonical(grid.labels(), grid.affine).transpose(plan.axis_order)
        inside = np.nonzero(expected)
        expected = expected[tuple(slice(axis.min(), axis.max() + 1) for axis in inside)]
        stored = store.open_case(folder, case.name)
        if stored.shape != expected.shape:
            problems.append(f"{grid.name}: prepared as {_listed(stored.shape)} voxels, not {_listed(expected.shape)}")
            continue
        image, labels = stored.read(tuple((0, size) for size in stored.shape))
        wrong = int((np.maximum(labels, 0) != expected).sum())
        bright = np.stack([expected == number for number in range(1, len(BLOBS) + 1)])
        differing = int((np.abs(image - bright) > 1e-3).sum())
        if wrong or differing:
            problems.append(f"{grid.name}: {wrong} voxels of the labels and {differing} of the image lie elsewhere")
    return Check("preparation", len(of_case), 0.0, tuple(problems))


def check_predictions(
    title: str, subjects: Mapping[str, PhantomGrid], exact: set[str], output: Path, problems: Sequence[str]
) -> Check:
    """Every file of ``output`` against the truth of its grid, as nibabel and as SimpleITK read it."""
    found, farthest_mm = list(problems), 0.0
    with progress(f"read back {title}"):
        for subject, grid in subjects.items():
            path = output / f"{subject}_{BLOBS[0].channel}.nii.gz"
            if not path.is_file():
                found.append(f"{grid.name}: nothing was written")
                continue
            moved_mm, problem = compare(path, grid, grid.name in exact)
            farthest_mm = max(farthest_mm, moved_mm)
            found += [f"{grid.name}: {problem}"] if problem else []
    return Check(title, len(subjects), farthest_mm, tuple(found))


def compare(path: Path, grid: PhantomGrid, exact: bool) -> tuple[float, str | None]:
    """The farthest that a blob lies from its place in mm, and in words what is wrong with a segmentation, or None."""
    import nibabel

    loaded: Any = nibabel.load(path)
    voxels, truth = np.asarray(loaded.dataobj), grid.labels()
    if voxels.shape != grid.shape or np.abs(loaded.affine - grid.affine).max() > AFFINE_TOLERANCE_MM:
        return 0.0, f"was written on another grid ({_listed(voxels.shape)} voxels, affine {loaded.affine.tolist()})"
    shape, places = _by_itk(path)
    allowed_mm = AFFINE_TOLERANCE_MM if exact else SHARE_OF_VOXEL * float(np.abs(grid.affine[:3, :3]).max())
    farthest_mm, problem = 0.0, None
    for number, blob in enumerate(BLOBS, start=1):
        size, wanted = np.count_nonzero(voxels == number), np.count_nonzero(truth == number)
        if not size:
            return farthest_mm, f"the blob {blob.name} was not found"
        place, expected = _middle(voxels == number, loaded.affine), _middle(truth == number, grid.affine)
        moved_mm = max(float(np.linalg.norm(one - expected)) for one in (place, places[number]))
        if moved_mm > farthest_mm:
            farthest_mm = moved_mm
        if moved_mm > allowed_mm and problem is None:
            problem = (
                f"the blob {blob.name} lies at {_listed(place)} mm (SimpleITK: {_listed(places[number])}) "
                f"and belongs at {_listed(expected)}, {moved_mm:.1f} mm away"
            )
        if problem is None and not wanted / VOLUME_FACTOR <= size <= wanted * VOLUME_FACTOR:
            problem = f"the blob {blob.name} has {size} voxels and should have {wanted}"
    wrong = int((voxels != truth).sum())
    if problem is None and exact and wrong:
        problem = f"{wrong} voxels have another label than they should"
    if problem is None and shape != grid.shape:
        problem = f"SimpleITK reads {_listed(shape)} voxels"
    return farthest_mm, problem


def _by_itk(path: Path) -> tuple[tuple[int, ...], dict[int, npt.NDArray[np.float64]]]:
    """As SimpleITK reads it: the shape ``(X, Y, Z)``, and the middle of each label in RAS mm."""
    import SimpleITK

    image: Any = SimpleITK.ReadImage(str(path))
    voxels = SimpleITK.GetArrayFromImage(image)
    middles = {}
    for number in range(1, len(BLOBS) + 1):
        indices = np.argwhere(voxels == number)[:, ::-1]
        if len(indices):
            lps = image.TransformContinuousIndexToPhysicalPoint(indices.mean(axis=0).tolist())
            middles[number] = np.array(lps) * (-1, -1, 1)
    return image.GetSize(), middles


def _canonical(voxels: npt.NDArray[np.uint8], affine: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    import nibabel

    turn: Any = nibabel.orientations
    return np.asarray(turn.apply_orientation(voxels, turn.io_orientation(affine)))


def _middle(mask: npt.NDArray[np.bool_], affine: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The centroid in RAS mm."""
    middle: npt.NDArray[np.float64] = affine[:3, :3] @ np.argwhere(mask).mean(axis=0) + affine[:3, 3]
    return middle


def _listed(numbers: Any) -> str:
    return "(" + ", ".join(f"{number:.4g}" for number in numbers) + ")"
