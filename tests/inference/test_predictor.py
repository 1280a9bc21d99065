"""From a stored image to labels on its grid, and which folds go together."""

import importlib.util
import tracemalloc

import nibabel
import numpy as np
import pytest
import torch

from autoseg.core.case import Image
from autoseg.core.errors import BadInput
from autoseg.core.geometry import working_axes
from autoseg.core.labels import Labels
from autoseg.core.network_spec import PublishedNetwork
from autoseg.inference.predictor import load_predictor
from autoseg.networks import build_planned, model_file
from autoseg.preprocessing import prepare


def save_fold(folder, plan, seed=0):
    """A model folder with random weights."""
    configuration = plan.configurations["3d_fullres"]
    torch.manual_seed(seed)
    network = build_planned(configuration.network, len(plan.channels), plan.labels.num_outputs)
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(plan.model_dump_json())
    (folder / "final.safetensors").write_bytes(model_file.serialise(network.state_dict(), {}))
    return folder


@pytest.fixture
def image(tiny_bids):
    stored = nibabel.load(tiny_bids / "sub-00/anat/sub-00_T1w.nii.gz")
    return Image(np.asarray(stored.dataobj, dtype=np.float32)[None], stored.affine)


def test_labels_have_the_grid_of_the_image_and_do_not_depend_on_how_it_is_stored(tmp_path, tiny_plan, image):
    predictor = load_predictor([save_fold(tmp_path / "fold0", tiny_plan)], "3d_fullres", "cpu")
    labels = predictor.predict("case", image)
    assert labels.shape == image.shape
    assert len(np.unique(labels)) > 1
    turned = Image(
        image.voxels.transpose(0, 3, 1, 2)[:, ::-1],
        image.affine @ np.array([[0, 1, 0, 0], [0, 0, 1, 0], [-1, 0, 0, image.shape[2] - 1], [0, 0, 0, 1]]),
    )
    np.testing.assert_array_equal(predictor.predict("case", turned), labels.transpose(2, 0, 1)[::-1])


def test_a_wrong_number_of_channels_names_those_that_are_needed(tmp_path, tiny_plan, image):
    predictor = load_predictor([save_fold(tmp_path / "fold0", tiny_plan)], "3d_fullres", "cpu")
    with pytest.raises(BadInput, match=r"has 2 channel\(s\).*T1w"):
        predictor.predict("case", Image(np.concatenate([image.voxels] * 2), image.affine))


def test_folds_of_different_width_are_averaged(tmp_path, tiny_plan, image):
    narrow = tiny_plan.configurations["3d_fullres"]
    network = narrow.network.model_copy(update={"features_per_stage": (2, 4, 4)})
    other = tiny_plan.model_copy(
        update={"configurations": {"3d_fullres": narrow.model_copy(update={"network": network})}}
    )
    folders = [save_fold(tmp_path / "fold0", tiny_plan, 0), save_fold(tmp_path / "fold1", other, 1)]
    voxels = np.random.default_rng(0).normal(size=(1, 16, 16, 16)).astype(np.float32)
    single = [load_predictor([folder], "3d_fullres", "cpu").logits(voxels) for folder in folders]
    both = load_predictor(folders, "3d_fullres", "cpu").logits(voxels)
    np.testing.assert_allclose(both, (single[0] + single[1]) / 2, atol=1e-4)


@pytest.mark.parametrize(
    "change",
    [
        {"spacing_mm": (2.0, 1.0, 1.0)},
        {"bias_field_correction": True},
        {"crop": "none"},
        {"native_spacing": True},
        {"resized_shape": (16, 16, 16)},
    ],
)
def test_folds_prepared_differently_are_not_mixed(tmp_path, tiny_plan, change):
    configuration = tiny_plan.configurations["3d_fullres"].model_copy(update=change)
    other = tiny_plan.model_copy(update={"configurations": {"3d_fullres": configuration}})
    folders = [save_fold(tmp_path / "fold0", tiny_plan), save_fold(tmp_path / "fold1", other)]
    with pytest.raises(BadInput, match="another preparation"):
        load_predictor(folders, "3d_fullres", "cpu")


@pytest.mark.parametrize(
    "change",
    [{"crop": "centre", "native_spacing": True}, {"crop": "none", "resized_shape": (32, 16, 24)}, {"whole_case": True}],
)
def test_labels_have_the_grid_of_the_image_however_it_is_cropped(tmp_path, tiny_plan, image, change):
    configuration = tiny_plan.configurations["3d_fullres"].model_copy(update=change)
    plan = tiny_plan.model_copy(update={"configurations": {"3d_fullres": configuration}})
    predictor = load_predictor([save_fold(tmp_path / "fold0", plan)], "3d_fullres", "cpu")
    case = predictor.prepare("case", image)
    labels = predictor.segment(case)()
    assert labels.shape == image.shape
    np.testing.assert_array_equal(labels, prepare.undo(predictor.logits(case.image), case.trace, plan.labels))


def published(plan, network, **training):
    """The plan with a published network instead."""
    own = plan.configurations["3d_fullres"]
    spec = own.training.model_copy(update=training)
    changed = own.model_copy(update={"network": network, "training": spec, "patch_size": (64, 32, 32)})
    return plan.model_copy(update={"configurations": {"3d_fullres": changed}})


def test_a_network_may_normalise_by_what_it_sees_in_prediction(tmp_path, tiny_plan, image, monkeypatch):
    """Then a tile is never computed together with others, and OpenVINO is refused."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    network = PublishedNetwork(name="full_volume_unet", dimensions=3, size_multiple=(4, 4, 4), batch_statistics=True)
    folder = save_fold(tmp_path / "fold0", published(tiny_plan, network, precision="fp32"))
    predictor = load_predictor([folder], "3d_fullres", "cpu", num_cases=10**6)
    assert predictor.engine_name == "torch"
    assert predictor.execution.precision == "fp32"
    assert predictor.lanes.batch == 1
    assert predictor.predict("case", image).shape == image.shape
    with pytest.raises(BadInput, match="needs the statistics of a batch; use --engine torch"):
        load_predictor([folder], "3d_fullres", "cpu", engine="openvino")


def test_a_plan_of_another_configuration_is_a_sentence(tmp_path, tiny_plan):
    with pytest.raises(BadInput, match="fold0: its plan has no configuration 2d"):
        load_predictor([save_fold(tmp_path / "fold0", tiny_plan)], "2d", "cpu")


def test_labels_without_resampling_are_those_of_the_logits(tmp_path, tiny_plan, image):
    """They are decided slab by slab, without the logits of the whole image."""
    predictor = load_predictor([save_fold(tmp_path / "fold0", tiny_plan)], "3d_fullres", "cpu")
    image = Image(np.pad(image.voxels, ((0, 0), (2, 3), (4, 0), (0, 9))), image.affine)
    case = predictor.prepare("case", image)
    assert case.trace.resampled_shape != case.trace.stored_shape  # cropped
    np.testing.assert_array_equal(
        predictor.segment(case)(), prepare.undo(predictor.logits(case.image), case.trace, tiny_plan.labels)
    )


@pytest.mark.parametrize("waiting_bytes", [0, 2**27])
def test_labels_with_resampling_are_those_of_the_logits(tmp_path, tiny_plan, image, monkeypatch, waiting_bytes):
    monkeypatch.setattr("autoseg.inference.predictor.WAITING_LOGITS_BYTES", waiting_bytes)
    predictor = load_predictor([save_fold(tmp_path / "fold0", tiny_plan)], "3d_fullres", "cpu")
    coarse = Image(image.voxels, image.affine @ np.diag([1.5, 1, 1, 1]))
    case = predictor.prepare("case", coarse)
    labels = predictor.segment(case)()
    assert labels.shape == image.shape
    np.testing.assert_array_equal(labels, prepare.undo(predictor.logits(case.image), case.trace, tiny_plan.labels))


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")
@pytest.mark.parametrize(("precision", "agreeing"), [("fp32", 0.999), ("auto", 0.99)])  # auto may be bfloat16
def test_both_engines_give_the_same_labels_and_say_their_name(tmp_path, tiny_plan, image, precision, agreeing):
    own = tiny_plan.configurations["3d_fullres"]
    own = own.model_copy(update={"training": own.training.model_copy(update={"precision": precision})})
    plan = tiny_plan.model_copy(update={"configurations": {"3d_fullres": own}})
    folders = [save_fold(tmp_path / f"fold{seed}", plan, seed) for seed in range(2)]
    ours, other = (load_predictor(folders, "3d_fullres", "cpu", engine=name) for name in ("torch", "openvino"))
    assert ours.describe().endswith(", torch")
    assert other.describe().endswith(", openvino")
    labels = ours.predict("case", image)
    assert (other.predict("case", image) == labels).mean() > agreeing


def test_the_engine_depends_on_how_much_there_is_to_do(tmp_path, tiny_plan, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr("autoseg.inference.predictor.openvino_engine", lambda *_: None)
    folder = save_fold(tmp_path / "fold0", tiny_plan)
    assert load_predictor([folder], "3d_fullres", "cpu").engine_name == "torch"
    assert load_predictor([folder], "3d_fullres", "cpu", num_cases=1000).engine_name == "openvino"
    assert load_predictor([folder], "3d_fullres", "cpu", num_cases=1000, engine="torch").engine_name == "torch"


FEW = 2**16  # bytes of a slab


@pytest.mark.parametrize("spacing", [1.0, 1.1])
def test_memory_of_a_large_case_is_the_image_twice_and_slabs(tmp_path, tiny_plan, monkeypatch, spacing):
    """Bytes a voxel above the image, of which the prepared one is 4; the logits alone would be 20 of the network's."""
    labels = Labels(values={"background": 0, **{f"organ{value}": value for value in range(1, 5)}})
    predictor = load_predictor(
        [save_fold(tmp_path / "fold0", tiny_plan.model_copy(update={"labels": labels}))],
        *("3d_fullres", "cpu"),
        mirror=False,
        step=1.0,
    )
    target = predictor.configuration.spacing_mm
    axes = working_axes(np.eye(4), tiny_plan.axis_order, tiny_plan.orientation).axes
    stored = [0.0] * 3
    for axis, size in zip(axes, target, strict=True):
        stored[axis] = spacing * size
    sizes = [48, 48, 48]
    sizes[axes[0]] = 320
    voxels = np.random.default_rng(0).normal(100, 20, (1, *sizes)).astype(np.float32)
    image = Image(voxels, np.diag([*stored, 1.0]))
    monkeypatch.setattr("autoseg.preprocessing.prepare.LARGE_CHANNEL_VOXELS", 0)
    monkeypatch.setattr("autoseg.preprocessing.resample_planes.SLAB_BYTES", FEW)
    monkeypatch.setattr("autoseg.preprocessing.resample_logits.PART_BYTES", FEW)
    monkeypatch.setattr("autoseg.inference.predictor.WAITING_LOGITS_BYTES", 0)
    predictor.predict("case", Image(voxels[:, :40, :40, :40], image.affine))  # what is imported and kept
    tracemalloc.start()
    found = predictor.predict("case", image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.shape == image.shape
    on_either_grid = max(1, spacing**3) * voxels.size
    assert peak / on_either_grid < 8
