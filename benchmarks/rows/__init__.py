"""The rows of the benchmark, in the order of the table."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.report import Result
from benchmarks.rows import (
    accuracy,
    agreement,
    engines,
    evaluating,
    full_volume,
    memory,
    predicting,
    preparing,
    resampling,
    training,
)
from benchmarks.setting import Setting

ROWS: dict[str, Callable[[Setting], Result]] = {
    "prepare": preparing.prepare,
    "prepare-scaling": preparing.scaling,
    "train-3d": training.train_3d,
    "train-2d": training.train_2d,
    "dice-3d": accuracy.dice_3d,
    "dice-2d": accuracy.dice_2d,
    "predict": predicting.predict,
    "predict-same-network": predicting.predict_same_network,
    "agreement": agreement.agreement,
    "resample-image": resampling.image,
    "resample-logits": resampling.logits,
    "resample-labels": resampling.labels,
    "evaluate-overlap": evaluating.overlap,
    "evaluate-surface": evaluating.surface,
    "openvino": engines.openvino,
    "full-volume": full_volume.full_volume,
    "memory": memory.memory,
}
