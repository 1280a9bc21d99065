"""Classifiers of single voxels on all candidate voxels of a case (``networks.voxel_classifiers``).

Such a network sees a patch around a voxel, zeros beyond its border, and gives the class of that voxel. Patches of
neighbouring voxels overlap almost wholly. What a patch makes of a place differs from what its neighbour makes of it
only where the zeros beyond the border matter, so the first convolution and pooling are computed once for all patches.

Along one axis a patch of 11 around voxel v has the positions v-5 .. v+5. The first pooling takes the pairs that begin
at v-5, v-3, v-1, v+1 and v+3, and drops v+5: only the convolution at v-5 reaches beyond the border, by its lower tap.
In three dimensions there are therefore eight variants of a pooled map, with the lower taps at the first position of a
pair missing along any subset of axes, and each of the 5 x 5 x 5 pooled features of a patch is a voxel of one of them.
The second pooling takes the first four of five, so the second convolution reaches beyond its lower border only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from autoseg.core.geometry import Box, bounding_box, box_slices
from autoseg.inference.lanes import side_by_side
from autoseg.runtime.devices import Execution
from autoseg.runtime.jobs import num_cores

Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Forward = Callable[[torch.Tensor], torch.Tensor]  # features of patches on the device -> (B, K, ...) logits

SHARED_PATCH = (11, 11, 11)
SHARED_LAYERS = (nn.Conv3d, nn.BatchNorm3d, nn.ReLU, nn.MaxPool3d) * 2
REACH = 6  # voxels below the lowest candidate of a block that its pooled maps are made of; above it one less
POOLED = 5  # pooled positions of a patch along an axis
# Candidates of a block share their maps, 1 kB a voxel and 9 voxels wider than the block along each axis: 37 MB.
BLOCK_VOXELS = 24
MOST_WORKERS = 8  # blocks at a time; each takes about 120 MB
BATCH = {"cpu": 256, "cuda": 8192}  # voxels of a forward pass; more take no less time on a core
PATCH_BATCH = {"cpu": 64, "cuda": 4096}


def foreground_probability(
    network: nn.Module, patch_size: Sequence[int], execution: Execution, image: Image, candidates: Mask
) -> Image:
    """``image`` ``(C, *shape)``, ``candidates`` ``(*shape)`` -> ``(*shape)``: 1 - p(background), elsewhere 0.

    The network is in evaluation mode and placed by ``execution``. What neighbours share is computed once if the
    network is laid out as ``valverde2017``; else every patch goes through it on its own. Blocks of the case are
    worked on side by side: besides a padded copy of the image, memory does not depend on the size of the case.
    """
    probability = np.zeros(candidates.shape, np.float32)
    reach = [REACH] * 3 if can_share(network, patch_size) else [size // 2 for size in patch_size]
    padded = np.pad(image, ((0, 0), *((width, width) for width in reach)))
    of_block = _shared if can_share(network, patch_size) else _one_by_one
    classify = of_block(network, patch_size, execution)

    def run(box: Box) -> tuple[Box, npt.NDArray[np.float32]]:
        around = tuple(slice(start, stop + 2 * width) for (start, stop), width in zip(box, reach, strict=True))
        with torch.inference_mode():
            return box, classify(padded[:, *around], candidates[box_slices(box)])

    workers = min(num_cores(), MOST_WORKERS) if execution.device == "cpu" else 1
    for box, found in side_by_side(run, _blocks(candidates), workers):
        probability[box_slices(box)][candidates[box_slices(box)]] = found
    return probability


def can_share(network: nn.Module, patch_size: Sequence[int]) -> bool:
    """Whether the network is laid out as ``valverde2017``, for patches of 11 x 11 x 11."""
    layers = getattr(network, "convolutional", ())
    return tuple(patch_size) == SHARED_PATCH and tuple(type(layer) for layer in layers) == SHARED_LAYERS


def _blocks(candidates: Mask) -> Iterator[Box]:
    """The boxes around the candidates of each block that has any."""
    starts = [range(0, size, BLOCK_VOXELS) for size in candidates.shape]
    for corner in product(*starts):
        inside = candidates[tuple(slice(start, start + BLOCK_VOXELS) for start in corner)]
        box = bounding_box(inside)
        if box is not None:
            yield tuple((low + start, high + start) for start, (low, high) in zip(corner, box, strict=True))


def _one_by_one(
    network: nn.Module, patch_size: Sequence[int], execution: Execution
) -> Callable[[Image, Mask], npt.NDArray[np.float32]]:
    """``image`` of a block with half a patch around it, its ``candidates`` -> their probabilities in C order."""

    def classify(image: Image, candidates: Mask) -> npt.NDArray[np.float32]:
        patches = np.lib.stride_tricks.sliding_window_view(image, patch_size, axis=(1, 2, 3))
        places = np.nonzero(candidates)
        size = PATCH_BATCH["cpu" if execution.device == "cpu" else "cuda"]
        found = []
        for first in range(0, len(places[0]), size):
            x, y, z = (axis[first : first + size] for axis in places)
            batch = torch.from_numpy(np.ascontiguousarray(patches[:, x, y, z].swapaxes(0, 1)))
            with execution.autocast():
                logits = network(execution.place(batch))
            found.append(_probability(logits))
        return np.concatenate(found)

    return classify


def _shared(
    network: nn.Module, patch_size: Sequence[int], execution: Execution
) -> Callable[[Image, Mask], npt.NDArray[np.float32]]:
    """The same with ``REACH`` voxels around the block, for ``valverde2017``."""
    layers, dense = network.get_submodule("convolutional"), network.get_submodule("dense")
    first, second = (_with_norm(layers[index], layers[index + 1]) for index in (0, 4))  # type: ignore[index]
    variants = torch.cat([_without_lower_taps(first[0], axes) for axes in product((False, True), repeat=3)])
    variants, bias = _of_planes(variants), first[1].repeat(8)
    kernel = second[0].contiguous(memory_format=torch.channels_last_3d)

    def of_features(features: torch.Tensor) -> torch.Tensor:
        """Pooled features ``(B, F, 6, 6, 6)``, zeros at the lower border -> logits."""
        # ReLU after the maximum is the same as before it, on an eighth of the values.
        pooled = F.max_pool3d(F.conv3d(features, kernel, second[1]), 2).relu_()
        logits: torch.Tensor = dense(pooled.flatten(1))
        return logits

    def classify(image: Image, candidates: Mask) -> npt.NDArray[np.float32]:
        voxels = torch.from_numpy(image[:, :-1, :-1, :-1]).to(execution.device)
        planes = voxels.unfold(1, 3, 1).permute(1, 4, 0, 2, 3).flatten(1, 2)
        maps = F.conv2d(planes.contiguous(memory_format=torch.channels_last), variants, bias)
        rows, width = _pooled_maps(maps.permute(0, 2, 3, 1), len(first[1]))
        del maps
        steps = torch.tensor([width[1] * width[2], width[2], 1]) * 8
        begins = (torch.from_numpy(np.argwhere(candidates)) * steps).sum(1).to(execution.device)
        offsets = _feature_offsets(steps.tolist()).to(execution.device)
        size = BATCH["cpu" if execution.device == "cpu" else "cuda"]
        found = []
        for part in torch.split(begins, size):
            index = part[:, None] + offsets
            index[:, offsets < 0] = len(rows) - 1
            features = rows.index_select(0, index.flatten()).view(len(part), *(POOLED + 1,) * 3, -1)
            with execution.autocast():
                found.append(_probability(of_features(features.permute(0, 4, 1, 2, 3))))
        return np.concatenate(found)

    return classify


def _with_norm(convolution: nn.Conv3d, norm: nn.BatchNorm3d) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of a convolution without bias and the batch norm after it, as one convolution."""
    if norm.running_mean is None or norm.running_var is None or convolution.bias is not None:
        raise ValueError("the convolution has a bias or its norm no running statistics")
    scale = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
    shift = norm.bias.detach() - norm.running_mean * scale
    return convolution.weight.detach() * scale[:, None, None, None, None], shift


def _without_lower_taps(weight: torch.Tensor, axes: Sequence[bool]) -> torch.Tensor:
    """The kernel with zeros for its lower taps along ``axes``."""
    weight = weight.clone()
    for axis, missing in enumerate(axes):
        if missing:
            weight.select(2 + axis, 0).zero_()
    return weight


def _of_planes(weight: torch.Tensor) -> torch.Tensor:
    """A kernel ``(K, C, 3, 3, 3)`` for planes of the first axis that have their neighbours as further channels.

    As a batch of planes torch convolves a block three times as fast as in three dimensions.
    """
    flat = weight.transpose(1, 2).flatten(1, 2)
    return flat.contiguous(memory_format=torch.channels_last)


def _pooled_maps(maps: torch.Tensor, features: int) -> tuple[torch.Tensor, tuple[int, int, int]]:
    """Maps ``(*size, 8 F)`` of the eight variants, through a ReLU and pooled in pairs that begin anywhere.

    What comes second in a pair does not miss a tap along that axis. Rows of F, the variants of a voxel together, a
    last one of zeros; and the pairs along each axis.
    """
    values = maps.reshape(*maps.shape[:3], 2, 2, 2, features)
    x, y, z = (size - 1 for size in maps.shape[:3])
    rows = maps.new_zeros(x * y * z * 8 + 1, features)
    for axis in range(3):
        length = values.shape[axis] - 1
        complete = values.narrow(3 + axis, 0, 1).narrow(axis, 1, length)
        target = rows[:-1].view(x, y, z, 2, 2, 2, features) if axis == 2 else None
        values = torch.maximum(values.narrow(axis, 0, length), complete, out=target)
    return rows.relu_(), (x, y, z)


def _feature_offsets(steps: Sequence[int]) -> torch.Tensor:
    """The 6 x 6 x 6 pooled features of a patch as rows behind that of its first voxel; -1 at the lower border."""
    offsets = []
    for place in product(range(-1, POOLED), repeat=3):
        variant = sum(4 >> axis for axis, position in enumerate(place) if position == 0)
        row = sum(2 * position * step for position, step in zip(place, steps, strict=True)) + variant
        offsets.append(-1 if min(place) < 0 else row)
    return torch.tensor(offsets)


def _probability(logits: torch.Tensor) -> npt.NDArray[np.float32]:
    """Of any class but background: ``(B,)``."""
    probabilities: npt.NDArray[np.float32] = logits.float().flatten(1).softmax(1)[:, 1:].sum(1).cpu().numpy()
    return probabilities
