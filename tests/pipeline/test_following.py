"""What the other processes do with the messages of the first; tests/cli/test_devices.py has them all together."""

import pytest

from autoseg.core.errors import BadInput
from autoseg.pipeline import following
from autoseg.pipeline.following import follow, tell_end
from autoseg.pipeline.runs import tell_to_probe
from autoseg.pipeline.training import TrainingOptions, train
from autoseg.runtime import ranks
from autoseg.runtime.devices import Execution
from autoseg.training import probe, trainer
from autoseg.training.trainer import Assignment

CPU = Execution("cpu", "fp32", channels_last=False)


@pytest.fixture
def messages(monkeypatch):
    """What the first process tells, which is what the others are told."""
    told = []
    monkeypatch.setattr(ranks, "tell", told.append)
    monkeypatch.setattr(ranks, "told", lambda: told.pop(0))
    return told


def test_messages_are_obeyed_in_their_order_until_the_end(workspace, messages, monkeypatch):
    done = []
    for name in ("probe_together", "train_together", "segment_share"):
        monkeypatch.setattr(following, name, lambda workspace, message, device, name=name: done.append((name, device)))
    messages += [{"do": "probe"}, {"do": "train"}, {"do": "validate"}, {"do": "train"}]
    tell_end()
    messages.append({"do": "never read"})
    follow(workspace, "cpu")
    assert [name for name, _ in done] == ["probe_together", "train_together", "segment_share", "train_together"]
    assert {device for _, device in done} == {"cpu"}
    assert messages == [{"do": "never read"}]


def test_a_loss_that_is_no_number_is_told_by_the_first_process_alone(workspace, messages, monkeypatch):
    def fails(*_):
        raise FloatingPointError("the loss became nan")

    monkeypatch.setattr(following, "train_together", fails)
    messages += [{"do": "train"}, {"do": "end"}]
    follow(workspace, "cpu")
    assert messages == []


def test_the_same_steps_are_timed(workspace, messages, monkeypatch, tiny_plan):
    seen = []
    monkeypatch.setattr(probe, "seconds_per_step", lambda *arguments: seen.append(arguments))
    configuration = tiny_plan.configurations["3d_fullres"]
    tell_to_probe(Assignment(configuration, tiny_plan.labels, 3, [], [], workspace.root), CPU)
    tell_end()
    follow(workspace, "cpu")
    ((assignment, execution),) = seen
    assert (assignment.configuration, assignment.labels) == (configuration, tiny_plan.labels)
    assert assignment.num_channels == 3
    assert execution == CPU


def test_the_same_fold_is_trained(workspace, messages, monkeypatch):
    """With the cases, the channels and the rest that the first process gives its own trainer."""
    seen = []
    monkeypatch.setattr(trainer, "train", lambda assignment, execution, *_: seen.append((assignment, execution)))
    with pytest.raises(BadInput, match="the file is missing"):  # nothing was trained that could be validated
        train(workspace, "Tiny", "3d_fullres", "fold0", TrainingOptions(epochs=2, device="cpu"))
    tell_end()
    assert messages[0]["do"] == "train"
    messages[:] = [messages[0], messages[-1]]
    follow(workspace, "cpu")
    (ours, execution), (theirs, same) = seen
    assert execution == same
    for what in ("configuration", "labels", "num_channels", "folder", "zeros", "domains", "voxels"):
        assert getattr(ours, what) == getattr(theirs, what), what
    for side in ("training", "validation"):
        assert [case.name for case in getattr(ours, side)] == [case.name for case in getattr(theirs, side)]
    assert theirs.configuration.training.epochs == 2
