"""What a configuration needs of a machine, with each library that can run it; needs no trained model."""

from __future__ import annotations

import importlib.util
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from autoseg.core.errors import BadInput
from autoseg.core.plan import Configuration, Plan
from autoseg.io.files import read_json, write_json, write_text
from autoseg.io.workspace import Workspace
from autoseg.pipeline import memory_sweeps
from autoseg.pipeline.cascade import held_out_label_maps
from autoseg.pipeline.library_run import Request, run_library
from autoseg.pipeline.preparation import prepare_cases, read_or_make_plan, require_configuration
from autoseg.planning.planners import PLANNERS
from autoseg.reporting.comparison_tables import markdown_table
from autoseg.reporting.figure_files import save
from autoseg.reporting.profile_figure import draw_samples, read_samples
from autoseg.reporting.profile_table import LibraryRun, profile_table
from autoseg.runtime.jobs import num_cores
from autoseg.runtime.progress import duration, progress, say

MOST_CASES = 4
SAMPLES = "samples.csv"
NOTE = (
    "CPU: 100 = one core. Memory: resident, of the process that ran this library alone; GPU figures are of the whole "
    "GPU. The epoch is extrapolated from the step and the forward pass. On a GPU the device is synchronised before "
    "each reading of the clock."
)


@dataclass(frozen=True)
class ProfileOptions:
    """What a user may say about a profile."""

    seconds: float = 30.0
    device: str | None = None
    memory_gb: float | None = None


def chosen_configurations(plan: Plan, names: Sequence[str]) -> list[Configuration]:
    """Those that were named, else all."""
    return [require_configuration(plan, name) for name in names or plan.configurations]


def libraries(device: str) -> list[str]:
    """What can run a network on the device: torch, and on a CPU OpenVINO if it is installed."""
    with_openvino = device == "cpu" and importlib.util.find_spec("openvino") is not None
    return ["torch", "openvino"] if with_openvino else ["torch"]


def profile(
    workspace: Workspace, name: str, configuration_names: Sequence[str], output: Path, options: ProfileOptions
) -> list[LibraryRun]:
    """Rest, training steps, forward passes and whole cases of each configuration with each library, sampled.

    Writes ``samples.csv``, ``profile.json``, ``profile.md``, ``profile.png`` and ``profile.svg``.
    """
    from autoseg.runtime.devices import choose_device

    device = choose_device(options.device)
    dataset = workspace.read_dataset(name)
    plan = read_or_make_plan(workspace, name)
    chosen, cases = chosen_configurations(plan, configuration_names), dataset.cases[:MOST_CASES]
    case_names = tuple(case.name for case in cases)
    stages = {one.name: held_out_label_maps(workspace, dataset, one, case_names) for one in chosen}
    prepare_cases(workspace, plan, chosen, cases, stages)
    samples, begun_s = output / SAMPLES, time.time()
    samples.unlink(missing_ok=True)
    runs: list[LibraryRun] = []
    for configuration in chosen:
        for library in libraries(device):
            how = library, device, options.seconds, case_names, str(samples), begun_s
            request = Request(str(workspace.root), name, configuration.name, *how)
            with progress(f"profile {configuration.name} with {library}"):
                try:
                    runs.append(run_library(request))
                except RuntimeError as error:
                    if library == "torch":
                        raise
                    say(f"left out: {library} cannot run {configuration.name} ({error})", style="yellow")
            write_profile(output, name, runs)
    save(draw_samples(read_samples(samples)), output / "profile")
    say(f"profiled in {duration(time.time() - begun_s)}")
    return runs


def write_profile(output: Path, dataset: str, runs: Sequence[LibraryRun]) -> None:
    """``profile.json`` and ``profile.md``."""
    machine = {"processor": platform.processor() or platform.machine(), "cores": num_cores()}
    document: dict[str, Any] = {"dataset": dataset, "machine": machine, "runs": [run.document() for run in runs]}
    write_json(output / "profile.json", document)
    header, rows = profile_table(runs)
    title = f"# Resources: {dataset}\n\n"
    write_text(output / "profile.md", title + markdown_table(header, rows) + f"\n\n{NOTE}\n")


def read_profile(path: Path) -> list[LibraryRun]:
    """The runs of a ``profile.json``; BadInput where it is none."""
    try:
        runs = [{field.name: run[field.name] for field in fields(LibraryRun)} for run in read_json(path)["runs"]]
        return [LibraryRun(**{**run, "patch_size": tuple(run["patch_size"])}) for run in runs]
    except (KeyError, TypeError, AttributeError):
        raise BadInput(f"{path}: is no profile; profile again or remove it.") from None


def sweep_classes(
    workspace: Workspace,
    name: str,
    configuration_names: Sequence[str],
    classes: Sequence[int],
    options: ProfileOptions,
) -> list[memory_sweeps.ClassSweep]:
    """Memory of a training step against the number of classes, of each configuration."""
    from autoseg.runtime.devices import choose_device, usual_execution

    plan, device = read_or_make_plan(workspace, name), choose_device(options.device)
    limit_gb = memory_sweeps.memory_limit_gb(device, options.memory_gb, PLANNERS["default"].memory_gb)
    return [
        memory_sweeps.memory_by_classes(plan, configuration, classes, usual_execution(device), limit_gb)
        for configuration in chosen_configurations(plan, configuration_names)
    ]


def search_largest_volume(
    workspace: Workspace, name: str, configuration_names: Sequence[str], options: ProfileOptions
) -> list[memory_sweeps.LargestVolume]:
    """The largest cube for a training step, of each configuration in each number format that the device has."""
    from autoseg.runtime.devices import Execution, choose_device, native_precisions

    plan, device = read_or_make_plan(workspace, name), choose_device(options.device)
    limit_gb = memory_sweeps.memory_limit_gb(device, options.memory_gb, PLANNERS["default"].memory_gb)
    return [
        memory_sweeps.largest_volume(
            plan, configuration, Execution(device, precision, channels_last=device != "mps"), limit_gb
        )
        for configuration in chosen_configurations(plan, configuration_names)
        for precision in native_precisions(device)
    ]
