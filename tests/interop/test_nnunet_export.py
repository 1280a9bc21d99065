"""Our plans as nnU-Net writes its own."""

import io
import json

import numpy as np
import pytest
import SimpleITK
import torch

from autoseg.core.errors import BadInput
from autoseg.core.fingerprint import CaseMeasurement, Fingerprint
from autoseg.core.labels import Labels
from autoseg.interop import nnunet_export as export
from autoseg.interop.nnunet_plans import plan_of
from autoseg.interop.nnunet_weights import our_weights
from autoseg.planning.configurations import augmentation
from tests.interop import peer_models


@pytest.fixture(scope="module")
def imported():
    return plan_of(peer_models.plans(), peer_models.DATASET, "Tiny", augmentation, "model")


def test_an_imported_plan_is_written_as_it_was(imported):
    written = export.plans_document(imported, "Dataset501_Tiny")
    expected = peer_models.plans()
    shared = {key: value for key, value in written.items() if key != "configurations"}
    assert shared == {key: value for key, value in expected.items() if key != "configurations"}
    one, wanted = written["configurations"]["3d_fullres"], expected["configurations"]["3d_fullres"]
    wanted["architecture"]["arch_kwargs"]["nonlin"] = one["architecture"]["arch_kwargs"]["nonlin"]  # two names of it
    assert one == wanted
    assert written["configurations"]["3d_cascade_fullres"]["previous_stage"] == "3d_lowres"
    json.dumps(written, allow_nan=False)
    assert export.dataset_document(imported, 6) == peer_models.DATASET


@pytest.mark.parametrize(
    ("orientation", "ending", "reader"),
    [
        ("canonical", ".nii.gz", "NibabelIOWithReorient"),
        ("canonical", ".nrrd", "SimpleITKIOWithReorient"),
        ("stored", ".nii", "NibabelIO"),
        ("stored", ".png", "NaturalImage2DIO"),
    ],
)
def test_the_reader_turns_images_as_our_plan_does(imported, orientation, ending, reader):
    plan = imported.model_copy(update={"orientation": orientation, "file_ending": ending})
    assert export.plans_document(plan, "Dataset501_Tiny")["image_reader_writer"] == reader


def test_what_nnunet_has_not_is_refused_with_the_reason(imported, tiny_plan):
    whole = tiny_plan.configurations["3d_fullres"].model_copy(update={"name": "full_volume", "whole_case": True})
    with pytest.raises(BadInput, match="full_volume predicts whole images"):
        export.plans_document(tiny_plan.model_copy(update={"configurations": {"full_volume": whole}}), "Dataset501_T")
    n4 = tiny_plan.configurations["3d_fullres"].model_copy(update={"bias_field_correction": True})
    with pytest.raises(BadInput, match="3d_fullres corrects bias fields"):
        export.plans_document(tiny_plan.model_copy(update={"configurations": {"3d_fullres": n4}}), "Dataset501_T")
    with pytest.raises(BadInput, match=r"no reader for \.dcm files"):
        export.plans_document(imported.model_copy(update={"file_ending": ".dcm"}), "Dataset501_Tiny")
    with pytest.raises(BadInput, match="without a gap"):
        export.dataset_document(imported.model_copy(update={"labels": Labels(values={"x": 4})}), 1)


def test_a_checkpoint_has_what_the_peer_reads(imported):
    golden = peer_models.weights()
    network = imported.configurations["3d_fullres"].network
    ours = our_weights(golden, network, 2, 3, "golden")
    content = export.checkpoint(imported, imported.configurations["3d_fullres"], ours, "fold3", ({"a": 1}, {"b": 2}))
    loaded = torch.load(io.BytesIO(content), weights_only=True)
    assert set(loaded) == set(peer_models.checkpoint())
    assert loaded["network_weights"].keys() == golden.keys()
    assert all(torch.equal(tensor, golden[name]) for name, tensor in loaded["network_weights"].items())
    assert loaded["init_args"] == {
        "plans": {"a": 1},
        "configuration": "3d_fullres",
        "fold": 3,
        "dataset_json": {"b": 2},
    }
    assert loaded["inference_allowed_mirroring_axes"] == (0, 1, 2)
    assert len(content) < 2 * sum(tensor.nbytes for tensor in ours.values()) + 100_000  # aliases share their memory


def test_names_of_folders_are_those_of_the_peer(imported, tiny_plan):
    configuration = imported.configurations["3d_fullres"]
    assert export.model_folder_name(imported, configuration) == peer_models.FOLDER
    residual = tiny_plan.model_copy(update={"planner": "resenc-l"})
    assert export.model_folder_name(residual, configuration).split("__")[1] == "nnUNetResEncUNetLPlans"
    assert [export.fold_folder_name(fold) for fold in ("fold0", "all")] == ["fold_0", "fold_all"]


def test_the_fingerprint_is_in_their_axis_order(imported):
    case = CaseMeasurement(
        name="a",
        domain="d",
        subject="s",
        orientation="RAS",
        shape=(4, 5, 6),
        spacing_mm=(1.0, 2.0, 3.0),
        box=((0, 4), (0, 5), (0, 3)),
        label_volumes_mm3={},
    )
    fingerprint = Fingerprint(
        dataset="Tiny",
        channels=imported.channels,
        labels=imported.labels,
        cases=(case,),
        intensities=imported.intensities,
        domain_intensities={},
    )
    document = export.fingerprint_document(imported, fingerprint)
    assert document["spacings"] == [[3.0, 2.0, 1.0]]
    assert document["shapes_after_crop"] == [[3, 5, 4]]
    assert document["median_relative_size_after_cropping"] == 0.5
    assert export.fingerprint_document(imported, None)["spacings"] == []


def test_the_picture_is_a_picture(tmp_path):
    path = tmp_path / "progress.png"
    path.write_bytes(export.empty_picture())
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))), [[255]])
