"""Labels named after opposite directions keep their axis from being mirrored."""

import pytest

from autoseg.planning.mirroring import opposite_labels
from autoseg.planning.planner import make_plan


@pytest.mark.parametrize(
    ("names", "axes"),
    [
        (("left_hippocampus", "right_hippocampus"), [0]),
        (("Hippocampus Left", "hippocampus right"), [0]),
        (("lh-cortex", "rh-cortex"), [0]),
        (("kidney_L", "kidney_R"), [0]),
        (("Anterior", "Posterior"), [1]),
        (("ventral horn", "dorsal horn"), [1]),
        (("upper lobe left", "lower lobe left", "upper lobe right"), [0, 2]),
        (("left_lung", "heart"), []),
        (("cleft", "bright"), []),
        (("lesion", "resion"), []),
    ],
)
def test_opposite_names_are_recognised(names, axes) -> None:
    assert sorted(opposite_labels({name: i for i, name in enumerate(names)})) == axes


def test_the_axis_of_left_and_right_is_not_mirrored(make_fingerprint) -> None:
    labels = {"background": 0, "left_lung": 1, "right_lung": 2}
    plan = make_plan(make_fingerprint(labels=labels))
    assert plan.axis_order == (2, 1, 0)
    assert plan.configurations["3d_fullres"].augmentation.mirror_axes == (0, 1)
    assert plan.configurations["full_volume"].augmentation.mirror_axes == (0, 1)
    assert plan.configurations["2d"].augmentation.mirror_axes == (0,)
    assert plan.configurations["2d"].augmentation.rotation_degrees <= 30
    assert any(decision.what == "mirroring" for decision in plan.decisions)
    sagittal = make_plan(make_fingerprint(shape=(9, 200, 180), spacing_mm=(6, 0.5, 0.5), labels=labels))
    assert sagittal.configurations["3d_fullres"].augmentation.mirror_axes == (1, 2)
    assert sagittal.configurations["2d"].augmentation.mirror_axes == (0, 1)


def test_other_labels_leave_every_axis(make_fingerprint) -> None:
    plan = make_plan(make_fingerprint(labels={"background": 0, "lesion": 1}))
    assert plan.configurations["3d_fullres"].augmentation.mirror_axes == (0, 1, 2)
    assert not any(decision.what == "mirroring" for decision in plan.decisions)


def test_lowres_and_the_cascade_are_not_mirrored_either(make_fingerprint) -> None:
    labels = {"background": 0, "left_lung": 1, "right_lung": 2}
    plan = make_plan(make_fingerprint(shape=(512, 512, 400), num_cases=3, labels=labels), planner="resenc-m")
    assert {"3d_lowres", "3d_fullres", "3d_cascade_fullres"} <= set(plan.configurations)
    assert plan.axis_order == (2, 1, 0)
    for name, part in plan.configurations.items():
        assert part.augmentation.mirror_axes == ((0,) if name == "2d" else (0, 1)), name
        assert part.augmentation.rotation_degrees <= 30
    assert plan.configurations["3d_cascade_fullres"].previous_stage == "3d_lowres"
