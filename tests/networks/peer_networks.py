"""Networks of nnU-Net with known weights, and what they gave: made by ``benchmarks/peer/networks.py``."""

import json
from pathlib import Path

import numpy as np
import torch

FOLDER = Path(__file__).parent / "golden"
NAMES = ("plain_2d", "plain_3d", "residual_2d", "residual_3d")


def read(name: str) -> dict:
    """``architecture`` and ``every_name`` as JSON says, ``image``, ``logits`` finest first, ``weights`` by name."""
    with np.load(FOLDER / f"{name}.npz") as arrays:
        logits = sorted(key for key in arrays.files if key.startswith("logits_"))
        weights = {key.removeprefix("weights/"): key for key in arrays.files if key.startswith("weights/")}
        return {
            "architecture": json.loads(str(arrays["architecture"])),
            "every_name": json.loads(str(arrays["every_name"])),
            "image": torch.from_numpy(arrays["image"]),
            "logits": [torch.from_numpy(arrays[key]) for key in logits],
            "weights": {short: torch.from_numpy(arrays[key]) for short, key in weights.items()},
        }
