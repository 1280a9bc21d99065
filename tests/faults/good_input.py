"""What the kinds of bad input are made from: a small BIDS dataset, and a workspace with one trained fold of it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from string import Template

import nibabel
import numpy as np

from tests.cli.commands import LABELS, write_site
from tests.faults.command import call

SUBJECTS = 3
NETWORK = {
    "name": "plain_unet",
    "dimensions": 3,
    "features_per_stage": [4, 8],
    "kernel_sizes": [[3, 3, 3]] * 2,
    "strides": [[1, 1, 1], [2, 2, 2]],
    "blocks_per_stage": [1, 1],
    "blocks_per_decoder_stage": [1],
}


@dataclass(frozen=True)
class Place:
    """A folder with the BIDS datasets ``tiny`` and ``pair``, a workspace with a model of each, and an exported one.

    ``pair`` has two contrasts, of quite different intensities.
    """

    folder: Path

    @property
    def site(self) -> Path:
        """The BIDS dataset."""
        return self.folder / "tiny"

    @property
    def pair(self) -> Path:
        """The BIDS dataset of two contrasts."""
        return self.folder / "pair"

    @property
    def workspace(self) -> Path:
        """With the datasets Tiny and Pair, their plans, and fold0 of 3d_fullres of each."""
        return self.folder / "workspace"

    @property
    def dataset(self) -> Path:
        """The dataset Tiny of the workspace."""
        return self.workspace / "datasets/Tiny"

    @property
    def fold(self) -> Path:
        """The trained fold."""
        return self.workspace / "models/Tiny/3d_fullres/fold0"

    @property
    def model(self) -> Path:
        """The exported model."""
        return self.folder / "Tiny.autoseg.zip"

    @property
    def out(self) -> Path:
        """Where predictions go; not there yet."""
        return self.folder / "out"

    def image(self, number: int = 1) -> Path:
        """The image of a subject; that of subject 1 is the one that is spoiled."""
        return self.site / f"sub-{number:02d}/anat/sub-{number:02d}_T1w.nii.gz"

    def labels(self, number: int = 1) -> Path:
        """Its labels."""
        return self.site / LABELS / f"sub-{number:02d}/anat/sub-{number:02d}_desc-manual_dseg.nii.gz"

    def fill(self, text: str) -> str:
        """``text`` with the paths of this place for ``$site``, ``$image``, ``$labels`` and so on."""
        names = ("folder", "site", "pair", "workspace", "dataset", "fold", "model", "out")
        paths = {name: getattr(self, name) for name in names} | {"image": self.image(), "labels": self.labels()}
        return Template(text).substitute(paths)


def make_good(folder: Path) -> Place:
    """Convert, plan, train for a moment and export, by the command line."""
    place = Place(folder)
    write_site(place.site, SUBJECTS)
    (place.site / "dataset_description.json").write_text('{"Name": "tiny", "BIDSVersion": "1.9.0"}')
    write_site(place.pair, SUBJECTS)
    for image in sorted(place.pair.glob("sub-*/anat/*_T1w.nii.gz")):
        first = nibabel.load(image)
        second = 4000 - 20 * np.asarray(first.dataobj)
        nibabel.save(nibabel.Nifti1Image(second, first.affine), str(image).replace("_T1w", "_T2w"))
    make_model(place, place.site, "Tiny")
    make_model(place, place.pair, "Pair", "--channels", "T1w,T2w")
    run(place, "export", "Tiny", "-o", str(place.model))
    return place


def make_model(place: Place, site: Path, dataset: str, *options: str) -> None:
    """Convert, plan, and train fold0 of a network as small as can be for a moment."""
    run(place, "convert-bids", str(site), "--dataset", dataset, *options)
    run(place, "plan", dataset)
    plan = place.workspace / "datasets" / dataset / "plan.json"
    document = json.loads(plan.read_text())
    network = document["configurations"]["3d_fullres"]
    network |= {"patch_size": [16, 16, 16], "batch_size": 2, "network": NETWORK}
    network["training"] |= {"epochs": 1, "steps_per_epoch": 2, "validation_steps": 1}
    document["configurations"] = {"3d_fullres": network}
    plan.write_text(json.dumps(document))
    run(place, "train", dataset, "3d_fullres", "fold0", "--device", "cpu")


def copy_of(good: Place, folder: Path) -> Place:
    """A copy that may be spoiled; the images of its dataset are links into its own BIDS dataset."""
    shutil.copytree(good.folder, folder, symlinks=True)
    place = Place(folder)
    for link in place.workspace.glob("datasets/*/*Tr/*"):
        target = link.readlink()
        link.unlink()
        link.symlink_to(folder / target.relative_to(good.folder))
    return place


def run(place: Place, *arguments: str) -> None:
    """A command that must succeed."""
    outcome = call(place.workspace, *arguments)
    if outcome.status != 0:
        raise AssertionError(f"autoseg {' '.join(arguments)}: {outcome.status} {outcome.raised} {outcome.error}")
