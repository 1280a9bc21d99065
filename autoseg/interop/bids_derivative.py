"""Segmentations as a BIDS derivative dataset, and under the names that users of the Spinal Cord Toolbox know.

A segmentation lies on the grid of its image. BIDS has no entity for the contrast that it was drawn on, and a subject
often has several; so ``space-`` names the image (``space-T2w``, as fMRIPrep has ``space-T1w``), and
``SpatialReference`` in the sidecar says which file that is. ``space-orig`` would give all contrasts of a subject one
name. Entities that BIDS grants to images but not to their segmentations (``flip``, ``mt``, ``inv``, ...) go into the
name of the space too. Rules: BIDS 1.11, "Imaging derivatives", as ``bids-validator-deno`` checks them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from autoseg import __version__
from autoseg.core.case import CaseFiles
from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.core.packed import Packed
from autoseg.interop.prediction_outputs import Layout, Outputs, label_table, label_words, labels_text
from autoseg.io.bids import BidsFile, BidsIndex, index_labels
from autoseg.io.files import read_json
from autoseg.io.images import file_stem
from autoseg.io.workspace import LABELS_FILE

BIDS_VERSION = "1.11.1"
DESCRIPTION_FILE = "dataset_description.json"
PROGRAM = "autoseg"
LABEL_TABLE = f"desc-{PROGRAM}_dseg.tsv"
GROUP_TABLE = "group_volumes"
_NOT_ASCII = r"[^0-9A-Za-z]"
# What BIDS grants to a dseg, by folder; the rest of the order is space, chunk, and what derivatives have.
_ENTITIES = {
    "anat": ("sub", "ses", "task", "acq", "ce", "rec", "run", "echo", "part"),
    "dwi": ("sub", "ses", "acq", "rec", "dir", "run", "part"),
    "func": ("sub", "ses", "task", "acq", "ce", "rec", "dir", "run", "echo", "part"),
}
_AFTER_SPACE = ("chunk", "res")
_REPLACED = ("space", "desc")
_IGNORED = (LABELS_FILE, "evaluation.csv", "evaluation.json", f"{GROUP_TABLE}.*", "*_seg.*")
_README = """# Segmentations by autoseg

Each `*_desc-autoseg_dseg.nii.gz` lies on the grid of the image that its sidecar names (`Sources`); `space-` is the
contrast of that image. The values are in `desc-autoseg_dseg.tsv`. They were not corrected by anyone.
"""
_SPINE_README = """# Segmentations by autoseg

Each `*_seg.nii.gz` is a mask on the grid of the image with which its name begins. They were not corrected by anyone.
"""


@dataclass(frozen=True)
class Segmentation:
    """A label map, its path as text, and the stem of its image (``sub-1_T2w``)."""

    file: str
    image: str


def bids_layout(
    source: Path,
    folder: Path,
    labels: Labels,
    model: str,
    save_probabilities: bool = False,
    save_masks: bool = False,
) -> Layout:
    """``sub-1/anat/sub-1_space-T2w_desc-autoseg_dseg.nii.gz`` for ``source``'s ``sub-1/anat/sub-1_T2w.nii.gz``.

    Masks and probabilities lie beside it, each with a JSON sidecar. ``model`` says in words what predicted.
    BadInput: ``folder`` holds another dataset or lies inside the source.
    """
    refuse_foreign(source, folder)
    words = label_words(labels, _NOT_ASCII)
    generated = generated_by(model)

    def outputs(case: CaseFiles) -> Outputs:
        stem = folder / segmentation_stem(case.channels[0], source)
        common = {**_sidecar(case, source, generated), "Manual": False}
        if "_res-" in stem.name:
            common["Resolution"] = "That of the image."
        label_map = _named(stem, f"desc-{PROGRAM}_dseg.nii.gz")
        masks = {_named(stem, f"label-{word}_desc-{PROGRAM}_mask.nii.gz"): value for value, word in words.items()}
        probabilities = _named(stem, f"desc-{PROGRAM}_probseg.nii.gz")
        confidence = _named(stem, f"desc-{PROGRAM}confidence_probseg.nii.gz")
        sidecars: dict[Path, Mapping[str, Any]] = {
            _json(label_map): {"Description": "Predicted label map.", **common},
        }
        if save_masks:
            sidecars |= {_json(mask): {"Description": "Predicted mask.", "Type": "ROI", **common} for mask in masks}
        if save_probabilities:
            names = list(labels.written_names.values())
            about = {"Description": "Probability of each class, one volume a class, in the order of LabelMap."}
            sidecars[_json(probabilities)] = {**about, "LabelMap": names, **common}
            sidecars[_json(confidence)] = {"Description": "Probability of the predicted class.", **common}
        shares = (probabilities, confidence) if save_probabilities else (None, None)
        return Outputs(label_map, masks if save_masks else {}, shares[0], sidecars, shares[1])

    texts = {
        **_dataset_texts(source, folder, generated, _README),
        folder / LABEL_TABLE: label_table(labels),
        **labels_text(folder, labels),
    }
    return Layout(outputs, texts)


def spine_layout(source: Path, folder: Path, labels: Labels, model: str) -> Layout:
    """``sub-1/anat/sub-1_T2w_seg.nii.gz``, with several labels ``sub-1_T2w_label-SC_seg.nii.gz``: a mask for each.

    These are the names of the Spinal Cord Toolbox and of ``derivatives/labels`` of the datasets made with it. BIDS does
    not know them; ``.bidsignore`` says so. BadInput as ``bids_layout``.
    """
    refuse_foreign(source, folder)
    words = label_words(labels, _NOT_ASCII)
    generated = generated_by(model)

    def outputs(case: CaseFiles) -> Outputs:
        image = case.channels[0]
        stem = folder / image.relative_to(source).parent / file_stem(image)
        masks = {
            _named(stem, "seg.nii.gz" if len(words) == 1 else f"label-{word}_seg.nii.gz"): value
            for value, word in words.items()
        }
        sidecar = _sidecar(case, source, generated)
        return Outputs(None, masks, sidecars={_json(mask): sidecar for mask in masks})

    return Layout(outputs, _dataset_texts(source, folder, generated, _SPINE_README))


def segmentation_stem(image: Path, source: Path) -> Path:
    """The path of a segmentation of ``image``, from its dataset, without ``_desc-...``: entities kept, space added."""
    folder = image.relative_to(source).parent.name
    *tokens, suffix = file_stem(image).split("_")
    pairs = dict(token.split("-", 1) for token in tokens)
    kind = folder if folder in _ENTITIES and (folder != "func" or "task" in pairs) else "anat"
    granted = _ENTITIES[kind]
    strange = [f"{key}{value}" for key, value in pairs.items() if key not in (*granted, *_AFTER_SPACE, *_REPLACED)]
    space = pairs.get("space", "" if strange else suffix) + "".join([*strange, suffix] if strange else [])
    named = {key: pairs[key] for key in granted if key in pairs} | {"space": space}
    named |= {key: pairs[key] for key in _AFTER_SPACE if key in pairs}
    place = Path(*(f"{key}-{pairs[key]}" for key in ("sub", "ses") if key in pairs), kind)
    return place / "_".join(f"{key}-{value}" for key, value in named.items())


def generated_by(model: str) -> dict[str, str]:
    """What made a file, in the way of ``GeneratedBy``."""
    return {"Name": PROGRAM, "Version": __version__, "Description": f"Predicted with {model}."}


def refuse_foreign(source: Path, folder: Path) -> None:
    """BadInput where ``folder`` holds anything that is not a prediction, or lies among the images of ``source``."""
    inside = folder.resolve()
    if inside.is_relative_to(source.resolve()) and not inside.is_relative_to(source.resolve() / "derivatives"):
        raise BadInput(
            f"{folder}: lies in the dataset that is read; choose a folder outside it, or in its derivatives."
        )
    description = folder / DESCRIPTION_FILE
    if description.is_file():
        if not _generators(description):
            raise BadInput(f"{folder}: holds a dataset that autoseg did not make; give another folder for the output.")
    elif folder.is_dir() and any(folder.glob("sub-*")):
        raise BadInput(f"{folder}: holds sub-* folders that autoseg did not make; give another folder for the output.")


def find_segmentations(folder: Path) -> Packed[Segmentation]:
    """The label maps of a prediction that ``bids_layout`` placed.

    BadInput where a file was moved or renamed, a sidecar is missing or it names no source.
    """
    found, root, index = Packed(Segmentation), os.path.abspath(folder), index_labels(folder)
    for path, sentence in index.problems:
        if os.path.relpath(path, root).startswith("sub-"):
            raise BadInput(f"{path}: {sentence}")
    for label in index.labels:
        inside = os.path.relpath(label.file, root)
        if not (inside.startswith("sub-") and label.label_part.endswith(f"desc-{PROGRAM}_dseg")):
            continue
        path = folder / inside
        sidecar = _json(path)
        try:
            source = read_json(sidecar)["Sources"][0]
            found.append(Segmentation(str(path), file_stem(Path(source.rpartition(":")[2]))))
        except (BadInput, LookupError, TypeError, AttributeError):
            raise BadInput(f"{sidecar}: does not say from which image {path.name} is; predict it again.") from None
    return found


def without_predictions(index: BidsIndex) -> BidsIndex:
    """The index without the labels that a prediction left in ``derivatives``: they are no references."""
    descriptions = (index.root / "derivatives").glob(f"*/{DESCRIPTION_FILE}")
    folders = [path.parent for path in sorted(descriptions) if _generators(path)]
    if not folders:
        return index
    labels = Packed(BidsFile, (one for one in index.labels if not any(map(one.path.is_relative_to, folders))))
    sentence = (
        "autoseg predicted what it holds, which is no reference; name it in a recipe if people have corrected it."
    )
    return replace(index, labels=labels, problems=(*index.problems, *((folder, sentence) for folder in folders)))


def _dataset_texts(source: Path, folder: Path, generated: Mapping[str, str], readme: str) -> dict[Path, str]:
    """What describes the dataset; other models that predicted into it before stay named."""
    original: dict[str, Any] = {}
    if (source / DESCRIPTION_FILE).is_file():
        original = read_json(source / DESCRIPTION_FILE)
        if not isinstance(original, dict):
            raise BadInput(f"{source / DESCRIPTION_FILE}: is no JSON object; correct or remove it.")
    before = _generators(folder / DESCRIPTION_FILE) if (folder / DESCRIPTION_FILE).is_file() else []
    doi = original.get("DatasetDOI")
    link = quote(Path(os.path.relpath(source.resolve(), folder.resolve())).as_posix())
    document = {
        "Name": f"autoseg segmentations of {original.get('Name') or source.resolve().name}",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [dict(generated), *(one for one in before if one != generated)],
        "SourceDatasets": [{"URL": link, **({"DOI": doi} if isinstance(doi, str) else {})}],
        "DatasetLinks": {"raw": link},
    }
    ignored = "".join(f"{pattern}\n" for pattern in _IGNORED)
    once = {folder / "README.md": readme, folder / ".bidsignore": ignored}
    return {
        folder / DESCRIPTION_FILE: json.dumps(document, indent=1) + "\n",
        **{path: text for path, text in once.items() if not path.is_file()},
    }


def _generators(description: Path) -> list[dict[str, str]]:
    """``GeneratedBy`` of a description that autoseg wrote; empty of any other."""
    try:
        generators = list(read_json(description)["GeneratedBy"])
        return generators if generators[0]["Name"] == PROGRAM else []
    except (BadInput, LookupError, TypeError):
        return []


def _sidecar(case: CaseFiles, source: Path, generated: Mapping[str, str]) -> dict[str, Any]:
    sources = [f"bids:raw:{quote(path.relative_to(source).as_posix())}" for path in case.channels]
    return {"Sources": sources, "SpatialReference": sources[0], "GeneratedBy": [dict(generated)]}


def _named(stem: Path, ending: str) -> Path:
    return stem.with_name(f"{stem.name}_{ending}")


def _json(image: Path) -> Path:
    return image.with_name(f"{file_stem(image)}.json")
