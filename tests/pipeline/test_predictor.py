"""A model in a Python program gives what the verb `predict` writes."""

import nibabel
import numpy as np
import pytest

import autoseg
from autoseg.core.errors import BadInput
from autoseg.core.selection import Postprocessing
from autoseg.io import images
from autoseg.pipeline.models import export, workspace_models
from autoseg.pipeline.prediction import PredictionOptions, predict


@pytest.fixture(scope="module")
def written(cross_validated, tiny_bids, tmp_path_factory):
    """The images, and the files that the verb writes for them."""
    output = tmp_path_factory.mktemp("written")
    inputs = sorted(tiny_bids.glob("sub-*/anat/*_T1w.nii.gz"))
    models = workspace_models(cross_validated, "Tiny")
    return dict(zip(inputs, predict(models, inputs, output, options=PredictionOptions("cpu")).written, strict=True))


def test_it_equals_what_the_verb_writes_bit_for_bit(cross_validated, written, tmp_path):
    predictor = autoseg.Predictor.load("Tiny", device="cpu", workspace=cross_validated.root)
    for image, file in written.items():
        found = predictor.predict(str(image))
        np.testing.assert_array_equal(found.labels, images.read_labels(file))
        assert found.save(tmp_path / file.name).read_bytes() == file.read_bytes()
    assert predictor.channels == ("T1w",)
    assert predictor.names == found.names == {0: "background", 1: "shell", 2: "core"}


def test_an_image_from_memory(cross_validated, written, tmp_path):
    path, file = next(iter(written.items()))
    predictor = autoseg.Predictor.load("Tiny", device="cpu", workspace=cross_validated.root)
    found = predictor.predict(images.read_image(path))
    np.testing.assert_array_equal(found.labels, images.read_labels(file))
    np.testing.assert_array_equal(found.image.voxels[0], found.labels)
    for ending in (".nii.gz", ".mha"):
        labels, affine = images.read_label_map(found.save(tmp_path / f"found{ending}"))
        np.testing.assert_array_equal(labels, found.labels)
        np.testing.assert_allclose(affine, nibabel.load(path).affine, atol=1e-6)


def test_volumes_in_millilitres(cross_validated, written):
    predictor = autoseg.Predictor.load("Tiny", device="cpu", workspace=cross_validated.root)
    found = predictor.predict(next(iter(written)))
    voxels = [np.count_nonzero(found.labels == value) for value in (1, 2)]
    assert list(found.volumes_ml()) == ["shell", "core"]
    np.testing.assert_allclose(list(found.volumes_ml().values()), np.multiply(voxels, 1.2 / 1000))


@pytest.mark.parametrize("kind", ["file", "fold"])
def test_models_of_other_kinds(cross_validated, written, tmp_path, kind):
    image = next(iter(written))
    folds = {"file": ("fold0", "fold1"), "fold": ("fold1",)}[kind]
    model = cross_validated.model_folder("Tiny", "2d", "fold1")
    if kind == "file":
        model = tmp_path / "Tiny.autoseg.zip"
        export(cross_validated, "Tiny", model, "2d")
    expected = predict(
        workspace_models(cross_validated, "Tiny"), [image], tmp_path, "2d", folds, PredictionOptions("cpu")
    )
    found = autoseg.Predictor.load(model, device="cpu").predict(image)
    np.testing.assert_array_equal(found.labels, images.read_labels(expected.written[0]))


def test_the_selected_postprocessing_follows(cross_validated, written):
    loaded = autoseg.Predictor.load("Tiny", device="cpu", workspace=cross_validated.root)
    largest = autoseg.Predictor(loaded.segmenter, Postprocessing(keep_largest=((1, 2),)))
    image = next(iter(written))
    plain, kept = loaded.predict(image).labels, largest.predict(image).labels
    assert 0 < np.count_nonzero(kept) < np.count_nonzero(plain)


def test_what_is_no_model_or_no_image_of_it_is_refused(cross_validated, written, tmp_path):
    with pytest.raises(BadInput, match="is no trained model"):
        autoseg.Predictor.load(tmp_path / "nothing")
    with pytest.raises(BadInput, match="there is no dataset of this name"):
        autoseg.Predictor.load("Nothing", workspace=cross_validated.root)
    with pytest.raises(BadInput, match="there is no such file"):
        autoseg.Predictor.load("nothing.autoseg.zip")
    image = next(iter(written))
    predictor = autoseg.Predictor.load("Tiny", device="cpu", workspace=cross_validated.root)
    with pytest.raises(BadInput, match=r"has 2 channel\(s\), the model was trained with 1"):
        predictor.predict([image, image])
