"""What a recipe leaves to the dataset."""

import pytest

from autoseg.planning.planner import make_plan
from autoseg.planning.recipe_fitting import fit

NETWORK = {"name": "segnet", "dimensions": 2, "size_multiple": [32, 32], "params": {}}


@pytest.fixture
def planned(make_fingerprint, make_measurement):
    shapes = [(30, 40, 50), (31, 42, 55), (29, 45, 60)]
    cases = tuple(make_measurement(f"case{i}", shape, (2.0, 1.0, 1.0)) for i, shape in enumerate(shapes))
    fingerprint = make_fingerprint().model_copy(update={"cases": cases})
    return fingerprint, make_plan(fingerprint)


def document(plan, **changes):
    return {**plan.configurations["2d"].model_dump(mode="json"), "network": NETWORK, **changes}


def test_a_value_for_all_channels_is_written_out(planned):
    fingerprint, plan = planned
    fitted = fit(document(plan, normalization="ct", patch_size="largest"), plan, fingerprint, plan.axis_order)
    assert fitted["normalization"] == ["ct"] * len(plan.channels)
    assert fitted["mask_normalization"] == document(plan)["mask_normalization"]


@pytest.mark.parametrize(
    ("changes", "spacing", "patch"),
    [
        ({"native_spacing": True, "crop": "none"}, [1.0, 2.0], [64, 32]),
        ({"resized_shape": [70, 80, 90]}, [1.0, 2.0], [96, 96]),
        ({"crop": "none"}, [1.0, 2.0], [64, 32]),
    ],
)
def test_the_grid_decides_the_patch(planned, changes, spacing, patch):
    fingerprint, plan = planned
    fitted = fit(document(plan, patch_size="largest", **changes), plan, fingerprint, (2, 1, 0))
    assert (fitted["spacing_mm"], fitted["patch_size"]) == (spacing, patch)


def test_a_network_made_to_measure_keeps_what_was_planned(planned):
    fingerprint, plan = planned
    own = plan.configurations["3d_fullres"].model_dump(mode="json")
    assert fit(own, plan, fingerprint, plan.axis_order) == own


def test_voxel_classifiers_keep_their_patch(planned):
    fingerprint, plan = planned
    network = {"name": "valverde2017", "dimensions": 3, "size_multiple": [1, 1, 1], "params": {}}
    one = {
        **plan.configurations["3d_fullres"].model_dump(mode="json"),
        "network": network,
        "candidates": {"channel": 0},
    }
    assert fit({**one, "patch_size": [99, 99, 99]}, plan, fingerprint, plan.axis_order)["patch_size"] == [99, 99, 99]
