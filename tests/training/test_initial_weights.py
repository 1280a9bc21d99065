"""Which weights one network takes over of another."""

from dataclasses import astuple

import pytest
import torch

from autoseg.networks import build_planned
from autoseg.training.initial_weights import fitting_weights

FIRST = "encoder.0.convs.0.conv.weight"


def weights_of(spec, channels=1, outputs=3, seed=0):
    torch.manual_seed(seed)
    return build_planned(spec, channels, outputs).state_dict()


@pytest.fixture
def spec(tiny_configuration):
    return tiny_configuration.network


def test_an_equal_network_gives_everything_bit_for_bit(spec):
    given = weights_of(spec, seed=1)
    weights, taken = fitting_weights(weights_of(spec, seed=2), given)
    assert weights.keys() == given.keys()
    assert all(torch.equal(weights[name], given[name]) for name in given)
    assert taken.describe() == f"{len(given)} of {len(given)} weights copied"


@pytest.mark.parametrize("channels", [1, 4])
def test_with_other_channels_only_the_first_convolution_stays_fresh(spec, channels):
    fresh, given = weights_of(spec, channels), weights_of(spec, 2)
    weights, taken = fitting_weights(fresh, given)
    assert fresh.keys() - weights.keys() == {FIRST}
    assert taken.other_channels == (FIRST,)
    assert "freshly initialised: the first convolution (another number of input channels)" in taken.describe()


@pytest.mark.parametrize("outputs", [2, 7])
def test_with_other_labels_only_the_heads_stay_fresh(spec, outputs):
    fresh, given = weights_of(spec, outputs=outputs), weights_of(spec, outputs=3)
    weights, taken = fitting_weights(fresh, given)
    heads = {name for name in fresh if name.startswith("decoder.heads.")}
    assert fresh.keys() - weights.keys() == heads == set(taken.other_labels)
    assert len(heads) == 4
    assert "the output heads (another number of labels)" in taken.describe()


def test_a_deeper_network_takes_what_has_the_same_name_and_shape(spec):
    deeper = spec.model_copy(
        update={
            "features_per_stage": (*spec.features_per_stage, 8),
            "kernel_sizes": (*spec.kernel_sizes, (3, 3, 3)),
            "strides": (*spec.strides, (2, 2, 2)),
            "blocks_per_stage": (*spec.blocks_per_stage, 1),
            "blocks_per_decoder_stage": (*spec.blocks_per_decoder_stage, 1),
        }
    )
    fresh, given = weights_of(deeper), weights_of(spec)
    weights, taken = fitting_weights(fresh, given)
    expected = {name for name in fresh if name in given and fresh[name].shape == given[name].shape}
    assert weights.keys() == expected
    assert {name for name in expected if name.startswith("encoder.")} == {n for n in given if n.startswith("encoder.")}
    assert set(taken.absent) == fresh.keys() - given.keys()
    assert sum(len(names) for names in astuple(taken)) == len(fresh.keys() | given.keys())
    assert "the model has none of these names" in taken.describe()
    _, taken = fitting_weights(given, fresh)
    assert "not used of the model: " in taken.describe()


def test_a_network_of_another_width_fits_nowhere_and_no_head_is_called_so(spec):
    wider = spec.model_copy(update={"features_per_stage": (8, 16, 32)})
    weights, taken = fitting_weights(weights_of(wider), weights_of(spec))
    assert not weights
    assert taken.other_channels == taken.other_labels == ()
    assert FIRST in taken.other_shape


def test_heads_and_offsets_alone_are_nothing(spec):
    given = weights_of(spec)
    few = {name: tensor for name, tensor in given.items() if tensor.ndim == 1 or ".heads." in name}
    weights, taken = fitting_weights(given, few)
    assert not weights
    assert taken.copied


def test_the_new_network_need_not_exist(spec):
    with torch.device("meta"):
        shapes = build_planned(spec, 1, 3).state_dict()
    given = weights_of(spec)
    weights, _ = fitting_weights(shapes, given)
    assert torch.equal(weights[FIRST], given[FIRST])
