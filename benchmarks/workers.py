"""``python -m benchmarks.workers [-o FOLDER]``: what it costs to hand a case to a worker and back.

Two worker processes of this machine against this process, in turn: a call of nothing, and a case of
12 x 12 x 8 voxels that is prepared already (its files are looked at, nothing is computed).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from operator import neg
from pathlib import Path
from statistics import median

from autoseg.io.workspace import Workspace
from autoseg.pipeline.conversion import match, write
from autoseg.pipeline.preparation import Preparation, StagedCase, over_cases, plan_dataset, prepare_case, prepare_cases
from autoseg.runtime.clusters import local_workers
from benchmarks import report, synthetic

CASES, ROUNDS, CONFIGURATION = 500, 5, "3d_fullres"


def main() -> int:
    """Measure, and write ``workers.json``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=report.RESULTS / "scaling", help="of the document")
    parser.add_argument("--folder", type=Path, default=Path(".bench") / "workers", help="working files")
    asked = parser.parse_args()
    load = round(os.getloadavg()[0], 2)
    document = {
        "row": "workers",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": report.machine() | {"load_average_before": load},
        "autoseg": report.commit(),
        "cases": CASES,
        **measured(asked.folder.resolve()),
    }
    asked.output.mkdir(parents=True, exist_ok=True)
    (asked.output / "workers.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))
    return 0


def measured(folder: Path) -> dict[str, object]:
    """Milliseconds a case, of each round and their median."""
    shutil.rmtree(folder, ignore_errors=True)
    synthetic.tiny_bids(folder / "bids", CASES)
    workspace = Workspace(folder / "workspace")
    write(match([folder / "bids"], None, ["T1w"], None), workspace.dataset_folder("Tiny"), "Tiny")
    plan, cases = plan_dataset(workspace, "Tiny"), workspace.read_dataset("Tiny").cases
    configuration, place = plan.configurations[CONFIGURATION], workspace.preprocessed_folder("Tiny", CONFIGURATION)
    prepare_cases(workspace, plan, [configuration], cases)
    prepare = partial(prepare_case, Preparation(plan, (configuration,), {CONFIGURATION: place}, (place,)))
    staged = [StagedCase(case, {}) for case in cases]
    began = time.perf_counter()
    with local_workers(2) as workers:
        start_s = time.perf_counter() - began
        rounds: dict[str, list[float]] = {}
        calls: dict[str, Callable[[], Iterable[object]]] = {
            "nothing, by workers": lambda: workers.results(neg, range(CASES)),
            "kept case, here": lambda: over_cases(prepare, staged, None),
            "kept case, by workers": lambda: over_cases(prepare, staged, workers),
        }
        for _ in range(ROUNDS + 1):
            for name, call in calls.items():
                began = time.perf_counter()
                for _ in call():
                    pass
                rounds.setdefault(name, []).append(1000 * (time.perf_counter() - began) / CASES)
    timed = {name: values[1:] for name, values in rounds.items()}  # the first loads what is needed
    more = [there - here for there, here in zip(timed["kept case, by workers"], timed["kept case, here"], strict=True)]
    return {"start_s": start_s, "ms_a_case": timed, "overhead_ms_a_case": median(more)}


if __name__ == "__main__":
    sys.exit(main())
