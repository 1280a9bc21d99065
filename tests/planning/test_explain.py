"""The reasons that are given: that they are there, and that their numbers are right."""

from __future__ import annotations

import pytest

from autoseg.planning.planner import make_plan


def reasons(plan) -> dict[str, str]:
    return {decision.what: f"{decision.choice}: {decision.reason}" for decision in plan.decisions}


@pytest.mark.parametrize(
    ("shape", "spacing", "recommended", "because"),
    [
        ((35, 50, 36), (1, 1, 1), "3d_fullres", "near isotropic"),
        ((54, 49, 9), (0.5, 0.5, 7.5), "2d", "ratio of 15.0"),
        ((100, 100, 60), (1, 1, 3), "2d", "ratio of 3.0"),
        ((100, 100, 60), (1, 1, 2.9), "3d_fullres", "60 slices"),
        ((100, 100, 11), (1, 1, 2), "2d", "11 slices"),
        ((100, 100, 1), (1, 1, 1), "2d", "single slices"),
    ],
)
def test_recommendation(make_fingerprint, shape, spacing, recommended: str, because: str) -> None:
    plan = make_plan(make_fingerprint(shape=shape, spacing_mm=spacing, num_cases=20))
    assert plan.recommended == recommended
    assert because in reasons(plan)["recommended"]


def test_every_decision_has_numbers_or_names(make_fingerprint) -> None:
    said = reasons(make_plan(make_fingerprint(shape=(35, 50, 36), num_cases=260)))
    assert said["target spacing"] == "1 x 1 x 1 mm: all 260 cases have it"
    assert said["3d_fullres patch"].startswith("40 x 56 x 40: holds the median case of 36 x 50 x 35 voxels")
    assert said["3d_fullres batch"].startswith("9: 5 % of the voxels of the dataset")
    assert said["slice axis"].startswith("down-up: all axes have the same spacing")
    assert {"normalization", "2d patch", "2d batch", "3d_fullres Dice loss", "full_volume", "recommended"} <= set(said)


def test_batch_reason_names_the_limit_that_decided(make_fingerprint) -> None:
    assert "the smallest batch; 0 would be 5 %" in reasons(make_plan(make_fingerprint()))["3d_fullres batch"]
    many = make_plan(make_fingerprint(shape=(35, 50, 36), num_cases=5000), memory_gb=2)
    assert "fills 2 GB" in reasons(many)["3d_fullres batch"]


def test_a_patch_that_cuts_says_how_much_it_sees(make_fingerprint) -> None:
    plan = make_plan(make_fingerprint(shape=(138, 169, 138), num_cases=484))
    assert reasons(plan)["3d_fullres patch"].startswith("128 x 128 x 128: 65% of the median case of 138 x 169 x 138")


def test_lowres_and_cascade_say_why(make_fingerprint) -> None:
    plan = make_plan(make_fingerprint(shape=(512, 512, 432), spacing_mm=(0.767578125, 0.767578125, 1), num_cases=131))
    said = reasons(plan)
    assert said["3d_lowres spacing"].startswith("2.42726 x 1.86311 x 1.86311 mm: a 3d_fullres patch covers 1.9%")
    assert "at this spacing a patch covers 26%" in said["3d_lowres spacing"]
    assert said["3d_lowres patch"].startswith("128 x 128 x 128: 26% of the median case of 178 x 211 x 211")
    assert said["3d_cascade_fullres"].startswith("3d_fullres after 3d_lowres: the label map")
    assert "only cross-validation tells" in said["recommended"]


def test_without_lowres_the_context_is_given(make_fingerprint) -> None:
    said = reasons(make_plan(make_fingerprint(shape=(138, 169, 138), num_cases=484)))
    assert said["3d_lowres"].startswith("left out: a 3d_fullres patch covers 65% of the median case, enough")
    said = reasons(make_plan(make_fingerprint(shape=(240, 240, 240), num_cases=9)))
    assert said["3d_lowres"].startswith("left out: a 3d_fullres patch covers 15.2% of the median case, but")


def test_residual_planners_say_so(make_fingerprint) -> None:
    said = reasons(make_plan(make_fingerprint(num_cases=50), planner="resenc-l"))
    assert said["network"].startswith("residual_encoder_unet: ")
    assert "24 GB" in said["network"]
    assert "5 %" not in said["3d_fullres batch"]
    assert "network" not in reasons(make_plan(make_fingerprint()))
