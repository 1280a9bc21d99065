"""The images of a dataset with their labels, one subject at a time."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

from autoseg.core.packed import Packed
from autoseg.interop.bids_matching import Matched, Request, match_dataset
from autoseg.interop.conversion_recipe import DatasetRecipe
from autoseg.interop.label_conventions import LabelPart
from autoseg.interop.labelled_images import labelled_images
from autoseg.io.bids import BidsFile, parse_name


def images(*names: str) -> Packed[BidsFile]:
    return Packed(BidsFile, (file for name in names if (file := parse_name(f"/site/{name}.nii.gz"))))


def parts(names: Iterable[str]) -> Packed[LabelPart]:
    return Packed(LabelPart, (LabelPart(f"/site/derivatives/{name}.nii.gz", ((1, "seg"),), True) for name in names))


def test_labels_of_all_folders_find_their_subject() -> None:
    """Each folder is in order of its subjects, but one (a folder of files: sub-10_ comes before sub-1_)."""
    subjects = [f"sub-{number}" for number in sorted(map(str, range(1, 201)))]
    names = [f"{folder}/{one}_T2w_seg" for folder in "ab" for one in subjects]
    names += sorted(f"{one}_T2w_lesion" for one in subjects)
    names.append("a/stranger/sub-x_T2w_seg")
    unmatched: dict[str, str] = {}
    given = images(*(f"{one}_{contrast}" for one in subjects for contrast in ("T1w", "T2w")))
    found = list(labelled_images(given, parts(names), (), unmatched))
    assert [[one.image.stem for one in group] for group in found if group] == [
        [f"{one}_T1w", f"{one}_T2w"] for one in subjects
    ]
    for subject, (first, second) in zip(subjects, filter(None, found), strict=True):
        assert first.parts == ()
        ends = [part.file.removeprefix("/site/derivatives/") for part in second.parts]
        assert ends == [
            f"{one}.nii.gz" for one in (f"a/{subject}_T2w_seg", f"b/{subject}_T2w_seg", f"{subject}_T2w_lesion")
        ]
    ((file, sentence),) = unmatched.items()
    assert file.endswith("a/stranger/sub-x_T2w_seg.nii.gz")
    assert sentence.startswith("no image has its subject")


def site(root: Path, subjects: int) -> Path:
    for number in range(subjects):
        for folder, name in ((root, "T1w"), (root / "derivatives/labels", "T1w_seg")):
            file = folder / f"sub-{number:05d}/anat/sub-{number:05d}_{name}.nii.gz"
            file.parent.mkdir(parents=True)
            file.touch()
    return root


def test_little_is_held_of_a_file_that_was_matched(tmp_path: Path) -> None:
    root, request = site(tmp_path, 1000), Request("site", (), (), DatasetRecipe())

    def held(root: Path) -> tuple[int, Matched]:
        tracemalloc.start()
        matched = match_dataset(root, request)
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return size, matched

    held(root)  # what is made once
    size, matched = held(root)
    assert (len(matched.index.images), len(matched.index.labels), len(matched.cases)) == (1000, 1000, 1000)
    assert size / 1000 < 250  # bytes a subject: two files and a case
