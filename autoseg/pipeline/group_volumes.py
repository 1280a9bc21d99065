"""The group level of the BIDS App: the volume of every label in every segmentation of a prediction, as one table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.interop.bids_derivative import GROUP_TABLE, find_segmentations
from autoseg.interop.prediction_inputs import EVERYONE, Subset
from autoseg.io import images
from autoseg.io.bids import BidsFile, parse_name
from autoseg.io.files import write_json, write_text
from autoseg.pipeline.evaluation import labels_of_predictions
from autoseg.runtime.jobs import map_threads
from autoseg.runtime.progress import counted, progress

COLUMNS = {
    "participant_id": {"Description": "Participant."},
    "session_id": {"Description": "Session; n/a where the dataset has none."},
    "segmentation": {"Description": "The label map, from the root of this dataset."},
    "label": {"Description": "Name of the label or region."},
    "num_voxels": {"Description": "Voxels with the label.", "Units": "1"},
    "volume_mm3": {
        "Description": "Their number times the volume of one voxel, which is the determinant of the affine.",
        "Units": "mm^3",
    },
}


def write_group_volumes(folder: Path, subset: Subset = EVERYONE) -> Path:
    """Write ``group_volumes.tsv``, a row for each label of each segmentation, and ``.json``, what its columns mean.

    ``folder`` is what ``predict`` made of a BIDS dataset. BadInput: it holds no segmentations, or a damaged one.
    """
    found = [file for one in find_segmentations(folder) if (file := parse_name(one.file))]
    if not found:
        raise BadInput(f"{folder}: holds no segmentations of a BIDS dataset; run the participant level first.")
    files = subset.of(found, folder)
    labels = labels_of_predictions(folder, folder)
    lines = ["\t".join(COLUMNS)]
    with progress(f"measure {counted(len(files), 'segmentation')}") as shown:
        for done, rows in enumerate(map_threads(lambda file: case_rows(file, folder, labels), files), start=1):
            lines += ["\t".join(row) for row in rows]
            shown.update(done / len(files))
    table = folder / f"{GROUP_TABLE}.tsv"
    write_json(table.with_suffix(".json"), COLUMNS)
    write_text(table, "".join(f"{line}\n" for line in lines))
    return table


def case_rows(file: BidsFile, folder: Path, labels: Labels) -> list[tuple[str, ...]]:
    """The values of ``COLUMNS`` for each label of one segmentation, in the order of the labels."""
    voxels, affine = images.read_label_map(file.path)
    volume_mm3 = abs(float(np.linalg.det(affine[:3, :3])))
    highest = max(value for values in labels.foreground.values() for value in values)
    counts = np.bincount(voxels.ravel(), minlength=highest + 1)
    place = file.subject, file.session or "n/a", file.path.relative_to(folder).as_posix()
    numbers = {name: int(counts[list(values)].sum()) for name, values in labels.foreground.items()}
    return [(*place, name, str(number), f"{number * volume_mm3:.6g}") for name, number in numbers.items()]
