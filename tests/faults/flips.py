"""Sides, axes and millimetres exchanged somewhere on the way: the self-test must see each of them.

A fault survives nothing here: it is counted as survived when the self-test has named it.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from autoseg.core import case as core_case
from autoseg.core import geometry
from autoseg.inference import predictor, sliding_window
from autoseg.interop.blob_phantom import make_grid
from autoseg.io import images, nifti, store
from autoseg.pipeline.self_test import SPACING_MM, Check, self_test
from autoseg.preprocessing import prepare
from tests.faults.row import Row

Fault = contextlib.AbstractContextManager[Any]


def changed(owner: Any, name: str, change: Callable[..., Any]) -> Fault:
    """A function whose result goes through ``change``, which gets the arguments as well."""
    original = getattr(owner, name)
    return mock.patch.object(owner, name, lambda *args, **named: change(original(*args, **named), *args))


def flipped(axis: int) -> Callable[..., Any]:
    """A result of three axes or more, one of the last three back to front."""
    return lambda result, *_: np.ascontiguousarray(np.flip(result, axis - 3))


def unflipped(reorientation: geometry.Reorientation, *_: object) -> geometry.Reorientation:
    """Left is right: no axis is ever reversed, on the way there and back."""
    return geometry.Reorientation(reorientation.axes, (False, False, False))


def rolled(logits: Any, *_: object) -> Any:
    """Everything one voxel along the last axis."""
    return np.roll(logits, 1, -1)


def swapped(image: core_case.Image, *_: object) -> core_case.Image:
    """The channels in another order."""
    return core_case.Image(image.voxels[::-1].copy(), image.affine, image.stated_spacing_mm)


def shifted_tiles(results: list[tuple[Any, Any]], *_: object) -> list[tuple[Any, Any]]:
    """What a tile says, one voxel further."""
    return [(start, np.roll(part, 1, -1)) for start, part in results]


def saved_flipped() -> Fault:
    """The labels of a prepared case back to front, its image not."""
    original = store.save_case

    def save(folder: Path, prepared: core_case.Case, *rest: Any) -> None:
        assert prepared.labels is not None
        turned = core_case.Case(prepared.name, prepared.image, prepared.labels[::-1].copy(), prepared.trace)
        original(folder, turned, *rest)

    return mock.patch.object(store, "save_case", save)


def written_with(change: Callable[[Any, np.ndarray], tuple[Any, np.ndarray]]) -> Fault:
    """Other voxels or another affine in the file."""
    original = nifti.write

    def write(path: Path, voxels: Any, affine: np.ndarray, like: Path) -> None:
        voxels, affine = change(voxels, affine)
        original(path, voxels, affine, Path("of no format"))

    return mock.patch.object(nifti, "write", write)


def mirrored_affine(voxels: Any, affine: np.ndarray) -> tuple[Any, np.ndarray]:
    """The x axis of the world, as where LPS is taken for RAS."""
    return voxels, np.diag([-1.0, 1.0, 1.0, 1.0]) @ affine


def without_offset(voxels: Any, affine: np.ndarray) -> tuple[Any, np.ndarray]:
    """The first voxel at the origin of the world."""
    return voxels, np.hstack([affine[:, :3], np.eye(4)[:, 3:]])


def spacing_reversed() -> Fault:
    """Millimetres of (z, y, x) taken for those of (x, y, z)."""
    return mock.patch.object(
        core_case.Image, "spacing_mm", property(lambda self: geometry.spacing_mm(self.affine)[::-1])
    )


FAULTS: dict[str, Callable[[], Fault]] = {
    "the way back forgets to flip": lambda: mock.patch.object(
        geometry.Reorientation,
        "undo",
        lambda self, voxels: voxels.transpose(*np.argsort(self.axes)) if voxels.ndim == 3 else voxels,
    ),
    "the way back permutes the axes as the way there": lambda: mock.patch.object(
        geometry.Reorientation, "undo", lambda self, voxels: self.apply(voxels)
    ),
    "left and right exchanged in the labels": lambda: changed(prepare, "undo_box", flipped(0)),
    "front and back exchanged in the labels": lambda: changed(prepare, "undo_box", flipped(1)),
    "up and down exchanged in the labels": lambda: changed(prepare, "undo_box", flipped(2)),
    "no axis is flipped, there or back": lambda: changed(geometry, "canonical_axes", unflipped),
    "spacing in the order of another library": spacing_reversed,
    "the affine of the file mirrored": lambda: written_with(mirrored_affine),
    "the affine of the file without its offset": lambda: written_with(without_offset),
    "mirrored copies not turned back": lambda: mock.patch.object(torch.Tensor, "flip", lambda self, *_: self),
    "tiles one voxel off": lambda: changed(sliding_window, "weighted_logits", shifted_tiles),
    "full volumes one voxel off": lambda: changed(predictor, "full_volume_logits", rolled),
    "channels exchanged": lambda: changed(images, "read_channels", swapped),
    "prepared labels back to front": saved_flipped,
}


def rows(size: int, seed: int, folder: Path) -> Iterator[Row]:
    """``size`` of the faults, in an order of the seed; all of them at full size."""
    order = np.random.default_rng(seed).permutation(len(FAULTS))[:size]
    names = [list(FAULTS)[number] for number in order]
    missed = [name for name in names if not caught(name)]
    yield Row(
        "sides, axes or millimetres exchanged",
        len(names),
        len(names) - len(missed),
        "the self-test fails",
        tuple(missed),
    )


def caught(name: str) -> str:
    """The first sentence of the self-test about a fault; empty if it saw nothing."""
    with FAULTS[name]():
        problems = [f"{check.name}: {problem}" for check in small_test() for problem in check.problems]
    return next(iter(problems), "")


def small_test() -> list[Check]:
    """The self-test on a few grids, among them all kinds."""
    exact = [make_grid(code, SPACING_MM) for code in ("RAS", "LPI", "PSR")]
    exact.append(make_grid("LPS", SPACING_MM, (8.0, -12.0, 5.0), "oblique"))
    return self_test("cpu", exact, [make_grid("LAS", (0.8, 1.5, 2.0), name="coarse")])
