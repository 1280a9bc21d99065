"""From a stored image to labels on its grid, and which folds go together."""

import nibabel
import numpy as np
import pytest
import torch

from autoseg.core.case import Image
from autoseg.core.errors import BadInput
from autoseg.inference.predictor import load_predictor
from autoseg.networks import build, model_file


def save_fold(folder, plan, seed=0):
    """A model folder with random weights."""
    configuration = plan.configurations["3d_fullres"]
    torch.manual_seed(seed)
    network = build(configuration.network, len(plan.channels), plan.num_classes)
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


def test_folds_prepared_differently_are_not_mixed(tmp_path, tiny_plan):
    configuration = tiny_plan.configurations["3d_fullres"].model_copy(update={"spacing_mm": (2.0, 1.0, 1.0)})
    other = tiny_plan.model_copy(update={"configurations": {"3d_fullres": configuration}})
    folders = [save_fold(tmp_path / "fold0", tiny_plan), save_fold(tmp_path / "fold1", other)]
    with pytest.raises(BadInput, match="another preparation"):
        load_predictor(folders, "3d_fullres", "cpu")
