"""Prepare cases with nnU-Net's default preprocessor, for ``benchmarks/preprocessing.py``.

Runs in the peer's environment: ``python preprocessing.py PLANS.json DATASET.json CASES.json FOLDER``. CASES.json
lists ``{"name", "images", "labels"}``, the labels null where there are none. Each configuration of the plans writes
``FOLDER/CONFIGURATION/NAME.npz``: ``data`` ``(C, *shape)``, ``seg`` ``(*shape)``, ``box`` (start and stop of each
axis), ``shape_before`` and ``shape_cropped``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager


def main() -> None:
    """Every case in every configuration, one after the other."""
    plans, dataset, cases = (json.loads(Path(name).read_text()) for name in sys.argv[1:4])
    folder, manager, preprocessor = Path(sys.argv[4]), PlansManager(plans), DefaultPreprocessor(verbose=False)
    for name in plans["configurations"]:
        (folder / name).mkdir(parents=True, exist_ok=True)
        configuration = manager.get_configuration(name)
        for case in cases:
            data, labels, properties = preprocessor.run_case(
                case["images"], case["labels"], manager, configuration, dataset
            )
            np.savez(
                folder / name / f"{case['name']}.npz",
                data=data.astype(np.float32),  # as it saves them
                seg=labels[0].astype(np.int16),
                box=np.asarray(properties["bbox_used_for_cropping"]),
                shape_before=np.asarray(properties["shape_before_cropping"]),
                shape_cropped=np.asarray(properties["shape_after_cropping_and_before_resampling"]),
            )


if __name__ == "__main__":
    main()
