"""Where a benchmark works, with what, and how its commands are put together."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import ROOT

DATASET = "Hippocampus"
PEER_DATASET = "Dataset001_Hippocampus"


@dataclass(frozen=True)
class Setting:
    """What all rows share."""

    folder: Path  # working files, kept from row to row
    data: Path  # BIDS datasets
    python: str
    peer_python: str
    minutes: float  # of a training whose Dice is compared
    pairs: int  # how often both sides of a short row run, by turns
    quick: bool  # few cases and steps, to see that a row runs

    def datasets(self) -> list[Path]:
        """What is trained on: 140 cases."""
        names = ["hippocampus-b"] if self.quick else ["hippocampus-a", "hippocampus-b"]
        return [self.data / name for name in names]

    def autoseg(self, workspace: Path, *arguments: str | Path) -> list[str]:
        """A command line of ours."""
        return [self.python, "-m", "autoseg", "--workspace", str(workspace), *map(str, arguments)]

    def script(self, name: str, *arguments: str | Path | float) -> list[str]:
        """``benchmarks/ours/NAME.py`` in our environment."""
        return [self.python, "-m", f"benchmarks.ours.{name}", *map(str, arguments)]

    def peer_program(self, name: str, *arguments: str | Path) -> list[str]:
        """A command line of the peer."""
        return [str(Path(self.peer_python).parent / name), *map(str, arguments)]

    def peer_script(self, name: str, *arguments: str | Path | float) -> list[str]:
        """``benchmarks/peer/NAME.py`` in the peer's environment."""
        return [self.peer_python, str(ROOT / "benchmarks" / "peer" / f"{name}.py"), *map(str, arguments)]


def peer_environment(home: Path) -> dict[str, str]:
    """The folders of the peer below ``home``."""
    names = {"nnUNet_raw": "raw", "nnUNet_preprocessed": "preprocessed", "nnUNet_results": "results"}
    return {variable: str(home / name) for variable, name in names.items()}


def default_data() -> Path:
    """``$AUTOSEG_REAL_DATA``, else ``../shared/data`` beside the checkout."""
    return Path(os.environ.get("AUTOSEG_REAL_DATA") or ROOT.parent / "shared" / "data")
