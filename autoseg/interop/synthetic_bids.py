"""Two small synthetic BIDS datasets with different scanners and label conventions, for the demo and tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg.core.errors import BadInput
from autoseg.interop.spinal_cord_phantom import (
    GREY_MATTER,
    T2STAR,
    T2W,
    WHITE_MATTER,
    Contrast,
    degrade,
    draw_anatomy,
    render,
)
from autoseg.io.files import atomic, write_json, write_text
from autoseg.runtime.jobs import map_threads

BIDS_VERSION = "1.9.0"
TABLE = f"index\tname\n{WHITE_MATTER}\twhite_matter\n{GREY_MATTER}\tgrey_matter\n"


@dataclass(frozen=True)
class _Site:
    """A scanner: the intensity of muscle, noise relative to it, bias, and how its labels are stored."""

    name: str
    scale: float
    noise: float
    bias: float
    stored: type[np.generic]
    flips: tuple[int, int, int]  # sign of each stored axis in RAS
    one_map: bool


@dataclass(frozen=True)
class _Series:
    contrast: Contrast
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    sidecar: dict[str, Any]


SITES = (
    _Site("site-a", 400.0, 0.06, 0.20, np.int16, (1, 1, 1), one_map=True),
    _Site("site-b", 45.0, 0.10, 0.35, np.uint16, (-1, -1, 1), one_map=False),
)
SERIES = {
    "T2star": _Series(T2STAR, (64, 64, 12), (0.8, 0.8, 5.0), {"EchoTime": 0.02, "SpacingBetweenSlices": 5.0}),
    "T2w": _Series(T2W, (60, 60, 30), (1.0, 1.0, 2.0), {"EchoTime": 0.12, "SpacingBetweenSlices": 2.0}),
}


def write_demo(destination: Path, num_subjects_per_site: int = 6, seed: int = 0) -> list[Path]:
    """Write the BIDS datasets ``site-a`` and ``site-b`` into ``destination``; returns their folders.

    Each subject has T2w and T2star with white and grey matter labelled: at site a one ``dseg`` map with
    a table, at site b one mask a structure. The same seed gives the same voxels. BadInput: a folder
    exists already, or fewer than one subject.
    """
    if num_subjects_per_site < 1:
        raise BadInput(f"{destination}: {num_subjects_per_site} subjects cannot be drawn; ask for at least 1.")
    roots = [Path(destination) / site.name for site in SITES]
    for root in roots:
        if root.exists():
            raise BadInput(f"{root}: the folder exists already; choose another folder or remove it.")
    for index, (site, root) in enumerate(zip(SITES, roots, strict=True)):
        subjects = [f"sub-{number:02d}" for number in range(1, num_subjects_per_site + 1)]
        _write_dataset_files(root, site, subjects)
        jobs = [(root, site, subject, (seed, index, number)) for number, subject in enumerate(subjects)]
        for _ in map_threads(_write_subject, jobs):
            pass
    return roots


def _write_subject(job: tuple[Path, _Site, str, tuple[int, int, int]]) -> None:
    root, site, subject, seed = job
    generator = np.random.default_rng(seed)
    anatomy = draw_anatomy(generator)
    for name, series in SERIES.items():
        clean, labels = render(anatomy, series.contrast, series.shape, series.spacing_mm, generator)
        noisy = degrade(clean, site.noise, site.bias, generator) * site.scale
        affine = np.diag([*series.spacing_mm, 1.0])
        affine[:3, 3] = [-(n - 1) / 2 * side for n, side in zip(series.shape, series.spacing_mm, strict=True)]
        image_stem = root / subject / "anat" / f"{subject}_{name}"
        _write_nifti(image_stem, np.rint(noisy).astype(site.stored), affine, site)
        sidecar = {"MagneticFieldStrength": 3, "Manufacturer": f"synthetic {site.name}", **series.sidecar}
        write_json(image_stem.with_name(f"{image_stem.name}.json"), sidecar)
        folder = root / "derivatives" / "labels" / subject / "anat"
        source = {"SpatialReference": "orig", "Sources": [f"bids:raw:{subject}/anat/{subject}_{name}.nii.gz"]}
        if site.one_map:
            written = {"desc-manual_dseg": labels}
        else:
            named = {"whitematter": WHITE_MATTER, "greymatter": GREY_MATTER}
            written = {f"label-{word}_mask": labels == value for word, value in named.items()}
        for ending, voxels in written.items():
            label_stem = folder / f"{subject}_space-{name}_{ending}"
            _write_nifti(label_stem, voxels.astype(np.uint8), affine, site)
            extra = {"Type": "ROI"} if ending.endswith("mask") else {}
            write_json(label_stem.with_name(f"{label_stem.name}.json"), source | extra)


def _write_nifti(stem: Path, voxels: npt.NDArray[Any], affine: npt.NDArray[np.float64], site: _Site) -> None:
    """Store a RAS array with the axes of the site; the world position of each voxel stays."""
    import nibabel

    nifti: Any = nibabel.Nifti1Image
    flips = np.array(site.flips)
    stored_affine = affine @ np.diag([*flips, 1.0])
    stored_affine[:3, 3] += affine[:3, :3] @ np.where(flips < 0, np.array(voxels.shape) - 1, 0)
    image = nifti(voxels[tuple(slice(None, None, int(flip)) for flip in flips)], stored_affine)
    image.set_sform(stored_affine, code=1)
    image.set_qform(stored_affine, code=1)
    image.header.set_xyzt_units("mm", "sec")
    with atomic(stem.with_name(f"{stem.name}.nii.gz")) as temporary:
        nibabel.save(image, temporary)


def _write_dataset_files(root: Path, site: _Site, subjects: list[str]) -> None:
    description = {"BIDSVersion": BIDS_VERSION, "License": "CC0", "Authors": ["autoseg"]}
    name = f"Synthetic spinal cords, {site.name}"
    write_json(root / "dataset_description.json", {"Name": name, "DatasetType": "raw", **description})
    derivative = {
        "Name": f"{name}: labels",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "autoseg demo"}],
        "DatasetLinks": {"raw": "../.."},
        **description,
    }
    write_json(root / "derivatives" / "labels" / "dataset_description.json", derivative)
    write_text(root / "README.md", f"# {name}\n\nDrawn by `autoseg demo`; no person was scanned.\n")
    write_text(root / "participants.tsv", "participant_id\n" + "".join(f"{subject}\n" for subject in subjects))
    participants = {"participant_id": {"Description": "Synthetic subject"}}
    write_text(root / "participants.json", json.dumps(participants, indent=1) + "\n")
    if site.one_map:
        write_text(root / "derivatives" / "labels" / "desc-manual_dseg.tsv", TABLE)
