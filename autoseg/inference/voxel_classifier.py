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

VARIANTS = tuple(product((False, True), repeat=3))  # along which axes the lower taps are missing
SHARED_PATCH = (11, 11, 11)
SHARED_LAYERS = (nn.Conv3d, nn.BatchNorm3d, nn.ReLU, nn.MaxPool3d) * 2
POOLED = 5  # pooled positions of a patch along an axis
# Along an axis of n voxels the maps of the variants have n and n + 8 voxels: of a block of 24, 22 MB.
BLOCK_VOXELS = 24
MOST_WORKERS = 8  # blocks at a time; each takes about 100 MB
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
    reach = [size // 2 for size in patch_size]
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
    """The same for ``valverde2017``."""
    layers, dense = network.get_submodule("convolutional"), network.get_submodule("dense")
    first, second = (_with_norm(layers[index], layers[index + 1]) for index in (0, 4))  # type: ignore[index]
    kernel = second[0].contiguous(memory_format=torch.channels_last_3d)
    places = list(product(range(-1, POOLED), repeat=3))  # of pooled features; zeros at the lower border
    variants = [VARIANTS.index(tuple(position == 0 for position in place)) for place in places]
    border = torch.tensor([min(place) < 0 for place in places], device=execution.device)
    size = BATCH["cpu" if execution.device == "cpu" else "cuda"]

    def of_features(features: torch.Tensor) -> torch.Tensor:
        """Pooled features ``(B, F, 6, 6, 6)``, zeros at the lower border -> logits."""
        # ReLU after the maximum is the same as before it, on an eighth of the values.
        pooled = F.max_pool3d(F.conv3d(features, kernel, second[1]), 2).relu_()
        logits: torch.Tensor = dense(pooled.flatten(1))
        return logits

    def classify(image: Image, candidates: Mask) -> npt.NDArray[np.float32]:
        rows, steps, begins = _pooled_maps(torch.from_numpy(image).to(execution.device), *first)
        # From v - 3 on in a complete map; its first position is another variant's, which begins at v - 5.
        behind = [
            begins[variant]
            + sum(max(0, position - 1) * 2 * step for position, step in zip(place, steps[variant], strict=True))
            for place, variant in zip(places, variants, strict=True)
        ]
        offsets = torch.tensor(behind, device=execution.device)
        along = torch.tensor([steps[variant] for variant in variants], device=execution.device).T
        voxels = torch.from_numpy(np.argwhere(candidates)).to(execution.device)
        found = []
        for part in torch.split(voxels, size):
            index = (part[:, :, None] * along).sum(1) + offsets
            index[:, border] = len(rows) - 1
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


def _pooled_maps(
    image: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> tuple[torch.Tensor, list[tuple[int, int, int]], list[int]]:
    """``image`` ``(C, *(n + 10))`` of a block -> pooled features as rows of F: of all variants, and zeros last.

    Of each variant: the rows between neighbours along each axis, and the number of its first row, which is that of a
    pair that begins 5 voxels before the block along the axes where taps are missing, and 3 voxels along the others.
    """
    maps = {missing: _first_maps(image, weight, bias, missing) for missing in VARIANTS}
    for axis in range(3):
        for missing in sorted(VARIANTS, reverse=True):  # with taps missing first: they need the others as they are
            values = maps[missing]
            if missing[axis]:
                # What comes second in a pair does not miss a tap along this axis.
                complete = tuple(flag and other != axis for other, flag in enumerate(missing))
                after = maps[complete].narrow(axis, 0, values.shape[axis])
            else:
                length = values.shape[axis] - 2
                values, after = values.narrow(axis, 1, length), values.narrow(axis, 2, length)
            maps[missing] = torch.maximum(values, after)
    steps = [(values.shape[1] * values.shape[2], values.shape[2], 1) for values in maps.values()]
    flat = [values.flatten(0, 2) for values in maps.values()]
    begins = np.cumsum([0, *(len(rows) for rows in flat)]).tolist()
    return torch.cat((*flat, flat[0].new_zeros(1, len(bias)))).relu_(), steps, begins[:-1]


def _first_maps(image: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, missing: Sequence[bool]) -> torch.Tensor:
    """The first convolution ``(*size, F)``, without the lower taps along the axes where they are ``missing``.

    Complete it reaches 4 voxels beyond the block on either side; with taps missing it is that of the block, 5 voxels
    lower. A batch of planes with their neighbours as channels is convolved three times as fast as a volume.
    """
    for axis, flag in enumerate(missing, start=1):
        if flag:
            weight = weight.narrow(1 + axis, 1, 2)
            image = image.narrow(axis, 0, image.shape[axis] - 9)
    taps = weight.shape[2]
    planes = image.unfold(1, taps, 1).permute(1, 4, 0, 2, 3).flatten(1, 2)
    flat = weight.transpose(1, 2).flatten(1, 2)
    layout = torch.channels_last
    maps = F.conv2d(planes.contiguous(memory_format=layout), flat.contiguous(memory_format=layout), bias)
    return maps.permute(0, 2, 3, 1)


def _probability(logits: torch.Tensor) -> npt.NDArray[np.float32]:
    """Of any class but background: ``(B,)``."""
    probabilities: npt.NDArray[np.float32] = logits.float().flatten(1).softmax(1)[:, 1:].sum(1).cpu().numpy()
    return probabilities
