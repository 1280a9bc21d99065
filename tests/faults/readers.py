"""Everything that autoseg reads, each with a good file and a way to change it."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from autoseg.core.augmentation_spec import AugmentationSpec
from autoseg.core.calibration import read_calibration
from autoseg.core.errors import BadInput
from autoseg.core.fingerprint import Fingerprint
from autoseg.core.plan import read_plan
from autoseg.core.selection import read_selection
from autoseg.core.study import read_study
from autoseg.interop.conversion_recipe import read_recipe as read_rules
from autoseg.interop.nnunet_files import open_model
from autoseg.interop.nnunet_model import read_fold, read_models
from autoseg.io import images
from autoseg.io.files import read_text
from autoseg.io.workspace import Workspace
from autoseg.networks import model_file
from autoseg.pipeline.models import archived_models
from autoseg.pipeline.runs import recorded_split
from autoseg.planning.folds import parse_splits
from autoseg.planning.recipe import apply_recipe, read_recipe
from tests.faults.good_input import Place
from tests.faults.mutation import Mutate, mutate_bytes, mutate_header, mutate_json, mutate_pickle, mutate_table, packed
from tests.interop import peer_models

RECIPE = {
    "title": "ours",
    "source": "here",
    "axis_order": [2, 1, 0],
    "recommended": "3d_fullres",
    "split": {"folds": 3},
    "configurations": {
        "3d_fullres": {"batch_size": 4, "training": {"loss": "cross_entropy", "epochs": 3}},
        "small": {
            "patch_size": "largest",
            "normalization": "zscore",
            "network": {"name": "voxresnet", "dimensions": 3, "size_multiple": [8, 8, 8]},
            "variants": {"batch_size": [1, 2]},
        },
    },
    "comparisons": {"both": {"title": "x", "configurations": ["3d_fullres", "small"], "baseline": "small"}},
}
STUDY = {"name": "both", "datasets": ["a", "b"], "unseen": ["c"], "epochs": 3, "metrics": ["dice"], "seed": 1}
RULES = {
    "datasets": {"tiny": {"contrasts": ["T1w"], "labels": {"core": 2}, "exclude": ["sub-01"], "threshold": 0.4}},
    "labels": ["core"],
    "group": "family",
}
SELECTION = {
    "dataset": "Tiny",
    "configurations": ["3d_fullres"],
    "folds": ["fold0"],
    "postprocessing": {"keep_largest": [[1, 2]]},
    "mean_dice": 0.8,
    "reason": "alone",
    "candidates": [{"configurations": ["3d_fullres"], "mean_dice": 0.8, "dice": {"core": 0.8}}],
    "steps": [],
}
AUGMENTATION = AugmentationSpec(rotation_degrees=30, dummy_2d=False, mirror_axes=())
CALIBRATION = {"labels": {"core": [[0.5, 0.4], [0.9, 0.8]]}}
CASES = ("tiny_sub-00_T1w", "tiny_sub-01_T1w", "tiny_sub-02_T1w")
SPLITS = [{"train": list(CASES[:2]), "val": [CASES[2]]}, {"train": list(CASES[1:]), "val": [CASES[0]]}]


@dataclass(frozen=True)
class Reader:
    """What reads a kind of file: ``read`` a file called ``name``, which was ``good`` and then changed by ``mutate``."""

    kind: str
    name: str
    good: bytes
    mutate: Mutate
    read: Callable[[Path], object]


def readers(good: Place) -> list[Reader]:
    """All of them; ``good`` is a place of good input."""
    return [*image_readers(good), *document_readers(good), *model_readers(good)]


def every_way(path: Path) -> None:
    """An image file as image, as labels and its header alone; the last is what is told if all are refused."""
    outcomes = []
    for read in (images.read_header, images.read_image, images.read_label_map):
        try:
            read(path)
        except BadInput as error:
            outcomes.append(error)
    if len(outcomes) == 3:
        raise outcomes[-1]


def image_readers(good: Place) -> list[Reader]:
    """Images of all formats."""
    loaded = nibabel.load(good.labels())
    whole = good.labels().read_bytes()
    plain = gzip.decompress(whole)
    scaled = nibabel.Nifti1Image(np.asarray(loaded.dataobj).astype(np.int16), loaded.affine)
    scaled.header.set_slope_inter(2, 1)
    volume = np.asarray(loaded.dataobj)
    found = [
        Reader("NIfTI headers", "header.nii", plain, mutate_header, every_way),
        Reader("headers of NIfTI with a slope", "slope.nii", scaled.to_bytes(), mutate_header, every_way),
        Reader("headers of packed NIfTI", "packed.nii.gz", whole, packed(mutate_header), every_way),
        Reader("bytes of NIfTI", "bytes.nii", plain, mutate_bytes, every_way),
        Reader("bytes of packed NIfTI", "bytes.nii.gz", whole, mutate_bytes, every_way),
        Reader("NIfTI-2", "second.nii", nibabel.Nifti2Image(volume, loaded.affine).to_bytes(), mutate_bytes, every_way),
    ]
    for ending, content in other_formats(volume[:8, :8, :4], good.folder).items():
        found.append(Reader(f"bytes of {ending}", f"other{ending}", content, mutate_bytes, every_way))
    return found


def other_formats(volume: Any, folder: Path) -> dict[str, bytes]:
    """A small image in each of the other formats, by ending."""
    import SimpleITK
    import tifffile
    from PIL import Image

    written = {}
    for ending in (".nrrd", ".mha"):
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(volume), str(folder / f"one{ending}"), True)
        written[ending] = (folder / f"one{ending}").read_bytes()
    stack, picture, bitmap = io.BytesIO(), io.BytesIO(), io.BytesIO()
    tifffile.imwrite(stack, volume, photometric="minisblack", compression="zlib")
    Image.fromarray(volume[:, :, 0]).save(picture, format="PNG")
    Image.fromarray(volume[:, :, 0]).save(bitmap, format="BMP")
    return {**written, ".tif": stack.getvalue(), ".png": picture.getvalue(), ".bmp": bitmap.getvalue()}


def document_readers(good: Place) -> list[Reader]:
    """Documents of the user and of the workspace."""
    plan_text = (good.dataset / "plan.json").read_bytes()
    plan = read_plan(plan_text.decode(), "good")
    fingerprint = Fingerprint.model_validate_json((good.dataset / "fingerprint.json").read_text())

    def dataset(path: Path) -> None:
        Workspace(path.parents[2]).read_dataset(path.parent.name)

    def beside(name: str) -> Callable[[Path], None]:
        def read(path: Path) -> None:
            (path.parent / name).write_bytes((good.dataset / name).read_bytes())
            dataset(path)

        return read

    def recipe(path: Path) -> None:
        apply_recipe(plan, fingerprint, read_recipe(read_text(path), str(path)), "ours")

    def as_json(document: object) -> bytes:
        return json.dumps(document).encode()

    return [
        Reader("plan", "plan.json", plan_text, mutate_json, lambda path: read_plan(read_text(path), str(path))),
        Reader(
            "dataset.json",
            "datasets/Fuzzed/dataset.json",
            (good.dataset / "dataset.json").read_bytes(),
            mutate_json,
            beside("cases.tsv"),
        ),
        Reader(
            "cases.tsv",
            "datasets/Tabled/cases.tsv",
            (good.dataset / "cases.tsv").read_bytes(),
            mutate_table,
            beside("dataset.json"),
        ),
        Reader(
            "splits",
            "splits.json",
            as_json(SPLITS),
            mutate_json,
            lambda path: parse_splits(read_text(path), str(path), CASES),
        ),
        Reader("recipe", "recipe.json", as_json(RECIPE), mutate_json, recipe),
        Reader("recipe of a conversion", "rules.json", as_json(RULES), mutate_json, read_rules),
        Reader("study", "study.json", as_json(STUDY), mutate_json, lambda path: read_study(read_text(path), str(path))),
        Reader(
            "calibration",
            "calibration.json",
            as_json(CALIBRATION),
            mutate_json,
            lambda path: read_calibration(read_text(path), str(path)),
        ),
        Reader(
            "selection",
            "selection.json",
            as_json(SELECTION),
            mutate_json,
            lambda path: read_selection(read_text(path), str(path)),
        ),
        Reader(
            "split of a fold",
            "fold/split.json",
            as_json(SPLITS[0]),
            mutate_json,
            lambda path: recorded_split(path.parent),
        ),
    ]


def model_readers(good: Place) -> list[Reader]:
    """Weights, exported models, and models of nnU-Net."""
    beside_good = good.folder.with_name(f"{good.folder.name}-peer")  # others copy what is good
    folder = beside_good / peer_models.FOLDER
    if not folder.is_dir():
        peer_models.write(beside_good)
    checkpoint = next(folder.rglob("checkpoint_final.pth"))

    def archive(path: Path) -> None:
        models = archived_models(path)
        for folds in models.folds.values():
            for fold in folds.values():
                model_file.read_weights(fold / "final.safetensors")

    def beside(path: Path, name: str) -> None:
        """The rest of the model of nnU-Net, and all of it read."""
        root = path
        while root.name != folder.name:
            root = root.parent
        for other in folder.rglob("*"):
            place = root / other.relative_to(folder)
            if other.is_file() and place.name != name and not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(other.read_bytes())
        with open_model(root) as files:
            for model in read_models(files, "Peer", lambda patch: AUGMENTATION):
                for fold in model.checkpoints:
                    read_fold(files, model, fold)

    def peer_reader(kind: str, number: int, place: Path, mutate: Mutate) -> Reader:
        inside = place.relative_to(folder)
        name = f"peer{number}/{folder.name}/{inside.as_posix()}"
        return Reader(kind, name, place.read_bytes(), mutate, lambda path: beside(path, inside.name))

    weights = good.fold / "final.safetensors"
    return [
        Reader("weights", "final.safetensors", weights.read_bytes(), mutate_bytes, model_file.read),
        Reader("exported model", "Tiny.autoseg.zip", good.model.read_bytes(), mutate_bytes, archive),
        peer_reader("plans of nnU-Net", 1, folder / "plans.json", mutate_json),
        peer_reader("dataset.json of nnU-Net", 2, folder / "dataset.json", mutate_json),
        peer_reader("checkpoint of nnU-Net", 3, checkpoint, mutate_bytes),
        peer_reader("pickle of a checkpoint of nnU-Net", 4, checkpoint, mutate_pickle),
    ]
