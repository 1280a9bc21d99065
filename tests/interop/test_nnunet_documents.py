"""Foreign JSON: inheritance, the form of version 2.0, and documents that must not be believed."""

import json

import pytest

from autoseg.core.errors import BadInput
from autoseg.interop.nnunet_documents import parse, read_configuration, read_dataset, read_plans
from tests.interop import peer_models


def configuration(document, name):
    return read_configuration(read_plans(document, "plans.json"), name, "plans.json")


def test_a_configuration_has_what_it_inherits_and_what_it_overrides():
    cascade = configuration(peer_models.plans(), "3d_cascade_fullres")
    assert (cascade.batch_size, cascade.previous_stage, cascade.patch_size) == (4, "3d_lowres", [8, 16, 16])


def test_the_form_of_version_2_0_means_the_same():
    old, new = (configuration(document, "3d_fullres") for document in (peer_models.old_plans(), peer_models.plans()))
    kept = ("n_stages", "features_per_stage", "kernel_sizes", "strides", "n_conv_per_stage", "conv_bias", "norm_op")
    settings, wanted = old.architecture["arch_kwargs"], new.architecture["arch_kwargs"]
    assert {key: settings[key] for key in kept} == {key: wanted[key] for key in kept}
    assert old.architecture["network_class_name"] == new.architecture["network_class_name"]
    assert read_plans(peer_models.old_plans(), "plans.json").foreground_intensity_properties_per_channel["1"].std == 3


@pytest.mark.parametrize("parent", ["3d_fullres_bs4", "3d_cascade_fullres", "nothing", 7])
def test_inheritance_that_leads_nowhere_is_refused(parent):
    document = peer_models.plans()
    document["configurations"]["3d_fullres"]["inherits_from"] = parent
    with pytest.raises(BadInput, match=r"inherits from itself|does not exist"):
        configuration(document, "3d_fullres_bs4")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "nul",
        b"\xff\xfe\x00",
        "[" * 100_000,
        '{"a":' * 100_000,
        json.dumps({"a": [[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]}),
        '{"a": 1' + "0" * 5000 + "}",
    ],
)
def test_text_that_is_no_document_is_refused(text):
    with pytest.raises(BadInput, match=r"plans\.json: ") as caught:
        parse(text, "plans.json")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("dataset_name", 7),
        ("image_reader_writer", ["SimpleITKIO"]),
        ("transpose_forward", [0, 1]),
        ("transpose_forward", [0, 1, "2"]),
        ("configurations", []),
        ("foreground_intensity_properties_per_channel", {"0": {"mean": float("nan")}}),
        ("configurations.3d_fullres.batch_size", 10**40),
        ("configurations.3d_fullres.batch_size", 0),
        ("configurations.3d_fullres.patch_size", [8, 16, 1e300]),
        ("configurations.3d_fullres.spacing", [1.0, 1.0, float("inf")]),
        ("configurations.3d_fullres.spacing", [1.0, 1.0, 0.0]),
        ("configurations.3d_fullres.use_mask_for_norm", ["true", False]),
        ("configurations.3d_fullres.architecture", "os.system"),
        ("configurations.3d_fullres.resampling_fn_data_kwargs", None),
    ],
)
def test_a_wrong_field_is_named_with_its_path(path, value):
    document = peer_models.plans()
    *parents, last = path.split(".")
    inner = document
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    with pytest.raises(BadInput, match=rf"plans\.json: .*{path}"):
        configuration(document, "3d_fullres")


@pytest.mark.parametrize(
    "changes",
    [
        {"channel_names": {}},
        {"labels": {"background": 0}},
        {"labels": {"background": 0, "x": -1}},
        {"labels": {"background": 0, "x": 2.5}},
        {"file_ending": "/../../x"},
        {"file_ending": ""},
        {"regions_class_order": "1"},
    ],
)
def test_a_wrong_dataset_is_refused(changes):
    with pytest.raises(BadInput, match=rf"dataset\.json: {next(iter(changes))}"):
        read_dataset({**peer_models.DATASET, **changes}, "dataset.json")


def test_the_channels_of_version_1_are_called_modality():
    document = dict(peer_models.DATASET)
    document["modality"] = document.pop("channel_names")
    assert read_dataset(document, "dataset.json").channel_names == peer_models.DATASET["channel_names"]
