"""Predict without any shortcut: ``python -m benchmarks.ours.plain MODEL CONFIGURATION INPUTS OUTPUT``.

float32, torch, one forward pass for each tile and mirrored copy, all logits kept, interpolated, then the
largest. It shares the preparation of the images with ``autoseg predict``, and nothing after that.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import interpolate, pad

from autoseg.core.geometry import box_shape, box_slices
from autoseg.core.plan import Configuration, Plan, read_plan
from autoseg.io import images
from autoseg.networks import build_planned, model_file
from autoseg.preprocessing import prepare

STEP = 0.5
SIGMA = 1 / 8


def main() -> None:
    """Predict every image of a folder, each a case of one channel."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("configuration")
    parser.add_argument("inputs", type=Path)
    parser.add_argument("output", type=Path)
    asked = parser.parse_args()
    plan = read_plan((asked.model / "plan.json").read_text(encoding="utf-8"), str(asked.model))
    configuration = plan.configurations[asked.configuration]
    network = build_planned(configuration.network, len(plan.channels), plan.labels.num_outputs)
    model_file.load_weights(network, model_file.read(asked.model / "final.safetensors")[0], asked.model)
    asked.output.mkdir(parents=True, exist_ok=True)
    for path in sorted(asked.inputs.iterdir()):
        labels = predict(network.eval(), plan, configuration, path)
        images.write_labels(asked.output / path.name, labels, like=path)


@torch.inference_mode()
def predict(network: torch.nn.Module, plan: Plan, configuration: Configuration, path: Path) -> np.ndarray:
    """Label values ``(X, Y, Z)`` on the grid of the file."""
    case = prepare.apply(path.name, images.read_channels([path]), None, plan, configuration)
    logits = mean_logits(
        network, torch.from_numpy(case.image), configuration.patch_size, configuration.augmentation.mirror_axes
    )
    trace = case.trace
    cropped = interpolate(logits[None], size=box_shape(trace.box), mode="trilinear", align_corners=False)[0].argmax(0)
    labels = np.zeros([trace.stored_shape[axis] for axis in trace.reorientation.axes], np.uint8)
    labels[box_slices(trace.box)] = cropped.numpy()
    return np.ascontiguousarray(trace.reorientation.undo(labels))


def mean_logits(
    network: torch.nn.Module, image: torch.Tensor, patch: Sequence[int], mirror_axes: Sequence[int]
) -> torch.Tensor:
    """``(C, *shape)`` -> ``(K, *shape)``: the Gaussian-weighted mean over tiles of the mean over mirrored copies."""
    missing = [max(0, p - s) for p, s in zip(patch, image.shape[1:], strict=True)]
    padded = pad(image, [side for m in reversed(missing) for side in (m // 2, m - m // 2)])
    weights = gaussian(patch)
    flips = [f for n in range(len(mirror_axes) + 1) for f in itertools.combinations([a + 2 for a in mirror_axes], n)]
    total, weight_sum = torch.zeros(()), torch.zeros(padded.shape[1:])
    starts = [tile_starts(size, p) for size, p in zip(padded.shape[1:], patch, strict=True)]
    for corner in itertools.product(*starts):
        tile = tuple(slice(start, start + p) for start, p in zip(corner, patch, strict=True))
        copies = [network(padded[None, :, *tile].flip(axes)).flip(axes)[0] for axes in flips]
        if not total.ndim:
            total = torch.zeros(len(copies[0]), *padded.shape[1:])
        total[:, *tile] += sum(copies) / len(copies) * weights
        weight_sum[tile] += weights
    inside = tuple(slice(m // 2, m // 2 + s) for m, s in zip(missing, image.shape[1:], strict=True))
    return (total / weight_sum)[:, *inside]


def tile_starts(size: int, patch: int) -> list[int]:
    """Starts of equally spaced tiles, half a patch apart or less, the last one flush with the end."""
    count = math.ceil((size - patch) / (STEP * patch)) + 1
    return [round(i * (size - patch) / max(1, count - 1)) for i in range(count)]


def gaussian(patch: Sequence[int]) -> torch.Tensor:
    """Largest at the centre, its standard deviation an eighth of the patch."""
    lines = [torch.exp(-0.5 * ((torch.arange(p) - p // 2) / (p * SIGMA)) ** 2) for p in patch]
    product = torch.einsum("i,j,k->ijk", *lines)
    return product.clamp_min(float(product[product > 0].min()))


if __name__ == "__main__":
    main()
