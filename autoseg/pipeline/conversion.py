"""From BIDS datasets to a dataset of a workspace, with what a person who waits sees of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autoseg.interop.bids_conversion import Conversion, ConversionReport, convert, plan_conversion
from autoseg.runtime.progress import counted, progress


def match(
    bids_dirs: Sequence[Path],
    channels: Sequence[str] | None = None,
    contrasts: Sequence[str] | None = None,
    recipe: Path | None = None,
    marks: Path | None = None,
) -> Conversion:
    """``plan_conversion``: which images and labels belong together. Reads names and headers; writes nothing."""
    with progress(f"look through {counted(len(bids_dirs), 'BIDS dataset')}"):
        return plan_conversion(bids_dirs, channels, contrasts, recipe, marks)


def write(conversion: Conversion, folder: Path, name: str, overwrite: bool = False) -> ConversionReport:
    """``convert``: the dataset ``name`` in ``folder``."""
    with progress(f"convert {counted(len(conversion.cases), 'case')}") as shown:
        return convert(conversion, folder, name, lambda done, total, case: shown.update(done / total, case), overwrite)
