"""Tiles, weights and mirroring against scipy and direct computation."""

import tracemalloc
import weakref

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from autoseg.inference import sliding_window
from autoseg.inference.lanes import Lanes
from autoseg.inference.sliding_window import (
    gaussian_weights,
    mirror_combinations,
    sliding_window_logits,
    sliding_window_slabs,
    tile_starts,
)

LANES = Lanes(workers=2, batch=2)


class Counting:
    """Wraps a function of the input and counts forward passes."""

    def __init__(self, function):
        self.function, self.sizes = function, []

    def __call__(self, x):
        self.sizes.append(tuple(x.shape))
        return self.function(x)


def pointwise(x: torch.Tensor) -> torch.Tensor:
    """Two classes from the mean over channels: unaffected by tiling and mirroring."""
    mean = x.mean(1, keepdim=True)
    return torch.cat((mean, 1 - mean), dim=1)


@pytest.mark.parametrize(
    ("size", "patch", "expected"),
    [(110, 64, [0, 23, 46]), (64, 64, [0]), (65, 64, [0, 1]), (128, 64, [0, 32, 64]), (5, 8, [-1])],
)
def test_tiles_are_equally_spaced_and_reach_the_end(size, patch, expected):
    assert tile_starts(size, patch, 0.5) == expected


@pytest.mark.parametrize("patch", [(16, 24), (8, 16, 12)])
def test_gaussian_has_the_shape_of_a_filtered_impulse(patch):
    impulse = np.zeros(patch)
    impulse[tuple(size // 2 for size in patch)] = 1
    filtered = gaussian_filter(impulse, [size / 8 for size in patch], mode="constant", truncate=8)
    weights = gaussian_weights(patch).numpy()
    np.testing.assert_allclose(weights, filtered / filtered.max(), atol=1e-6)
    assert weights.min() > 0


def test_mirror_combinations_are_all_subsets_of_the_axes():
    assert len(mirror_combinations((0, 1, 2))) == 8
    assert mirror_combinations((1,)) == [(), (1,)]


@pytest.mark.parametrize("patch", [(8, 8, 8), (8, 8)])
@pytest.mark.parametrize("shape", [(5, 13, 9), (12, 8, 21)])
def test_a_pointwise_network_is_reproduced_exactly(shape, patch):
    image = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    logits = sliding_window_logits([Counting(pointwise)], image, patch, 2, LANES, tuple(range(len(patch))))
    np.testing.assert_allclose(logits, pointwise(torch.from_numpy(image)[None])[0].numpy(), atol=1e-5)


def test_mirroring_averages_the_flipped_back_logits():
    position = torch.arange(8.0)

    def sees_position(x):
        return torch.cat((x * position, -x * position), dim=1)

    image = np.random.default_rng(0).normal(size=(1, 8, 8, 8)).astype(np.float32)
    logits = sliding_window_logits([Counting(sees_position)], image, (8, 8, 8), 2, LANES, mirror_axes=(2,))
    np.testing.assert_allclose(logits[0], image[0] * 3.5, atol=1e-5)  # mean of i and 7 - i


def test_folds_are_averaged():
    image = np.ones((1, 8, 8, 8), dtype=np.float32)
    networks = [Counting(lambda x, k=k: torch.cat((k * x, x), dim=1)) for k in (1.0, 3.0)]
    logits = sliding_window_logits(networks, image, (8, 8, 8), 2, LANES)
    np.testing.assert_allclose(logits[0], 2.0, rtol=1e-6)
    assert [len(network.sizes) for network in networks] == [1, 1]


def plain(networks, image, patch, mirror_axes, step):
    """Tile by tile and copy by copy, in float64, with the weights summed in space."""
    lead = 3 - len(patch)
    missing = [max(0, p - s) for p, s in zip(patch, image.shape[1 + lead :], strict=True)]
    margins = [(0, 0)] * (1 + lead) + [(m // 2, m - m // 2) for m in missing]
    padded = np.pad(image, margins)
    starts = [tile_starts(s, p, step) for s, p in zip(padded.shape[1 + lead :], patch, strict=True)]
    weights = gaussian_weights(patch).double().numpy()
    total, coverage = 0, np.zeros(padded.shape[1:])
    copies = mirror_combinations([axis + 1 for axis in mirror_axes])
    for place in [range(image.shape[1])] * lead or [[None]]:
        for start in np.array(np.meshgrid(*starts, indexing="ij")).reshape(len(patch), -1).T:
            for index in place:
                where = tuple(slice(s, s + p) for s, p in zip(start, patch, strict=True))
                where = where if index is None else (index, *where)
                tile, mean = padded[:, *where], 0
                for axes in copies:
                    for network in networks:
                        seen = torch.from_numpy(np.flip(tile, axes).copy())[None]
                        mean = mean + np.flip(network(seen)[0].double().detach().numpy(), axes)
                if isinstance(total, int):
                    total = np.zeros((len(mean), *padded.shape[1:]))
                total[:, *where] += mean / len(copies) / len(networks) * weights
                coverage[where] += weights
    inside = tuple(slice(low, size - high) for (low, high), size in zip(margins[1:], coverage.shape, strict=True))
    return (total / coverage)[:, *inside]


@pytest.mark.parametrize("lanes", [Lanes(1, 1), Lanes(2, 3), Lanes(3, 2)])
@pytest.mark.parametrize(
    ("patch", "shape", "mirror_axes", "step"),
    [((8, 6, 8), (19, 5, 21), (0, 2), 0.5), ((8, 8, 8), (30, 9, 8), (), 1.0), ((8, 6), (3, 19, 5), (1,), 0.3)],
)
def test_all_is_as_in_the_plain_version(lanes, patch, shape, mirror_axes, step):
    torch.manual_seed(0)
    kind = nn.Conv3d if len(patch) == 3 else nn.Conv2d
    networks = [kind(2, 3, 3, padding=1).requires_grad_(False) for _ in range(2)]
    image = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    logits = sliding_window_logits(networks, image, patch, 3, lanes, mirror_axes, step)
    np.testing.assert_allclose(logits, plain(networks, image, patch, mirror_axes, step), atol=2e-6)
    again = sliding_window_logits(networks, image, patch, 3, lanes, mirror_axes, step)
    np.testing.assert_array_equal(logits, again)


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_each_mirrored_copy_of_each_tile_goes_through_each_network_once(batch):
    networks = [Counting(pointwise), Counting(pointwise)]
    image = np.zeros((1, 16, 8, 12), dtype=np.float32)
    sliding_window_logits(networks, image, (8, 8, 8), 2, Lanes(1, batch), (0, 1, 2))
    tiles = 3 * 1 * 2
    for network in networks:
        assert sum(size[0] for size in network.sizes) == tiles * 8
        assert len(network.sizes) == tiles * 8 // batch


def test_slices_and_flips_go_through_a_2d_network_together():
    network = Counting(pointwise)
    image = np.zeros((1, 10, 16, 16), dtype=np.float32)
    sliding_window_logits([network], image, (16, 16), 2, Lanes(1, 16), mirror_axes=(0, 1))
    assert network.sizes == [(16, 1, 16, 16), (16, 1, 16, 16), (8, 1, 16, 16)]


def test_slabs_come_in_order_and_only_as_many_planes_as_a_tile_has_are_held():
    image = np.random.default_rng(0).normal(size=(1, 96, 48, 48)).astype(np.float32)
    num_classes = 8

    def network(x):
        return x.expand(-1, num_classes, *x.shape[2:])

    reached = 0
    tracemalloc.start()
    for planes, slab in sliding_window_slabs([network], image, (16, 16, 16), num_classes, LANES):
        assert planes.start == reached
        np.testing.assert_allclose(slab[-1], image[0, planes], atol=1e-5)
        reached = planes.stop
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reached == 96
    tiles_in_flight = (LANES.workers + 1) * LANES.batch * (num_classes + 1) * 16**3 * 4
    assert held < 16 * num_classes * 48 * 48 * 4 * 2 + tiles_in_flight


def test_the_logits_of_a_tile_are_released_before_the_next_one_is_computed(monkeypatch):
    original, before = sliding_window.weighted_logits, []

    def spy(*arguments):
        assert [reference() for reference in before] == [None] * len(before)
        results = original(*arguments)
        before.extend(weakref.ref(part) for _, part in results)
        return results

    monkeypatch.setattr(sliding_window, "weighted_logits", spy)
    sliding_window_logits([pointwise], np.ones((1, 24, 16, 16), np.float32), (16, 16, 16), 2, Lanes(1, 1))
    assert len(before) == 2
