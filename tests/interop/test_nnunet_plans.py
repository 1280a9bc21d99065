"""Plans of nnU-Net become ours, or are refused by their field."""

import pytest

from autoseg.core.errors import BadInput
from autoseg.interop.nnunet_architecture import network_of
from autoseg.interop.nnunet_plans import plan_of
from autoseg.planning.configurations import augmentation
from autoseg.preprocessing.previous_stage import num_input_channels
from tests.interop import peer_models
from tests.networks import peer_networks


def plan(document=None, dataset=None, names=()):
    chosen = document or peer_models.plans(), dataset or peer_models.DATASET
    return plan_of(*chosen, "Tiny", augmentation, "model", names)


def test_every_decision_is_taken_over():
    ours = plan()
    assert (ours.dataset, ours.planner, ours.channels, ours.recommended) == (
        "Tiny",
        "default",
        ("T1w", "T2w"),
        "3d_fullres",
    )
    assert (ours.orientation, ours.axis_order, ours.file_ending) == ("stored", (2, 0, 1), ".nii.gz")
    assert ours.labels.num_outputs == 3
    assert [statistics.std for statistics in ours.intensities] == [2, 3]
    assert list(ours.configurations) == ["3d_fullres", "3d_fullres_bs4", "3d_lowres", "3d_cascade_fullres"]
    one = ours.configurations["3d_fullres"]
    assert (one.patch_size, one.batch_size, one.spacing_mm) == ((8, 16, 16), 2, (1.2, 1.0, 1.0))
    assert (one.normalization, one.mask_normalization) == (("zscore", "ct"), (True, False))
    assert one.network == network_of(peer_networks.read("plain_3d")["architecture"], "")
    assert one.augmentation == augmentation((8, 16, 16))
    cascade = ours.configurations["3d_cascade_fullres"]
    assert (cascade.previous_stage, cascade.batch_size) == ("3d_lowres", 4)
    assert (num_input_channels(ours, one), num_input_channels(ours, cascade)) == (2, 4)


def test_plans_of_version_2_0_become_the_same_plan():
    assert plan(peer_models.old_plans()) == plan()


@pytest.mark.parametrize("reader", ["NibabelIOWithReorient", "SimpleITKIOWithReorient"])
def test_readers_that_turn_to_ras_make_the_plan_canonical(reader):
    assert plan({**peer_models.plans(), "image_reader_writer": reader}).orientation == "canonical"


def test_only_the_configurations_asked_for_are_read():
    document = peer_models.plans()
    document["configurations"]["broken"] = {"batch_size": "x"}
    assert list(plan(document, names=["3d_fullres"]).configurations) == ["3d_fullres"]
    with pytest.raises(BadInput, match=r"configurations\.2d does not exist \(there is: 3d"):
        plan(document, names=["2d"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image_reader_writer", "os.system"),
        ("label_manager", "MyLabelManager"),
        ("transpose_forward", [0, 0, 2]),
        ("configurations", {}),
        ("foreground_intensity_properties_per_channel", {}),
        ("configurations.3d_fullres.preprocessor_name", "MyPreprocessor"),
        ("configurations.3d_fullres.normalization_schemes", ["ZScoreNormalization", "os.system"]),
        ("configurations.3d_fullres.normalization_schemes", ["ZScoreNormalization"]),
        ("configurations.3d_fullres.use_mask_for_norm", [True]),
        ("configurations.3d_fullres.resampling_fn_data", "resample_torch_fornnunet"),
        ("configurations.3d_fullres.resampling_fn_seg_kwargs", {"is_seg": True, "order": 0}),
        (
            "configurations.3d_fullres.resampling_fn_probabilities_kwargs",
            {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": True},
        ),
        ("configurations.3d_fullres.patch_size", [8, 16, 18]),
        ("configurations.3d_fullres.patch_size", [16, 16]),
        ("configurations.3d_fullres.spacing", [1.0, 1.0]),
    ],
)
def test_what_we_cannot_honour_is_refused_by_its_field(field, value):
    document = peer_models.plans()
    *parents, last = field.split(".")
    inner = document
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    with pytest.raises(BadInput, match=rf"model/plans\.json: {field}") as caught:
        plan(document)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"labels": {"background": 0, "shell": 1, "core": 1}}, "the labels"),
        ({"labels": {"background": 0, "all": [1, 2], "core": 2}}, "the labels"),
        ({"channel_names": {"0": "T1w", "2": "T2w"}}, "channel_names"),
    ],
)
def test_a_dataset_that_nnunet_would_not_have_taken_is_refused(changes, field):
    with pytest.raises(BadInput, match=rf"model/dataset\.json: {field}"):
        plan(dataset={**peer_models.DATASET, **changes})


def test_a_region_of_one_value_is_a_label():
    labels = {"background": 0, "shell": [1], "core": 2}
    assert plan(dataset={**peer_models.DATASET, "labels": labels}).labels == plan().labels
