"""BIDS datasets and places that no dataset can be made of or in."""

from __future__ import annotations

import shutil

from tests.faults.good_input import Place
from tests.faults.kinds import PREDICT, request_kind
from tests.faults.spoiling import change, without, written

CONVERT = ("convert-bids", "$site", "--dataset", "Again")


def empty_site(place: Place) -> None:
    """A folder with nothing in it."""
    shutil.rmtree(place.site)
    place.site.mkdir()


def halve_all(place: Place) -> None:
    """Fractions in all labels."""
    for number in range(3):
        change(place.labels(number), lambda voxels: voxels * 0.5)


KINDS = (
    request_kind(
        "folder that is not there",
        ("convert-bids", "$folder/gone", "--dataset", "Again"),
        "$folder/gone: there is no such folder; give the folder of a BIDS dataset.",
    ),
    request_kind(
        "BIDS dataset without anything",
        CONVERT,
        ("$site: a BIDS dataset has folders called sub-*, and here is nothing; give the folder of a BIDS dataset."),
        empty_site,
    ),
    request_kind(
        "BIDS dataset without images",
        CONVERT,
        (
            "BIDS datasets: of images with labels (*_dseg, *_seg-manual, *_label-NAME_mask, ...) none "
            "can be used: $site has images none and labels desc-manual_dseg (3) "
            "(sub-00_desc-manual_dseg.nii.gz: no image has its subject, session, entities and contrast; "
            "rename the label or restore the image); correct the names or describe them in a recipe."
        ),
        without(Place.image),
    ),
    request_kind(
        "BIDS dataset without labels",
        CONVERT,
        (
            "$site has images T1w (3) and no labels; put labels (*_dseg, *_seg-manual, "
            "*_label-NAME_mask, ...) into its derivatives/labels."
        ),
        without(Place.labels),
    ),
    request_kind(
        "nothing that can be used",
        CONVERT,
        (
            "$workspace/datasets/Again: none of 3 cases can be used "
            "($site/derivatives/labels/sub-00/anat/sub-00_desc-manual_dseg.nii.gz: labels are not whole "
            "numbers (such as 0.5); store a map of integers; $labels: labels are not whole numbers (such "
            "as 0.5); store a map of integers; "
            "$site/derivatives/labels/sub-02/anat/sub-02_desc-manual_dseg.nii.gz: labels are not whole "
            "numbers (such as 0.5); store a map of integers); correct the files."
        ),
        halve_all,
    ),
    request_kind(
        "contrast that there is not",
        (*CONVERT, "--contrasts", "T2w"),
        (
            "BIDS datasets: of images of T2w with labels (*_dseg, *_seg-manual, *_label-NAME_mask, ...) "
            "none can be used: $site has images T1w (3) and labels desc-manual_dseg (3); correct the "
            "names or describe them in a recipe."
        ),
    ),
    request_kind(
        "channel that there is not",
        (*CONVERT, "--channels", "T1w,FLAIR"),
        (
            "BIDS datasets: of images of T1w, FLAIR with labels (*_dseg, *_seg-manual, "
            "*_label-NAME_mask, ...) none can be used: $site has images T1w (3) and labels "
            "desc-manual_dseg (3) (sub-00_T1w.nii.gz: sub-00 has no FLAIR; every channel is needed once; "
            "sub-01_T1w.nii.gz: sub-01 has no FLAIR; every channel is needed once; sub-02_T1w.nii.gz: "
            "sub-02 has no FLAIR; every channel is needed once); correct the names or describe them in a "
            "recipe."
        ),
    ),
    request_kind(
        "channel given twice",
        (*CONVERT, "--channels", "T1w,T1w"),
        "--channels: T1w,T1w has an empty or repeated entry; name each contrast once.",
    ),
    request_kind(
        "channels and contrasts",
        (*CONVERT, "--channels", "T1w", "--contrasts", "T1w"),
        "--channels: channels and contrasts exclude each other; give one of the two.",
    ),
    request_kind(
        "dataset given twice", (*CONVERT, "$site"), "$site: this BIDS dataset was given 2 times; give it once."
    ),
    request_kind(
        "folder of several datasets",
        ("convert-bids", "$folder", "--dataset", "Again"),
        "$folder: it is no BIDS dataset but holds some; give them by name: pair, tiny.",
    ),
    request_kind(
        "dataset that exists",
        ("convert-bids", "$folder/pair", "--contrasts", "T1w", "--dataset", "Tiny"),
        "$dataset: the dataset exists already; choose another name or add --overwrite.",
    ),
    request_kind(
        "name that leads elsewhere",
        ("convert-bids", "$site", "--dataset", "../../tmp/x"),
        "--dataset '../../tmp/x': use letters, digits, '-', '_' and '.' only.",
    ),
    request_kind(
        "name with a space",
        ("convert-bids", "$site", "--dataset", "my data"),
        "--dataset 'my data': use letters, digits, '-', '_' and '.' only.",
    ),
    request_kind(
        "workspace inside a source",
        ("--workspace", "$site/work", *CONVERT),
        "$site/work/datasets/Again: this is inside the source $site; choose another workspace.",
    ),
    request_kind(
        "workspace that is a file",
        ("--workspace", "$folder/file", *CONVERT),
        "$folder/file: a file stands where a folder is needed; choose another name.",
        written("file", ""),
    ),
    request_kind(
        "workspace that is a link to itself",
        ("--workspace", "$folder/loop", *CONVERT),
        "$folder/loop/datasets/Again: is a link that leads to itself; remove it or choose another path.",
        lambda place: (place.folder / "loop").symlink_to("loop"),
    ),
    request_kind(
        "workspace in a file",
        ("--workspace", "$folder/file/work", *CONVERT),
        "$folder/file: a file stands where a folder is needed; choose another name.",
        written("file", ""),
    ),
    request_kind(
        "dataset that is a link to itself",
        ("convert-bids", "$folder/loop", "--dataset", "Again"),
        "$folder/loop: is a link that leads to itself; remove it or choose another path.",
        lambda place: (place.folder / "loop").symlink_to("loop"),
    ),
    request_kind(
        "path that is too long",
        ("convert-bids", "/x" * 3000, "--dataset", "Again"),
        (
            "/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x.../x/x/x/x/x/x/x/x/x/x: the "
            "name is too long; shorten it."
        ),
    ),
    request_kind(
        "name that is too long",
        ("predict", "x" * 300, *PREDICT[2:]),
        (
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...xxxxxxxxxxxxxxxxxxxx: the "
            "name is too long; shorten it."
        ),
    ),
)
