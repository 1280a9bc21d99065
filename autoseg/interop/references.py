"""Reference labels straight from a BIDS dataset or its labels folder, for evaluation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from autoseg.core.errors import BadInput
from autoseg.core.packed import PackedByName
from autoseg.interop.bids_conversion import dataset_names
from autoseg.interop.bids_matching import Request, match_dataset
from autoseg.interop.conversion_recipe import DatasetRecipe, described_by_recipe, read_recipe
from autoseg.interop.label_conventions import (
    LabelPart,
    LabelSource,
    convention_of,
    describe_label,
    one_per_structure,
    read_label_table,
    table_finder,
)
from autoseg.interop.label_merging import read_reference
from autoseg.io.bids import BidsIndex, index_labels, name_endings
from autoseg.io.images import file_stem

__all__ = ["find_references", "read_reference"]


def find_references(root: Path, recipe: Path | None = None) -> PackedByName[LabelSource]:
    """Image stem (``sub-1_T2w``) -> its labels, for a BIDS dataset; read them with ``read_reference``.

    ``root`` may also be a labels folder (``derivatives/labels``): the key is then the label's stem without
    its label part (``sub-1_T2w`` of ``sub-1_T2w_seg-manual``, ``sub-1`` of ``sub-1_desc-manual_dseg``).
    The domain of each source is the name of the BIDS folder. An image whose labels contradict each other
    (two files of one structure) has no entry. BadInput: no labels at all.
    """
    root = Path(root).resolve()
    if not root.is_dir():
        raise BadInput(f"{root}: there is no such folder; give a BIDS dataset or its labels folder.")
    dataset = _dataset_around(root)
    (name,) = dataset_names([dataset])
    special = read_recipe(recipe).datasets.get(name, DatasetRecipe())
    has_subjects = any(entry.name.startswith("sub-") for entry in root.iterdir())
    matched = match_dataset(root, Request(name, (), (), special)) if dataset == root and has_subjects else None
    named: Iterable[tuple[str, LabelSource]]
    if matched and matched.index.images:
        named = ((file_stem(Path(case.image_files[0])), case.labels) for case in matched.cases)
    else:
        named = _from_labels_folder(index_labels(root), dataset, special.domain or name, special)
    sources = PackedByName(LabelSource, named)
    if not sources:
        there = name_endings(index_labels(root).labels)
        raise BadInput(f"{root}: no labels were found (there is: {there}); check the folder.")
    return sources


def _dataset_around(root: Path) -> Path:
    """The BIDS dataset that ``root`` is or lies in the derivatives of."""
    for folder in root.parents:
        if folder.name == "derivatives":
            return folder.parent
    return root.parent if root.name == "derivatives" else root


def _from_labels_folder(
    index: BidsIndex, dataset: Path, domain: str, recipe: DatasetRecipe
) -> Iterator[tuple[str, LabelSource]]:
    find_table, names_in = table_finder(dataset, index), cache(read_label_table)
    parts: dict[str, list[LabelPart]] = defaultdict(list)
    for label in index.labels:
        if recipe.labels:
            part, _ = described_by_recipe(label, dataset, recipe)
        else:
            part = describe_label(label, find_table(label), recipe.threshold, names_in)
        if part is not None:
            parts[label.image_stem].append(part)
    soft_too = bool(recipe.labels) or all(part.threshold is not None for few in parts.values() for part in few)
    for stem, all_parts in sorted(parts.items()):
        kept, conflict = one_per_structure(part for part in all_parts if soft_too or part.threshold is None)
        if kept and not conflict:
            yield stem, LabelSource(kept, convention_of(kept), domain)
