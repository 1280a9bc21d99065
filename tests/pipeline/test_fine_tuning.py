"""A training that begins with the weights of a trained fold."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.io.model_archive import write_archive
from autoseg.networks import build_planned
from autoseg.pipeline.fine_tuning import as_wide_as, begin_with, read_initial_model
from autoseg.pipeline.training import TrainingOptions, train


def wide(configuration, *features):
    return configuration.model_copy(
        update={"network": configuration.network.model_copy(update={"features_per_stage": features})}
    )


@pytest.fixture
def fold(tmp_path, tiny_plan):
    """A trained fold of the tiny plan that has seen the cases a and b; its weights are random."""
    folder = tmp_path / "models/Tiny/3d_fullres/fold0"
    folder.mkdir(parents=True)
    torch.manual_seed(5)
    network = build_planned(tiny_plan.configurations["3d_fullres"].network, 1, 3)
    save_file(network.state_dict(), folder / "final.safetensors")
    (folder / "plan.json").write_text(tiny_plan.model_dump_json())
    (folder / "split.json").write_text('{"train": ["a", "b"], "val": ["c"]}')
    return folder


@pytest.mark.parametrize("part", ["", "final.safetensors"])
def test_a_fold_and_its_weights_file_are_the_same_model(fold, part, tiny_plan):
    model = read_initial_model(fold / part, "3d_fullres")
    expected = load_file(fold / "final.safetensors")
    assert model.weights.keys() == expected.keys()
    assert all(torch.equal(model.weights[name], expected[name]) for name in expected)
    assert model.plan == tiny_plan
    assert model.trained_on == {"a", "b"}


def test_a_weights_file_alone_will_do(fold, tmp_path, tiny_plan, tiny_configuration):
    alone = (fold / "final.safetensors").rename(tmp_path / "weights.safetensors")
    model = read_initial_model(alone, "3d_fullres")
    assert (model.plan, model.trained_on) == (None, frozenset())
    assert as_wide_as(model, tiny_configuration) == tiny_configuration
    beginning = begin_with(model, tiny_configuration, tiny_plan, ["a"])
    assert beginning.weights.keys() == model.weights.keys()
    assert beginning.decision.reason == "asked for with --init-from"


def test_an_exported_model_gives_its_first_fold(fold, tmp_path, tiny_plan):
    members = {"plan.json": tiny_plan.model_dump_json()}
    for number in (1, 2):
        members[f"3d_fullres/fold{number}/plan.json"] = tiny_plan.model_dump_json()
        members[f"3d_fullres/fold{number}/final.safetensors"] = fold / "final.safetensors"
    save_file({"other": torch.zeros(1)}, tmp_path / "other.safetensors")
    members["3d_fullres/fold2/final.safetensors"] = tmp_path / "other.safetensors"
    archive = tmp_path / "Tiny.autoseg.zip"
    write_archive(archive, "Tiny", members)
    model = read_initial_model(archive, "3d_fullres")
    expected = load_file(fold / "final.safetensors")
    assert model.weights.keys() == expected.keys()
    assert all(torch.equal(model.weights[name], expected[name]) for name in expected)
    assert model.plan == tiny_plan
    with pytest.raises(BadInput, match="holds no 2d to begin with"):
        read_initial_model(archive, "2d")


def test_what_is_no_model_is_refused(fold, tmp_path):
    with pytest.raises(BadInput, match=r"nowhere: there is no such file or folder"):
        read_initial_model(tmp_path / "nowhere", "3d_fullres")
    with pytest.raises(BadInput, match=r"holds no final\.safetensors"):
        read_initial_model(fold.parent, "3d_fullres")
    with pytest.raises(BadInput, match=r"plan\.json: is damaged or no safetensors file"):
        read_initial_model(fold / "plan.json", "3d_fullres")


def test_the_network_is_as_wide_as_that_of_the_model_if_it_is_like_it_otherwise(fold, tiny_plan, tiny_configuration):
    model = read_initial_model(fold, "3d_fullres")
    beginning = begin_with(model, wide(tiny_configuration, 8, 16, 32), tiny_plan, [])
    assert beginning.configuration == tiny_configuration
    assert beginning.weights.keys() == model.weights.keys()
    other = wide(tiny_configuration, 8, 16, 32)
    other = other.model_copy(update={"network": other.network.model_copy(update={"blocks_per_stage": (2, 2, 2)})})
    assert as_wide_as(model, other) == other
    with pytest.raises(BadInput, match=r"fold0: its weights do not fit the network of 3d_fullres .*the same planner"):
        begin_with(model, other, tiny_plan, [])


def test_held_out_cases_that_the_model_has_seen_are_told(fold, tiny_plan, tiny_configuration, capsys):
    model = read_initial_model(fold, "3d_fullres")
    assert "trained on 1 of" in begin_with(model, tiny_configuration, tiny_plan, ["b", "c"]).decision.reason
    assert "note: it was trained on 1 of the 2 held-out cases" in capsys.readouterr().err
    elsewhere = tiny_plan.model_copy(update={"dataset": "Other", "labels": Labels(values={"ball": 1})})
    begin_with(model, tiny_configuration, elsewhere, ["b", "c"])
    found = capsys.readouterr().err
    assert "note:" not in found
    assert "the output heads (another number of labels)" in found


def test_the_run_is_recorded_and_a_misfit_loses_nothing(workspace, fold, tmp_path):
    options = TrainingOptions(epochs=1, device="cpu", init_from=fold)
    train(workspace, "Tiny", "3d_fullres", "fold0", options)
    own = workspace.model_folder("Tiny", "3d_fullres", "fold0")
    plan = json.loads((own / "plan.json").read_text())
    (decision,) = [decision for decision in plan["decisions"] if decision["what"] == "initial weights"]
    assert decision["choice"].startswith(f"{fold}: ")
    assert "trained on Tiny (3d_fullres) for the labels shell, core" in decision["reason"]
    before = (own / "final.safetensors").read_bytes()
    save_file({"something": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(BadInput, match="do not fit"):
        train(
            workspace,
            "Tiny",
            "3d_fullres",
            "fold0",
            replace(options, init_from=tmp_path / "other.safetensors", overwrite=True),
        )
    assert (own / "final.safetensors").read_bytes() == before
    again = train(workspace, "Tiny", "3d_fullres", "fold0", replace(options, init_from=own, overwrite=True))
    assert again["fold0"] is not None


def test_frozen_parts_stay_those_of_the_model(workspace, fold, capsys):
    options = TrainingOptions(epochs=1, device="cpu", frozen=("encoder",))
    where = ("Tiny", "3d_fullres", "fold0")
    with pytest.raises(BadInput, match=r"3d_fullres: freezes encoder, which only a trained model can give"):
        train(workspace, *where, options)
    own = workspace.model_folder(*where)
    assert not own.exists()
    train(workspace, *where, replace(options, init_from=fold))
    assert "frozen: encoder" in capsys.readouterr().err
    given, found = load_file(fold / "final.safetensors"), load_file(own / "final.safetensors")
    same = {name for name in found if torch.equal(found[name], given[name])}
    coarsest = {"decoder.heads.0.weight", "decoder.heads.0.bias"}  # have no share in the loss
    assert same - coarsest == {name for name in found if name.startswith("encoder.")}
    plan = json.loads((own / "plan.json").read_text())
    assert plan["configurations"]["3d_fullres"]["training"]["frozen"] == ["encoder"]
    assert any(
        decision["reason"].startswith("asked for with --init-from; frozen: enc") for decision in plan["decisions"]
    )
    (own / "state.safetensors").touch()
    (own / "final.safetensors").unlink()
    with pytest.raises(BadInput, match=r"fold0: this training began with other parts frozen; resume it without"):
        train(workspace, *where, replace(options, frozen=("decoder",), resume=True))


def test_only_what_the_model_gives_can_be_frozen(fold, tiny_plan, tiny_configuration):
    model = read_initial_model(fold, "3d_fullres")
    frozen = tiny_configuration.training.model_copy(update={"frozen": ("*.heads.*",)})
    elsewhere = tiny_plan.model_copy(update={"labels": Labels(values={"ball": 1})})
    with pytest.raises(BadInput, match=r"does not give .*heads.*, which is to be frozen"):
        begin_with(model, tiny_configuration.model_copy(update={"training": frozen}), elsewhere, [])
