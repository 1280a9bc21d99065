"""The batch in which a training failed, written so that a person can open it."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg.io.files import atomic, write_json
from autoseg.training.patches import Batch, SampleSource

FOLDER = "nan_batch"


def keep(
    folder: Path, batch: Batch, source: SampleSource, spacing_mm: Sequence[float], facts: Mapping[str, Any]
) -> str:
    """Write ``folder``/nan_batch, replacing an older one; the rest of a sentence that says where it is.

    ``sampleNN_image.nii.gz`` ``(*patch, C)`` and ``sampleNN_labels.nii.gz`` are what the network saw: normalised,
    augmented, in the working axes of the plan (a slice is one plane across the first); not in the place of the
    patient. ``batch.json`` has ``facts``, of which ``step`` is needed, and of each sample its case, the voxel of the
    prepared case in its middle, and its largest magnitude of intensity (null: no number).
    """
    place = folder / FOLDER
    images, labels = (part.detach().cpu().numpy() for part in (batch.image, batch.target))
    samples: list[dict[str, Any]] = []
    for index, image in enumerate(images):
        case, voxel = source.origin(facts["step"], index)
        largest = float(np.abs(image).max())
        samples.append({"case": case, "voxel": voxel, "largest": largest if math.isfinite(largest) else None})
    try:
        if place.exists():
            shutil.rmtree(place)
        for index, (image, label_map) in enumerate(zip(images, labels, strict=True)):
            _write(place / f"sample{index:02d}_image.nii.gz", np.moveaxis(image, 0, -1), spacing_mm)
            _write(place / f"sample{index:02d}_labels.nii.gz", label_map[..., None].astype(np.uint16), spacing_mm)
        write_json(place / "batch.json", {**facts, "samples": samples})
    except OSError as error:  # of a full disk: the failure of the training is what must be told
        return f" (the batch could not be written: {error.strerror})"
    worst = max(samples, key=lambda one: math.inf if one["largest"] is None else float(one["largest"]))
    size = "no number" if worst["largest"] is None else f"{worst['largest']:.3g}"
    return f" in {place} (the largest is {size}, of {worst['case']})"


def _write(path: Path, voxels: npt.NDArray[Any], spacing_mm: Sequence[float]) -> None:
    """``(*patch, C)``; a volume of one channel is written without the axis of channels."""
    import nibabel

    flat = 4 - voxels.ndim
    voxels = voxels.reshape(*(1,) * flat, *voxels.shape)
    affine = np.diag([*(1.0,) * (3 - len(spacing_mm)), *spacing_mm, 1.0])
    nifti: Any = nibabel.Nifti1Image
    with atomic(path) as temporary:
        nibabel.save(nifti(voxels[..., 0] if voxels.shape[-1] == 1 else voxels, affine), temporary)
