"""The decoder: the same logits in training and in inference, and nothing large held longer than needed."""

import weakref

import pytest
import torch

from autoseg.networks.decoder import Decoder, _cropped


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


@pytest.mark.parametrize("inference", [False, True])
def test_an_upsampled_map_is_cropped_at_its_end_to_an_odd_skip(inference):
    decoder, _ = decoder_and_skips(2)
    sizes = ((7, 10), (4, 5), (2, 3))
    skips = [torch.randn(1, width, *size) for size, width in zip(sizes, (4, 6, 8), strict=True)]
    seen = []
    for upsampler, stage in zip(decoder.upsamplers, decoder.stages, strict=True):
        upsampler.register_forward_hook(lambda *given: seen.append(given[2]))
        stage.convs[0].conv.register_forward_pre_hook(lambda _, given: seen.append(given[0].clone()))
    with torch.inference_mode(inference):
        logits = decoder(list(skips), deep_supervision=True)
    assert [tuple(x.shape[2:]) for x in logits] == [(7, 10), (4, 5)]
    for upsampled, joined, skip in zip(seen[::2], seen[1::2], skips[1::-1], strict=True):
        assert upsampled.shape[2:] != skip.shape[2:]
        rows, columns = skip.shape[2:]
        assert torch.equal(joined, torch.cat([upsampled[:, :, :rows, :columns], skip], dim=1))


def test_nothing_is_copied_where_nothing_is_cropped():
    x = torch.randn(1, 2, 4, 6)
    assert _cropped(x, torch.empty(1, 5, 4, 6)).data_ptr() == x.data_ptr()
