"""Outputs of nnU-Net's networks for known weights, which our tests hold ours to.

Runs in the peer's environment: ``python networks.py FOLDER`` writes ``plain_2d.npz``, ``plain_3d.npz``,
``residual_2d.npz`` and ``residual_3d.npz``: ``architecture`` as in plans.json (JSON), ``image``, ``logits_0`` ...
(finest first), the weights as ``weights/NAME`` under nnU-Net's names
(the first of its aliases), and ``every_name``, all names of its state dict (JSON).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from torch import nn

IN_CHANNELS, OUT_CHANNELS = 2, 3
# Every kind of skip occurs: none, averaged, projected, and both; the 2D one also projects without averaging.
STAGES = {
    2: ([[1, 1], [1, 1], [2, 1], [2, 2]], [[3, 3], [3, 3], [3, 1], [3, 3]], [3, 4, 4, 5]),
    3: ([[1, 1, 1], [1, 2, 2], [2, 2, 2]], [[1, 3, 3], [3, 3, 3], [3, 3, 3]], [3, 4, 4]),
}
SIZES = {2: (8, 6), 3: (4, 12, 8)}


def main() -> None:
    """Write the four files."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for dimensions in (2, 3):
        for name, network_class in (("plain", PlainConvUNet), ("residual", ResidualEncoderUNet)):
            write(folder / f"{name}_{dimensions}d.npz", network_class, dimensions)


def write(path: Path, network_class: type, dimensions: int) -> None:
    """One network with every parameter drawn at random."""
    strides, kernels, features = STAGES[dimensions]
    blocks = "n_conv_per_stage" if network_class is PlainConvUNet else "n_blocks_per_stage"
    numbers = {
        "n_stages": len(features),
        "features_per_stage": features,
        "kernel_sizes": kernels,
        "strides": strides,
        blocks: [1, 2, 2, 1][: len(features)],
        "n_conv_per_stage_decoder": [2, 1, 2][: len(features) - 1],
        "conv_bias": True,
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin_kwargs": {"inplace": True},
    }
    classes = {2: (nn.Conv2d, nn.InstanceNorm2d), 3: (nn.Conv3d, nn.InstanceNorm3d)}[dimensions]
    operations = {"conv_op": classes[0], "norm_op": classes[1], "nonlin": nn.LeakyReLU}
    network = network_class(
        input_channels=IN_CHANNELS, num_classes=OUT_CHANNELS, deep_supervision=True, **numbers, **operations
    )
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.5)
        image = torch.randn(2, IN_CHANNELS, *SIZES[dimensions])
        logits = network(image)
    names = {key: f"{value.__module__}.{value.__name__}" for key, value in operations.items()}
    architecture = {
        "network_class_name": f"{network_class.__module__}.{network_class.__name__}",
        "arch_kwargs": {**numbers, **names},
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
    weights = {f"weights/{name}": tensor.detach().numpy() for name, tensor in network.named_parameters()}
    outputs = {f"logits_{number}": tensor.numpy() for number, tensor in enumerate(logits)}
    every_name = json.dumps(sorted(network.state_dict()))
    np.savez_compressed(
        path,
        architecture=json.dumps(architecture),
        every_name=every_name,
        image=image.numpy(),
        **outputs,
        **weights,
    )


if __name__ == "__main__":
    main()
