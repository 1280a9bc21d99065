"""Two channels where the model has two, but not those, not both, or not in its order."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.faults.good_input import Place
from tests.faults.kinds import Kind, Meeting
from tests.faults.spoiling import change, shifted

PREDICT = ("predict", "$folder/given", "-o", "$out", "--dataset", "Pair", "--device", "cpu", "--json")
SWAPPED = "case_0000: order of channels T2w, T1w by their intensities, trained on T1w, T2w"


def channel(place: Place, contrast: str) -> Path:
    """A channel of subject 1."""
    return place.pair / f"sub-01/anat/sub-01_{contrast}.nii.gz"


def give(place: Place, **files: str) -> None:
    """Files of the folder ``given``, by name, from contrasts."""
    (place.folder / "given").mkdir()
    for name, contrast in files.items():
        shutil.copy(channel(place, contrast), place.folder / f"given/{name}.nii.gz")


def give_apart(place: Place) -> None:
    """The second channel elsewhere."""
    give(place, case_0000="T1w", case_0001="T2w")
    change(place.folder / "given/case_0001.nii.gz", affine=shifted())


def edit_order(place: Place) -> None:
    """The channels of the dataset in another order than those of the plan."""
    document = place.workspace / "datasets/Pair/dataset.json"
    document.write_text(document.read_text().replace("T1w", "T3w").replace("T2w", "T1w").replace("T3w", "T2w"))


KINDS = (
    Kind(
        "channels in the other order",
        lambda place: give(place, case_0000="T2w", case_0001="T1w"),
        (Meeting(PREDICT, SWAPPED, "unlike", 0),),
    ),
    Kind(
        "names of channels against their numbers",
        lambda place: give(place, case_T1w_0001="T1w"),
        (
            Meeting(
                PREDICT,
                ("$folder/given/case_T1w_0001.nii.gz: its name says T1w and its number T2w; correct the name."),
                "left out",
            ),
        ),
    ),
    Kind(
        "channel that is missing",
        lambda place: give(place, case_0000="T1w"),
        (
            Meeting(
                PREDICT,
                ("$folder/given/case*: the channel T2w is missing; the model needs T1w, T2w of every case."),
                "left out",
            ),
        ),
    ),
    Kind(
        "channels without names",
        lambda place: give(place, first="T1w", second="T2w"),
        (
            Meeting(
                PREDICT,
                (
                    "$folder/given/first.nii.gz: its name tells no channel; end it with one of _T1w, _T2w or "
                    "_0000, _0001, ..."
                ),
            ),
        ),
    ),
    Kind(
        "channels on two grids",
        give_apart,
        (
            Meeting(
                PREDICT,
                (
                    "$folder/given/case_0001.nii.gz: its grid lies up to 3 mm away from that of "
                    "$folder/given/case_0000.nii.gz; resample both to one grid."
                ),
                "left out",
            ),
        ),
    ),
    Kind(
        "channels of the dataset in the other order",
        edit_order,
        (
            Meeting(
                ("train", "Pair", "3d_fullres", "fold1", "--device", "cpu", "--epochs", "1"),
                (
                    "$workspace/datasets/Pair/plan.json: its channels are ['T1w', 'T2w'] and those of "
                    "dataset.json ['T2w', 'T1w']; correct the one that is wrong, or run `autoseg plan Pair` "
                    "again."
                ),
            ),
        ),
    ),
    Kind(
        "dataset of another contrast",
        lambda place: [path.rename(str(path).replace("T1w", "FLAIR")) for path in place.site.glob("*/*/*T1w*")],
        (
            Meeting(
                ("predict", "$site", "-o", "$out", "--model", "$model", "--device", "cpu"),
                (
                    "$site: has no image of the contrast T1w (there is: FLAIR); give the files themselves to "
                    "predict another contrast."
                ),
            ),
        ),
    ),
)
