"""The image of a label, from names alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoseg.interop.image_of_label import image_of_label
from autoseg.io.bids import BidsFile, parse_name


def parsed(name: str) -> BidsFile:
    """``sub-1_T1w`` or ``anat/sub-1_T1w``."""
    file = parse_name(Path(f"{name}.nii.gz"))
    assert file is not None
    return file


def match(label: str, *images: str, preferred: tuple[str, ...] = ()) -> str:
    found = image_of_label(parsed(label), [parsed(image) for image in images], preferred)
    return found if isinstance(found, str) else f"={found.stem}"


def test_longest_stem_wins() -> None:
    assert match("sub-1_T1w_seg-manual", "sub-1_T1w", "sub-1_T2w") == "=sub-1_T1w"
    assert match("sub-1_acq-a_T1w_seg", "sub-1_T1w", "sub-1_acq-a_T1w") == "=sub-1_acq-a_T1w"
    assert "no image" in match("sub-1_T2star_seg-manual", "sub-1_T1w", "sub-1_T2w")
    assert "no image" in match("sub-1_T1w_seg-manual", "sub-10_T1w")


def test_strict_names() -> None:
    assert match("sub-1_desc-manual_dseg", "sub-1_T1w") == "=sub-1_T1w"
    assert match("sub-1_space-T2w_dseg", "sub-1_T1w", "sub-1_T2w") == "=sub-1_T2w"
    assert match("sub-1_run-2_dseg", "sub-1_run-1_T1w", "sub-1_run-2_T1w") == "=sub-1_run-2_T1w"
    assert match("sub-1_ses-b_dseg", "sub-1_ses-a_T1w", "sub-1_ses-b_T1w") == "=sub-1_ses-b_T1w"
    ambiguous = match("sub-1_desc-manual_dseg", "sub-1_T1w", "sub-1_T2w")
    assert "several images (sub-1_T1w, sub-1_T2w)" in ambiguous
    assert match("sub-1_desc-manual_dseg", "sub-1_T1w", "sub-1_T2w", preferred=("T2w",)) == "=sub-1_T2w"


MP2RAGE = ("sub-1_inv-1_part-mag_MP2RAGE", "sub-1_inv-1_part-phase_MP2RAGE", "sub-1_inv-2_part-mag_MP2RAGE")
ECHOES = ("sub-1_echo-1_MEGRE", "sub-1_echo-2_MEGRE", "sub-1_echo-3_MEGRE")
QSM = ("sub-1_part-mag_T1w", "sub-1_part-phase_T1w")
SPM = ("sub-1_space-individual_desc-biascor_T1w", "sub-1_space-IXI549Space_desc-preproc_T1w")
ANAT = ("anat/sub-1_T1w", "func/sub-1_task-rest_bold", "fmap/sub-1_magnitude1")


@pytest.mark.parametrize(
    ("label", "images", "preferred", "image"),
    [
        # nobody draws on a phase image, unless the label says so
        ("sub-1_label-GM_mask", QSM, (), "sub-1_part-mag_T1w"),
        ("sub-1_T1w_seg-manual", QSM, (), "sub-1_part-mag_T1w"),
        ("sub-1_part-phase_label-GM_mask", QSM, (), "sub-1_part-phase_T1w"),
        ("sub-1_part-phase_T1w_seg-manual", QSM, (), "sub-1_part-phase_T1w"),
        ("sub-1_inv-1_label-GM_mask", MP2RAGE, (), "sub-1_inv-1_part-mag_MP2RAGE"),
        # an echo is named by the label or by the user
        ("sub-1_echo-2_MEGRE_seg-manual", ECHOES, (), "sub-1_echo-2_MEGRE"),
        ("sub-1_echo-2_label-GM_mask", ECHOES, (), "sub-1_echo-2_MEGRE"),
        ("sub-1_label-GM_mask", ECHOES, ("echo-3_MEGRE",), "sub-1_echo-3_MEGRE"),
        ("sub-1_label-GM_mask", MP2RAGE, ("inv-2_MP2RAGE",), "sub-1_inv-2_part-mag_MP2RAGE"),
        # the mean of the echoes has the entities of the label
        ("sub-1_label-GM_mask", (*ECHOES, "sub-1_MEGRE"), (), "sub-1_MEGRE"),
        ("sub-1_label-GM_mask", ("sub-1_T2w", "sub-1_acq-ax_T2w"), (), "sub-1_T2w"),
        ("sub-1_label-GM_mask", ("sub-1_T1w", "sub-1_acq-ax_T2w"), ("acq-ax_T2w",), "sub-1_acq-ax_T2w"),
        # spaces
        ("sub-1_space-individual_label-GM_probseg", SPM, (), "sub-1_space-individual_desc-biascor_T1w"),
        ("sub-1_space-IXI549Space_desc-brain_mask", SPM, (), "sub-1_space-IXI549Space_desc-preproc_T1w"),
        ("sub-1_space-orig_dseg", ("sub-1_T1w",), (), "sub-1_T1w"),
        ("sub-1_space-other_T2w_seg-manual", ("sub-1_T2w", "sub-1_space-other_T2w"), (), "sub-1_space-other_T2w"),
        # the folder
        ("anat/sub-1_desc-brain_mask", ANAT, (), "sub-1_T1w"),
        ("func/sub-1_task-rest_desc-brain_mask", ANAT, (), "sub-1_task-rest_bold"),
        ("sub-1_label-GM_mask", ("sub-1_T1w", "sub-1_from-T1w_to-MNI_mode-image_xfm"), (), "sub-1_T1w"),
    ],
)
def test_wild_names(label: str, images: tuple[str, ...], preferred: tuple[str, ...], image: str) -> None:
    assert match(label, *images, preferred=preferred) == f"={image}"


@pytest.mark.parametrize(
    ("label", "images", "sentence"),
    [
        ("sub-1_space-MNI152NLin6Asym_dseg", ("sub-1_T1w",), "it lies in the space MNI152NLin6Asym"),
        ("sub-1_T1w_space-PAM50_seg", ("sub-1_T1w",), "it lies in the space PAM50"),
        ("sub-1_task-rest_space-T1w_desc-brain_mask", ("sub-1_task-rest_bold",), "it lies in the space T1w"),
        ("sub-1_MEGRE_seg-manual", ECHOES, "--contrasts (such as echo-1_MEGRE)"),
        ("sub-1_dseg", ("sub-1_run-1_T1w", "sub-1_run-2_T1w"), "--contrasts (such as run-1_T1w)"),
        ("sub-1_dseg", ("sub-1_desc-a_T1w", "sub-1_desc-b_T1w"), "--contrasts (such as desc-a_T1w)"),
        ("sub-1_acq-ax_dseg", ("sub-1_acq-sag_T1w",), "no image has its subject"),
        ("sub-1_run-1_T1w_seg", ("sub-1_run-2_T1w",), "no image has its subject"),
    ],
)
def test_what_cannot_be_told_is_said(label: str, images: tuple[str, ...], sentence: str) -> None:
    assert sentence in match(label, *images)
