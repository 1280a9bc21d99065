"""Count forward passes: ``python -m benchmarks.ours.passes MODEL CONFIGURATION INPUT``.

Prints for each case the seconds from the file to the labels, the calls of the network, and the samples in them.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import torch

from autoseg.core.plan import read_plan
from autoseg.inference.engines import Engine
from autoseg.inference.predictor import load_predictor
from autoseg.interop.prediction_inputs import find_inputs
from autoseg.io import images


def main() -> None:
    """Predict every case with the model; nothing is written."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("configuration")
    parser.add_argument("input", type=Path)
    asked = parser.parse_args()
    plan = read_plan((asked.model / "plan.json").read_text(encoding="utf-8"), str(asked.model))
    cases, problems = find_inputs([asked.input], plan.channels)
    predictor = load_predictor([asked.model], asked.configuration, "cpu", num_cases=len(cases))
    batches: list[int] = []
    predictor = replace(predictor, engines=[counted(engine, batches) for engine in predictor.engines])
    found: dict[str, list[object]] = {"cases": [], "seconds": [], "calls": [], "samples": [], "problems": [*problems]}
    for case in cases:
        batches.clear()
        started = time.perf_counter()
        predictor.predict(case.name, images.read_channels(case.channels))
        found["seconds"].append(time.perf_counter() - started)
        found["cases"].append(case.name)
        found["calls"].append(len(batches))
        found["samples"].append(sum(batches))
    print(json.dumps(found | {"engine": predictor.describe()}))


def counted(engine: Engine, batches: list[int]) -> Engine:
    """The engine, which also notes the size of every batch."""

    def run(batch: torch.Tensor) -> torch.Tensor:
        batches.append(len(batch))
        return engine(batch)

    return run


if __name__ == "__main__":
    main()
