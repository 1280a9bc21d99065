"""The report of segmentations that have no reference: what to expect of each, and what is unlike the training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

from autoseg.core.case import CaseFiles
from autoseg.core.errors import BadInput
from autoseg.evaluation.evaluate import mean_of_defined
from autoseg.interop.bids_derivative import DESCRIPTION_FILE, find_segmentations
from autoseg.interop.prediction_inputs import is_bids
from autoseg.interop.prediction_table import COLUMNS, MISSING, TABLE, Row, read_table
from autoseg.io import images
from autoseg.io.bids import index_dataset
from autoseg.io.dicom import series_folders
from autoseg.io.files import read_json
from autoseg.pipeline.evaluation import labels_of_predictions
from autoseg.pipeline.report_gallery import Item, make_gallery, montage_of
from autoseg.pipeline.report_parts import Made, footer, reproduction
from autoseg.reporting.page import Page, Part, Section, Sentences, Table, Text
from autoseg.runtime.progress import counted

EXPECTED = COLUMNS.index("expected_dice") - 1
UNLIKE = COLUMNS.index("unlike_training") - 1
GALLERY_TEXT = (
    "Those of which least is expected come first. There is no reference: what is expected follows from how certain the "
    "model is, as cross-validation has calibrated it."
)


def predictions_page(folder: Path, inputs: Sequence[Path], num_cases: int | None) -> Made:
    """The page of the segmentations in ``folder``; ``inputs`` are what `predict` was given."""
    stems = {file: images.file_stem(file) for file in images.list_images(folder)}
    stems = stems or {Path(one.file): one.image for one in find_segmentations(folder)}
    if not stems:
        raise BadInput(f"{folder}: holds no segmentations ({', '.join(images.IMAGE_ENDINGS)}).")
    known = {images.file_stem(path): path for path in image_files(inputs)} or sources(folder, stems)
    if not known:
        raise BadInput(f"{folder}: to show what was segmented, add --images with what `predict` was given.")
    labels = labels_of_predictions(folder, folder)
    expected = expectations(folder, stems)
    order = sorted(stems, key=lambda file: (expected[file][0] is None, expected[file][0] or 0.0, stems[file]))
    items, problems = [], []
    for file in order[:num_cases]:
        if stems[file] not in known:
            problems.append(f"{file}: its image {stems[file]} is not among the images that were given.")
            continue
        case = CaseFiles(stems[file], (known[stems[file]],), None, "", stems[file])
        value = expected[file][0]
        items.append(Item(case, file, scores={} if value is None else {"expected Dice": f"{value:.3f}"}))
    gallery, unread = make_gallery(items, (), labels, GALLERY_TEXT)
    unlike = [f"{stems[file]}: {expected[file][1]}" for file in order if expected[file][1]]
    page = Page(
        title=f"Segmentations in {folder.resolve().name}",
        summary=[
            f"{counted(len(stems), 'segmentation')}, of which {len(unlike)} are of images unlike those of the training."
        ],
        facts={
            "segmentations": str(len(stems)),
            "labels": str(len(labels.foreground)),
            "unlike the training": str(len(unlike)),
        },
        sections=[expectation_section(order, stems, expected, unlike), reproduction(())],
        identity=str(folder.resolve()),
        footer=footer(),
        gallery=gallery if gallery.cases else None,
        name=folder.resolve().name,
    )
    return Made(page, {}, [*problems, *unread], montage_of(items, labels))


def image_files(inputs: Sequence[Path]) -> list[Path]:
    """The images that the inputs of a prediction are: files, DICOM series, and those in folders and BIDS datasets."""
    found: list[Path] = []
    for path in inputs:
        if not path.exists():
            raise BadInput(f"{path}: there is no such file or folder; check the path.")
        if path.is_dir() and (series := series_folders(path)):
            found += series
        elif path.is_dir():
            found += [one.path for one in index_dataset(path).images] if is_bids(path) else images.list_images(path)
        else:
            found.append(path)
    return found


def sources(folder: Path, stems: Iterable[Path]) -> dict[str, Path]:
    """Stem -> image of segmentations that `predict` wrote as a BIDS dataset, whose sidecars name them."""
    description = folder / DESCRIPTION_FILE
    if not description.is_file():
        return {}
    found = {}
    with suppress(BadInput, LookupError, TypeError, AttributeError):
        raw = folder / unquote(read_json(description)["DatasetLinks"]["raw"])
        for file in stems:
            path = raw / unquote(read_json(sidecar(file))["Sources"][0].removeprefix("bids:raw:"))
            if path.is_file():
                found[images.file_stem(path)] = path.resolve()
    return found


def sidecar(segmentation: Path) -> Path:
    """The JSON document beside a segmentation."""
    return segmentation.with_name(f"{images.file_stem(segmentation)}.json")


def expectations(folder: Path, stems: Mapping[Path, str]) -> dict[Path, tuple[float | None, str]]:
    """Segmentation -> the mean over labels of the Dice that is expected, and in what its image is unlike the others."""
    table = read_table(folder / TABLE)
    found: dict[Path, tuple[float | None, str]] = {}
    for file in stems:
        rows = table.rows.get(table.name(file), [])
        try:
            found[file] = expected_by_table(rows) if rows else expected_by_sidecar(sidecar(file))
        except (ValueError, TypeError, KeyError, AttributeError):
            place = table.path if rows else sidecar(file)
            raise BadInput(f"{place}: does not say what to expect of {file.name}; predict it again.") from None
    return found


def expected_by_table(rows: Sequence[Row]) -> tuple[float | None, str]:
    """What the rows of a segmentation in ``predictions.tsv`` say."""
    values = [float(row[EXPECTED]) for row in rows if row[EXPECTED] != MISSING]
    return mean_of_defined(values), next((row[UNLIKE] for row in rows if row[UNLIKE] not in (MISSING, "")), "")


def expected_by_sidecar(path: Path) -> tuple[float | None, str]:
    """What the JSON document of a segmentation says, if there is one."""
    document = read_json(path) if path.is_file() else {}
    values = [float(one["Dice"]) for one in document.get("ExpectedDice", {}).values()]
    return mean_of_defined(values), "; ".join(document.get("UnlikeTraining", ()))


def expectation_section(
    order: Sequence[Path],
    stems: Mapping[Path, str],
    expected: Mapping[Path, tuple[float | None, str]],
    unlike: Sequence[str],
) -> Section:
    """The table of all segmentations."""
    parts: list[Part] = []
    if unlike:
        parts += [
            Text("Images unlike those that the model was trained on; look at these first:", warning=True),
            Sentences(unlike),
        ]
    rows = [
        (stems[file], "-" if expected[file][0] is None else f"{expected[file][0]:.3f}", expected[file][1] or "-")
        for file in order
    ]
    parts.append(
        Table(
            ("segmentation", "expected Dice", "unlike the training in"), rows, f"All {len(rows)}", folded=len(rows) > 20
        )
    )
    return Section("Expected quality", parts)
