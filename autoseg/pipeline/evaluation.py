"""Predicted label maps against references: pairing the files, scoring them, writing the results."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg.core.errors import BadInput
from autoseg.core.geometry import canonical_axes, spacing_mm
from autoseg.core.labels import Labels
from autoseg.core.packed import Packed, PackedByName
from autoseg.evaluation.error_maps import ERRORS, error_map
from autoseg.evaluation.evaluate import CaseResult, Scores, csv_rows, summarize
from autoseg.evaluation.metrics import case_metrics
from autoseg.evaluation.scores import DEFAULT_FAMILIES, chosen_families
from autoseg.interop.bids_derivative import LABEL_TABLE, Segmentation, find_segmentations
from autoseg.interop.label_conventions import LabelSource, read_label_table
from autoseg.interop.references import find_references, read_reference
from autoseg.io import images
from autoseg.io.files import read_json, read_lines, write_csv, write_json, write_text
from autoseg.io.grids import grid_difference
from autoseg.io.workspace import LABELS_FILE, parse_labels
from autoseg.runtime.jobs import map_threads
from autoseg.runtime.progress import counted, progress, say


@dataclass(frozen=True, slots=True)
class Pair:
    """A prediction and what it is compared with: a label file with our values, or labels of a BIDS dataset."""

    case: str
    domain: str
    prediction: Path
    reference: Path | LabelSource


def evaluate_pairs(
    pairs: Sequence[Pair] | Packed[Pair],
    labels: Labels,
    output: Path,
    families: Collection[str] = DEFAULT_FAMILIES,
    facts: Mapping[str, Any] | None = None,
    error_maps: Path | None = None,
) -> dict[str, Any]:
    """Score every pair; writes ``evaluation.json`` (with ``facts``) and ``evaluation.csv`` into ``output``.

    ``families`` are those of ``evaluation.scores.FAMILIES``. Into the folder ``error_maps``, if there is one, goes a
    NIfTI for each case with the values of ``evaluation.error_maps.ERRORS``. A pair that cannot be read or compared
    is reported and the others go on; the sentences are in ``summary["problems"]``. What is returned is what
    ``evaluation.json`` holds without the scores of each case, ``cases``.
    """

    def score(pair: Pair) -> CaseResult | BadInput:
        try:
            prediction, reference, affine = read_both(pair, labels)
            axial_axis = canonical_axes(affine).axes[2]
            metrics = case_metrics(prediction, reference, spacing_mm(affine), labels, families, axial_axis=axial_axis)
            if error_maps:
                errors = error_map(prediction, reference, labels)
                images.write_labels(error_maps / f"{pair.case}.nii.gz", errors, like=_reference_file(pair))
            return CaseResult(pair.case, pair.domain, metrics)
        except BadInput as error:
            return error

    chosen_families(families)  # a mistake ends it here, not in every case
    if error_maps:
        write_text(error_maps / "dseg.tsv", "index\tname\n" + "".join(f"{key}\t{ERRORS[key]}\n" for key in ERRORS))
    scores, problems = Scores(), []
    with progress(f"evaluate {counted(len(pairs), 'case')}") as shown:
        for done, result in enumerate(map_threads(score, pairs), start=1):
            if isinstance(result, BadInput):
                problems.append(str(result))
                say(f"left out: {result}", style="red")
            else:
                scores.append(result)
            shown.update(done / len(pairs))
    if not scores.num_cases():
        raise BadInput(f"{output}: no case could be evaluated ({problems[0] if problems else 'there is none'})")
    write_csv(output / "evaluation.csv", csv_rows(scores))
    summary = {**summarize(scores), **(facts or {}), "problems": problems}
    write_json(output / "evaluation.json", summary)
    del summary["cases"]  # an iterator, at its end
    return summary


def evaluate_folders(
    predictions: Path,
    references: Path,
    output: Path | None = None,
    families: Collection[str] = DEFAULT_FAMILIES,
    error_maps: Path | None = None,
) -> dict[str, Any]:
    """Compare a folder of predictions with a folder of label files or with a BIDS dataset's labels: ``evaluate_pairs``.

    A reference belongs to the prediction whose name it shares: exactly, or without nnU-Net's ``_0000``,
    or as ``NAME_seg-manual``, ``NAME_dseg``, ... in a BIDS dataset. A prediction that ``predict`` wrote as a BIDS
    dataset has the name of its image. Label names come from the table that ``predict`` writes, else from the
    references' own ``dataset.json``.
    """
    for folder in (predictions, references):
        if not folder.is_dir():
            raise BadInput(f"{folder}: there is no such folder; check the path.")
    if error_maps and (
        error_maps.resolve() == predictions.resolve() or error_maps.resolve().is_relative_to(references.resolve())
    ):
        raise BadInput(f"{error_maps}: holds segmentations or references; choose another folder for the error maps.")
    pairs = _pairs(predictions, references)
    labels = labels_of_predictions(predictions, references)
    return evaluate_pairs(pairs, labels, output or predictions, families, error_maps=error_maps)


def _pairs(predictions: Path, references: Path) -> Packed[Pair]:
    """Each prediction that has a reference; BadInput if none has."""
    names = images.image_names(predictions)
    placed = Packed(Segmentation) if names else find_segmentations(predictions)
    if not names and not placed:
        raise BadInput(f"{predictions}: holds no segmentations ({', '.join(images.IMAGE_ENDINGS)}).")

    def segmentations() -> Iterator[tuple[Path, str]]:
        yield from ((Path(one.file), one.image) for one in placed)
        yield from ((file, images.file_stem(file)) for file in map(predictions.joinpath, names))

    known = _references(references)
    domains = _domains(references)

    def of_same_name(stem: str) -> str | None:
        return next((name for name in (stem, stem.removesuffix("_0000")) if name in known), None)

    others: Mapping[str, str] = {}
    if any(of_same_name(stem) is None for _, stem in segmentations()):
        others = _only_labels_of_a_scan(known, (stem for _, stem in segmentations()))
    pairs, unmatched = Packed(Pair), []
    for file, stem in segmentations():
        name = of_same_name(stem) or others.get(_scan(stem))
        if name is None:
            unmatched.append(file.name)
            continue
        found = known[name]
        if isinstance(found, LabelSource):
            pairs.append(Pair(name, found.domain, file, found))
        else:
            pairs.append(Pair(name, domains.get(name, ""), file, references / found))
    if not pairs:
        raise BadInput(
            f"{predictions}: none of its {len(names) + len(placed)} files has a reference of the same name in "
            f"{references} (there is: {', '.join(sorted(known)[:4])}, ...)."
        )
    if unmatched:
        say(f"note: {len(unmatched)} predictions have no reference: {', '.join(unmatched[:5])}", style="yellow")
    return pairs


def read_both(
    pair: Pair, labels: Labels
) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.integer], npt.NDArray[np.float64]]:
    """Prediction and reference ``(X, Y, Z)`` and the affine of the prediction; BadInput if their grids differ."""
    prediction, affine = images.read_label_map(pair.prediction)
    reference: npt.NDArray[np.integer]
    file = _reference_file(pair)
    if isinstance(pair.reference, LabelSource):
        reference = read_reference(pair.reference, _single(pair, labels))
        reference_affine = images.read_geometry(file)[1]
    else:
        reference, reference_affine = images.read_label_map(file)
    if difference := grid_difference(reference.shape, reference_affine, prediction.shape, affine):
        raise BadInput(f"{pair.prediction}: {difference} {file.name}; compare segmentations of one image.")
    return prediction, reference, affine


def _reference_file(pair: Pair) -> Path:
    """The file, or one of the files, on whose grid the reference lies."""
    return pair.reference.parts[0].path if isinstance(pair.reference, LabelSource) else pair.reference


def _references(folder: Path) -> Mapping[str, str] | PackedByName[LabelSource]:
    """The names of label files directly in the folder by their stems, else the labels of a BIDS dataset by image."""
    files = {images.file_stem(folder / name): name for name in images.image_names(folder)}
    return files or find_references(folder)


def _scan(stem: str) -> str:
    """``sub-1_T2w`` -> ``sub-1``: the name without the contrast."""
    return stem.rpartition("_")[0]


def _only_labels_of_a_scan(known: Iterable[str], predicted: Iterable[str]) -> dict[str, str]:
    """Scan -> its reference, where a scan has one reference and one prediction.

    The prediction of several channels is named after the first one, which need not be the labelled one.
    """
    references, predictions = Counter(map(_scan, known)), Counter(map(_scan, predicted))
    return {_scan(name): name for name in known if references[_scan(name)] == predictions[_scan(name)] == 1}


def _single(pair: Pair, labels: Labels) -> dict[str, int]:
    """Name -> value, as the masks of a BIDS dataset are painted; BadInput for regions."""
    if labels.has_regions:
        raise BadInput(f"{pair.prediction}: holds regions, which the separate labels of {pair.case} cannot be.")
    return {name: values[0] for name, values in labels.foreground.items()}


def labels_of_predictions(predictions: Path, references: Path) -> Labels:
    """Of the predictions (regions, else single labels), else of the references."""
    table = next((path for path in map(predictions.joinpath, ("dseg.tsv", LABEL_TABLE)) if path.is_file()), None)
    for document in (
        predictions / LABELS_FILE,
        *([] if table else [folder / "dataset.json" for folder in (references, references.parent)]),
    ):
        if document.is_file():
            return parse_labels(read_json(document), document)
    if table:
        return parse_labels({"labels": {name: value for value, name in read_label_table(table)}}, table)
    raise BadInput(
        f"{predictions / 'dseg.tsv'}: the names of the labels are missing; write them as lines 'index<TAB>name' "
        "(`autoseg predict` does) and evaluate again."
    )


def _domains(references: Path) -> dict[str, str]:
    """Case -> domain, where the references are the labels of a dataset in a workspace; a table of others has none.

    One that cannot be read is told: the scores are the same without domains.
    """
    table = references.parent / "cases.tsv"
    lines = csv.DictReader(read_lines(table) if table.is_file() else (), delimiter="\t")
    try:
        if not {"case", "domain"} <= set(lines.fieldnames or ()):
            return {}
        return {row["case"]: sys.intern(row["domain"] or "") for row in lines}
    except (BadInput, csv.Error) as error:
        said = error if isinstance(error, BadInput) else f"{table}: is no table ({error})"
        say(f"note: {said}; scores are not given by domain.", style="yellow")
        return {}
