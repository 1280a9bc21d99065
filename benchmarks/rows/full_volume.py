"""One pass over whole cases against the sliding window."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from benchmarks.material import once
from benchmarks.measure import alternate, run
from benchmarks.report import Result, compared
from benchmarks.setting import Setting

DATASET = "MSBrain"
WHOLE, TILES = "full_volume", "3d_fullres"
MINUTES = 2.0


def full_volume(setting: Setting) -> Result:
    """full_volume against the sliding window of 3d_fullres on ms-brain, both trained two minutes."""
    minutes = 0.2 if setting.quick else MINUTES

    def make(root: object) -> None:
        convert = ("convert-bids", setting.data / "ms-brain", "--dataset", DATASET, "--channels", "FLAIR,T1w,T2w")
        run(setting.autoseg(workspace, *convert))
        for configuration in (WHOLE, TILES):
            print(f"   training {configuration}, {minutes:g} minutes", flush=True)
            options = ("--time-budget", f"{60 * minutes:g}s", "--overwrite", "--device", "cpu")
            run(setting.autoseg(workspace, "train", DATASET, configuration, "fold0", *options))

    workspace = setting.folder / "ms-brain"
    once(setting, "ms-brain", make)
    found: dict[str, Any] = {}

    def side(configuration: str) -> float:
        model = workspace / "models" / DATASET / configuration / "fold0"
        found[configuration] = run(setting.script("passes", model, configuration, setting.data / "ms-brain")).document
        return fmean(found[configuration]["seconds"])

    runs = alternate(setting.pairs, {TILES: lambda: side(TILES), "ours": lambda: side(WHOLE)})
    passes = {name: fmean(document["samples"]) for name, document in found.items()}
    commands = [f"benchmarks/ours/passes.py on both cases, {TILES} (left) and {WHOLE} (right); reading included"]
    work = (
        f"seconds per case of ms-brain: {TILES} (left, {passes[TILES]:g} tiles and mirrored copies) "
        f"and {WHOLE} (right, {passes[WHOLE]:g})"
    )
    return compared(work, "s", runs, 5, commands, facts={"per_case": found, "minutes": minutes})
