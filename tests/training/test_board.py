"""What TensorBoard shows of an epoch."""

import sys

import pytest
import torch

from autoseg.core.labels import Labels
from autoseg.training.board import board, pictures
from autoseg.training.validation import Sample, Validation

LABELS = Labels(values={"shell": 1, "core": 2})
REGIONS = Labels(values={"ball": (1, 2), "core": (2,)}, region_order=(1, 2))
FIGURES = {"epoch": 0, "loss": 0.25, "patch_dice": {"core": 0.5, "shell": None}}


def found(hits):
    random = torch.Generator().manual_seed(0)
    sample = Sample(
        torch.randn(2, 5, 8, 6, generator=random),
        torch.randn(3, 5, 8, 6, generator=random),
        torch.randint(0, 3, (5, 8, 6), generator=random),
    )
    return Validation(torch.tensor([[hits, 0], [2, 0], [3, 0], [9, 20]]), 0.5, sample)


def test_the_browser_gets_scalars_pictures_and_the_configuration(tmp_path, tiny_configuration):
    loading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with board(tmp_path, 0, tiny_configuration, LABELS) as show:
        show(FIGURES, found(10), found(6))
    events = loading.EventAccumulator(str(tmp_path)).Reload()
    assert [event.value for event in events.Scalars("loss")] == [0.25]
    assert [event.value for event in events.Scalars("patch_dice/core")] == [0.5]
    assert [event.value for event in events.Scalars("training/precision/shell")] == pytest.approx([10 / 12])
    assert [event.value for event in events.Scalars("validation/recall/shell")] == pytest.approx([6 / 9])
    assert "validation/recall/core" not in events.Tags()["scalars"]  # there is none
    assert set(events.Tags()["images"]) == {
        *("input/0", "input/1", "output/background", "output/shell", "output/core", "prediction", "reference")
    }
    (image,) = events.Images("reference")
    assert (image.height, image.width) == (8, 6)
    (text,) = [
        event.text_proto if hasattr(event, "text_proto") else event
        for event in events.Tensors("configuration/text_summary")
    ]
    assert "plain_unet" in str(text)


def test_without_the_package_there_is_nothing_to_show(tmp_path, tiny_configuration, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with board(tmp_path, 0, tiny_configuration, LABELS) as show:
        assert show is None
    assert not list(tmp_path.iterdir())


def test_pictures_are_middle_slices_between_0_and_1():
    sample = found(1).sample
    shown = pictures(sample, LABELS)
    assert all(picture.shape == (8, 6) and 0 <= picture.min() <= picture.max() <= 1 for picture in shown.values())
    channel = sample.image[1]
    expected = (channel[2] - channel.min()) / (channel.max() - channel.min())
    assert torch.equal(torch.tensor(shown["input/1"]), expected)
    assert torch.equal(torch.tensor(shown["prediction"]), sample.logits.argmax(0)[2] / 2)
    assert torch.equal(torch.tensor(shown["reference"]), sample.target[2] / 2)
    torch.testing.assert_close(torch.tensor(shown["output/core"]), sample.logits.softmax(0)[2, 2])


def test_of_overlapping_outputs_the_last_is_on_top():
    sample = Sample(torch.zeros(1, 2, 2), torch.tensor([[[1.0, 1.0], [-1, -1]], [[1, -1], [1, -1]]]), torch.zeros(2, 2))
    shown = pictures(sample, REGIONS)
    assert shown["prediction"].tolist() == [[1.0, 0.5], [1.0, 0.0]]
    assert set(shown) == {"input/0", "output/ball", "output/core", "prediction", "reference"}
