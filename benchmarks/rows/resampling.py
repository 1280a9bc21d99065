"""Resampling of an image, of logits and of labels, in memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import oracles
from benchmarks.material import once
from benchmarks.measure import alternate, run
from benchmarks.report import Result, compared
from benchmarks.setting import Setting

MOST_DIFFERENCE = 1e-5
MOST_EXTRA_BYTES = 10**9
SUBSET = 10  # classes that the peer resamples where it could not hold all
SPARE_BYTES = 6 * 2**30


def image(setting: Setting) -> Result:
    """Cubic resampling of a float32 volume of 120 x 256 x 256 voxels to 150 x 320 x 320."""
    shape, shape_out = ((24, 48, 48), (30, 60, 60)) if setting.quick else ((120, 256, 256), (150, 320, 320))

    def make(folder: Path) -> None:
        noise = np.random.default_rng(0).normal(size=(1, *shape))
        np.save(folder / "input.npy", noise.astype(np.float32))

    folder = once(setting, "resample-image", make)
    found: dict[str, Any] = {}
    sides = both(setting, "image", folder, shape_out, found)
    runs = alternate(setting.pairs, sides)
    facts = oracles.against_skimage(folder / "input.npy", folder / "ours.npy")
    checks = {f"max difference to skimage <= {MOST_DIFFERENCE:g}": facts["max_difference"] <= MOST_DIFFERENCE}
    accuracy = f"max difference {facts['max_difference']:.1e}"
    work = f"cubic resampling, {sizes(shape)} to {sizes(shape_out)}, float32 ({accuracy})"
    return compared(work, "s", runs, 10, COMMANDS, checks, facts | found)


def labels(setting: Setting) -> Result:
    """Resampling of a map of 30 labels from 160^3 to 200^3 voxels."""
    shape, shape_out = ((40,) * 3, (50,) * 3) if setting.quick else ((160,) * 3, (200,) * 3)

    def make(folder: Path) -> None:
        np.save(folder / "input.npy", oracles.regions(shape, 30)[None].astype(np.int16))

    folder = once(setting, "resample-labels", make)
    found: dict[str, Any] = {}
    runs = alternate(setting.pairs, both(setting, "labels", folder, shape_out, found))
    facts = oracles.against_peer(folder / "input.npy", folder / "ours.npy", folder / "peer.npy")
    checks = {"equal except ties": facts["different_voxels_not_tied"] == 0}
    work = f"resampling of 30 labels, {sizes(shape)} to {sizes(shape_out)} ({facts['different_voxels']} voxels differ)"
    return compared(work, "s", runs, 10, COMMANDS, checks, facts | found)


def logits(setting: Setting) -> Result:
    """Logits of 118 classes at 160^3 to labels at 320^3: interpolate, then the largest."""
    classes, edge = (12, 32) if setting.quick else (118, 160)
    shape_out = (2 * edge,) * 3

    def make(folder: Path) -> None:
        np.save(folder / "input.npy", oracles.network_like_logits((edge,) * 3, classes))

    folder = once(setting, "resample-logits", make)
    subset = classes if peer_can_hold(classes, edge) else SUBSET
    found: dict[str, Any] = {}
    sides = both(setting, "logits", folder, shape_out, found, ("--classes", str(subset)))
    whole = {"peer": lambda: sides["peer"]() * classes / subset, "ours": sides["ours"]}
    runs = alternate(1 if subset == classes and not setting.quick else setting.pairs, whole)
    facts = oracles.against_streaming(folder / "input.npy", folder / "ours.npy") | found
    facts |= {"peer_classes_measured": subset, "classes": classes}
    if subset < classes:
        facts["peer_time"] = (
            f"measured on {subset} classes and multiplied by {classes}/{subset}, as the peer resamples class by class: "
            "it would hold float32 logits of all classes at the new size and a float64 copy of its input"
        )
    extra = found["ours"]["extra_bytes"]
    checks = {
        "extra memory < 1 GB": extra < MOST_EXTRA_BYTES,
        "equal to interpolate-then-argmax": facts["different_voxels_not_tied"] == 0,
    }
    scaled = f", peer's time from {subset} classes" if subset < classes else ""
    work = (
        f"logits of {classes} classes at {edge}^3 to labels at {2 * edge}^3 (extra memory {extra / 1e9:.2f} GB{scaled})"
    )
    return compared(work, "s", runs, 10, COMMANDS, checks, facts)


COMMANDS = (
    "peer: nnunetv2 resample_data_or_seg_to_shape (image: order 3, labels: is_seg order 1, logits: order 1 and argmax)",
    "ours: autoseg.preprocessing.resample resample_image, resample_labels, resample_logits_to_labels",
    "arrays in memory, first call in a fresh process",
)


def both(
    setting: Setting,
    work: str,
    folder: Path,
    shape_out: tuple[int, ...],
    found: dict[str, Any],
    peer_options: tuple[str, ...] = (),
) -> dict[str, Callable[[], float]]:
    """The two sides; what their scripts say ends in ``found``, the resampled arrays in the folder."""
    size = [str(extent) for extent in shape_out]

    def side(name: str, command: list[str]) -> float:
        found[name] = run(command).document
        return float(found[name]["seconds"])

    source = str(folder / "input.npy")
    ours = setting.script("resampling", work, source, folder / "ours.npy", *size)
    peer = setting.peer_script("resampling", work, source, folder / "peer.npy", *size, *peer_options)
    return {"peer": lambda: side("peer", peer), "ours": lambda: side("ours", ours)}


def peer_can_hold(classes: int, edge: int) -> bool:
    """Whether its logits before (float32, float64) and after (float32, and a class as float64) fit in memory."""
    before, after = edge**3, (2 * edge) ** 3
    needed = classes * (12 * before + 4 * after) + 4 * 8 * after
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return needed + SPARE_BYTES < available


def sizes(shape: tuple[int, ...]) -> str:
    """``120 x 256 x 256``."""
    return " x ".join(str(extent) for extent in shape)
