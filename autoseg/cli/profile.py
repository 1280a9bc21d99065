"""The verb profile, and ``--profile`` of other verbs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from autoseg.cli.terminal import (
    ConfigurationsArgument,
    DatasetArgument,
    DeviceOption,
    JsonOption,
    comma_separated,
    gigabytes,
    print_json,
    print_table,
    workspace_root,
)
from autoseg.core.errors import BadInput


def profile(
    dataset: DatasetArgument,
    configurations: ConfigurationsArgument = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for tables, samples, figures.", show_default="profiles/DATASET"),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.5, help="How long each phase is sampled.")] = 30.0,
    classes: Annotated[
        str | None, typer.Option(help="Instead: peak memory of a training step for 2,8,32,118 classes.")
    ] = None,
    largest_volume: Annotated[
        bool, typer.Option("--largest-volume", help="Instead: the largest cube whose training step fits.")
    ] = False,
    memory: Annotated[
        str | None, typer.Option(help="What --classes and --largest-volume may use.", show_default="8GB; all of a GPU")
    ] = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure what training and prediction need: CPU, memory, GPU, times; with torch and, on a CPU, OpenVINO.

    Needs the plan and the cases of the dataset, but no trained model. Writes samples, tables and a figure.

    Example: autoseg profile Cord 2d 3d_fullres
    """
    from dataclasses import asdict

    from autoseg.io.workspace import Workspace
    from autoseg.pipeline import memory_sweeps, profiling
    from autoseg.reporting.profile_table import profile_table

    options = profiling.ProfileOptions(seconds, device, gigabytes(memory) if memory else None)
    workspace = Workspace(workspace_root())
    what, output = (workspace, dataset, configurations or ()), output or workspace.profile_folder(dataset)
    tables: list[tuple[str, Sequence[str], Sequence[Sequence[str]]]] = []
    document: dict[str, Any] = {}
    if classes is not None:
        sweeps = profiling.sweep_classes(*what, numbers(classes), options)
        rows = memory_sweeps.write_class_sweeps(output, sweeps)
        tables.append((f"{dataset}: memory of a training step", memory_sweeps.CLASSES_HEADER, rows))
        document["classes"] = [asdict(one) for one in sweeps]
    if largest_volume:
        found = profiling.search_largest_volume(*what, options)
        rows = memory_sweeps.write_largest_volumes(output, found)
        tables.append((f"{dataset}: the largest volume of a training step", memory_sweeps.VOLUME_HEADER, rows))
        document["largest_volume"] = [asdict(one) for one in found]
    if not tables:
        runs = profiling.profile(*what, output, options)
        tables.append((f"{dataset}: resources", *profile_table(runs)))
        document["runs"] = [run.document() for run in runs]
    if as_json:
        print_json(document)
        return
    for table in tables:
        print_table(*table)
    print(f"details: {output}")


def numbers(text: str) -> list[int]:
    """``"2,8"`` -> ``[2, 8]``."""
    parts = comma_separated(text) or []
    if not parts or not all(part.isdecimal() and int(part) >= 2 for part in parts):
        raise BadInput(f"--classes {text}: write numbers from 2 on (background counts), such as 2,8,32.")
    return sorted({int(part) for part in parts})


@contextmanager
def profiled(path: Path | None, subject: str, device: str | None) -> Iterator[None]:
    """Sample what the block does to ``path``, with a summary beside it; nothing where that was not asked for."""
    if path is None:
        yield
        return
    from autoseg.io.files import write_json
    from autoseg.runtime.devices import choose_device
    from autoseg.runtime.profiling import sampling
    from autoseg.runtime.progress import say

    summary = path.with_suffix(".json")
    if path.suffix != ".csv":
        raise BadInput(f"--profile {path}: the samples are a table; give a name that ends in .csv.")
    for file in (path, summary):
        if file.exists():
            raise BadInput(f"--profile {path}: {file} is there already; give another name.")
    with sampling(path, subject, choose_device(device)) as recording:
        try:
            yield
        finally:
            write_json(summary, recording.summary())
    say(f"profile: {path}, averages and peaks by phase in {summary}")
