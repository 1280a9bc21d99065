"""The decoder: the same logits in training and in inference, and nothing large held longer than needed."""

import weakref

import pytest
import torch

from autoseg.networks.decoder import Decoder


def decoder_and_skips(dimensions, layout=torch.contiguous_format):
    torch.manual_seed(0)
    kernels, strides = ((3,) * dimensions,) * 3, ((1,) * dimensions, (2,) * dimensions, (2,) * dimensions)
    decoder = Decoder(3, dimensions, (4, 6, 8), kernels, strides, (2, 1)).eval()
    skips = [torch.randn(2, width, *(16 // 2**stage,) * dimensions) for stage, width in enumerate((4, 6, 8))]
    return decoder.to(memory_format=layout), [skip.to(memory_format=layout) for skip in skips]


@pytest.mark.parametrize(
    ("dimensions", "layout"),
    [
        (2, torch.contiguous_format),
        (2, torch.channels_last),
        (3, torch.contiguous_format),
        (3, torch.channels_last_3d),
    ],
)
def test_inference_gives_the_logits_of_training_and_empties_the_skips(dimensions, layout):
    decoder, skips = decoder_and_skips(dimensions, layout)
    expected = decoder(list(skips), deep_supervision=True)
    with torch.inference_mode():
        supervised = decoder(list(skips), deep_supervision=True)
        finest = decoder(skips, deep_supervision=False)
    assert skips == []
    assert [tuple(logits.shape) for logits in expected] == [(2, 3, *(16,) * dimensions), (2, 3, *(8,) * dimensions)]
    for logits, wanted in zip((*supervised, finest), (*expected, expected[0]), strict=True):
        torch.testing.assert_close(logits, wanted)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_the_joined_map_keeps_the_layout_and_is_released_before_it_is_normalised(layout):
    decoder, skips = decoder_and_skips(3, layout)
    first, seen = decoder.stages[-1].convs[0], []
    first.conv.register_forward_pre_hook(lambda _, given: seen.append(weakref.ref(given[0])))
    first.conv.register_forward_pre_hook(lambda _, given: seen.append(given[0].is_contiguous(memory_format=layout)))
    first.norm.register_forward_pre_hook(lambda *_: seen.append(seen[0]()))
    with torch.inference_mode():
        decoder(skips, deep_supervision=False)
    assert seen[1:] == [True, None]
