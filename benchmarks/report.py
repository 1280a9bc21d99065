"""What a row found, as JSON and as a line of a table."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import ROOT, Failed, run
from benchmarks.setting import Setting

RESULTS = ROOT / "benchmarks" / "results"
CPU_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8")
HEADER = ("row", "work", "peer", "ours", "ratio", "target", "holds")


@dataclass(frozen=True)
class Result:
    """One line of the table and all that it rests on."""

    work: str
    unit: str  # of peer, ours and runs
    peer: float | None
    ours: float
    ratio: float | None  # as the target means it
    checks: Mapping[str, bool]  # the conditions of the target
    runs: Mapping[str, Sequence[float]]  # side -> every single measurement, in order
    commands: Sequence[str]  # what was run
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether all of the target is reached."""
        return all(self.checks.values())


def compared(
    work: str,
    unit: str,
    runs: Mapping[str, Sequence[float]],
    target: float,
    commands: Sequence[str],
    checks: Mapping[str, bool] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Result:
    """``ours`` against the best of the other sides, by medians; ``target`` is the ratio other / ours to reach."""
    ours = median(runs["ours"])
    other = min(median(values) for name, values in runs.items() if name != "ours")
    reached = {f">= {target:g}x": other / ours >= target}
    return Result(
        work, unit, other, ours, other / ours, reached | dict(checks or {}), runs, commands, dict(facts or {})
    )


def write(row: str, result: Result, setting: Setting, load_before: float) -> None:
    """Write ``ROW.json`` into the results; a quick trial goes to the working folder instead."""
    document = {
        "row": row,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine() | {"load_average_before": load_before},
        "versions": versions(setting),
        "quick_trial": setting.quick,
        **asdict(result),
        "median": {side: median(values) for side, values in result.runs.items()},
        "target": ", ".join(result.checks),
        "holds": result.holds,
    }
    folder = results_folder(setting)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{row}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def results_folder(setting: Setting) -> Path:
    """Where the results of this setting go."""
    return setting.folder / "results" if setting.quick else RESULTS


def table(folder: Path, order: Sequence[str]) -> str:
    """All results of a folder as a table in Markdown, in the order of the rows."""
    lines = ["| " + " | ".join(HEADER) + " |", "|---|---|---:|---:|---:|---|---|"]
    for row in order:
        path = folder / f"{row}.json"
        if path.is_file():
            lines.append("| " + " | ".join(cells(json.loads(path.read_text(encoding="utf-8")))) + " |")
    return "\n".join(lines) + "\n"


def cells(document: Mapping[str, Any]) -> list[str]:
    """One line of the table."""
    missed = [check for check, reached in document["checks"].items() if not reached]
    ratio = document["ratio"]
    return [
        document["row"],
        document["work"],
        quantity(document["peer"], document["unit"]),
        quantity(document["ours"], document["unit"]),
        "-" if ratio is None else f"{ratio:.3g}x",
        document["target"],
        "no: " + ", ".join(missed) if missed else "yes",
    ]


def quantity(value: float | None, unit: str) -> str:
    """A figure with its unit; fractions of one with four digits."""
    if value is None:
        return "-"
    return f"{value:.4f} {unit}" if unit.startswith(("Dice", "1 - Dice", "share")) else f"{value:.3g} {unit}"


def machine() -> dict[str, Any]:
    """What speed depends on."""
    try:
        processor = Path("/proc/cpuinfo").read_text()
        memory = Path("/proc/meminfo").read_text().split("MemTotal:")[1].split()[0]
    except (OSError, IndexError):  # not Linux
        return {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    facts = dict(line.split(":", 1) for line in processor.splitlines() if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    flags = facts.get("flags", "").split()
    return {
        "cpu": facts.get("model name", platform.machine()),
        "cores": len(os.sched_getaffinity(0)),
        "flags": {flag: flag in flags for flag in CPU_FLAGS},
        "memory_gib": round(int(memory) / 2**20, 1),
        "system": platform.platform(),
    }


def versions(setting: Setting) -> dict[str, str]:
    """Of all that takes part."""
    names = ["torch", "numpy", "openvino"]
    found = {f"ours {name}": installed(name) for name in names}
    found["python"] = platform.python_version()
    asked = (
        "import json, sys; from importlib.metadata import version; "
        "print(json.dumps([version(name) for name in sys.argv[1:]]))"
    )
    try:
        peer = run([setting.peer_python, "-c", asked, "nnunetv2", "torch", "numpy"]).document
    except (Failed, OSError):
        peer = ["not installed"] * 3
    found |= dict(zip(("nnunetv2", "peer torch", "peer numpy"), peer, strict=True))
    return found | {"autoseg": commit()}


def installed(package: str) -> str:
    """Its version in this environment."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def commit() -> str:
    """The commit of the checkout, and whether files differ from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    return (git("rev-parse", "HEAD") or "unknown") + (
        " with changes" if git("status", "--porcelain", "autoseg") else ""
    )
