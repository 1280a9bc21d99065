"""A fold trained in a process of its own."""

from dataclasses import asdict

import numpy as np
import pytest

from autoseg.pipeline import one_training
from autoseg.pipeline.one_training import main
from autoseg.pipeline.training import TrainingOptions


def request(workspace, configuration, **changes):
    options = TrainingOptions(epochs=1, device="cpu", resume=True, **changes)
    training = {"workspace": str(workspace.root), "dataset": "Tiny", "configuration": configuration, "fold": "fold0"}
    return {"training": training, "options": asdict(options), "cores": 1}


def test_the_answer_is_the_summary(workspace):
    answer = main(request(workspace, "3d_fullres"))
    assert answer["summary"]["held_out"]
    assert (workspace.model_folder("Tiny", "3d_fullres", "fold0") / "final.safetensors").is_file()


def test_an_error_is_its_kind_and_its_sentence(workspace):
    answer = main(request(workspace, "3d_nothing"))
    assert answer["error"] == "BadInput"
    assert "3d_nothing" in answer["sentence"]


def test_a_kind_of_error_is_known_by_what_it_is(workspace, monkeypatch):
    def fails(*_):
        np.empty(2**50)

    with pytest.raises(MemoryError) as caught:
        fails()
    assert type(caught.value) is not MemoryError
    monkeypatch.setattr(one_training, "train", fails)
    assert main(request(workspace, "3d_fullres"))["error"] == "MemoryError"
