"""Input that is odd and none the less good: what must come out of it, from conversion to prediction."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from tests.cli.commands import LABELS, write_site
from tests.faults.command import call
from tests.faults.good_input import Place
from tests.faults.spoiling import GOOD_AFFINE, change, patch

TABLE = f"{LABELS}/desc-manual_dseg.tsv"
Expect = Callable[[Place, dict[str, Any]], bool]


@dataclass(frozen=True)
class Odd:
    """``make`` changes the BIDS dataset; ``expect`` is asked about the result of the conversion.

    Then the dataset is planned, and ``predicted`` (relative to the folder) segmented onto its own grid.
    """

    name: str
    make: Callable[[Place], object]
    expect: Expect = lambda place, report: report["num_cases"] == 3
    predicted: str = "tiny/sub-01/anat/sub-01_T1w.nii.gz"
    site: str = "tiny"


def failure(place: Place, odd: Odd) -> str:
    """Convert, plan and predict; what was not as it must be, empty if all was."""
    odd.make(place)
    site, image = place.folder / odd.site, place.folder / odd.predicted
    predict = ("predict", str(image), "-o", str(place.out), "--dataset", "Tiny", "--device", "cpu", "--json")
    steps = {
        "convert": ("convert-bids", str(site), "--dataset", "Again", "--json"),
        "plan": ("plan", "Again", "--json"),
        "predict": predict,
        "predict again": predict,
    }
    results = {}
    for step, command in steps.items():
        outcome = call(place.workspace, *command)
        if outcome.status != 0 or outcome.raised:
            return f"{odd.name}: {step}: {outcome.status} {outcome.raised} {outcome.error[-600:]}"
        results[step] = json.loads(outcome.output)
    if not odd.expect(place, results["convert"]):
        return f"{odd.name}: converted to {results['convert']}"
    if len(results["predict again"]["skipped"]) != 1:
        return f"{odd.name}: a finished segmentation was not known again"
    given, written = nibabel.load(image), nibabel.load(place.out / image.name)
    if given.shape[:3] != written.shape or not np.array_equal(given.affine, written.affine):
        return f"{odd.name}: the segmentation is not on the grid of the image"
    return ""


def every(place: Place, function: Callable[[Path], object], labels: bool = False) -> None:
    """A change of all images, or of all labels."""
    for number in range(3):
        function(place.labels(number) if labels else place.image(number))


def both(place: Place, function: Callable[[Path], object]) -> None:
    """A change of the image and the labels of subject 1."""
    function(place.image())
    function(place.labels())


def one_voxel(place: Place) -> None:
    """An image of one voxel, among others."""
    both(place, lambda path: change(path, lambda v: v[10:11, 12:13, 8:9]))


def thousand_labels(place: Place) -> None:
    """As many as fit, each with a name; those of the model are other ones, which does not concern a prediction."""
    values = np.arange(20 * 24 * 16).reshape(20, 24, 16) % 1001
    every(place, lambda path: change(path, lambda _: values.astype(np.int16)), labels=True)
    rows = "".join(f"{value}\tpart{value}\n" for value in range(1, 1001))
    (place.site / TABLE).write_text(f"index\tname\n{rows}")


def large_values(place: Place) -> None:
    """Values that no label map of ours can hold, each with a name: they are numbered anew."""
    every(place, lambda path: change(path, lambda v: v.astype(np.int32) * 70000), labels=True)
    (place.site / TABLE).write_text("index\tname\n70000\tfar\n140000\tfarther\n")


def called(name: str) -> Callable[[Place], None]:
    """The whole dataset in a folder of another name, and an image of that name in it."""

    def make(place: Place) -> None:
        folder = place.folder / name
        write_site(folder)
        shutil.copy(place.image(), folder / f"{name}.nii.gz")

    return make


def named(name: str) -> dict[str, Any]:
    """Of ``called``."""
    return {"make": called(name), "predicted": f"{name}/{name}.nii.gz", "site": name}


def sheared(path: Path) -> None:
    """An affine that no rotation and no voxel size can express."""
    rows = np.array([[-1, 0.2, 0, 5], [0, 1, 0.1, -3], [0, 0, 1.2, 2]])
    sides = dict(enumerate(np.linalg.norm(rows[:, :3], axis=0), start=1))
    patch(path, sform_code=1, qform_code=0, srow_x=rows[0], srow_y=rows[1], srow_z=rows[2], pixdim=sides)


def loop_of_folders(place: Place) -> None:
    """A link from within to the whole."""
    (place.site / "sub-01/again").symlink_to(place.site)
    (place.site / LABELS / "sub-01/loop").symlink_to("loop")


def long_name(place: Place) -> None:
    """An image with the longest name that there may be."""
    shutil.copy(place.image(), place.folder / f"{'x' * 248}.nii.gz")


def as_nifti2(path: Path) -> None:
    """The second version of the format."""
    old = nibabel.load(path)
    nibabel.save(nibabel.Nifti2Image(np.asarray(old.dataobj), old.affine), path)


def big_endian(path: Path) -> None:
    """The other order of bytes."""
    old = nibabel.load(path)
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(old.get_data_dtype().newbyteorder(">"))
    nibabel.save(nibabel.Nifti1Image(np.asarray(old.dataobj), old.affine, header), path)


def empty_foreground(place: Place, report: dict[str, Any]) -> bool:
    """A note, and all cases."""
    return report["num_cases"] == 3 and "1 of 3 cases have no labelled voxel." in report["notes"]


def renumbered(place: Place, report: dict[str, Any]) -> bool:
    """Values 1 and 2."""
    values = np.unique(np.asarray(nibabel.load(next((place.workspace / "datasets/Again/labelsTr").iterdir())).dataobj))
    return report["labels"] == {"background": 0, "far": 1, "farther": 2} and values.tolist() == [0, 1, 2]


ODD = (
    Odd("one voxel", one_voxel),
    Odd("constant image", lambda place: change(place.image(), lambda v: np.full_like(v, 7))),
    Odd("image of zeros", lambda place: change(place.image(), np.zeros_like)),
    Odd("no foreground", lambda place: change(place.labels(), np.zeros_like), empty_foreground),
    Odd("a thousand labels", thousand_labels, lambda place, report: len(report["labels"]) == 1001),
    Odd("labels above 65535 with names", large_values, renumbered),
    Odd("labels as floating-point numbers", lambda place: change(place.labels(), lambda v: v.astype(np.float64))),
    Odd("one slice", lambda place: both(place, lambda path: change(path, lambda v: v[:, :, 8:9]))),
    Odd("a fourth axis of one", lambda place: both(place, lambda path: change(path, lambda v: v[..., None]))),
    Odd("slope of no number", lambda place: patch(place.image(), scl_slope=float("nan"))),
    Odd("bits that contradict the type", lambda place: patch(place.image(), bitpix=16)),
    Odd("NIfTI-2", lambda place: every(place, as_nifti2)),
    Odd("big endian", lambda place: every(place, big_endian)),
    Odd("sheared", lambda place: both(place, sheared)),
    Odd("other orientation", lambda place: both(place, lambda path: change(path, affine=GOOD_AFFINE[:, [1, 2, 0, 3]]))),
    Odd("spaces in names", **named("my  own data")),
    Odd("letters of other languages", **named("søvn-данные-脳")),
    Odd("tab in names", **named("tab\there")),
    Odd("line break in names", **named("line\nbreak")),
    Odd("quotes and brackets in names", **named('it\'s "[bold]" & $HOME')),
    Odd("backslash in names", **named("back\\slash")),
    Odd("folders in a circle", loop_of_folders),
    Odd("longest name", long_name, predicted=f"{'x' * 248}.nii.gz"),
)
