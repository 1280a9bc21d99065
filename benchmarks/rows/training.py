"""Training steps of the same plan, with loading and augmentation."""

from __future__ import annotations

from statistics import fmean, median

from benchmarks import material
from benchmarks.measure import alternate, run
from benchmarks.report import Result, compared
from benchmarks.setting import DATASET, PEER_DATASET, Setting, peer_environment

WARM_STEPS = 2  # not counted


def train_3d(setting: Setting) -> Result:
    """Training steps of 3d_fullres per second, with loading and augmentation."""
    return rate(setting, "3d_fullres", 4 if setting.quick else 12)


def train_2d(setting: Setting) -> Result:
    """Training steps of 2d per second, with loading and augmentation."""
    return rate(setting, "2d", 4 if setting.quick else 8)


def rate(setting: Setting, configuration: str, steps: int) -> Result:
    """Seconds of a step of both."""
    root, home = material.workspace(setting), material.peer(setting)
    single: dict[str, list[list[float]]] = {"peer": [], "ours": []}
    execution = []

    def peer() -> float:
        command = setting.peer_script("training", PEER_DATASET, configuration, "--steps", steps)
        single["peer"].append(run(command, peer_environment(home)).document["step_s"])
        return fmean(single["peer"][-1][WARM_STEPS:])

    def ours() -> float:
        document = run(setting.script("training", root, DATASET, configuration, "--steps", steps)).document
        single["ours"].append(document["step_s"])
        execution.append(document["execution"])
        return fmean(single["ours"][-1][WARM_STEPS:])

    runs = alternate(setting.pairs, {"peer": peer, "ours": ours})
    planned = material.plan(setting).configurations[configuration]
    facts = {
        "step_s": single,
        "steps_per_second": {name: 1 / median(values) for name, values in runs.items()},
        "patch": planned.patch_size,
        "batch": planned.batch_size,
        "features": planned.network.features_per_stage,
        "our_execution": execution,
    }
    commands = [
        f"peer: nnUNetTrainer.train_step(next(dataloader_train)), {steps} times, the first {WARM_STEPS} not counted",
        "ours: training_step(next(patch stream)), as often, in the execution that the probe chooses",
    ]
    size = " x ".join(str(extent) for extent in planned.patch_size)
    work = f"a training step of {configuration}, patch {size}, batch {planned.batch_size}"
    return compared(work, "s", runs, 3, commands, facts=facts)
