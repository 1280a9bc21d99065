"""Predict with nnU-Net as its command does on a CPU, but add up the tiles in fp32 instead of fp16.

Runs in the peer's environment: ``python predict_fp32.py MODEL_FOLDER FOLD INPUT OUTPUT``.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import torch
from nnunetv2.inference import predict_from_raw_data as peer


def main() -> None:
    """Write the label maps."""
    model, fold, images, output = sys.argv[1:]
    peer.compute_gaussian = functools.partial(peer.compute_gaussian, dtype=torch.float32)
    peer.compute_gaussian.cache_clear = lambda: None
    torch.half = torch.float32  # the name by which the accumulators are made
    predictor = peer.nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(model, (fold,))
    Path(output).mkdir(parents=True, exist_ok=True)
    predictor.predict_from_files_sequential(images, output)


if __name__ == "__main__":
    main()
