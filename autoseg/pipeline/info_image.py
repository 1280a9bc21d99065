"""What is in an image: grid, storage, intensities or labels, and what autoseg makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autoseg.core.errors import BadInput
from autoseg.core.geometry import orientation_code, spacing_mm
from autoseg.io import nifti
from autoseg.io.grids import FLAT, Grid
from autoseg.io.header_facts import handled_geometry, header_facts, oblique_degrees, shear_degrees
from autoseg.io.images import read_header, read_stored
from autoseg.io.stored_facts import Handled, StoredFacts
from autoseg.pipeline.description import Description, Table, file_size, number, times
from autoseg.pipeline.image_statistics import (
    Counts,
    Intensities,
    intensities,
    looks_like_labels,
    whole_number_counts,
)
from autoseg.runtime.progress import counted

_DIRECTIONS = {"R": "right", "L": "left", "A": "front", "P": "back", "S": "up", "I": "down"}
MOST_LABELS_SHOWN = 40
MM3_PER_ML = 1000


@dataclass(frozen=True)
class Seen:
    """What could be read of an image: None what could not, and ``refused`` is why autoseg does not take it."""

    facts: StoredFacts
    channels: int | None
    grid: Grid | None
    spacing_mm: tuple[float, float, float] | None
    statistics: tuple[Intensities, ...]
    labels: Counts | None
    refused: str | None


def describe_image(path: Path) -> Description:
    """Everything about one image file, or the folder of a DICOM series; reads its voxels.

    What autoseg would refuse is said, not raised. BadInput only where not even the header can be told.
    """
    seen = look_at(path)
    document = _document(path, seen)
    kind = "label map" if seen.labels is not None else "image"
    tables = []
    if seen.labels is not None and seen.spacing_mm is not None:
        tables.append(_label_table(document["labels"]))
    elif seen.statistics:
        tables.append(_intensity_table(seen.statistics))
    if document["repairs"]:
        rows = [(one["what"], one["how"]) for one in document["repairs"]]
        tables.append(Table("How autoseg reads it", ("what is special", "what is done"), rows))
    return Description(document, f"{path}: {kind}", _rows(path, seen, document), tables)


def look_at(path: Path) -> Seen:
    """Read the header, and if that can be used the voxels."""
    facts = header_facts(path)
    try:
        stored = read_stored(path, labels=_keeps_numbers(path, facts))
    except BadInput as error:
        channels, grid = None, None
        with suppress(BadInput):  # where the header itself is what is refused
            channels, grid = read_header(path)
        sides_mm = None if grid is None else spacing_mm(grid[1])
        return Seen(facts, channels, grid, sides_mm, (), None, str(error))
    counts = [whole_number_counts(channel) for channel in stored.voxels]
    statistics = tuple(intensities(channel, one) for channel, one in zip(stored.voxels, counts, strict=True))
    x, y, z = stored.voxels.shape[1:]
    sides_mm = stored.spacing_mm or spacing_mm(stored.affine)
    labels = counts[0] if len(counts) == 1 and looks_like_labels(stored.voxels[0], counts[0]) else None
    bad = sum(one.num_not_finite for one in statistics)
    refused = f"{path}: {bad} voxels are NaN or infinite; replace them by numbers." if bad else None
    return Seen(facts, len(counts), ((x, y, z), stored.affine), sides_mm, statistics, labels, refused)


def handled(seen: Seen) -> list[Handled]:
    """What autoseg makes good when it reads the image: of the storage, the grid and the label values."""
    found = [*seen.facts.handled, *(handled_geometry(seen.grid[1]) if seen.grid is not None else ())]
    if seen.facts.scaling is not None:
        slope, intercept = seen.facts.scaling
        how = f"they are multiplied by {slope:.6g}" + (f", then {intercept:.6g} is added" if intercept else "")
        found.append(Handled("the stored numbers are scaled", how))
    if seen.labels is not None and "float" in seen.facts.data_type:
        found.append(Handled(f"labels are stored as {seen.facts.data_type}", "they are rounded to whole numbers"))
    return found


def axes_in_words(code: str) -> str:
    """``"LPI"`` -> ``the first axis runs to the left, the second to the back, the third down``."""
    ways = [_DIRECTIONS[letter] if letter in "SI" else f"to the {_DIRECTIONS[letter]}" for letter in code]
    return f"the first axis runs {ways[0]}, the second {ways[1]}, the third {ways[2]}"


def _keeps_numbers(path: Path, facts: StoredFacts) -> bool:
    """Whether to read the numbers as they are stored, which saves time; of a palette picture the indices."""
    return (nifti.is_nifti(path) and facts.scaling is None) or "palette" in facts.data_type


def _document(path: Path, seen: Seen) -> dict[str, Any]:
    facts, grid = seen.facts, None
    if seen.grid is not None and seen.spacing_mm is not None:
        shape, affine = seen.grid
        code = orientation_code(affine)
        grid = {
            "shape": list(shape),
            "channels": seen.channels,
            "spacing_mm": list(seen.spacing_mm),
            "size_mm": [size * side for size, side in zip(shape, seen.spacing_mm, strict=True)],
            "orientation": code,
            "axes": axes_in_words(code),
            "oblique_degrees": round(oblique_degrees(affine), 4),
            "shear_degrees": round(shear_degrees(affine), 4),
            "affine": affine.tolist(),
        }
    return {
        "file": str(path),
        "kind": "image" if seen.labels is None else "label_map",
        "bytes": _size_bytes(path),
        "format": facts.format,
        "data_type": facts.data_type,
        "scaling": None if facts.scaling is None else dict(zip(("slope", "intercept"), facts.scaling, strict=True)),
        "length_unit": facts.length_unit,
        "header": dict(facts.details),
        "grid": grid,
        "intensities": [asdict(one) for one in seen.statistics],
        "labels": _labels(seen),
        "repairs": [one._asdict() for one in handled(seen)],
        "doubts": list(facts.doubts),
        "refused": seen.refused,
    }


def _labels(seen: Seen) -> list[dict[str, Any]] | None:
    """Each value of a label map but background, with its voxels and volume."""
    if seen.labels is None or seen.spacing_mm is None:
        return None
    voxel_mm3 = float(np.prod(seen.spacing_mm))
    pairs = zip(*(part.tolist() for part in seen.labels), strict=True)
    return [{"value": value, "voxels": count, "volume_mm3": count * voxel_mm3} for value, count in pairs if value]


def _rows(path: Path, seen: Seen, document: dict[str, Any]) -> list[tuple[str, str]]:
    facts, grid = seen.facts, document["grid"]
    rows = [("format", f"{facts.format}, {file_size(document['bytes'])}")]
    if grid is not None:
        flat = grid["shape"][2] == 1 and grid["spacing_mm"][2] > 0.99 * FLAT * max(grid["spacing_mm"][:2])
        shown = 2 if flat else 3
        channels = "1 channel" if grid["channels"] == 1 else f"{grid['channels']} channels"
        rows += [
            ("shape", f"{times(grid['shape'][:shown])} voxels{' (2D)' if flat else ''}, {channels}"),
            ("spacing", f"{times(grid['spacing_mm'][:shown])} mm"),
            ("size", f"{times(round(side, 2) for side in grid['size_mm'][:shown])} mm"),
            ("orientation", f"{grid['orientation']}: {grid['axes']}"),
            ("oblique", _angles(grid)),
        ]
    rows.append(("stored as", facts.data_type if facts.scaling is None else f"{facts.data_type}, scaled"))
    rows.append(("unit of lengths", facts.length_unit or "not stated; read as mm"))
    rows += list(facts.details.items())
    if seen.labels is not None:
        rows.append(("looks like", f"a label map with {counted(len(document['labels']), 'label')} besides background"))
    rows += [("doubtful", doubt) for doubt in facts.doubts]
    verdict = "as it is" if not document["repairs"] else "as said below"
    rows.append(("autoseg", f"refuses it: {seen.refused}" if seen.refused else f"reads it {verdict}"))
    return rows


def _angles(grid: dict[str, Any]) -> str:
    turned, sheared = grid["oblique_degrees"], grid["shear_degrees"]
    straight = "no: the axes are those of the world" if turned < 0.01 else f"by up to {turned:.1f} degrees"
    return straight + (f"; sheared by {sheared:.1f} degrees" if sheared >= 0.01 else "")


def _label_table(labels: Sequence[dict[str, Any]]) -> Table:
    rows = [
        (str(one["value"]), f"{one['voxels']:,}", f"{one['volume_mm3']:,.1f}", f"{one['volume_mm3'] / MM3_PER_ML:,.2f}")
        for one in labels[:MOST_LABELS_SHOWN]
    ]
    more = "" if len(labels) <= MOST_LABELS_SHOWN else f" (the first {MOST_LABELS_SHOWN} of {len(labels)})"
    return Table(f"Labels{more}", ("value", "voxels", "volume (mm3)", "(ml)"), rows)


def _intensity_table(statistics: Sequence[Intensities]) -> Table:
    header = ("channel", "minimum", "1 %", "median", "99 %", "maximum", "mean", "sd", "zero (%)")
    rows = []
    for place, one in enumerate(statistics):
        numbers = (one.minimum, one.percentile_01, one.median, one.percentile_99, one.maximum, one.mean, one.sd)
        zero = "-" if one.share_zero is None else f"{100 * one.share_zero:.1f}"
        rows.append((str(place), *("-" if value is None else number(value) for value in numbers), zero))
    return Table("Intensities", header, rows)


def _size_bytes(path: Path) -> int:
    files = [file for file in path.iterdir() if file.is_file()] if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)
