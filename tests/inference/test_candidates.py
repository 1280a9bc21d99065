"""Lesions by classifiers of voxels in turn: who looks where, the rule of decision, and the way back to the image."""

import json

import numpy as np
import pytest

from autoseg.core.case import Image
from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.core.network_spec import PublishedNetwork
from autoseg.core.plan import CandidateSpec
from autoseg.inference import candidates
from autoseg.inference.candidates import CandidatePredictor, Stage, chain_probability, load_candidate_predictor
from autoseg.inference.certainty import no_sums
from autoseg.runtime.devices import Execution
from tests.inference.voxel_networks import CentreIntensity

FP32 = Execution("cpu", "fp32", channels_last=False)
SPEC = CandidateSpec(channel=0, threshold=0.5, previous_inference=0.8, decision=0.6, smallest_lesion_voxels=3)


def logit(p):
    return np.log(p / (1 - p))


@pytest.fixture
def plan(tiny_plan, tiny_configuration):
    """One label, and two configurations of candidates without normalisation at the spacing of the files."""
    changes = {
        "patch_size": (3, 3, 3),
        "sampling": "candidates",
        "candidates": SPEC,
        "normalization": ("none", "none"),
        "mask_normalization": (False, False),
        "network": PublishedNetwork(name="valverde2017", dimensions=3, size_multiple=(1, 1, 1)),
    }
    first = tiny_configuration.model_copy(update=changes | {"name": "one"})
    second = first.model_copy(update={"name": "two", "previous_stage": "one"})
    return tiny_plan.model_copy(
        update={
            "channels": ("FLAIR", "T1w"),
            "labels": Labels(values={"background": 0, "lesion": 3}),
            "intensities": tiny_plan.intensities * 2,
            "configurations": {"one": first, "two": second},
            "recommended": "two",
        }
    )


def stage(plan, name, **network):
    return Stage(plan, plan.configurations[name], CentreIntensity(**network))


@pytest.fixture
def image():
    """FLAIR and T1w ``(2, 6, 7, 8)``: zero but for a box of noise."""
    voxels = np.zeros((2, 12, 14, 16), np.float32)
    voxels[:, 2:11, 3:12, 4:14] = np.random.default_rng(0).normal(size=(2, 9, 9, 10))
    return voxels


def test_a_stage_looks_only_where_the_one_before_is_sure(plan, image):
    first, second = stage(plan, "one"), stage(plan, "two", channel=1)
    p1, p2 = 1 / (1 + np.exp(-image))
    alone = chain_probability([first], image, FP32)
    np.testing.assert_allclose(alone, np.where(image[0] > 0.5, p1, 0), rtol=1e-5)
    both = chain_probability([first, second], image, FP32)
    looked_at = (image[0] > 0.5) & (p1 > 0.8)
    assert 5 < looked_at.sum() < (image[0] > 0.5).sum()
    np.testing.assert_allclose(both, np.where(looked_at, p2, 0), rtol=1e-5)


def test_the_folds_are_averaged_and_the_last_rule_decides(plan, image):
    chains = [[stage(plan, "one"), stage(plan, "two", slope=0, shift=logit(p))] for p in (0.45, 0.85)]
    affine = np.diag([-1.0, 1.0, 1.2, 1.0])
    predictor = CandidatePredictor(chains, FP32)
    voxels = np.zeros_like(image)
    voxels[:, 2:4, 3:5, 4:7] = 2  # 12 voxels, p1 0.88, mean 0.65
    voxels[:, 8, 8, 8:11] = 2  # 3 voxels: not more than the smallest
    voxels[:, 11, 13, 15] = 1  # p1 0.73: not looked at
    labels = predictor.predict("case", Image(voxels, affine))
    expected = np.zeros(voxels.shape[1:], np.uint8)
    expected[2:4, 3:5, 4:7] = 3
    np.testing.assert_array_equal(labels, expected)
    assert labels.dtype == np.uint8
    assert not CandidatePredictor(chains[:1], FP32).predict("case", Image(voxels, affine)).any()
    assert predictor.describe().endswith("fp32, one then two")


def test_probabilities_are_those_before_the_rule(plan, image):
    predictor = CandidatePredictor([[stage(plan, "one")]], FP32)
    affine = np.diag([1.0, 1.0, 1.2, 1.0])
    labels, probabilities = predictor.segment_with_probabilities(predictor.prepare("case", Image(image, affine)))
    expected = np.where(image[0] > 0.5, 1 / (1 + np.exp(-image[0])), 0)
    np.testing.assert_allclose(probabilities[1] / 65535, expected, atol=1e-5)
    assert (probabilities.astype(int).sum(0) == 65535).all()
    assert set(np.unique(labels)) <= {0, 3}


def test_probabilities_of_another_grid_are_interpolated_before_the_decision(plan):
    coarse = {name: one.model_copy(update={"spacing_mm": (2.4, 2.0, 2.0)}) for name, one in plan.configurations.items()}
    plan = plan.model_copy(update={"configurations": coarse})
    voxels = np.full((2, 12, 14, 16), 0.1, np.float32)
    voxels[:, 2:10, 2:10, 2:10] = 3
    predictor = CandidatePredictor([[stage(plan, "one")]], FP32)
    case = predictor.prepare("case", Image(voxels, np.diag([1.0, 1.0, 1.2, 1.0])))
    assert case.image.shape == (2, 8, 7, 6)
    labels = predictor.segment(case)()
    assert labels.shape == (12, 14, 16)
    assert (labels[3:9, 3:9, 3:9] == 3).all()
    assert 6**3 <= (labels == 3).sum() <= 10**3


def test_the_least_volume_counts_the_voxels_of_the_file(plan):
    spec = SPEC.model_copy(update={"smallest_total_ml": 0.031})
    one = plan.configurations["one"].model_copy(update={"candidates": spec})
    predictor = CandidatePredictor([[Stage(plan, one, CentreIntensity(slope=5))]], FP32)
    voxels = np.zeros((2, 12, 14, 16), np.float32)
    voxels[:, 2:5, 2:5, 2:5] = 3  # 27 voxels of 1.2 mm3 are 0.0324 ml
    affine = np.diag([1.0, 1.0, 1.2, 1.0])
    assert (predictor.predict("case", Image(voxels, affine)) == 3).sum() == 27
    voxels[:, 4, 4, 4] = 0  # 0.0312
    assert (predictor.predict("case", Image(voxels, affine)) == 3).sum() == 26
    voxels[:, 4, 4, 3] = 0  # 0.03
    assert not predictor.predict("case", Image(voxels, affine)).any()


def test_another_number_of_channels_is_refused(plan, image):
    with pytest.raises(BadInput, match=r"case: has 1 channel\(s\), the model was trained with 2 \(FLAIR, T1w\)"):
        CandidatePredictor([[stage(plan, "one")]], FP32).predict("case", Image(image[:1], np.eye(4)))


@pytest.fixture
def stored(plan, tmp_path, monkeypatch):
    """Writes a plan to a folder; its network is one that needs no weights."""
    monkeypatch.setattr(candidates, "load_network", lambda folder, plan, configuration: CentreIntensity())

    def store(folder, name, **changes):
        configuration = plan.configurations[name].model_copy(update=changes)
        document = plan.model_copy(
            update={"configurations": plan.configurations | {name: configuration}}
        ).model_dump_json()
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "plan.json").write_text(document)
        return tmp_path / folder, name

    return store


def test_stages_of_folds_are_loaded_in_turn(stored):
    folds = [[stored(f"{name}{fold}", name) for name in ("one", "two")] for fold in range(2)]
    predictor = load_candidate_predictor(folds, "cpu")
    assert [[one.configuration.name for one in chain] for chain in predictor.chains] == [["one", "two"]] * 2


def test_stages_prepared_in_different_ways_are_refused(stored):
    folders = [stored("one0", "one"), stored("two0", "two", spacing_mm=(2.0, 1.0, 1.0))]
    with pytest.raises(BadInput, match=r"two0: was trained with another preparation than .*one0"):
        load_candidate_predictor([folders], "cpu")


def test_a_plan_without_the_configuration_is_refused(stored):
    folder, _ = stored("one0", "one")
    with pytest.raises(BadInput, match="has no classifier of voxels other"):
        load_candidate_predictor([[(folder, "other")]], "cpu")


def test_several_labels_are_refused(stored):
    folder, name = stored("one0", "one")
    document = json.loads((folder / "plan.json").read_text())
    document["labels"]["values"] = {"background": 0, "lesion": 1, "black hole": 2}
    (folder / "plan.json").write_text(json.dumps(document))
    with pytest.raises(BadInput, match="one tells lesion from background and the dataset has 2 labels; merge"):
        load_candidate_predictor([[(folder, name)]], "cpu")


def test_the_certainty_is_that_of_what_is_kept(plan, image):
    predictor = CandidatePredictor([[stage(plan, "one")]], FP32)
    case = predictor.prepare("case", Image(image, np.diag([1.0, 1.0, 1.2, 1.0])))
    sums = no_sums(plan.labels)
    kept = predictor.segment(case, sums)() > 0
    probability = np.where(image[0] > 0.5, 1 / (1 + np.exp(-image[0].astype(np.float64))), 0)
    np.testing.assert_allclose(sums, [[probability[kept].sum(), probability.sum(), kept.sum()]], rtol=1e-5)
